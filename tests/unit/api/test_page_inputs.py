"""The agent page's own logic, run by node: which fields a flow's inputs need, and words for what is not shown."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

STATIC = Path(__file__).parents[3] / "dtmf_shield" / "api" / "static" / "agent"


def run(module: str, expression: str) -> Any:
    script = f"import * as m from {json.dumps((STATIC / module).as_uri())};\n"
    script += f"process.stdout.write(JSON.stringify({expression}));"
    answer = subprocess.run(
        ["node", "--input-type=module", "-e", script], capture_output=True, timeout=30, check=True, text=True
    )
    return json.loads(answer.stdout)


def an_input(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": "text", "required": True, "allowed": [], "min": None, "max": None, **more}


def test_a_field_is_shown_for_each_needed_input_but_the_reference() -> None:
    inputs = [an_input("reference"), an_input("customer"), an_input("note", required=False)]

    asked = run("inputs.js", f"m.askedInputs({json.dumps({'inputs': inputs})})")

    assert [one["name"] for one in asked] == ["customer"]
    assert run("inputs.js", "m.askedInputs(undefined)") == []


def test_what_is_typed_becomes_inputs_and_the_first_that_is_missing_is_named() -> None:
    asked = json.dumps([an_input("customer"), an_input("kind")])

    whole = run("inputs.js", f'm.toldInputs({asked}, {{customer: " C1 ", kind: "old"}}, "R1")')
    part = run("inputs.js", f'm.toldInputs({asked}, {{customer: " "}}, "")')

    assert whole == [{"reference": "R1", "customer": "C1", "kind": "old"}, ""]
    assert part == [{}, "customer"]


def test_rules_and_labels_are_words() -> None:
    money = json.dumps(an_input("amount", type="money", min="0.50", max="9.00"))

    assert run("inputs.js", f"m.ruleOf({money})") == "An amount such as 12.50, at least 0.50, at most 9.00"
    assert run("inputs.js", 'm.labelOf("customer_number")') == "Customer number"


def test_a_count_that_is_not_shown_has_no_words() -> None:
    keying = {"state": "keying", "count": None, "of": None, "of_usual": None}

    assert run("words.js", f"m.fieldWords({json.dumps(keying)})") == ["busy", "Keying"]
    assert run("words.js", f"m.fieldWords({json.dumps({**keying, 'count': 2, 'of': 3})})") == [
        "busy",
        "Keying 2 of 3 digits",
    ]
