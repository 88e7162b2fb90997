"""``dtmf-shield users`` and ``api-keys``: what they print, what they keep, and how they refuse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from dtmf_shield.cli.main import app
from dtmf_shield.store.identity_rows import IDENTITY_FILE, FactorRow, IdentityRows


@pytest.fixture
def run(tmp_path: Path) -> Any:
    def invoke(*words: str, code: int = 0) -> str:
        result = CliRunner().invoke(app, [*words, "--state-directory", str(tmp_path / "state")])
        assert result.exit_code == code, result.output
        return result.output

    return invoke


def test_a_user_is_added_listed_disabled_and_reset(run: Any) -> None:
    made = json.loads(run("users", "add", "ada", "--role", "agent", "--agent", "desk-1", "--json"))
    assert made["link"].startswith("http://127.0.0.1:8080/welcome#")
    assert "ada  invited  agent  (calls of desk-1)" in run("users", "list")
    run("users", "disable", "ada")
    assert "ada  disabled" in run("users", "list")
    run("users", "enable", "ada")
    again = json.loads(run("users", "reset", "ada", "--json"))

    assert again["link"] != made["link"]
    assert "no users" not in run("users", "list")


def test_a_lost_second_factor_is_reset(run: Any, tmp_path: Path) -> None:
    run("users", "add", "ada", "--role", "agent")
    rows = IdentityRows(tmp_path / "state" / IDENTITY_FILE)
    rows.put(FactorRow("ada", b"sealed", 1.0, 1, ()))
    before = run("users", "list")
    run("users", "reset-second-factor", "ada")
    again = run("users", "reset-second-factor", "ada", code=2)

    assert "with a second factor" in before
    assert "with a second factor" not in run("users", "list")
    assert "ada has no second factor" in again
    assert rows.factors() == []
    told: list[tuple[str, Any]] = []
    rows.hand_over_notes(lambda event, **facts: told.append((event, facts["user"])))
    assert told == [("user_made", "ada"), ("second_factor_reset", "ada")]


def test_a_link_and_a_key_are_printed_once(run: Any) -> None:
    assert "http://127.0.0.1:8080/login?ticket=" in run("users", "link")
    key = json.loads(run("api-keys", "add", "crm", "--role", "supervisor", "--json"))["key"]
    listed = run("api-keys", "list")
    run("api-keys", "revoke", "crm")

    assert "crm  good  supervisor  (every call)" in listed
    assert key not in listed
    assert "crm  revoked" in run("api-keys", "list")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("users", "add", "ada", "--role", "king"), "allowed: one or more of agent"),
        (("users", "add", "Ada", "--role", "agent"), "2 to 64 of a-z"),
        (("users", "disable", "nobody"), "There is no such user"),
        (("api-keys", "add", "crm", "--role", "admin"), "cannot be an administrator"),
        (("api-keys", "revoke", "crm"), "There is no such key"),
    ],
)
def test_what_is_wrong_is_said(run: Any, words: tuple[str, ...], said: str) -> None:
    assert said in " ".join(run(*words, code=2).split())


def test_the_public_name_of_the_configuration_is_in_the_links(tmp_path: Path, run: Any) -> None:
    config = tmp_path / "service.toml"
    config.write_text('[api]\npublic_url = "https://pay.test"\nbehind_proxy = ["192.0.2.1"]\n')

    assert "https://pay.test/login?ticket=" in run("users", "link", "--config", str(config))
