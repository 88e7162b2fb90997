"""What the seal forbids is tried in a sealed process, and in the same process without the seal as positive control.

What cde goes on doing is tried in tests/unit/service/test_cde_process.py: every cde there is sealed.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from dtmf_shield.base.config import Protection
from dtmf_shield.base.errors import OperatorError
from dtmf_shield.service.seal.landlock import forbid_files_and_other_ports
from dtmf_shield.service.seal.seccomp import allow_listed_calls_only
from dtmf_shield.service.seal.step import STEPS, Step, refuse_without
from tests.unit.service.seal.sealed import LIMIT_S, command, environment, run

FORBIDDEN = {
    "read_file": "open('/etc/passwd').close()",
    "write_file": "open('/tmp/dtmf-shield-sealed', 'w').close()",
    "list_directory": "os.listdir('/')",
    "remove_file": "os.unlink(VICTIM)",
    "fork": "os.waitpid(os.fork() or os._exit(0), 0)",
    "exec": "os.spawnv(os.P_WAIT, '/bin/true', ['true'])",
    "replace_itself": "os.waitpid(os.posix_spawn('/bin/true', ['true'], {}), 0)",
    "thread": "threading.Thread(target=int).start()",
    "late_import": "__import__('wave')",
    "signal_parent": "os.kill(os.getppid(), 0)",
    "signal_itself": "os.kill(os.getpid(), 0)",
    "udp_socket": "socket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
    "unix_socket": "socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)",
    "raw_socket": "socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)",
    "multipath_tcp": "socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)",
    "listen": "(lambda s: (s.bind(('127.0.0.1', 0)), s.listen()))(socket.socket())",
    "pipe": "os.pipe()",
    "memory_file": "os.memfd_create('x')",
    "executable_memory": "mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)",
    "resolve_name": "socket.getaddrinfo('localhost', 80)",
    "dumpable_again": "LIBC.prctl(4, 1, 0, 0, 0) == 0 or (_ for _ in ()).throw(PermissionError())",
    "core_limit_again": "resource.setrlimit(resource.RLIMIT_CORE, (0, 0))",
    "terminal_input": "__import__('fcntl').ioctl(0, 0x5412, b'x')",
}
REFUSED_AS = {
    "thread": {"RuntimeError"},
    "late_import": {"ModuleNotFoundError", "PermissionError"},
    "resolve_name": {"gaierror"},
    "core_limit_again": {"ValueError"},
}
"""Where Python does not pass PermissionError on as it is."""
FREE_FAILS_OTHERWISE = {"multipath_tcp": "OSError", "terminal_input": "OSError"}


def attempts(victim: Path) -> str:
    lines = [
        f"LIBC, VICTIM = ctypes.CDLL(None), {str(victim)!r}",
        "import fcntl",
        "results = {}",
        *(f"results[{name!r}] = tried(lambda: {act})" for name, act in FORBIDDEN.items()),
    ]
    return "\n".join(lines)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, dict[str, str]]:
    """Everything tried, sealed and free."""
    victim = tmp_path_factory.mktemp("victim") / "file"
    victim.touch()
    before, *lines = attempts(victim).split("\nresults = {}\n")
    results = {}
    for seal in (True, False):
        results[seal] = run(
            "results = {}\n" + lines[0] + "\nprint(json.dumps(results))", before=before, seal=seal
        )
        assert victim.exists() is seal
    return results


@pytest.mark.parametrize("name", FORBIDDEN)
def test_sealed_process_is_refused(outcomes: dict[bool, dict[str, str]], name: str) -> None:
    assert outcomes[True][name] in REFUSED_AS.get(name, {"PermissionError"})


@pytest.mark.parametrize("name", FORBIDDEN)
def test_same_attempt_works_without_the_seal(outcomes: dict[bool, dict[str, str]], name: str) -> None:
    assert outcomes[False][name] in {"done", FREE_FAILS_OTHERWISE.get(name)}


@pytest.fixture
def listeners() -> Iterator[tuple[int, int]]:
    """Two ports that take connections."""
    with socket.create_server(("127.0.0.1", 0)) as gateway, socket.create_server(("127.0.0.1", 0)) as other:
        yield gateway.getsockname()[1], other.getsockname()[1]


def test_connections_go_to_the_gateways_port_and_no_other(listeners: tuple[int, int]) -> None:
    gateway, other = listeners
    lines = f"""
def fast_open(port):
    with socket.socket() as sock:
        sock.sendto(b"x", 0x20000000, ("127.0.0.1", port))
print(json.dumps([
    tried(lambda: socket.create_connection(("127.0.0.1", {gateway}), 5).close()),
    tried(lambda: socket.create_connection(("127.0.0.1", {other}), 5).close()),
    tried(lambda: fast_open({other})),
]))
"""

    # create_connection resolves; an address needs no files for it.
    assert run(lines, ports=(gateway,)) == ["done", "PermissionError", "PermissionError"]
    assert run(lines, ports=(gateway,), seal=False)[:2] == ["done", "done"]


def test_an_older_thread_may_neither_exec_nor_open_but_is_told() -> None:
    """seccomp binds all threads (TSYNC); Landlock only its own, which the step one_thread says."""
    before = """
go, results = threading.Event(), []
def older():
    go.wait()
    results.append(tried(lambda: os.spawnv(os.P_WAIT, "/bin/true", ["true"])))
    results.append(tried(lambda: open("/etc/passwd").close()))
thread = threading.Thread(target=older)
thread.start()
"""
    lines = """
steps = [*give_up_rights(os.environ, scan_mode=False), *close_doors(PORTS)]
go.set()
thread.join()
print(json.dumps([[step.name for step in steps if step.missing], results]))
"""

    assert run(lines, before=before, seal=False) == [["one_thread"], ["PermissionError"] * 2]


def test_ledger_goes_on_committing_through_checkpoints(tmp_path: Path) -> None:
    """The write-ahead log is written back at 1,000 pages, its shared index grows, and it is closed at the end."""
    before = f"""
from dtmf_shield.store.database import open_ledger_database
path = Path({str(tmp_path / "ledger.sqlite3")!r})
ledger = open_ledger_database(path)
"""
    lines = """
with ledger:
    ledger.execute("BEGIN IMMEDIATE")
    for number in range(6_000):
        ledger.execute("INSERT INTO installation VALUES (?, ?)", (str(number), "x" * 3_000))
pages = [ledger.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()]
for number in range(1_200):
    ledger.execute("UPDATE installation SET value = ? WHERE name = ?", (str(number), str(number)))
pages.append(ledger.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone())
held = ledger.execute("SELECT count(*) FROM installation").fetchone()[0]
ordered = ledger.execute("SELECT value FROM installation ORDER BY value || 'x' LIMIT 1").fetchone()
ledger.close()
print(json.dumps([pages[0][0], pages[0][1] > 4_096, pages[1], held, os.fstat(0).st_size >= 0]))
"""

    busy, over_one_index_page, truncated, held, _ = run(lines, before=before)

    assert (busy, over_one_index_page, truncated, held) == (0, True, [0, 0, 0], 6_001)
    assert (tmp_path / "ledger.sqlite3").stat().st_size > 6_000 * 3_000


def test_errors_timers_and_log_lines_work_sealed() -> None:
    before = """
from dtmf_shield.base.log import configure_log, get_logger
configure_log(process="sealed")
log = get_logger("sealed")
runner = asyncio.Runner()
runner.get_loop()
"""
    lines = """
async def broken():
    await asyncio.sleep(0.01)
    raise ValueError("told")
async def main():
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, lambda: None)
    try:
        async with asyncio.timeout(0.02):
            await asyncio.sleep(10)
    except TimeoutError:
        log.info("timed_out")
    loop.create_task(broken())
    await asyncio.sleep(0.05)
    try:
        "\\xff".encode("latin-1").decode("utf-8")
        await broken()
    except ValueError:
        log.exception("broken")
    import warnings
    warnings.warn("said")
    "ÿ".encode("idna"), "x".encode("ascii"), "x".encode("latin-1")
runner.run(main())
print(json.dumps("lived"))
"""

    assert run(lines, before=before) == "lived"


@pytest.fixture(params=[True, False], ids=["sealed", "free"])
def target(request: pytest.FixtureRequest) -> Iterator[tuple[bool, int, int]]:
    """A process of the user nobody that holds a word, sealed or not: (sealed, pid, where the word lies)."""
    lines = """
print(json.dumps([os.getpid(), ctypes.addressof(word)]), flush=True)
sys.stdin.readline()
"""
    before = """
word = ctypes.create_string_buffer(b"the word")
os.setgroups([]), os.setgid(65534), os.setuid(65534)
ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)
"""
    with subprocess.Popen(
        command(lines, before=before, seal=request.param),
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        pid, address = (int(part) for part in process.stdout.readline().strip(b"[]\n").split(b","))
        yield request.param, pid, address
        process.stdin.close()
        process.wait(10)


@pytest.mark.skipif(os.getuid() != 0, reason="becomes the user nobody, which takes root")
def test_another_process_of_the_same_user_cannot_read_its_memory(target: tuple[bool, int, int]) -> None:
    sealed, pid, address = target
    reader = f"""
os.setgroups([]), os.setgid(65534), os.setuid(65534)
def read():
    with open("/proc/{pid}/mem", "rb") as memory:
        memory.seek({address})
        assert memory.read(8) == b"the word"
print(json.dumps(tried(read)))
"""

    assert run(reader, seal=False) == ("PermissionError" if sealed else "done")


@pytest.mark.parametrize("seal", [True, False], ids=["sealed", "free"])
def test_a_crash_leaves_no_core(tmp_path: Path, seal: bool) -> None:
    """A sealed process is not dumped at all, whatever core_pattern says: the kernel tells by the wait status."""
    process = subprocess.Popen(
        command(
            "print('up', flush=True)\nsys.stdin.readline()",
            seal=seal,
            before=("resource.setrlimit(resource.RLIMIT_CORE, (1 << 20, 1 << 20)) if True else 0\n"),
        ),
        env=environment(),
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.readline()
    os.kill(process.pid, signal.SIGSEGV)
    end_s = time.monotonic() + LIMIT_S
    while (waited := os.waitpid(process.pid, os.WNOHANG))[0] == 0 and time.monotonic() < end_s:
        time.sleep(0.01)
    process.returncode = -signal.SIGSEGV
    for pipe in (process.stdin, process.stdout):
        assert pipe is not None
        pipe.close()

    assert os.WTERMSIG(waited[1]) == signal.SIGSEGV
    assert os.WCOREDUMP(waited[1]) is not seal


@pytest.mark.parametrize("abi", range(1, 8))
def test_older_landlock_gives_what_it_has_and_names_what_it_has_not(
    abi: int, listeners: tuple[int, int]
) -> None:
    """Down to ABI 1 (Linux 5.13), which knows files only; ABI 4 knows TCP ports, ABI 6 signals."""
    gateway, other = listeners
    lines = f"""
from dtmf_shield.service.seal.landlock import forbid_files_and_other_ports
give_up_rights(os.environ, scan_mode=False)
steps = forbid_files_and_other_ports({{{gateway}}}, abi={abi})
def connect():
    with socket.socket() as sock:
        sock.connect(("127.0.0.1", {other}))
print(json.dumps([
    [step.name for step in steps if step.missing],
    [tried(lambda: open("/etc/passwd").close()), tried(connect), tried(lambda: os.kill(os.getppid(), 0))],
]))
"""

    missing, results = run(lines, seal=False)

    assert missing == [name for name, needs in (("landlock_tcp", 4), ("landlock_scope", 6)) if abi < needs]
    assert results == [
        "PermissionError",
        "PermissionError" if abi >= 4 else "done",
        "PermissionError" if abi >= 6 else "done",
    ]


def test_kernel_without_landlock_and_machine_without_libseccomp_are_told() -> None:
    steps = [*forbid_files_and_other_ports({443}, abi=0), allow_listed_calls_only(None)]

    assert [step.name for step in steps if step.missing] == [
        "landlock",
        "landlock_tcp",
        "landlock_scope",
        "seccomp",
    ]
    assert "libseccomp.so.2" in steps[-1].missing
    Path("/etc/passwd").read_bytes()  # and nothing was taken from this process


def test_required_step_that_is_missing_is_refused_with_its_remedy() -> None:
    steps = [Step("landlock", "this kernel has no Landlock"), Step("seccomp")]

    refuse_without(["seccomp"], steps)
    with pytest.raises(OperatorError, match=r"cde\.require: landlock .*no Landlock.*Linux 5\.13.*doctor"):
        refuse_without(["seccomp", "landlock"], steps)


def test_every_step_is_described_and_may_be_required() -> None:
    assert set(STEPS) == set(get_args(Protection))
    assert all(about.purpose and about.remedy for about in STEPS.values())
