"""The project's scripted phone behind the demonstration's telephone interface, for machines without pjsua2."""

from __future__ import annotations

from pathlib import Path

import soundfile

from dtmf_shield.base.errors import OperatorError
from dtmf_shield.phone.door import Door
from dtmf_shield.phone.scripted import CallRefusedError, ScriptedCall, ScriptedPhone
from dtmf_shield.phone.tones import SAMPLE_RATE_HZ, Press
from dtmf_shield.phone.voices import Voice, voice


class OwnPhone:
    """A scripted phone on the demonstration's own loop."""

    def __init__(self) -> None:
        self.port = 0
        self.sent_file = self.heard_file = Path()
        self._phone: ScriptedPhone | None = None
        self._call: ScriptedCall | None = None
        self.keys_sent = 0
        self.keys_received = 0

    async def start(self, directory: Path, who: Voice) -> None:
        """Open the SIP port."""
        directory.mkdir(parents=True, exist_ok=True)
        self.sent_file, self.heard_file = directory / f"{who}-sent.wav", directory / f"{who}-heard.wav"
        self._phone = await ScriptedPhone.start(speech=voice(who))
        self.port = self._phone.port

    async def call(self, uri: str) -> None:
        """Place the call."""
        try:
            self._call = await self._started().call(uri)
        except CallRefusedError as error:
            raise OperatorError(str(error)) from error

    async def key(self, press: Press, door: Door) -> None:
        """Press one key by `door`."""
        calls = self._started().calls
        if not calls:
            raise OperatorError("a key was to be pressed on a phone without a call")
        self.keys_sent += 1
        await calls[-1].key(press.key, door, tone_ms=press.tone_ms, gap_ms=press.gap_ms)

    async def hang_up(self) -> None:
        """End the call."""
        if self._call is not None:
            await self._call.hang_up()

    async def close(self) -> None:
        """Write the recordings and close the sockets."""
        if self._phone is None:
            return
        await self._phone.close()
        calls = self._phone.calls
        self.keys_received = sum(len(call.events_received) + call.infos_received for call in calls)
        if calls:
            soundfile.write(self.sent_file, calls[-1].sent, SAMPLE_RATE_HZ)
            soundfile.write(self.heard_file, calls[-1].heard, SAMPLE_RATE_HZ)
        self._phone = None

    def _started(self) -> ScriptedPhone:
        if self._phone is None:
            raise OperatorError("the phone was not started")
        return self._phone
