"""Rights that a process gives up by prctl(2) and setrlimit(2), before it opens anything.

PCI DSS 3.3 and 3.5 ask that account data lies nowhere it need not. exec sets dumpable back, so the process does this
itself and not its supervisor.
"""

from __future__ import annotations

import ctypes
import os
import resource
from collections.abc import Mapping
from typing import Final

from dtmf_shield.service.seal.environment import scribble_on_free
from dtmf_shield.service.seal.step import Step

MEMLOCK_BYTES_MIN: Final = 1 << 20
"""Slots, mailbox and build pages take 200 KiB; secret memory counts too, and over the limit mapping it fails."""

_PR_SET_DUMPABLE: Final = 4
_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_SET_THP_DISABLE: Final = 41
_PR_SET_MDWE: Final = 65
_PR_MDWE_REFUSE_EXEC_GAIN: Final = 1

_libc = ctypes.CDLL(None, use_errno=True)


def give_up_rights(environment: Mapping[str, str], *, scan_mode: bool) -> tuple[Step, ...]:
    """Take from cde what it never needs, whatever it does later.

    ``scan_mode``: other processes of the same user may read this one's memory, as the memory scan must.
    """
    rights = give_up_common_rights()
    if scan_mode:
        _prctl("dumpable", _PR_SET_DUMPABLE, 1)
        why = "switched off for a memory scan"
        rights = tuple(Step("dumpable", why) if step.name == "dumpable" else step for step in rights)
    return (
        *rights,
        _prctl("no_executable_memory", _PR_SET_MDWE, _PR_MDWE_REFUSE_EXEC_GAIN),
        scribble_on_free(environment),
    )


def give_up_common_rights() -> tuple[Step, ...]:
    """Take what none of the three processes needs. control holds INFO bodies and media keys for an instant each."""
    return (
        _prctl("no_new_privs", _PR_SET_NO_NEW_PRIVS, 1),
        _prctl("dumpable", _PR_SET_DUMPABLE, 0),
        _prctl("no_huge_pages", _PR_SET_THP_DISABLE, 1),
        _no_core(),
    )


def memlock_limit_bytes() -> int | None:
    """Return how much memory this process may lock, None without limit."""
    soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    return None if soft == resource.RLIM_INFINITY else soft


def _prctl(name: str, option: int, value: int) -> Step:
    if _libc.prctl(option, value, 0, 0, 0) == 0:
        return Step(name)
    return Step(name, f"prctl({option}): {os.strerror(ctypes.get_errno())}")


def _no_core() -> Step:
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (OSError, ValueError) as error:
        return Step("no_core", f"setrlimit: {error}")
    return Step("no_core")
