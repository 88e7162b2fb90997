"""seccomp(2): an allow list of system calls for a sealed process, everything else answered EPERM, by libseccomp2.

libseccomp knows the numbers of each architecture; this binds the seven functions of it that are needed
(docs/adr/0008-seal.md says why not a package). Arguments are looked at where a call allowed for one purpose would
serve another: sockets are TCP over IP, connections are made by connect(2), no mapping is executable, no terminal is
fed. EPERM and not death: a library that tries something gets an OSError, the capture ends clearly, the log says it.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import socket
from typing import Final

from dtmf_shield.service.seal.step import Step

LIBRARY: Final = "libseccomp.so.2"

ALLOWED: Final = (
    # bytes through descriptors that are open
    *("read", "write", "readv", "writev", "recvfrom", "recvmsg", "shutdown", "close", "lseek"),
    # descriptors: fcntl also locks the ledger's file and duplicates a channel's descriptor
    *("fstat", "newfstatat", "statx", "fcntl", "getsockopt", "setsockopt", "getpeername", "getsockname"),
    *("connect",),
    # memory; the allocator moves and trims
    *("munmap", "mremap", "madvise", "brk"),
    # the loop, its clock and its signals
    *("epoll_wait", "epoll_pwait", "epoll_pwait2", "epoll_ctl", "poll", "ppoll", "futex", "sched_yield"),
    *("clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday", "time"),
    *("rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "restart_syscall", "rseq"),
    # randomness, itself, the end
    *("getrandom", "getpid", "gettid", "exit", "exit_group"),
    # the ledger: pages, write-ahead log, checkpoint, shared memory file that grows
    *("pread64", "pwrite64", "fdatasync", "fsync", "ftruncate", "fallocate"),
)
"""Taken whole. Not here: open, exec, clone, fork, kill, ptrace, process_vm_*, memfd_create, prctl, bind, listen."""

_ACT_ALLOW: Final = 0x7FFF0000
_ACT_ERRNO: Final = 0x00050000
_ATTRIBUTE_TSYNC: Final = 4
_COMPARE_EQUAL: Final = 4
_COMPARE_MASKED_EQUAL: Final = 7

_SOCKET_TYPE_MASK: Final = 0xF
"""The rest of socket(2)'s type are SOCK_CLOEXEC and SOCK_NONBLOCK."""
_MSG_FASTOPEN: Final = 0x20000000
"""sendto(2) and sendmsg(2) with it connect, past Landlock."""
_IOCTLS: Final = (0x5421, 0x541B, 0x5450, 0x5451, 0x5401)
"""FIONBIO, FIONREAD, FIONCLEX, FIOCLEX, TCGETS (isatty)."""

_Argument = tuple[int, int, int, int]
"""Index, comparison, and its one or two values."""


class _Comparison(ctypes.Structure):
    """struct scmp_arg_cmp."""

    _fields_ = (
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("datum_a", ctypes.c_uint64),
        ("datum_b", ctypes.c_uint64),
    )


def load_library() -> ctypes.CDLL | None:
    """Load libseccomp; None where it is not installed. To be called before files are out of reach."""
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError:
        return None
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_init.argtypes = (ctypes.c_uint32,)
    library.seccomp_release.argtypes = (ctypes.c_void_p,)
    library.seccomp_release.restype = None
    library.seccomp_load.argtypes = (ctypes.c_void_p,)
    library.seccomp_attr_set.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32)
    library.seccomp_syscall_resolve_name.argtypes = (ctypes.c_char_p,)
    library.seccomp_rule_add_array.argtypes = (
        ctypes.c_void_p,
        ctypes.c_uint32,
        ctypes.c_int,
        ctypes.c_uint,
        ctypes.POINTER(_Comparison),
    )
    return library


def allow_listed_calls_only(library: ctypes.CDLL | None) -> Step:
    """Refuse every call that is not listed, in all threads of this process, for ever. Needs no_new_privs."""
    if library is None:
        return Step("seccomp", f"{LIBRARY} is not installed")
    context = library.seccomp_init(_ACT_ERRNO | errno.EPERM)
    if not context:
        return Step("seccomp", "seccomp_init failed")
    try:
        # Without it an older thread goes on unfiltered.
        code = library.seccomp_attr_set(context, _ATTRIBUTE_TSYNC, 1)
        for name, arguments in _rules():
            code = code or _allow(library, context, name, arguments)
        code = code or library.seccomp_load(context)
    finally:
        library.seccomp_release(context)
    return Step("seccomp", f"libseccomp: {os.strerror(-code)}" if code else "")


def _rules() -> list[tuple[str, tuple[_Argument, ...]]]:
    rules: list[tuple[str, tuple[_Argument, ...]]] = [(name, ()) for name in ALLOWED]
    rules += [(name, ((2, _COMPARE_MASKED_EQUAL, mmap.PROT_EXEC, 0),)) for name in ("mmap", "mprotect")]
    rules += [("sendto", ((3, _COMPARE_MASKED_EQUAL, _MSG_FASTOPEN, 0),))]
    rules += [("sendmsg", ((2, _COMPARE_MASKED_EQUAL, _MSG_FASTOPEN, 0),))]
    rules += [("ioctl", ((1, _COMPARE_EQUAL, request, 0),)) for request in _IOCTLS]
    stream = (1, _COMPARE_MASKED_EQUAL, _SOCKET_TYPE_MASK, int(socket.SOCK_STREAM))
    for family in (socket.AF_INET, socket.AF_INET6):
        for protocol in (0, socket.IPPROTO_TCP):
            # Multipath TCP would be another way past Landlock's ports.
            rules.append(
                (
                    "socket",
                    ((0, _COMPARE_EQUAL, int(family), 0), stream, (2, _COMPARE_EQUAL, int(protocol), 0)),
                )
            )
    return rules


def _allow(library: ctypes.CDLL, context: int, name: str, arguments: tuple[_Argument, ...]) -> int:
    number = library.seccomp_syscall_resolve_name(name.encode("ascii"))
    if number < 0:
        return 0  # This architecture has no such call: arm64 has no poll, no time.
    comparisons = (_Comparison * len(arguments))(*(_Comparison(*each) for each in arguments))
    return int(library.seccomp_rule_add_array(context, _ACT_ALLOW, number, len(arguments), comparisons))
