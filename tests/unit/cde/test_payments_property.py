"""Whatever goes wrong, whenever the process dies and whoever hangs up: money moves once and both books agree."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dtmf_shield.cde.gateways.base import Idempotency
from dtmf_shield.model.ids import CaptureId
from dtmf_shield.model.payment import OperationKind
from tests.unit.cde.payment_room import FakeGateway, Room, VirtualLoop, capable, run

K = OperationKind
MONEY = frozenset({K.CHARGE, K.AUTHORIZE, K.VOID, K.REFUND})
MISHAPS = [
    "",
    "lost",
    "before",
    "late",
    "error",
    "conflict",
    "busy",
    "refused",
    "unauthorized",
    "decline",
    "processing",
]
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - a disk's fsync would take minutes
SETTLE_S = 3 * 3_600.0


@dataclass(frozen=True)
class Story:
    """``captures``: kind and when its caller hangs up, None: never. ``deaths``: after how long each process dies."""

    idempotency: Idempotency
    lookup: bool
    by_token: bool
    voids: bool
    mishaps: list[str]
    captures: list[tuple[OperationKind, float | None]]
    deaths: list[float]


times = st.floats(0.001, 45.0) | st.floats(0.001, 0.1)
stories = st.builds(
    Story,
    idempotency=st.sampled_from(Idempotency),
    lookup=st.booleans(),
    by_token=st.booleans(),
    voids=st.booleans(),
    mishaps=st.lists(st.sampled_from(MISHAPS), max_size=10),
    captures=st.lists(
        st.tuples(st.sampled_from([K.CHARGE, K.AUTHORIZE]), st.none() | times), min_size=1, max_size=2
    ),
    deaths=st.lists(times, max_size=3),
)


async def tell(story: Story, directory: Path, loop: VirtualLoop) -> tuple[Room, set[str]]:
    """Live through a story. Returns the last room, and whose hang-up came while money might move."""
    gateway = FakeGateway(
        capabilities=capable(
            story.idempotency, lookup=story.lookup, by_token=story.by_token, voids=story.voids
        ),
        mishaps=list(story.mishaps),
        mishaps_of=MONEY,
    )
    room, gone = Room(directory, loop, gateway), set()

    def hang_up(here: Room, name: str) -> None:
        if CaptureId(name) in here.payments._running:
            here.payments.stopped(CaptureId(name), caller_gone=True)
            gone.add(name)

    paying = []
    for number, (kind, hangs_up_s) in enumerate(story.captures):
        name = f"c{number}"
        paying.append(asyncio.ensure_future(room.pay(name, kind, 1_000 + number)))
        if hangs_up_s is not None:
            loop.call_later(hangs_up_s, hang_up, room, name)
    for after_s in story.deaths:
        await asyncio.sleep(after_s)
        room.die()
        await asyncio.gather(*paying, return_exceptions=True)
        room = await room.again()
    gateway.mishaps.clear()
    await asyncio.sleep(SETTLE_S)
    return room, gone


def judge(story: Story, room: Room, gone: set[str]) -> None:
    gateway = room.gateway
    can_be_known = story.lookup or (story.idempotency is Idempotency.REPLAY and story.by_token)
    for number, (kind, _) in enumerate(story.captures):
        done = [booked for booked in gateway.effective(kind) if booked.amount_minor == 1_000 + number]
        rows = [row for row in room.rows.operations.of_capture(f"c{number}") if row.kind == kind]
        assert len(done) <= 1, "charged twice"
        assert len(rows) <= 1
        taken_back = [
            each
            for each in gateway.book
            if not each.declined and each.about and each.amount_minor == 1_000 + number
        ]
        assert len(taken_back) <= 1, "taken back twice"
        if not rows:
            assert done == [], "charged without a row"
            continue
        state = rows[0].state
        assert state != "intent" or not story.deaths
        if state == "unknown":
            assert not can_be_known, "not found out"
        else:
            assert (state == "approved") == bool(done), "lost"
        settled = not any(
            each.state == "unknown"
            for each in room.rows.operations.of_capture(f"c{number}")
            if each.kind != K.TOKENIZE
        )
        if f"c{number}" in gone and done and settled and (story.voids or kind is K.CHARGE):
            assert refused_to_take_back(story) or taken_back, "kept what nobody wanted"


def refused_to_take_back(story: Story) -> bool:
    """The gateway declined a void or a refund: that is a person's to mend."""
    return "decline" in story.mishaps


def story(idempotency: Idempotency, mishaps: list[str], **more: Any) -> Story:
    """A charge by token with these mishaps, alone."""
    facts = {
        "lookup": False,
        "by_token": True,
        "voids": True,
        "captures": [(K.CHARGE, None)],
        "deaths": [],
        **more,
    }
    return Story(idempotency=idempotency, mishaps=mishaps, **facts)


@example(story(Idempotency.REPLAY, ["lost", "unauthorized"]))
@example(story(Idempotency.REPLAY, ["lost", "busy", "refused"]))
@example(story(Idempotency.REPLAY, ["late"], captures=[(K.CHARGE, 0.015)], lookup=True))
@example(story(Idempotency.NONE, ["lost"]))
@example(story(Idempotency.SUCCESS_ONLY, ["late", "", ""], lookup=True))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(stories)
def test_money_moves_once_and_both_books_agree(story: Story) -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY) as directory:

        async def whole(loop: VirtualLoop) -> None:
            room, gone = await tell(story, Path(directory), loop)
            judge(story, room, gone)
            await room.close()
            room.rows.close()

        run(whole)
