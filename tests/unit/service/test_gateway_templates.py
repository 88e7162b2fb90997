"""``dtmf-shield gateway``: list, check and show, for people and for machines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dtmf_shield.cde.gateways.template_file import shipped_templates
from dtmf_shield.cli.main import app

NAMES = [path.stem for path in shipped_templates()]


def run(*arguments: str):
    return CliRunner().invoke(app, ["gateway", *arguments])


def test_list_names_every_shipped_template_and_what_it_can_do() -> None:
    result = run("list", "--json")

    templates = {each["name"]: each for each in json.loads(result.stdout)["templates"]}
    assert sorted(templates) == NAMES
    assert templates["stripe"]["token_binds_cvc"] is True
    assert {"kind": "charge", "with": "token"}.items() <= templates["stripe"]["operations"][3].items()
    assert "stripe" in run("list").stdout


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_template_passes_its_check(name: str) -> None:
    result = run("check", name)

    assert result.exit_code == 0
    assert f"{name}: ok" in result.stdout


def test_findings_are_told_with_exit_code_1(tmp_path: Path) -> None:
    file = tmp_path / "acme.toml"
    source = next(path for path in shipped_templates() if path.stem == "stripe")
    file.write_text(source.read_text().replace('method = "POST"', 'method = "POTS"', 1))

    told, as_json = run("check", str(file)), run("check", str(file), "--json")

    assert (told.exit_code, as_json.exit_code) == (1, 1)
    assert "did you mean POST?" in told.stderr
    (finding,) = json.loads(as_json.stdout)["findings"]
    assert (finding["file"], finding["key"], finding["found"]) == (str(file), "operation[0].method", "'POTS'")


@pytest.mark.parametrize(
    "arguments", [("check", "strpe"), ("show", "stripe", "--operation", "chrge"), ("check", "x.toml")]
)
def test_wrong_input_is_exit_code_2_with_a_hint(arguments: tuple[str, ...]) -> None:
    result = run(*arguments)

    assert result.exit_code == 2
    assert "stripe?" in result.stderr or "charge with" in result.stderr or "name a file" in result.stderr


@pytest.mark.parametrize("name", NAMES)
def test_show_hides_card_data_and_secret(name: str) -> None:
    result = run("show", name, "--operation", "tokenize", "--with", "card", "--json")

    (request,) = json.loads(result.stdout)["requests"]
    assert request["body"].count("••••") >= 4
    assert "••••" in request["headers"].values()
    assert "••••" not in request["path"]


def test_show_prints_a_request_as_it_would_leave() -> None:
    told = run("show", "stripe", "--operation", "capture").stdout

    assert "POST /v1/payment_intents/GATEWAY_REFERENCE/capture" in told
    assert "amount_to_capture=1000&metadata[dtmf_shield_key]=KEY" in told
