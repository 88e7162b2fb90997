"""The interpreter: what callers and agents do, and what must never come of it."""

import pytest

from dtmf_shield.base.errors import InvariantError
from dtmf_shield.flow.engine import advance, begin
from dtmf_shield.flow.engine.commands import (
    CallHook,
    Charge,
    Collect,
    Exit,
    ExitCause,
    OpenMenu,
    Play,
    SetTimer,
    StopPrompt,
    Transfer,
)
from dtmf_shield.flow.engine.events import (
    Accepted,
    AgentCancelled,
    AgentChose,
    AgentKeyPressed,
    AgentRedo,
    CallerGone,
    ChargeAnswered,
    ChargeOutcome,
    ChoiceRejected,
    Chosen,
    FieldFailed,
    FieldLost,
    FieldRequested,
    GatewayChanged,
    HookAnswered,
    HookOutcome,
    PromptDone,
    Rejected,
    TimerFired,
    Timers,
    TransferDone,
    TransferFailed,
)
from dtmf_shield.flow.engine.state import EventRefusedError
from dtmf_shield.flow.loader import load_flow
from dtmf_shield.model.capture import ChoiceFault, RejectReason
from dtmf_shield.model.payment import OperationKind
from dtmf_shield.model.prompt import Formatter, Value
from tests.unit.flow.shipped import CARD, FLOWS, FOUND, INPUTS, TEXTS, bill, only, run, spoken

PAY, BILL = "card-payment-agent", "card-payment-self-service"
APPROVED = ChargeAnswered(ChargeOutcome.APPROVED, auth_code="A7B2")


def test_cde_listens_before_anything_is_said():
    """A fast caller's first key must find the field armed."""
    _, commands = run(PAY)

    kinds = [type(command) for command in commands]
    assert kinds == [SetTimer, Collect, Play]
    assert "long number" in spoken(commands)


def test_a_payment_is_confirmed_by_amount_and_last_four_and_has_a_spoken_receipt():
    state, confirm = run(PAY, *CARD)
    assert only(OpenMenu, confirm)[0].keys == ("1", "2")
    assert only(OpenMenu, confirm)[0].patience.type_ahead == "drop"
    assert "<12.50>" in spoken(confirm)
    assert "<4242>" in spoken(confirm)
    (amount,) = [
        p for p in only(Play, confirm)[0].pieces if isinstance(p, Value) and p.formatter is Formatter.MONEY
    ]
    assert amount.currency == "GBP"

    state, paying = advance(state, Chosen(0))
    assert only(Charge, paying) == [Charge(OperationKind.CHARGE, "default", 1250, "GBP", "ORDER-7", 1)]
    state, approved = advance(state, APPROVED)
    assert "<A7B2>" in spoken(approved)
    state, receipt = advance(state, PromptDone())
    assert "<12.50>" in spoken(receipt)
    state, done = advance(state, PromptDone())

    assert done == (Exit("paid", to="agent"),)
    assert state.over


def test_the_amount_is_spoken_and_charged_in_minor_units_of_its_currency():
    state, _ = run(PAY, *CARD, inputs={**INPUTS, "currency": "JPY", "amount": "1250"})

    _, commands = advance(state, Chosen(0))

    assert only(Charge, commands)[0].amount_minor == 1250


@pytest.mark.parametrize("amount", ["", "12.505", "-1", "nothing", "0"])
def test_what_is_no_amount_is_never_sent(amount):
    state, _ = run(PAY, *CARD, inputs={**INPUTS, "amount": amount})

    _, commands = advance(state, Chosen(0))

    assert only(Charge, commands) == []
    assert only(Exit, commands)[0].result == "failed"


def test_unknown_is_not_declined_and_no_other_card_is_asked_for():
    _, commands = run(PAY, *CARD, Chosen(0), ChargeAnswered(ChargeOutcome.UNKNOWN))

    assert only(Exit, commands) == [Exit("unknown", to="agent", alert="reconcile")]
    assert only(Collect, commands) == []


def test_no_answer_in_time_is_unknown():
    state, commands = run(PAY, *CARD, Chosen(0))
    (timer,) = [t for t in only(SetTimer, commands) if t.timer is Timers.ANSWER]
    assert timer.delay_ms == 30_000

    _, commands = advance(state, TimerFired(Timers.ANSWER, timer.mark))

    assert only(Exit, commands)[0].result == "unknown"


def test_a_declined_card_leads_to_another_and_every_field_of_it_is_keyed_anew():
    state, commands = run(PAY, *CARD, Chosen(0), ChargeAnswered(ChargeOutcome.DECLINED), PromptDone())
    assert only(Collect, commands)[0].field == "pan"

    state, commands = advance(state, Accepted("pan", brand="amex", last4="0005"))
    assert only(Collect, commands)[0].field == "expiry"
    state, commands = advance(state, Accepted("expiry"))
    assert "front of your card" in spoken(commands)
    state, _ = advance(state, Accepted("cvv"))
    _, commands = advance(state, Chosen(0))

    assert only(Charge, commands)[0].attempt == 2


@pytest.mark.parametrize("outcome", [ChargeOutcome.ACTION_REQUIRED, ChargeOutcome.STOPPED])
def test_what_a_flow_does_not_tell_apart_goes_where_declined_goes(outcome):
    state, _ = begin(load_flow(TEXTS[PAY].replace(", stopped: hand_back", ""), file="flow"), INPUTS)
    for event in (*CARD, Chosen(0), ChargeAnswered(outcome)):
        state, _ = advance(state, event)

    assert state.step == "declined"


def test_a_card_that_a_velocity_rule_stopped_is_the_last_one_asked_for():
    _, commands = run(PAY, *CARD, Chosen(0), ChargeAnswered(ChargeOutcome.STOPPED))
    assert only(Exit, commands) == [Exit("failed", to="agent")]

    asked = bill(Accepted("account", value="12345674"), FOUND, Chosen(0), *CARD, Chosen(0))[0]
    _, commands = advance(asked, ChargeAnswered(ChargeOutcome.STOPPED))
    assert "no further card" in spoken(commands)
    assert "bank" not in spoken(commands)


def test_nothing_cuts_what_is_in_flight():
    state, _ = run(PAY, *CARD, Chosen(0))

    for event in (AgentCancelled(), FieldRequested("pan"), AgentChose()):
        with pytest.raises(EventRefusedError):
            advance(state, event)
    state, commands = advance(state, TimerFired(Timers.MAX_DURATION, 0))
    assert commands == ()
    state, commands = advance(state, CallerGone())
    assert only(Exit, commands) == []
    state, commands = advance(state, APPROVED)

    assert only(Exit, commands)[0].result == "paid"


def test_a_caller_who_hangs_up_after_paying_has_paid():
    state, _ = run(PAY, *CARD, Chosen(0), APPROVED)

    _, commands = advance(state, CallerGone())

    assert commands == (Exit("paid", to="hangup", cause=ExitCause.CALLER_GONE),)


def test_once_money_has_moved_no_agent_can_ask_for_a_card_or_cancel_it():
    state, _ = run(PAY, *CARD, Chosen(0), APPROVED)

    with pytest.raises(EventRefusedError):
        advance(state, FieldRequested("pan"))
    _, commands = advance(state, AgentCancelled())

    assert only(Exit, commands)[0].result == "paid"


def test_time_that_is_up_ends_a_flow_but_never_a_payment():
    state, _ = run(PAY, *CARD)
    _, commands = advance(state, TimerFired(Timers.MAX_DURATION, 0))
    assert only(Exit, commands)[0].result == "failed"

    state, _ = run(PAY, *CARD, Chosen(0), APPROVED)
    _, commands = advance(state, TimerFired(Timers.MAX_DURATION, 0))
    assert only(Exit, commands)[0].result == "paid"


def test_prompts_are_chosen_by_attempt_error_and_brand():
    state, commands = run(PAY, Rejected("pan", RejectReason.LUHN))

    assert spoken(commands).startswith("That card number is not valid.")
    assert "once more" in spoken(commands)
    _, commands = advance(state, Rejected("pan", RejectReason.TIMEOUT))
    assert "did not receive" in spoken(commands)


def test_attempts_used_up_are_failed():
    _, commands = run(PAY, *[Rejected("pan", RejectReason.LUHN)] * 3)

    assert only(Exit, commands)[0].result == "failed"


def test_another_fields_refusal_is_late_and_changes_nothing():
    state, _ = run(PAY)

    assert advance(state, Rejected("cvv", RejectReason.LUHN)) == (state, ())


def test_the_agent_asks_for_fields_in_any_order_and_the_flow_comes_back():
    state, commands = run(PAY, FieldRequested("expiry"))
    assert only(Collect, commands)[0].field == "expiry"

    state, commands = advance(state, Accepted("expiry"))
    assert only(Collect, commands)[0].field == "pan"
    state, commands = advance(state, Accepted("pan", brand="visa", last4="4242"))
    assert only(Collect, commands)[0].field == "cvv"


def test_a_new_card_number_voids_the_security_code_but_an_agents_request_keeps_the_expiry():
    state, commands = run(PAY, *CARD, FieldRequested("pan"))
    assert only(Collect, commands)[0].field == "pan"

    _, commands = advance(state, Accepted("pan", brand="visa", last4="1111"))

    assert only(Collect, commands)[0].field == "cvv"


def test_an_agent_may_only_ask_for_what_the_flow_lets_him():
    data = FLOWS[PAY].model_copy(update={"agent_requests": ("pan",)})
    state, _ = begin(data, INPUTS)

    with pytest.raises(EventRefusedError):
        advance(state, FieldRequested("cvv"))
    with pytest.raises(InvariantError):
        advance(state, FieldRequested("pin"))


def test_the_agents_button_presses_the_menus_option():
    _, commands = run(PAY, *CARD, AgentChose())

    assert only(Charge, commands)


def test_redo_has_the_present_field_keyed_again():
    state, commands = run(PAY, CARD[0], AgentRedo())

    assert (state.step, only(Collect, commands)[0].field) == ("expiry", "expiry")


def test_a_menu_that_leads_back_to_the_card_has_all_of_it_keyed_anew():
    state, commands = run(PAY, *CARD, Chosen(1))

    assert only(Collect, commands)[0].field == "pan"
    assert state.accepted == frozenset()


def test_a_known_dead_gateway_spares_the_caller_the_card():
    state, _ = begin(FLOWS[BILL])
    for event in (
        PromptDone(),
        GatewayChanged(False),
        Chosen(0),
        Accepted("account", value="12345674"),
        FOUND,
    ):
        state, _ = advance(state, event)

    state, commands = advance(state, Chosen(0))

    assert state.step == "agent"
    assert only(Collect, commands) == []


def test_the_language_menu_chooses_what_is_spoken():
    state, commands = run(BILL, PromptDone(), Chosen(1))

    assert state.language == "fr-FR"
    assert "numéro de compte" in spoken(commands)


@pytest.mark.parametrize(
    ("wanted", "spoken_in"), [("fr-CA", "fr-FR"), ("fr-CH", "fr-FR"), ("de-DE", "en-GB"), ("", "en-GB")]
)
def test_the_nearest_offered_language_is_spoken(wanted, spoken_in):
    assert run(BILL, language=wanted)[0].language == spoken_in


def test_a_look_up_gets_what_was_released_and_nothing_else():
    _, commands = bill(Accepted("account", value="12345674"))

    assert only(CallHook, commands) == [CallHook("account_lookup", (("account", "12345674"),), 4_000)]


def test_what_is_owed_is_paid_by_one_key():
    state, commands = bill(Accepted("account", value="12345674"), FOUND)
    assert "<87.20>" in spoken(commands)

    state, _ = advance(state, Chosen(0))
    for event in CARD:
        state, _ = advance(state, event)
    state, commands = advance(state, Chosen(0))

    charge = only(Charge, commands)[0]
    assert (charge.amount_minor, charge.currency, charge.reference) == (8720, "GBP", "12345674")


def test_another_amount_is_keyed_and_charged():
    state, _ = bill(
        Accepted("account", value="12345674"), FOUND, Chosen(1), Accepted("amount", value="20.00"), *CARD
    )

    _, commands = advance(state, Chosen(0))

    assert only(Charge, commands)[0].amount_minor == 2000


@pytest.mark.parametrize(
    "values",
    [
        (("balance", "4242 4242 4242 4242"),),
        (("note", "x" * 65),),
        tuple((f"v{i}", "1") for i in range(33)),
    ],
)
def test_an_answer_that_might_hold_a_card_is_a_fault(values):
    state, _ = bill(Accepted("account", value="12345674"), HookAnswered(HookOutcome.OK, values))

    assert state.step == "agent"
    assert not any("4242" in value for value in state.values.values())


def test_a_look_up_that_never_answers_goes_on_by_its_timer():
    state, commands = bill(Accepted("account", value="12345674"))
    (timer,) = only(SetTimer, commands)

    state, _ = advance(state, TimerFired(timer.timer, timer.mark))

    assert state.step == "agent"


def test_zero_alone_leads_to_an_agent_and_what_was_keyed_stays():
    state, _ = bill(Accepted("account", value="12345674"), FOUND, Chosen(0), CARD[0], AgentKeyPressed())

    state, commands = advance(state, PromptDone())

    assert only(Transfer, commands) == [Transfer("queue", "payments-help")]
    assert {"account", "pan"} <= state.accepted


@pytest.mark.parametrize(("event", "over"), [(TransferDone(), True), (TransferFailed(), False)])
def test_a_transfer_ends_the_flow_only_where_it_works(event, over):
    state, _ = bill(AgentKeyPressed(), PromptDone(), event)

    assert state.over is over


def test_a_menu_without_a_choice_asks_again_then_fails():
    state, commands = run(PAY, *CARD, ChoiceRejected(ChoiceFault.TIMEOUT))
    assert only(OpenMenu, commands)

    _, commands = advance(state, ChoiceRejected(ChoiceFault.WRONG_KEY))

    assert only(Exit, commands)[0].result == "failed"


def test_a_loop_is_bounded_by_its_limit():
    state, _ = run(PAY, *CARD)
    for _ in range(2):
        state, _ = advance(state, Chosen(1))
        for event in CARD:
            state, commands = advance(state, event)
    state, _ = advance(state, Chosen(1))
    for event in CARD:
        state, commands = advance(state, event)

    assert only(Exit, commands)[0].result == "failed"


def test_repeat_counts():
    state, _ = run("card-on-file", PromptDone(), *CARD)
    steps = []
    for _ in range(3):
        state, _ = advance(state, Chosen(1))
        steps.append(state.step)
        for event in CARD if state.step == "card" else ():
            state, _ = advance(state, event)

    assert steps == ["card", "card", "not_now"]


def test_a_missing_card_field_is_asked_for_before_anything_is_sent():
    state, _ = run(PAY, *CARD, FieldLost("cvv"))

    state, commands = advance(state, Chosen(0))

    assert only(Charge, commands) == []
    assert only(Collect, commands)[0].field == "cvv"


def test_a_field_that_failed_in_cde_goes_on_as_failed():
    _, commands = run(PAY, FieldFailed("pan"))

    assert only(Exit, commands)[0].result == "failed"


def test_waiting_music_stops_with_the_answer():
    state, _ = bill(Accepted("account", value="12345674"), FOUND, Chosen(0), *CARD, Chosen(0))

    _, commands = advance(state, APPROVED)

    assert isinstance(commands[0], StopPrompt)
