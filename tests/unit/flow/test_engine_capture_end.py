"""What is left of a run when its capture ends, and when its process does."""

import pytest

from dtmf_shield.base.errors import InvariantError
from dtmf_shield.flow.engine import advance, compile_flow, restore
from dtmf_shield.flow.engine.commands import (
    Charge,
    Collect,
    Exit,
    OpenMenu,
    SetTimer,
)
from dtmf_shield.flow.engine.events import (
    Accepted,
    CaptureEnded,
    ChargeAnswered,
    ChargeOutcome,
    Chosen,
    FieldLost,
    PromptDone,
    Resumed,
)
from dtmf_shield.model.capture import CaptureResult
from tests.unit.flow.shipped import CARD, FLOWS, FOUND, INPUTS, bill, only, run, spoken

PAY, BILL = "card-payment-agent", "card-payment-self-service"
APPROVED = ChargeAnswered(ChargeOutcome.APPROVED, auth_code="A7B2")


@pytest.mark.parametrize(
    ("result", "ends"),
    [
        (CaptureResult.CANCELLED, "cancelled"),
        (CaptureResult.CALLER_GONE, "cancelled"),
        (CaptureResult.ATTEMPTS_USED, "failed"),
        (CaptureResult.TIMED_OUT, "failed"),
        (CaptureResult.INTERRUPTED, "failed"),
        (CaptureResult.GATEWAY_UNREACHABLE, "failed"),
    ],
)
def test_the_end_of_a_capture_ends_a_flow_that_collects(result, ends):
    _, commands = run(PAY, CaptureEnded(result))

    assert only(Exit, commands)[0].result == ends


def test_a_capture_that_ends_while_nobody_is_asked_disturbs_nothing_but_what_it_held():
    """Media or cde died during a prompt: the caller hears it out, then keys what was lost."""
    state, _ = bill(Accepted("account", value="12345674"), FOUND, Chosen(0), *CARD, Chosen(0))
    state, _ = advance(state, ChargeAnswered(ChargeOutcome.DECLINED))
    assert state.step == "declined"

    state, commands = advance(state, CaptureEnded(CaptureResult.INTERRUPTED))

    assert (state.step, commands) == ("declined", ())


def test_an_answer_that_comes_after_unknown_cuts_nothing_off():
    """The flow has said "do not pay again"; what the gateway says later is the ledger's and the operator's."""
    state, _ = bill(Accepted("account", value="12345674"), FOUND, Chosen(0), *CARD, Chosen(0))
    state, _ = advance(state, ChargeAnswered(ChargeOutcome.UNKNOWN))

    state, commands = advance(state, CaptureEnded(CaptureResult.APPROVED))
    assert (state.step, commands) == ("checking", ())
    _, commands = advance(state, PromptDone())

    assert only(Exit, commands)[0].result == "unknown"


def test_another_card_is_keyed_whole_but_account_and_amount_are_kept():
    """What was released is the flow's; all that only cde held went with the capture."""
    state, _ = bill(
        Accepted("account", value="12345674"), FOUND, Chosen(1), Accepted("amount", value="20.00"), *CARD
    )
    state, _ = advance(state, Chosen(0))
    state, _ = advance(state, ChargeAnswered(ChargeOutcome.DECLINED))
    assert state.accepted == {"account", "amount"}

    asked = []
    state, commands = advance(state, PromptDone())
    for event in CARD:
        asked += [command.field for command in only(Collect, commands)]
        state, commands = advance(state, event)
    state, commands = advance(state, Chosen(0))

    assert asked == ["pan", "expiry", "cvv"]
    (charge,) = only(Charge, commands)
    assert (charge.amount_minor, charge.reference, charge.attempt) == (2000, "12345674", 2)


def test_no_card_is_told_of_once_another_is_asked_for():
    state, _ = run(PAY, *CARD, Chosen(0), ChargeAnswered(ChargeOutcome.DECLINED))
    assert state.values["pan.last4"] == "4242"

    state, _ = advance(state, PromptDone())

    assert state.step == "card"
    assert "pan.last4" not in state.values
    assert state.brand == ""


def test_a_receipt_says_the_card_that_paid_though_cde_holds_it_no_more():
    state, _ = run("card-on-file", PromptDone(), *CARD, Chosen(0))

    state, commands = advance(state, ChargeAnswered(ChargeOutcome.APPROVED))

    assert state.accepted == frozenset()
    assert "<4242>" in spoken(commands)


def test_a_menu_that_leads_back_to_the_bank_has_the_account_keyed_anew_too():
    held = (Accepted("routing"), Accepted("account"))
    state, _ = run("bank-account", *held)
    state, _ = advance(state, Chosen(1))

    _, commands = advance(state, Accepted("routing"))

    assert only(Collect, commands)[0].field == "account"


def test_cde_that_holds_a_released_field_no_more_takes_nothing_from_the_flow():
    state, _ = bill(Accepted("account", value="12345674"), FOUND, Chosen(0), FieldLost("account"))

    assert state.values["vars.account"] == "12345674"
    assert "account" in state.accepted


def test_what_cde_tells_again_is_known_in_the_next_process_and_what_it_does_not_is_keyed_again():
    state, _ = bill(
        Accepted("account", value="12345674"), FOUND, Chosen(1), Accepted("amount", value="20.00"), *CARD
    )
    program, saved = compile_flow(FLOWS[BILL]), state.saved()
    held = ("account", "amount", "pan", "expiry", "cvv")

    told = (Accepted("account", value="12345674"), Accepted("amount", value="20.00"))
    back, _ = advance(restore(program, saved, {}), Resumed(held, told))
    _, commands = advance(back, Chosen(0))
    assert only(Charge, commands)[0].amount_minor == 2000

    back, _ = advance(restore(program, saved, {}), Resumed(held))
    back, commands = advance(back, Chosen(0))
    assert only(Charge, commands) == []
    assert only(Collect, commands)[0].field == "amount"


@pytest.mark.parametrize(
    ("result", "step"),
    [
        (CaptureResult.TOKEN, "(done)"),
        (CaptureResult.DECLINED, "hand_back"),
        (CaptureResult.INTERRUPTED, "unknown_result"),
        (CaptureResult.UNKNOWN, "unknown_result"),
        (CaptureResult.GATEWAY_UNREACHABLE, "hand_back"),
    ],
)
def test_what_ends_a_capture_in_flight_without_an_answer_is_unknown(result, step):
    state, _ = run("card-tokenize-agent", *CARD, CaptureEnded(result))

    assert state.step == step.strip("()")


def test_a_run_is_stored_without_a_value_and_goes_on_elsewhere():
    state, _ = run(PAY, *CARD)
    saved = state.saved()
    assert not any(digits in str(saved) for digits in ("4242", "12.50"))

    program = compile_flow(FLOWS[PAY])
    back = restore(program, saved, INPUTS)
    assert back.masking
    back, commands = advance(back, Resumed(("pan", "expiry", "cvv")))
    assert only(OpenMenu, commands)
    back, commands = advance(restore(program, saved, INPUTS), Resumed(()))
    back, commands = advance(back, Chosen(0))
    assert only(Collect, commands)[0].field in ("pan", "expiry", "cvv")


def test_another_version_does_not_take_up_a_stored_run():
    state, _ = run(PAY)
    other = compile_flow(FLOWS[PAY].model_copy(update={"title": "Changed"}))

    with pytest.raises(InvariantError):
        restore(other, state.saved(), INPUTS)


def test_a_payment_in_flight_is_never_sent_again_after_a_crash():
    state, _ = run(PAY, *CARD, Chosen(0))
    back = restore(compile_flow(FLOWS[PAY]), state.saved(), INPUTS)

    back, commands = advance(back, Resumed(()))

    assert only(Charge, commands) == []
    assert only(SetTimer, commands)
