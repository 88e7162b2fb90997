"""Claim: a token costs at most 1 ms (median) and 2 ms (p99) beyond the gateway's own round trip, on a warm connection.

Usage: python -m bench.tokenize [--n 400] [--captures 256] [--json]. Three contenders ask one TEST gateway, a process
of its own, for tokens in random order: a bare TLS socket that sends the same bytes and reads the answer; the sender
alone, in this process; and the whole cde process, from SubmitCapture to CaptureOutcome, with channel, connector, ledger
on disk and wiping. What is added is each time of ours less the bare socket's median, so that its outliers do not
help us. CPU is that of the asking process alone: what is left of the difference on a machine that others load. Below:
captures held at once in one cde process, all fields keyed, and what each costs in memory.
"""

import argparse
import asyncio
import base64
import json
import os
import random
import sqlite3
import ssl
import sys
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from socket import create_connection

import h11
import numpy as np
from numpy.typing import NDArray

from bench.result import keep, parser, progress
from dtmf_shield.account_data import slots
from dtmf_shield.account_data.slots import Region, create_region
from dtmf_shield.cde.gateways import http_exchange
from dtmf_shield.cde.gateways.base import (
    Answer,
    CardInSlot,
    Request,
    SlotField,
    build_body,
)
from dtmf_shield.cde.gateways.sender import BUILD_PAGE_BYTES, Endpoint, GatewaySender
from dtmf_shield.cde.gateways.tls import client_context
from dtmf_shield.model.capture import CaptureOutcome, CaptureResult
from dtmf_shield.model.ids import CallId
from dtmf_shield.model.messages import SubmitCapture
from tests.unit.service.cde_driver import CdeDriver, Gateway

TEST_CARD = b"4242424242424242"
GOAL_P50_MS, GOAL_P99_MS = 1.0, 2.0
WARM_UP = 20
SEED = 17
PATH = "/pay"
Times = dict[str, NDArray[np.float64]]
"""Of each contender (n, 2): elapsed and CPU time in ms."""
BARE, SENDER, CDE = "bare TLS socket", "sender alone", "cde process"


def card() -> CardInSlot:
    """Return the test card in a slot of locked memory."""
    slot = Region(create_region()[0]).view[: slots.SLOT_BYTES]
    slot[slots.CARD_NUMBER_AT : slots.CARD_NUMBER_AT + len(TEST_CARD)] = TEST_CARD
    slot[slots.EXPIRY_AT : slots.EXPIRY_AT + 4] = b"1230"
    slot[slots.SECURITY_CODE_AT : slots.SECURITY_CODE_AT + 3] = b"123"
    return CardInSlot(slot, len(TEST_CARD), 4, 3)


def authorization(gateway: Gateway) -> tuple[tuple[str, str], ...]:
    """Return the header by which the TEST gateway knows us."""
    credentials = base64.b64encode(gateway.files.gateway_user_file.read_bytes().strip()).decode()
    return (("Authorization", f"Basic {credentials}"),)


class BareSocket:
    """The peer: blocking TLS, no HTTP library, the bytes made before the clock runs."""

    def __init__(self, gateway: Gateway, held: CardInSlot) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(gateway.files.ca_file)
        self._socket = context.wrap_socket(
            create_connection(("127.0.0.1", gateway.port)), server_hostname="localhost"
        )
        self._identity = http_exchange.Identity(f"localhost:{gateway.port}", authorization(gateway), b"")
        self._card = held

    def ask(self) -> tuple[float, float]:
        """Return seconds from the first byte out to the last byte in, and of CPU."""
        asked = request()
        body = build_body(memoryview(bytearray(BUILD_PAGE_BYTES)), asked.body, self._card)
        head = h11.Connection(h11.CLIENT).send(http_exchange._head(asked, body, self._identity)) or b""
        whole = head + body
        begun_s, cpu_s = time.perf_counter(), time.process_time()
        self._socket.sendall(whole)
        answer = b""
        while not _complete(answer):
            answer += self._socket.recv(16_384)
        taken = time.perf_counter() - begun_s, time.process_time() - cpu_s
        if b"tok_TEST_" not in answer:
            raise RuntimeError("the gateway gave no token")
        return taken


def _complete(answer: bytes) -> bool:
    head, mark, body = answer.partition(b"\r\n\r\n")
    return bool(mark) and len(body) == int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])


def request() -> Request:
    """Return a tokenisation under a key of its own, as the TEST gateway takes it."""
    key = str(uuid.uuid4()).encode()
    parts = (
        b'{"transaction_id":"' + key + b'","method":"tokenize","cardnumber":"',
        SlotField.NUMBER,
        b'","cvv":"',
        SlotField.SECURITY_CODE,
        b'","expiry_month":"',
        SlotField.EXPIRY_MONTH,
        b'","expiry_year":"',
        SlotField.EXPIRY_YEAR,
        b'","postal_code":null,"description":"order 17","parameters":{}}',
    )
    return Request(
        "POST", PATH, (("Content-Type", "application/json"), ("Idempotency-Key", key.decode())), parts
    )


async def by_sender(sender: GatewaySender, held: CardInSlot) -> tuple[float, float]:
    """Return seconds from the slot to the answer, and of CPU."""
    asked = request()
    begun_s, cpu_s = time.perf_counter(), time.process_time()
    answer = await sender.exchange(asked, held)
    taken = time.perf_counter() - begun_s, time.process_time() - cpu_s
    if not isinstance(answer, Answer) or b"tok_TEST_" not in answer.body:
        raise RuntimeError("the gateway gave no token")
    return taken


def by_cde(cde: CdeDriver) -> tuple[float, float]:
    """Return seconds from SubmitCapture to CaptureOutcome, and of cde's CPU; keying goes before."""
    capture_id = cde.hold(str(uuid.uuid4()), TEST_CARD.decode())
    begun_s, cpu_s = time.perf_counter(), cpu_of(cde.process.pid)
    cde.control.send(SubmitCapture(capture_id, "order 17"))
    outcome = cde.wait_for(CaptureOutcome)
    taken = time.perf_counter() - begun_s, cpu_of(cde.process.pid) - cpu_s
    if outcome.result is not CaptureResult.TOKEN:
        raise RuntimeError(f"the capture ended with {outcome.result}")
    return taken


def cpu_of(pid: int) -> float:
    """Return the seconds the first thread of a process has run."""
    return int(Path(f"/proc/{pid}/schedstat").read_text("ascii").split()[0]) / 1e9


def open_sender(gateway: Gateway) -> GatewaySender:
    """Return the product's sender to the TEST gateway."""
    endpoint = Endpoint(
        ("127.0.0.1",),
        gateway.port,
        "localhost",
        authorization(gateway),
    )
    page = Region(create_region(BUILD_PAGE_BYTES)[0], BUILD_PAGE_BYTES)
    return GatewaySender(endpoint, client_context(gateway.files.ca_file), "bench", page)


async def measure(gateway: Gateway, cde: CdeDriver, n: int) -> Times:
    """Return milliseconds of each contender, n each, in random order within each round."""
    held = card()
    bare, sender = BareSocket(gateway, held), open_sender(gateway)

    async def ask_bare() -> tuple[float, float]:
        return bare.ask()

    async def ask_cde() -> tuple[float, float]:
        return by_cde(cde)

    contenders: dict[str, Callable[[], Awaitable[tuple[float, float]]]] = {
        BARE: ask_bare,
        SENDER: lambda: by_sender(sender, held),
        CDE: ask_cde,
    }
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
    rng = random.Random(SEED)
    with progress() as bar:
        for _ in bar.track(range(WARM_UP + n), description="tokens"):
            for name in rng.sample(list(contenders), len(contenders)):
                times[name].append(await contenders[name]())
    return {name: 1e3 * np.array(found[WARM_UP:]) for name, found in times.items()}


def durable_commits_ms(directory: Path, n: int) -> NDArray[np.float64]:
    """Return the time of n commits of one row as the ledger makes them: what one costs on this disk."""
    database = sqlite3.connect(directory / "commits.sqlite3", isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute("CREATE TABLE rows (content TEXT)")
    found = np.empty(n)
    for index in range(n):
        begun_s = time.perf_counter()
        database.execute("INSERT INTO rows VALUES (?)", ("x" * 200,))
        found[index] = 1e3 * (time.perf_counter() - begun_s)
    database.close()
    return found


def resident_kb(pid: int) -> int:
    """Return the resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text("ascii")
    return int(status.split("VmRSS:")[1].split()[0])


def hold_captures(cde: CdeDriver, n: int) -> float:
    """Hold n captures with all fields keyed at once; return KB of resident memory each."""
    before_kb = resident_kb(cde.process.pid)
    with progress() as bar:
        for index in bar.track(range(n), description="captures"):
            cde.hold(f"held-{index}", TEST_CARD.decode(), call=CallId(f"call-{index}"), row=100 + index)
    return (resident_kb(cde.process.pid) - before_kb) / n


def rows(times: Times) -> list[dict[str, float | str]]:
    """Return figures of each contender; `added`: beyond the bare socket's median."""
    base = float(np.median(times[BARE][:, 0]))
    found: list[dict[str, float | str]] = []
    for name, ms in times.items():
        p50, p99 = np.percentile(ms[:, 0], [50, 99])
        figures = {"p50": p50, "p99": p99, "added_p50": p50 - base, "added_p99": p99 - base}
        found.append({"contender": name, **figures, "cpu_p50": float(np.median(ms[:, 1]))})
    return found


def table(found: list[dict[str, float | str]]) -> list[str]:
    """Return the markdown table."""
    lines = [
        "| contender | p50, ms | p99, ms | added p50, ms | added p99, ms | CPU p50, ms | goal |",
        f"|{'---|' * 7}",
    ]
    for row in found:
        goal = ""
        if row["contender"] != BARE:
            met = float(row["added_p50"]) <= GOAL_P50_MS and float(row["added_p99"]) <= GOAL_P99_MS
            goal = "met" if met else "missed"
        figures = " | ".join(f"{row[key]:.2f}" for key in ("p50", "p99", "added_p50", "added_p99", "cpu_p50"))
        lines.append(f"| {row['contender']} | {figures} | {goal} |")
    return lines


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    found = parser("tokenize", __doc__ or "", n=400)
    found.add_argument(
        "--captures", type=int, default=slots.SLOTS_MAX, help="held at once (default: all slots)"
    )
    found.add_argument("--json", action="store_true", help="figures as JSON on standard output")
    return found.parse_args()


def main() -> int:
    """Measure and keep."""
    given = arguments()
    load_before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as directory:
        gateway = Gateway(Path(directory) / "gateway")
        log = (Path(directory) / "cde.log").open("wb")
        cde = CdeDriver(Path(directory), gateway, scan_mode=False, log=log)
        try:
            found = rows(asyncio.run(measure(gateway, cde, given.n)))
            each_kb = hold_captures(cde, given.captures)
            commit50, commit99 = np.percentile(durable_commits_ms(Path(directory), given.n), [50, 99])
        finally:
            cde.supervisor.close()
            cde.close()
            gateway.stop()
            log.close()
    lines = [
        "# Slot to token: what is added to the gateway's round trip",
        "",
        f"{given.n} tokens each over warm TLS connections to the TEST gateway on loopback, in random order; {WARM_UP} "
        f"before them not counted. Added: beyond the bare socket's median. Goal: p50 at most {GOAL_P50_MS:g} ms, p99 "
        f"at most {GOAL_P99_MS:g} ms. {os.cpu_count()} cores, load {load_before:.1f} before.",
        "",
        *table(found),
        "",
        f"One durable commit of the ledger's kind on this disk: p50 {commit50:.2f} ms, p99 {commit99:.2f} ms. The "
        "process waits for some between submission and outcome; the sender waits for none.",
        "",
        f"Captures held at once in one process, all fields keyed: {given.captures} of {slots.SLOTS_MAX} slots, "
        f"{each_kb:.1f} KB of resident memory each, of it {slots.SLOT_BYTES} bytes locked.",
    ]
    keep(
        "tokenize",
        lines,
        f"python -m bench.tokenize --n {given.n} --captures {given.captures}",
        given.out,
        package="cde",
    )
    if given.json:
        print(json.dumps({"rows": found, "captures": given.captures, "each_kb": each_kb}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
