"""The JSON Schema of the language, for editors: completion, and a word on every key. Generated from the models."""

from __future__ import annotations

import json
from typing import Any, Final

from dtmf_shield.flow.language import Flow
from dtmf_shield.flow.language.words import DURATION_PATTERN

SCHEMA_FILE: Final = "flow.v1.schema.json"
"""Lies beside the flows; their first line points an editor to it."""
EDITOR_LINE: Final = f"# yaml-language-server: $schema=./{SCHEMA_FILE}"


def json_schema() -> dict[str, Any]:
    """Return the schema (JSON Schema 2020-12). It cannot see a bare #, which YAML makes a null: run `flow check`."""
    schema = Flow.model_json_schema()
    for definition in [schema, *schema["$defs"].values()]:
        for form in definition.get("properties", {}).values():
            _write_default_as_a_file_has_it(form)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "dtmf-shield flow: v1",
    }


def _write_default_as_a_file_has_it(form: dict[str, Any]) -> None:
    default = form.get("default")
    if isinstance(default, int) and DURATION_PATTERN in json.dumps(form, ensure_ascii=False).replace(
        "\\\\", "\\"
    ):
        form["default"] = f"{default // 1000}s" if default % 1000 == 0 else f"{default}ms"
    elif isinstance(default, dict):
        del form["default"]  # a block of its own, whose keys have their defaults there


def json_schema_text() -> str:
    """Return the schema as the file has it."""
    return json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n"
