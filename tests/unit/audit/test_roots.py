"""Signed roots over the chain: what they find that the chain does not, and what only an anchor finds."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from dtmf_shield.audit import roots as roots_module
from dtmf_shield.audit.anchor import FileAnchor
from dtmf_shield.audit.chain import FIRST_HASH, AuditLog, row_hash
from dtmf_shield.audit.roots import RootsDoNotFitError, RootWriter, last_roots, read_roots
from dtmf_shield.audit.signing import RootSigner, ensure_signer, load_public_keys, load_signer
from dtmf_shield.audit.verification import (
    NO_ANCHORS,
    NO_ROOTS,
    Verification,
    proof_findings,
    proof_of,
    verify_log,
)
from dtmf_shield.base.errors import OperatorError

AT_S = 1_800_000_000.0


class House:
    """A log of 10 rows under three roots (rows 0-3, 4-7, 8-9), all anchored in a file."""

    def __init__(self, directory: Path) -> None:
        self.log = directory / "audit.jsonl"
        self.anchors = directory / "anchored"
        self.signer = ensure_signer(directory / "audit.key")
        self.keys = {self.signer.key_id: self.signer.public_key}
        for until in (4, 8, 10):
            self.write(until)
        self.anchor()

    def write(self, until: int) -> None:
        log = AuditLog(self.log)
        for number in range(len(self.rows()), until):
            log.append("shield", AT_S + number, leg="caller", mode="capture")
        log.close()
        RootWriter(self.log, self.signer).write(AT_S + until)

    def anchor(self) -> None:
        FileAnchor(self.anchors).send(list(read_roots(self.roots)))

    @property
    def roots(self) -> Path:
        return self.log.with_name("audit.roots.jsonl")

    def verify(self, *, with_roots: bool = True, with_anchors: bool = True) -> Verification:
        return verify_log(
            self.log,
            roots=self.roots if with_roots else None,
            keys=self.keys,
            anchors=self.anchors if with_anchors else None,
        )

    def rows(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def rewrite(self, rows: list[dict[str, object]]) -> None:
        """As somebody who can write the file would: every hash made to fit."""
        previous, lines = FIRST_HASH, []
        for number, row in enumerate(rows):
            whole = {name: value for name, value in row.items() if name != "hash"} | {"n": number}
            previous = row_hash(previous, whole)
            lines.append(json.dumps({**whole, "hash": previous}, sort_keys=True))
        self.log.write_text("\n".join(lines) + "\n")


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_an_intact_log_is_proved_whole(house: House) -> None:
    report = house.verify()

    assert (report.findings, report.not_proved) == ([], [])
    assert (report.rows, report.roots, report.anchors) == (10, 3, 3)
    assert (report.rows_under_roots, report.rows_anchored) == (10, 10)


def test_what_cannot_be_proved_is_said(house: House) -> None:
    log = AuditLog(house.log)
    log.append("shield", AT_S)
    log.close()

    assert house.verify(with_roots=False, with_anchors=False).not_proved == [NO_ROOTS, NO_ANCHORS]
    assert house.verify().not_proved == [
        "rows 10 to 10 are under no root yet: only the chain holds them",
        "rows 10 to 10 are anchored nowhere yet: they could have been rewritten",
    ]


def edit(house: House) -> None:
    rows = house.rows()
    rows[5]["mode"] = "guard"
    house.rewrite(rows)


def remove(house: House) -> None:
    rows = house.rows()
    del rows[5]
    house.rewrite(rows)


def cut_rows(house: House) -> None:
    house.rewrite(house.rows()[:6])


def broken_signature(house: House) -> None:
    lines = house.roots.read_text().splitlines()
    root = json.loads(lines[1])
    root["at"] += 60
    house.roots.write_text("\n".join([lines[0], json.dumps(root), lines[2]]) + "\n")


def root_removed(house: House) -> None:
    lines = house.roots.read_text().splitlines()
    house.roots.write_text(lines[0] + "\n" + lines[2] + "\n")


def stranger_s_key(house: House) -> None:
    house.roots.unlink()
    (house.log.parent / "audit.key").unlink()
    house.signer = ensure_signer(house.log.parent / "audit.key")
    RootWriter(house.log, house.signer).write(AT_S)


def row_s_hash(house: House) -> None:
    house.log.write_text(house.log.read_text().replace('"n": 5', '"n": 55'))


@pytest.mark.parametrize(
    ("tamper", "words"),
    [
        (edit, "rows 4 to 7: root 1 is not theirs"),
        (remove, "rows 4 to 7: root 1 is not theirs"),
        (cut_rows, "row 6: root 1 covers rows up to 7, and the log ends with row 5"),
        (broken_signature, "rows 4 to 7: the signature of root 1 is wrong"),
        (root_removed, "row 4: root 2 .rows 8 to 9. does not follow"),
        (stranger_s_key, "a key not given"),
        (row_s_hash, r"audit\.jsonl:6: the chain is broken here"),
    ],
)
def test_what_was_changed_is_found_without_any_anchor(
    house: House, tamper: Callable[[House], None], words: str
) -> None:
    tamper(house)

    report = house.verify(with_anchors=False)

    assert not report.good
    assert re.search(words, report.findings[0]), report.findings


def resigned(house: House, rows: list[dict[str, object]]) -> None:
    """As somebody with the key would: rows, chain and roots made anew."""
    house.rewrite(rows)
    house.roots.unlink()
    RootWriter(house.log, house.signer).write(AT_S + 100)


def test_whoever_has_the_key_can_rewrite_all_and_only_the_anchor_tells(house: House) -> None:
    rows = house.rows()
    rows[5]["mode"] = "guard"
    resigned(house, rows)

    without = house.verify(with_anchors=False)
    report = house.verify()

    assert (without.findings, without.not_proved) == ([], [NO_ANCHORS])
    assert report.findings[0].startswith("row 0: root 0 for rows 0 to 3 was anchored")
    assert len(report.findings) == 3


def test_a_tail_that_was_cut_with_its_root_is_told_by_the_anchor(house: House) -> None:
    house.log.write_text("\n".join(house.log.read_text().splitlines()[:8]) + "\n")
    house.roots.write_text("\n".join(house.roots.read_text().splitlines()[:2]) + "\n")

    assert house.verify(with_anchors=False).good
    (finding,) = house.verify().findings
    assert finding.startswith("row 8: root 2 for rows 8 to 9 was anchored")
    assert finding.endswith("were rewritten or cut")


def test_anchors_are_found_in_the_lines_of_a_log_host(house: House) -> None:
    lines = house.anchors.read_text().splitlines()
    framed = [f"Nov 26 11:00:{n:02d} host dtmf-shield 17 audit-root - {line}" for n, line in enumerate(lines)]
    house.anchors.write_text("something else {}\n" + "\n".join(framed) + '\nhost {"at": 3}\n')

    assert house.verify().anchors == 3


def test_an_anchor_file_without_roots_is_told(house: House) -> None:
    house.anchors.write_text("nothing\n")

    assert "holds no audit root" in house.verify().findings[0]


def test_batches_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roots_module, "BATCH_ROWS_MAX", 3)
    house = House(tmp_path)

    assert [(root.first, root.last) for root in read_roots(house.roots)] == [
        (0, 2),
        (3, 3),
        (4, 6),
        (7, 7),
        (8, 9),
    ]
    assert house.verify().good


def test_a_root_that_a_crash_cut_is_made_again(house: House) -> None:
    whole = house.roots.read_bytes()
    house.roots.write_bytes(whole[:-40])

    RootWriter(house.log, house.signer).write(AT_S + 10)

    assert house.roots.read_bytes() == whole


def test_a_half_written_row_waits_for_its_end(house: House) -> None:
    with house.log.open("a") as log:
        log.write('{"at": 1.0, "ev')

    assert RootWriter(house.log, house.signer).write(AT_S) == []


@pytest.mark.parametrize("tamper", [edit, cut_rows])
def test_a_log_that_its_roots_do_not_fit_is_noticed_at_the_start(
    house: House, tamper: Callable[[House], None]
) -> None:
    tamper(house)

    with pytest.raises(RootsDoNotFitError, match=r"audit\.roots\.jsonl"):
        RootWriter(house.log, house.signer)

    away = RootWriter.set_aside(house.log, AT_S)
    assert away.name == "audit.roots.1800000000.jsonl"
    assert RootWriter(house.log, house.signer).write(AT_S)[0].first == 0


def test_the_last_roots_are_read_from_the_end(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roots_module, "ROOT_BYTES_MAX", 600)

    assert [root.n for root in last_roots(house.roots, 2)] == [1, 2]
    assert [root.n for root in last_roots(house.roots, 100)] == [0, 1, 2]


@pytest.mark.parametrize("number", [0, 3, 5, 9])
def test_one_row_is_proved_and_shown_alone(house: House, number: int) -> None:
    proof = proof_of(house.log, house.roots, number)

    assert proof_findings(proof, house.keys) == []
    assert proof["row"]["n"] == number
    assert "hash" not in proof["row"]


def test_a_proof_that_was_changed_proves_nothing(house: House) -> None:
    proof = proof_of(house.log, house.roots, 5)
    others: list[dict[str, object]] = [
        proof | {"row": proof["row"] | {"mode": "guard"}},
        proof | {"row": proof["row"] | {"n": 6}},
        proof | {"path": proof["path"][:-1]},
        proof | {"root": proof["root"] | {"last": 9}},
        proof | {"root": proof["root"] | {"root": "00" * 32}},
        proof | {"root": 17},
        {},
    ]

    assert all(proof_findings(other, house.keys) for other in others)
    assert proof_findings(proof, {}) == [f"root 1 is signed by {house.signer.key_id}, a key not given"]


def test_a_row_without_a_root_has_no_proof(house: House) -> None:
    with pytest.raises(OperatorError, match="no root covers row 10"):
        proof_of(house.log, house.roots, 10)


def test_the_key_is_made_once_and_belongs_to_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "audit.key"

    first, second = ensure_signer(path), ensure_signer(path)

    assert first.key_id == second.key_id
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    with pytest.raises(OperatorError, match="chmod 600"):
        load_signer(path)


def test_public_keys_of_former_times_are_taken_together(tmp_path: Path) -> None:
    signers: list[RootSigner] = [ensure_signer(tmp_path / f"{n}.key") for n in range(2)]
    (tmp_path / "keys.pem").write_text("".join(signer.public_pem() for signer in signers))

    assert set(load_public_keys(tmp_path / "keys.pem")) == {signer.key_id for signer in signers}


@pytest.mark.parametrize(
    "content", ["", "no key", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"]
)
def test_a_file_without_a_public_key_is_told(tmp_path: Path, content: str) -> None:
    (tmp_path / "keys.pem").write_text(content)

    with pytest.raises(OperatorError, match="no Ed25519 public key"):
        load_public_keys(tmp_path / "keys.pem")
