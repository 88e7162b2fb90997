"""A TOML file read key by key, so that each finding names file, line, key, what was found and what is allowed.

Reading goes on after a finding: an operator sees all of them at once. A key that nobody asked for is a finding too.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

from dtmf_shield.base.errors import ConfigurationError, OperatorError

TEMPLATE_BYTES_MAX: Final = 100_000
"""The longest shipped template has a tenth of it."""
SHOWN_CHARACTERS_MAX: Final = 80

Location = tuple[str | int, ...]
_Kind = TypeVar("_Kind")

_KEY: Final = r"""(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')"""
_HEADER: Final = re.compile(rf"\s*(\[\[?)\s*({_KEY}(?:\s*\.\s*{_KEY})*)\s*\]\]?")
_ASSIGNMENT: Final = re.compile(rf"\s*({_KEY}(?:\s*\.\s*{_KEY})*)\s*=(.*)")
_LONG_QUOTES: Final = ("'''", '"""')


class TomlFile:
    """One file: its text, its findings so far. Raises OperatorError where it cannot be read at all."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            raw = path.read_bytes()
        except OSError as error:
            raise OperatorError(
                f"{path}: cannot read the template ({error.strerror}); name a file"
            ) from error
        if len(raw) > TEMPLATE_BYTES_MAX:
            raise OperatorError(f"{path}: larger than {TEMPLATE_BYTES_MAX} bytes; this is no template")
        try:
            text = raw.decode("utf-8")
            data = tomllib.loads(text)
        except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise OperatorError(f"{path}: not valid TOML: {error}; correct it there") from error
        self.findings: list[ConfigurationError] = []
        self._text_lines = text.splitlines()
        self._lines = lines_by_location(text)
        self.root = TomlTable(self, data, ())

    def finding(self, location: Location, found: str, allowed: str, line_offset: int = 0) -> None:
        """Note a finding at ``location``; ``line_offset``: how many lines below its first one."""
        self.findings.append(
            ConfigurationError(
                file=str(self.path),
                line=self.line(location) + line_offset,
                key=_dotted(location) or "(whole file)",
                found=found,
                allowed=allowed,
            )
        )

    def line(self, location: Location) -> int:
        """Return the line of ``location``, or of the table it stands in."""
        while location and location not in self._lines:
            location = location[:-1]
        return self._lines.get(location, 1)

    def begins_below(self, location: Location) -> int:
        """Return 1 where the text at ``location`` begins on the line below its opening quotes, else 0."""
        return int(self._text_lines[self.line(location) - 1].rstrip().endswith(_LONG_QUOTES))

    def raise_findings(self) -> None:
        """Raise an ExceptionGroup of what was found, if anything was."""
        if self.findings:
            count = len(self.findings)
            raise ExceptionGroup(f"{self.path}: {count} finding(s)", self.findings)


class TomlTable:
    """One table. Each reader returns a value that can be worked with, also after a finding."""

    def __init__(self, file: TomlFile, data: dict[str, Any], location: Location) -> None:
        self.file, self.data, self.location = file, data, location
        self._asked: set[str] = set()

    def finding(self, key: str, found: str, allowed: str, line_offset: int = 0) -> None:
        """Note a finding at ``key`` of this table; at the table itself where it is empty."""
        self.file.finding((*self.location, key) if key else self.location, found, allowed, line_offset)

    def has(self, key: str) -> bool:
        """Whether ``key`` is there."""
        return key in self.data

    def text(self, key: str, default: str | None = None, pattern: str = "", allowed: str = "") -> str:
        """Text; required without ``default``. ``pattern`` must match all of it, ``allowed`` says so in words."""
        value = self._value(key, str, "text in quotes", default, "")
        if pattern and self.has(key) and re.fullmatch(pattern, value, re.DOTALL) is None:
            self.finding(key, shown(value), allowed)
        return value

    def choice(self, key: str, choices: Collection[str], default: str | None = None) -> str:
        """One of ``choices``."""
        value = self.text(key, default)
        if self.has(key) and value not in choices:
            self.finding(key, shown(value), one_of(value, choices))
        return value if value in choices else next(iter(choices))

    def boolean(self, key: str, *, default: bool) -> bool:
        """Either true or false."""
        return self._value(key, bool, "true or false, without quotes", default, False)

    def integer(self, key: str, default: int, smallest: int, largest: int) -> int:
        """A whole number of a range."""
        allowed = f"a whole number from {smallest} to {largest}, without quotes"
        value = self._value(key, int, allowed, default, default)
        if not smallest <= value <= largest:
            self.finding(key, shown(value), allowed)
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """Text or a list of texts; empty where the key is not there."""
        return tuple(self.scalars(key, (str,), "text in quotes, or a list of such"))

    def scalars(self, key: str, kinds: tuple[type, ...], allowed: str) -> list[Any]:
        """One value or a list of values, each of ``kinds``; empty where the key is not there."""
        self._asked.add(key)
        found = self.data.get(key, [])
        values = found if isinstance(found, list) else [found]
        if any(type(value) not in kinds for value in values) or (self.has(key) and not values):
            self.finding(key, shown(found), allowed)
            return []
        return values

    def table(self, key: str, *, required: bool = False) -> TomlTable:
        """Return a table within; an empty one where it is not there."""
        self._asked.add(key)
        value = self.data.get(key, {})
        if (required and key not in self.data) or not isinstance(value, dict):
            self.finding(key, shown(value) if key in self.data else "nothing", "a table")
            value = {}
        return TomlTable(self.file, value, (*self.location, key))

    def tables(self, key: str) -> Iterator[TomlTable]:
        """Return each table of an array of tables."""
        self._asked.add(key)
        value = self.data.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            self.finding(key, shown(value), f"[[{_dotted((*self.location, key))}]], once or several times")
            return
        for index, item in enumerate(value):
            yield TomlTable(self.file, item, (*self.location, key, index))

    def named_tables(self) -> Iterator[tuple[str, TomlTable]]:
        """Return every key of this table, each a table itself."""
        for name in self.data:
            yield name, self.table(name)

    def finish(self) -> None:
        """Note every key that nobody asked for."""
        for key in self.data:
            if key not in self._asked:
                self.finding(key, "an unknown key", one_of(key, sorted(self._asked)))

    def _value(self, key: str, kind: type[_Kind], allowed: str, default: _Kind | None, empty: _Kind) -> _Kind:
        self._asked.add(key)
        if key not in self.data:
            if default is None:
                self.finding(key, "nothing", allowed)
                return empty
            return default
        value = self.data[key]
        if type(value) is not kind:
            self.finding(key, shown(value), allowed)
            return empty
        return value


def one_of(found: str, choices: Collection[str]) -> str:
    """Say what is allowed, the likeliest first."""
    close = difflib.get_close_matches(found, choices, n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    return "one of " + ", ".join(choices) + hint


def shown(value: object) -> str:
    """Return a value of the file as a finding shows it."""
    return "a table" if isinstance(value, dict) else repr(value)[:SHOWN_CHARACTERS_MAX]


def lines_by_location(text: str) -> dict[Location, int]:
    """Return the line (from 1) of every table header and key, by its place in the data."""
    lines: dict[Location, int] = {}
    counts: dict[Location, int] = {}
    table: Location = ()
    closing = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if closing:
            closing = "" if closing in line else closing
        elif header := _HEADER.match(line):
            table = _resolved(_keys(header[2]), counts, is_array=header[1] == "[[")
            lines.setdefault(table, number)
        elif assignment := _ASSIGNMENT.match(line):
            lines.setdefault(table + _keys(assignment[1]), number)
            closing = next((quotes for quotes in _LONG_QUOTES if assignment[2].count(quotes) % 2), "")
    return lines


def _keys(dotted: str) -> Location:
    return tuple(part.strip("\"'") for part in re.findall(_KEY, dotted))


def _resolved(keys: Location, counts: dict[Location, int], *, is_array: bool) -> Location:
    """Return the place of a header: names, and behind each array of tables the index of its latest table."""
    place: Location = ()
    for key in keys[:-1]:
        place = (*place, key)
        place = (*place, counts[place]) if place in counts else place
    place = (*place, keys[-1])
    if is_array:
        counts[place] = counts.get(place, -1) + 1
    return (*place, counts[place]) if place in counts else place


def _dotted(location: Location) -> str:
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in location]
    return "".join(parts).lstrip(".")
