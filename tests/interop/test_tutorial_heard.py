"""The end of the flow tutorial: prompts built, and a payment taken by the flow in the demo, as its reader does it."""

import os
import shlex
import shutil
import subprocess
import sys

import pytest

from tests.unit.flow.tutorial import DOCS, commands, missing_lines

pytestmark = [pytest.mark.interop, pytest.mark.untimed]

LIMIT_S = 240


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "flows").mkdir()
    shutil.copyfile(DOCS / "tutorial" / "club-fee.yaml", tmp_path / "flows" / "club-fee.yaml")
    return tmp_path


def run(command, folder):
    program, *arguments = shlex.split(command.text)
    assert program == "dtmf-shield"
    environment = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    done = subprocess.run(
        [sys.executable, "-m", "dtmf_shield", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_S,
    )
    return done.returncode, " ".join((done.stdout + done.stderr).replace("│", " ").split())


def slow(*words):
    return [command for command in commands() if command.slow and command.text.split()[1] in words]


def test_prompts_are_built_and_nothing_is_missing(folder):
    for command in slow("prompts", "flow"):
        code, output = run(command, folder)

        assert (code, missing_lines(command, output)) == (0, []), output


def test_the_flow_takes_a_payment_in_the_demo(folder):
    (command,) = slow("demo")

    code, output = run(command, folder)

    assert (code, missing_lines(command, output)) == (0, []), output
