"""``prompts build`` and ``prompts list`` as an operator types them."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from dtmf_shield.cli.main import app
from dtmf_shield.prompts.engines import espeak_ng
from dtmf_shield.prompts.wanted import standard_pieces

SILENT_FLOW = Path(__file__).parents[3] / "ivr_flows" / "card-tokenize-agent.yaml"
ENGINE = """#!/bin/sh
case "$1" in
  --version) echo "eSpeak NG text-to-speech: 9.9  Data at: nowhere" ;;
  --voices) echo "Pty Language"; echo " 5  fr-fr  --/M  French  roa/fr" ;;
  *) cat > /dev/null; cat "$0.wav" ;;
esac
"""


@pytest.fixture
def engine(tmp_path, monkeypatch):
    """An engine that says one short sound for every text: what is tested is everything else."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "espeak-ng"
    program.write_text(ENGINE)
    program.chmod(0o755)
    t = np.arange(1_600) / 16_000
    soundfile.write(f"{program}.wav", 0.2 * np.sin(2 * np.pi * 500 * t), 16_000)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    espeak_ng._installed.cache_clear()
    yield folder
    espeak_ng._installed.cache_clear()


@pytest.fixture
def few_words(monkeypatch):
    monkeypatch.setattr(
        "dtmf_shield.service.prompts.build.standard_pieces", lambda language: standard_pieces(language)[:5]
    )


@pytest.fixture
def flows(tmp_path):
    """One flow that says nothing of its own in French."""
    folder = tmp_path / "flows"
    folder.mkdir()
    shutil.copy(SILENT_FLOW, folder)
    return str(folder)


def run(*arguments):
    return CliRunner().invoke(app, ["prompts", *arguments])


def test_build_then_list(tmp_path, engine, few_words, flows):
    out = str(tmp_path / "out")

    built = run("build", "--out", out, "--flows", flows, "--engine", "espeak-ng", "--language", "fr-FR")
    again = run(
        "build", "--out", out, "--flows", flows, "--engine", "espeak-ng", "--language", "fr-FR", "--json"
    )
    listed = run("list", "--out", out)
    as_json = json.loads(run("list", "--out", out, "--json").stdout)

    assert built.exit_code == 0, built.output
    assert "fr-FR: 8 pieces (5 built, 0 kept, 5 of them in a draft voice)" in built.output
    assert json.loads(again.stdout)["languages"][0] | {"duration_ms": 0, "octets": 0} == {
        "language": "fr-FR",
        "pieces": 8,
        "built": 0,
        "kept": 5,
        "draft": 5,
        "duration_ms": 0,
        "octets": 0,
        "findings": [],
    }
    assert "n-1" in listed.stdout
    assert "espeak-ng, draft" in listed.stdout
    assert as_json["languages"]["fr-FR"]["n-2"]["text"] == "deux"
    assert as_json["languages"]["fr-FR"]["n-2"]["version"] == "9.9"


def test_a_language_that_no_engine_speaks_is_exit_code_2(tmp_path, engine, few_words):
    result = run("build", "--out", str(tmp_path / "out"), "--engine", "espeak-ng", "--language", "de-DE")

    assert result.exit_code == 2
    assert "language de-DE: espeak-ng has no voice for it" in result.stderr


def test_a_piece_that_cannot_be_built_is_exit_code_1(tmp_path, engine, few_words, flows):
    result = run(
        *("build", "--out", str(tmp_path / "out"), "--flows", flows),
        *("--engine", "recorded", "--language", "fr-FR", "--json"),
    )

    assert result.exit_code == 1
    findings = json.loads(result.stdout)["findings"]
    assert findings[0].endswith("(n-0): no file prompts/fr-FR/n-0.wav; record it")
    assert len(findings) == 5


def test_a_folder_without_flows_is_exit_code_2(tmp_path):
    result = run("build", "--out", str(tmp_path / "out"), "--flows", str(tmp_path))

    assert result.exit_code == 2
    assert "holds no flow (*.yaml); name the folder of your flows (--flows)" in result.stderr


def test_list_of_nothing_says_what_to_do(tmp_path):
    result = run("list", "--out", str(tmp_path))

    assert result.exit_code == 0
    assert "nothing is built; run: dtmf-shield prompts build" in result.stdout


def test_list_of_a_language_that_is_not_built_is_exit_code_2(tmp_path):
    result = run("list", "--out", str(tmp_path), "--language", "fr-FR")

    assert result.exit_code == 2
    assert "language fr-FR: no prompts are built (built: none)" in result.stderr
