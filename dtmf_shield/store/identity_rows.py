"""People, sessions, keys and one-time links of the API: SQLite, one file, mode 0600.

Secrets are here as digests only: passwords as argon2id texts, tokens of sessions, links and keys as SHA-256 of 256
random bits; but for the secrets of second factors, which come sealed. ``control`` and the command line write at the
same time; what the command line did waits in ``notes`` until ``control``, the one writer of the audit log, has put it
there. What roles mean is not known here.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

from dtmf_shield.base.errors import OperatorError

IDENTITY_FILE: Final = "identity.sqlite3"
BUSY_TIMEOUT_MS: Final = 2_000
SCHEMA_VERSION: Final = 2

_FIRST: Final = """
CREATE TABLE IF NOT EXISTS users (name TEXT PRIMARY KEY, roles TEXT NOT NULL, agents TEXT, language TEXT NOT NULL,
  created REAL NOT NULL, password TEXT NOT NULL, disabled REAL NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS links (digest BLOB PRIMARY KEY, purpose TEXT NOT NULL, name TEXT NOT NULL,
  ends REAL NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS sessions (digest BLOB PRIMARY KEY, name TEXT NOT NULL, kind TEXT NOT NULL,
  roles TEXT NOT NULL, agents TEXT, created REAL NOT NULL, seen REAL NOT NULL, ends REAL NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS keys (name TEXT PRIMARY KEY, digest BLOB NOT NULL UNIQUE, roles TEXT NOT NULL, agents TEXT,
  created REAL NOT NULL, revoked REAL NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, event TEXT NOT NULL, facts TEXT NOT NULL) STRICT;
"""
_SECOND: Final = """
ALTER TABLE sessions ADD COLUMN parent BLOB NOT NULL DEFAULT x'';
CREATE TABLE factors (name TEXT PRIMARY KEY, secret BLOB NOT NULL, since REAL NOT NULL, used_step INTEGER NOT NULL,
  recovery TEXT NOT NULL) STRICT;
"""
_STEPS: Final = (_FIRST, _SECOND)
"""What brings a file from each schema version to the next one."""


@dataclass(frozen=True, slots=True)
class UserRow:
    """One person. ``agents``: None for all calls. ``password``: empty until it is set; ``disabled``: wall time or 0."""

    name: str
    roles: tuple[str, ...]
    agents: tuple[str, ...] | None
    language: str
    created: float
    password: str
    disabled: float


@dataclass(frozen=True, slots=True)
class LinkRow:
    """A link for one use. ``purpose``: ``password`` of ``name``, or ``session`` of the local administrator."""

    digest: bytes
    purpose: str
    name: str
    ends: float


@dataclass(frozen=True, slots=True)
class SessionRow:
    """One browser's session. ``kind``: ``local`` (roles are the user's), ``link`` or ``oidc`` (roles are here).

    ``parent``: digest of the session that opened this one for an embedded page; empty for a sign-in itself.
    """

    digest: bytes
    name: str
    kind: str
    roles: tuple[str, ...]
    agents: tuple[str, ...] | None
    created: float
    seen: float
    ends: float
    parent: bytes = b""


@dataclass(frozen=True, slots=True)
class FactorRow:
    """A user's second factor. ``secret``: sealed; ``used_step``: of the newest code taken; ``recovery``: hex digests
    of the codes that are left."""

    name: str
    secret: bytes
    since: float
    used_step: int
    recovery: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A program's key. ``revoked``: wall time or 0."""

    name: str
    digest: bytes
    roles: tuple[str, ...]
    agents: tuple[str, ...] | None
    created: float
    revoked: float


Row = UserRow | LinkRow | SessionRow | KeyRow | FactorRow
_TABLES: Final = {
    UserRow: "users",
    LinkRow: "links",
    SessionRow: "sessions",
    KeyRow: "keys",
    FactorRow: "factors",
}
_LISTS: Final = ("roles", "agents", "recovery")


class IdentityRows:
    """The file. One connection, used by one thread; every method is one transaction."""

    def __init__(self, path: Path | None) -> None:
        """Open or create ``path``; None: in memory. Raises OperatorError where it cannot be read."""
        self._path = path
        self._told: set[int] = set()
        """Numbers of notes that were told and could not be forgotten yet."""
        try:
            if path is not None:
                os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
            self._database = sqlite3.connect(
                path or ":memory:",
                isolation_level=None,
                timeout=BUSY_TIMEOUT_MS / 1_000,
                check_same_thread=False,
            )
            # Commits that must outlive a power cut ask for it: see _durable. Sessions need not.
            for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "temp_store=MEMORY"):
                self._database.execute(f"PRAGMA {pragma}")
            version = _brought_up(self._database)
        except (OSError, sqlite3.Error) as error:
            raise OperatorError(
                f"{path}: cannot open users and sessions ({error}); check the state directory"
            ) from error
        if version != SCHEMA_VERSION:
            raise OperatorError(f"{path}: schema {version}, this version reads {SCHEMA_VERSION}")

    def changed_elsewhere(self) -> int:
        """Return a number that changes when another connection has written."""
        return int(self._database.execute("PRAGMA data_version").fetchone()[0])

    def users(self) -> list[UserRow]:
        """All people, by name."""
        return self._all(UserRow)

    def links(self) -> list[LinkRow]:
        """All links that nobody has used."""
        return self._all(LinkRow)

    def sessions(self) -> list[SessionRow]:
        """All sessions."""
        return self._all(SessionRow)

    def program_keys(self) -> list[KeyRow]:
        """All keys of programs, revoked ones too."""
        return self._all(KeyRow)

    def factors(self) -> list[FactorRow]:
        """All second factors."""
        return self._all(FactorRow)

    def remove_factor(self, name: str) -> None:
        """Forget a second factor."""
        with self._durable(True):
            self._database.execute("DELETE FROM factors WHERE name = ?", (name,))

    def put(self, row: Row, *, durable: bool = True) -> None:
        """Write or replace one row. ``durable``: it outlives a power cut."""
        values = asdict(row)
        for name in _LISTS:
            if values.get(name) is not None:
                values[name] = json.dumps(values[name])
        marks = ", ".join("?" * len(values))
        with self._durable(durable):
            self._database.execute(
                f"INSERT OR REPLACE INTO {_TABLES[type(row)]} ({', '.join(values)}) VALUES ({marks})",  # noqa: S608 - own names
                tuple(values.values()),
            )

    def take_link(self, digest: bytes) -> LinkRow | None:
        """Remove a link and return it: of two that come at once, one gets it."""
        with self._durable(True):
            found = self._database.execute(
                "DELETE FROM links WHERE digest = ? RETURNING digest, purpose, name, ends", (digest,)
            ).fetchall()
        return LinkRow(*found[0]) if found else None

    def remove_links(self, name: str, before: float) -> None:
        """Forget the links of one person, and everybody's that have ended."""
        with self._durable(True):
            self._database.execute("DELETE FROM links WHERE name = ? OR ends <= ?", (name, before))

    def remove_sessions(self, digests: list[bytes]) -> None:
        """Forget sessions."""
        with self._durable(True):
            self._database.executemany("DELETE FROM sessions WHERE digest = ?", [(one,) for one in digests])

    def add_note(self, event: str, facts: dict[str, str | int]) -> None:
        """Leave a row for the audit log, which ``control`` writes."""
        with self._durable(True):
            self._database.execute(
                "INSERT INTO notes (event, facts) VALUES (?, ?)", (event, json.dumps(facts))
            )

    def hand_over_notes(self, tell: Callable[..., None]) -> None:
        """Give each note to ``tell(event, **facts)`` and forget it; one that could not be forgotten is not told again.

        Raises sqlite3.Error.
        """
        found = self._database.execute("SELECT id, event, facts FROM notes ORDER BY id").fetchall()
        for number, event, facts in found:
            if number not in self._told:
                tell(event, **json.loads(facts))
                self._told.add(number)
            with self._durable(True):
                self._database.execute("DELETE FROM notes WHERE id = ?", (number,))
            self._told.discard(number)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _all(self, kind: type[Any]) -> list[Any]:
        names = ", ".join(field.name for field in fields(kind))
        rows = self._database.execute(f"SELECT {names} FROM {_TABLES[kind]} ORDER BY 1")  # noqa: S608 - own names
        return [kind(**_read(kind, values)) for values in rows]

    @contextmanager
    def _durable(self, wanted: bool) -> Iterator[None]:
        if not wanted:
            yield
            return
        self._database.execute("PRAGMA synchronous=FULL")
        try:
            yield
        finally:
            self._database.execute("PRAGMA synchronous=NORMAL")


def _version(database: sqlite3.Connection) -> int:
    return int(database.execute("PRAGMA user_version").fetchone()[0])


def _brought_up(database: sqlite3.Connection) -> int:
    """Bring the file to this version's schema, where it is older; return which it has then."""
    version = _version(database)
    if version >= SCHEMA_VERSION:
        return version
    database.execute("BEGIN IMMEDIATE")  # the service and a command may both be first
    try:
        version = _version(database)
        for step in _STEPS[version:]:
            for statement in step.split(";"):
                database.execute(statement)
            version += 1
        database.execute(f"PRAGMA user_version={version}")
    except BaseException:
        database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")
    return version


def _read(kind: type[Any], values: tuple[Any, ...]) -> dict[str, Any]:
    row = {field.name: value for field, value in zip(fields(kind), values, strict=True)}
    for name in _LISTS:
        if row.get(name) is not None:
            row[name] = tuple(json.loads(row[name]))
    return row
