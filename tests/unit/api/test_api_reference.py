"""The reference page is the one that the document makes, and its table of roles leaves no route out."""

from __future__ import annotations

import json
from pathlib import Path

from dtmf_shield.api.openapi import openapi_text
from dtmf_shield.api.reference import render, roles

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "api.md"
UPDATE = "python -m dtmf_shield.api.reference > docs/reference/api.md"
FOR_ALL_ROLES = {("GET", "/v1/events"), ("GET", "/v1/captures/{capture_id}/token")}
"""Filtered by what each may see; for programs alone."""


def test_the_page_is_current() -> None:
    same = render() == PAGE.read_text("utf-8")

    assert same, f"the API changed; run: {UPDATE}  and read the difference"


def test_every_route_is_shown_with_an_example() -> None:
    page = PAGE.read_text("utf-8")
    paths = json.loads(openapi_text())["paths"]

    for path, methods in paths.items():
        for method in methods:
            assert f"## `{method.upper()} {path}`" in page
    assert page.count("curl -sS") == sum(len(methods) for methods in paths.values())


def test_every_route_under_v1_names_its_roles() -> None:
    paths = json.loads(openapi_text())["paths"]
    routes = {
        (method.upper(), path)
        for path, methods in paths.items()
        for method in methods
        if path.startswith("/v1/")
    }

    assert routes - set(roles()) <= FOR_ALL_ROLES
    assert roles()["GET", "/v1/audit"] == "auditor"
    assert roles()["POST", "/v1/payments/{operation_id}/refund"] == "supervisor"
