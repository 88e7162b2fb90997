"""`doctor`: what it tries, what it reads, and its exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dtmf_shield.base.config import ApiSection, Config, SipSection
from dtmf_shield.base.errors import OperatorError
from dtmf_shield.service import doctor
from dtmf_shield.service.seal.step import STEPS
from tests.unit.service.seal.sealed import LIMIT_S, run


def told(*arguments: str, **variables: str) -> tuple[int, str]:
    """Run the command; return exit code and standard output."""
    done = subprocess.run(
        [sys.executable, "-m", "dtmf_shield", "doctor", *arguments],
        env={**os.environ, "COLUMNS": "200", **variables},
        capture_output=True,
        timeout=LIMIT_S,
        check=False,
    )
    return done.returncode, done.stdout.decode() or done.stderr.decode()


def test_every_step_of_the_seal_is_tried_and_found_on_a_kernel_that_has_them() -> None:
    findings = {finding.name: finding for finding in doctor.examine(Config())}

    assert set(STEPS) < set(findings)
    assert [name for name in STEPS if not findings[name].ok] == []
    assert all(finding.purpose and finding.found for finding in findings.values())
    assert all(finding.remedy for finding in findings.values() if finding.name != "kernel")


def test_step_that_is_applied_but_does_not_hold_is_missing() -> None:
    """The trial believes no return code: each step counts where what it forbids was refused."""
    lines = """
from dtmf_shield.service.seal import trial
from dtmf_shield.service.seal.step import Step
trial.forbid_files_and_other_ports = lambda ports: (Step("landlock"), Step("landlock_tcp"), Step("landlock_scope"))
trial.allow_listed_calls_only = lambda library: Step("seccomp")
print(json.dumps({step.name: step.missing for step in trial.try_seal(os.environ)}))
"""

    missing: dict[str, str] = run(lines, seal=False)

    assert "a file was opened" in missing["landlock"]
    assert "port 9" in missing["landlock_tcp"]
    assert "signalled" in missing["landlock_scope"]
    assert "fork" in missing["seccomp"]


def test_trial_that_cannot_run_is_an_operators_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")

    with pytest.raises(OperatorError, match="could not be tried"):
        doctor.examine(Config())


@pytest.mark.parametrize(
    ("look", "text", "ok"),
    [
        ("_swap", "Filename Type Size Used Priority\n", True),
        ("_swap", "Filename Type Size Used Priority\n/dev/sda2 partition 1 0 -2\n", False),
        ("_core_pattern", "core\n", True),
        ("_core_pattern", "|/usr/share/apport/apport %p\n", False),
        ("_receive_buffer", "212992\n", False),
        ("_receive_buffer", "1048576\n", True),
        ("_receive_buffer", "", False),
    ],
)
def test_machine_is_read(look: str, text: str, ok: bool, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text(text)

    finding: doctor.Finding = getattr(doctor, look)(path)

    assert finding.ok is ok


def test_taken_port_is_named(tmp_path: Path) -> None:
    api = ApiSection(listen="127.0.0.1:0")
    held = doctor.bind_all(Config(sip=SipSection(listen=["127.0.0.1:0"]), api=api))
    try:
        port = held.sip[0].getsockname()[1]
        finding = doctor._ports(Config(sip=SipSection(listen=[f"127.0.0.1:{port}"]), api=api))
    finally:
        held.close()

    assert not finding.ok
    assert str(port) in finding.found


def test_exit_code_and_json_agree() -> None:
    code, text = told("--json")
    said: dict[str, Any] = json.loads(text)

    assert code == (1 if said["missing"] else 0)
    assert said["missing"] == [finding["name"] for finding in said["findings"] if not finding["ok"]]


def test_leaking_environment_is_found_by_people_and_machines() -> None:
    code, text = told(SSLKEYLOGFILE="/tmp/keys")  # noqa: S108 - never opened

    assert code == 1
    assert "SSLKEYLOGFILE" in text
    assert "environment" in json.loads(told("--json", SSLKEYLOGFILE="/tmp/keys")[1])["missing"]  # noqa: S108 - likewise


def test_wrong_configuration_is_exit_code_2(tmp_path: Path) -> None:
    code, text = told("--config", str(tmp_path / "none.toml"))

    assert (code, "none.toml" in text) == (2, True)
