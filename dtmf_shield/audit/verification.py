"""The whole proof of an audit log: chain, roots, signatures, anchors, gaps; the first thing wrong by its row, and in
words what cannot be proved with what was given. Reads files of any length once, a row at a time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from dtmf_shield.audit.chain import FIRST_HASH, canonical, verify
from dtmf_shield.audit.merkle import inclusion_path, leaf_hash, root_from_path, root_hash
from dtmf_shield.audit.roots import Root, parse_root, read_roots
from dtmf_shield.audit.signing import signature_good
from dtmf_shield.base.errors import OperatorError

FINDINGS_MAX: Final = 50
ANCHOR_LINE_BYTES_MAX: Final = 16_384

NO_ROOTS: Final = "no roots were given: whoever can write the file could have rewritten all of it"
NO_ANCHORS: Final = (
    "no anchors were given: whoever holds this host could have rewritten rows and roots together,"
    " or cut both at the end"
)
KEY_FROM_BESIDE: Final = (
    "the public key was read beside the log, where whoever changed the log could have changed the key:"
    " give one that was kept elsewhere"
)


@dataclass(slots=True)
class Verification:
    """What was found. ``findings``: sentences, the first wrong row first; ``not_proved``: what nobody can tell."""

    rows: int = 0
    roots: int = 0
    rows_under_roots: int = 0
    anchors: int = 0
    rows_anchored: int = 0
    findings: list[str] = field(default_factory=list)
    not_proved: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings

    def finding(self, sentence: str) -> None:
        """Note something wrong."""
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append(sentence)


def verify_log(
    log: Path,
    *,
    roots: Path | None,
    keys: Mapping[str, Ed25519PublicKey],
    anchors: Path | None,
) -> Verification:
    """Check a log. ``roots`` None: the chain alone. Raises OperatorError for a file that cannot be read."""
    report = Verification()
    # In this order the service may go on writing meanwhile: a root is on disk before it is anchored, rows before both.
    anchors_size = _size(anchors) if anchors else 0
    checker = _RootChecker(report, keys, read_roots(roots) if roots else iter(()))
    try:
        for row, digest in verify(log):
            checker.row(canonical(row), digest)
            report.rows += 1
    except OperatorError as error:
        report.finding(str(error))
    except OSError as error:
        raise OperatorError(
            f"{log} cannot be read ({error.strerror}); name an audit.jsonl of a state directory"
        ) from None
    checker.end()
    if roots is None:
        report.not_proved.append(NO_ROOTS)
    elif report.rows_under_roots < report.rows:
        report.not_proved.append(
            f"rows {report.rows_under_roots} to {report.rows - 1} are under no root yet: only the chain holds them"
        )
    if anchors is None:
        report.not_proved.append(NO_ANCHORS)
    else:
        _check_anchors(report, checker, anchors, anchors_size)
    return report


class _RootChecker:
    """Walks roots beside rows."""

    def __init__(
        self, report: Verification, keys: Mapping[str, Ed25519PublicKey], roots: Iterator[Root]
    ) -> None:
        self._report, self._keys, self._roots = report, keys, roots
        self._leaves: list[bytes] = []
        self._previous: Root | None = None
        self.digests: set[bytes] = set()
        self._current = self._take()

    def row(self, content: bytes, digest: str) -> None:
        """Take one row of an intact chain."""
        root = self._current
        if root is None:
            return
        self._leaves.append(leaf_hash(content))
        if self._report.rows == root.last:
            if root_hash(self._leaves).hex() != root.root or digest != root.head:
                self._report.finding(
                    f"rows {root.first} to {root.last}: root {root.n} is not theirs; one of these rows was changed"
                )
            else:
                self._report.rows_under_roots = root.last + 1
            self._leaves = []
            self._current = self._take()

    def end(self) -> None:
        """The log is over: roots that go on tell of rows that are gone. A broken chain has been told already."""
        root = self._current
        if root is not None and self._report.good:
            self._report.finding(
                f"row {max(root.first, self._report.rows)}: root {root.n} covers rows up to {root.last},"
                f" and the log ends with row {self._report.rows - 1}"
            )
        while self._current is not None:
            self._current = self._take()

    def _take(self) -> Root | None:
        try:
            root = next(self._roots, None)
        except OperatorError as error:
            self._report.finding(str(error))
            return None
        if root is None:
            return None
        self._report.roots += 1
        self._check(root)
        self._previous = root
        self.digests.add(bytes.fromhex(root.digest()))
        return root

    def _check(self, root: Root) -> None:
        before = self._previous
        expected = (before.n + 1, before.last + 1, before.digest()) if before else (0, 0, FIRST_HASH)
        if (root.n, root.first, root.previous) != expected:
            self._report.finding(
                f"row {expected[1]}: root {root.n} (rows {root.first} to {root.last}) does not follow the one before;"
                f" root {expected[0]} with row {expected[1]} belongs here"
            )
        key = self._keys.get(root.key)
        if key is None:
            self._report.finding(
                f"rows {root.first} to {root.last}: root {root.n} is signed by {root.key}, a key not given"
            )
        elif not signature_good(key, root.signed_content(), root.signature):
            self._report.finding(f"rows {root.first} to {root.last}: the signature of root {root.n} is wrong")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise OperatorError(f"{path}: cannot read the anchors ({error.strerror})") from None


def _check_anchors(report: Verification, checker: _RootChecker, anchors: Path, size: int) -> None:
    for number, root in anchored_roots(anchors, size):
        report.anchors += 1
        if bytes.fromhex(root.digest()) in checker.digests:
            report.rows_anchored = max(report.rows_anchored, root.last + 1)
        else:
            report.finding(
                f"row {root.first}: root {root.n} for rows {root.first} to {root.last} was anchored"
                f" ({anchors}:{number}), and the roots do not have it: log and roots were rewritten or cut"
            )
    if report.anchors == 0:
        report.finding(f"{anchors}: holds no audit root; name the file that the anchor has written")
    elif report.rows_anchored < report.rows:
        report.not_proved.append(
            f"rows {report.rows_anchored} to {report.rows - 1} are anchored nowhere yet: they could have been rewritten"
        )


def anchored_roots(path: Path, size: int) -> Iterator[tuple[int, Root]]:
    """Yield (line number, root) of what an anchor has kept: bare lines, or a log host's lines with the JSON in them.

    ``size``: bytes that are read. Raises OperatorError.
    """
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if (size := size - len(line)) < 0:
                    return
                start, end = line.find(b'{"at":'), line.rfind(b"}")
                if not 0 <= start < end or len(line) > ANCHOR_LINE_BYTES_MAX:
                    continue
                try:
                    yield number, parse_root(line[start : end + 1])
                except ValueError:
                    continue
    except OSError as error:
        raise OperatorError(f"{path}: cannot read the anchors ({error.strerror})") from None


# --- one row ----------------------------------------------------------------------------------------------


def proof_of(log: Path, roots: Path, number: int) -> dict[str, Any]:
    """Return the inclusion proof of one row: row, path, signed root. Raises OperatorError where there is none."""
    covering = next((root for root in read_roots(roots) if root.first <= number <= root.last), None)
    if covering is None:
        raise OperatorError(f"{roots}: no root covers row {number} yet")
    batch = []
    for row, _ in verify(log):
        if covering.first <= int(row["n"]) <= covering.last:
            batch.append(row)
    if len(batch) != covering.last - covering.first + 1:
        raise OperatorError(
            f"{log}: rows {covering.first} to {covering.last} of root {covering.n} are not all there"
        )
    leaves = [leaf_hash(canonical(row)) for row in batch]
    index = number - covering.first
    return {
        "row": batch[index],
        "path": [sibling.hex() for sibling in inclusion_path(index, leaves)],
        "root": asdict(covering),
    }


def proof_findings(proof: Any, keys: Mapping[str, Ed25519PublicKey]) -> list[str]:
    """Return what is wrong with a proof: nothing where the row is under the signed root."""
    try:
        root = parse_root(json.dumps(proof["root"]))
        row, path = proof["row"], [bytes.fromhex(each) for each in proof["path"]]
        leaf, index, size = leaf_hash(canonical(row)), int(row["n"]) - root.first, root.last - root.first + 1
        key = keys.get(root.key)
        content = root.signed_content()
    except (KeyError, TypeError, ValueError):
        return ["this is no proof of an audit row"]
    reached = root_from_path(leaf, index, size, path)
    findings = []
    if reached is None or reached.hex() != root.root:
        findings.append(f"row {row['n']} is not under root {root.n}: row, path or root was changed")
    if key is None:
        findings.append(f"root {root.n} is signed by {root.key}, a key not given")
    elif not signature_good(key, content, root.signature):
        findings.append(f"the signature of root {root.n} is wrong")
    return findings
