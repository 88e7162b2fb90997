"""A running service: every audit row ends under a signed root and at the anchor, also when control is killed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.interop.running_service import RunningService, wait_until

pytestmark = [pytest.mark.interop, pytest.mark.untimed]


def audit(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dtmf_shield", "audit", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_rows_are_anchored_while_it_runs_and_after_a_kill(tmp_path: Path) -> None:
    anchored = tmp_path / "elsewhere" / "anchored"
    anchored.parent.mkdir()
    sections = f'[audit]\nroot_interval_s = 1\nanchor = "file"\nanchor_file = "{anchored}"\n'
    service = RunningService(tmp_path, {"agent": "127.0.0.1:9"}, sections=sections)
    log = service.state / "audit.jsonl"
    try:
        wait_until(anchored.exists, "a first anchor")
        (tmp_path / "key.pem").write_text(audit("public-key", service.state).stdout)
        killed_at_s = service.kill("control")
        service.wait_for_event("recovered", since_s=killed_at_s)
        while_running = audit("verify", log, "--anchors", anchored, "--public-key", tmp_path / "key.pem")
    finally:
        code = service.stop()

    report = audit("verify", log, "--anchors", anchored, "--public-key", tmp_path / "key.pem", "--json")
    found = json.loads(report.stdout)
    events = [json.loads(line)["event"] for line in log.read_text().splitlines()]
    assert (code, while_running.returncode, report.returncode) == (0, 0, 0), while_running.stderr
    assert (found["findings"], found["not_proved"]) == ([], [])
    assert events == ["control_started", "control_started", "control_stopped"]
    assert found["rows_anchored"] == 3
