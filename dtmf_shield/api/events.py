"""Server-Sent Events (HTML Living Standard section 9.2): one bounded ring, any number of readers, resume by id.

Readers have a place in the ring and no queue of their own, so nothing grows with a slow one: who falls behind, comes
with an id of another process life or of other rights than their own, or comes without one, is sent ``resync`` with a
whole snapshot. Progress arrives here batched by cde at 100-250 ms; finer key timing would be information.
"""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import json
import secrets
from collections import OrderedDict, deque
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from dtmf_shield.api.identity.principal import Principal, Role
from dtmf_shield.api.identity.secret import in_letters
from dtmf_shield.api.views import (
    CallView,
    CaptureView,
    FlowView,
    PaymentEvent,
    PaymentNews,
    ServiceView,
    Snapshot,
)
from dtmf_shield.model.ids import CallId

EVENTS_MAX: Final = 2_048
"""Ring size: two minutes of 16 captures keyed at once."""
SUBSCRIBERS_MAX: Final = 512
"""Two hundred agents, a page opened twice, supervisors, programs. A reader costs 50 kB with its connection, and nothing
while nothing is told that it may see."""
STREAMS_OF_PERSON_MAX: Final = 16
"""Of one person in all browsers. A browser opens six connections to an origin over HTTP/1.1, all its pages together."""
STREAMS_OF_KEY_MAX: Final = 256
"""Of one program: it may stand for as many desktops."""
CALLS_COMPARED_MAX: Final = 4_096
"""Last views kept to compare the next one with; a call that fell out is told again as if new."""
HEARTBEAT_S: Final = 15.0
RETRY_MS: Final = 1_000
FLOWS_FOR: Final = frozenset({Role.AGENT, Role.SUPERVISOR, Role.ENGINEER})
"""Who is told of flows: as in ``GET /v1/flows``."""
EVENT_ID_CHARACTERS_MAX: Final = 64
MARK_BYTES: Final = 8
"""Of the mark of rights in an id: too short to say anything, too long to be another's by chance."""


@dataclass(frozen=True, slots=True)
class ApiEvent:
    """One event: its type and its data, JSON objects all."""

    type: str
    data: dict[str, Any]


def changes(before: CallView | None, after: CallView) -> Iterator[ApiEvent]:
    """Yield what changed between two views of one call, in the order a page must apply it."""
    if before is None or _summary(before) != _summary(after):
        yield ApiEvent("call", _summary(after))
    if before is None or before.shield != after.shield:
        yield ApiEvent("shield", {"call": after.id, **after.shield.model_dump(mode="json")})
    if after.line is not None and (before is None or before.line != after.line):
        yield ApiEvent("line", {"call": after.id, **after.line.model_dump(mode="json")})
    if after.capture is not None:
        same = before is not None and before.capture is not None and before.capture.id == after.capture.id
        yield from _capture_changes(before.capture if before and same else None, after.capture)


def _capture_changes(before: CaptureView | None, after: CaptureView) -> Iterator[ApiEvent]:
    if before is None or _capture_summary(before) != _capture_summary(after):
        yield ApiEvent("capture", _capture_summary(after))
    known = {field.field: field for field in before.fields} if before else {}
    place = {"call": after.call, "capture": after.id}
    for field in after.fields:
        if known.get(field.field) != field:
            yield ApiEvent("field", {**place, **field.model_dump(mode="json")})
    if after.outcome is not None and (before is None or before.outcome != after.outcome):
        yield ApiEvent("payment", {**place, **after.outcome.model_dump(mode="json")})


def _summary(call: CallView) -> dict[str, Any]:
    return call.model_dump(mode="json", exclude={"shield", "line", "capture"})


def _capture_summary(capture: CaptureView) -> dict[str, Any]:
    summary = capture.model_dump(mode="json", exclude={"id", "fields", "outcome"})
    return {**summary, "capture": capture.id}


@dataclass(frozen=True, slots=True)
class _Frame:
    """One event as it is sent but for its id, encoded once for all, and whose it is: who sees ``call``, who holds one
    of ``roles``, else everybody's."""

    text: bytes
    call: CallView | None = None
    roles: frozenset[Role] = frozenset()

    def seen_by(self, reader: Principal) -> bool:
        if self.call is not None:
            return reader.sees(self.call)
        return not self.roles or reader.has(*self.roles)


@dataclass(slots=True, eq=False)
class _Reader:
    """One open stream. ``id``: what its ids begin with. ``position``: number of the next frame it is due; None: a
    snapshot."""

    principal: Principal
    id: str
    position: int | None
    waker: asyncio.Event = dataclasses.field(default_factory=asyncio.Event)


class EventRing:
    """The ring and its readers. Is the desk's listener; all methods belong to one event loop."""

    def __init__(
        self,
        snapshot: Callable[[], Snapshot],
        life: str,
        *,
        events_max: int = EVENTS_MAX,
        subscribers_max: int = SUBSCRIBERS_MAX,
        heartbeat_s: float = HEARTBEAT_S,
    ) -> None:
        """``life`` names this process life; ids of another life are never resumed."""
        self._snapshot, self._life = snapshot, life
        self._mark_key = secrets.token_bytes(32)
        self._frames: deque[_Frame] = deque(maxlen=events_max)
        self._next_id = 1
        self._subscribers_max, self._heartbeat_s = subscribers_max, heartbeat_s
        self._readers: set[_Reader] = set()
        self._taps: list[Callable[[ApiEvent], None]] = []
        self._last: OrderedDict[CallId, CallView] = OrderedDict()
        self._service: ServiceView | None = None
        self._round = 0

    def call_changed(self, call: CallView) -> None:
        """Publish what changed in a call."""
        before = self._last.get(call.id)
        self._last[call.id] = call
        self._last.move_to_end(call.id)
        if len(self._last) > CALLS_COMPARED_MAX:
            self._last.popitem(last=False)
        if before is not None and before.agent != call.agent:
            # Who saw it may do so no more, and who may now knows nothing of it yet.
            self._publish(ApiEvent("gone", {"call": call.id}), before)
            before = None
        for event in changes(before, call):
            self._publish(event, call)

    def service_changed(self, service: ServiceView) -> None:
        """Publish what holds for every call, as a ``shield`` and a ``payment`` event without a call."""
        before, self._service = self._service, service
        if before is None or before.shield != service.shield:
            self._publish(ApiEvent("shield", {"call": None, "state": service.shield.value}))
        if before is None or before.gateway != service.gateway:
            self._publish(ApiEvent("payment", {"call": None, "gateway": service.gateway}))

    def flows_changed(self, flows: Sequence[FlowView]) -> None:
        """Publish what an agent may start from now on, to those who may ask for it."""
        data = {"flows": [flow.model_dump(mode="json") for flow in flows]}
        self._publish(ApiEvent("flows", data), roles=FLOWS_FOR)

    def payment_changed(self, news: PaymentNews) -> None:
        """Publish what became of an operation at a gateway, to supervisors."""
        gateway = self._service.gateway if self._service is not None else "unknown"
        data = PaymentEvent(gateway=gateway, operation=news).model_dump(mode="json")
        self._publish(ApiEvent("payment", data), roles=frozenset({Role.SUPERVISOR}))

    def tap(self, listener: Callable[[ApiEvent], None]) -> None:
        """Tell ``listener`` of every event from now on; it never blocks and never raises."""
        self._taps.append(listener)

    @property
    def full(self) -> bool:
        """Whether no further reader is served."""
        return len(self._readers) >= self._subscribers_max

    def takes(self, principal: Principal) -> bool:
        """Whether ``principal`` may open one more stream."""
        most = STREAMS_OF_PERSON_MAX if principal.by_cookie else STREAMS_OF_KEY_MAX
        return not self.full and sum(each.principal.name == principal.name for each in self._readers) < most

    @property
    def readers(self) -> int:
        """How many streams are open."""
        return len(self._readers)

    @property
    def lag_events(self) -> int:
        """How many events the slowest reader is behind."""
        return max((self._next_id - (each.position or self._next_id) for each in self._readers), default=0)

    def end_streams(self) -> None:
        """End every open stream, once it has sent what there is. Later readers are served as usual."""
        self._round += 1
        for reader in self._readers:
            reader.waker.set()

    def look_again(self) -> None:
        """Let every open stream ask now whether its reader is still allowed."""
        for reader in self._readers:
            reader.waker.set()

    async def stream(
        self, last_event_id: str | None, principal: Principal, still_allowed: Callable[[], bool]
    ) -> AsyncGenerator[bytes, None]:
        """Yield what ``principal`` may see; ends when ``still_allowed`` says no, or by :meth:`end_streams`."""
        if self.full:
            return
        prefix = f"{self._life}-{self._mark(principal)}"
        reader, begun = _Reader(principal, prefix, _resume_position(prefix, last_event_id)), self._round
        self._readers.add(reader)
        try:
            yield f"retry: {RETRY_MS}\n\n".encode()
            told = False  # who comes back and missed nothing hears so at once, not with the next heartbeat
            while still_allowed():
                chunk = self._due(reader)
                if chunk:
                    told = True
                    yield chunk
                    continue
                if self._round != begun:
                    return
                if not told or not await self._woken(reader.waker):
                    told = True
                    yield b'event: heartbeat\ndata: {"v":1}\n\n'
        finally:
            self._readers.discard(reader)

    async def _woken(self, waker: asyncio.Event) -> bool:
        try:
            async with asyncio.timeout(self._heartbeat_s):
                await waker.wait()
        except TimeoutError:
            return False
        waker.clear()
        return True

    def _due(self, reader: _Reader) -> bytes:
        position, reader.position = reader.position, self._next_id
        oldest = self._next_id - len(self._frames)
        if position is None or not oldest <= position <= self._next_id:
            seen = _seen_by(reader.principal, self._snapshot())
            return _with_id(reader, self._next_id - 1, _text("resync", seen.model_dump(mode="json")))
        # From the end of the ring: that is where a reader is who keeps up.
        waiting = (
            (number, self._frames[number - self._next_id]) for number in range(position, self._next_id)
        )
        return b"".join(
            _with_id(reader, number, frame.text)
            for number, frame in waiting
            if frame.seen_by(reader.principal)
        )

    def _mark(self, principal: Principal) -> str:
        """Return what stands in an id for who reads and what they may see.

        A page comes back by itself with the last id it understood, also where somebody else has signed in meanwhile
        or the rights of the same person are others: what it shows is to be forgotten then. Letters alone: no run of
        digits is in it.
        """
        agents = None if principal.agents is None else sorted(principal.agents)
        rights = json.dumps([principal.name, sorted(principal.roles), agents]).encode()
        return in_letters(hashlib.blake2b(rights, key=self._mark_key, digest_size=MARK_BYTES).hexdigest())

    def _publish(
        self, event: ApiEvent, call: CallView | None = None, roles: frozenset[Role] = frozenset()
    ) -> None:
        number = self._next_id
        frame = _Frame(_text(event.type, {"v": 1, **event.data}), call, roles)
        self._frames.append(frame)
        self._next_id += 1
        for reader in self._readers:
            if frame.seen_by(reader.principal):
                reader.waker.set()
            elif reader.position == number:
                reader.position = self._next_id  # nothing waits for it, nor does this: let it sleep
        for tap in self._taps:
            tap(event)


def _seen_by(reader: Principal, whole: Snapshot) -> Snapshot:
    flows = whole.flows if reader.has(*FLOWS_FOR) else ()
    return whole.model_copy(update={"calls": tuple(filter(reader.sees, whole.calls)), "flows": flows})


def _resume_position(prefix: str, last_event_id: str | None) -> int | None:
    if last_event_id is None or len(last_event_id) > EVENT_ID_CHARACTERS_MAX:
        return None
    given, _, number = last_event_id.rpartition("-")
    if given != prefix or not (number.isascii() and number.isdecimal()):
        return None
    return int(number) + 1


def _text(event_type: str, data: dict[str, Any]) -> bytes:
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False)  # no line break can occur in it
    return f"event: {event_type}\ndata: {text}\n\n".encode()


def _with_id(reader: _Reader, number: int, text: bytes) -> bytes:
    return f"id: {reader.id}-{number}\n".encode() + text
