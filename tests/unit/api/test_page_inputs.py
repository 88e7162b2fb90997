"""What a flow must be told, as the agent's page asks for it: fields, rules in words, and what their values become."""

from __future__ import annotations

import json
from typing import Any

from page_node import run

INPUTS = "agent/inputs.js"


def an_input(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": "text", "required": True, "allowed": [], "min": None, "max": None, **more}


def test_a_field_is_shown_for_each_needed_input_but_the_reference() -> None:
    inputs = [an_input("reference"), an_input("customer"), an_input("note", required=False)]
    flow = json.dumps({"inputs": inputs})

    asked, needed, none = run(
        INPUTS, f"[m.askedInputs({flow}), m.needsReference({flow}), m.askedInputs(undefined)]"
    )

    assert [one["name"] for one in asked] == ["customer"]
    assert needed is True
    assert none == []


def test_what_is_typed_becomes_inputs_and_the_first_that_is_missing_is_named() -> None:
    asked = json.dumps([an_input("customer"), an_input("kind")])

    whole = run(INPUTS, f'm.toldInputs({asked}, {{customer: " C1 ", kind: "old"}}, "R1")')
    part = run(INPUTS, f'm.toldInputs({asked}, {{customer: " "}}, "")')

    assert whole == [{"reference": "R1", "customer": "C1", "kind": "old"}, ""]
    assert part == [{}, "customer"]


def test_an_amount_typed_with_a_comma_is_the_same_amount() -> None:
    asked = json.dumps([an_input("amount", type="money")])
    typed = ["42,50", "42.50", "42,5", "1,000", "1.000,00"]

    told = run(
        INPUTS, f'{json.dumps(typed)}.map((one) => m.toldInputs({asked}, {{amount: one}}, "")[0].amount)'
    )

    assert told == ["42.50", "42.50", "42.5", "1,000", "1.000,00"]


def test_a_flow_that_needs_an_amount_is_offered_where_it_says_how_to_ask() -> None:
    asks = {"needs_amount": True, "inputs": [an_input("amount", type="money")]}
    silent = {"needs_amount": True, "inputs": []}
    none = {"needs_amount": False, "inputs": []}

    offered = run(INPUTS, f"{json.dumps([asks, silent, none])}.map(m.mayBeStarted)")

    assert offered == [True, False, True]


def test_rules_and_labels_are_words_of_the_readers_language() -> None:
    money = json.dumps(an_input("amount", type="money", min="0.50", max="9.00"))
    shown = f'[m.ruleOf({money}), m.labelOf("customer_number"), m.labelOf("amount")]'

    assert run(INPUTS, shown) == [
        "An amount such as 12.50, at least 0.50, at most 9.00",
        "Customer number",
        "Amount",
    ]
    assert run(INPUTS, shown, "de") == [
        "Ein Betrag wie 12,50, mindestens 0,50, höchstens 9,00",
        "Customer number",
        "Betrag",
    ]


def test_what_was_told_is_told_again_only_where_no_money_can_have_moved() -> None:
    capture = {"amount_minor": 4250, "currency": "GBP", "reference": "88-1932"}
    results = ["declined", "cancelled", "approved", "unknown", "token"]
    captures = [{**capture, "outcome": {"result": result}} for result in results]
    captures.append({**capture, "currency": "JPY", "outcome": {"result": "declined"}})

    told = run(INPUTS, f"{json.dumps(captures)}.map(m.againInputs)")

    again = {"money": "42.50", "currency": "GBP", "reference": "88-1932"}
    assert told == [again, again, None, None, None, {**again, "money": "4250", "currency": "JPY"}]
