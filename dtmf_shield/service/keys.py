"""What the ``keys`` commands do, over cde's key code: each returns plain data for people or machines."""

from __future__ import annotations

import datetime
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from dtmf_shield.base.clock import Clock
from dtmf_shield.base.config import Config
from dtmf_shield.base.errors import OperatorError
from dtmf_shield.base.system_clock import SystemClock
from dtmf_shield.cde.keys import rotation
from dtmf_shield.cde.keys.file_ring import FileRing
from dtmf_shield.cde.keys.kek import HSM_PREFIX, KekRing
from dtmf_shield.cde.keys.preparation import day_start_s, open_ring
from dtmf_shield.cde.keys.token_cipher import dek_day
from dtmf_shield.service.cde_payments import LEDGER_FILE
from dtmf_shield.service.key_settings import kek_settings
from dtmf_shield.service.state_directory import state_directory_of
from dtmf_shield.store.dek_rows import DekRows


@dataclass(frozen=True, slots=True)
class Place:
    """Configuration, what its paths start from, and the state directory instead of the configured one."""

    config: Config
    base: Path
    state_override: Path | None = None
    clock: Clock = field(default_factory=SystemClock)

    @property
    def state(self) -> Path:
        """The state directory, existing or not."""
        return (self.state_override or self.base / self.config.state.directory).absolute()


@contextmanager
def _opened(
    place: Place, *, writable: bool = False, may_make: bool = False
) -> Iterator[tuple[DekRows, KekRing]]:
    ledger = place.state / LEDGER_FILE
    if may_make:
        state_directory_of(place.config, place.base, place.state_override)
    elif not ledger.exists():
        raise OperatorError(
            f"{ledger}: no ledger here yet; start the service once, or name --state-directory"
        )
    settings = kek_settings(place.config.keys, place.base, place.state, os.environ)
    try:
        with closing(DekRows(ledger)) as rows, closing(open_ring(settings, writable=writable)) as ring:
            yield rows, ring
    except sqlite3.OperationalError as error:
        raise OperatorError(f"{ledger}: {error}; the service may be busy: try again") from error


def has_ledger(place: Place) -> bool:
    """Whether there is a ledger, and so perhaps keys."""
    return (place.state / LEDGER_FILE).exists()


def kek_made(kek_id: str) -> datetime.date | None:
    """Return the day on which a KEK was made, None for one that another tool has made."""
    try:
        if kek_id.startswith(HSM_PREFIX):
            return datetime.datetime.fromtimestamp(
                int(kek_id[len(HSM_PREFIX) :][:10], 16), datetime.UTC
            ).date()
        return datetime.date.fromisoformat(kek_id.removeprefix("kek-")[:10])
    except (ValueError, OverflowError, OSError):
        return None


def generate(place: Place, out: Path | None) -> dict[str, Any]:
    """Make a new KEK; with ``out`` write the ring and the new key there instead."""
    with _opened(place, writable=True, may_make=True) as (rows, ring):
        if out is None:
            return {"kek": rotation.generate(rows, ring, place.clock.wall_s()), "place": ring.place}
        if not isinstance(ring, FileRing):
            raise OperatorError("--out is for key files; a PKCS #11 key never leaves its token")
        if out.exists():
            raise OperatorError(f"--out: {out} exists; name a new file")
        return {"kek": ring.generate_into(out, place.clock.wall_s()), "place": str(out)}


def rotate(place: Place, *, data_keys: bool, step: Callable[[str], None]) -> dict[str, Any]:
    """Make a new KEK and wrap every data key under it; ``step`` is told after each step that is on disk."""
    with _opened(place, writable=True) as (rows, ring):
        kek = rotation.generate(rows, ring, place.clock.wall_s())
        step(f"made {kek}")
        renewed = rotation.renew_data_keys(rows, ring, place.clock.wall_s()) if data_keys else 0
        return {"kek": kek, "renewed": renewed, "rewrapped": _rewrap(rows, ring, step), **_old(rows, ring)}


def rewrap(place: Place, *, step: Callable[[str], None]) -> dict[str, Any]:
    """Wrap under the active KEK whatever is not."""
    with _opened(place) as (rows, ring):
        return {"rewrapped": _rewrap(rows, ring, step), **_old(rows, ring)}


def _rewrap(rows: DekRows, ring: KekRing, step: Callable[[str], None]) -> int:
    done = 0
    for count in rotation.rewrap(rows, ring):
        done += count
        step(f"rewrapped {done}")
    return done


def _old(rows: DekRows, ring: KekRing) -> dict[str, list[str]]:
    used = {row.kek_id for row in rows.all()}
    return {"to_retire": [kek_id for kek_id in ring.ids()[:-1] if kek_id not in used]}


def retire(place: Place, kek_id: str) -> dict[str, Any]:
    """Destroy a KEK that nothing needs."""
    with _opened(place, writable=True) as (rows, ring):
        rotation.retire(rows, ring, kek_id)
        return {"retired": kek_id, "place": ring.place}


def listing(place: Place) -> dict[str, Any]:
    """Return KEKs and data keys by count and age; no key, no token."""
    with _opened(place) as (rows, ring):
        stored = rows.all()
        ids = ring.ids()
        used: dict[str, int] = dict.fromkeys(ids, 0)
        for row in stored:
            used[row.kek_id] = used.get(row.kek_id, 0) + 1
        today_s = day_start_s(place.clock.wall_s())
        return {
            "place": ring.place,
            "kek": place.config.keys.kek,
            "keks": [
                {
                    "id": kek_id,
                    "active": kek_id == (ids[-1] if ids else ""),
                    "present": kek_id in ids,
                    "data_keys": count,
                }
                for kek_id, count in used.items()
            ],
            "data_keys": {
                "count": len(stored),
                "past": sum(1 for row in stored if row.created_s < today_s),
                "first_day": dek_day(stored[0].dek_id) if stored else None,
                "last_day": dek_day(stored[-1].dek_id) if stored else None,
            },
        }


def verify(place: Place) -> dict[str, Any]:
    """Open every data key and every sealed token."""
    with _opened(place) as (rows, ring):
        report = rotation.verify(rows, ring, place.clock)
        return {"good": report.good, **asdict(report)}
