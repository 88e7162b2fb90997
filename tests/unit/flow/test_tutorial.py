"""The tutorial is true: its commands print what it says, its fragments are of its flow."""

import re
import shlex
import subprocess

from typer.testing import CliRunner

from dtmf_shield.cli.main import app
from tests.unit.flow.tutorial import DOCS, PAGE, commands, missing_lines


def test_every_quick_command_of_the_tutorial_prints_what_it_says(tmp_path, monkeypatch):
    """In an empty folder, one after the other. Findings leave with 1, everything else with 0."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DOCS", str(DOCS))
    ran = 0
    for command in commands():
        if command.slow:
            continue
        program, *arguments = shlex.split(command.text)
        if program == "dtmf-shield":
            result = CliRunner().invoke(app, arguments)
            output, code = result.stdout + result.stderr, result.exit_code
        else:
            done = subprocess.run(command.text, shell=True, check=False, capture_output=True, text=True)  # noqa: S602 - the page's own words
            output, code = done.stdout + done.stderr, done.returncode
        assert missing_lines(command, output) == [], output
        assert code == (1 if any("error:" in line for line in command.prints) else 0), command.text
        ran += 1
    assert ran >= 10


def test_a_line_that_is_not_printed_is_found():
    """The control: were a command's output empty, every line would be missing."""
    told = next(command for command in commands() if command.prints)

    assert missing_lines(told, "") == list(told.prints)


def test_the_fragments_of_the_page_are_those_of_its_flow():
    flow = (DOCS / "tutorial" / "club-fee.yaml").read_text("utf-8")

    fragments = re.findall(r"(?ms)^```yaml\n(.*?)^```", PAGE)
    assert len(fragments) >= 5
    assert [fragment for fragment in fragments if fragment not in flow] == []
