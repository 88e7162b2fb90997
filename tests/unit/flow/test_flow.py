"""The first flow language: files are checked whole, and the engine walks every path to an exit."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtmf_shield.base.errors import InvariantError, OperatorError
from dtmf_shield.flow.engine import (
    CaptureEnded,
    Collect,
    Exit,
    FieldAccepted,
    FieldRequested,
    Tokenize,
    advance,
    begin,
)
from dtmf_shield.flow.loader import load_flow
from dtmf_shield.model.capture import CaptureResult

FILE = Path(__file__).parents[3] / "ivr_flows" / "card-tokenize-agent.yaml"
TEXT = FILE.read_text()
FLOW = load_flow(TEXT, file="card.yaml")


def test_the_shipped_flow_runs_to_a_token():
    state, commands = begin(FLOW)
    seen = [commands]
    for event in (*map(FieldAccepted, ("pan", "expiry", "cvv")), CaptureEnded(CaptureResult.TOKEN)):
        state, commands = advance(state, event)
        seen.append(commands)

    assert seen == [
        (Collect("pan"),), (Collect("expiry"),), (Collect("cvv"),), (Tokenize(),), (Exit("tokenized"),),
    ]  # fmt: skip


def test_a_new_card_number_voids_the_security_code_but_not_the_expiry():
    state, _ = begin(FLOW)
    for name in ("pan", "expiry"):
        state, _ = advance(state, FieldAccepted(name))

    state, commands = advance(state, FieldRequested("pan"))
    assert commands == (Collect("pan"),)
    state, commands = advance(state, FieldAccepted("pan"))

    assert commands == (Collect("cvv"),)


def test_unknown_is_not_declined():
    state, _ = begin(FLOW)
    for name in ("pan", "expiry", "cvv"):
        state, _ = advance(state, FieldAccepted(name))

    _, commands = advance(state, CaptureEnded(CaptureResult.UNKNOWN))

    assert commands == (Exit("unknown"),)


EVENTS = st.one_of(
    st.builds(FieldAccepted, st.sampled_from(["pan", "expiry", "cvv"])),
    st.builds(FieldRequested, st.sampled_from(["pan", "expiry", "cvv"])),
    st.builds(CaptureEnded, st.sampled_from(list(CaptureResult))),
)


@given(st.lists(EVENTS, max_size=300))
def test_any_order_of_events_keeps_the_engine_within_its_flow(events):
    state, _ = begin(FLOW)
    for event in events:
        state, commands = advance(state, event)
        assert state.step in FLOW.steps
        assert len(commands) <= 1


def test_a_field_that_the_flow_has_not_is_an_invariant():
    state, _ = begin(FLOW)

    with pytest.raises(InvariantError):
        advance(state, FieldRequested("pin"))


@pytest.mark.parametrize(
    ("old", "new", "line", "what"),
    [
        ("attempts: 3", "atempts: 3", 8, "atempts"),
        ("attempts: 3", "attempts: 30", 8, "attempts"),
        ("first_digit_timeout: 20s", "first_digit_timeout: 20", 9, "duration"),
        ("undo: star}", "undo: #}", None, "YAML"),
        ("undo: star}", "undo: *}", None, "YAML"),
        ("field: cvv", "field: &a cvv", 34, "anchors"),
        ("failed: hand_back}", "failed: nowhere}", None, "nowhere"),
        ("unknown: unknown_result", "unknown: hand_back", None, "result: unknown"),
    ],
)
def test_a_mistake_is_named_with_its_place(old, new, line, what):
    with pytest.raises((ExceptionGroup, OperatorError)) as caught:
        load_flow(TEXT.replace(old, new), file="card.yaml")

    errors = caught.value.exceptions if isinstance(caught.value, ExceptionGroup) else (caught.value,)
    text = " ".join(map(str, errors))
    assert what in text
    assert line is None or f"card.yaml:{line}:" in text
