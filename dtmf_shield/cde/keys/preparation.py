"""Data keys made ready: KEKs found, stored data keys unwrapped, those of the coming days made where missing.

A sealed process reads no file and reaches no HSM, so the keys of the next PREPARED_DAYS are made at the start.
"""

from __future__ import annotations

import datetime
import secrets
from pathlib import Path
from typing import Final

from dtmf_shield.base.errors import OperatorError
from dtmf_shield.cde.keys.file_ring import FileRing
from dtmf_shield.cde.keys.kek import KEY_BYTES, DekUnwrapError, Kek, KekRing, random_name
from dtmf_shield.cde.keys.token_cipher import dek_day, utc_day
from dtmf_shield.model.keys import KekSettings
from dtmf_shield.store.dek_rows import DekRow, DekRows

PREPARED_DAYS: Final = 400
"""Days with a data key of their own while one process runs; who runs longer replaces it (SIGHUP to serve)."""
UNUSED_KEPT_DAYS: Final = PREPARED_DAYS
"""A past day's key that sealed nothing is deleted after so long: a process that runs too long may still use it."""
DAY_S: Final = 86_400


def open_ring(settings: KekSettings, *, writable: bool = False) -> KekRing:
    """Return the KEKs that the settings name. ``writable``: keys of an HSM are to be made or destroyed.

    Raises OperatorError.
    """
    if settings.kek == "pkcs11":
        try:
            from dtmf_shield.cde.keys.pkcs11_ring import Pkcs11Ring
        except ImportError:
            raise OperatorError(
                'keys.kek: "pkcs11" needs python-pkcs11; install it with: pip install "dtmf-shield[hsm]"'
            ) from None
        return Pkcs11Ring(settings, writable=writable)
    return FileRing(Path(settings.file), read_only=settings.kek == "credential")


def prepare(rows: DekRows, ring: KekRing, wall_s: float) -> dict[str, bytes]:
    """Return every live data key by name, those of today and the next PREPARED_DAYS made where missing.

    All of it under the ledger's write lock: no other process adds, rewraps or retires a key meanwhile.
    """
    with rows.locked():
        _first_start(rows, ring, wall_s)
        stored = _without_unused(rows, wall_s)
        keks = {kek_id: ring.get(kek_id) for kek_id in sorted({row.kek_id for row in stored})}
        deks = {row.dek_id: unwrapped(keks[row.kek_id], row, ring) for row in stored}
        days = {dek_day(dek_id) for dek_id in deks}
        active = active_kek(ring)
        fresh = [new_dek(active, start_s) for start_s in coming_days(wall_s) if utc_day(start_s) not in days]
        rows.insert([row for row, _ in fresh])
    return deks | {row.dek_id: key for row, key in fresh}


def _without_unused(rows: DekRows, wall_s: float) -> tuple[DekRow, ...]:
    """Return the stored rows, long past ones that sealed nothing deleted."""
    stored = rows.all()
    today_s = day_start_s(wall_s)
    # A clock beyond every prepared day may be wrong, and a running process may still seal with what looks long past.
    if not stored or stored[-1].created_s < today_s:
        return stored
    rows.forget_unused(today_s - UNUSED_KEPT_DAYS * DAY_S)
    return rows.all()


def active_kek(ring: KekRing) -> Kek:
    """Return the KEK that wraps new data keys. Raises OperatorError where there is none."""
    ids = ring.ids()
    if not ids:
        raise OperatorError(f"{ring.place}: holds no key encryption key; make one: dtmf-shield keys generate")
    return ring.get(ids[-1])


def coming_days(wall_s: float) -> list[float]:
    """Return the starts of today and the next PREPARED_DAYS, seconds since 1970."""
    return [day_start_s(wall_s) + ahead * DAY_S for ahead in range(PREPARED_DAYS + 1)]


def day_start_s(wall_s: float) -> float:
    """Return the start of the UTC day, seconds since 1970."""
    moment = datetime.datetime.fromtimestamp(wall_s, datetime.UTC)
    return moment.replace(hour=0, minute=0, second=0, microsecond=0).timestamp()


def new_dek(kek: Kek, start_s: float) -> tuple[DekRow, bytes]:
    """Make a data key for the day that begins at ``start_s``."""
    dek_id = f"{utc_day(start_s)}-{random_name()}"
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
    if isinstance(ring, FileRing) and ring.may_begin() and not rows.all():
        ring.generate(wall_s)
