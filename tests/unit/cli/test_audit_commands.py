"""``dtmf-shield audit``: what an operator and an assessor see, and exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from dtmf_shield.audit.anchor import FileAnchor
from dtmf_shield.audit.chain import AuditLog
from dtmf_shield.audit.roots import RootWriter, read_roots
from dtmf_shield.audit.signing import ensure_signer
from dtmf_shield.cli.main import app


def run(*arguments: str | Path, code: int = 0) -> Any:
    result = CliRunner().invoke(app, ["audit", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def state(tmp_path: Path) -> Path:
    log = AuditLog(tmp_path / "audit.jsonl")
    for number in range(5):
        log.append("shield", 1_800_000_000.0 + number, leg="caller", mode="capture")
    log.close()
    RootWriter(tmp_path / "audit.jsonl", ensure_signer(tmp_path / "audit.key")).write(1_800_000_060.0)
    FileAnchor(tmp_path / "anchored").send(list(read_roots(tmp_path / "audit.roots.jsonl")))
    (tmp_path / "key.pem").write_text(run("public-key", tmp_path).stdout)
    return tmp_path


def test_verify_says_what_holds_and_what_nobody_can_tell(state: Path) -> None:
    told = run("verify", state / "audit.jsonl").stdout

    assert "5 rows, chain intact" in told
    assert "1 signed roots hold rows up to 4" in told
    assert "not proved: no anchors were given" in told
    assert "not proved: the public key was read beside the log" in told


def test_with_anchors_and_a_key_from_elsewhere_nothing_is_left_open(state: Path) -> None:
    told = run(
        "verify",
        state / "audit.jsonl",
        "--anchors",
        state / "anchored",
        "--public-key",
        state / "key.pem",
        "--json",
    )

    assert json.loads(told.stdout) == {
        "good": True,
        "rows": 5,
        "roots": 1,
        "rows_under_roots": 5,
        "anchors": 1,
        "rows_anchored": 5,
        "findings": [],
        "not_proved": [],
    }


def test_a_changed_row_ends_with_2_and_is_named(state: Path) -> None:
    log = state / "audit.jsonl"
    log.write_text(log.read_text().replace("capture", "guard", 1))

    told = run("verify", log, code=2)

    assert "audit.jsonl:1: the chain is broken here" in told.stderr.replace("\n", "")
    assert "chain intact" not in told.output


def test_a_missing_file_and_a_missing_key_are_told(state: Path) -> None:
    assert "cannot be read" in run("verify", state / "absent.jsonl", code=2).stderr
    (state / "audit.key").unlink()
    assert "--public-key" in run("verify", state / "audit.jsonl", code=2).stderr


def test_one_row_is_proved_to_whoever_has_the_key(state: Path) -> None:
    (state / "proof.json").write_text(run("proof", state / "audit.jsonl", "3").stdout)

    told = run("check-proof", state / "proof.json", "--public-key", state / "key.pem").stdout
    assert "row 3 is under root 0" in told
    assert '"event": "shield"' in told

    (state / "proof.json").write_text((state / "proof.json").read_text().replace("capture", "guard"))
    refused = run("check-proof", state / "proof.json", "--public-key", state / "key.pem", code=2)
    assert "is not under root 0" in refused.stderr
