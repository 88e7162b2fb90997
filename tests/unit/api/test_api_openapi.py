"""The committed OpenAPI document is the one the code makes."""

from __future__ import annotations

import json
from pathlib import Path

from dtmf_shield.api.openapi import openapi_text

GOLDEN = Path(__file__).parents[2] / "golden" / "openapi.json"
WITHOUT_KEY = {
    "/v1/login",
    "/v1/logout",
    "/v1/password",
    "/v1/account/password",
    "/v1/account/second-factor",
    "/v1/account/second-factor/confirm",
    "/v1/account/second-factor/remove",
    "/v1/account/sessions/commands",
}
"""A password must not lie in a table of answers, and twice is once."""
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
    paths = json.loads(openapi_text())["paths"]
    posts = {path: entry["post"] for path, entry in paths.items() if "post" in entry}

    assert set(posts) >= WITHOUT_KEY
    assert "/v1/captures/{capture_id}/commands" in posts
    for path, post in posts.items():
        required = {entry["name"] for entry in post.get("parameters", []) if entry["required"]}
        assert ("idempotency-key" in required) is (path not in WITHOUT_KEY), path


def _references(node: object) -> list[str]:
    if isinstance(node, dict):
        here = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return here + [found for value in node.values() for found in _references(value)]
    if isinstance(node, list):
        return [found for value in node for found in _references(value)]
    return []
