"""The redacting log: one JSON (or console) line an event, scrubbed twice, in the processor and in the handler.

Nothing in this project passes a digit to a log; the scrubber is the second lock. It removes runs of 13 to 19
digits that pass the Luhn check, across spaces and dashes, ``Signal=`` values of SIP INFO bodies, and control
characters (so that no peer can forge a line).
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, TextIO

import structlog

REDACTED = "[removed]"
VALUE_CHARACTERS_MAX = 2_000
"""Longer values are cut: a log line is read by people."""

_PAN_DIGITS_MIN, _PAN_DIGITS_MAX = 13, 19
_RUN = re.compile(r"(?<!\d)\d(?:[ \-]?\d){12,}(?!\d)")
_SIGNAL = re.compile(r"(?i)(signal\s*=\s*)[0-9A-D*#]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def luhn_valid(digits: str) -> bool:
    """Whether the check digit is right (ISO/IEC 7812-1 annex B). For text that is about to be removed."""
    total = 0
    for position, character in enumerate(reversed(digits)):
        value = ord(character) - 48
        if position % 2:
            value = value * 2 - 9 if value > 4 else value * 2
        total += value
    return total % 10 == 0


def _holds_card_number(run: str) -> bool:
    digits = re.sub(r"\D", "", run)
    # Sums from the beginning, with every even or every odd digit doubled: a long run costs a subtraction a place,
    # and nobody can keep this process busy with one.
    sums = [[0], [0]]
    for place, character in enumerate(digits):
        value = ord(character) - 48
        doubled = value * 2 - 9 if value > 4 else value * 2
        for odd in (0, 1):
            sums[odd].append(sums[odd][-1] + (doubled if place % 2 == odd else value))
    for end in range(_PAN_DIGITS_MIN, len(digits) + 1):
        known = sums[end % 2]  # the digit before the last one is doubled: place end - 2
        for start in range(max(0, end - _PAN_DIGITS_MAX), end - _PAN_DIGITS_MIN + 1):
            if (known[end] - known[start]) % 10 == 0:
                return True
    return False


def holds_card_number(text: str) -> bool:
    """Whether a run of digits in ``text`` contains 13 to 19 that pass the Luhn check."""
    return any(_holds_card_number(match.group()) for match in _RUN.finditer(text))


def scrub(text: str) -> str:
    """Return ``text`` without card numbers, INFO signals and control characters."""
    text = _SIGNAL.sub(r"\1*", text)
    text = _RUN.sub(lambda match: REDACTED if _holds_card_number(match.group()) else match.group(), text)
    return _CONTROL.sub("?", text[:VALUE_CHARACTERS_MAX])


def _scrub_value(value: Any) -> Any:
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, bool | int | float) or value is None:
        return value
    if isinstance(value, Mapping):
        return {scrub(str(key)): _scrub_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_scrub_value(item) for item in value]
    return scrub(str(value))


def _scrub_event(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {key: _scrub_value(value) for key, value in event.items()}


class _ScrubbingFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        # Tracebacks keep locals out by default; their text is scrubbed line by line all the same.
        return "\n".join(scrub(line) for line in super().format(record).splitlines())


def configure_log(*, process: str, stream: TextIO = sys.stderr, level: str = "info") -> None:
    """Send structlog and stdlib logging of this process to ``stream`` as scrubbed JSON lines."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_ScrubbingFormatter("%(message)s"))
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _scrub_event,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(process=process)


def get_logger(name: str) -> Any:
    """Return the logger of a module; use ``log.info("event_name", key=value)``."""
    return structlog.get_logger(name, module=name)
