"""Landlock (Documentation/userspace-api/landlock.rst) by its three system calls: no files, TCP to named ports only.

Best effort down to ABI 1, each part with its own result. What was opened before stays usable: ledger, channels, log.
It binds the calling thread and what that starts, never older threads. UDP and Unix sockets are seccomp's business.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Set
from typing import Final

from dtmf_shield.service.seal.step import Step

_SYS_CREATE_RULESET: Final = 444
_SYS_ADD_RULE: Final = 445
_SYS_RESTRICT_SELF: Final = 446
_CREATE_RULESET_VERSION: Final = 1
_RULE_NET_PORT: Final = 2
_NET_BIND_TCP: Final = 1
_NET_CONNECT_TCP: Final = 2
_SCOPE_ALL: Final = 3
"""Abstract Unix sockets, signals."""
_ABI_TCP: Final = 4
_ABI_SCOPE: Final = 6

_libc = ctypes.CDLL(None, use_errno=True)


class _RulesetAttributes(ctypes.Structure):
    _fields_ = (
        ("handled_access_fs", ctypes.c_uint64),
        ("handled_access_net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    )


class _NetPort(ctypes.Structure):
    _fields_ = (("allowed_access", ctypes.c_uint64), ("port", ctypes.c_uint64))


def abi_of_kernel() -> int:
    """Return the Landlock ABI of the running kernel, 0 where there is none."""
    return max(0, int(_libc.syscall(_SYS_CREATE_RULESET, None, 0, _CREATE_RULESET_VERSION)))


def forbid_files_and_other_ports(tcp_ports: Set[int], *, abi: int | None = None) -> tuple[Step, ...]:
    """Give up every right to files for ever, and TCP but for connecting to ``tcp_ports``.

    Needs no_new_privs. ``abi``: of an older kernel, for tests; None asks this one.
    """
    abi = abi_of_kernel() if abi is None else abi
    if abi == 0:
        why = "this kernel has no Landlock, or it is not switched on"
        return tuple(Step(name, why) for name in ("landlock", "landlock_tcp", "landlock_scope"))
    failure = _restrict(tcp_ports, abi)
    return (
        Step("landlock", failure),
        Step("landlock_tcp", failure or _too_old(abi, _ABI_TCP)),
        Step("landlock_scope", failure or _too_old(abi, _ABI_SCOPE)),
    )


def _too_old(abi: int, needed: int) -> str:
    return "" if abi >= needed else f"Landlock ABI {abi} of this kernel; it takes {needed}"


def _file_rights(abi: int) -> int:
    """Return all file rights that ``abi`` knows: 13 in ABI 1, then refer, truncate, and in ABI 5 device ioctl."""
    count = 13 + (abi >= 2) + (abi >= 3) + (abi >= 5)
    return (1 << count) - 1


def _restrict(tcp_ports: Set[int], abi: int) -> str:
    """Apply; return why it failed, empty where it did not."""
    attributes = _RulesetAttributes(
        _file_rights(abi),
        _NET_BIND_TCP | _NET_CONNECT_TCP if abi >= _ABI_TCP else 0,
        _SCOPE_ALL if abi >= _ABI_SCOPE else 0,
    )
    size = 8 * (1 + (abi >= _ABI_TCP) + (abi >= _ABI_SCOPE))
    ruleset = _libc.syscall(_SYS_CREATE_RULESET, ctypes.byref(attributes), ctypes.c_size_t(size), 0)
    if ruleset < 0:
        return _failed("landlock_create_ruleset")
    try:
        for port in sorted(tcp_ports) if abi >= _ABI_TCP else ():
            rule = _NetPort(_NET_CONNECT_TCP, port)
            if _libc.syscall(_SYS_ADD_RULE, ruleset, _RULE_NET_PORT, ctypes.byref(rule), 0) != 0:
                return _failed("landlock_add_rule")
        if _libc.syscall(_SYS_RESTRICT_SELF, ruleset, 0) != 0:
            return _failed("landlock_restrict_self")
    finally:
        os.close(ruleset)
    return ""


def _failed(call: str) -> str:
    return f"{call}: {os.strerror(ctypes.get_errno())}"
