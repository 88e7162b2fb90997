"""One step of the seal: its name, what it is for, and whether this process got it.

The table STEPS is what ``doctor`` prints and what ``[cde] require`` may name.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from dtmf_shield.base.errors import OperatorError


@dataclass(frozen=True, slots=True)
class Step:
    """A step that was tried. ``missing`` says why it is not in force; empty: it is."""

    name: str
    missing: str = ""


@dataclass(frozen=True, slots=True)
class About:
    """What an operator is told of a step: ``purpose``, and what ``remedy`` brings it where it is missing."""

    purpose: str
    remedy: str


STEPS: Final = {
    "no_new_privs": About("no program this process could ever start gains rights", "Linux 3.5 or newer"),
    "dumpable": About(
        "no core dump, and no other process of the same user reads its memory",
        "leave --scan-mode out; no kernel lacks it",
    ),
    "no_huge_pages": About("the kernel makes no copy of pages to join them", "Linux 3.15 or newer"),
    "no_core": About("RLIMIT_CORE 0: no core file by any way", "let the service set its own RLIMIT_CORE"),
    "no_executable_memory": About("no memory becomes executable after it was written", "Linux 6.3 or newer"),
    "scribble_on_free": About(
        "freed memory is overwritten at once",
        "glibc; start cde by the service, which sets PYTHONMALLOC and GLIBC_TUNABLES",
    ),
    "memfd_secret": About(
        "keyed digits lie in memory that not even root reads by /proc",
        "Linux 5.14 or newer, booted with secretmem.enable=1",
    ),
    "mlock": About(
        "keyed digits are never swapped out",
        "raise LimitMEMLOCK= (8 MiB is enough), and leave the cgroup room",
    ),
    "one_thread": About(
        "the seal binds the thread that applies it: there must be no other",
        "find the library that started a thread (LD_PRELOAD?) and take it out",
    ),
    "landlock": About("no file can be opened, made or removed", "Linux 5.13 or newer, landlock in lsm="),
    "landlock_tcp": About(
        "TCP connections go to the gateways' ports and nowhere else", "Linux 6.7 or newer, landlock in lsm="
    ),
    "landlock_scope": About(
        "no signal and no abstract socket reaches another process", "Linux 6.12 or newer, landlock in lsm="
    ),
    "seccomp": About(
        "system calls it has no use for are refused: no exec, no fork, no open, no kill",
        "install libseccomp2; a kernel with CONFIG_SECCOMP_FILTER",
    ),
}
"""Every step in the order of application."""


def told(steps: Iterable[Step]) -> tuple[str, ...]:
    """Return ``name: why`` for each step that is missing, as ProcessReady tells it."""
    return tuple(f"{step.name}: {step.missing}" for step in steps if step.missing)


def refuse_without(required: Iterable[str], steps: Iterable[Step]) -> None:
    """Raise OperatorError where a step that the operator requires is missing."""
    wanted = frozenset(required)
    lacking = [step for step in steps if step.missing and step.name in wanted]
    if lacking:
        raise OperatorError(
            "; ".join(
                f"cde.require: {step.name} is required and missing ({step.missing}): {STEPS[step.name].remedy}"
                for step in lacking
            )
            + "; `dtmf-shield doctor` shows every step"
        )
