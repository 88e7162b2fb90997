"""The seal tried on a throw-away process: ``python -m dtmf_shield.service.seal.trial`` seals itself and says what held.

A step counts only where what it forbids was tried and refused. JSON on standard output; it serves nobody.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Final

from dtmf_shield.account_data.slots import Region, create_region
from dtmf_shield.base.errors import OperatorError
from dtmf_shield.service.seal import doors
from dtmf_shield.service.seal.landlock import abi_of_kernel, forbid_files_and_other_ports
from dtmf_shield.service.seal.process_rights import give_up_rights
from dtmf_shield.service.seal.seccomp import allow_listed_calls_only, load_library
from dtmf_shield.service.seal.step import Step

NO_PROGRAM: Final = "/nonexistent"
"""Without the seal an exec of it ends with ENOENT and nothing has happened."""
FORBIDDEN_PORT: Final = 9
ALLOWED_PORT: Final = 443

_MEMFD_CLOEXEC: Final = 1


def try_seal(environment: Mapping[str, str]) -> tuple[Step, ...]:
    """Seal this process step by step, trying what each forbids. There is no way back."""
    library = load_library()
    steps = [*give_up_rights(environment, scan_mode=False), *_memory(), doors.one_thread()]
    files, tcp, scope = forbid_files_and_other_ports({ALLOWED_PORT})
    steps.append(_held(files, "a file was opened", _open_file))
    steps.append(_held(tcp, f"TCP port {FORBIDDEN_PORT} could be tried", _connect))
    steps.append(_held(scope, "its parent could be signalled", _signal_parent))
    seccomp = allow_listed_calls_only(library)
    for what, act in (
        ("it could fork", _fork),
        ("it could exec", _exec),
        ("it could make memory files", _memfd),
    ):
        seccomp = _held(seccomp, what, act)
    return (*steps, seccomp)


def _memory() -> tuple[Step, Step]:
    fd, secret = create_region()
    region = Region(fd)
    return (
        Step("memfd_secret", "" if secret else "memfd_secret was refused"),
        Step("mlock", "" if region.locked else "mlock was refused"),
    )


def _held(step: Step, otherwise: str, act: Callable[[], int]) -> Step:
    """Return the step, missing where ``act`` was not refused: ``act`` returns the error number, 0 for none."""
    if step.missing or act() in (errno.EPERM, errno.EACCES):
        return step
    return Step(step.name, f"it was applied, and {otherwise}")


def _open_file() -> int:
    try:
        os.close(os.open("/", os.O_RDONLY | os.O_DIRECTORY))
    except OSError as error:
        return error.errno or 0
    return 0


def _connect() -> int:
    with socket.socket() as sock:
        sock.settimeout(1.0)
        return sock.connect_ex(("127.0.0.1", FORBIDDEN_PORT))


def _signal_parent() -> int:
    try:
        os.kill(os.getppid(), 0)
    except OSError as error:
        return error.errno or 0
    return 0


def _fork() -> int:
    try:
        child = os.fork()
    except OSError as error:
        return error.errno or 0
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return 0


def _exec() -> int:
    try:
        os.execv(NO_PROGRAM, [NO_PROGRAM])  # noqa: S606 - there is none, and that is looked for
    except OSError as error:
        return error.errno or 0


def _memfd() -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    return 0 if libc.memfd_create(b"trial", _MEMFD_CLOEXEC) >= 0 else ctypes.get_errno()


def main() -> int:
    """Print what held."""
    try:
        abi = abi_of_kernel()
        steps = try_seal(os.environ)
    except (OSError, OperatorError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(json.dumps({"landlock_abi": abi, "steps": [asdict(step) for step in steps]}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
