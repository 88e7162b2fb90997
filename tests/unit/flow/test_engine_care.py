"""Care for the caller: undo, repeats, slow fingers, keys that come twice, one tip a call."""

import pytest

from dtmf_shield.flow.engine import advance, begin
from dtmf_shield.flow.engine.commands import (
    Collect,
    OpenMenu,
    SetTimer,
    ShowHint,
)
from dtmf_shield.flow.engine.compiler import SLOW_DEBOUNCE_MS
from dtmf_shield.flow.engine.events import (
    Accepted,
    Chosen,
    Progressed,
    PromptDone,
    QualityHinted,
    Rejected,
    RepeatAsked,
    TimerFired,
    Timers,
    Undone,
)
from dtmf_shield.model.capture import Hint, RejectReason
from dtmf_shield.model.prompt import CarePhrase
from tests.unit.flow.shipped import CARD, FLOWS, INPUTS, only, run, spoken

PAY = "card-payment-agent"


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
