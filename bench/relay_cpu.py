"""Claim: a shielded packet costs little more than a bare one. Prints CPU a packet of the shard's thread, over loopback.

Usage: python -m bench.relay_cpu [--calls 10] [--seconds 3]. The peer is the same loop without a shield: receive, send
on. CPU is the thread's own, from /proc/self/task/TID/schedstat; loopback charges delivery to the sender, for both
alike. Runs alternate, all are printed; on a busy machine trust the ratio alone. A stay is a packet's from its arrival
at the socket to the sending of its successor, by the shard's own count (median of the runs).
"""

import argparse
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.result import keep, parser
from dtmf_shield.account_data.slots import REGION_BYTES
from dtmf_shield.media.codecs.g711 import encode_ulaw
from dtmf_shield.media.io.libc import MSG_DONTWAIT, MSG_NOSIGNAL, c_epoll_wait, c_sendto
from dtmf_shield.media.io.reception import receive_datagram
from dtmf_shield.media.io.shard import (
    CONTROL_STOP,
    EPOLL_BATCH,
    Shard,
    Wires,
    pack_address,
)
from dtmf_shield.media.masker import MODE_CAPTURE, MODE_GUARD
from dtmf_shield.media.recorder import make_tap_ring
from dtmf_shield.media.rtp.kernel import kernel
from dtmf_shield.media.session import commands
from dtmf_shield.media.session.ears import make_ears
from dtmf_shield.media.session.legs import Tables, make_tables
from dtmf_shield.model.media_health import MediaThread
from dtmf_shield.service.sockets import SO_TIMESTAMPNS

ROUNDS = 3
FRAME_S = 0.02


@kernel
def run_bare(tables: Tables, wires: Wires) -> None:
    """Receive and send on to the other leg's phone, as the shard does, with nothing in between."""
    while wires.control[CONTROL_STOP] == 0:
        n_ready = c_epoll_wait(wires.epoll_fd, wires.ready.ctypes.data, EPOLL_BATCH, 50)
        for at in range(n_ready):
            data = np.int64(wires.ready[at].data)
            if data >= len(wires.sockets):
                continue
            size = receive_datagram(wires.reception, wires.sockets[data])
            if size > 0:
                index = (data >> 1) ^ 1
                c_sendto(
                    wires.sockets[2 * index],
                    tables.packet.ctypes.data,
                    size,
                    MSG_DONTWAIT | MSG_NOSIGNAL,
                    tables.addresses[index].ctypes.data,
                    16,
                )


@dataclass
class Result:
    """One run."""

    us_a_packet: float
    sent: int
    received: int
    stay: MediaThread


def udp() -> socket.socket:
    """Return a bound socket that never waits."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.setblocking(False)
    return sock


def payloads(n: int) -> list[bytes]:
    """Return `n` frames of speech-like sound: a gliding chord, never a key."""
    t = np.arange(160 * n) / 8000
    glide = 2 * np.pi * (300 + 100 * np.sin(2 * np.pi * 0.5 * t)) * t
    pcm = (3000 * (np.sin(glide) + np.sin(2.1 * glide) + np.sin(3.7 * glide))).astype(np.int16)
    codes = np.zeros(160 * n, np.uint8)
    encode_ulaw(pcm, codes)
    return [codes[at : at + 160].tobytes() for at in range(0, 160 * n, 160)]


def cpu_ns(thread_id: int) -> int:
    """Return the CPU time of a thread of ours."""
    return int(Path(f"/proc/self/task/{thread_id}/schedstat").read_text().split()[0])


def prepare(
    n_calls: int, mode: int | None
) -> tuple[Shard, Tables, list[socket.socket], list[tuple[str, int]]]:
    """Return a shard with `n_calls` open calls, their phones and the addresses these send to."""
    tables = make_tables(n_calls, (), np.zeros(REGION_BYTES, np.uint8), make_tap_ring(4), np.zeros)
    shard = Shard(tables, make_ears(np.zeros))
    phones, targets = [], []
    for index in range(2 * n_calls):
        phone, ours = udp(), udp()
        phones.append(phone)
        targets.append(ours.getsockname())
        ours.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        shard.add_socket(2 * index, ours.detach())
        address = pack_address(*phone.getsockname())
        tables.addresses[index, : len(address)] = np.frombuffer(address, np.uint8)
        if mode is not None:
            if index % 2 == 0:
                shard.commands.post(commands.COMMAND_OPEN, index, 1, (1, 1, 1, 2, 1, 1))
            numbers = (2 * index, 16, 0, 0, 101, 160, 0)
            shard.commands.post(commands.COMMAND_STREAM, index, 1, numbers, address)
            shard.commands.post(commands.COMMAND_SHIELD, index, 1, (mode,))
    return shard, tables, phones, targets


def play(phones: list[socket.socket], targets: list[tuple[str, int]], seconds: float) -> tuple[int, int]:
    """Let every phone talk for `seconds` at 20 ms a packet; return packets sent and received."""
    frames = payloads(100)
    sent = received = 0
    next_s = time.monotonic()
    for tick in range(int(seconds / FRAME_S)):
        packet = struct.pack("!BBHII", 0x80, 0, tick, 160 * tick, 7) + frames[tick % 100]
        for phone, target in zip(phones, targets, strict=True):
            phone.sendto(packet, target)
            sent += 1
        next_s += FRAME_S
        time.sleep(max(0.0, next_s - time.monotonic()))  # the pace of real phones
        for phone in phones:
            try:
                while phone.recv(2000):
                    received += 1
            except BlockingIOError:
                pass
    return sent, received


def measure(
    n_calls: int, seconds: float, mode: int | None, loop: Callable[[Tables, Wires], None] | None
) -> Result:
    """Run once: the shard in `mode`, or the bare loop."""
    shard, tables, phones, targets = prepare(n_calls, mode)
    if loop is None:
        shard.compile()
        thread = shard._thread
    else:
        shard._wires.control[CONTROL_STOP] = 1
        loop(tables, shard._wires)
        shard._wires.control[CONTROL_STOP] = 0
        thread = threading.Thread(target=loop, args=(tables, shard._wires), daemon=True)
    thread.start()
    time.sleep(0.2)  # the loop stands in epoll before it is measured
    before = cpu_ns(thread.native_id or 0)
    sent, received = play(phones, targets, seconds)
    used = cpu_ns(thread.native_id or 0) - before
    shard._wires.control[CONTROL_STOP] = 1
    thread.join()
    for phone in phones:
        phone.close()
    return Result(used / 1000 / max(received, 1), sent, received, shard.health())


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    found = parser("relay_cpu", __doc__ or "", n=ROUNDS)
    found.add_argument("--calls", type=int, default=10)
    found.add_argument(
        "--seconds", type=float, default=3.0, help="of talk a run; --n counts the runs of each"
    )
    return found.parse_args()


def main() -> int:
    """Measure the three in turn."""
    given = arguments()
    kinds = {
        "bare loop": (None, run_bare),
        "shield, guard": (MODE_GUARD, None),
        "shield, capture": (MODE_CAPTURE, None),
    }
    results: dict[str, list[Result]] = {name: [] for name in kinds}
    for _ in range(given.n):
        for name, (mode, loop) in kinds.items():
            results[name].append(measure(given.calls, given.seconds, mode, loop))
    lines = ["# CPU of a shielded packet beside a bare one", ""]
    lines += [
        f"{given.calls} calls, both sides talking, {given.seconds:g} s a run, {given.n} runs each, 20 ms PCMU.",
        "",
    ]
    lines += ["| loop | µs a packet, median (runs) | x bare | not back in time | stay p50 | stay p99 |"]
    lines += [f"|{'---|' * 6}"]
    bare = float(np.median([result.us_a_packet for result in results["bare loop"]]))
    for name, runs in results.items():
        median = float(np.median([result.us_a_packet for result in runs]))
        each = ", ".join(f"{result.us_a_packet:.1f}" for result in runs)
        late = sum(result.sent - result.received for result in runs)
        stays = " | ".join(
            f"{np.median([getattr(result.stay, field) for result in runs]):.0f} µs"
            if runs[0].stay.packets
            else "-"
            for field in ("stay_us_p50", "stay_us_p99")
        )
        lines.append(f"| {name} | {median:.1f} ({each}) | {median / bare:.2f} | {late} | {stays} |")
    keep(
        "relay_cpu",
        lines,
        f"python -m bench.relay_cpu --calls {given.calls} --seconds {given.seconds:g}",
        given.out,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
