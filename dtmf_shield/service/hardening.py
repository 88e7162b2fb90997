"""Hardening of the cde process, step by step in the order that works; what the kernel refuses is reported by name.

PCI DSS 3.3 and 3.5 ask that account data lies nowhere it need not; prctl(2), setrlimit(2). Landlock and seccomp are
not here yet and are reported as missing.
"""

from __future__ import annotations

import ctypes
import resource
from collections.abc import Mapping
from typing import Final

from dtmf_shield.base.errors import OperatorError

FORBIDDEN_VARIABLES: Final = ("SSLKEYLOGFILE", "http_proxy", "https_proxy", "all_proxy")
"""Each would let card data leave by another way: session keys into a file, requests over a proxy."""
NOT_YET: Final = ("landlock", "seccomp")

_PR_SET_DUMPABLE: Final = 4
_PR_SET_NO_NEW_PRIVS: Final = 38

_libc = ctypes.CDLL(None, use_errno=True)


def leaks_of_environment(environment: Mapping[str, str]) -> list[str]:
    """Return a sentence for each variable that could lead card data elsewhere."""
    return [
        f"the environment sets {variable}: card data could leave by it; unset it"
        for variable in FORBIDDEN_VARIABLES
        if environment.get(variable) or environment.get(variable.upper())
    ]


def refuse_leaking_environment(environment: Mapping[str, str]) -> None:
    """Raise OperatorError where the environment could lead card data elsewhere."""
    leaks = leaks_of_environment(environment)
    if leaks:
        raise OperatorError("; ".join(leaks))


def harden(environment: Mapping[str, str], *, scan_mode: bool) -> tuple[str, ...]:
    """Take from this process what it never needs. Return the protections that are missing, each by its name.

    ``scan_mode``: other processes of the same user may read this one's memory, as the memory scan must.
    """
    weaker = list(NOT_YET)
    if _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        weaker.append("no_new_privs")
    # exec sets it back to 1, so it is set here and not by the supervisor.
    if scan_mode or _libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        weaker.append("dumpable")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    scribbles = "glibc.malloc.perturb=" in environment.get("GLIBC_TUNABLES", "")
    if environment.get("PYTHONMALLOC") != "malloc" or not scribbles:
        weaker.append("scribble_on_free")
    return tuple(weaker)
