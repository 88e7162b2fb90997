"""Every example of the API in the documents is a request that the OpenAPI document has: path, method, headers, body."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from jsonschema import Draft202012Validator

from dtmf_shield.api.openapi import openapi_text

ROOT = Path(__file__).parents[3]
DOCUMENTS = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
OPENAPI: dict[str, Any] = json.loads(openapi_text())
NAMED = re.compile(r"`(GET|POST|PUT|DELETE|PATCH) (/v1/[^`\s]*)[^`]*`")
"""A route named in a sentence."""
WITH_BODY = re.compile(r"`POST (/v1/[^`\s]*)`[^`{]*((?:[a-z\s,;()]*`\{[^`]*\}`)+)")
"""A route named in a sentence that goes on with bodies."""


def route_of(method: str, path: str) -> dict[str, Any] | None:
    """Return the operation that a path of an example names, or None."""
    given = [part for part in path.strip("/").split("/") if part]
    for known, methods in OPENAPI["paths"].items():
        parts = known.strip("/").split("/")
        same = len(parts) == len(given) and all(
            ours == theirs or (ours.startswith("{") and theirs)
            for ours, theirs in zip(parts, given, strict=True)
        )
        if same and method.lower() in methods:
            found: dict[str, Any] = methods[method.lower()]
            return found
    return None


def body_findings(operation: dict[str, Any], text: str) -> list[str]:
    """Return what the schema of a route has against a body."""
    if "requestBody" not in operation:
        return ["takes no body"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    validator = Draft202012Validator({**schema, "components": OPENAPI["components"]})
    return [error.message for error in validator.iter_errors(json.loads(text))]


def query_findings(operation: dict[str, Any], query: str) -> list[str]:
    known = {one["name"] for one in operation.get("parameters", []) if one["in"] == "query"}
    return [
        f"no parameter {name}" for name, _ in parse_qsl(query, keep_blank_values=True) if name not in known
    ]


def commands(text: str) -> Iterator[str]:
    """Return each curl of the blocks of code, its continued lines as one."""
    for block in re.findall(r"```(?:sh|bash)?\n(.*?)```", text, re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            found = re.search(r"\bcurl\b", line)
            if found:
                yield line[found.start() :]


def examples() -> Iterator[tuple[str, str]]:
    for document in DOCUMENTS:
        for command in commands(document.read_text("utf-8")):
            if "/v1/" in command:
                yield document.relative_to(ROOT).as_posix(), command


class Asked:
    """One curl, read as curl would."""

    def __init__(self, command: str) -> None:
        lexer = shlex.shlex(command, posix=True, punctuation_chars="|)")
        lexer.whitespace_split = True
        words = []
        for word in lexer:
            if set(word) <= {"|", ")"}:
                break
            words.append(word)
        self.headers: dict[str, str] = {}
        self.body: str | None = None
        self.address = self.method = ""
        self.session = "-b" in words
        for before, word in zip(["", *words], words, strict=False):
            if before in ("-H", "--header"):
                name, _, value = word.partition(":")
                self.headers[name.strip().lower()] = value.strip()
            elif before in ("-d", "--data"):
                self.body = word
            elif before in ("-X", "--request"):
                self.method = word
            elif "/v1/" in word:
                self.address = word
        self.method = self.method or ("GET" if self.body is None else "POST")

    def findings(self) -> list[str]:
        parts = urlsplit(self.address.replace("$API", "http://127.0.0.1:8080"))
        operation = route_of(self.method, parts.path)
        if operation is None:
            return [f"no route {self.method} {parts.path}"]
        found = query_findings(operation, parts.query)
        if self.body is not None:
            found += body_findings(operation, self.body)
            found += ["no Content-Type"] * (self.headers.get("content-type") != "application/json")
        for one in operation.get("parameters", []):
            if one["in"] == "header" and one["required"] and one["name"].lower() not in self.headers:
                found.append(f"no {one['name']}")
        return found


@pytest.mark.parametrize(("document", "command"), list(examples()))
def test_each_curl_asks_what_the_api_answers(document: str, command: str) -> None:
    assert Asked(command).findings() == []


def test_each_route_that_a_sentence_names_is_there() -> None:
    missing = []
    for document in DOCUMENTS:
        for method, address in NAMED.findall(document.read_text("utf-8")):
            parts = urlsplit(address.replace("…", "x"))
            operation = route_of(method, parts.path)
            if operation is None:
                missing.append(f"{document.name}: {method} {address}")
            else:
                missing += [
                    f"{document.name}: {address}: {one}" for one in query_findings(operation, parts.query)
                ]

    assert missing == []


def test_each_body_that_a_sentence_or_a_block_gives_a_route_is_one_that_it_takes() -> None:
    found, seen = [], 0
    for document in DOCUMENTS:
        text = document.read_text("utf-8")
        bodies = [
            (path, body)
            for path, bodies in WITH_BODY.findall(text)
            for body in re.findall(r"`(\{[^`]*\})`", bodies)
        ]
        bodies += re.findall(r"`POST (/v1/[^`\s]*)`[^`]*?\n\n```json\n(.*?)```", text, re.DOTALL)
        for path, body in bodies:
            seen += 1
            operation = route_of("POST", path)
            wrong = ["no such route"] if operation is None else body_findings(operation, body)
            found += [f"{document.name}: {path}: {body}: {one}" for one in wrong]

    assert found == []
    assert seen >= 7


WRONG = {
    "no route POST /v1/call/x": "curl -d '{}' $API/v1/call/x",
    "takes no body": "curl -X GET -d '{}' -H 'Content-Type: application/json' $API/v1/calls",
    "no parameter form": "curl $API/v1/reports/captures?form=csv",
    "no idempotency-key": "curl -d '{}' -H 'Content-Type: application/json' $API/v1/captures/$CAPTURE/pay",
    "no Content-Type": "curl -d '{}' -H 'Idempotency-Key: 12345678' $API/v1/captures/$CAPTURE/pay",
    "'flow' is a required property": "curl -d '{}' -H 'Content-Type: application/json' $API/v1/calls/$CALL/captures",
}


@pytest.mark.parametrize("finding", WRONG)
def test_an_example_that_is_wrong_is_found(finding: str) -> None:
    assert finding in Asked(WRONG[finding]).findings()
