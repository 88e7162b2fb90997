"""What a flow is told when it starts: by the API, by headers of the INVITE, by the numbers dialled and calling.

Each input has one source, which the flow file names. A reference and an amount may be said without the flow's own names
for them. What does not fit is refused with the input's name and what is allowed; no value is repeated anywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from dtmf_shield.call.call import Call
from dtmf_shield.call.caller_name import WITHHELD
from dtmf_shield.call.errors import AmountNeeded, AmountNotTaken, InputRefused
from dtmf_shield.call.onward import HEADER_CHARACTERS_MAX
from dtmf_shield.flow.finding import listing
from dtmf_shield.flow.inputs import input_faults, may_be_card, unfit
from dtmf_shield.flow.language import Flow
from dtmf_shield.flow.language.words import minor_units
from dtmf_shield.model.payment import AMOUNT_MINOR_MAX, NO_MONEY, Money, currency_exponent
from dtmf_shield.sip.message import Request, canonical_name

HEADERS_KEPT_MAX: Final = 32
"""Of one INVITE: as many as one flow has inputs."""
REFERENCE: Final = "reference"
NOTHING_GIVEN: Final[Mapping[str, str]] = MappingProxyType({})


def headers_for_flows(flows: Iterable[Flow], request: Request) -> dict[str, str]:
    """Return the headers of an INVITE that some flow names as an input, by their usual spelling.

    One that is too long or may hold a card number is not kept at all: a flow that needs it will not start. Of a header
    that comes more than once the first counts.
    """
    wanted = {
        canonical_name(given.header)
        for flow in flows
        for given in flow.inputs.values()
        if given.header is not None
    }
    kept: dict[str, str] = {}
    for name in sorted(wanted):
        value = (request.headers.get(name) or "").strip()
        if value and len(value) <= HEADER_CHARACTERS_MAX and not may_be_card(value):
            kept[name] = value
        if len(kept) == HEADERS_KEPT_MAX:
            break
    return kept


def run_inputs(
    flow: Flow, call: Call, given: Mapping[str, str], reference: str = "", amount: Money = NO_MONEY
) -> dict[str, str]:
    """Return the inputs of a run. ``given``: by the API, as the flow names them; they win over all others.

    What nobody says a flow without an agent may have known, which handed the caller on a moment ago.

    Raises AmountNeeded, AmountNotTaken, InputRefused.
    """
    _refuse_not_asked(flow, given)
    short = _shorthand(flow, reference, amount)
    told = {**_known(flow, call), **_of_call(flow, call), **short, **given}
    if flow.needs_amount and not set(_amount_names(flow)) <= told.keys():
        raise AmountNeeded
    faults = input_faults(flow, told)
    if faults:
        raise InputRefused(faults)
    _refuse_odd_amount(flow, told)
    return told


def amount_of(flow: Flow, inputs: Mapping[str, str]) -> Money:
    """Return what the first step that moves money will move, as far as the inputs say; else NO_MONEY."""
    for step in flow.money_steps:
        if step.amount is None or step.currency is None:
            continue
        amount, currency = _resolved(step.amount, inputs), _resolved(step.currency, inputs)
        try:
            minor = minor_units(amount, currency)
        except (ValueError, ArithmeticError):
            return NO_MONEY
        return Money(minor, currency) if len(currency) == 3 and 0 < minor <= AMOUNT_MINOR_MAX else NO_MONEY
    return NO_MONEY


def _resolved(word: str, inputs: Mapping[str, str]) -> str:
    group, _, name = word.partition(".")
    return inputs.get(name, "") if group == "inputs" else word


def _refuse_not_asked(flow: Flow, given: Mapping[str, str]) -> None:
    asked = [name for name, wanted in flow.inputs.items() if wanted.origin == "api"]
    faults = [
        f"input {name}: comes with the call (from: {flow.inputs[name].origin}) and is not said"
        for name in given
        if name in flow.inputs and name not in asked
    ]
    if any(name not in flow.inputs for name in given):
        faults.append(f"an input that the flow {flow.id} does not have; it has: {listing(asked)}")
    if faults:
        raise InputRefused(faults)


def _of_call(flow: Flow, call: Call) -> dict[str, str]:
    """Return what the call brings. One that is not needed and does not fit is left out."""
    caller = "" if call.caller_user.lower() in WITHHELD else call.caller_user
    told = {}
    for name, wanted in flow.inputs.items():
        header = call.headers.get(canonical_name(wanted.header), "") if wanted.header is not None else ""
        value = {"header": header, "dialled": call.dialled, "caller": caller}.get(wanted.origin, "")
        if value and (wanted.required or not unfit(wanted, value)):
            told[name] = value
    return told


def _known(flow: Flow, call: Call) -> dict[str, str]:
    """Return what the flow before knew by the names of this one's inputs, where it fits."""
    return {
        name: call.known[name]
        for name, wanted in flow.inputs.items()
        if wanted.origin == "api" and name in call.known and not unfit(wanted, call.known[name])
    }


def _shorthand(flow: Flow, reference: str, amount: Money) -> dict[str, str]:
    """Return a reference and an amount under the flow's own names for them."""
    asked = {name for name, wanted in flow.inputs.items() if wanted.origin == "api"}
    names = (flow.reference_inputs | {REFERENCE}) & asked
    told = {name: reference for name in names if reference}
    if amount and not flow.needs_amount:
        raise AmountNotTaken
    for money in flow.money_steps if amount else ():
        if money.currency is not None and money.currency.isupper() and money.currency != amount.currency:
            raise InputRefused([f"currency: {money.currency}, the only one of the flow {flow.id}"])
        told |= _named(money.amount, _text(amount)) | _named(money.currency, amount.currency)
    return {name: value for name, value in told.items() if name in asked}


def _amount_names(flow: Flow) -> list[str]:
    """Return the inputs that an amount is made of, where one is told by an input."""
    moving = [step for step in flow.money_steps if (step.amount or "").startswith("inputs.")]
    words = [word or "" for step in moving for word in (step.amount, step.currency)]
    return [word.partition(".")[2] for word in words if word.startswith("inputs.")]


def _refuse_odd_amount(flow: Flow, told: Mapping[str, str]) -> None:
    """Money of more decimals than its currency has, or of none: cde would be told no amount."""
    names = _amount_names(flow)
    if names and not amount_of(flow, told):
        raise InputRefused(
            [f"input {names[0]}: an amount above zero, in as many decimals as the currency has"]
        )


def _named(reference: str | None, value: str) -> dict[str, str]:
    group, _, name = (reference or "").partition(".")
    return {name: value} if group == "inputs" else {}


def _text(amount: Money) -> str:
    exponent = currency_exponent(amount.currency)
    digits = str(amount.minor).rjust(exponent + 1, "0")
    return f"{digits[:-exponent]}.{digits[-exponent:]}" if exponent else digits
