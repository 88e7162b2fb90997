"""Searches what a browser knows for runs of a card number's digits."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

RUN_MAX = 4
"""Digits in a row that may be shown: the last four, once a card is accepted."""
_BETWEEN_DIGITS = re.compile(r"(?<=\d)[ \u00a0\u2009\u202f,./_-]{1,2}(?=\d)")


def runs_of(number: str, length: int = RUN_MAX + 1) -> frozenset[str]:
    """Return every run of so many digits of a number."""
    return frozenset(number[start : start + length] for start in range(len(number) - length + 1))


def places_with_digits(number: str, known: Mapping[str, str], random_names: Iterable[str] = ()) -> list[str]:
    """Return where of ``known`` (texts by place) a run of the number's digits stands, digits in groups included.

    ``random_names``: identifiers drawn at random, in which any five digits may meet; they are taken out first.
    """
    runs, names = runs_of(number), tuple(random_names)
    return [place for place, text in known.items() if _holds(_without(text, names), runs)]


def _without(text: str, names: Iterable[str]) -> str:
    for name in names:
        text = text.replace(name, "")
    return text


def _holds(text: str, runs: Iterable[str]) -> bool:
    joined = _BETWEEN_DIGITS.sub("", text)
    return any(run in text or run in joined for run in runs)
