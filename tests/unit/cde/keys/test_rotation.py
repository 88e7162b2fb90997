"""Rotation loses no token wherever it is stopped, and destroys no key that anything needs."""

from __future__ import annotations

import re
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from dtmf_shield.base.errors import OperatorError
from dtmf_shield.cde.keys import rotation
from dtmf_shield.cde.keys.file_ring import FileRing
from dtmf_shield.cde.keys.opening import open_token_cipher
from dtmf_shield.cde.keys.preparation import DAY_S, PREPARED_DAYS, prepare
from dtmf_shield.store.dek_rows import DekRows, SealedRow
from tests.unit.cde.keys.sealed_ledger import (
    NOON_S,
    StoppedClock,
    ledger_in,
    opened_tokens,
    seal_tokens,
    settings_in,
    store,
)


def parts(directory: Path) -> tuple[DekRows, FileRing]:
    return DekRows(ledger_in(directory)), FileRing(directory / "kek.json")


def used_keks(directory: Path) -> set[str]:
    return {row.kek_id for row in parts(directory)[0].all()}


def test_everything_is_under_the_new_key_and_opens(tmp_path: Path) -> None:
    tokens = seal_tokens(tmp_path, 5)
    rows, ring = parts(tmp_path)

    new = rotation.generate(rows, ring, NOON_S)
    assert sum(rotation.rewrap(rows, ring)) == PREPARED_DAYS + 1

    assert used_keks(tmp_path) == {new}
    assert opened_tokens(tmp_path) == tokens


@pytest.mark.parametrize("steps", [0, 1, 4, 8])
def test_a_rotation_stopped_after_any_step_is_finished_by_the_next(tmp_path: Path, steps: int) -> None:
    tokens = seal_tokens(tmp_path, 5)
    rows, ring = parts(tmp_path)
    rotation.generate(rows, ring, NOON_S)
    batches = rotation.rewrap(rows, ring)
    for _ in range(steps):
        next(batches)

    assert opened_tokens(tmp_path) == tokens
    assert len(used_keks(tmp_path)) == (1 if steps == 0 else 2)

    rows, ring = parts(tmp_path)
    assert sum(rotation.rewrap(rows, ring)) == PREPARED_DAYS + 1 - steps * rotation.BATCH
    assert used_keks(tmp_path) == {ring.ids()[-1]}
    assert opened_tokens(tmp_path) == tokens


ROTATE = [sys.executable, "-m", "dtmf_shield", "keys", "rotate", "--data-keys", "--state-directory"]


def test_a_rotation_that_is_killed_anywhere_loses_nothing(tmp_path: Path) -> None:
    tokens = seal_tokens(tmp_path, 20)
    finished = 0

    # Killed as soon as it has told so many steps: made, rewrapped 50, rewrapped 100, ...
    for told in (1, 2, 5, 9, 99):
        with subprocess.Popen(
            [*ROTATE, str(tmp_path)], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
        ) as process:
            assert process.stderr is not None
            for _ in zip(range(told), process.stderr, strict=False):
                pass
            process.send_signal(signal.SIGKILL) if told < 99 else process.wait(60)
        finished += process.returncode == 0
        assert process.returncode in (0, -signal.SIGKILL)
        assert opened_tokens(tmp_path) == tokens

    assert finished >= 1
    assert finished < 5, "no run was killed: the test showed nothing"
    rows, ring = parts(tmp_path)
    report = rotation.verify(rows, ring, StoppedClock())
    assert (report.good, report.tokens_opened) == (True, 20)


def test_the_service_seals_on_while_keys_are_rotated(tmp_path: Path) -> None:
    cipher = open_token_cipher(settings_in(tmp_path), ledger_in(tmp_path), StoppedClock())
    seal_tokens(tmp_path, 1)
    stop, failures = threading.Event(), list[Exception]()

    def serve() -> None:
        number = 0
        while not stop.is_set():
            row = f"busy-{number}"
            try:
                store(tmp_path, [SealedRow(row, *cipher.seal(f"pm_{row}", row=row))])
            except sqlite3.Error as error:
                failures.append(error)
            number += 1

    service = threading.Thread(target=serve)
    service.start()
    try:
        rows, ring = parts(tmp_path)
        rotation.generate(rows, ring, NOON_S)
        for _ in rotation.rewrap(rows, ring):
            pass
        rotation.retire(rows, ring, ring.ids()[0])
    finally:
        stop.set()
        service.join()

    opened = opened_tokens(tmp_path)
    assert failures == []
    assert len(opened) > 1
    assert all(token == f"pm_{row}" for row, token in opened.items() if row.startswith("busy"))


def test_two_rotations_at_once_end_under_one_key(tmp_path: Path) -> None:
    tokens = seal_tokens(tmp_path, 3)
    (rows, ring), (others, other_ring) = parts(tmp_path), parts(tmp_path)
    rotation.generate(rows, ring, NOON_S)
    first = rotation.rewrap(rows, ring)
    next(first)

    last = rotation.generate(others, other_ring, NOON_S)
    second = rotation.rewrap(others, other_ring)
    for _ in range(30):
        next(first, None)
        next(second, None)

    assert next(first, None) is None
    assert next(second, None) is None
    assert used_keks(tmp_path) == {last}
    assert opened_tokens(tmp_path) == tokens


def test_keys_that_are_needed_are_not_retired(tmp_path: Path) -> None:
    tokens = seal_tokens(tmp_path, 2)
    rows, ring = parts(tmp_path)
    (old,) = ring.ids()
    with pytest.raises(OperatorError, match="active key"):
        rotation.retire(rows, ring, old)

    rotation.generate(rows, ring, NOON_S)
    with pytest.raises(OperatorError, match=f"still wraps {PREPARED_DAYS + 1} data keys"):
        rotation.retire(rows, ring, old)
    with pytest.raises(OperatorError, match="no key kek-none"):
        rotation.retire(rows, ring, "kek-none")

    for _ in rotation.rewrap(rows, ring):
        pass
    rotation.retire(rows, ring, old)
    assert old not in ring.ids()
    assert opened_tokens(tmp_path) == tokens


def test_a_retired_key_is_gone_from_the_file(tmp_path: Path) -> None:
    seal_tokens(tmp_path, 1)
    rows, ring = parts(tmp_path)
    before = ring._read()[0].key
    rotation.generate(rows, ring, NOON_S)
    for _ in rotation.rewrap(rows, ring):
        pass

    rotation.retire(rows, ring, ring.ids()[0])

    assert before not in [entry.key for entry in ring._read()]


def test_new_data_keys_seal_from_the_next_start_on_and_the_old_still_open(tmp_path: Path) -> None:
    running = open_token_cipher(settings_in(tmp_path), ledger_in(tmp_path), StoppedClock())
    _, old_id = running.seal("pm_TEST", row="k1")
    with closing(DekRows(ledger_in(tmp_path))) as rows:
        rotation.renew_data_keys(rows, FileRing(tmp_path / "kek.json"), NOON_S)

    replaced = open_token_cipher(settings_in(tmp_path), ledger_in(tmp_path), StoppedClock())
    sealed, still_old = running.seal("pm_TEST_2", row="k2")

    assert still_old == old_id
    assert replaced.seal("pm_TEST", row="k1")[1] != old_id
    assert replaced.open(sealed, still_old, row="k2") == "pm_TEST_2"


def test_old_tokens_open_after_years_and_rotations(tmp_path: Path) -> None:
    tokens: dict[str, str] = {}
    for year in range(4):
        wall_s = NOON_S + year * 365 * DAY_S
        tokens |= seal_tokens(tmp_path, 2, wall_s=wall_s)
        rows, ring = parts(tmp_path)
        rotation.generate(rows, ring, wall_s)
        for _ in rotation.rewrap(rows, ring):
            pass
        rotation.retire(rows, ring, ring.ids()[0])

    assert opened_tokens(tmp_path, wall_s=NOON_S + 4 * 365 * DAY_S) == tokens


def test_verify_counts_what_does_not_open_and_names_it(tmp_path: Path) -> None:
    seal_tokens(tmp_path, 4)
    database = sqlite3.connect(ledger_in(tmp_path))
    database.execute("UPDATE operations SET token = zeroblob(40) WHERE idem_key LIKE '%-1'")
    # Two tokens of the same bank in each other's place: both are whole, neither belongs there.
    a, b = (database.execute("SELECT token FROM operations WHERE id = ?", (n,)).fetchone()[0] for n in (3, 4))
    database.execute("UPDATE operations SET token = ? WHERE id = 3", (b,))
    database.execute("UPDATE operations SET token = ? WHERE id = 4", (a,))
    database.commit()

    report = rotation.verify(*parts(tmp_path), StoppedClock())

    assert (report.good, report.tokens_opened, report.tokens_failed) == (False, 1, 3)
    assert [re.search(r"key-\d+-(\d)", failure)[1] for failure in report.failures] == ["1", "2", "3"]


def test_verify_tells_tokens_in_clear_and_lost_keks(tmp_path: Path) -> None:
    seal_tokens(tmp_path, 2)
    database = sqlite3.connect(ledger_in(tmp_path))
    database.execute("UPDATE operations SET dek_id = NULL WHERE idem_key LIKE '%-1'")
    database.commit()
    (tmp_path / "other").mkdir()
    seal_tokens(tmp_path / "other", 1)

    report = rotation.verify(
        DekRows(ledger_in(tmp_path)), FileRing(tmp_path / "other" / "kek.json"), StoppedClock()
    )

    assert (report.tokens_clear, report.tokens_failed, report.data_keys_failed) == (1, 1, PREPARED_DAYS + 1)
    assert len(report.failures) == rotation.NAMED_MAX
    assert not report.good


def test_a_start_during_a_rotation_finds_every_key(tmp_path: Path) -> None:
    """A process that starts between any two steps: its data keys are complete, and none is under a retired KEK."""
    seal_tokens(tmp_path, 1)
    rows, ring = parts(tmp_path)
    rotation.generate(rows, ring, NOON_S)

    for day, _ in enumerate(rotation.rewrap(rows, ring), start=1):
        with closing(DekRows(ledger_in(tmp_path))) as started:
            prepare(started, FileRing(tmp_path / "kek.json"), NOON_S + day * DAY_S)

    rotation.retire(rows, ring, ring.ids()[0])
    assert len(opened_tokens(tmp_path, wall_s=NOON_S + 20 * DAY_S)) == 1
