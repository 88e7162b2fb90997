"""Signed roots of the audit log: for each batch of rows its Merkle root (RFC 6962) and the chain's head, one JSON line.

A root names the rows it covers, the one before covers those before it, and it holds that one's hash: whoever has one
root, has everything up to it. The file is ``audit.roots.jsonl`` beside the log; what reads it is ``verification.py``.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Final

from dtmf_shield.audit.chain import FIRST_HASH, ROW_BYTES_MAX, canonical, parse_row
from dtmf_shield.audit.merkle import leaf_hash, root_hash
from dtmf_shield.audit.signing import RootSigner
from dtmf_shield.base.errors import OperatorError

ROOTS_FILE: Final = "audit.roots.jsonl"
BATCH_ROWS_MAX: Final = 1_000
"""Rows under one root: bounds the work of a root and of a proof."""
ROOT_BYTES_MAX: Final = 2_048


@dataclass(frozen=True, slots=True)
class Root:
    """One signed root. ``first`` and ``last``: row numbers; ``end``: bytes of the log up to there."""

    n: int
    first: int
    last: int
    end: int
    at: float
    root: str
    head: str
    previous: str
    key: str
    signature: str = ""

    def signed_content(self) -> bytes:
        """Return what the signature is of: everything else."""
        return canonical({name: value for name, value in asdict(self).items() if name != "signature"})

    def line(self) -> str:
        """Return the line of the file, without its end."""
        return canonical(asdict(self)).decode("ascii")

    def digest(self) -> str:
        """Return the hash under which the next root names this one."""
        return hashlib.sha256(self.line().encode("ascii")).hexdigest()


_KINDS: Final[Mapping[str, tuple[type, ...]]] = {"int": (int,), "float": (int, float), "str": (str,)}


def parse_root(line: str | bytes) -> Root:
    """Return the root of a line. Raises ValueError where it is none."""
    values = json.loads(line[:ROOT_BYTES_MAX])
    kinds = {field.name: _KINDS[str(field.type)] for field in fields(Root)}
    if not isinstance(values, dict) or values.keys() != kinds.keys():
        raise ValueError("no audit root")
    if not all(isinstance(values[name], kind) for name, kind in kinds.items()):
        raise ValueError("no audit root")
    return Root(**values)


def read_roots(path: Path) -> Iterator[Root]:
    """Yield the roots that a file has when it is opened. Raises OperatorError at the first line that is none."""
    try:
        with path.open("rb") as lines:
            left = os.fstat(lines.fileno()).st_size
            for number, line in enumerate(lines, start=1):
                if (left := left - len(line)) < 0:
                    return
                try:
                    yield parse_root(line)
                except ValueError:
                    raise OperatorError(
                        f"{path}:{number}: not an audit root; the file was changed or cut"
                    ) from None
    except OSError as error:
        raise OperatorError(
            f"{path}: cannot read the roots ({error.strerror}); name them with --roots"
        ) from None


def last_roots(path: Path, count: int) -> list[Root]:
    """Return at most the last ``count`` roots of a file, none where there is no file. Raises OSError, ValueError."""
    if not path.exists():
        return []
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        start = max(0, size - count * ROOT_BYTES_MAX)
        file.seek(start)
        lines = file.read().splitlines()
    # Cut somewhere, the first line is but the end of one.
    return [parse_root(line) for line in lines[1 if start else 0 :][-count:]]


class RootsDoNotFitError(OperatorError):
    """The roots that are there are not of the log that is there: one of the two was changed, cut or moved."""


class RootWriter:
    """Puts rows that have none under new roots. Reads the log as a file: it needs no word from who writes it."""

    def __init__(self, log: Path, signer: RootSigner) -> None:
        """Take up where the roots file ends. Raises RootsDoNotFitError, OSError."""
        self._log, self._signer = log, signer
        self.path = log.with_name(ROOTS_FILE)
        self._last = _last_root(self.path)
        if self._last is not None:
            self._check_fits(self._last)

    def write(self, wall_s: float, *, roots_max: int | None = None) -> list[Root]:
        """Put every whole row written since under roots of at most BATCH_ROWS_MAX; return the new ones, on disk.

        ``roots_max``: at most so many now. Raises OSError, and OperatorError where the log holds something that is no
        row.
        """
        made: list[Root] = []
        while (roots_max is None or len(made) < roots_max) and (root := self._next(wall_s)):
            with self.path.open("ab") as file:
                file.write(root.line().encode("ascii") + b"\n")
                file.flush()
                os.fsync(file.fileno())
            self._last = root
            made.append(root)
        return made

    @staticmethod
    def set_aside(log: Path, wall_s: float) -> Path:
        """Move the roots file away, keeping it, so that roots begin anew. Returns where it is now. Raises OSError."""
        path = log.with_name(ROOTS_FILE)
        return path.rename(path.with_name(f"audit.roots.{int(wall_s)}.jsonl"))

    def _next(self, wall_s: float) -> Root | None:
        last = self._last
        first, start = (last.last + 1, last.end) if last else (0, 0)
        leaves: list[bytes] = []
        head, end = "", start
        with self._log.open("rb") as log:
            # Rows are flushed, not synchronised, when written: a root must never outlive its rows.
            os.fsync(log.fileno())
            log.seek(start)
            while len(leaves) < BATCH_ROWS_MAX and (line := log.readline(ROW_BYTES_MAX + 2)).endswith(b"\n"):
                leaf, head = self._leaf(line, first + len(leaves))
                leaves.append(leaf)
                end += len(line)
        if not leaves:
            return None
        root = Root(
            n=last.n + 1 if last else 0,
            first=first,
            last=first + len(leaves) - 1,
            end=end,
            at=round(wall_s, 3),
            root=root_hash(leaves).hex(),
            head=head,
            previous=last.digest() if last else FIRST_HASH,
            key=self._signer.key_id,
        )
        return Root(**{**asdict(root), "signature": self._signer.sign(root.signed_content())})

    def _leaf(self, line: bytes, number: int) -> tuple[bytes, str]:
        try:
            row, digest = parse_row(line)
        except ValueError:
            raise OperatorError(f"{self._log}: row {number} is no audit row; the file was changed") from None
        if row.get("n") != number:
            raise OperatorError(
                f"{self._log}: row {row.get('n')} stands where {number} belongs; the file was changed"
            )
        return leaf_hash(canonical(row)), digest

    def _check_fits(self, last: Root) -> None:
        with self._log.open("rb") as log:
            log.seek(max(0, last.end - ROW_BYTES_MAX - 2))
            before = log.read(min(last.end, ROW_BYTES_MAX + 2))
        try:
            row, digest = parse_row(before.rstrip(b"\n").rpartition(b"\n")[2])
        except ValueError:
            row, digest = {}, ""
        if not before.endswith(b"\n") or (row.get("n"), digest) != (last.last, last.head):
            raise RootsDoNotFitError(
                f"{self.path}: its last root says that row {last.last} ends at byte {last.end} of {self._log.name},"
                " which is not so: one of the two files was changed, cut or moved; keep both and find out why"
            )


def _last_root(path: Path) -> Root | None:
    """Return the last whole root; what a crash cut behind it is removed."""
    if not path.exists():
        return None
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 2 * ROOT_BYTES_MAX))
        whole, newline, cut = file.read().rpartition(b"\n")
        file.truncate(size - len(cut))
    if not newline:
        return None
    try:
        return parse_root(whole.rpartition(b"\n")[2])
    except ValueError:
        raise RootsDoNotFitError(
            f"{path}: its last line is no audit root; keep the file and find out why"
        ) from None
