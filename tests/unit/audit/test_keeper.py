"""The thread of the roots: it never makes the log wait, tells failures, tries again, and forgets nothing in a crash."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog

from dtmf_shield.audit import keeper as keeper_module
from dtmf_shield.audit.anchor import Anchor, FileAnchor, SyslogAnchor, syslog_message
from dtmf_shield.audit.chain import AuditLog
from dtmf_shield.audit.keeper import RootKeeper
from dtmf_shield.audit.roots import Root, RootWriter, parse_root, read_roots
from dtmf_shield.audit.signing import ensure_signer
from dtmf_shield.audit.verification import anchored_roots
from dtmf_shield.base.system_clock import SystemClock

WAIT_S = 10.0


def wait_until(true: Callable[[], object]) -> None:
    end = time.monotonic() + WAIT_S
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


class ScriptedAnchor:
    """Fails so often, then keeps what it is sent."""

    name = "scripted"

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.kept: list[Root] = []

    def send(self, roots: Sequence[Root]) -> None:
        if self.failures:
            self.failures -= 1
            raise ConnectionRefusedError(111, "Connection refused")
        self.kept += roots


class House:
    def __init__(self, directory: Path) -> None:
        self.path = directory / "audit.jsonl"
        self.log = AuditLog(self.path)
        self.signer = ensure_signer(directory / "audit.key")

    def roots(self) -> list[Root]:
        path = self.path.with_name("audit.roots.jsonl")
        return list(read_roots(path)) if path.exists() else []

    @contextmanager
    def kept(self, anchor: Anchor | None, interval_s: float = 0.02) -> Iterator[RootKeeper]:
        keeper = RootKeeper(RootWriter(self.path, self.signer), anchor, SystemClock(), interval_s=interval_s)
        keeper.start()
        try:
            yield keeper
        finally:
            keeper.close()


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


@pytest.fixture
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper_module, "RETRY_S_MIN", 0.02)
    monkeypatch.setattr(keeper_module, "RETRY_S_MAX", 0.04)


def test_rows_get_roots_and_nothing_new_gets_none(house: House) -> None:
    anchor = ScriptedAnchor()
    with house.kept(anchor):
        house.log.append("one", 1.0)
        wait_until(lambda: len(anchor.kept) == 1)
        time.sleep(0.1)  # for what must not happen
        assert len(house.roots()) == 1
        house.log.append("two", 2.0)
        wait_until(lambda: len(anchor.kept) == 2)

    assert anchor.kept == house.roots()


def test_a_stop_writes_and_anchors_the_last_rows(house: House) -> None:
    anchor = ScriptedAnchor()
    with house.kept(anchor, interval_s=3_600.0):
        house.log.append("one", 1.0)

    assert [root.last for root in anchor.kept] == [0]


@pytest.mark.usefixtures("quick_retries")
def test_an_anchor_that_is_away_gets_everything_later_in_order(house: House) -> None:
    anchor = ScriptedAnchor(failures=3)
    with structlog.testing.capture_logs() as logs, house.kept(anchor):
        for number in range(3):
            house.log.append("row", float(number))
            wait_until(lambda count=number + 1: len(house.roots()) >= count)
        wait_until(lambda: len(anchor.kept) == 3)

    assert anchor.kept == house.roots()
    assert [(line["event"], line.get("error")) for line in logs] == [
        ("audit_anchor_failed", "Connection refused"),
        ("audit_anchor_failed_no_more", None),
    ]


def test_what_a_former_process_could_not_anchor_is_anchored_by_the_next(house: House) -> None:
    first, away, back = ScriptedAnchor(), ScriptedAnchor(failures=10_000), ScriptedAnchor()
    for anchor in (first, away, back):
        house.log.append("row", 1.0)
        with house.kept(anchor, interval_s=3_600.0):
            pass

    assert [root.n for root in first.kept] == [0]
    assert [root.n for root in back.kept] == [1, 2]


def test_the_backlog_is_bounded_and_keeps_the_newest(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper_module, "BACKLOG_ROOTS_MAX", 2)
    for _ in range(4):
        house.log.append("row", 1.0)
        with house.kept(None, interval_s=3_600.0):
            pass
    anchor = ScriptedAnchor()
    with house.kept(anchor, interval_s=3_600.0):
        pass

    assert [root.n for root in anchor.kept] == [2, 3]


def test_an_anchor_that_hangs_holds_up_neither_rows_nor_the_stop(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper_module, "CLOSE_S", 0.2)
    inside, release = threading.Event(), threading.Event()

    class Hanging:
        name = "hanging"

        def send(self, _roots: Sequence[Root]) -> None:
            inside.set()
            release.wait(WAIT_S)

    house.log.append("one", 1.0)
    started_s = time.monotonic()
    with house.kept(Hanging()):
        assert inside.wait(WAIT_S)
        for number in range(1_000):
            house.log.append("row", float(number))
    took_s = time.monotonic() - started_s
    release.set()

    assert took_s < WAIT_S / 2


@pytest.mark.usefixtures("quick_retries")
def test_a_log_that_was_garbled_while_running_is_told_once(house: House) -> None:
    with structlog.testing.capture_logs() as logs, house.kept(None):
        with house.path.open("a") as file:
            file.write("garbage\n")
        wait_until(lambda: logs)
        time.sleep(0.1)  # for what must not happen

    assert [line["event"] for line in logs] == ["audit_root_not_written"]


# --- anchors ----------------------------------------------------------------------------------------------


def a_root(house: House) -> Root:
    house.log.append("row", 1.0)
    (root,) = RootWriter(house.path, house.signer).write(1_800_000_000.125)
    return root


def test_a_file_anchor_appends_and_keeps_what_is_there(house: House, tmp_path: Path) -> None:
    root = a_root(house)
    for _ in range(2):
        FileAnchor(tmp_path / "anchored").send([root])

    path = tmp_path / "anchored"
    assert [found for _, found in anchored_roots(path, path.stat().st_size)] == [root, root]


def test_a_syslog_message_has_the_form_of_rfc_5424(house: House) -> None:
    """RFC 5424 section 6: PRI 109 = log audit, notice; version, UTC time, host, app, process, message id, no SD."""
    root = a_root(house)

    header, _, content = syslog_message(root, host="a host", process_id=17).partition(b" - ")

    assert header == b"<109>1 2027-01-15T08:00:00.125Z ahost dtmf-shield 17 audit-root"
    assert parse_root(content) == root


def test_syslog_over_udp_is_one_datagram_a_root(house: House) -> None:
    root = a_root(house)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as host:
        host.bind(("127.0.0.1", 0))
        host.settimeout(WAIT_S)

        SyslogAnchor(*host.getsockname(), tcp=False).send([root])

        assert parse_root(host.recv(65_536).partition(b" - ")[2]) == root


def log_host(server: socket.socket, got: list[bytes]) -> threading.Thread:
    def serve() -> None:
        connection, _ = server.accept()
        with connection:
            while part := connection.recv(65_536):
                got.append(part)

    thread = threading.Thread(target=serve)
    thread.start()
    return thread


def test_syslog_over_tcp_counts_octets(house: House) -> None:
    """RFC 6587 section 3.4.1: MSG-LEN SP SYSLOG-MSG."""
    root = a_root(house)
    got: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = log_host(server, got)
        SyslogAnchor(*server.getsockname()[:2], tcp=True).send([root, root])
        thread.join(WAIT_S)

    rest, found = b"".join(got), []
    while rest:
        length, _, rest = rest.partition(b" ")
        found.append(parse_root(rest[: int(length)].partition(b" - ")[2]))
        rest = rest[int(length) :]
    assert found == [root, root]


def test_a_log_host_that_is_away_is_an_error_over_tcp(house: House) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: Any = server.getsockname()[1]

    with pytest.raises(ConnectionRefusedError):
        SyslogAnchor("127.0.0.1", port, tcp=True).send([a_root(house)])
