"""Runs an expression over one of the pages' JavaScript modules in node, with the words of a language."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

STATIC = Path(__file__).parents[3] / "dtmf_shield" / "api" / "static"
RUN_S = 60


def run(module: str, expression: str, language: str = "en") -> Any:
    """``m`` is the module, ``i18n`` the shared words. Maps come back as lists of pairs."""
    words = (STATIC / "i18n" / f"{language}.json").read_text("utf-8")
    script = (
        f"import * as m from {json.dumps((STATIC / module).as_uri())};\n"
        f"import * as i18n from {json.dumps((STATIC / 'shared' / 'i18n.js').as_uri())};\n"
        f"i18n.useWords({words}, {json.dumps(language)});\n"
        "const plain = (key, value) => value instanceof Map ? [...value] : value;\n"
        f"process.stdout.write(JSON.stringify({expression}, plain) ?? 'null');"
    )
    answer = subprocess.run(
        ["node", "--input-type=module", "-e", script],
        capture_output=True,
        timeout=RUN_S,
        check=False,
        text=True,
    )
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)


def a_field(name: str = "pan", state: str = "idle", **more: Any) -> dict[str, Any]:
    kinds = {"pan": "card_number", "expiry": "expiry", "cvv": "security_code"}
    return {
        "field": name,
        "kind": kinds[name],
        "label": name,
        "named": False,
        "state": state,
        "count": 0,
        "of": None,
        "of_usual": None,
        "masked": "",
        "brand": None,
        "last4": None,
        "reason": None,
        "value": None,
        **more,
    }


def a_capture(**more: Any) -> dict[str, Any]:
    return {
        "id": "cap1",
        "call": "c1",
        "flow": "pay",
        "state": "keying",
        "current": "pan",
        "step": "card",
        "can_pay": False,
        "outcome": None,
        "fields": [a_field("pan"), a_field("expiry"), a_field("cvv")],
        **more,
    }


def a_call(**more: Any) -> dict[str, Any]:
    return {"id": "c1", "state": "talking", "shield": {"state": "on"}, "capture": a_capture(), **more}


def a_state(call: dict[str, Any] | None, **more: Any) -> str:
    """A state of the agent's page as JavaScript."""
    whole = {
        "connection": "live",
        "silent": False,
        "service": {"shield": "on", "gateway": "up"},
        "flows": [{"id": "pay", "agent_pays": True}],
        "selected": "c1",
        "confirming": None,
        "told": "",
        "opened": None,
        "pending": [],
        **more,
    }
    calls = json.dumps([["c1", call]] if call else [])
    return f"({{...{json.dumps(whole)}, calls: new Map({calls}), history: new Map(), steps: new Map()}})"
