"""Bodies of requests: JSON (RFC 8259) or a form (application/x-www-form-urlencoded), filled into bytes and slot parts.

A JSON body is written in the template as JSON whose every place to fill stands in a string; a form as lines
``name=value``. What is sent has no blanks and is the same for the same order. No card data passes here: only its names.
"""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Final, Protocol

from dtmf_shield.cde.gateways.base import BodyPart
from dtmf_shield.cde.gateways.placeholders import (
    PARAMETERS,
    Filling,
    Placeholder,
    Text,
    TextError,
    WhenEmpty,
    fill,
    parse_text,
)

JSON_DEPTH_MAX: Final = 16
CONTENT_TYPES: Final = {
    "json": "application/json",
    "form": "application/x-www-form-urlencoded",
    "none": "",
}


class Body(Protocol):
    """A body with places."""

    def filled(self, filling: Filling) -> list[BodyPart]:
        """Return its parts, filled."""

    def literal_at(self, path: str) -> str:
        """Return the literal of the form field or JSON member named ``path``; empty where there is none."""


class NoBody:
    """Of a GET."""

    def filled(self, filling: Filling) -> list[BodyPart]:
        """Return nothing."""
        return []

    def literal_at(self, path: str) -> str:
        """There is none."""
        return ""


@dataclass(frozen=True, slots=True)
class FormBody:
    """Fields in order: name and value."""

    fields: tuple[tuple[Text, Text], ...]

    def filled(self, filling: Filling) -> list[BodyPart]:
        """Return ``name=value&...``."""
        parts: list[BodyPart] = []
        for name, text in self.fields:
            value = fill(text, filling, form_escape)
            if isinstance(value, list):
                separator = b"&" if parts else b""
                parts += [separator + _label(name, filling, _name_escape) + b"=", *value]
        return parts

    def literal_at(self, path: str) -> str:
        """Return the value of the field ``path`` if it is a literal."""
        return next((_literal(value) for name, value in self.fields if name == (path,)), "")


@dataclass(frozen=True, slots=True)
class JsonObject:
    """Members in order: name and value."""

    members: tuple[tuple[Text, JsonNode], ...]


@dataclass(frozen=True, slots=True)
class JsonString:
    """A string; without quotes where ``number``."""

    text: Text
    number: bool


JsonNode = JsonObject | JsonString | tuple["JsonNode", ...] | bytes
"""A tuple is an array; bytes are a number, true, false or null as they are."""


@dataclass(frozen=True, slots=True)
class JsonBody:
    """One JSON object."""

    root: JsonObject

    def filled(self, filling: Filling) -> list[BodyPart]:
        """Return the object; ``{}`` where nothing is left of it."""
        filled = _fill_node(self.root, filling)
        return filled if isinstance(filled, list) else [b"{}"]

    def literal_at(self, path: str) -> str:
        """Return the value of the member ``path``, names joined by dots, if it is a literal."""
        node: JsonNode = self.root
        for name in path.split("."):
            if not isinstance(node, JsonObject):
                return ""
            node = next((value for label, value in node.members if label == (name,)), b"")
        if isinstance(node, JsonString):
            return _literal(node.text)
        return node.decode() if isinstance(node, bytes) else ""


def parse_form(source: str, names: Collection[str]) -> FormBody:
    """Read lines of ``name=value``. Raises TextError."""
    fields = []
    for offset, line in enumerate(source.splitlines()):
        if not line.strip():
            continue
        name, equals, value = line.strip().partition("=")
        if not equals or not name:
            raise TextError(repr(line.strip()), "one name=value a line", offset)
        try:
            parameters = [entry for entry in names if entry.startswith(PARAMETERS)]
            fields.append((parse_text(name, parameters), parse_text(value, names)))
        except TextError as error:
            raise TextError(error.found, error.allowed, offset) from None
    if not fields:
        raise TextError("an empty form", "one name=value a line")
    return FormBody(tuple(fields))


def parse_json(source: str, names: Collection[str]) -> JsonBody:
    """Read JSON with places in its strings. Raises TextError."""
    try:
        data = json.loads(source, object_pairs_hook=_members, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        allowed = "JSON, each ${...} within a string in quotes"
        raise TextError(f"no JSON: {error.msg} in column {error.colno}", allowed, error.lineno - 1) from None
    except RecursionError:
        raise TextError("JSON too deep", f"{JSON_DEPTH_MAX} levels") from None
    root = _node(data, names, JSON_DEPTH_MAX)
    if not isinstance(root, JsonObject):
        raise TextError("JSON that is no object", "an object in braces")
    return JsonBody(root)


class _Members(list[tuple[str, Any]]):
    """Members of an object as read."""


def _members(pairs: list[tuple[str, Any]]) -> _Members:
    names = [name for name, _ in pairs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise TextError(f"the member {twice[0]!r} twice", "each name once in an object")
    return _Members(pairs)


def _no_constant(name: str) -> None:
    raise TextError(name, "a JSON number")


def _node(data: Any, names: Collection[str], depth_left: int) -> JsonNode:
    if depth_left == 0:
        raise TextError("JSON too deep", f"{JSON_DEPTH_MAX} levels")
    if isinstance(data, _Members):
        parameters = [entry for entry in names if entry.startswith(PARAMETERS)]
        return JsonObject(
            tuple((parse_text(name, parameters), _node(value, names, depth_left - 1)) for name, value in data)
        )
    if isinstance(data, list):
        return tuple(_node(item, names, depth_left - 1) for item in data)
    if isinstance(data, str):
        return _string(parse_text(data, names))
    return json.dumps(data).encode("ascii")


def _string(text: Text) -> JsonString:
    number = any(isinstance(piece, Placeholder) and piece.number for piece in text)
    if number and not all(piece.isdigit() if isinstance(piece, str) else piece.number for piece in text):
        raise TextError("a number beside text", "digits and ${...:number} alone, or no :number")
    return JsonString(text, number)


def _fill_node(node: JsonNode, filling: Filling) -> list[BodyPart] | WhenEmpty:
    match node:
        case bytes():
            return [node]
        case JsonString():
            filled = fill(node.text, filling, json_escape)
            if filled is WhenEmpty.NULL:
                return [b"null"]
            if isinstance(filled, WhenEmpty) or node.number:
                return filled
            return [b'"', *filled, b'"']
        case JsonObject():
            return _fill_object(node, filling)
        case _:
            items = [item for item in (_fill_node(each, filling) for each in node) if isinstance(item, list)]
            return [b"[", *_joined(items), b"]"]


def _fill_object(node: JsonObject, filling: Filling) -> list[BodyPart] | WhenEmpty:
    members = []
    for name, value in node.members:
        filled = _fill_node(value, filling)
        if isinstance(filled, list):
            members.append([b'"' + _label(name, filling, json_escape) + b'":', *filled])
    if node.members and not members:
        return WhenEmpty.OMIT  # all of it was left out: an empty object would say something else
    return [b"{", *_joined(members), b"}"]


def _joined(items: list[list[BodyPart]]) -> list[BodyPart]:
    parts: list[BodyPart] = []
    for item in items:
        parts += [b",", *item] if parts else item
    return parts


def _literal(text: Text) -> str:
    literals = [piece for piece in text if isinstance(piece, str)]
    return "".join(literals) if len(literals) == len(text) else ""


def _label(text: Text, filling: Filling, escape: Callable[[str], str]) -> bytes:
    """Return a name, of literals and parameters: the parser lets no part of a slot stand in one."""
    values = [piece if isinstance(piece, str) else str(filling.part(piece.name)) for piece in text]
    return escape("".join(values)).encode("ascii")


def compact(parts: list[BodyPart]) -> tuple[BodyPart, ...]:
    """Join neighbouring literals."""
    joined: list[BodyPart] = []
    for part in parts:
        if isinstance(part, bytes) and joined and isinstance(joined[-1], bytes):
            joined[-1] += part
        else:
            joined.append(part)
    return tuple(joined)


def json_escape(value: str) -> str:
    """Return ``value`` as it stands within the quotes of a JSON string, in ASCII (RFC 8259 section 7)."""
    return json.dumps(value)[1:-1]


def form_escape(value: str) -> str:
    """Return ``value`` percent-encoded: for a form's value or one segment of a path."""
    return urllib.parse.quote(value, safe="", errors="replace")


def _name_escape(name: str) -> str:
    return urllib.parse.quote(name, safe="[]")  # square brackets group fields; gateways take them as they are
