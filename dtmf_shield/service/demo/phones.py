"""The telephones of the demonstration, seen from the scenario: one interface, two makes.

`Pjsua2Phone` drives the independent SIP stack in a process of its own (pjsua2_phone.py); `OwnPhone` is the project's
scripted phone, for machines where pjsua2 has no wheel. Both keep TEST cards only.
"""

from __future__ import annotations

import asyncio
import json
import sys
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Protocol

import soundfile

from dtmf_shield.base.errors import OperatorError
from dtmf_shield.phone.door import Door
from dtmf_shield.phone.test_cards import KeyGuard
from dtmf_shield.phone.tones import SAMPLE_RATE_HZ, Press, key_tone
from dtmf_shield.phone.voices import Voice, voice

_PJSUA2_PROGRAM: Final = Path(__file__).with_name("pjsua2_phone.py")
START_LIMIT_S: Final = 20.0
CALL_LIMIT_S: Final = 15.0
CLOSE_LIMIT_S: Final = 5.0


class PhoneMake(StrEnum):
    """Which phone places the calls."""

    PJSUA2 = "pjsua2"
    SCRIPTED = "scripted"


class DemoPhone(Protocol):
    """What the scenario needs of a telephone. Recordings are complete once `close` has returned."""

    port: int
    keys_sent: int
    keys_received: int
    """Telephone events and INFO that reached this phone: on the agent's there must be none."""
    sent_file: Path
    heard_file: Path

    async def start(self, directory: Path, who: Voice) -> None:
        """Get ready to call and to be called, with that voice; recordings go to `directory`."""

    async def call(self, uri: str) -> None:
        """Place a call and return once both sides hear each other. Raises OperatorError when refused."""

    async def key(self, press: Press, door: Door) -> None:
        """Press one key; returns when the finger is ready for the next."""

    async def hang_up(self) -> None:
        """End the call; returns once it has ended."""

    async def close(self) -> None:
        """Finish the recordings and switch the phone off."""


def pjsua2_is_here() -> bool:
    """Tell whether the pjsua2 library is installed."""
    return find_spec("pjsua2") is not None


class Pjsua2Phone:
    """A pjsua2 phone in its own process. `wideband`: it speaks G.722 alone and records at 16 kHz."""

    def __init__(self, *, wideband: bool = False) -> None:
        self._arguments = ("G722",) if wideband else ()
        self.port = 0
        self.keys_sent = 0
        self.keys_received = 0
        self.sent_file = self.heard_file = Path()
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._directory = Path()
        self._guard = KeyGuard()
        self._seen: dict[str, asyncio.Event] = {}
        self._failure = ""

    async def start(self, directory: Path, who: Voice) -> None:
        """Start the process and wait until it can be called."""
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self.sent_file, self.heard_file = directory / f"{who}-sent.wav", directory / f"{who}-heard.wav"
        speech = directory / f"{who}-speech.wav"
        soundfile.write(speech, voice(who), SAMPLE_RATE_HZ)
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            str(_PJSUA2_PROGRAM),
            *self._arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        self._reader = asyncio.create_task(self._read())
        await self._wait("ready", START_LIMIT_S)
        await self._order("record", sent=str(self.sent_file), heard=str(self.heard_file))
        await self._order("talk", file=str(speech))

    async def call(self, uri: str) -> None:
        """Place the call."""
        await self._order("call", uri=uri)
        await self._wait("confirmed", CALL_LIMIT_S)
        await self._wait("media", CALL_LIMIT_S)

    async def key(self, press: Press, door: Door) -> None:
        """Press one key by `door`."""
        self._guard.admit(press.key)
        if door is Door.INBAND:
            tone = self._directory / f"key-{self.keys_sent}.wav"
            soundfile.write(tone, key_tone(press.key, press.tone_ms), SAMPLE_RATE_HZ)
            await self._order("key", door=door, file=str(tone))
        else:
            await self._order("key", door=door, digit=press.key, tone_ms=press.tone_ms)
        self.keys_sent += 1
        await asyncio.sleep((press.tone_ms + press.gap_ms) / 1000)

    async def hang_up(self) -> None:
        """End the call."""
        if "confirmed" in self._seen and self._seen["confirmed"].is_set():
            await self._order("hang_up")
            await self._wait("ended", CALL_LIMIT_S)

    async def close(self) -> None:
        """Close standard input: the process ends by itself, files complete."""
        if self._process is None or self._reader is None:
            return
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), CLOSE_LIMIT_S)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self._reader

    async def _order(self, what: str, **fields: object) -> None:
        if self._process is None or self._process.stdin is None or self._process.returncode is not None:
            raise OperatorError("a pjsua2 phone is not running; try --phone scripted")
        self._process.stdin.write(json.dumps({"do": what, **fields}).encode() + b"\n")
        await self._process.stdin.drain()

    async def _wait(self, name: str, limit_s: float) -> None:
        event = self._seen.setdefault(name, asyncio.Event())
        try:
            await asyncio.wait_for(event.wait(), limit_s)
        except TimeoutError:
            raise OperatorError(f"the pjsua2 phone did not reach '{name}' within {limit_s:.0f} s") from None
        if self._failure:
            raise OperatorError(self._failure)

    async def _read(self) -> None:
        """Take events until the process closes its output; then nobody need wait any longer."""
        if self._process is None or self._process.stdout is None:
            return
        while line := await self._process.stdout.readline():
            self._take(json.loads(line))
        self._fail("the pjsua2 phone has ended; try --phone scripted")

    def _take(self, event: dict[str, Any]) -> None:
        match event["event"]:
            case "ready":
                self.port = event["port"]
                self._reached("ready")
            case "confirmed" | "media" as name:
                self._reached(name)
            case "digit" | "info":
                self.keys_received += 1
            case "ended":
                self._reached("ended")
                if event["code"] >= 300:
                    self._fail(f"the call was refused with SIP status {event['code']}")
            case "error":
                self._fail(f"the pjsua2 phone could not {event['doing']}: {event['reason']}")

    def _reached(self, name: str) -> None:
        self._seen.setdefault(name, asyncio.Event()).set()

    def _fail(self, reason: str) -> None:
        waited_for = [event for event in self._seen.values() if not event.is_set()]
        if waited_for:
            self._failure = self._failure or reason
        for event in waited_for:
            event.set()
