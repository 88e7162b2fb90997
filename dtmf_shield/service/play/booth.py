"""The booth: one caller at a time, the agent's phone behind the service, and what each side has heard.

It lives on one asyncio loop. It ends a call that nobody plays with, and every call in the end.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import random
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dtmf_shield.model.capture import FieldKind
from dtmf_shield.phone.door import Door
from dtmf_shield.phone.scripted import CALL_LIMIT_S, CallRefusedError, ScriptedCall, ScriptedPhone
from dtmf_shield.phone.voices import Voice, voice
from dtmf_shield.service.play.caller import CallerKeys, Fingers, Line
from dtmf_shield.service.play.ear import LiveEar
from dtmf_shield.service.play.settings import Farewell
from dtmf_shield.service.play.shelf import CallShelf, TestCall

CALL_S_MAX: Final = 900.0
"""No call is longer."""
IDLE_S_MAX: Final = 240.0
"""Without a key or a choice for so long, the caller hangs up."""
WATCH_S: Final = 0.25
ARRIVAL_WAIT_S: Final = 60.0
AGENT_CALLS_MAX: Final = 8
"""Calls that the agent's phone takes at once: a softphone may call the service too."""


class Phase(enum.StrEnum):
    """Where the call is."""

    IDLE = "idle"
    CALLING = "calling"
    TALKING = "talking"
    ENDED = "ended"


class CallEnd(enum.StrEnum):
    """Why it ended."""

    NONE = "none"
    HUNG_UP = "hung_up"
    OTHER_SIDE = "other_side"
    IDLE = "idle"
    TOO_LONG = "too_long"
    REFUSED = "refused"


class CallUpError(Exception):
    """There is a call already."""


class NoCallError(Exception):
    """There is no call to act on."""


@dataclass(frozen=True, slots=True)
class Choices:
    """How the caller calls."""

    door: Door = Door.INBAND
    fingers: Fingers = Fingers.NORMAL
    line: Line = Line.CLEAN


@dataclass(frozen=True, slots=True)
class Heard:
    """Keys sent, and keys heard on each side. Counts."""

    sent: int = 0
    caller_side: int = 0
    agent_side: int = 0


@dataclass(slots=True)
class _AgentCall:
    call: ScriptedCall
    ear: LiveEar
    test_call: TestCall | None
    """The call of ours that it belongs to; None: somebody else's, whose sound is on no tape."""

    def hear(self, audio: NDArray[np.int16]) -> None:
        """Take the next packet."""
        self.ear.hear(audio)
        if self.test_call is not None and self.test_call.tape is not None:
            self.test_call.tape.heard(audio, asyncio.get_running_loop().time())

    @property
    def keys(self) -> int:
        """Whatever of a key got here: tones, telephone events, INFO."""
        return self.ear.keys_heard + self.events

    @property
    def events(self) -> int:
        """Telephone events and INFO."""
        return len(self.call.events_received) + self.call.infos_received


class Booth:
    """Both phones and the call between them."""

    def __init__(self, sip: tuple[str, int], agents: Sequence[tuple[str, int]]) -> None:
        self.phase = Phase.IDLE
        self.end = CallEnd.NONE
        self.status = 0
        """SIP status of a refusal."""
        self.choices = Choices()
        self.has_agent = False
        """Whether a phone of ours answers for an agent; else somebody's own does, or nobody."""
        self.on_call: Callable[[Farewell | None], None] = lambda _farewell: None
        """Told how to end the call that has begun; None: it is over."""
        self._sip, self._agent_addresses = sip, tuple(agents)
        self._caller: ScriptedPhone | None = None
        self._agents: list[ScriptedPhone] = []
        self._agent_calls: list[_AgentCall] = []
        self._before = 0
        """Keys of calls at the agent's phone that are over."""
        self._keys: CallerKeys | None = None
        self._heard = Heard()
        self.shelf = CallShelf()
        """This call and those before it, with their evidence."""
        self._test_call: TestCall | None = None
        self._number = ""
        """From which the caller calls: by it the agent's phone knows that a call is ours."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._calling: asyncio.Task[None] | None = None
        self._active_s = 0.0
        self._leaving = False

    async def open(self) -> None:
        """Open the phones. An agent's address that somebody listens on is left to them."""
        self._caller = await ScriptedPhone.start(self._sip[0], keeps_audio=False)
        for host, port in self._agent_addresses:
            with contextlib.suppress(OSError):
                phone = await ScriptedPhone.start(
                    host, port=port, speech=voice(Voice.AGENT), keeps_audio=False
                )
                self._agents.append(phone)
                self._spawn(self._answer(phone))
        self.has_agent = bool(self._agents)

    async def close(self) -> None:
        """Hang up and close the phones."""
        await self.hang_up()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for phone in (*self._agents, *((self._caller,) if self._caller else ())):
            await phone.close()

    @property
    def waiting(self) -> int:
        """Keys that have not left yet."""
        return self._keys.waiting if self._keys is not None else 0

    @property
    def heard(self) -> Heard:
        """What has been heard so far of this call, or of the last."""
        if self._keys is not None:
            at_agent = self._before + sum(each.keys for each in self._agent_calls)
            self._heard = Heard(self._keys.sent, self._keys.heard, at_agent)
        return self._heard

    # What the page asks for

    def call(self, number: str) -> None:
        """Begin to call ``number``; how it goes is in ``phase``. Raises CallUpError."""
        if self.phase in (Phase.CALLING, Phase.TALKING):
            raise CallUpError
        self.phase, self.end, self.status = Phase.CALLING, CallEnd.NONE, 0
        self._heard, self._before, self._leaving = Heard(), 0, False
        self._touched()
        self._number = _fictitious_number()
        self._test_call = self.shelf.begin(self.choices.door, self.choices.fingers, self.choices.line)
        self._calling = self._spawn(self._place(number, self._test_call))

    async def hang_up(self) -> None:
        """End the call and wait for its end; nothing where there is none."""
        self._leaving = True
        phone, task = self._caller, self._calling
        if self.phase is Phase.CALLING and phone is not None:
            for call in tuple(phone.calls):
                await call.hang_up()
        if task is not None:
            await asyncio.wait({task}, timeout=CALL_LIMIT_S)

    def press(self, key: str, field: FieldKind | None = None) -> None:
        """Press one key, for ``field`` as far as the page knows.

        Raises NoCallError, ValueError, CardNotPublishedError, KeysWaitError.
        """
        self._touched()
        self._in_call().press(key, field)

    def press_all(self, keys: str, field: FieldKind | None = None) -> None:
        """Press the keys of one field one after the other. Raises as ``press`` does."""
        line = self._in_call()
        self._touched()
        line.begin_entry()
        line.press(keys, field)

    def choose(self, choices: Choices) -> None:
        """Choose for this call, from its next key on, and for the next one."""
        self.choices = choices
        self._touched()
        if self._keys is not None:
            self._keys.door, self._keys.fingers = choices.door, choices.fingers
            self._keys.set_line(choices.line)

    # The call

    def _in_call(self) -> CallerKeys:
        if self._keys is None or self.phase is not Phase.TALKING:
            raise NoCallError
        return self._keys

    def _touched(self) -> None:
        self._active_s = asyncio.get_running_loop().time()

    async def _place(self, number: str, test_call: TestCall) -> None:
        phone = self._caller
        if phone is None or test_call.tape is None:
            return
        uri = f"sip:{number}@{self._sip[0]}:{self._sip[1]}"
        try:
            call = await phone.call(uri, user=self._number)
        except CallRefusedError as error:
            self.shelf.forget(test_call)
            self.status = error.status
            self._over(phone, CallEnd.HUNG_UP if self._leaving else CallEnd.REFUSED)
            return
        choices = self.choices
        self._keys = CallerKeys(
            phone,
            call,
            voice(Voice.CALLER),
            door=choices.door,
            fingers=choices.fingers,
            line=choices.line,
            tape=test_call.tape,
        )
        self.phase = Phase.TALKING
        self.on_call(Farewell(*phone.farewell(call)))
        pressing = self._spawn(self._keys.run())
        try:
            end = await self._watch(call)
            await call.hang_up()
        finally:
            pressing.cancel()
        self._over(phone, end)
        self._spawn(self.shelf.judge(test_call, lambda: self._at_agent(test_call)))

    async def _watch(self, call: ScriptedCall) -> CallEnd:
        """Return why the call is to end, as soon as it is."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(call.ended.wait(), WATCH_S)
                return CallEnd.OTHER_SIDE
            now_s = loop.time()
            if self._leaving:
                return CallEnd.HUNG_UP
            if now_s - began_s > CALL_S_MAX:
                return CallEnd.TOO_LONG
            if now_s - self._active_s > IDLE_S_MAX:
                return CallEnd.IDLE

    def _over(self, phone: ScriptedPhone, end: CallEnd) -> None:
        """Keep the counts of the call and nothing else of it."""
        self.on_call(None)
        self._heard = self.heard
        self._keys = None
        for call in tuple(phone.calls):
            phone.forget(call)
        self.phase, self.end = Phase.ENDED, end

    # The agent's side

    async def _answer(self, phone: ScriptedPhone) -> None:
        """Listen to each call that the phone has answered, until it ends."""
        while True:
            try:
                call = await phone.incoming(ARRIVAL_WAIT_S)
            except TimeoutError:
                continue
            if len(self._agent_calls) >= AGENT_CALLS_MAX:
                await call.hang_up()
                phone.forget(call)
                continue
            ours = call.caller == self._number and self.phase in (Phase.CALLING, Phase.TALKING)
            agent_call = _AgentCall(call, LiveEar(), self._test_call if ours else None)
            call.stream.on_heard = agent_call.hear
            self._agent_calls.append(agent_call)
            self._spawn(self._listen(phone, agent_call))

    async def _listen(self, phone: ScriptedPhone, agent_call: _AgentCall) -> None:
        await agent_call.call.ended.wait()
        self._before += agent_call.keys
        if agent_call.test_call is not None:
            agent_call.test_call.add_agent_call(agent_call.events, agent_call.ear.keys_heard)
        self._agent_calls.remove(agent_call)
        phone.forget(agent_call.call)

    def _at_agent(self, test_call: TestCall) -> tuple[int, int]:
        """Return events with INFO, and tones heard live, of all calls at the agent's phone that belong to this one."""
        open_ones = [one for one in self._agent_calls if one.test_call is test_call]
        return (
            test_call.agent_events + sum(one.events for one in open_ones),
            test_call.agent_keys + sum(one.ear.keys_heard for one in open_ones),
        )

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _fictitious_number() -> str:
    """Return a caller's number from the range that Ofcom keeps for fiction; another one for each call."""
    return f"+447700900{random.randrange(1_000):03d}"  # noqa: S311 - no secret
