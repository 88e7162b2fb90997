"""KEKs in one file of mode 0600, or in a systemd credential of the same form, which is never written here.

The file is JSON: ``{"version": 1, "keys": [{"id", "created", "key"}, ...]}``, keys in base64, the active one last.
It is replaced whole (written beside, synchronised, renamed), so that a crash leaves the old or the new one.
"""

from __future__ import annotations

import datetime
import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from dtmf_shield.base.errors import OperatorError
from dtmf_shield.cde.keys.kek import KEKS_MAX, KEY_BYTES, MemoryKek, random_name

RING_BYTES_MAX: Final = 65_536
VERSION: Final = 1


class _Entry(msgspec.Struct):
    id: str
    created: str
    key: bytes


class _Ring(msgspec.Struct):
    version: int
    keys: list[_Entry]


class FileRing:
    """Implements ``KekRing``. ``read_only``: a credential, which its owner replaces by another way."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self._path, self._read_only = path, read_only
        self.place = str(path)

    def may_begin(self) -> bool:
        """Whether a first start may make the file."""
        return not self._read_only and not self._path.exists()

    def ids(self) -> tuple[str, ...]:
        """Return the names of all keys, the active one last."""
        return tuple(entry.id for entry in self._read())

    def get(self, kek_id: str) -> MemoryKek:
        """Return one key. Raises OperatorError where it is not there."""
        for entry in self._read():
            if entry.id == kek_id:
                return MemoryKek(entry.id, entry.key)
        raise OperatorError(
            f"{self._path}: the key {kek_id} is not in this file, but data keys are wrapped by it;"
            " restore the file from its backup"
        )

    def generate(self, wall_s: float) -> str:
        """Add a key and return its name."""
        return self.generate_into(self._path, wall_s)

    def generate_into(self, path: Path, wall_s: float) -> str:
        """Write this ring and a new key to ``path``: the way to a new credential. Return the key's name."""
        if self._read_only and path == self._path:
            raise OperatorError(
                f"{path} is a credential and is not written from here;"
                " name a new file with --out and load that instead"
            )
        entries = self._read() if self._path.exists() else []
        if len(entries) >= KEKS_MAX:
            raise OperatorError(f"{self._path}: {KEKS_MAX} keys are the most; retire some: keys retire")
        day = datetime.datetime.fromtimestamp(wall_s, datetime.UTC).date().isoformat()
        entry = _Entry(f"kek-{day}-{random_name()}", day, secrets.token_bytes(KEY_BYTES))
        _replace(path, [*entries, entry])
        return entry.id

    def retire(self, kek_id: str) -> None:
        """Take a key out of the file."""
        if self._read_only:
            raise OperatorError(
                f"{self._path} is a credential; take {kek_id} out where the credential is kept"
            )
        _replace(self._path, [entry for entry in self._read() if entry.id != kek_id])

    def close(self) -> None:
        """Nothing is held."""

    def _read(self) -> list[_Entry]:
        try:
            mode, raw = self._path.stat().st_mode, self._path.read_bytes()
        except OSError as error:
            raise OperatorError(
                f"{self._path}: cannot read the key encryption keys ({error.strerror});"
                " restore the file from its backup, or mend its owner"
            ) from None
        # systemd gives credentials to a user by an ACL, which shows as group rights; others never have any.
        if mode & (0o007 if self._read_only else 0o077):
            raise OperatorError(f"{self._path}: mode {mode & 0o777:04o}, others may read it; chmod 600 it")
        try:
            ring = msgspec.json.decode(raw, type=_Ring)
        except msgspec.MsgspecError:
            raise OperatorError(
                f"{self._path}: is no key file of this service; restore it from its backup"
            ) from None
        good = ring.version == VERSION and 0 < len(ring.keys) <= KEKS_MAX and len(raw) <= RING_BYTES_MAX
        if not good or any(len(entry.key) != KEY_BYTES for entry in ring.keys):
            raise OperatorError(
                f"{self._path}: version {ring.version} with {len(ring.keys)} keys;"
                f" this version reads version {VERSION} with 1 to {KEKS_MAX} keys of {KEY_BYTES} bytes"
            )
        return ring.keys


def _replace(path: Path, entries: Sequence[_Entry]) -> None:
    beside = path.with_name(path.name + ".new")
    try:
        beside.unlink(missing_ok=True)
        owner = path.stat() if path.exists() else path.parent.stat()
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            if os.geteuid() == 0:
                os.fchown(file.fileno(), owner.st_uid, owner.st_gid)  # root keeps it the service's
            file.write(msgspec.json.encode(_Ring(VERSION, list(entries))) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as error:
        raise OperatorError(
            f"{path}: cannot write the key file ({error.strerror}); mend the directory"
        ) from None
