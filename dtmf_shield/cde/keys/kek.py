"""Key encryption keys: what one must do, what a ring of them must do, and the one that is held in memory.

A KEK wraps data keys with AES-256-GCM (NIST SP 800-38D, 96-bit random nonces); a wrapped key names its row and its
KEK, so that none can stand in another's place. Key bytes are ordinary bytes objects: keys are no account data.
"""

from __future__ import annotations

import os
import secrets
import string
from typing import Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from dtmf_shield.base.errors import DtmfShieldError

KEY_BYTES: Final = 32
HSM_PREFIX: Final = "pkcs11-"
"""Before the CKA_ID in the name of a key in an HSM; ids made here begin with five bytes of time."""
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
KEKS_MAX: Final = 64
"""Keys in one ring. A ring grows by one a rotation, and retiring takes one away."""
NAME_LETTERS: Final = 8


def random_name() -> str:
    """Return letters for the end of a name. No digits: with those of the day they could pass for a card number."""
    return "".join(secrets.choice(string.ascii_lowercase) for _ in range(NAME_LETTERS))


class DekUnwrapError(DtmfShieldError):
    """A wrapped key does not open with the KEK its row names: changed, or another key of that name."""


class Kek(Protocol):
    """One key encryption key."""

    @property
    def kek_id(self) -> str:
        """Name under which rows know it."""

    def wrap(self, dek: bytes, dek_id: str) -> bytes:
        """Return ``dek`` (32 bytes) encrypted: nonce, ciphertext, tag."""

    def unwrap(self, wrapped: bytes, dek_id: str) -> bytes:
        """Return the key. Raises DekUnwrapError."""


class KekRing(Protocol):
    """The KEKs of one installation, wherever they are. Methods raise OperatorError that names the place."""

    place: str
    """Where they are, for people."""

    def ids(self) -> tuple[str, ...]:
        """Return the names of all keys, the active one last. Reads anew: another process may have added one."""

    def get(self, kek_id: str) -> Kek:
        """Return one key. Raises OperatorError where it is not there."""

    def generate(self, wall_s: float) -> str:
        """Make a new key, active from now on; return its name."""

    def retire(self, kek_id: str) -> None:
        """Destroy a key. Whether anything still needs it is the caller's to know."""

    def close(self) -> None:
        """Let go of files and sessions."""


def wrapping_context(dek_id: str, kek_id: str) -> bytes:
    """Return the additional authenticated data of a wrapped key."""
    return f"deks|wrapped|{dek_id}|{kek_id}".encode()


class MemoryKek:
    """A KEK whose bytes are in this process. Implements ``Kek``."""

    def __init__(self, kek_id: str, key: bytes) -> None:
        self.kek_id = kek_id
        self._cipher = AESGCM(key)

    def wrap(self, dek: bytes, dek_id: str) -> bytes:
        """Return ``dek`` encrypted."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, dek, wrapping_context(dek_id, self.kek_id))

    def unwrap(self, wrapped: bytes, dek_id: str) -> bytes:
        """Return the key. Raises DekUnwrapError."""
        context = wrapping_context(dek_id, self.kek_id)
        try:
            return self._cipher.decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], context)
        except (InvalidTag, ValueError):
            raise DekUnwrapError(f"data key {dek_id} does not open with {self.kek_id}") from None

    def __repr__(self) -> str:
        return f"<MemoryKek {self.kek_id}>"
