"""What a flow is told when a capture starts: the reference and the amount that the API names, as the flow's inputs."""

from __future__ import annotations

from dtmf_shield.call.errors import AmountNeeded, AmountNotTaken, InputRefused
from dtmf_shield.flow.inputs import accept_inputs
from dtmf_shield.flow.language import Flow
from dtmf_shield.model.payment import Money, currency_exponent


def inputs_of(flow: Flow, reference: str, amount: Money) -> dict[str, str]:
    """Return the inputs of a run. Raises AmountNeeded, AmountNotTaken, InputRefused."""
    if flow.needs_amount and not amount:
        raise AmountNeeded
    if amount and not flow.needs_amount:
        raise AmountNotTaken
    given = {name: reference for name in flow.reference_inputs if reference}
    for money in flow.money_steps if amount else ():
        if money.currency is not None and money.currency.isupper() and money.currency != amount.currency:
            raise InputRefused
        given |= _named(money.amount, _text(amount)) | _named(money.currency, amount.currency)
    try:
        return accept_inputs(flow, given)
    except (
        ExceptionGroup
    ):  # of OperatorError: the door says which input; here it is enough that one does not fit
        raise InputRefused from None


def _named(reference: str | None, value: str) -> dict[str, str]:
    group, _, name = (reference or "").partition(".")
    return {name: value} if group == "inputs" else {}


def _text(amount: Money) -> str:
    exponent = currency_exponent(amount.currency)
    digits = str(amount.minor).rjust(exponent + 1, "0")
    return f"{digits[:-exponent]}.{digits[-exponent:]}" if exponent else digits
