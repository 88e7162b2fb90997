"""A ledger with sealed tokens in its operations, and a clock that stands where the test puts it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from dtmf_shield.cde.keys.opening import open_token_cipher
from dtmf_shield.model.keys import KekSettings
from dtmf_shield.store.database import open_ledger_database
from dtmf_shield.store.dek_rows import SealedRow

NOON_S = 1_800_014_400.0  # 2027-01-15 12:00 UTC


class StoppedClock:
    def __init__(self, wall_s: float = NOON_S) -> None:
        self.wall = wall_s

    def now_s(self) -> float:
        return 5.0

    def wall_s(self) -> float:
        return self.wall


def settings_in(directory: Path) -> KekSettings:
    return KekSettings(file=str(directory / "kek.json"))


def ledger_in(directory: Path) -> Path:
    return directory / "ledger.sqlite3"


def required(database: sqlite3.Connection, row: str) -> dict[str, object]:
    """Some value for every column of an operation that wants one; names are the row's."""
    columns = database.execute("PRAGMA table_info(operations)").fetchall()
    wanted = [column for column in columns if column[3] and column[4] is None and not column[5]]
    return {column[1]: row if column[2] == "TEXT" else 1 for column in wanted}


def store(directory: Path, rows: list[SealedRow]) -> None:
    database = open_ledger_database(ledger_in(directory))
    database.execute(
        "INSERT OR IGNORE INTO captures (id, call_id, started, state, test) VALUES ('c1', 'call-1', 1.0, 'ended', 1)"
    )
    for row in rows:
        known = {
            "capture_id": "c1",
            "kind": "tokenize",
            "state": "approved",
            "token": row.sealed,
            "dek_id": row.dek_id,
        }
        values = required(database, row.row) | known
        marks = ", ".join("?" * len(values))
        statement = f"INSERT INTO operations ({', '.join(values)}) VALUES ({marks})"  # noqa: S608 - own names
        database.execute(statement, [*values.values()])
    database.close()


def seal_tokens(
    directory: Path, count: int, settings: KekSettings | None = None, wall_s: float = NOON_S
) -> dict[str, str]:
    """Seal ``count`` tokens as the service would. Returns token by row."""
    cipher = open_token_cipher(settings or settings_in(directory), ledger_in(directory), StoppedClock(wall_s))
    tokens = {f"key-{wall_s:.0f}-{number}": f"pm_TEST_{wall_s:.0f}_{number}" for number in range(count)}
    store(directory, [SealedRow(row, *cipher.seal(token, row=row)) for row, token in tokens.items()])
    return tokens


def opened_tokens(
    directory: Path, settings: KekSettings | None = None, wall_s: float = NOON_S
) -> dict[str, str]:
    """Open every token as a service that starts now would. Returns token by row."""
    cipher = open_token_cipher(settings or settings_in(directory), ledger_in(directory), StoppedClock(wall_s))
    database = sqlite3.connect(ledger_in(directory))
    rows = database.execute("SELECT idem_key, token, dek_id FROM operations").fetchall()
    database.close()
    return {row: cipher.open(sealed, dek_id, row=row) for row, sealed, dek_id in rows}
