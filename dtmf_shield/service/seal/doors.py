"""The last step: files, programs, other processes and other ports out of reach, when everything needed is open.

To be called from the one thread, after ledger, TLS contexts, loop and self-pipe are made. Connections to the gateways
can be made afterwards, by address.
"""

from __future__ import annotations

from collections.abc import Set
from pathlib import Path

from dtmf_shield.service.seal import late_imports  # noqa: F401 - its imports are its purpose
from dtmf_shield.service.seal.landlock import forbid_files_and_other_ports
from dtmf_shield.service.seal.seccomp import allow_listed_calls_only, load_library
from dtmf_shield.service.seal.step import Step


def close_doors(tcp_ports: Set[int]) -> tuple[Step, ...]:
    """Seal this process: from here on it has its open descriptors, and connections to ``tcp_ports``.

    There is no way back. Needs no_new_privs.
    """
    library = load_library()
    return (one_thread(), *forbid_files_and_other_ports(tcp_ports), allow_listed_calls_only(library))


def one_thread() -> Step:
    """Tell whether this thread is the only one: Landlock leaves older ones free."""
    count = sum(1 for _ in Path("/proc/self/task").iterdir())
    return Step("one_thread", f"{count} threads: Landlock binds one of them" if count > 1 else "")
