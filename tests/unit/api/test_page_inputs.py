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


def test_a_value_that_breaks_a_rule_is_found_before_it_is_sent_and_a_pattern_is_left_to_the_service() -> None:
    money = an_input("amount", type="money", min="0.50", max="500.00", length=12)
    currency, digits = (
        an_input("currency", type="currency", length=3),
        an_input("number", type="digits", length=9),
    )
    text, choice = (
        an_input("customer", length=32, pattern="[A-Z]{3}"),
        an_input("plan", allowed=["a", "b"], length=9),
    )
    tried = [
        (money, ["0.50", "500", "12.5", "0.49", "500.01", "12,50,1", "1.2345", "-1", "ten"]),
        (currency, ["GBP", "gbp", "GB", "GBPX"]),
        (digits, ["123", "12a", "1234567890"]),
        (text, ["ABC", "whatever", "4242-4242-4242", "x" * 33]),
        (choice, ["a", "c"]),
    ]

    found = run(
        INPUTS, f"{json.dumps(tried)}.map(([input, values]) => values.map((one) => m.unfit(input, one)))"
    )

    assert found == [
        [False] * 3 + [True] * 6,
        [False] + [True] * 3,
        [False] + [True] * 2,
        [False] * 2 + [True] * 2,
        [False, True],
    ]


def test_what_is_refused_is_said_with_its_rule_in_the_readers_language() -> None:
    money = an_input("amount", type="money", min="0.50", max="9.00")
    words = f"{json.dumps([money, an_input('customer', pattern='[A-Z]{3}')])}.map(m.unfitWords)"

    assert run(INPUTS, words) == [
        "Amount is not taken. An amount such as 12.50, at least 0.50, at most 9.00.",
        "Customer is not taken. Never a card number, of the form [A-Z]{3}.",
    ]
    assert run(INPUTS, words, "de")[0] == (
        "Betrag: nicht angenommen. Ein Betrag wie 12,50, mindestens 0,50, höchstens 9,00."
    )


def test_of_the_services_findings_only_the_names_of_inputs_are_taken() -> None:
    findings = [
        "input amount: at least 0.50",
        "input customer: text that matches [A-Z]{3}",
        "input amount: x",
        "input 4242: y",
        "an input that the flow has not",
    ]

    assert run("agent/command.js", f"m.inputsOf({json.dumps(findings)})") == ["amount", "customer"]
