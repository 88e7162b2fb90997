"""Secrets that the service makes: 256 random bits as text, kept as their SHA-256 alone.

They need no slow hash: nobody guesses 256 bits.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Final

SECRET_BYTES: Final = 32
SECRET_CHARACTERS_MAX: Final = 128
"""Longer texts are no secret of ours and are not even hashed."""

_LETTERS: Final = str.maketrans("0123456789abcdef", "abcdefghijklmnop")


def new_secret() -> str:
    """Return 43 characters of base64url."""
    return secrets.token_urlsafe(SECRET_BYTES)


def digest_of(secret: str) -> bytes:
    """Return what is kept of ``secret``."""
    return hashlib.sha256(secret[: SECRET_CHARACTERS_MAX + 1].encode("utf-8", "replace")).digest()


def in_letters(digest: str) -> str:
    """Return hexadecimal digits as letters a to p: no run of digits is in them that could be a card number."""
    return digest.translate(_LETTERS)
