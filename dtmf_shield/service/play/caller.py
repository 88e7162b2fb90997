"""How the caller's keys leave the phone: door, fingers, line. One object a call; it keeps no key that has been sent."""

from __future__ import annotations

import asyncio
import enum
import random
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dtmf_shield.model.capture import FieldKind
from dtmf_shield.phone.door import Door
from dtmf_shield.phone.scripted import SILENCE, ScriptedCall, ScriptedPhone
from dtmf_shield.phone.test_cards import KeyGuard
from dtmf_shield.phone.tones import LEVEL_DBM0, SAMPLE_RATE_HZ, ZERO_DBM0_PEAK
from dtmf_shield.service.play.ear import LiveEar
from dtmf_shield.service.play.tape import CallTape

KEYS_WAITING_MAX: Final = 64
"""Keys that may wait for the fingers; more are refused."""
WEAK_DBM0: Final = -38.0
"""Counted every time, and judged weak every time: `python -m bench.play_line`."""
NOISE_DBM0: Final = -14.0
NOISE_S: Final = 5
LOST_SHARE: Final = 0.08
QUIET_AFTER_KEY_S: Final = 3.0
"""People do not talk while they key: so long after a key the caller begins to."""


class Fingers(enum.StrEnum):
    """How the caller keys."""

    NORMAL = "normal"
    SLOW = "slow"
    DOUBLED = "doubled"


class Line(enum.StrEnum):
    """What the line does to the caller's audio."""

    CLEAN = "clean"
    NOISY = "noisy"
    LOSSY = "lossy"
    WEAK = "weak"


@dataclass(frozen=True, slots=True)
class _Touch:
    """One press: how long it sounds, how often it comes with what pause, and the rest after it, in ms."""

    tone_ms: int
    rest_ms: int
    times: int = 1
    pause_ms: int = 0


_TOUCHES: Final = {
    Fingers.NORMAL: _Touch(tone_ms=100, rest_ms=120),
    Fingers.SLOW: _Touch(tone_ms=280, rest_ms=1_500),
    Fingers.DOUBLED: _Touch(tone_ms=40, rest_ms=300, times=2, pause_ms=40),
}


@dataclass(frozen=True, slots=True, repr=False)
class _Pressed:
    """One key that waits for the fingers, and what it is for."""

    key: str
    field: FieldKind | None


class KeysWaitError(Exception):
    """KEYS_WAITING_MAX keys wait already."""


class CallerKeys:
    """The keys of one call on their way out."""

    def __init__(
        self,
        phone: ScriptedPhone,
        call: ScriptedCall,
        speech: NDArray[np.int16],
        *,
        door: Door,
        fingers: Fingers,
        line: Line,
        tape: CallTape,
    ) -> None:
        self.door, self.fingers, self.line = door, fingers, line
        self.sent = 0
        """Presses that left the phone, doubles included."""
        self.ear = LiveEar()
        self._told = 0
        self._phone, self._call, self._speech = phone, call, speech
        self._guard = KeyGuard()
        self._waiting: asyncio.Queue[_Pressed] = asyncio.Queue(KEYS_WAITING_MAX)
        self._field: FieldKind | None = None
        """What the last key was for."""
        self._tape = tape
        self._talking = True
        self._noise = _noise()
        call.stream.on_sent = self._left
        self.set_line(line)

    @property
    def waiting(self) -> int:
        """Keys that have not left yet."""
        return self._waiting.qsize()

    @property
    def heard(self) -> int:
        """Keys at the caller's side: heard as tones by the ear, or counted as events and INFO, which make no sound."""
        return self._told + self.ear.keys_heard

    def set_line(self, line: Line) -> None:
        """Change the line, from the next packet on."""
        self.line = line
        draw = random.Random()  # noqa: S311 - which packets a bad line loses is no secret
        self._call.loses = (lambda: draw.random() < LOST_SHARE) if line is Line.LOSSY else lambda: False
        self._say(talking=self._talking)

    def begin_entry(self) -> None:
        """What comes now is another field's: no number goes on in it."""
        self._guard.new_entry()

    def press(self, keys: str, field: FieldKind | None = None) -> None:
        """Let ``keys`` be pressed after those that wait, all of them or none but for a card number cut short.

        ``field``: what they are for. Raises ValueError (no key), CardNotPublishedError, KeysWaitError.
        """
        if self.waiting + len(keys) > KEYS_WAITING_MAX:
            raise KeysWaitError
        for key in keys:
            self._guard.admit(key)
            # The hash ends an entry: who knows by now that the next field is asked for still means this one.
            self._field = self._field if key == "#" else field
            self._waiting.put_nowait(_Pressed(key, self._field))

    async def run(self) -> None:
        """Press what waits until cancelled."""
        while True:
            try:
                pressed = await asyncio.wait_for(self._waiting.get(), QUIET_AFTER_KEY_S)
            except TimeoutError:
                if not self._talking:
                    self._say(talking=True)
                continue
            if self._talking:
                self._say(talking=False)
            await self._touch(pressed)

    async def _touch(self, pressed: _Pressed) -> None:
        touch = _TOUCHES[self.fingers]
        for _ in range(touch.times):
            self._send(pressed, touch.tone_ms)
            await asyncio.sleep((touch.tone_ms + touch.pause_ms) / 1000)
        await asyncio.sleep(touch.rest_ms / 1000)

    def _send(self, pressed: _Pressed, tone_ms: int) -> None:
        self.sent += 1
        key = pressed.key
        self._tape.ways.add((str(self.door), str(self.fingers), str(self.line)))
        self._tape.pressed(pressed.field, self.door, tone_ms)
        if self.door is Door.INBAND:
            level_dbm0 = WEAK_DBM0 if self.line is Line.WEAK else LEVEL_DBM0
            self._call.stream.press_as_tone(key, tone_ms, level_dbm0)
            return
        self._told += 1
        if self.door is Door.RFC4733:
            self._call.stream.press_as_event(key, tone_ms)
        else:
            body = f"Signal={key}\r\nDuration={tone_ms}\r\n".encode("ascii")
            self._phone.info(self._call, "application/dtmf-relay", body)

    def _left(self, audio: NDArray[np.int16]) -> None:
        """A packet leaves the phone."""
        self.ear.hear(audio)
        self._tape.sent(audio, asyncio.get_running_loop().time())

    def _say(self, *, talking: bool) -> None:
        self._talking = talking
        speech = self._speech if talking else SILENCE
        if self.line is Line.NOISY:
            noise = np.resize(self._noise, len(speech) or len(self._noise)).astype(np.int32)
            noise[: len(speech)] += speech
            speech = np.clip(noise, -32768, 32767).astype(np.int16)
        self._call.talk(speech)


def _noise() -> NDArray[np.int16]:
    """Return white noise of NOISE_DBM0, int16 at 8 kHz, shape (8000 * NOISE_S,)."""
    rms = ZERO_DBM0_PEAK / 2**0.5 * 10.0 ** (NOISE_DBM0 / 20.0)
    noise = np.random.default_rng().normal(0.0, rms, SAMPLE_RATE_HZ * NOISE_S)
    return np.clip(np.round(noise), -32768, 32767).astype(np.int16)
