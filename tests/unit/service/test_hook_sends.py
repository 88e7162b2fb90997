"""Nothing of a card can be named in what a look-up sends: refused before a flow runs, whatever way it is written."""

from pathlib import Path

import pytest

from dtmf_shield.flow.engine import advance, begin
from dtmf_shield.flow.engine.commands import CallHook
from dtmf_shield.flow.engine.events import Accepted, Chosen, PromptDone
from dtmf_shield.flow.loader import load_flow

TEXT = (Path(__file__).parents[3] / "ivr_flows" / "card-payment-self-service.yaml").read_text("utf-8")
SEND = "send: [fields.account]"
SENSITIVE = ("pan", "expiry", "cvv")


def sending(*references):
    assert SEND in TEXT
    return load_flow(TEXT.replace(SEND, f"send: [{', '.join(references)}]"), file="flow")


@pytest.mark.parametrize("field", SENSITIVE)
@pytest.mark.parametrize(
    "shape", ["{}", "fields.{}", "{}.last4", "{}.brand", "{}.value", "vars.{}", "inputs.{}"]
)
def test_no_reference_to_a_sensitive_field_passes(field, shape):
    with pytest.raises(ExceptionGroup) as caught:
        sending(shape.format(field))

    assert any("send" in str(error) for error in caught.value.exceptions)


@pytest.mark.parametrize("reference", ["pan.last4", "pan.brand", "fields.cvv"])
def test_no_variable_carries_it_there_either(reference):
    text = TEXT.replace('set: {"1": {amount: lookup.balance}}', f'set: {{"1": {{amount: {reference}}}}}')
    assert text != TEXT

    with pytest.raises(ExceptionGroup):
        load_flow(text, file="flow")


@pytest.mark.parametrize("reference", ["fields.account", "vars.account"])
def test_a_released_field_and_a_variable_are_sent_as_they_are(reference):
    flow = sending(reference)
    state, commands = begin(flow)
    for event in (PromptDone(), Chosen(0), Accepted("account", value="12345674")):
        state, commands = advance(state, event)

    (call,) = [command for command in commands if isinstance(command, CallHook)]
    assert call.send == (("account", "12345674"),)


def test_a_field_that_is_sensitive_has_no_value_in_the_state_even_where_one_is_told():
    flow = sending("fields.account")
    state, _ = begin(flow)

    state, _ = advance(state, Accepted("pan", brand="visa", last4="4242"))

    told = {path: value for path, value in state.values.items() if path.startswith(("vars.", "fields."))}
    assert told == {}
