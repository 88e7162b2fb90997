"""Keys in SIP INFO bodies: application/dtmf-relay (Signal=5) and application/dtmf (5), both de-facto formats.

Neither has a standard; RFC 6086 only carries them. The body is read byte by byte in its mailbox cell; the result is
one small integer. It tells nothing of durations and keeps nothing.
"""

from __future__ import annotations

from typing import Final

KEYS: Final = frozenset(b"0123456789*#ABCD")
NO_KEY: Final = 0

_SIGNAL: Final = b"signal"
_BLANKS: Final = b" \t"
_ENDS: Final = b"\r\n"
_NAMED: Final = {10: ord("*"), 11: ord("#"), 12: ord("A"), 13: ord("B"), 14: ord("C"), 15: ord("D")}
"""Some gateways write the RFC 4733 event number instead of the key."""


def parse_info_body(body: memoryview) -> int:
    """Return the ASCII code of the one key in ``body``, NO_KEY where it holds none or more than one."""
    start = _after_signal(body)
    return _single_key(body, start if start >= 0 else 0)


def _after_signal(body: memoryview) -> int:
    """Return the place after ``Signal=`` at the beginning of a line, -1 where there is none."""
    line = 0
    while line < len(body):
        position = line
        while position < len(body) and position - line < len(_SIGNAL):
            if body[position] | 0x20 != _SIGNAL[position - line]:
                break
            position += 1
        if position - line == len(_SIGNAL):
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
