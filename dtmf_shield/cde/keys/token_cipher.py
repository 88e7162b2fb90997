"""Tokens at rest: AES-256-GCM (NIST SP 800-38D) under the data key of the day, bound to their place in the ledger.

Everything is in memory: a sealed process, which opens no file, seals and opens as before. Data keys are bytes objects
on the heap: they are no account data, and who reads this process's memory reads the tokens too. A gateway's token is a
reference that is worth nothing without the gateway's credentials; this cipher never sees a card number.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Mapping
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from dtmf_shield.base.clock import Clock
from dtmf_shield.base.errors import DtmfShieldError, InvariantError
from dtmf_shield.cde.keys.kek import NONCE_BYTES, TAG_BYTES
from dtmf_shield.store.dek_rows import SEALED_COLUMN, SEALED_TABLE

FORM: Final = b"\x01"
"""First byte of a sealed token, for a later form beside this one."""
TOKEN_BYTES_MAX: Final = 512
"""Longer than any known gateway's token."""


class TokenOpenError(DtmfShieldError):
    """A sealed token does not open: its data key is not here, or it was changed or moved. Names row and key only."""


def utc_day(wall_s: float) -> str:
    """Return the UTC day as YYYY-MM-DD."""
    return datetime.datetime.fromtimestamp(wall_s, datetime.UTC).date().isoformat()


def dek_day(dek_id: str) -> str:
    """Return the day a data key is for: the first part of its name."""
    return dek_id[:10]


class TokenCipher:
    """Seals and opens tokens. Made by ``open_token_cipher`` before the seal."""

    def __init__(self, deks: Mapping[str, bytes], clock: Clock) -> None:
        """``deks``: all live data keys by name; of two for one day the last one seals. Raises InvariantError where
        there is none.
        """
        if not deks:
            raise InvariantError("a token cipher needs at least one data key")
        self._clock = clock
        self._ciphers = {dek_id: AESGCM(key) for dek_id, key in deks.items()}
        self._by_day = {dek_day(dek_id): dek_id for dek_id in deks}
        self._days = sorted(self._by_day)

    def seal(self, token: str, *, row: str) -> tuple[bytes, str]:
        """Encrypt a token for the row that bears it. Returns (sealed bytes, name of the data key).

        ``row`` is the operation's ``idem_key``. Raises ValueError for a token over TOKEN_BYTES_MAX.
        """
        clear = token.encode()
        if len(clear) > TOKEN_BYTES_MAX:
            raise ValueError(f"token of {len(clear)} bytes, at most {TOKEN_BYTES_MAX}")
        dek_id = self._today()
        nonce = os.urandom(NONCE_BYTES)
        sealed = self._ciphers[dek_id].encrypt(nonce, clear, _context(row, dek_id))
        return FORM + nonce + sealed, dek_id

    def open(self, sealed: bytes, dek_id: str, *, row: str) -> str:
        """Decrypt what ``seal`` returned for the same row. Raises TokenOpenError."""
        cipher = self._ciphers.get(dek_id)
        if cipher is None:
            raise TokenOpenError(f"token of {row}: the data key {dek_id} is not loaded")
        start = len(FORM) + NONCE_BYTES
        if (
            sealed[: len(FORM)] != FORM
            or not start + TAG_BYTES <= len(sealed) <= start + TAG_BYTES + TOKEN_BYTES_MAX
        ):
            raise TokenOpenError(f"token of {row}: is no sealed token")
        try:
            return cipher.decrypt(sealed[len(FORM) : start], sealed[start:], _context(row, dek_id)).decode()
        except InvalidTag:
            raise TokenOpenError(
                f"token of {row}: does not open with {dek_id}; it was changed or moved"
            ) from None

    def _today(self) -> str:
        """Return the data key of today, else of the last day before that has one, else the first."""
        today = utc_day(self._clock.wall_s())
        if today in self._by_day:
            return self._by_day[today]
        return self._by_day[max((day for day in self._days if day <= today), default=self._days[0])]

    def __repr__(self) -> str:
        return f"<TokenCipher {len(self._ciphers)} data keys to {self._days[-1]}>"


def _context(row: str, dek_id: str) -> bytes:
    # A data key's name holds no "|", and table and column are fixed: no two places have the same context.
    return f"{SEALED_TABLE}|{SEALED_COLUMN}|{row}|{dek_id}".encode()
