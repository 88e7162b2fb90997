"""One call of the demonstration: both sides talk, the agent starts a capture, the caller keys a TEST card.

Follows the capture by the service's own API, as an agent's desktop would. Judges nothing: that is analysis.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from dtmf_shield.base.errors import OperatorError
from dtmf_shield.phone.door import Door
from dtmf_shield.phone.tones import presses
from dtmf_shield.service.demo.phones import DemoPhone
from dtmf_shield.service.demo.service_process import ServiceProcess
from dtmf_shield.service.demo.walk import MENU, Entry, Walk

FLOW: Final = "card-tokenize-agent"
STAR_CODE: Final = "*1"
STAR_CODE_DOORS: Final = frozenset({Door.RFC4733})
"""Doors whose agent starts the default flow by star code on the phone; every other capture begins by the API."""
LABELS: Final = {"card_number": "card number", "expiry": "expiry", "security_code": "security code"}

GREETING_S: Final = 1.6
REACTION_S: Final = 0.45
GOODBYE_S: Final = 1.5
SLIP_S: Final = 1.0
CHOOSING: Final = "choosing"
"""State of a capture in which a menu is open, as the API names it."""
GOOD_RESULTS: Final = frozenset({"token", "approved", "completed"})
POLL_S: Final = 0.1
CONNECT_LIMIT_S: Final = 10.0
FIELD_LIMIT_S: Final = 12.0
OUTCOME_LIMIT_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class SentKey:
    """One key pressed: its field, and when, in seconds from the start of the caller's recording."""

    field: str
    at_s: float
    duration_s: float


@dataclass(slots=True)
class CallProgress:
    """How one call is getting on, for the display and for what comes after."""

    door: Door
    words: str = "waiting"
    call_id: str = ""
    fields: list[dict[str, Any]] = field(default_factory=list)
    capture_id: str = ""
    capture_state: str = ""
    outcome: dict[str, Any] | None = None
    token: str = ""
    """The token that the gateway gave; shown by its reference only."""
    failure: str = ""
    ended: bool = False
    sent: list[SentKey] = field(default_factory=list)

    @property
    def token_reference(self) -> str:
        """What may be shown of the token, or empty."""
        return str((self.outcome or {}).get("token_reference") or "")

    @property
    def last4(self) -> str:
        """Last four digits of the accepted card, or empty."""
        return str((self.outcome or {}).get("last4") or "")


async def run_call(
    progress: CallProgress,
    caller: DemoPhone,
    agent: DemoPhone,
    service: ServiceProcess,
    walk: Walk,
    *,
    seed: int,
) -> None:
    """Place one call and take it through a flow. Failures are kept in `progress`, never raised."""
    try:
        await _call(progress, caller, agent, service, walk, seed)
    except OperatorError as error:
        progress.failure = str(error)
        progress.words = "failed"
    finally:
        progress.ended = True


async def _call(
    progress: CallProgress,
    caller: DemoPhone,
    agent: DemoPhone,
    service: ServiceProcess,
    walk: Walk,
    seed: int,
) -> None:
    progress.words = "ringing"
    await caller.call(service.uri(progress.door))
    recording_began_s = asyncio.get_running_loop().time()
    progress.words = "talking"
    watcher = asyncio.create_task(_watch(progress, service))
    try:
        await _until(
            lambda: bool(progress.call_id), CONNECT_LIMIT_S, "the service does not list the call", watcher
        )
        await asyncio.sleep(GREETING_S)
        await _engage(progress, agent, service, walk)
        for index, entry in enumerate(walk.entries):
            await _until(partial(_asked_for, progress, entry), FIELD_LIMIT_S, _not_asked(entry), watcher)
            progress.words = "keying " + entry.label.removeprefix("security ")
            await asyncio.sleep(REACTION_S)
            await _key(progress, caller, entry, recording_began_s, seed * 10 + index)
            if [each.step for each in walk.entries[index : index + 2]] == [entry.step, entry.step]:
                await asyncio.sleep(SLIP_S)  # a slip, with another try behind it
            else:
                await _until(partial(_held, progress, entry), FIELD_LIMIT_S, _not_held(entry), watcher)
        progress.words = "sending to gateway"
        await _until(
            lambda: progress.outcome is not None, OUTCOME_LIMIT_S, "the gateway gave no result", watcher
        )
        if progress.token_reference:
            progress.token = await service.token(progress.capture_id)
        progress.words = "saying goodbye"
        await asyncio.sleep(GOODBYE_S)
    finally:
        watcher.cancel()
        await caller.hang_up()
    result = str((progress.outcome or {}).get("result", "nothing"))
    good = bool(progress.token) or result in GOOD_RESULTS
    progress.words = "done" if good else "no token"
    if not good:
        raise OperatorError(f"the {progress.door} call ended with '{result}' instead of a token")


async def _key(
    progress: CallProgress, caller: DemoPhone, entry: Entry, recording_began_s: float, seed: int
) -> None:
    """Key one entry with human timing, and note when each key was pressed."""
    clock = asyncio.get_running_loop()
    for press in presses(entry.keys, seed):
        at_s = clock.time() - recording_began_s
        progress.sent.append(SentKey(entry.label, at_s, press.tone_ms / 1000))
        await caller.key(press, progress.door)


async def _engage(progress: CallProgress, agent: DemoPhone, service: ServiceProcess, walk: Walk) -> None:
    """Start the flow as the agent of this door does."""
    if progress.door in STAR_CODE_DOORS and walk.flow == FLOW:
        progress.words = f"agent keys {STAR_CODE}"
        for press in presses(STAR_CODE, seed=1):
            await agent.key(press, Door.RFC4733)
    else:
        progress.words = "capture starts"
        await service.start_capture(
            progress.call_id, walk.flow, {"reference": f"demo-{progress.door}", **walk.inputs}
        )


async def _watch(progress: CallProgress, service: ServiceProcess) -> None:
    """Keep `progress` up to date from the API."""
    while True:
        call = await service.call_dialled(progress.door)
        if call is not None:
            if call["state"] == "talking":
                progress.call_id = call["id"]
            capture = call["capture"]
            if capture is not None:
                progress.capture_id = capture["id"]
                progress.capture_state = str(capture.get("state", ""))
                progress.fields = capture["fields"]
                progress.outcome = capture["outcome"]
        await asyncio.sleep(POLL_S)


async def _until(
    condition: Callable[[], bool], limit_s: float, otherwise: str, watcher: asyncio.Task[None]
) -> None:
    """Wait for `condition`. Raises OperatorError with `otherwise` after `limit_s`, or what the watcher died of."""
    deadline_s = asyncio.get_running_loop().time() + limit_s
    while not condition():
        if watcher.done():
            watcher.result()
        if asyncio.get_running_loop().time() > deadline_s:
            raise OperatorError(otherwise)
        await asyncio.sleep(POLL_S / 4)


def _field(progress: CallProgress, entry: Entry) -> dict[str, Any] | None:
    return next((shown for shown in progress.fields if shown["field"] == entry.field), None)


def _asked_for(progress: CallProgress, entry: Entry) -> bool:
    if progress.outcome is not None:
        return True
    if entry.kind == MENU:
        return progress.capture_state == CHOOSING
    shown = _field(progress, entry)
    return shown is not None and shown["state"] in ("waiting", "keying")


def _held(progress: CallProgress, entry: Entry) -> bool:
    if progress.outcome is not None:
        return True
    if entry.kind == MENU:
        return progress.capture_state != CHOOSING
    shown = _field(progress, entry)
    if shown is not None and shown["state"] == "invalid":
        raise OperatorError(f"the {entry.label} was refused: {shown['reason']}")
    return shown is not None and shown["state"] == "valid"


def _not_asked(entry: Entry) -> str:
    return f"nobody was asked for the {entry.label}"


def _not_held(entry: Entry) -> str:
    return f"the {entry.label} was keyed, but the service does not hold it"
