"""What a supervisor meets: houses of many calls in every state, reports of weeks; made by the product's views."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

from dtmf_shield.api.views import (
    CallState,
    CallView,
    CaptureView,
    Door,
    LineQuality,
    LineView,
    ShieldState,
    ShieldView,
)
from dtmf_shield.model.capture import CaptureResult, CaptureState, FieldKind, Hint, RejectReason
from dtmf_shield.model.ids import CallId, CaptureId
from dtmf_shield.model.report import END_UNKNOWN, FieldCount, OutcomeCount, ReportCounts
from dtmf_shield.model.stream import Codec, ShieldMode
from tests.web.scenes import (
    SHIELDED,
    a_line,
    all_valid,
    at_gateway,
    begun,
    card_valid,
    confirming,
    ended,
    hinted,
    keying,
    refused,
    talking,
)

FAULT = ShieldView(state=ShieldState.FAULT, caller=ShieldMode.MUTE, agent=ShieldMode.MUTE)
GUARD = ShieldView(state=ShieldState.ON, caller=ShieldMode.GUARD, agent=ShieldMode.GUARD)
OFF = ShieldView(state=ShieldState.OFF)
AGENTS = ("Amara", "Bjorn", "Chloe", "Dmitri", "Esra", "Fabio")
TRUNKS = ("carrier-a", "carrier-b", "branch-office")
LINES = (
    a_line(LineQuality.GOOD, Door.TONES, Door.EVENTS),
    a_line(LineQuality.GOOD, Door.EVENTS, codec=Codec.PCMA),
    a_line(LineQuality.GOOD, Door.TONES, telephone_event=False),
    a_line(LineQuality.FAIR, Door.TONES, Door.EVENTS, Door.INFO),
    a_line(LineQuality.GOOD, Door.EVENTS, codec=Codec.G722),
    a_line(LineQuality.POOR, Door.TONES, codec=Codec.PCMA),
    a_line(LineQuality.GOOD),
)
_CAPTURES = (
    None,
    begun(),
    keying(6),
    card_valid(),
    hinted(Hint.NOISY_LINE),
    None,
    refused(RejectReason.LUHN),
    confirming(),
    at_gateway(CaptureState.PAYING),
    all_valid(),
    keying(9, of=15, brand="amex"),
    hinted(Hint.DUPLICATE_KEYS),
)


def house(count: int) -> tuple[CallView, ...]:
    """Return many calls in many states; of more than ten one in twenty has a shield at fault."""
    return tuple(_call(place, count) for place in range(count))


def _call(place: int, count: int) -> CallView:
    call_id = CallId(f"c{place}")
    capture = _CAPTURES[(place + 2) % len(_CAPTURES)]
    state = (CallState.TALKING, CallState.TALKING, CallState.HELD)[place % 7 % 3]
    alone = place % 11 == 7
    if place % 9 == 5:
        state, capture, alone = CallState.RINGING, None, True
    line: LineView | None = LINES[place % len(LINES)]
    if state is CallState.RINGING:
        line = None
    elif alone and line is not None:
        line = line.model_copy(update={"agent": None})
    shield = FAULT if count > 10 and place % 20 == 13 else SHIELDED if capture else GUARD
    return talking(
        id=call_id,
        state=state,
        agent="" if alone else AGENTS[place % len(AGENTS)],
        trunk=TRUNKS[place % len(TRUNKS)],
        dialled=f"+44163296{place % 4:04d}",
        caller_masked=f"••{(37 * place + 11) % 100:02d}" if place % 13 else "anonymous",
        started_at=datetime.now(UTC) - timedelta(seconds=17 + 23 * place),
        shield=shield,
        line=line,
        capture=None if capture is None else of_call(capture, call_id),
    )


def of_call(capture: CaptureView, call_id: CallId) -> CaptureView:
    """Return the capture as one of that call."""
    return capture.model_copy(update={"id": CaptureId(f"cap-{call_id}"), "call": call_id})


def over(result: CaptureResult, call_id: str = "c1") -> CallView:
    """Return a call that ended after a capture."""
    call = ended(result)
    capture = None if call.capture is None else of_call(call.capture, CallId(call_id))
    return call.model_copy(
        update={
            "id": CallId(call_id),
            "state": CallState.ENDED,
            "shield": OFF,
            "capture": capture,
            "agent": AGENTS[0],
        }
    )


Cell = tuple[str, str, str, str]
"""A day, a flow, an agent, a result."""


def few() -> ReportCounts:
    """Return counts of three captures of one day: one succeeded, one runs, of one nobody told the end; no field."""
    today = datetime.now(UTC).date().isoformat()
    results = ("approved", "", END_UNKNOWN)
    cells = Counter({(today, "card-payment", "Amara", result): 1 for result in results})
    return ReportCounts(
        days=_grouped(cells, lambda cell: cell[0]),
        flows=_grouped(cells, lambda cell: cell[1]),
        agents=_grouped(cells, lambda cell: cell[2]),
    )


def _grouped(cells: Counter[Cell], name: Callable[[Cell], str]) -> tuple[OutcomeCount, ...]:
    groups: Counter[tuple[str, str]] = Counter()
    for cell, captures in cells.items():
        groups[name(cell), cell[3]] += captures
    return tuple(OutcomeCount(*group, captures, 0) for group, captures in sorted(groups.items()))


def weeks(days: int = 30, until: date | None = None) -> ReportCounts:
    """Return counts of some weeks, the same each time."""
    draw = random.Random(7)
    last = until or datetime.now(UTC).date()
    results = {
        CaptureResult.APPROVED: 60, CaptureResult.TOKEN: 14, CaptureResult.DECLINED: 8, CaptureResult.CALLER_GONE: 6,
        CaptureResult.ATTEMPTS_USED: 3, CaptureResult.CANCELLED: 4, CaptureResult.TIMED_OUT: 2,
        CaptureResult.UNKNOWN: 1, CaptureResult.HANDED_OVER: 1,
    }  # fmt: skip
    cells: Counter[Cell] = Counter()
    for back in range(days):
        day = last - timedelta(days=back)
        busy = 0.25 if day.weekday() > 4 else 1.0
        for flow, share in (("card-payment", 1.0), ("card-on-file", 0.35)):
            for agent in AGENTS[:4]:
                for result, weight in results.items():
                    many = round(draw.random() * weight * busy * share / 4)
                    if many:
                        cells[day.isoformat(), flow, agent, result.value] += many
    cells[last.isoformat(), "card-payment", "", ""] += 4
    cells[(last - timedelta(days=days // 2)).isoformat(), "card-payment", "Amara", END_UNKNOWN] += 9
    return ReportCounts(
        days=_grouped(cells, lambda cell: cell[0]),
        flows=_grouped(cells, lambda cell: cell[1]),
        agents=_grouped(cells, lambda cell: cell[2]),
        fields=(
            FieldCount("pan", FieldKind.CARD_NUMBER.value, 1_800, 2_210),
            FieldCount("expiry", FieldKind.EXPIRY.value, 1_690, 1_760),
            FieldCount("cvv", FieldKind.SECURITY_CODE.value, 1_655, 1_702),
        ),
        seconds=tuple(
            (field, second, max(1, round(48 * 0.9 ** abs(second - middle) * 24 / middle)))
            for field, middle in (("pan", 24), ("expiry", 8), ("cvv", 6))
            for second in range(2, middle * 2)
        ),
        rejects=(
            ("pan", "luhn", 260), ("pan", "timeout", 96), ("pan", "too_short", 54),
            ("expiry", "format", 41), ("expiry", "expired", 29), ("cvv", "too_short", 47),
        ),
        gone=(
            ("card-payment", "ask_card", 74), ("card-payment", "ask_code", 21),
            ("card-on-file", "ask_card", 12), ("card-payment", "", 2),
        ),
    )  # fmt: skip
