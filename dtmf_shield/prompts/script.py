"""From a prompt's text to what an engine is asked for: the subset of SSML 1.1 that means the same with every engine.

Elements: ``<speak>``, ``<break time="300ms"/>``, ``<say-as interpret-as="characters">`` (or ``digits``) and
``<prosody rate="80%">``. Text without "<" is spoken as it stands. Everything else is refused with a sentence, above all
``<phoneme>``: engines differ in their alphabets, and a word spelled as it sounds works with all of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from dtmf_shield.prompts.errors import PromptError
from dtmf_shield.prompts.names import normal_text

TEXT_CHARACTERS_MAX: Final = 1_200
"""About a minute and a half of speech; a caller hangs up before that."""
BREAK_MS_MAX: Final = 5_000
RATE_PERCENT_MIN: Final = 50
RATE_PERCENT_MAX: Final = 200
_RATE_WORDS: Final = {"x-slow": 60, "slow": 80, "medium": 100, "fast": 120, "x-fast": 150}
_MARK: Final = re.compile(r'<(/?)([a-z-]+)((?:\s+[a-z-]+\s*=\s*"[^"<>]*")*)\s*(/?)>')
_ATTRIBUTE: Final = re.compile(r'([a-z-]+)\s*=\s*"([^"]*)"')
_ENTITIES: Final = {"&lt;": "<", "&gt;": ">", "&quot;": '"', "&apos;": "'", "&amp;": "&"}
_ALLOWED: Final = {"speak": (), "break": ("time",), "say-as": ("interpret-as",), "prosody": ("rate",)}
_ELEMENTS: Final = "speak, break, say-as and prosody"


@dataclass(frozen=True, slots=True)
class Segment:
    """Text to be spoken at a rate, and the silence after it."""

    text: str
    rate_percent: int = 100
    pause_ms: int = 0


def segments_of(text: str) -> tuple[Segment, ...]:
    """Return what an engine is asked for. Raises PromptError naming what is wrong and what is allowed."""
    text = normal_text(text)
    if len(text) > TEXT_CHARACTERS_MAX:
        raise PromptError(
            f"the text has {len(text)} characters; at most {TEXT_CHARACTERS_MAX}: split the prompt in two"
        )
    if not re.search(r"\w", text):
        raise PromptError("the text holds no word; write what is to be said")
    if "<" not in text:
        return (Segment(text),)
    return _Reader(text).read()


class _Reader:
    """One walk over a marked-up text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._segments: list[Segment] = []
        self._open: list[str] = []
        self._rates_percent = [100]
        self._spelled = False

    def read(self) -> tuple[Segment, ...]:
        at = 0
        for mark in _MARK.finditer(self._text):
            self._add_text(self._text[at : mark.start()])
            self._add_mark(mark)
            at = mark.end()
        self._add_text(self._text[at:])
        if self._open:
            raise PromptError(f"<{self._open[-1]}> is not closed; write </{self._open[-1]}>")
        if not any(segment.text for segment in self._segments):
            raise PromptError("the text holds no word; write what is to be said")
        return tuple(self._segments)

    def _add_text(self, raw: str) -> None:
        stray = re.search(r"<[^ ]*", raw)
        if stray:
            raise PromptError(f"{stray[0]!r} is no element that is known here; allowed: {_ELEMENTS}")
        for entity, character in _ENTITIES.items():
            raw = raw.replace(entity, character)
        text = raw.strip()
        if not re.search(r"\w", text):
            return
        if self._spelled:
            text = ", ".join(character.upper() for character in text if character.isalnum())
        self._segments.append(Segment(text, self._rates_percent[-1]))

    def _add_mark(self, mark: re.Match[str]) -> None:
        closing, element, attributes, empty = mark[1], mark[2], dict(_ATTRIBUTE.findall(mark[3])), mark[4]
        if element not in _ALLOWED:
            advice = "; write the word as it sounds" if element == "phoneme" else ""
            raise PromptError(f"<{element}> is not spoken alike by all engines{advice}; allowed: {_ELEMENTS}")
        if closing:
            self._close(element)
            return
        missing = set(_ALLOWED[element]) ^ set(attributes)
        if missing and element != "speak":
            raise PromptError(f"<{element}> takes the attribute {_ALLOWED[element][0]} and no other")
        if element == "break":
            self._pause(attributes["time"])
            return
        if not empty:
            self._begin(element, attributes)

    def _begin(self, element: str, attributes: dict[str, str]) -> None:
        self._open.append(element)
        if element == "prosody":
            self._rates_percent.append(_rate_percent(attributes["rate"]))
        if element == "say-as":
            if attributes["interpret-as"] not in ("characters", "digits"):
                raise PromptError(
                    "<say-as> takes interpret-as characters or digits; values are spoken by {name|date}"
                )
            self._spelled = True

    def _close(self, element: str) -> None:
        if not self._open or self._open.pop() != element:
            raise PromptError(f"</{element}> closes nothing; write <{element}> before it")
        if element == "prosody":
            self._rates_percent.pop()
        self._spelled = self._spelled and element != "say-as"

    def _pause(self, time: str) -> None:
        match = re.fullmatch(r"(\d{1,4})ms|(\d(?:\.\d{1,3})?)s", time.strip())
        pause_ms = 0 if match is None else int(match[1]) if match[1] else round(float(match[2]) * 1000)
        if not 0 < pause_ms <= BREAK_MS_MAX:
            raise PromptError(f'<break time="{time}"/>: write a time such as 300ms, up to {BREAK_MS_MAX}ms')
        self._segments.append(Segment("", pause_ms=pause_ms))


def _rate_percent(rate: str) -> int:
    match = re.fullmatch(r"(\d{1,3})%", rate.strip())
    percent = int(match[1]) if match else _RATE_WORDS.get(rate.strip(), 0)
    if not RATE_PERCENT_MIN <= percent <= RATE_PERCENT_MAX:
        words = ", ".join(_RATE_WORDS)
        raise PromptError(
            f'<prosody rate="{rate}">: write {RATE_PERCENT_MIN}% to {RATE_PERCENT_MAX}%, or one of: {words}'
        )
    return percent
