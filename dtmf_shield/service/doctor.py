"""What this machine gives the service: the seal tried on a throw-away process, memory, clock, ports, limits.

It changes nothing and needs no running service. Each finding says what it is for and what to do where it is missing.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import resource
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from dtmf_shield.base.config import Config
from dtmf_shield.base.errors import OperatorError
from dtmf_shield.service.seal.environment import SCRIBBLE_ON_FREE, leaks_of_environment
from dtmf_shield.service.seal.process_rights import MEMLOCK_BYTES_MIN, memlock_limit_bytes
from dtmf_shield.service.seal.step import STEPS
from dtmf_shield.service.sockets import SIP_RECEIVE_BUFFER_BYTES, bind_all

TRIAL_TIME_MAX_S: Final = 30.0
DESCRIPTORS_MIN: Final = 4_096
"""Eight sockets a call and channels, with room."""

_TIME_ERROR: Final = 5
"""adjtimex(2): the clock is not synchronised."""
_TIMEX_BYTES: Final = 256
"""More than struct timex has; all zero it only reads."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line. ``found`` is what there is; ``remedy`` is for where ``ok`` is False."""

    name: str
    ok: bool
    found: str
    purpose: str
    remedy: str


def examine(config: Config) -> list[Finding]:
    """Return everything found, the seal first. Raises OperatorError where the trial itself cannot run."""
    return [
        *_seal(),
        _memlock(),
        _swap(Path("/proc/swaps")),
        _core_pattern(Path("/proc/sys/kernel/core_pattern")),
        _clock(),
        _environment(),
        _receive_buffer(Path("/proc/sys/net/core/rmem_max")),
        _descriptors(),
        _ports(config),
    ]


def _seal() -> list[Finding]:
    tried = _trial()
    abi = tried["landlock_abi"]
    findings = [
        Finding(
            "kernel",
            True,
            f"Linux {platform.release()}, Landlock ABI {abi}",
            "decides which steps of the seal there are",
            "",
        )
    ]
    for step in tried["steps"]:
        about = STEPS[step["name"]]
        missing = str(step["missing"])
        findings.append(
            Finding(step["name"], not missing, missing or "in force", about.purpose, about.remedy)
        )
    return findings


def _trial() -> dict[str, Any]:
    try:
        done = subprocess.run(
            [sys.executable, "-m", "dtmf_shield.service.seal.trial"],
            env={**os.environ, **SCRIBBLE_ON_FREE},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TRIAL_TIME_MAX_S,
            check=True,
        )
        tried: dict[str, Any] = json.loads(done.stdout)
    except (subprocess.SubprocessError, OSError, ValueError) as error:
        said = getattr(error, "stderr", b"") or b""
        raise OperatorError(
            f"the seal could not be tried ({error}): {said.decode('utf-8', 'replace')[-300:].strip()};"
            " run `python -m dtmf_shield.service.seal.trial` to see why"
        ) from error
    return tried


def _memlock() -> Finding:
    limit = memlock_limit_bytes()
    return Finding(
        "memlock_limit",
        limit is None or limit >= MEMLOCK_BYTES_MIN,
        "no limit" if limit is None else f"{limit >> 10} KiB",
        "digit slots, mailbox and build pages are locked; secret memory counts too",
        "LimitMEMLOCK=8M in the unit, or `ulimit -l 8192`",
    )


def _swap(path: Path) -> Finding:
    areas = [line.split()[0] for line in _read(path).splitlines()[1:] if line.strip()]
    return Finding(
        "swap",
        not areas,
        ", ".join(areas) or "none",
        "locked pages are never swapped, but stacks and buffers of a moment are not locked",
        "swapoff -a, or encrypted swap",
    )


def _core_pattern(path: Path) -> Finding:
    pattern = _read(path).strip()
    # A program that takes dumps gets none of a process that is not dumpable, but it gets those of the others.
    return Finding(
        "core_pattern",
        not pattern.startswith("|"),
        pattern or "none",
        "where the kernel would write memory of a process that crashes; ours are not dumpable",
        "leave no crash collector on a machine that takes cards: kernel.core_pattern=core",
    )


def _clock() -> Finding:
    libc, timex = ctypes.CDLL(None, use_errno=True), ctypes.create_string_buffer(_TIMEX_BYTES)
    state = libc.adjtimex(timex)
    return Finding(
        "clock",
        state >= 0 and state != _TIME_ERROR,
        "not synchronised" if state == _TIME_ERROR else "unknown" if state < 0 else "synchronised",
        "audit log, expiry of cards, and certificates go by it",
        "run chrony or systemd-timesyncd",
    )


def _environment() -> Finding:
    leaks = leaks_of_environment(os.environ)
    return Finding(
        "environment",
        not leaks,
        "; ".join(leaks) or "clean",
        "no proxy and no key log takes card data elsewhere",
        "unset them: the service refuses to start with them",
    )


def _receive_buffer(path: Path) -> Finding:
    text = _read(path).strip()
    size = int(text) if text.isdecimal() else 0
    return Finding(
        "udp_buffer",
        size >= SIP_RECEIVE_BUFFER_BYTES,
        f"net.core.rmem_max {size >> 10} KiB",
        "the SIP socket outlasts a restart of control",
        f"sysctl net.core.rmem_max={SIP_RECEIVE_BUFFER_BYTES}",
    )


def _descriptors() -> Finding:
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return Finding(
        "descriptors",
        limit == resource.RLIM_INFINITY or limit >= DESCRIPTORS_MIN,
        str(limit),
        "each call holds up to eight sockets",
        f"LimitNOFILE={DESCRIPTORS_MIN} or more",
    )


def _ports(config: Config) -> Finding:
    try:
        bind_all(config).close()
        found, ok = "free", True
    except OperatorError as error:
        found, ok = str(error), False
    return Finding(
        "ports",
        ok,
        found,
        "SIP, HTTP and RTP of the configuration can be bound",
        "change the configuration; where the service itself runs, its ports are of course taken",
    )


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError:
        return ""
