"""What a flow is told before it begins, checked: types, ranges, patterns, and nothing that looks like a card number."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from dtmf_shield.base.errors import OperatorError
from dtmf_shield.flow.finding import closest, listing
from dtmf_shield.flow.language import Flow
from dtmf_shield.flow.language.inputs import Input
from dtmf_shield.flow.language.words import MONEY_PATTERN

CARD_DIGITS_MIN: Final = 12
"""So many digits, blanks and dashes between them not counted, are refused: no input may carry a card number."""


def accept_inputs(flow: Flow, given: Mapping[str, str]) -> dict[str, str]:
    """Return the inputs. Raises an ExceptionGroup of OperatorError, one an input that is not as the flow says."""
    faults = [fault for name, value in given.items() if (fault := _fault(flow, name, value))]
    faults += [
        f"input {name}: is needed by the flow {flow.id}"
        for name, wanted in flow.inputs.items()
        if wanted.required and name not in given
    ]
    if faults:
        raise ExceptionGroup(f"inputs of {flow.id}", [OperatorError(fault) for fault in faults])
    return dict(given)


def _fault(flow: Flow, name: str, value: str) -> str:
    wanted = flow.inputs.get(name)
    if wanted is None:
        hint = closest(name, flow.inputs)
        meant = f"; did you mean {hint}?" if hint else ""
        return (
            f"input {name[:32]}: the flow {flow.id} has no such input; it has: {listing(flow.inputs)}{meant}"
        )
    reason = _unfit(wanted, value)
    return f"input {name}: {reason}" if reason else ""


def _unfit(wanted: Input, value: str) -> str:
    """Return what is allowed where the value is not; the value itself is never repeated."""
    if len(re.sub(r"[ .-]", "", "".join(re.findall(r"[\d .-]{12,}", value)))) >= CARD_DIGITS_MIN:
        return f"fewer than {CARD_DIGITS_MIN} digits in a row: it might be a card number"
    if len(value) > wanted.length:
        return f"at most {wanted.length} characters"
    if wanted.allowed and value not in wanted.allowed:
        return f"one of {listing(wanted.allowed)}"
    match wanted.type:
        case "money":
            return _unfit_money(wanted, value)
        case "currency" if not re.fullmatch(r"[A-Z]{3}", value):
            return "three capitals (ISO 4217)"
        case "digits" if not re.fullmatch(r"[0-9]*", value):
            return "digits only"
    if wanted.pattern is not None and re.fullmatch(wanted.pattern, value) is None:
        return f"text that matches {wanted.pattern}"
    return ""


def _unfit_money(wanted: Input, value: str) -> str:
    if re.fullmatch(MONEY_PATTERN, value) is None:
        return 'money as "12.50"'
    amount = Decimal(value)
    if wanted.min is not None and amount < Decimal(wanted.min):
        return f"at least {wanted.min}"
    if wanted.max is not None and amount > Decimal(wanted.max):
        return f"at most {wanted.max}"
    return ""
