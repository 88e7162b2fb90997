"""What a flow is told before it begins, checked: types, ranges, patterns, and nothing that looks like a card number."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from dtmf_shield.base.errors import OperatorError
from dtmf_shield.base.log import holds_card_number
from dtmf_shield.flow.finding import closest, listing
from dtmf_shield.flow.language import Flow
from dtmf_shield.flow.language.inputs import Input
from dtmf_shield.flow.language.words import MONEY_PATTERN

CARD_DIGITS_MIN: Final = 12
"""So many digits, blanks and dashes between them not counted, are refused: no input may carry a card number."""
TELEPHONE_DIGITS_MAX: Final = 15
"""ITU-T E.164 section 6: the longest number in the world, without its plus."""
_TELEPHONE: Final = re.compile(rf"\+?[0-9]{{1,{TELEPHONE_DIGITS_MAX}}}")


def accept_inputs(flow: Flow, given: Mapping[str, str]) -> dict[str, str]:
    """Return the inputs. Raises an ExceptionGroup of OperatorError, one an input that is not as the flow says."""
    faults = input_faults(flow, given)
    if faults:
        raise ExceptionGroup(f"inputs of {flow.id}", [OperatorError(fault) for fault in faults])
    return dict(given)


def input_faults(flow: Flow, given: Mapping[str, str]) -> list[str]:
    """Return a sentence for each input that is not as the flow says: its name and what is allowed, never the value."""
    faults = [fault for name, value in given.items() if (fault := _fault(flow, name, value))]
    faults += [
        f"input {name}: is needed by the flow {flow.id}{_source(wanted)}"
        for name, wanted in flow.inputs.items()
        if wanted.required and name not in given
    ]
    return faults


def _source(wanted: Input) -> str:
    sources = {
        "header": f" and comes with SIP header {wanted.header}",
        "dialled": " and is the dialled number",
    }
    return (sources | {"caller": " and is the caller's number"}).get(wanted.origin, "")


def may_be_card(text: str) -> bool:
    """Whether a text has digits enough for a card number."""
    runs = re.findall(r"[\d .-]{12,}", text)
    return any(len(re.sub(r"[ .-]", "", run)) >= CARD_DIGITS_MIN for run in runs)


def is_telephone_number(text: str) -> bool:
    """Whether a text is a telephone number as trunks write it, and not a card number in its place.

    Numbers of 12 to 15 digits are common (+44 and ten more). Without a plus, one whose check digit is that of a card is
    taken for a card: one in ten of those from 13 digits on, so trunks had better write the plus.
    """
    return _TELEPHONE.fullmatch(text) is not None and (text.startswith("+") or not holds_card_number(text))


def unfit(wanted: Input, value: str) -> str:
    """Return what is allowed where the value is not; the value itself is never repeated."""
    from_line = wanted.origin in ("dialled", "caller")
    if may_be_card(value) and not (from_line and is_telephone_number(value)):
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


def _fault(flow: Flow, name: str, value: str) -> str:
    wanted = flow.inputs.get(name)
    if wanted is None:
        hint = closest(name, flow.inputs)
        meant = f"; did you mean {hint}?" if hint else ""
        return (
            f"input {name[:32]}: the flow {flow.id} has no such input; it has: {listing(flow.inputs)}{meant}"
        )
    reason = unfit(wanted, value)
    return f"input {name}: {reason}" if reason else ""


def _unfit_money(wanted: Input, value: str) -> str:
    if re.fullmatch(MONEY_PATTERN, value) is None:
        return 'money as "12.50"'
    amount = Decimal(value)
    if wanted.min is not None and amount < Decimal(wanted.min):
        return f"at least {wanted.min}"
    if wanted.max is not None and amount > Decimal(wanted.max):
        return f"at most {wanted.max}"
    return ""
