"""The JSON Schema of the language, for editors: completion, and a word on every key. Generated from the models."""

from __future__ import annotations

import json
from typing import Any, Final

from dtmf_shield.flow.language import Flow

SCHEMA_FILE: Final = "flow.v1.schema.json"
"""Lies beside the flows; their first line points an editor to it."""
EDITOR_LINE: Final = f"# yaml-language-server: $schema=./{SCHEMA_FILE}"


def json_schema() -> dict[str, Any]:
    """Return the schema (JSON Schema 2020-12). It cannot see a bare #, which YAML makes a null: run `flow check`."""
    schema = Flow.model_json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "dtmf-shield flow: v1",
    }


def json_schema_text() -> str:
    """Return the schema as the file has it."""
    return json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n"
