"""Tokens at rest: sealed to their place, under the key of the day, and nothing else opens them."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtmf_shield.base.errors import InvariantError, OperatorError
from dtmf_shield.base.log import scrub
from dtmf_shield.cde.keys.file_ring import FileRing
from dtmf_shield.cde.keys.opening import open_token_cipher
from dtmf_shield.cde.keys.preparation import DAY_S, PREPARED_DAYS, UNUSED_KEPT_DAYS
from dtmf_shield.cde.keys.token_cipher import TOKEN_BYTES_MAX, TokenCipher, TokenOpenError, dek_day
from dtmf_shield.store.dek_rows import DekRows
from tests.unit.cde.keys.sealed_ledger import (
    NOON_S,
    StoppedClock,
    opened_tokens,
    seal_tokens,
    settings_in,
)


def cipher_in(directory: Path, clock: StoppedClock | None = None) -> TokenCipher:
    return open_token_cipher(settings_in(directory), directory / "ledger.sqlite3", clock or StoppedClock())


MEMORY = TokenCipher(
    {"2027-01-15-00000000": bytes(32), "2027-01-16-00000000": bytes(31) + b"x"}, StoppedClock()
)


@given(token=st.text(max_size=TOKEN_BYTES_MAX // 4), row=st.text(max_size=60))
def test_what_was_sealed_opens_in_its_row(token: str, row: str) -> None:
    sealed, dek_id = MEMORY.seal(token, row=row)

    assert MEMORY.open(sealed, dek_id, row=row) == token
    assert len(token) < 4 or token.encode() not in sealed


@given(position=st.integers(0, 40), bit=st.integers(0, 7))
def test_one_changed_bit_anywhere_is_refused(position: int, bit: int) -> None:
    sealed, dek_id = MEMORY.seal("pm_TEST_12345", row="k1")
    changed = bytearray(sealed)
    changed[position % len(sealed)] ^= 1 << bit

    with pytest.raises(TokenOpenError):
        MEMORY.open(bytes(changed), dek_id, row="k1")


@pytest.mark.parametrize(
    ("row", "dek_id"),
    [("k2", "2027-01-15-00000000"), ("k1", "2027-01-16-00000000"), ("k1", "2027-01-17-00000000")],
)
def test_another_row_or_key_is_refused_without_naming_the_token(row: str, dek_id: str) -> None:
    sealed, _ = MEMORY.seal("pm_TEST_12345", row="k1")

    with pytest.raises(TokenOpenError) as refused:
        MEMORY.open(sealed, dek_id, row=row)

    assert "pm_TEST" not in str(refused.value)


@pytest.mark.parametrize("length", [0, 1, 12, 28, 29 + TOKEN_BYTES_MAX + 1])
def test_what_has_no_token_s_length_is_refused(length: int) -> None:
    with pytest.raises(TokenOpenError):
        MEMORY.open(b"\x01" * length, "2027-01-15-00000000", row="k1")


def test_nonces_never_repeat() -> None:
    assert len({MEMORY.seal("same", row="k1")[0][1:13] for _ in range(1_000)}) == 1_000


def test_token_over_the_limit_is_refused() -> None:
    with pytest.raises(ValueError, match=str(TOKEN_BYTES_MAX)):
        MEMORY.seal("x" * (TOKEN_BYTES_MAX + 1), row="k1")


def test_cipher_without_keys_is_a_broken_promise() -> None:
    with pytest.raises(InvariantError):
        TokenCipher({}, StoppedClock())


def test_each_day_has_its_key_and_the_last_goes_on(tmp_path: Path) -> None:
    clock = StoppedClock()
    cipher = cipher_in(tmp_path, clock)

    used = []
    for ahead in (0, 1, PREPARED_DAYS, PREPARED_DAYS + 5):
        clock.wall = NOON_S + ahead * DAY_S
        used.append(dek_day(cipher.seal("t", row="k1")[1]))

    assert used == ["2027-01-15", "2027-01-16", "2028-02-19", "2028-02-19"]


def test_another_process_opens_them_and_makes_no_second_key_for_a_day(tmp_path: Path) -> None:
    sealed, dek_id = cipher_in(tmp_path).seal("pm_TEST_1", row="k1")
    again = cipher_in(tmp_path)

    assert again.open(sealed, dek_id, row="k1") == "pm_TEST_1"
    assert again.seal("other", row="k2")[1] == dek_id
    assert len(DekRows(tmp_path / "ledger.sqlite3").all()) == PREPARED_DAYS + 1


def test_clock_set_back_behind_every_key_still_seals(tmp_path: Path) -> None:
    clock = StoppedClock()
    cipher = cipher_in(tmp_path, clock)
    clock.wall = NOON_S - 3 * DAY_S

    sealed, dek_id = cipher.seal("pm_TEST_1", row="k1")

    assert cipher.open(sealed, dek_id, row="k1") == "pm_TEST_1"


def test_past_keys_that_sealed_nothing_are_forgotten(tmp_path: Path) -> None:
    tokens = seal_tokens(tmp_path, 1)
    for days in (390, 500):
        cipher_in(tmp_path, StoppedClock(NOON_S + days * DAY_S))

    days_kept = [dek_day(row.dek_id) for row in DekRows(tmp_path / "ledger.sqlite3").all()]
    # The first day's key has sealed a token and stays; of the others what is 400 days old is gone.
    assert days_kept[:2] == ["2027-01-15", "2027-04-25"]
    assert len(days_kept) == 1 + UNUSED_KEPT_DAYS + 1 + PREPARED_DAYS
    assert opened_tokens(tmp_path, wall_s=NOON_S + 500 * DAY_S) == tokens


def test_a_clock_far_ahead_makes_nothing_forgotten(tmp_path: Path) -> None:
    """A process that runs on with the right time must find its keys again."""
    running = cipher_in(tmp_path)
    cipher_in(tmp_path, StoppedClock(NOON_S + 5_000 * DAY_S))
    sealed, dek_id = running.seal("pm_TEST_1", row="k1")

    assert cipher_in(tmp_path).open(sealed, dek_id, row="k1") == "pm_TEST_1"


def test_no_key_s_name_passes_for_a_card_number(tmp_path: Path) -> None:
    """A day has eight digits: eight more behind it, and one name in ten would be scrubbed from every log."""
    cipher_in(tmp_path)
    names = [row.dek_id for row in DekRows(tmp_path / "ledger.sqlite3").all()]

    assert [name for name in (*names, *FileRing(tmp_path / "kek.json").ids()) if scrub(name) != name] == []
    assert all(sum(map(str.isdecimal, name)) == 8 for name in names)


def test_no_byte_of_a_token_is_in_the_ledger_s_files(tmp_path: Path) -> None:
    tokens = seal_tokens(tmp_path, 3)

    raw = b"".join(path.read_bytes() for path in tmp_path.glob("ledger.sqlite3*"))

    assert all(row.encode() in raw for row in tokens), "the control: rows are in these bytes"
    assert b"pm_TEST" not in raw


def test_neither_the_ledger_nor_the_cipher_s_text_shows_a_key(tmp_path: Path) -> None:
    cipher = cipher_in(tmp_path)
    keys = FileRing(tmp_path / "kek.json")._read()

    raw = b"".join(path.read_bytes() for path in tmp_path.glob("ledger.sqlite3*"))

    assert keys[0].key not in raw
    assert repr(cipher) == "<TokenCipher 401 data keys to 2028-02-19>"


SEALED_PROGRAM = """
import resource, sys
from pathlib import Path
from dtmf_shield.base.system_clock import SystemClock
from dtmf_shield.cde.keys.opening import open_token_cipher
from dtmf_shield.model.keys import KekSettings
directory = Path(sys.argv[1])
cipher = open_token_cipher(KekSettings(file=str(directory / "kek.json")), directory / "ledger.sqlite3", SystemClock())
resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
try:
    open("/dev/null")
except OSError:
    print("no file opens")
print(cipher.open(*cipher.seal("pm_TEST_1", row="k1"), row="k1"))
"""


def test_a_process_that_can_open_no_file_seals_and_opens(tmp_path: Path) -> None:
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 0

    done = subprocess.run(
        [sys.executable, "-c", SEALED_PROGRAM, str(tmp_path)], capture_output=True, text=True, check=True
    )

    assert done.stdout.splitlines() == ["no file opens", "pm_TEST_1"]


def test_the_first_start_makes_a_key_file_of_its_owner_alone(tmp_path: Path) -> None:
    cipher_in(tmp_path)

    assert (tmp_path / "kek.json").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "kek.json").read_text().count('"key":') == 1


def test_a_lost_key_file_is_told_and_not_replaced(tmp_path: Path) -> None:
    cipher_in(tmp_path)
    (tmp_path / "kek.json").unlink()

    with pytest.raises(OperatorError, match=r"kek\.json: cannot read"):
        cipher_in(tmp_path)
    assert not (tmp_path / "kek.json").exists()


def test_a_key_file_of_another_installation_is_told(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    cipher_in(tmp_path)
    cipher_in(tmp_path / "other")
    (tmp_path / "other" / "kek.json").replace(tmp_path / "kek.json")

    with pytest.raises(OperatorError, match="not in this file, but data keys are wrapped by it"):
        cipher_in(tmp_path)


def test_a_key_of_the_right_name_and_wrong_bytes_is_told(tmp_path: Path) -> None:
    cipher_in(tmp_path)
    path = tmp_path / "kek.json"
    (entry,) = FileRing(path)._read()
    path.write_bytes(
        path.read_bytes().replace(b'"key":"' + path.read_bytes().split(b'"key":"')[1][:4], b'"key":"AAAA')
    )
    assert FileRing(path)._read()[0].key != entry.key

    with pytest.raises(OperatorError, match="does not open the data key"):
        cipher_in(tmp_path)


def test_root_leaves_the_key_file_to_the_service_s_user(tmp_path: Path) -> None:
    """A rotation by root must not take the file from the user whom the service runs as."""
    ring = FileRing(tmp_path / "kek.json")
    user = 12_345 if os.geteuid() == 0 else os.geteuid()
    if os.geteuid() == 0:
        os.chown(tmp_path, user, user)
    ring.generate(NOON_S)
    assert (tmp_path / "kek.json").stat().st_uid == user

    if os.geteuid() == 0:
        os.chown(tmp_path, 0, 0)
    ring.generate(NOON_S)
    assert (tmp_path / "kek.json").stat().st_uid == user


def test_what_a_crash_left_beside_the_key_file_is_never_taken(tmp_path: Path) -> None:
    cipher_in(tmp_path)
    (tmp_path / "kek.json.new").write_text('{"version": 1, "keys": [{"id": "ke')
    ring = FileRing(tmp_path / "kek.json")
    (before,) = ring.ids()

    made = ring.generate(NOON_S)

    assert ring.ids() == (before, made)
    assert not (tmp_path / "kek.json.new").exists()


@pytest.mark.parametrize(
    ("content", "mode", "words"),
    [
        (b"{}", 0o600, "is no key file"),
        (b'{"version":2,"keys":[]}', 0o600, "version 2 with 0 keys"),
        (b'{"version":1,"keys":[{"id":"a","created":"","key":"AAAA"}]}', 0o600, "32 bytes"),
        (b"{}", 0o644, "chmod 600"),
    ],
)
def test_a_key_file_that_is_not_one_is_told(tmp_path: Path, content: bytes, mode: int, words: str) -> None:
    (tmp_path / "kek.json").write_bytes(content)
    (tmp_path / "kek.json").chmod(mode)

    with pytest.raises(OperatorError, match=words):
        cipher_in(tmp_path)
