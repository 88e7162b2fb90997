"""Offer/answer for one dialog with one audio stream (RFC 3264, RFC 6337): whose turn it is, the o= version, what
was agreed. It decides no policy: the core says which codecs, address and direction to put into a body.
"""

from __future__ import annotations

import enum
from typing import Final

import msgspec

from dtmf_shield.base.errors import InvariantError
from dtmf_shield.model.stream import TELEPHONE_EVENT_NONE, Codec, Direction, StreamParameters
from dtmf_shield.sip.errors import SdpError
from dtmf_shield.sip.sdp import LocalAudio, RemoteAudio, read_audio, write_audio

TELEPHONE_EVENT_PAYLOAD_TYPE: Final = 101
"""What we offer; an answer takes the offer's."""


class Turn(enum.StrEnum):
    """Whose answer is awaited."""

    STABLE = "stable"
    OFFER_SENT = "offer_sent"
    OFFER_RECEIVED = "offer_received"


class Step(enum.StrEnum):
    """What happens to an exchange."""

    SEND_OFFER = "send_offer"
    RECEIVE_OFFER = "receive_offer"
    SEND_ANSWER = "send_answer"
    RECEIVE_ANSWER = "receive_answer"
    ABANDON = "abandon"


# RFC 6337 section 4; what is missing is an offer in the wrong turn.
TURNS: Final[dict[tuple[Turn, Step], Turn]] = {
    (Turn.STABLE, Step.SEND_OFFER): Turn.OFFER_SENT,
    (Turn.STABLE, Step.RECEIVE_OFFER): Turn.OFFER_RECEIVED,
    (Turn.STABLE, Step.ABANDON): Turn.STABLE,
    (Turn.OFFER_SENT, Step.RECEIVE_ANSWER): Turn.STABLE,
    (Turn.OFFER_SENT, Step.ABANDON): Turn.STABLE,
    (Turn.OFFER_RECEIVED, Step.SEND_ANSWER): Turn.STABLE,
    (Turn.OFFER_RECEIVED, Step.ABANDON): Turn.STABLE,
}

_MIRROR: Final = {
    Direction.SENDRECV: Direction.SENDRECV,
    Direction.SENDONLY: Direction.RECVONLY,
    Direction.RECVONLY: Direction.SENDONLY,
    Direction.INACTIVE: Direction.INACTIVE,
}


class Negotiation(msgspec.Struct, kw_only=True):
    """The session of one dialog. Plain values only: stored and taken up again with the dialog."""

    session_id: int
    version: int = 0
    turn: Turn = Turn.STABLE
    local: LocalAudio | None = None
    """Our last body."""
    remote: RemoteAudio | None = None
    """The peer's last description, offered or answered."""
    agreed_remote: RemoteAudio | None = None
    """The peer's description of the last complete exchange: what a failed re-offer falls back to."""
    we_offered: bool = False

    def receive_offer(self, body: bytes) -> RemoteAudio:
        """Take an offer. Raises SdpError: 491 while ours is open, 500 while theirs is, else as read_audio."""
        if self.turn is not Turn.STABLE:
            status = 491 if self.turn is Turn.OFFER_SENT else 500  # RFC 3311 section 5.2
            raise SdpError("offer while another is open", status)
        remote = read_audio(body)
        self._go(Step.RECEIVE_OFFER)
        self.remote, self.we_offered = remote, False
        return remote

    def receive_answer(self, body: bytes, *, final: bool = True) -> RemoteAudio:
        """Take an answer; ``final`` False for one in an unreliable provisional response, which may change.

        Raises SdpError for an answer that is no SDP, accepts no codec of ours or has another number of streams.
        """
        if self.turn is not Turn.OFFER_SENT or self.local is None:
            raise SdpError("answer without offer")
        remote = read_audio(body)
        if len(remote.layout) != max(1, len(self.local.layout)):
            raise SdpError("answer with another number of streams")
        if not any(codec in self.local.codecs for codec in remote.codecs):
            raise SdpError("answer accepts no codec of the offer", 488)
        if final:
            self._go(Step.RECEIVE_ANSWER)
            self.agreed_remote = remote
        self.remote, self.we_offered = remote, True
        return remote

    def send_offer(
        self, *, host: str, port: int, codecs: tuple[Codec, ...], ptime_ms: int, direction: Direction
    ) -> bytes:
        """Make an offer. Streams refused earlier keep their places (RFC 3264 section 8)."""
        self._go(Step.SEND_OFFER)
        event_type = TELEPHONE_EVENT_PAYLOAD_TYPE
        if self.local is not None and self.local.telephone_event_payload_type != TELEPHONE_EVENT_NONE:
            event_type = self.local.telephone_event_payload_type
        layout = self.local.layout if self.local is not None else ()
        audio = LocalAudio(
            host=host,
            port=port,
            codecs=codecs,
            telephone_event_payload_type=event_type,
            ptime_ms=ptime_ms,
            direction=direction,
            layout=layout,
            audio_index=self.local.audio_index if self.local is not None else 0,
        )
        return self._write(audio)

    def send_answer(
        self, *, host: str, port: int, codec: Codec, ptime_ms: int, direction: Direction, final: bool = True
    ) -> bytes:
        """Make the answer with one codec; ``final`` False for one in an unreliable provisional response."""
        if self.remote is None:
            raise InvariantError("answer without offer")
        if final:
            self._go(Step.SEND_ANSWER)
            self.agreed_remote = self.remote
        audio = LocalAudio(
            host=host,
            port=port,
            codecs=(codec,),
            telephone_event_payload_type=self.remote.telephone_event_payload_type,
            ptime_ms=ptime_ms,
            direction=allowed_answer(self.remote.direction, direction),
            layout=self.remote.layout,
            audio_index=self.remote.audio_index,
        )
        return self._write(audio)

    def abandon(self) -> None:
        """Give up the open exchange: the last agreement goes on (RFC 3261 section 14.1)."""
        self._go(Step.ABANDON)
        self.remote = self.agreed_remote

    def stream(self, codec: Codec) -> StreamParameters:
        """Return what the media process needs of this leg, with the codec that the core chose for it.

        The telephone-event payload type is the one the peer is to send: ours where we offered and it accepted.
        """
        if self.remote is None:
            raise InvariantError("no remote description")
        event_type = self.remote.telephone_event_payload_type
        if self.we_offered and self.local is not None and event_type != TELEPHONE_EVENT_NONE:
            event_type = self.local.telephone_event_payload_type
        return StreamParameters(
            remote_host=self.remote.host,
            remote_port=self.remote.port,
            codec=codec,
            payload_type=codec.payload_type,
            telephone_event_payload_type=event_type,
            ptime_ms=self.remote.ptime_ms,
            direction=_MIRROR[self.remote.direction],
        )

    def _write(self, audio: LocalAudio) -> bytes:
        # RFC 3264 section 8: the version goes up by one, and only when something changes.
        if self.local is None:
            self.version = 1
        elif audio != self.local:
            self.version += 1
        self.local = audio
        return write_audio(audio, self.session_id, self.version)

    def _go(self, step: Step) -> None:
        target = TURNS.get((self.turn, step))
        if target is None:
            raise InvariantError(f"{step.value} while {self.turn.value}")
        self.turn = target


def allowed_answer(offered: Direction, wished: Direction) -> Direction:
    """Return the most of ``wished`` that an answer to ``offered`` may say (RFC 3264 section 6.1)."""
    most = _MIRROR[offered]
    sends = _sends(most) and _sends(wished)
    receives = _sends(_MIRROR[most]) and _sends(_MIRROR[wished])
    if sends:
        return Direction.SENDRECV if receives else Direction.SENDONLY
    return Direction.RECVONLY if receives else Direction.INACTIVE


def _sends(direction: Direction) -> bool:
    return direction in (Direction.SENDRECV, Direction.SENDONLY)
