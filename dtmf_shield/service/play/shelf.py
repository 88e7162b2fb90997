"""The last test calls and their evidence, in memory alone: numbers and pictures; no sound outlives its judging.

Only calls that this process itself placed are here. It has no way to the audio of any other call.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import os
import secrets
import string
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from dtmf_shield.phone.door import Door
from dtmf_shield.service.play.caller import Fingers, Line
from dtmf_shield.service.play.evidence import Evidence, SideEvidence, evidence_of
from dtmf_shield.service.play.tape import CallTape

CALLS_KEPT_MAX: Final = 8
PICTURE_BYTES_MAX: Final = 32 * 1_024 * 1_024
"""Of all calls together; the oldest go first. A picture is 3 MB at the most, and a tenth of it for a usual call."""
LATE_PACKETS_S: Final = 0.5
"""What is on its way when the caller hangs up still arrives."""
ID_LETTERS: Final = 8
NICENESS: Final = 10
"""Of the thread that judges: a call that goes on comes first."""
MIXED: Final = "mixed"


@dataclass(slots=True)
class TestCall:
    """One call. ``tape`` is None once it has been judged."""

    __test__ = False

    id: str
    began_s: float
    """Wall time."""
    door: Door
    fingers: Fingers
    line: Line
    tape: CallTape | None = field(default_factory=CallTape)
    ways: set[tuple[str, str, str]] = field(default_factory=set)
    """Door, fingers and line of its keys, as far as it has been judged."""
    evidence: Evidence | None = None
    over: bool = False
    ended_s: float = 0.0
    agent_events: int = 0
    """Telephone events and INFO that came to the agent's phone in calls of this one that are over."""
    agent_keys: int = 0
    """Tones heard there live."""

    def add_agent_call(self, events: int, keys: int) -> None:
        """A call at the agent's phone is over."""
        self.agent_events += events
        self.agent_keys += keys

    @property
    def state(self) -> str:
        """``running``, ``judging``, ``ready``, or ``failed``."""
        if self.evidence is not None:
            return "ready"
        if not self.over:
            return "running"
        return "judging" if self.tape is not None else "failed"

    @property
    def picture_bytes(self) -> int:
        """Memory of its pictures."""
        sides = (self.evidence.caller, self.evidence.agent) if self.evidence else ()
        return sum(len(side.picture) for side in sides if side is not None)


class CallShelf:
    """Holds the call in progress and those before it."""

    def __init__(self) -> None:
        self._calls: list[TestCall] = []
        self._judging = asyncio.Lock()

    def begin(self, door: Door, fingers: Fingers, line: Line) -> TestCall:
        """Begin a call's tape."""
        name = "".join(secrets.choice(string.ascii_lowercase) for _ in range(ID_LETTERS))
        call = TestCall(name, time.time(), door, fingers, line)
        self._calls.append(call)
        self._make_room()
        return call

    def forget(self, call: TestCall) -> None:
        """Keep nothing of a call that nobody answered."""
        if call in self._calls:
            self._calls.remove(call)

    async def judge(self, call: TestCall, at_agent: Callable[[], tuple[int, int]]) -> None:
        """The call is over: make its evidence, one after the other, and drop its sound.

        ``at_agent``: asked, when nothing comes any more, for events and INFO at the agent's phone, and for keys heard
        there live.
        """
        call.over, call.ended_s = True, time.time()
        await asyncio.sleep(LATE_PACKETS_S)
        events, keys = at_agent()
        try:
            async with self._judging:
                if call.tape is not None and call in self._calls:
                    call.evidence = await _judged(call.tape, events, keys)
        finally:
            call.ways, call.tape = (call.tape.ways if call.tape else set()), None
        self._make_room()

    @property
    def latest(self) -> str:
        """The id of the last call that is over; empty: none."""
        return next((call.id for call in reversed(self._calls) if call.over), "")

    def rows(self) -> list[dict[str, Any]]:
        """Return what the list shows, the newest first."""
        return [row_of(call) for call in reversed(self._calls)]

    def find(self, call_id: str) -> TestCall | None:
        """Return one, or None."""
        return next((call for call in self._calls if call.id == call_id), None)

    def _make_room(self) -> None:
        over = [call for call in self._calls if call.over and call.tape is None]
        while over and (
            len(self._calls) > CALLS_KEPT_MAX
            or (len(over) > 1 and sum(call.picture_bytes for call in self._calls) > PICTURE_BYTES_MAX)
        ):
            self._calls.remove(over.pop(0))


async def _judged(tape: CallTape, events: int, keys: int) -> Evidence | None:
    """Judge in a thread of its own that gives way to calls, and that holds up no end of this process.

    None: it could not be done, for want of memory or by a mistake of ours; the list says so.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Evidence | None] = loop.create_future()

    def tell(evidence: Evidence | None) -> None:
        if not done.cancelled():
            done.set_result(evidence)

    def work() -> None:
        # Linux gives each thread its own niceness.
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
        evidence = None
        with contextlib.suppress(Exception):  # the state says it; a trace might quote sound
            evidence = evidence_of(tape, events, keys)
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(tell, evidence)

    threading.Thread(target=work, name="evidence", daemon=True).start()
    return await done


def row_of(call: TestCall) -> dict[str, Any]:
    """Return one line of the list, for JSON."""
    chosen = {(str(call.door), str(call.fingers), str(call.line))}
    ways = (call.tape.ways if call.tape else call.ways) or chosen
    evidence = call.evidence
    known = evidence is not None and evidence.agent is not None
    return {
        "id": call.id,
        "started_at": datetime.datetime.fromtimestamp(int(call.began_s), datetime.UTC).isoformat(),
        "state": call.state,
        "door": _one({way[0] for way in ways}),
        "fingers": _one({way[1] for way in ways}),
        "line": _one({way[2] for way in ways}),
        "duration_ms": int(1000 * ((call.ended_s or time.time()) - call.began_s)),
        "keys_sent": evidence.keys_sent if evidence else (call.tape.keys_sent if call.tape else 0),
        "keys_caller": evidence.keys_caller if evidence else None,
        "keys_agent": evidence.keys_agent if evidence and known else None,
        "verdict": str(evidence.verdict) if evidence else None,
    }


def _one(words: set[str]) -> str:
    return words.pop() if len(words) == 1 else MIXED


def evidence_as_json(call: TestCall, evidence: Evidence) -> dict[str, Any]:
    """Return what the evidence view shows: numbers, and words of closed lists."""
    sides = [_side_as_json("caller", evidence.caller)]
    if evidence.agent is not None:
        sides.append(_side_as_json("agent", evidence.agent))
    return {
        "call": row_of(call),
        "duration_ms": evidence.duration_ms,
        "cut": evidence.cut,
        "lag_ms": evidence.lag_ms,
        "peak_ms": evidence.peak_ms,
        "column_ms": evidence.column_ms,
        "sides": sides,
        "presses": [
            {
                "field": str(one.press.field) if one.press.field else None,
                "door": str(one.press.door),
                "start_ms": one.start_ms,
                "end_ms": one.end_ms,
                "heard_at_caller": one.at_caller,
                "heard_at_agent": one.at_agent,
            }
            for one in evidence.presses
        ],
    }


def _side_as_json(name: str, side: SideEvidence) -> dict[str, Any]:
    tried = side.attack
    return {
        "side": name,
        "keys": [{"detector": detector, "keys": count} for detector, count in side.keys.items()],
        "events": side.events,
        "attack": {"guessed": tried.guessed, "of": tried.of, "beats_luck": tried.beats_luck}
        if tried
        else None,
        "low": side.low,
        "high": side.high,
    }
