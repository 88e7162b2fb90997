"""``dtmf-shield keys``: what an operator sees, exit codes, and that no key and no token is ever printed."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from dtmf_shield.base.config import KeysSection
from dtmf_shield.base.errors import OperatorError
from dtmf_shield.cde.keys.file_ring import FileRing
from dtmf_shield.cli.main import app
from dtmf_shield.service.key_settings import kek_findings, kek_settings
from tests.unit.cde.keys.sealed_ledger import opened_tokens, seal_tokens


def run(*arguments: str | Path, code: int = 0) -> Any:
    result = CliRunner().invoke(app, ["keys", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result


def as_json(*arguments: str | Path, code: int = 0) -> Any:
    return json.loads(run(*arguments, "--json", code=code).stdout)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    seal_tokens(tmp_path, 3)
    return tmp_path


def test_a_whole_drill(state: Path) -> None:
    where = ("--state-directory", state)
    (old,) = [kek["id"] for kek in as_json("list", *where)["keks"]]

    rotated = as_json("rotate", *where)
    assert rotated["to_retire"] == [old]
    assert as_json("verify", *where) | {"failures": []} == {
        "good": True,
        "data_keys": 401,
        "tokens_opened": 3,
        "tokens_failed": 0,
        "tokens_clear": 0,
        "data_keys_failed": 0,
        "failures": [],
    }
    as_json("retire", old, *where)

    assert [(kek["id"], kek["active"]) for kek in as_json("list", *where)["keks"]] == [(rotated["kek"], True)]
    assert len(opened_tokens(state)) == 3


def test_the_active_key_is_not_retired_and_the_reason_is_told(state: Path) -> None:
    (active,) = [kek["id"] for kek in as_json("list", "--state-directory", state)["keks"]]

    refused = run("retire", active, "--state-directory", state, code=2)

    assert "active key; make another first" in refused.stderr


def test_verify_ends_with_1_where_a_token_does_not_open(state: Path) -> None:
    with sqlite3.connect(state / "ledger.sqlite3") as database:
        database.execute("UPDATE operations SET idem_key = 'moved' WHERE id = 1")

    told = run("verify", "--state-directory", state, code=1)

    assert "2 tokens open" in told.stdout
    assert "token of moved: does not open" in told.stderr


def test_no_command_prints_a_key_or_a_token(state: Path) -> None:
    shown = "".join(
        run(*command, "--state-directory", state).output
        for command in (
            ["list"],
            ["verify"],
            ["generate"],
            ["rewrap"],
            ["rotate", "--data-keys"],
            ["list", "--json"],
        )
    )
    stored = json.loads((state / "kek.json").read_text())

    assert len(stored["keys"]) == 3
    assert not any(entry["key"] in shown for entry in stored["keys"])
    assert "pm_TEST" not in shown


def test_before_the_first_start_it_is_told_what_to_do(tmp_path: Path) -> None:
    told = run("list", "--state-directory", tmp_path / "nothing", code=2)

    assert "start the service once" in told.stderr
    assert not (tmp_path / "nothing").exists()


def test_a_credential_is_rotated_by_a_new_file(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """systemd gives the credential read-only; the next one is written beside, loaded, and then everything rewrapped."""
    credentials = state / "credentials"
    credentials.mkdir()
    (state / "kek.json").replace(credentials / "dtmf-shield-kek")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    (state / "c.toml").write_text('[keys]\nkek = "credential"\n')
    where = ("--config", state / "c.toml", "--state-directory", state)
    before = (credentials / "dtmf-shield-kek").read_bytes()

    refused = run("rotate", *where, code=2)
    assert "--out" in refused.stderr
    made = as_json("generate", "--out", state / "next", *where)["kek"]
    assert (credentials / "dtmf-shield-kek").read_bytes() == before
    assert as_json("rewrap", *where)["rewrapped"] == 0

    (state / "next").replace(credentials / "dtmf-shield-kek")
    assert as_json("rewrap", *where)["rewrapped"] == 401
    assert FileRing(credentials / "dtmf-shield-kek").ids()[-1] == made
    assert as_json("verify", *where)["good"]


def test_out_overwrites_nothing(state: Path) -> None:
    (state / "there").write_text("mine")

    told = run("generate", "--out", state / "there", "--state-directory", state, code=2)

    assert "exists; name a new file" in told.stderr
    assert (state / "there").read_text() == "mine"


def test_a_credential_outside_a_unit_is_told(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="LoadCredential=dtmf-shield-kek"):
        kek_settings(KeysSection(kek="credential"), tmp_path, tmp_path, {})


def test_paths_start_from_where_the_reference_says(tmp_path: Path) -> None:
    section = KeysSection(
        kek="pkcs11",
        module="/lib/hsm.so",
        token="t",
        pin_file="pin",
        module_environment=["HSM_CONF", "ABSENT"],
    )

    settings = kek_settings(
        section, tmp_path / "etc", tmp_path / "state", {"HSM_CONF": "/etc/hsm", "SECRET": "x"}
    )

    assert settings.pin_file == str(tmp_path / "etc" / "pin")
    assert settings.module == "/lib/hsm.so"
    assert settings.module_environment == {"HSM_CONF": "/etc/hsm"}
    assert kek_settings(KeysSection(), tmp_path, tmp_path / "state", {}).file == str(
        tmp_path / "state" / "kek.json"
    )


def test_files_of_an_hsm_that_are_not_in_order_are_findings_of_check(tmp_path: Path) -> None:
    section = KeysSection(kek="pkcs11", module="lib.so", token="t", pin_file="pin")
    assert [finding.partition(":")[0] for finding in kek_findings(section, tmp_path)] == [
        "keys.module",
        "keys.pin_file",
    ]

    (tmp_path / "lib.so").touch()
    (tmp_path / "pin").touch(0o644)
    assert kek_findings(section, tmp_path) == [
        f"keys.pin_file: {tmp_path / 'pin'}: others may read it; chmod 600 it"
    ]

    (tmp_path / "pin").chmod(0o600)
    assert kek_findings(section, tmp_path) == kek_findings(KeysSection(), tmp_path) == []
