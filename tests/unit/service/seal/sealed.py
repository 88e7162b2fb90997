"""Runs Python lines in a process of their own that seals itself first, and returns what they print as JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from dtmf_shield.service.seal.environment import SCRIBBLE_ON_FREE

ROOT = Path(__file__).parents[4]
LIMIT_S = 60

_BEFORE = """
import asyncio, ctypes, json, mmap, os, resource, signal, socket, sqlite3, ssl, sys, threading
from pathlib import Path
from dtmf_shield.service.seal.doors import close_doors
from dtmf_shield.service.seal.process_rights import give_up_rights

def tried(act):
    '''Return "done", or the name of the error.'''
    try:
        act()
    except BaseException as error:
        return type(error).__name__
    return "done"
"""
_SEAL = """
steps = [*give_up_rights(os.environ, scan_mode=False), *close_doors(PORTS)]
assert [step.name for step in steps if step.missing] == [], steps
"""


def environment() -> dict[str, str]:
    """Return the environment that the supervisor gives cde."""
    return {**os.environ, **SCRIBBLE_ON_FREE, "PYTHONPATH": str(ROOT)}


def command(lines: str, *, before: str = "", ports: tuple[int, ...] = (443,), seal: bool = True) -> list[str]:
    """Return the command: ``before`` runs free, ``lines`` sealed (or free, as the positive control)."""
    text = (
        _BEFORE + before + f"\nPORTS = {{{', '.join(map(str, ports))}}}\n" + (_SEAL if seal else "") + lines
    )
    return [sys.executable, "-c", text]


def run(lines: str, *, before: str = "", ports: tuple[int, ...] = (443,), seal: bool = True) -> Any:
    """Run to the end and return the last line of standard output, read as JSON."""
    done = subprocess.run(
        command(lines, before=before, ports=ports, seal=seal),
        env=environment(),
        capture_output=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()[-2_000:]
    return json.loads(done.stdout.splitlines()[-1])
