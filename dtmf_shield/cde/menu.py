"""A menu: which place an option has. Its keys are of the flow file; what is keyed is compared and not kept."""

from __future__ import annotations

from typing import Final

from dtmf_shield.base.errors import InvariantError
from dtmf_shield.cde.patience import DIGITS

OPTIONS_MAX: Final = 10
"""One for each digit; star and hash have meanings of their own everywhere."""


class Menu:
    """The options of one menu, in order."""

    __slots__ = ("_codes",)

    def __init__(self, keys: tuple[str, ...]) -> None:
        """Raises InvariantError for what is no menu: no option, two with one key, a key that is no digit."""
        codes = tuple(ord(key) for key in keys if len(key) == 1)
        if len(codes) != len(keys) or not 0 < len(set(codes)) == len(codes) <= OPTIONS_MAX:
            raise InvariantError(f"a menu has 1 to {OPTIONS_MAX} options, each with a key of its own")
        if not DIGITS.issuperset(codes):
            raise InvariantError("the keys of a menu are digits")
        self._codes = codes

    def ordinal(self, code: int) -> int | None:
        """Return the place of the option with that key, from 0; None where no option has it."""
        return self._codes.index(code) if code in self._codes else None

    def __repr__(self) -> str:
        return f"<Menu of {len(self._codes)} options>"
