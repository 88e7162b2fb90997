"""Star codes: recognise configured key sequences such as *1 on a leg without keeping the keys.

What is kept between keys is how far into each code the last keys reached: a count, never a key. It decides
nothing about what a code does.
"""

from __future__ import annotations

from typing import Final

STAR_CODES_MAX: Final = 16
STAR_CODE_KEYS_MAX: Final = 8
KEY_GAP_MAX_S: Final = 3.0
"""A longer pause starts a code afresh."""


class StarCodes:
    """Matches the keys of one leg against the configured codes."""

    __slots__ = ("_codes", "_fallbacks", "_key_s", "_reached")

    def __init__(self, codes: tuple[str, ...]) -> None:
        """Raises ValueError for too many codes or one that is empty or too long."""
        if len(codes) > STAR_CODES_MAX or any(not 0 < len(code) <= STAR_CODE_KEYS_MAX for code in codes):
            raise ValueError("star codes outside their limits")
        self._codes = tuple(code.encode("ascii") for code in codes)
        self._fallbacks = tuple(_fallbacks(code) for code in self._codes)
        self._reached = [0] * len(codes)
        self._key_s = float("-inf")

    def key(self, code: int, now_s: float) -> int | None:
        """Take one key (its ASCII code). Return the place of the code it completes, else None."""
        if now_s - self._key_s > KEY_GAP_MAX_S:
            self._reached = [0] * len(self._codes)
        self._key_s = now_s
        completed = None
        for index, keys in enumerate(self._codes):
            reached = self._step(index, code)
            if reached == len(keys):
                completed, reached = index, 0
            self._reached[index] = reached
        return completed

    def _step(self, index: int, code: int) -> int:
        """Knuth-Morris-Pratt: how much of the code the keys up to this one make."""
        keys, reached = self._codes[index], self._reached[index]
        while reached and keys[reached] != code:
            reached = self._fallbacks[index][reached - 1]
        return reached + (keys[reached] == code)

    def __repr__(self) -> str:
        return f"<StarCodes: {len(self._codes)} codes>"


def _fallbacks(keys: bytes) -> tuple[int, ...]:
    """For each prefix, the length of its longest proper prefix that is also its end."""
    table = [0] * len(keys)
    reached = 0
    for position in range(1, len(keys)):
        while reached and keys[position] != keys[reached]:
            reached = table[reached - 1]
        reached += keys[position] == keys[reached]
        table[position] = reached
    return tuple(table)
