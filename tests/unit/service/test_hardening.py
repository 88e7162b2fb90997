"""Hardening: what it refuses, what it takes away, and that it names what is missing. In a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dtmf_shield.base.errors import OperatorError
from dtmf_shield.service.hardening import FORBIDDEN_VARIABLES, refuse_leaking_environment

_REPORT = """
import ctypes, json, os, resource, sys
from dtmf_shield.service.hardening import harden
weaker = harden(os.environ, scan_mode=sys.argv[1] == "scan")
print(json.dumps({
    "weaker": weaker,
    "core": resource.getrlimit(resource.RLIMIT_CORE),
    "dumpable": ctypes.CDLL(None).prctl(3, 0, 0, 0, 0),
    "status": open("/proc/self/status").read(),
}))
"""
_SCRIBBLE = {
    "PYTHONMALLOC": "malloc",
    "GLIBC_TUNABLES": "glibc.malloc.perturb=165:glibc.malloc.tcache_count=0",
}


def hardened(mode: str, extra: dict[str, str] | None = None) -> Any:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), **(extra or {})}
    done = subprocess.run(
        [sys.executable, "-c", _REPORT, mode], env=environment, check=True, capture_output=True
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize("variable", FORBIDDEN_VARIABLES)
def test_environment_that_leads_card_data_elsewhere_is_refused(variable: str) -> None:
    for name in (variable, variable.upper()):
        with pytest.raises(OperatorError, match=variable):
            refuse_leaking_environment({name: "x"})


def test_clean_environment_is_taken() -> None:
    refuse_leaking_environment({"PATH": "/usr/bin", "http_proxy": ""})


def test_process_cannot_be_dumped_and_gains_no_privileges() -> None:
    report = hardened("live", _SCRIBBLE)

    assert report["dumpable"] == 0
    assert report["core"] == [0, 0]
    assert "NoNewPrivs:\t1" in report["status"]
    assert report["weaker"] == ["landlock", "seccomp"]


def test_scan_mode_and_a_plain_allocator_are_named_as_missing() -> None:
    report = hardened("scan", {"PYTHONMALLOC": ""})

    assert set(report["weaker"]) == {"landlock", "seccomp", "dumpable", "scribble_on_free"}
