"""The media process as the call core sees it: rows with fixed ports, messages over one channel.

A freed row rests before it is used again, so that packets of the old call find nobody.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Final

from dtmf_shield.base.clock import Clock
from dtmf_shield.base.log import get_logger
from dtmf_shield.model.ids import CallId, LegRole
from dtmf_shield.model.media_health import AskMediaHealth
from dtmf_shield.model.messages import (
    AskStatistics,
    CloseCall,
    ControlToMedia,
    LoadPrompts,
    MediaToControl,
    OpenCall,
    PlayPrompt,
    SetShield,
    SetStream,
    StartRecording,
    StopPrompt,
)
from dtmf_shield.model.prompt import SpokenPiece
from dtmf_shield.model.stream import MediaPorts, ShieldMode, StreamParameters, Strictness
from dtmf_shield.prompts.errors import PromptError
from dtmf_shield.prompts.ringback import ringback_name
from dtmf_shield.prompts.spoken import spoken_pieces
from dtmf_shield.service.channel import Channel

_log = get_logger("media")

ROW_REST_S: Final = 5.0
"""No peer sends that long after its BYE; a busy service with few rows may use a rested row earlier than others."""


class MediaRows:
    """Implements ``call.ports.MediaPort``. While media is away commands go nowhere: it asks for all of them again."""

    def __init__(self, clock: Clock, address: str, address_v6: str | None) -> None:
        self._clock, self._address, self._address_v6 = clock, address, address_v6
        self._ports: dict[int, MediaPorts] = {}
        self._free_from_s: dict[int, float] = {}
        self._channel: Channel[MediaToControl] | None = None
        # Ports are no secret, but a row that nobody can foretell is a little harder to spray.
        self._choose = random.SystemRandom()

    def learn(self, ports: Iterable[MediaPorts]) -> None:
        """Take rows into use."""
        for row in ports:
            self._ports[row.row] = row
            self._free_from_s[row.row] = 0.0

    def connect(self, channel: Channel[MediaToControl] | None) -> None:
        """Use ``channel`` from now on; None while media is away."""
        self._channel = channel

    @property
    def connected(self) -> bool:
        """Whether media is there."""
        return self._channel is not None

    def media_address(self, *, v6: bool) -> str | None:
        """Return the address for SDP."""
        return self._address_v6 if v6 else self._address

    def reserve(self, call_id: CallId) -> MediaPorts | None:
        """Take a free, rested row and open it."""
        now_s = self._clock.now_s()
        rested = [row for row, from_s in self._free_from_s.items() if from_s <= now_s]
        if not rested or self._channel is None:
            return None
        row = self._choose.choice(rested)
        del self._free_from_s[row]
        self._send(OpenCall(call_id, row))
        return self._ports[row]

    def adopt(self, call_id: CallId, row: int) -> bool:
        """Mark a row as taken by a restored call."""
        del call_id
        return self._free_from_s.pop(row, None) is not None

    def reopen(self, call_id: CallId, row: int) -> None:
        """Open the row in a media process that has started anew."""
        self._send(OpenCall(call_id, row))

    def set_stream(self, call_id: CallId, row: int, role: LegRole, stream: StreamParameters) -> None:
        """Give one leg its stream parameters."""
        self._send(SetStream(call_id, row, role, stream))

    def set_shield(
        self, call_id: CallId, row: int, role: LegRole, mode: ShieldMode, strictness: Strictness
    ) -> None:
        """Change how audio coming from ``role`` is treated."""
        self._send(SetShield(call_id, row, role, mode, strictness))

    def start_recording(self, call_id: CallId, row: int, path: str) -> None:
        """Record the masked conversation."""
        self._send(StartRecording(call_id, row, path))

    def ask_health(self) -> None:
        """Ask how the packet threads do."""
        self._send(AskMediaHealth())

    def ask_statistics(self, call_id: CallId, row: int) -> None:
        """Ask for the counters of a call's legs."""
        self._send(AskStatistics(call_id, row))

    def load_prompts(self, path: str) -> None:
        """Let media take the built prompts of a folder into its pool."""
        self._send(LoadPrompts(path))

    def play(
        self,
        call_id: CallId,
        row: int,
        role: LegRole,
        play_id: int,
        pieces: tuple[SpokenPiece, ...],
        language: str,
        *,
        loop: bool,
        barge_in: bool,
    ) -> bool:
        """Say ``pieces``; False where media is away, or a value cannot be spoken, which is told in the log."""
        try:
            names = tuple(f"{piece.language}/{piece.name}" for piece in spoken_pieces(pieces, language))
        except PromptError as error:
            _log.warning("prompt_not_spoken", call_id=call_id, language=language, reason=str(error))
            return False
        return self._play(
            PlayPrompt(
                call_id=call_id,
                row=row,
                role=role,
                play_id=play_id,
                pieces=names,
                loop=loop,
                barge_in=barge_in,
            )
        )

    def ring(self, call_id: CallId, row: int, play_id: int, language: str) -> bool:
        """Let the caller hear the ringing tone; False where media is away."""
        tone = (ringback_name(language),)
        return self._play(
            PlayPrompt(call_id=call_id, row=row, role=LegRole.CALLER, play_id=play_id, pieces=tone, loop=True)
        )

    def _play(self, message: PlayPrompt) -> bool:
        return self._channel is not None and bool(message.pieces) and self._channel.send(message)

    def stop_prompt(self, call_id: CallId, row: int, role: LegRole, play_id: int) -> None:
        """End that prompt, if it still plays."""
        self._send(StopPrompt(call_id, row, role, play_id))

    def close(self, call_id: CallId, row: int) -> None:
        """Free the row after its rest."""
        self._send(CloseCall(call_id, row))
        if row in self._ports:
            self._free_from_s[row] = self._clock.now_s() + ROW_REST_S

    def _send(self, message: ControlToMedia) -> None:
        if self._channel is not None:
            self._channel.send(message)
