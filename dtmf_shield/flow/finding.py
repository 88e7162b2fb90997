"""What is wrong with a flow, or could be better: one finding, with its place in the file and the next step."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from dtmf_shield.base.errors import ConfigurationError

Path = tuple[str | int, ...]


class Severity(StrEnum):
    """Errors keep a flow from running; warnings do not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding. ``rule``: its name in the reference; ``path``: keys from the top of the file."""

    rule: str
    path: Path
    found: str
    allowed: str
    severity: Severity = Severity.ERROR
    suggestion: str = ""
    file: str = ""
    line: int = 1
    column: int = 1

    @property
    def key(self) -> str:
        """Return the path as text."""
        return ".".join(map(str, self.path)) or "(whole file)"

    @property
    def message(self) -> str:
        """Return found, allowed and the suggestion as one sentence."""
        hint = f"; did you mean {self.suggestion}?" if self.suggestion else ""
        return f"{self.key}: found {self.found}; allowed: {self.allowed}{hint}"

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.severity.value}: {self.message} [{self.rule}]"

    def as_data(self) -> dict[str, str | int]:
        """Return it for a program."""
        return {
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "severity": self.severity.value,
            "rule": self.rule,
            "key": self.key,
            "found": self.found,
            "allowed": self.allowed,
            "suggestion": self.suggestion,
        }

    def at(self, file: str, line: int, column: int) -> Finding:
        """Return it with its place."""
        return replace(self, file=file, line=line, column=column)

    def as_error(self) -> ConfigurationError:
        """Return it as the error an operator reads."""
        return ConfigurationError(
            file=self.file,
            line=self.line,
            column=self.column,
            key=self.key,
            found=self.found,
            allowed=self.allowed,
            suggestion=self.suggestion,
        )


def closest(word: str, known: Iterable[str]) -> str:
    """Return the known word most like ``word``, empty where none is."""
    matches = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return matches[0] if matches else ""


def listing(known: Iterable[str]) -> str:
    """Return words as a list to choose from."""
    return ", ".join(known) or "none"
