"""Whatever happens, in whatever order: handled or refused, masked to the end, no digit of a card, and it ends."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtmf_shield.base.errors import InvariantError
from dtmf_shield.flow.engine import advance, begin, compile_flow, restore
from dtmf_shield.flow.engine import events as ev
from dtmf_shield.flow.engine.commands import Charge, Collect, Exit, OpenMenu, Play
from dtmf_shield.flow.engine.entering import VISITS_MAX
from dtmf_shield.flow.engine.interpreter import HANDLERS
from dtmf_shield.flow.engine.state import EventRefusedError
from dtmf_shield.model.capture import CaptureResult, RejectReason
from dtmf_shield.model.prompt import Value
from tests.unit.flow.shipped import FLOWS, INPUTS

EVERY = {name: compile_flow(flow) for name, flow in FLOWS.items()}
NAMES = sorted({field for flow in FLOWS.values() for field in flow.fields})
FIELD = st.sampled_from(NAMES)
EVENTS = st.one_of(
    st.builds(ev.Armed),
    st.builds(ev.Progressed, FIELD, st.integers(0, 19)),
    st.builds(
        ev.Accepted, FIELD, st.sampled_from(["visa", "amex"]), st.just("4242"), st.sampled_from(["", "12.50"])
    ),
    st.builds(
        ev.TakenOver,
        st.lists(st.builds(ev.Accepted, FIELD, st.just("visa"), st.just("4242")), max_size=4).map(tuple),
    ),
    st.builds(ev.Rejected, FIELD, st.sampled_from(list(RejectReason))),
    st.builds(ev.FieldLost, FIELD),
    st.builds(ev.FieldFailed, FIELD),
    st.builds(ev.Undone, FIELD, st.integers(0, 19), st.sampled_from([0, 16])),
    st.builds(ev.RepeatAsked),
    st.builds(ev.Chosen, st.integers(-1, 11)),
    st.builds(ev.ChoiceRejected, st.sampled_from(list(ev.ChoiceFault))),
    st.builds(ev.AgentKeyPressed),
    st.builds(ev.PromptDone),
    st.builds(ev.ChargeAnswered, st.sampled_from(list(ev.ChargeOutcome)), st.just("A1B2C3")),
    st.builds(ev.HookAnswered, st.sampled_from(list(ev.HookOutcome)), st.just((("balance", "10.00"),))),
    st.builds(ev.TransferFailed),
    st.builds(ev.TransferDone),
    st.builds(ev.AgentRedo),
    st.builds(ev.FieldRequested, FIELD),
    st.builds(ev.AgentCancelled),
    st.builds(ev.AgentChose),
    st.builds(ev.CallerGone),
    st.builds(ev.Resumed, st.lists(FIELD, max_size=3).map(tuple)),
    st.builds(ev.TimerFired, st.sampled_from(list(ev.Timers)), st.integers(0, 30)),
    st.builds(ev.QualityHinted, st.sampled_from(list(ev.Hint))),
    st.builds(ev.GatewayChanged, st.booleans()),
    st.builds(ev.CaptureEnded, st.sampled_from(list(CaptureResult))),
)
FLOW = st.sampled_from(sorted(EVERY))


RUNS = st.lists(st.one_of(st.integers(0, 3), st.integers(0, 3), EVENTS), max_size=120)
"""Numbers stand for what a caller would do next, so that runs come far; the rest is whatever happens."""


def plausible(state, choice):
    """What would bring this step forward."""
    return {
        "collect": ev.Accepted(state.at.field, "visa", "4242", "12.50"),
        "money": ev.ChargeAnswered(list(ev.ChargeOutcome)[choice]),
        "http": ev.HookAnswered(list(ev.HookOutcome)[choice % 2], (("balance", "1.00"),)),
        "transfer": ev.TransferFailed(),
        "menu": ev.Chosen(choice % max(len(state.at.options), 1)),
    }.get(state.at.kind, ev.PromptDone())


def walk(name, events):
    """Every state and the commands that led to it."""
    state, commands = begin(EVERY[name], INPUTS)
    yield None, state, commands
    for happening in events:
        event = plausible(state, happening) if isinstance(happening, int) else happening
        try:
            after, commands = advance(state, event)
        except InvariantError:
            continue
        yield state, after, commands
        state = after


@given(FLOW, RUNS)
@settings(max_examples=150, deadline=None)
def test_every_event_in_every_state_is_handled_or_refused(name, events):
    """Nothing but a typed error leaves advance, and a refused event changes nothing."""
    state, _ = begin(EVERY[name], INPUTS)
    for happening in events:
        event = plausible(state, happening) if isinstance(happening, int) else happening
        before = state.saved()
        try:
            state, _ = advance(state, event)
        except InvariantError:
            assert state.saved() == before


def test_every_step_kind_says_what_it_does_with_every_event():
    """A pair that is missing is refused by a typed error: here is which those are."""
    refused = {
        (kind, event.__name__)
        for kind, row in HANDLERS.items()
        for event in ev.Event.__args__
        if event not in row
    }

    others = {"collect", "menu", "play", "http", "money"}
    wanted = {(kind, event) for kind in others for event in ("TransferDone", "TransferFailed")}
    wanted |= {(kind, "ChargeAnswered") for kind in ("collect", "menu", "http", "transfer")}
    wanted |= {(kind, "AgentChose") for kind in ("collect", "play", "http", "transfer", "money")}
    assert refused == wanted | {("money", "AgentCancelled"), ("money", "FieldRequested")}


@pytest.mark.parametrize("name", sorted(EVERY))
def test_every_compiled_step_has_a_row_for_every_event_and_a_beginning(name):
    """A pair that nobody thought of is refused by the row, never by a KeyError."""
    program = EVERY[name]

    for step in [*program.steps.values(), *program.implicit.values()]:
        assert set(step.row) == set(ev.Event.__args__)
        assert callable(step.begin)


@given(FLOW, RUNS)
@settings(max_examples=100, deadline=None)
def test_what_was_worked_out_for_one_call_says_nothing_of_it_in_the_next(name, events):
    """Prompts are worked out once for all calls: no amount or last4 of one may be kept there for another."""
    for _ in walk(name, events):
        pass

    kept = [saying for step in EVERY[name].steps.values() for saying in step.said.values()]
    assert kept
    assert not any(isinstance(piece, Value) for saying in kept for piece in saying.pieces)
    plays = [command for saying in kept for command in saying.commands if isinstance(command, Play)]
    assert not any(isinstance(piece, Value) for play in plays for piece in play.pieces)


@given(FLOW, RUNS)
@settings(max_examples=100, deadline=None)
def test_nothing_counts_as_taken_over_that_is_not_held(name, events):
    for _, state, _ in walk(name, events):
        assert state.taken <= state.accepted


@given(FLOW, RUNS)
@settings(max_examples=150, deadline=None)
def test_the_mask_is_on_until_the_end(name, events):
    for _, state, commands in walk(name, events):
        assert state.masking or state.over
        if any(isinstance(command, Collect | OpenMenu | Charge) for command in commands):
            assert state.masking or state.over


@given(FLOW, RUNS)
@settings(max_examples=100, deadline=None)
def test_commands_are_told_without_a_digit_of_a_card(name, events):
    """But for last4, amounts, times and what the flow's file says, there is nothing to hold one."""
    for _, state, commands in walk(name, events):
        text = msgspec.json.encode([msgspec.to_builtins(command) for command in commands]).decode()
        assert longest_run(text) <= 8
        assert longest_run(msgspec.json.encode(state.saved().counts).decode()) <= 3


def longest_run(text):
    longest = run = 0
    for character in text:
        run = run + 1 if character.isdigit() else 0
        longest = max(longest, run)
    return longest


@given(FLOW, RUNS)
@settings(max_examples=150, deadline=None)
def test_what_was_sent_is_answered_before_anything_else_is_asked(name, events):
    """From a charge the flow goes on by its answer, by time, or by the end of the capture; never by an agent."""
    for before, state, _ in walk(name, events):
        if before is not None and before.in_flight and state.step != before.step:
            assert "result.outcome" in state.values or state.over


@given(FLOW, RUNS)
@settings(max_examples=150, deadline=None)
def test_once_money_moved_no_card_is_asked_for_and_no_exit_says_failed(name, events):
    for before, _, commands in walk(name, events):
        if before is None or not before.settled:
            continue
        assert not any(isinstance(command, Charge) for command in commands)
        assert not any(isinstance(c, Exit) and c.result in ("failed", "cancelled") for c in commands)
        assert not any(isinstance(c, Collect) for c in commands)


@pytest.mark.parametrize("name", sorted(EVERY))
@pytest.mark.parametrize("lasting", [ev.PromptDone(), ev.Chosen(1), ev.Chosen(0)])
def test_every_flow_ends(name, lasting):
    """A caller who never stops, a gateway that always refuses: the limits end it."""
    state, _ = begin(EVERY[name], INPUTS)
    for turn in range(VISITS_MAX * 4):
        if state.over:
            break
        kind = state.at.kind
        event = {
            "collect": ev.Accepted(state.at.field, "visa", "4242", "12.50"),
            "money": ev.ChargeAnswered(ev.ChargeOutcome.DECLINED),
            "http": ev.HookAnswered(
                ev.HookOutcome.OK if turn % 2 else ev.HookOutcome.NOT_FOUND, (("balance", "1.00"),)
            ),
            "transfer": ev.TransferFailed(),
            "menu": lasting if isinstance(lasting, ev.Chosen) else ev.Chosen(0),
        }.get(kind, ev.PromptDone())
        state, _ = advance(state, event)

    assert state.over
    assert state.visits <= VISITS_MAX + 1


@given(FLOW, RUNS)
@settings(max_examples=100, deadline=None)
def test_a_stored_run_survives_the_store(name, events):
    """Through JSON and back; the run stands in the same step, masked."""
    for _, state, _ in walk(name, events):
        if state.over:
            return
        saved = state.saved()
        again = msgspec.json.decode(msgspec.json.encode(saved), type=type(saved))
        back = restore(EVERY[name], again, INPUTS)
        assert (back.step, back.visits, back.language) == (state.step, state.visits, state.language)
        assert back.masking


def test_a_refusal_is_typed():
    state, _ = begin(EVERY["card-payment-agent"], INPUTS)

    with pytest.raises(EventRefusedError):
        advance(state, ev.ChargeAnswered(ev.ChargeOutcome.APPROVED))
