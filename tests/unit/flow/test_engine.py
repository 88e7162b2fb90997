"""The interpreter: what callers and agents do, and what must never come of it."""

import pytest

from dtmf_shield.base.errors import InvariantError
from dtmf_shield.flow.engine import advance, begin, compile_flow, restore
from dtmf_shield.flow.engine.commands import (
    CallHook,
    Charge,
    Collect,
    Exit,
    ExitCause,
    OpenMenu,
    Play,
    SetTimer,
    ShowHint,
    StopPrompt,
    Transfer,
)
from dtmf_shield.flow.engine.compiler import SLOW_DEBOUNCE_MS
from dtmf_shield.flow.engine.events import (
    Accepted,
    AgentCancelled,
    AgentChose,
    AgentKeyPressed,
    AgentRedo,
    CallerGone,
    CaptureEnded,
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
    Progressed,
    PromptDone,
    QualityHinted,
    Rejected,
    RepeatAsked,
    Resumed,
    TimerFired,
    Timers,
    TransferDone,
    TransferFailed,
    Undone,
)
from dtmf_shield.flow.engine.state import EventRefusedError
from dtmf_shield.model.capture import CaptureResult, ChoiceFault, Hint, RejectReason
from dtmf_shield.model.payment import OperationKind
from dtmf_shield.model.prompt import Care, CarePhrase, Formatter, Text, Value
from tests.unit.flow.shipped import CARD, FLOWS, INPUTS, run

PAY, BILL = "card-payment-agent", "card-payment-self-service"
APPROVED = ChargeAnswered(ChargeOutcome.APPROVED, auth_code="A7B2")


def only(kind, commands):
    """The commands of one kind."""
    return [command for command in commands if isinstance(command, kind)]


def spoken(commands):
    """What is said, as one text; values in angle brackets."""
    pieces = [piece for play in only(Play, commands) for piece in play.pieces]
    words = {
        Text: lambda p: p.text,
        Value: lambda p: f"<{p.value}>",
        Care: lambda p: f"({p.phrase} {p.count}/{p.of})",
    }
    return " ".join(words[type(piece)](piece) for piece in pieces if type(piece) in words)


def bill(*events):
    """The self-service flow behind its greeting, in English."""
    return run(BILL, PromptDone(), Chosen(0), *events)


FOUND = HookAnswered(HookOutcome.OK, (("balance", "87.20"),))


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
    state, _ = run(PAY, *CARD, Chosen(0), ChargeAnswered(outcome))

    assert state.step == "declined"


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


def test_undo_says_the_position_and_an_emptied_field_repeats_its_prompt():
    state, _ = run(PAY, Progressed("pan", 12))
    _, commands = advance(state, Undone("pan", 11, 16))
    assert spoken(commands) == f"({CarePhrase.POSITION_OF} 11/16)"

    _, commands = advance(state, Undone("pan", 0))
    assert spoken(commands).startswith(f"({CarePhrase.START_AGAIN}")
    assert "long number" in spoken(commands)


def test_silence_repeats_the_prompt_once_without_an_attempt():
    state, commands = run(PAY, PromptDone())
    (timer,) = only(SetTimer, commands)
    assert (timer.timer, timer.delay_ms) == (Timers.REPEAT, 10_000)

    state, commands = advance(state, TimerFired(timer.timer, timer.mark))
    assert "long number" in spoken(commands)
    assert state.attempt == 1
    _, commands = advance(state, PromptDone())
    assert commands == ()


def test_silence_does_not_interrupt_a_caller_who_keys():
    state, commands = run(PAY, PromptDone())
    (timer,) = only(SetTimer, commands)
    state, _ = advance(state, Progressed("pan", 3))

    assert advance(state, TimerFired(timer.timer, timer.mark)) == (state, ())


def test_star_before_the_first_digit_repeats_and_is_bounded():
    state, _ = run(PAY)

    said = []
    for _ in range(5):
        state, commands = advance(state, RepeatAsked())
        said.append(bool(commands))

    assert said == [True, True, True, False, False]


def test_slow_fingers_are_given_time_and_one_tip():
    state, _ = run(PAY, Progressed("pan", 6))
    state, commands = advance(state, Rejected("pan", RejectReason.TIMEOUT))
    (again,) = only(Collect, commands)
    assert again.patience.inter_digit_timeout_ms == 12_000
    assert again.attempt == 2
    assert str(CarePhrase.TIP_SLOWER) in spoken(commands)

    state, _ = advance(state, Progressed("pan", 6))
    state, commands = advance(state, Rejected("pan", RejectReason.TIMEOUT))
    assert only(Collect, commands) == []
    assert str(CarePhrase.TIP_SLOWER) not in spoken(commands)


def test_keys_that_come_twice_are_told_to_the_agent_and_the_caller():
    state, commands = run(PAY, QualityHinted(Hint.DUPLICATE_KEYS))
    assert only(ShowHint, commands) == [ShowHint(Hint.DUPLICATE_KEYS)]
    assert str(CarePhrase.TIP_ONE_PRESS) in spoken(commands)
    assert state.slow

    _, commands = advance(state, QualityHinted(Hint.SHORT_TONES))
    assert commands == (ShowHint(Hint.SHORT_TONES),)


@pytest.mark.parametrize("hint", [Hint.DUPLICATE_KEYS, Hint.SLOW_KEYS])
def test_slow_mode_begins_at_once_in_an_empty_field_and_counts_a_bounce_once(hint):
    state, commands = run(PAY, QualityHinted(hint))
    (again,) = only(Collect, commands)
    assert (again.field, again.attempt) == ("pan", 1)
    assert again.patience.debounce_ms == SLOW_DEBOUNCE_MS
    assert again.patience.first_digit_timeout_ms == 40_000

    _, commands = advance(state, Accepted("pan", brand="visa", last4="4242"))
    assert only(Collect, commands)[0].patience.debounce_ms == SLOW_DEBOUNCE_MS


def test_slow_mode_waits_for_the_next_entry_where_keys_have_come():
    """Asking for a field that is half keyed would wipe it."""
    state, commands = run(PAY, Progressed("pan", 5), QualityHinted(Hint.DUPLICATE_KEYS))
    assert only(Collect, commands) == []

    _, commands = advance(state, Rejected("pan", RejectReason.LUHN))

    (again,) = only(Collect, commands)
    assert (again.attempt, again.patience.debounce_ms) == (2, SLOW_DEBOUNCE_MS)


@pytest.mark.parametrize("hint", [Hint.SHORT_TONES, Hint.WEAK_TONES, Hint.NOISY_LINE])
def test_a_poor_line_is_no_slow_finger(hint):
    state, commands = run(PAY, QualityHinted(hint))

    assert not state.slow
    assert only(Collect, commands) == []


def test_a_menu_in_the_slow_mode_is_patient_too():
    _, commands = run(PAY, QualityHinted(Hint.SLOW_KEYS), *CARD)

    assert only(OpenMenu, commands)[0].patience.debounce_ms == SLOW_DEBOUNCE_MS


def test_a_flow_of_fixed_patience_has_no_slow_mode():
    flow = FLOWS[PAY]
    fixed = flow.model_copy(update={"defaults": flow.defaults.model_copy(update={"patience": "fixed"})})
    state, _ = begin(fixed, INPUTS)

    _, commands = advance(state, QualityHinted(Hint.SLOW_KEYS))

    assert only(Collect, commands) == []


def test_the_one_tip_of_a_call_stays_one_whatever_comes():
    state, _ = run(PAY)
    tips = []
    for event in (
        QualityHinted(Hint.SLOW_KEYS),
        QualityHinted(Hint.DUPLICATE_KEYS),
        Progressed("pan", 4),
        QualityHinted(Hint.SHORT_TONES),
        Rejected("pan", RejectReason.TIMEOUT),
        *CARD,
        QualityHinted(Hint.WEAK_TONES),
        Chosen(1),
        QualityHinted(Hint.DUPLICATE_KEYS),
    ):
        state, commands = advance(state, event)
        tips += [word for word in spoken(commands).split() if word.startswith("(tip_")]

    assert tips == [f"({CarePhrase.TIP_SLOWER}"]


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


def test_waiting_music_stops_with_the_answer():
    state, _ = bill(Accepted("account", value="12345674"), FOUND, Chosen(0), *CARD, Chosen(0))

    _, commands = advance(state, APPROVED)

    assert isinstance(commands[0], StopPrompt)
