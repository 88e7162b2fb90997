"""A name for a caller by which attempts can be counted, and which does not give his number away."""

from __future__ import annotations

import hmac
from typing import Final

_PURPOSE: Final = b"caller|"
"""Keeps these names apart from whatever else the key signs."""
_CHARACTERS: Final = 32
"""128 bits of SHA-256: more callers than there are numbers share no name."""
WITHHELD: Final = frozenset({"anonymous", "unavailable", "unknown", "restricted", "private", "withheld"})
"""What trunks write in place of a number (RFC 3261 section 8.1.1.3 names the first): one name for many callers."""


def caller_name(key: bytes, caller_user: str) -> str:
    """Return a keyed hash of the caller's number; empty for a caller who withholds it, or without a key."""
    if not key or not caller_user or caller_user.lower() in WITHHELD:
        return ""
    return hmac.digest(key, _PURPOSE + caller_user.encode(errors="replace"), "sha256").hex()[:_CHARACTERS]
