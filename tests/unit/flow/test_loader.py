"""A mistake in a flow file is told with file, line, column, what was found, what is allowed and what may be meant."""

import pytest

from dtmf_shield.base.errors import ConfigurationError
from dtmf_shield.flow.engine import compile_flow
from dtmf_shield.flow.language.flow import CAPTURE_MARGIN_MS, CAPTURE_MS_MAX
from dtmf_shield.flow.loader import load_flow, read_flow
from tests.unit.flow.shipped import FLOWS, TEXTS

TEXT = TEXTS["card-tokenize-agent"]
BILL = TEXTS["card-payment-self-service"]


def findings_of(text):
    return read_flow(text, file="f.yaml")[1]


def changed(old, new, text=TEXT):
    """The text with one change, and the line it is in."""
    assert text.count(old) >= 1
    return text.replace(old, new, 1), text[: text.index(old)].count("\n") + 1


@pytest.mark.parametrize("name", TEXTS)
def test_shipped_flows_have_no_finding_at_all(name):
    assert findings_of(TEXTS[name]) == []


@pytest.mark.parametrize(
    ("old", "new", "key", "says"),
    [
        # Spelling, with the word that was meant.
        ("attempts: 3", "atempts: 3", "defaults.atempts", "did you mean attempts?"),
        ("do: tokenize", "do: tokenise", "steps.store.do", "did you mean tokenize?"),
        ("type: expiry", "type: expirey", "fields.expiry.type", "did you mean expiry?"),
        ("undo: star", "undo: sta", "defaults.keys.undo", "did you mean star?"),
        ("ok: expiry", "ok: expirey", "steps.card.next.ok", "did you mean expiry?"),
        ("field: cvv", "field: cvc", "steps.cvv.field", "did you mean cvv?"),
        # Values out of range, and outcomes that are missing or none of this step.
        ("attempts: 3", "attempts: 30", "defaults.attempts", "less than or equal to 10"),
        ("failed: hand_back, agent", "agent", "steps.card", "failed"),
        ("ok: expiry,", "ok: expiry, paid: done,", "steps.card.next.paid", "agent_redo"),
        ("type: card_number", "type: card_number, length: [11]", "fields.pan.length.0", "12"),
        ("id: card-tokenize-agent\n", "", "id", "Name by which the flow is started"),
        # Traps of YAML.
        ("undo: star}", "undo: #}", "", "write: hash"),
        ("undo: star}", "undo: *}", "", "write: star"),
        ("field: cvv", "field: &a cvv", "steps.cvv.field", "anchors are refused"),
        ("field: cvv", "field: !!str cvv", "steps.cvv.field", "tags are refused"),
        ("title: Card on file, agent stays on the line", "title: 0123", "title", '"0123" in quotes'),
        ("first_digit_timeout: 20s", "first_digit_timeout: 1:30", "defaults.first_digit_timeout", "15s"),
        ("first_digit_timeout: 20s", "first_digit_timeout: 20", "defaults.first_digit_timeout", "15s"),
        ("start: card", "start: card\nstart: card", "start", "each key once"),
        ("attempts: 3", "attempts: 3\n  barge_in: no", "defaults.barge_in", "true or false"),
        ("type: expiry", "type: amount, currency: GBP, max: 0.50", "fields.expiry.max", '"0.50" in quotes'),
    ],
)
def test_a_mistake_is_told_with_its_place(old, new, key, says):
    text, _ = changed(old, new)

    found = findings_of(text)

    named = [finding for finding in found if not key or finding.key == key]
    assert named, [str(finding) for finding in found]
    assert any(says in str(finding) for finding in named), [str(finding) for finding in named]


@pytest.mark.parametrize(
    ("old", "new", "column"),
    [("attempts: 3", "atempts: 3", 3), ("attempts: 3", "attempts: 30", 13), ("ok: expiry", "ok: nope", 16)],
)
def test_line_and_column_are_those_of_the_word(old, new, column):
    text, line = changed(old, new)

    (finding,) = findings_of(text)

    assert (finding.line, finding.column) == (line, column)
    assert str(finding).startswith(f"f.yaml:{line}:{column}: error: ")


def test_a_bare_hash_in_a_block_is_told_as_what_it_is():
    text, line = changed("  keys: {submit: hash, undo: star}", "  keys:\n    submit: #")

    (finding,) = findings_of(text)

    assert finding.line == line + 1
    assert "the word hash" in str(finding)


def test_digits_of_a_menu_are_quoted():
    text, line = changed(
        'keys: {"1": store, "2": other_card}', "keys: {1: store, 2: other_card}", TEXTS["card-on-file"]
    )

    found = findings_of(text)

    assert {finding.line for finding in found} == {line}
    assert any('in quotes: "1"' in str(finding) for finding in found)


def test_every_mistake_is_told_at_once():
    text = TEXT.replace("attempts: 3", "atempts: 3").replace("type: expiry", "type: expirey")

    assert {finding.key for finding in findings_of(text)} == {"defaults.atempts", "fields.expiry.type"}


def test_words_and_signs_for_keys_are_both_taken():
    text, _ = changed("{submit: hash, undo: star}", '{submit: "#", undo: "*"}')

    flow = load_flow(text, file="f.yaml")

    assert (flow.defaults.keys.submit, flow.defaults.keys.undo) == ("hash", "star")


def test_yaml_is_1_2_where_on_and_no_are_words():
    text, _ = changed("title: Card on file, agent stays on the line", "title: no")

    assert load_flow(text, file="f.yaml").title == "no"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "- a\n- b",
        "a",
        "flow: v1",
        "\t",
        "{",
        "a: " + "[" * 200 + "]" * 200,
        "x: y\n" * 60_000,
        "a: &a [*a]",
        "\0",
    ],
)
def test_what_is_no_flow_is_a_finding_and_never_a_traceback(text):
    flow, found = read_flow(text, file="f.yaml")

    assert flow is None
    assert found


def test_loading_raises_every_error_as_an_operators_error():
    with pytest.raises(ExceptionGroup) as caught:
        load_flow(TEXT.replace("attempts: 3", "atempts: 3"), file="f.yaml")

    (error,) = caught.value.exceptions
    assert isinstance(error, ConfigurationError)
    assert "f.yaml:" in str(error)


def test_step_keys_are_merged_over_the_defaults_key_by_key():
    """Plain override would drop the agent key."""
    flow = FLOWS["card-payment-self-service"]
    own = flow.steps["account"].model_copy(
        update={"keys": flow.defaults.keys.model_copy(update={"agent": None})}
    )

    assert own.keys.over(flow.defaults.keys).agent == "0"


def test_capture_specs_carry_what_cde_needs():
    spec = FLOWS["card-payment-self-service"].capture_spec()

    by_name = {field.name: field for field in spec.fields}
    assert (by_name["account"].length_min, by_name["account"].length_max) == (8, 11)
    assert not by_name["account"].sensitive
    assert (by_name["amount"].value_min, by_name["amount"].value_max, by_name["amount"].currency) == (
        100,
        200_000,
        "GBP",
    )
    assert by_name["pan"].brands == ("visa", "mastercard", "amex")


def test_capture_outlives_its_flow_by_a_margin_and_is_bounded_without_a_duration():
    """cde ends a capture only where the flow should have: each step has its own time."""
    flow = FLOWS["card-payment-self-service"]
    spec = flow.capture_spec()
    endless = flow.model_copy(update={"max_duration": None})

    assert spec.total_timeout_ms == flow.max_duration.time + CAPTURE_MARGIN_MS
    assert endless.capture_spec().total_timeout_ms == CAPTURE_MS_MAX


def test_agent_key_is_a_key_like_any_other_in_a_step_that_leads_to_no_agent():
    """cde would close the field or menu, and the flow would not know where to go."""
    program = compile_flow(FLOWS["card-payment-self-service"])
    agents = {
        name: step.patience.agent
        for name, step in program.steps.items()
        if step.kind in ("collect", "menu") and step.patience
    }

    assert {name for name, key in agents.items() if key == "0"} == {
        name for name, step in program.steps.items() if "agent_key" in step.next
    }
    assert set(agents.values()) == {"0", "none"}


def test_brands_are_those_of_the_iin_table():
    import tomllib
    from pathlib import Path

    import dtmf_shield
    from dtmf_shield.flow.language.fields import BRANDS, FIXED_LENGTH_BRANDS

    table = tomllib.loads((Path(dtmf_shield.__file__).parent / "cde" / "iin.toml").read_text())["brands"]

    assert tuple(table) == BRANDS
    assert tuple(name for name, brand in table.items() if len(brand["lengths"]) == 1) == FIXED_LENGTH_BRANDS
