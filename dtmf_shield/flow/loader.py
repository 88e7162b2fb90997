"""Flow files: text to a Flow, or everything that is wrong with it, each with file, line, column and the next step."""

from __future__ import annotations

import re
from functools import cache
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from dtmf_shield.flow.check import check_flow
from dtmf_shield.flow.finding import Finding, Path, Severity, closest, listing
from dtmf_shield.flow.language import Flow
from dtmf_shield.flow.source import Source, parse

FOUND_CHARACTERS_MAX: Final = 60
_TYPES: Final = {
    "string_type": "text",
    "tuple_type": "a list",
    "dict_type": "keys and values",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "model_type": "keys and values",
    "model_attributes_type": "keys and values",
}
"""Pydantic's words for people who write no Python."""
_UNION_TAGS: Final = re.compile(
    r"^(function-|tuple\[|literal\[|constrained-|dict\[|list\[|lax-|\[key\]$|str$|int$|none$)|"
)


def load_flow(text: str, *, file: str) -> Flow:
    """Parse and check one flow. ``file`` is only for messages.

    Raises an ExceptionGroup of ConfigurationError, one an error; warnings do not keep a flow from running.
    """
    flow, findings = read_flow(text, file=file)
    errors = [finding.as_error() for finding in findings if finding.severity is Severity.ERROR]
    if flow is None or errors:
        raise ExceptionGroup(f"{file}: {len(errors)} finding(s)", errors)
    return flow


def read_flow(text: str, *, file: str) -> tuple[Flow | None, list[Finding]]:
    """Return the flow, None where its form is wrong, and every finding in the order of the file."""
    source = parse(text, file=file)
    if source.data is None or source.findings:
        return None, _sorted(source.findings + (_form(source)[1] if source.data is not None else []))
    flow, findings = _form(source)
    if flow is not None:
        findings = [source.located(finding) for finding in check_flow(flow)]
    return flow, _sorted(findings)


def _sorted(findings: list[Finding]) -> list[Finding]:
    unique = {(finding.line, finding.path, finding.rule): finding for finding in reversed(findings)}
    return sorted(unique.values(), key=lambda finding: (finding.line, finding.column, finding.rule))


def _form(source: Source) -> tuple[Flow | None, list[Finding]]:
    try:
        return Flow.model_validate(source.data), []
    except ValidationError as error:
        return None, _per_place([_finding(source, details) for details in error.errors(include_url=False)])


def _per_place(findings: list[Finding]) -> list[Finding]:
    """Where a value fits none of several forms, pydantic names each: one finding a place, what they allow joined."""
    kept: dict[Path, Finding] = {}
    for finding in findings:
        known = kept.get(finding.path)
        if known is None:
            kept[finding.path] = finding
        elif known.rule == finding.rule == "value" and finding.allowed not in known.allowed:
            kept[finding.path] = Finding(
                known.rule, known.path, known.found, f"{known.allowed}, or {finding.allowed}",
                suggestion=known.suggestion or finding.suggestion,
            ).at(known.file, known.line, known.column)  # fmt: skip
    return [made for path, made in kept.items() if not _told_below(path, kept)]


def _told_below(path: Path, kept: dict[Path, Finding]) -> bool:
    """Whether the mistake lies deeper: then this is only a form of the union that it does not fit."""
    return kept[path].rule == "value" and any(
        len(other) > len(path) and other[: len(path)] == path for other in kept
    )


def _finding(source: Source, details: ErrorDetails) -> Finding:
    path, node = _path_in_file(source.data, details["loc"])
    kind, context = details["type"], details.get("ctx", {})
    if kind == "extra_forbidden":
        word = str(path[-1])
        known = _known_keys(source.data, path[:-1])
        made = Finding("unknown-key", path, "an unknown key", listing(known), suggestion=closest(word, known))
        return source.located(made, at_key=True)
    if kind == "missing":
        path = (
            (*path, str(details["loc"][-1])) if str(details["loc"][-1]) not in map(str, path[-1:]) else path
        )
        return source.located(
            Finding("missing-key", path, "nothing", _described(source.data, path)), at_key=True
        )
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        return _wrong_tag(source, path, node, context)
    if details["loc"] and details["loc"][-1] == "[key]":
        allowed = _allowed(kind, details, context)
        return source.located(Finding("value", path, f"the key {path[-1]!r}", allowed), at_key=True)
    return source.located(_wrong_value(source, path, node, details), at_key=node is None)


def _wrong_tag(source: Source, path: Path, node: Any, context: dict[str, Any]) -> Finding:
    tag = str(context.get("discriminator", "do")).strip("'")
    known = _quoted(context.get("expected_tags", "")) or _forms_at(source.data, path)
    found = node.get(tag) if isinstance(node, dict) else node
    if isinstance(node, dict) and tag in node:
        made = Finding(
            "value", (*path, tag), repr(found), listing(known), suggestion=closest(str(found), known)
        )
        return source.located(made)
    return source.located(
        Finding(
            "missing-key",
            path,
            f"no {tag}" if isinstance(node, dict) else repr(found),
            f"{tag}: {listing(known)}",
        )
    )


def _wrong_value(source: Source, path: Path, node: Any, details: ErrorDetails) -> Finding:
    kind, context = details["type"], details.get("ctx", {})
    allowed = _allowed(kind, details, context)
    text = source.texts.get(path)
    suggestion = ""
    if kind == "literal_error" and isinstance(node, str):
        suggestion = closest(node, _quoted(str(context.get("expected", ""))))
    if (
        text is not None
        and isinstance(node, int | float)
        and not isinstance(node, bool)
        and "duration" not in allowed
    ):
        wants_text = kind.startswith("string_")
        suggestion = f'"{text}" in quotes' if wants_text else suggestion
    found = "this block" if isinstance(node, dict | list) else text if text else repr(node)
    if node is None and path in source.texts:
        found = "nothing (a bare # begins a comment, as in `submit: #`)"
    return Finding(
        "value",
        path,
        found[:FOUND_CHARACTERS_MAX] if node is not None else found,
        allowed,
        suggestion=suggestion,
    )


def _allowed(kind: str, details: ErrorDetails, context: dict[str, Any]) -> str:
    if kind == "literal_error":
        return str(context.get("expected", "")).replace("'", "").replace(" or ", ", ")
    if kind == "string_pattern_mismatch":
        return f"text like {context.get('pattern', '')}"
    if kind in _TYPES:
        return _TYPES[kind]
    return str(details["msg"]).removeprefix("Value error, ").removeprefix("Input should be ")


def _path_in_file(data: Any, location: tuple[int | str, ...]) -> tuple[Path, Any]:
    """Walk pydantic's location in the file's own data: it names forms of a union too, which the file has not."""
    path: list[str | int] = []
    node = data
    for part in location:
        if isinstance(node, dict) and part in node:
            node = node[part]
        elif isinstance(node, list) and isinstance(part, int) and part < len(node):
            node = node[part]
        elif isinstance(node, list) and part == 0:
            continue
        elif isinstance(node, dict) and part == location[-1] and not _UNION_TAGS.match(str(part)):
            path.append(part)
            break
        else:
            continue
        path.append(part)
    return tuple(path), node


@cache
def _schema() -> dict[str, Any]:
    return Flow.model_json_schema()


def _quoted(text: str) -> list[str]:
    return re.findall(r"'([^']+)'", text)


def _forms_at(data: Any, path: Path) -> list[str]:
    """Return the kinds of step or field that may stand at a path."""
    parent = _schema_at(data, path[:-1])
    node = _child(parent, path[-1])
    return sorted(node.get("discriminator", {}).get("mapping", {}))


def _child(node: dict[str, Any], part: str | int) -> dict[str, Any]:
    if isinstance(part, int):
        found = node.get("items", {})
    else:
        by_pattern = next(iter(node.get("patternProperties", {}).values()), None)
        found = node.get("properties", {}).get(part) or by_pattern or node.get("additionalProperties")
    return found if isinstance(found, dict) else {}


def _resolved(node: dict[str, Any], data: Any) -> dict[str, Any]:
    """Follow references and the choice between forms by what the data says."""
    while True:
        if "$ref" in node:
            node = _schema()["$defs"][node["$ref"].rpartition("/")[2]]
        elif "discriminator" in node and isinstance(data, dict):
            tag = data.get(node["discriminator"]["propertyName"])
            target = node["discriminator"]["mapping"].get(tag)
            if target is None:
                return {}
            node = {"$ref": target}
        elif "anyOf" in node:
            forms = [_resolved(form, data) for form in node["anyOf"]]
            return next((form for form in forms if "properties" in form), {})
        else:
            return node


def _schema_at(data: Any, path: Path) -> dict[str, Any]:
    node = _resolved(_schema(), data)
    for part in path:
        data = _within(data, part)
        node = _child(node, part)
        node = _resolved(node, data)
    return node


def _within(data: Any, part: str | int) -> Any:
    if isinstance(data, list):
        return data[part] if isinstance(part, int) and part < len(data) else None
    return data.get(part) if isinstance(data, dict) else None


def _known_keys(data: Any, path: Path) -> list[str]:
    return sorted(_schema_at(data, path).get("properties", {}))


def _described(data: Any, path: Path) -> str:
    parent = _schema_at(data, path[:-1])
    described = parent.get("properties", {}).get(str(path[-1]), {}).get("description", "")
    return f"{path[-1]} is needed" + (f": {described}" if described else "")
