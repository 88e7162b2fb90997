"""The schema editors complete from, the drawings, and the inputs a flow is told."""

import json
import re

import jsonschema
import pytest
from ruamel.yaml import YAML

from dtmf_shield.base.errors import OperatorError
from dtmf_shield.flow.graph import as_data, as_mermaid, as_text
from dtmf_shield.flow.inputs import accept_inputs
from dtmf_shield.flow.language.steps import targets_of
from dtmf_shield.flow.schema import EDITOR_LINE, SCHEMA_FILE, json_schema, json_schema_text
from tests.unit.flow.shipped import DIRECTORY, FLOWS, INPUTS, TEXTS

UPDATE = f"dtmf-shield flow schema --out ivr_flows/{SCHEMA_FILE}"
VALIDATOR = jsonschema.Draft202012Validator(json_schema())


def data_of(text):
    return YAML(typ="safe", pure=True).load(text)


def test_the_shipped_schema_is_that_of_the_models():
    assert (DIRECTORY / SCHEMA_FILE).read_text("utf-8") == json_schema_text(), f"run: {UPDATE}"


@pytest.mark.parametrize("name", TEXTS)
def test_shipped_flows_point_to_the_schema_and_keep_it(name):
    assert TEXTS[name].startswith(EDITOR_LINE)
    assert [error.message for error in VALIDATOR.iter_errors(data_of(TEXTS[name]))] == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("attempts: 3", "atempts: 3"),
        ("attempts: 3", "attempts: 30"),
        ("do: tokenize", "do: tokenise"),
        ("type: card_number", "type: card_nmber"),
        ("first_digit_timeout: 20s", "first_digit_timeout: 20"),
        ("undo: star", "undo: up"),
    ],
)
def test_an_editor_sees_a_mistake_too(old, new):
    text = TEXTS["card-tokenize-agent"].replace(old, new, 1)

    assert list(VALIDATOR.iter_errors(data_of(text)))


def test_every_key_has_a_word_in_the_editor():
    silent = [
        f"{model}.{key}"
        for model, definition in json_schema()["$defs"].items()
        for key, form in definition.get("properties", {}).items()
        if key not in ("do", "type", "next", "prompts")
        and "description" not in json.dumps(form)
        and "$ref" not in form
    ]

    assert len(silent) <= 30, silent


@pytest.mark.parametrize("name", TEXTS)
def test_a_drawing_has_every_step_and_every_way(name):
    flow = FLOWS[name]
    ways = {(step, target) for step, model in flow.steps.items() for target in targets_of(model).values()}

    data = as_data(flow)
    mermaid = as_mermaid(flow)
    assert {node["name"] for node in data["nodes"]} == set(flow.steps)
    assert {(edge["from"], edge["to"]) for edge in data["edges"]} == ways
    assert set(re.findall(r"s_(\w+) -->\|.*\| s_(\w+)", mermaid)) == ways
    listed = as_text(flow)
    assert all(f"\n{step}: {model.do}" in listed for step, model in flow.steps.items())
    assert len(re.findall(r"(?m)^  .* -> \w+$", listed)) == len(data["edges"])


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("amount", "0.10", "at least 0.50"),
        ("amount", "9999.00", "at most 5000.00"),
        ("amount", "12,50", 'money as "12.50"'),
        ("currency", "USD", "one of GBP, EUR"),
        ("reference", "a b", "matches"),
        ("reference", "4242424242424242", "might be a card number"),
        ("reference", "4242-4242-4242-4242", "might be a card number"),
        ("amout", "1.00", "did you mean amount?"),
    ],
)
def test_an_input_that_does_not_fit_is_refused_without_its_value(name, value, says):
    given = {key: INPUTS[key] for key in ("amount", "currency", "reference")} | {name: value}

    with pytest.raises(ExceptionGroup) as caught:
        accept_inputs(FLOWS["card-payment-agent"], given)

    (error,) = caught.value.exceptions
    assert isinstance(error, OperatorError)
    assert says in str(error)
    assert "4242" not in str(error)


def test_an_input_that_is_missing_is_named():
    with pytest.raises(ExceptionGroup) as caught:
        accept_inputs(FLOWS["card-payment-agent"], {"amount": "1.00", "currency": "GBP"})

    assert [str(error) for error in caught.value.exceptions] == [
        "input reference: is needed by the flow card-payment-agent"
    ]
