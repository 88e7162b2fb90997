"""What crash_payments asks for: payments of several kinds, each known at the gateway by amounts nobody else has."""

from __future__ import annotations

import enum
import random
from collections.abc import Iterator
from dataclasses import dataclass

AMOUNT_STEP = 100
"""A payment's amounts lie in a range of its own."""


class Kind(enum.Enum):
    """What is done with a card."""

    CHARGE = "charge"
    CHARGE_AND_HANG_UP = "charge, hang up"
    AUTHORIZE_AND_HANG_UP = "authorize, hang up"
    AUTHORIZE_AND_CAPTURE = "authorize, capture"
    AUTHORIZE_AND_VOID = "authorize, void"
    CHARGE_AND_REFUND = "charge, refund twice and once too much"
    CHARGE_AND_VOID = "charge, void"
    CHARGE_AGAIN = "charge, charge again by token"


PERCENT = {
    Kind.CHARGE: 54,
    Kind.CHARGE_AND_HANG_UP: 12,
    Kind.AUTHORIZE_AND_HANG_UP: 5,
    Kind.AUTHORIZE_AND_CAPTURE: 12,
    Kind.AUTHORIZE_AND_VOID: 4,
    Kind.CHARGE_AND_REFUND: 8,
    Kind.CHARGE_AND_VOID: 2,
    Kind.CHARGE_AGAIN: 3,
}


AUTHORIZES = frozenset({Kind.AUTHORIZE_AND_HANG_UP, Kind.AUTHORIZE_AND_CAPTURE, Kind.AUTHORIZE_AND_VOID})
HANGS_UP = frozenset({Kind.CHARGE_AND_HANG_UP, Kind.AUTHORIZE_AND_HANG_UP})


@dataclass(frozen=True)
class OrderPlan:
    """One order after the card's payment: its kind and amount; asked for ``times`` times under one id."""

    kind: str
    amount_minor: int
    times: int


@dataclass(frozen=True)
class PaymentPlan:
    """One payment."""

    number: int
    kind: Kind
    amount_minor: int
    hang_up_after_s: float | None
    orders: tuple[OrderPlan, ...]

    @property
    def name(self) -> str:
        return f"p{self.number}"

    @property
    def operation(self) -> str:
        return "authorize" if self.kind in AUTHORIZES else "charge"


def payments(count: int, seed: int) -> Iterator[PaymentPlan]:
    """Yield what is to be paid."""
    for number in range(count):
        draw = random.Random(f"{seed}:payment:{number}")
        kind = draw.choices(list(PERCENT), list(PERCENT.values()))[0]
        amount_minor = (number + 1) * AMOUNT_STEP
        hang_up_s = draw.choice([0.0, draw.uniform(0, 0.1), draw.uniform(0, 1)]) if kind in HANGS_UP else None
        orders = tuple(
            OrderPlan(name, amount, draw.choice([1, 1, 2, 3])) for name, amount in _orders(kind, amount_minor)
        )
        yield PaymentPlan(number, kind, amount_minor, hang_up_s, orders)


def _orders(kind: Kind, amount_minor: int) -> list[tuple[str, int]]:
    match kind:
        case Kind.AUTHORIZE_AND_CAPTURE:
            return [("capture", amount_minor - 7)]
        case Kind.AUTHORIZE_AND_VOID | Kind.CHARGE_AND_VOID:
            return [("void", 0)]
        case Kind.CHARGE_AND_REFUND:
            return [("refund", 11), ("refund", 23), ("refund", amount_minor)]
        case Kind.CHARGE_AGAIN:
            return [("charge", amount_minor + 1)]
        case _:
            return []


FAULTS = {
    "reset": (0.02, 0),
    "reset_before": (0.02, 0),
    "error500": (0.02, 0),
    "error500_after": (0.015, 0),
    "garbage": (0.005, 0),
    "cut": (0.005, 0),
    "close": (0.02, 0),
    "close_on_next": (0.02, 0),
    "busy": (0.01, 0),
    "conflict": (0.01, 0),
    "decline": (0.04, 0),
    "slow": (0.04, 300),
    "slow_before": (0.003, 9_000),
    "hang": (0.001, 0),
    "hang_before": (0.001, 0),
}
"""Chance of each at the gateway, and its delay. A hang is seen after the answer's deadline of 8 s."""


def fault_plan(seed: int) -> dict[str, object]:
    """Return the body of POST /faults."""
    return {
        "seed": seed,
        "faults": [
            {"fault": fault, "probability": chance, "delay_ms": delay_ms or 500}
            for fault, (chance, delay_ms) in FAULTS.items()
        ],
    }
