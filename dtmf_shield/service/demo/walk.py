"""What the demonstration's caller keys in a flow: an entry for each question, found by simulating the flow first.

A caller who is willing: TEST cards, dates that are good, and in a menu the option that leads to a good end by the
fewest steps. Keys of one's own (``--keys``) are given to the questions in order, as ``flow simulate`` does.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from dtmf_shield.base.errors import OperatorError
from dtmf_shield.flow.check.routes import ways
from dtmf_shield.flow.language import Flow
from dtmf_shield.flow.language.fields import (
    AmountField,
    BankAccountField,
    CardNumberField,
    DateOfBirthField,
    DigitsField,
    ExpiryField,
    FlowField,
    PostalCodeField,
    RoutingNumberField,
    SecurityCodeField,
    lengths_of,
)
from dtmf_shield.flow.language.inputs import Input
from dtmf_shield.flow.language.steps import CollectStep, ExitStep, MenuStep
from dtmf_shield.flow.language.words import minor_units
from dtmf_shield.phone.test_cards import passes_check_digit
from dtmf_shield.service.flows.simulation.script import Press, Script
from dtmf_shield.service.flows.simulation.simulation import TODAY, Simulation

ENTRIES_MAX: Final = 100
"""Questions of one walk; a flow that asks more goes round."""
MENU: Final = "menu"
_GOOD: Final = frozenset({"paid", "authorised", "tokenized", "verified", "completed"})
_CARDS: Final = {
    "visa": "4242424242424242",
    "mastercard": "5555555555554444",
    "amex": "378282246310005",
    "discover": "6011111111111117",
    "diners": "3056930009020004",
    "jcb": "3566002020360505",
    "unionpay": "6200000000000005",
    "maestro": "6759649826438453",
}
"""Published TEST numbers (phone/test_cards.py), by the brand's name in a flow."""
_ROUTING: Final = "110000000"
"""A published TEST number of a gateway's documents; its check digit is right (ABA)."""
_ACCOUNT: Final = "000123456789"
"""The published TEST account at that number; the TEST gateway takes no other."""
_WORDS: Final = ("DEMO-1", "DEMO1", "C-1", "D1", "12345678", "1234", "1")
"""Tried in turn for an input with a pattern."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One answer of the caller. ``field``: its name, empty for a menu; ``kind``: of the field, or ``menu``."""

    step: str
    field: str
    kind: str
    keys: str

    @property
    def label(self) -> str:
        """What is keyed, in words."""
        return f"{self.step} (menu)" if self.kind == MENU else self.kind.replace("_", " ")

    def __repr__(self) -> str:
        return f"<Entry of {len(self.keys)} keys in {self.step}>"


@dataclass(frozen=True, slots=True)
class Walk:
    """A walk through a flow: what it is told, what is keyed, and the result of the exit it comes to."""

    flow: str
    inputs: Mapping[str, str]
    entries: tuple[Entry, ...]
    result: str


def walk_of(flow: Flow, keys: str = "", inputs: Mapping[str, str] | None = None) -> Walk:
    """Return a walk to an exit. Raises OperatorError that names the step in which the keys end or do not fit."""
    told = sample_inputs(flow) | dict(inputs or {})
    simulation = Simulation(flow, Script(inputs=dict(told)))
    entries = _given(flow, simulation, keys) if keys else _willing(flow, simulation)
    if not simulation.over:
        raise OperatorError(
            f"flow {flow.id}: the keys end in step {simulation.where}; give more by --keys, as for flow simulate"
        )
    ended = flow.steps.get(simulation.where)
    result = ended.result if isinstance(ended, ExitStep) else ""
    said = {name: value for name, value in told.items() if flow.inputs[name].origin == "api"}
    return Walk(flow.id, said, tuple(entries), result)


def _press(simulation: Simulation, keys: str) -> None:
    simulation.take(Script(actions=[Press(keys)]))
    simulation.run_until_idle()


def _willing(flow: Flow, simulation: Simulation) -> list[Entry]:
    entries: list[Entry] = []
    simulation.run_until_idle()
    while not simulation.over and len(entries) < ENTRIES_MAX:
        name = simulation.where
        step = flow.steps[name]
        if isinstance(step, MenuStep):
            entries.append(Entry(name, "", MENU, _option(flow, step)))
            _press(simulation, entries[-1].keys)
            continue
        if not isinstance(step, CollectStep):
            break
        field = flow.fields[step.field]
        keyed = sample_keys(step.field, field, flow)
        _press(simulation, keyed)
        if not simulation.over and simulation.where == name:
            keyed += "#"  # more digits would have been possible
            _press(simulation, "#")
        if not simulation.over and simulation.where == name:
            raise OperatorError(f"flow {flow.id}: step {name} takes no sample; say what is keyed by --keys")
        entries.append(Entry(name, step.field, field.type, keyed))
    return entries


def _given(flow: Flow, simulation: Simulation, keys: str) -> list[Entry]:
    """Give the keys to the questions one by one; what one question takes is one entry, but for a slip ended by #."""
    entries: list[Entry] = []
    left = deque(keys)
    simulation.run_until_idle()
    while left and not simulation.over:
        name, key = simulation.where, left.popleft()
        _press(simulation, key)
        last = entries[-1] if entries else None
        trails = (
            key == "#" and last is not None and last.step != name
        )  # swallowed behind an entry that was full
        if last is not None and (trails or (last.step == name and not last.keys.endswith("#"))):
            entries[-1] = Entry(last.step, last.field, last.kind, last.keys + key)
            continue
        step = flow.steps[name]
        field = step.field if isinstance(step, CollectStep) else ""
        entries.append(Entry(name, field, flow.fields[field].type if field else MENU, key))
    return entries


def _option(flow: Flow, menu: MenuStep) -> str:
    """Return the key that leads to a good end by the fewest steps."""
    far = _steps_to_good(flow)
    return min(menu.keys, key=lambda key: far.get(menu.keys[key], len(flow.steps)))


def _steps_to_good(flow: Flow) -> dict[str, int]:
    backwards: dict[str, set[str]] = {name: set() for name in flow.steps}
    for name, targets in ways(flow).items():
        for target in targets:
            backwards[target].add(name)
    good = [name for name, step in flow.steps.items() if isinstance(step, ExitStep) and step.result in _GOOD]
    far = dict.fromkeys(good, 0)
    waiting = deque(good)
    while waiting:
        name = waiting.popleft()
        for before in backwards[name] - far.keys():
            far[before] = far[name] + 1
            waiting.append(before)
    return far


# --- samples --------------------------------------------------------------------------------------------------


def sample_keys(name: str, field: FlowField, flow: Flow) -> str:
    """Return good TEST keys for a field. Raises OperatorError for a kind that none is known for."""
    match field:
        case CardNumberField():
            return _CARDS[_brand(field)]
        case ExpiryField():
            return f"12{(max(date.today().year, TODAY[0]) + 1) % 100:02d}"
        case SecurityCodeField():
            cards = [other for other in flow.fields.values() if isinstance(other, CardNumberField)]
            return "1234" if cards and _brand(cards[0]) == "amex" else "123"
        case AmountField():
            return str(minor_units(field.min, field.currency))
        case RoutingNumberField():
            return _ROUTING
        case DateOfBirthField():
            return (
                field.format.replace("DD", "01")
                .replace("MM", "02")
                .replace("YYYY", "1980")
                .replace("YY", "80")
            )
        case BankAccountField() if field.check == "none" and _fits(_ACCOUNT, field):
            return _ACCOUNT
        case DigitsField() | BankAccountField() | PostalCodeField():
            check = "none" if isinstance(field, PostalCodeField) else field.check
            return _digits(name, *lengths_of(field), check)
    raise OperatorError(f"field {name}: no sample is known for {field.type}; say what is keyed by --keys")


def _fits(sample: str, field: BankAccountField) -> bool:
    shortest, longest = lengths_of(field)
    return shortest <= len(sample) <= longest


def _brand(field: CardNumberField) -> str:
    return next((brand for brand in field.brands or ("visa",) if brand in _CARDS), "visa")


def _digits(name: str, shortest: int, longest: int, check: str) -> str:
    beginning = "12345678901234567890"[: min(longest, max(shortest, 5)) - 1]
    candidates = [beginning + last for last in "0123456789"]
    if check == "none":
        return candidates[1]
    if check == "luhn":
        return next(digits for digits in candidates if passes_check_digit(digits))
    raise OperatorError(f"field {name}: no sample is known for check: {check}; say what is keyed by --keys")


def sample_inputs(flow: Flow) -> dict[str, str]:
    """Return something for each input that a flow must be told. Raises OperatorError where nothing known fits."""
    return {
        name: _input(flow, name, given)
        for name, given in flow.inputs.items()
        if given.required or given.type in ("money", "currency")
    }


def _input(flow: Flow, name: str, given: Input) -> str:
    if given.allowed:
        return given.allowed[0]
    if given.type == "money":
        return given.min or given.max or "12.50"
    if given.type == "currency":
        return "GBP"
    words = [word for word in _WORDS if given.type == "text" or word.isdigit()]
    fitting = [w for w in words if len(w) <= given.length and re.fullmatch(given.pattern or ".*", w)]
    if not fitting:
        raise OperatorError(f"flow {flow.id}: input {name}: say what it is told by --input {name}=VALUE")
    return fitting[0]
