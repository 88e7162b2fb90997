"""Keys turned over: a new KEK, every data key rewrapped under it, the old KEK retired; and the proof that all opens.

Each step is whole on disk before the next begins, and none takes away what an earlier state still needs. A rotation
that is killed anywhere leaves every token readable, and running it again finishes it. The data keys themselves stay,
so a running service goes on with what it has loaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from dtmf_shield.base.clock import Clock
from dtmf_shield.base.errors import OperatorError
from dtmf_shield.cde.keys.kek import DekUnwrapError, KekRing
from dtmf_shield.cde.keys.preparation import active_kek, coming_days, new_dek, unwrapped
from dtmf_shield.cde.keys.token_cipher import TokenCipher, TokenOpenError
from dtmf_shield.store.dek_rows import DekRow, DekRows

BATCH: Final = 50
"""Data keys rewrapped in one transaction: how long the ledger's other writer may have to wait."""
NAMED_MAX: Final = 20
"""Rows that a report names; the rest is counted."""


def generate(rows: DekRows, ring: KekRing, wall_s: float) -> str:
    """Make a new KEK, active from now on; return its name. Raises OperatorError."""
    with rows.locked():
        return ring.generate(wall_s)


def rewrap(rows: DekRows, ring: KekRing) -> Iterator[int]:
    """Wrap under the active KEK whatever is not; yield how many after each batch is on disk. Raises OperatorError."""
    while True:
        # Asked each time: another command may have made a newer one, and two must not pull in two directions.
        active = active_kek(ring)
        stale = [row for row in rows.all() if row.kek_id != active.kek_id][:BATCH]
        if not stale:
            return
        keks = {kek_id: ring.get(kek_id) for kek_id in {row.kek_id for row in stale}}
        fresh = []
        for row in stale:
            key = unwrapped(keks[row.kek_id], row, ring)
            fresh.append(DekRow(row.dek_id, row.created_s, active.kek_id, active.wrap(key, row.dek_id)))
        with rows.locked():
            for old, new in zip(stale, fresh, strict=True):
                rows.rewrap(old, new)
        yield len(stale)


def renew_data_keys(rows: DekRows, ring: KekRing, wall_s: float) -> int:
    """Make a second data key for today and each coming day; a process that starts after this seals with those.

    The former ones stay: a running process still seals with them, and what they sealed must open. Returns how many.
    """
    with rows.locked():
        active = active_kek(ring)
        fresh = [new_dek(active, start_s)[0] for start_s in coming_days(wall_s)]
        rows.insert(fresh)
    return len(fresh)


def retire(rows: DekRows, ring: KekRing, kek_id: str) -> None:
    """Destroy a KEK that nothing needs. Raises OperatorError where it is active, in use or not there."""
    # Under the ledger's lock no starting process can wrap new data keys by it meanwhile.
    with rows.locked():
        ids = ring.ids()
        if kek_id not in ids:
            raise OperatorError(f"{ring.place}: no key {kek_id}; there are: {', '.join(ids) or 'none'}")
        if kek_id == ids[-1]:
            raise OperatorError(f"{ring.place}: {kek_id} is the active key; make another first: keys rotate")
        users = sum(1 for row in rows.all() if row.kek_id == kek_id)
        if users:
            raise OperatorError(f"{ring.place}: {kek_id} still wraps {users} data keys; run: keys rewrap")
        ring.retire(kek_id)


@dataclass(slots=True)
class Verification:
    """What ``verify`` found. ``failures``: sentences, at most NAMED_MAX; the counts are whole."""

    data_keys: int = 0
    tokens_opened: int = 0
    tokens_failed: int = 0
    tokens_clear: int = 0
    data_keys_failed: int = 0
    failures: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether everything opened and nothing lies in clear."""
        return not (self.tokens_failed or self.data_keys_failed or self.tokens_clear)

    def fail(self, sentence: str) -> None:
        """Note one failure."""
        if len(self.failures) < NAMED_MAX:
            self.failures.append(sentence)


def verify(rows: DekRows, ring: KekRing, clock: Clock) -> Verification:
    """Open every data key and every sealed token of the ledger. Tokens are neither kept nor shown."""
    report = Verification(tokens_clear=rows.clear_count())
    deks = _open_deks(rows, ring, report)
    opens = TokenCipher(deks, clock).open if deks else _opens_nothing
    for token in rows.sealed():
        try:
            opens(token.sealed, token.dek_id, row=token.row)
        except TokenOpenError as error:
            report.tokens_failed += 1
            report.fail(str(error))
        else:
            report.tokens_opened += 1
    if report.tokens_clear:
        report.fail(f"{report.tokens_clear} tokens lie in clear, written by a version that did not encrypt")
    return report


def _open_deks(rows: DekRows, ring: KekRing, report: Verification) -> dict[str, bytes]:
    stored = rows.all()
    known = set(ring.ids())
    keks = {kek_id: ring.get(kek_id) for kek_id in {row.kek_id for row in stored} & known}
    deks = {}
    for row in stored:
        kek = keks.get(row.kek_id)
        if kek is None:
            report.fail(f"data key {row.dek_id}: its key {row.kek_id} is not in {ring.place}")
            continue
        try:
            deks[row.dek_id] = kek.unwrap(row.wrapped, row.dek_id)
        except DekUnwrapError as error:
            report.fail(str(error))
    report.data_keys_failed = len(stored) - len(deks)
    report.data_keys = len(deks)
    return deks


def _opens_nothing(_sealed: bytes, dek_id: str, *, row: str) -> str:
    raise TokenOpenError(f"token of {row}: the data key {dek_id} does not open")
