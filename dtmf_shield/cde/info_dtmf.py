"""Keys in SIP INFO bodies: application/dtmf-relay (Signal=5) and application/dtmf (5), both de-facto formats.

Neither has a standard; RFC 6086 only carries them. The body is read byte by byte in its mailbox cell; the results are
small integers. It keeps nothing.
"""

from __future__ import annotations

from typing import Final

KEYS: Final = frozenset(b"0123456789*#ABCD")
NO_KEY: Final = 0

DURATION_DIGITS_MAX: Final = 5
"""99 s: nobody holds a key for longer."""

_SIGNAL: Final = b"signal"
_DURATION: Final = b"duration"
_BLANKS: Final = b" \t"
_ENDS: Final = b"\r\n"
_NAMED: Final = {10: ord("*"), 11: ord("#"), 12: ord("A"), 13: ord("B"), 14: ord("C"), 15: ord("D")}
"""Some gateways write the RFC 4733 event number instead of the key."""


def parse_info_body(body: memoryview) -> int:
    """Return the ASCII code of the one key in ``body``, NO_KEY where it holds none or more than one."""
    start = _after_name(body, _SIGNAL)
    return _single_key(body, start if start >= 0 else 0)


def parse_held_ms(body: memoryview) -> int:
    """Return how long the key was held (``Duration=``), 0 where ``body`` does not say it in few digits."""
    start = _after_name(body, _DURATION)
    if start < 0:
        return 0
    position = start = _skip(body, start, _BLANKS)
    held_ms = 0
    while position < len(body) and ord("0") <= body[position] <= ord("9"):
        held_ms = held_ms * 10 + body[position] - ord("0")
        position += 1
    return held_ms if position - start <= DURATION_DIGITS_MAX else 0


def _after_name(body: memoryview, name: bytes) -> int:
    """Return the place after ``name=`` at the beginning of a line, in any case, -1 where there is none."""
    line = 0
    while line < len(body):
        position = line
        while position < len(body) and position - line < len(name):
            if body[position] | 0x20 != name[position - line]:
                break
            position += 1
        if position - line == len(name):
            position = _skip(body, position, _BLANKS)
            if position < len(body) and body[position] == ord("="):
                return position + 1
        while line < len(body) and body[line] not in _ENDS:
            line += 1
        line += 1
    return -1


def _single_key(body: memoryview, start: int) -> int:
    start = _skip(body, start, _BLANKS + _ENDS)
    end = start
    while end < len(body) and body[end] not in _ENDS + _BLANKS:
        end += 1
    if end - start == 1:
        code = body[start]
        code = code - 32 if ord("a") <= code <= ord("d") else code
        return code if code in KEYS else NO_KEY
    if end - start == 2 and body[start] == ord("1"):
        return _NAMED.get(body[start + 1] - ord("0") + 10, NO_KEY)
    return NO_KEY


def _skip(body: memoryview, position: int, skipped: bytes) -> int:
    while position < len(body) and body[position] in skipped:
        position += 1
    return position
