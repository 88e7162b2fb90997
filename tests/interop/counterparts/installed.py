"""Programs of others that stand for gateways: installed once, at exact versions, beside the tests.

localstripe is GPL-3.0 and is never imported: it has a virtual environment of its own and runs as its own process.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

CACHE = Path(__file__).parents[2] / ".cache" / "counterparts"
WIREMOCK = "wiremock@3.13.2"
STRIPE_STATEFUL_MOCK = "stripe-stateful-mock@0.0.16"
LOCALSTRIPE = "localstripe==1.15.10"
INSTALL_TIMEOUT_S = 300


def node_program(package: str, file: str) -> Path:
    """Return ``file`` of an npm package, installed where it is missing."""
    name, _, version = package.rpartition("@")
    prefix = CACHE / f"{name}-{version}"
    program = prefix / "node_modules" / name / file
    if not program.exists():
        npm = need("npm")
        prefix.mkdir(parents=True, exist_ok=True)
        _run([npm, "install", "--prefix", str(prefix), package, "--no-audit", "--no-fund", "--silent"])
    return program


def localstripe() -> Path:
    """Return the localstripe program, installed into its own environment where it is missing."""
    environment = CACHE / LOCALSTRIPE.replace("==", "-")
    program = environment / "bin" / "localstripe"
    if not program.exists():
        _run([sys.executable, "-m", "venv", str(environment)])
        pip = [str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        _run([*pip, "--disable-pip-version-check", LOCALSTRIPE])
    return program


def need(program: str) -> str:
    """Return the path of a program of the system. Its absence fails the test: a gap is not to be overlooked."""
    path = shutil.which(program)
    assert path is not None, f"{program} is missing: see tests/packages.sh"
    return path


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S, check=False)
    assert done.returncode == 0, f"{command[0]}: {done.stderr[-2000:]}"
