"""From settings to a TokenCipher, before the process seals itself: KEKs read, data keys unwrapped, coming days' made.

A sealed process reads no file and reaches no HSM, so the keys of the next PREPARED_DAYS are made at the start.
"""

from __future__ import annotations

import datetime
import secrets
import sqlite3
from pathlib import Path
from typing import Final

from dtmf_shield.base.clock import Clock
from dtmf_shield.base.errors import OperatorError
from dtmf_shield.cde.keys.file_ring import FileRing
from dtmf_shield.cde.keys.kek import KEY_BYTES, DekUnwrapError, Kek, KekRing
from dtmf_shield.cde.keys.token_cipher import TokenCipher, dek_day, utc_day
from dtmf_shield.model.keys import KekSettings
from dtmf_shield.store.dek_rows import DekRow, DekRows

PREPARED_DAYS: Final = 400
"""Days with a data key of their own while one process runs; who runs longer replaces it (SIGHUP to serve)."""
UNUSED_KEPT_DAYS: Final = 7
"""A past day's key that sealed nothing is deleted after so long: a process that drains may still hold it."""
DAY_S: Final = 86_400


def open_token_cipher(settings: KekSettings, ledger_file: Path, clock: Clock) -> TokenCipher:
    """Return the cipher with every live data key loaded and those of the next PREPARED_DAYS made.

    Call it before the seal; files and HSM sessions it opened are closed when it returns. The first start makes the key
    file. Raises OperatorError where a key is missing or does not fit: tokens would be lost behind it.
    """
    try:
        rows = DekRows(ledger_file)
        try:
            ring = open_ring(settings)
            try:
                cipher = TokenCipher(prepare(rows, ring, clock.wall_s()), clock)
            finally:
                ring.close()
        finally:
            rows.close()
    except sqlite3.Error as error:
        raise OperatorError(f"{ledger_file}: cannot read or write data keys ({error}); try again") from error
    # What the library loads at the first use is loaded now.
    cipher.open(*cipher.seal("", row="start"), row="start")
    return cipher


def open_ring(settings: KekSettings) -> KekRing:
    """Return the KEKs that the settings name. Raises OperatorError."""
    return FileRing(Path(settings.file), read_only=settings.kek == "credential")


def prepare(rows: DekRows, ring: KekRing, wall_s: float) -> dict[str, bytes]:
    """Return every live data key by name, those of today and the next PREPARED_DAYS made where missing.

    All of it under the ledger's write lock: no other process adds, rewraps or retires a key meanwhile.
    """
    with rows.locked():
        _first_start(rows, ring, wall_s)
        rows.forget_unused(day_start_s(wall_s) - UNUSED_KEPT_DAYS * DAY_S)
        stored = rows.all()
        keks = {kek_id: ring.get(kek_id) for kek_id in sorted({row.kek_id for row in stored})}
        deks = {row.dek_id: unwrapped(keks[row.kek_id], row, ring) for row in stored}
        active = ring.get(ring.ids()[-1])
        fresh = {}
        days = {dek_day(dek_id) for dek_id in deks}
        for ahead in range(PREPARED_DAYS + 1):
            start_s = day_start_s(wall_s) + ahead * DAY_S
            if utc_day(start_s) not in days:
                row, key = new_dek(active, start_s)
                fresh[row] = key
        rows.insert(tuple(fresh))
    return deks | {row.dek_id: key for row, key in fresh.items()}


def day_start_s(wall_s: float) -> float:
    """Return the start of the UTC day, seconds since 1970."""
    moment = datetime.datetime.fromtimestamp(wall_s, datetime.UTC)
    return moment.replace(hour=0, minute=0, second=0, microsecond=0).timestamp()


def new_dek(kek: Kek, start_s: float) -> tuple[DekRow, bytes]:
    """Make a data key for the day that begins at ``start_s``."""
    dek_id = f"{utc_day(start_s)}-{secrets.token_hex(4)}"
    key = secrets.token_bytes(KEY_BYTES)
    return DekRow(dek_id, start_s, kek.kek_id, kek.wrap(key, dek_id)), key


def unwrapped(kek: Kek, row: DekRow, ring: KekRing) -> bytes:
    """Return one data key. Raises OperatorError that says what to restore."""
    try:
        return kek.unwrap(row.wrapped, row.dek_id)
    except DekUnwrapError:
        raise OperatorError(
            f"{ring.place}: {kek.kek_id} does not open the data key {row.dek_id}; the ledger or the key was changed:"
            " restore both from the same backup"
        ) from None


def _first_start(rows: DekRows, ring: KekRing, wall_s: float) -> None:
    """Make the key file where neither it nor any data key is there. A lost file is never replaced by a new one."""
    if isinstance(ring, FileRing) and not ring.exists() and not rows.all():
        ring.generate(wall_s)
