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
    FieldLost,
    FieldRequested,
    Submit,
    advance,
    begin,
)
from dtmf_shield.flow.loader import load_flow
from dtmf_shield.model.capture import CaptureResult, FieldKind, ResetKeys, SubmitKey, UndoKey
from dtmf_shield.model.payment import OperationKind

FILE = Path(__file__).parents[3] / "ivr_flows" / "card-tokenize-agent.yaml"
TEXT = FILE.read_text()
FLOW = load_flow(TEXT, file="card.yaml")
CHARGE_TEXT = FILE.with_name("card-charge-agent.yaml").read_text()
CHARGE = load_flow(CHARGE_TEXT, file="charge.yaml")


def test_the_shipped_flow_runs_to_a_token():
    state, commands = begin(FLOW)
    seen = [commands]
    for event in (*map(FieldAccepted, ("pan", "expiry", "cvv")), CaptureEnded(CaptureResult.TOKEN)):
        state, commands = advance(state, event)
        seen.append(commands)

    assert seen == [
        (Collect("pan"),), (Collect("expiry"),), (Collect("cvv"),), (Submit(),), (Exit("tokenized"),),
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


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (CaptureResult.APPROVED, "paid"),
        (CaptureResult.DECLINED, "failed"),
        (CaptureResult.VELOCITY, "failed"),
        (CaptureResult.ACTION_REQUIRED, "failed"),
        (CaptureResult.GATEWAY_UNREACHABLE, "failed"),
        (CaptureResult.UNKNOWN, "unknown"),
        (CaptureResult.CALLER_GONE, "cancelled"),
    ],
)
def test_the_shipped_payment_charges_and_every_end_has_its_exit(result, said):
    state, _ = begin(CHARGE)
    for name in ("pan", "expiry", "cvv"):
        state, commands = advance(state, FieldAccepted(name))
    assert commands == (Submit(OperationKind.CHARGE),)

    state, commands = advance(state, CaptureEnded(result))

    assert commands == (Exit(said),)
    if result is CaptureResult.ACTION_REQUIRED:
        assert state.step == "other_card"


def test_a_step_that_wants_another_card_is_a_decline_where_the_step_knows_no_such_outcome():
    state, _ = begin(FLOW)
    for name in ("pan", "expiry", "cvv"):
        state, _ = advance(state, FieldAccepted(name))
    assert advance(state, CaptureEnded(CaptureResult.ACTION_REQUIRED))[0].step == "hand_back"


def test_a_field_lost_meanwhile_is_collected_again_before_anything_is_sent():
    state, _ = begin(FLOW)
    for name in ("cvv", "pan"):
        state, _ = advance(state, FieldAccepted(name))
    state, _ = advance(state, FieldLost("cvv"))
    state, commands = advance(state, FieldAccepted("expiry"))
    assert commands == (Collect("cvv"),)

    state, _ = begin(FLOW)
    for name in ("pan", "expiry"):
        state, _ = advance(state, FieldAccepted(name))
    state, _ = advance(state, FieldLost("expiry"))
    state, commands = advance(state, FieldAccepted("cvv"))
    assert commands == (Collect("expiry"),)
    assert advance(state, FieldAccepted("expiry"))[1] == (Submit(),)


def test_an_amount_is_said_by_whoever_starts_or_by_the_flow():
    assert (FLOW.moves_money, FLOW.needs_amount) == (False, False)
    assert (CHARGE.moves_money, CHARGE.needs_amount) == (True, True)

    fixed = load_flow(
        CHARGE_TEXT.replace("start: card", "amount: {minor: 1050, currency: EUR}\nstart: card"), file="x"
    )
    assert (fixed.needs_amount, fixed.amount.minor, fixed.amount.currency) == (False, 1050, "EUR")


def test_every_kind_of_field_and_the_keys_reach_the_capture():
    fields = """fields:
  pan:     {type: card_number, label: Card, brands: [visa], lengths: [16]}
  expiry:  {type: expiry, label: Expiry}
  cvv:     {type: security_code, label: Code, optional: true}
  zip:     {type: postal_code, label: Postal code, length_min: 5, length_max: 5}
  iban:    {type: iban, label: IBAN, country: DE}
  born:    {type: date_of_birth, label: Born, format: mmddyyyy}
  policy:  {type: digits, label: Policy, length_min: 6, length_max: 8, check: mod11}
  floor:   {type: digits, label: Floor, length_max: 2, sensitive: false}
"""
    before, rest = TEXT.split("fields:\n")
    steps = "".join(
        f"  ask_{name}: {{do: collect, field: {name}, next: {{ok: {then}, failed: hand_back}}}}\n"
        for name, then in (
            ("zip", "ask_iban"),
            ("iban", "ask_born"),
            ("born", "ask_policy"),
            ("policy", "ask_floor"),
        )
    )
    text = before + fields + "\nstart: card\n" + rest.split("start: card\n")[1]
    text = text.replace("next: {ok: store", "next: {ok: ask_zip")
    text += steps + "  ask_floor: {do: collect, field: floor, next: {ok: store, failed: hand_back}}\n"
    text = text.replace("undo: star}", "undo: none, reset: none, submit: star}").replace(
        "{submit: hash, ", "{"
    )

    spec = load_flow(text, file="x").capture_spec()

    by_name = {field.name: field for field in spec.fields}
    assert by_name["pan"].lengths == (16,)
    assert (by_name["iban"].kind, by_name["iban"].country) == (FieldKind.IBAN, "DE")
    assert (by_name["zip"].length_min, by_name["cvv"].optional, by_name["floor"].sensitive) == (
        5,
        True,
        False,
    )
    assert (spec.undo, spec.reset, spec.submit) == (UndoKey.NONE, ResetKeys.NONE, SubmitKey.STAR)


EVENTS = st.one_of(
    st.builds(FieldAccepted, st.sampled_from(["pan", "expiry", "cvv"])),
    st.builds(FieldRequested, st.sampled_from(["pan", "expiry", "cvv"])),
    st.builds(FieldLost, st.sampled_from(["pan", "expiry", "cvv"])),
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
        ("submit: hash, undo: star", "submit: star, undo: star", None, "one key cannot do both"),
        ("cvv:    {type: security_code", "cvv2:    {type: security_code", None, "cvv2"),
        ("{type: expiry,", "{type: expiry, sensitive: false,", None, "sensitive is not for"),
        ("{type: expiry,", "{type: card_number,", None, "two fields of the kind card_number"),
        ("{type: security_code,", "{type: iban, country: GB,", None, "letters in its account numbers"),
        ("start: card", "amount: {minor: 5, currency: EUR}\nstart: card", None, "no step charges"),
        ("field: cvv", "field: expiry", None, "never collected: cvv"),
    ],
)
def test_a_mistake_is_named_with_its_place(old, new, line, what):
    with pytest.raises((ExceptionGroup, OperatorError)) as caught:
        load_flow(TEXT.replace(old, new), file="card.yaml")

    errors = caught.value.exceptions if isinstance(caught.value, ExceptionGroup) else (caught.value,)
    text = " ".join(map(str, errors))
    assert what in text
    assert line is None or f"card.yaml:{line}:" in text
