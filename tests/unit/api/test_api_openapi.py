"""The committed OpenAPI document is the one the code makes."""

from __future__ import annotations

import json
from pathlib import Path

from dtmf_shield.api.openapi import openapi_text

GOLDEN = Path(__file__).parents[2] / "golden" / "openapi.json"
UPDATE = "python -m dtmf_shield.api.openapi > tests/golden/openapi.json"


def test_the_api_is_the_one_that_was_reviewed() -> None:
    same = openapi_text() == GOLDEN.read_text(encoding="utf-8")

    assert same, f"the API changed; where that is meant, run: {UPDATE}  and review the difference"


def test_every_reference_in_the_document_leads_somewhere() -> None:
    document = json.loads(openapi_text())
    schemas = document["components"]["schemas"]

    references = set(_references(document))

    assert references
    assert {reference.removeprefix("#/components/schemas/") for reference in references} <= set(schemas)


def test_every_post_needs_an_idempotency_key() -> None:
    posts = [path["post"] for path in json.loads(openapi_text())["paths"].values() if "post" in path]

    assert posts
    for post in posts:
        required = {entry["name"] for entry in post["parameters"] if entry["required"]}
        assert "idempotency-key" in required


def _references(node: object) -> list[str]:
    if isinstance(node, dict):
        here = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return here + [found for value in node.values() for found in _references(value)]
    if isinstance(node, list):
        return [found for value in node for found in _references(value)]
    return []
