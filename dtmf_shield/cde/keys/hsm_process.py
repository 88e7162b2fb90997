"""Data keys out of an HSM, in a process of its own: ``python -m dtmf_shield.cde.keys.hsm_process``.

A PKCS #11 library is native code, often with threads and connections of its own; the process that holds cards loads
none of it. This one unwraps, hands the data keys to its parent over a pipe and ends, before the parent is sealed.
"""

from __future__ import annotations

import ctypes
import os
import resource
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Final

import msgspec

from dtmf_shield.base.errors import OperatorError
from dtmf_shield.cde.keys.preparation import open_ring, prepare
from dtmf_shield.model.keys import KekSettings
from dtmf_shield.store.dek_rows import DekRows

ANSWER_TIMEOUT_S: Final = 120.0
"""DEKS_MAX unwraps at 10 ms each, and time to log in."""
EXIT_OPERATOR: Final = 2
_PR_SET_DUMPABLE: Final = 4
_PASSED: Final = ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH", "PYTHONPATH", "VIRTUAL_ENV")


class Request(msgspec.Struct, frozen=True):
    """What the parent asks."""

    settings: KekSettings
    ledger_file: str
    wall_s: float


def ask(request: Request) -> dict[str, bytes]:
    """Return every live data key by name, in order, from a child process. Raises OperatorError."""
    environment = {name: os.environ[name] for name in _PASSED if name in os.environ}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "dtmf_shield.cde.keys.hsm_process"],
            input=msgspec.json.encode(request),
            capture_output=True,
            timeout=ANSWER_TIMEOUT_S,
            env=environment | request.settings.module_environment,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise OperatorError(
            f"PKCS #11 token {request.settings.token!r}: no answer within {ANSWER_TIMEOUT_S:.0f} s;"
            " check the HSM and its library"
        ) from None
    if done.returncode == EXIT_OPERATOR:
        raise OperatorError(done.stderr.decode("utf-8", "replace").strip())
    if done.returncode != 0:
        raise OperatorError(
            f"keys.module: {request.settings.module} ended its process with {done.returncode};"
            " check the HSM's library with `dtmf-shield keys verify`"
        )
    return msgspec.msgpack.decode(done.stdout, type=dict[str, bytes])


def main() -> int:
    """Answer one request."""
    # exec has made it readable to processes of the same user again, and a crash of the library must leave no core.
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    request = msgspec.json.decode(sys.stdin.buffer.read(), type=Request)
    try:
        rows = DekRows(Path(request.ledger_file))
        ring = open_ring(request.settings, writable=False)
        deks = prepare(rows, ring, request.wall_s)
        ring.close()
        rows.close()
    except (OperatorError, sqlite3.Error) as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_OPERATOR
    sys.stdout.buffer.write(msgspec.msgpack.encode(deks))
    return 0


if __name__ == "__main__":
    sys.exit(main())
