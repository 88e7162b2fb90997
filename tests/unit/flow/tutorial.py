"""docs/flows/tutorial.md as a list of commands, each with the lines that it prints."""

import re
from pathlib import Path
from typing import NamedTuple

DOCS = Path(__file__).parents[3] / "docs" / "flows"
PAGE = (DOCS / "tutorial.md").read_text("utf-8")
SLOW = ("prompts build", "flow check flows --prompts", "demo")
"""Commands that need a speech engine, phones and a service: tests/interop runs them."""


class Command(NamedTuple):
    """One command of the page and what the page says that it prints, line by line."""

    text: str
    prints: tuple[str, ...]

    @property
    def slow(self):
        """Whether it is left to tests/interop."""
        return self.text.startswith(tuple(f"dtmf-shield {words}" for words in SLOW))


def commands():
    """Every command of the page, in order."""
    found = []
    for block in re.findall(r"(?ms)^```console\n(.*?)^```", PAGE):
        for part in re.split(r"(?m)^\$ ", block)[1:]:
            text, *prints = part.splitlines()
            found.append(Command(text, tuple(prints)))
    return found


def missing_lines(command, output):
    """The lines of the page that the output has not, in their order."""
    at, missing = 0, []
    for line in command.prints:
        place = output.find(line, at)
        if place < 0:
            missing.append(line)
        else:
            at = place + len(line)
    return missing
