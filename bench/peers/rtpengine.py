"""rtpengine as a real process between two RTP sockets: what the agent gets, and how late. Debian: rtpengine-daemon.

Each stream is a call of its own in each setting, all through one process (no kernel module). Every packet is A-law,
20 ms; a low noise runs through the call, so each packet sent is unlike any other and is found again in what the agent
gets, whatever sequence numbers and timestamps say. It does not judge what a listener could make of a leak.
"""

import shutil
import socket
import struct
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

PACKET_SAMPLES = 160
PACKET_S = 0.02
ALIKE_SHARE_MIN = (
    0.9  # of the packets found again, those that agree on one shift; else the call is not judged
)
PAYLOAD_PCMA = 8
SILENCE = b"\xd5"  # A-law
HEADER_BYTES = 12
_START_TIME_MAX_S = 5.0
_TAIL_S = 0.5
BLOCK: dict[str, object] = {"DTMF-security": "silence"}
SETTINGS: dict[str, dict[str, object] | None] = {
    "relay": None,
    "block DTMF": BLOCK,
    **{f"block DTMF, delay-buffer {ms}": {**BLOCK, "delay-buffer": ms} for ms in (20, 40, 60, 100)},
}
Bencoded = str | int | list["Bencoded"] | dict[str, "Bencoded"]


@dataclass(slots=True)
class Call:
    """One call: its setting's name, what is sent, the two phones' sockets, where to send, and what the agent got."""

    name: str
    sent: bytes
    caller: socket.socket
    agent: socket.socket
    target: tuple[str, int] = ("127.0.0.1", 0)
    payloads: list[bytes] = field(default_factory=list)
    arrived_s: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Passed:
    """What the agent got of one call, A-law bytes in the place of those sent; the median delay; packets got, sent.

    `alaw` is empty where packets of the agent's could not be put in place.
    """

    name: str
    alaw: bytes
    delay_ms: float
    packets: int
    sent: int


def is_installed() -> bool:
    """Tell whether the program is there."""
    return shutil.which("rtpengine") is not None


def bencode(value: object) -> bytes:
    """Encode for the ng protocol."""
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, str):
        return b"%d:%s" % (len(value.encode()), value.encode())
    if isinstance(value, list):
        return b"l" + b"".join(map(bencode, value)) + b"e"
    if isinstance(value, dict):
        return b"d" + b"".join(bencode(k) + bencode(v) for k, v in sorted(value.items())) + b"e"
    raise TypeError(type(value))


class Control:
    """The ng protocol: one datagram a command, one back."""

    def __init__(self, port: int) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.connect(("127.0.0.1", port))
        self._socket.settimeout(1.0)
        self._cookie = 0

    def command(self, name: str, **values: object) -> bytes:
        """Send a command ; return the answer still encoded. Raises OSError on silence."""
        self._cookie += 1
        message = {"command": name, **values}
        self._socket.send(b"%d " % self._cookie + bencode(message))
        answer = self._socket.recv(65_536)
        if b"6:result5:error" in answer:
            raise RuntimeError(f"rtpengine refused {name}: {answer!r}")
        return answer


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextmanager
def running() -> Iterator[Control]:
    """Run the process on loopback; end it with the block."""
    port = _free_port()
    arguments = ["--config-file=none", "--table=-1", "--interface=127.0.0.1", f"--listen-ng=127.0.0.1:{port}"]
    arguments += ["--port-min=40000", "--port-max=44000", "--num-threads=1", "--foreground", "--log-stderr"]
    process = subprocess.Popen(
        ["rtpengine", *arguments, "--log-level=3", "--no-fallback"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        control, until_s = Control(port), time.monotonic() + _START_TIME_MAX_S
        while True:
            try:
                control.command("ping")
                break
            except OSError:
                if time.monotonic() > until_s or process.poll() is not None:
                    raise
                time.sleep(0.1)  # not listening yet
        yield control
    finally:
        process.terminate()
        process.wait(timeout=10)


def _sdp(port: int) -> str:
    lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "c=IN IP4 127.0.0.1", "t=0 0"]
    lines += [f"m=audio {port} RTP/AVP {PAYLOAD_PCMA}", "a=rtpmap:8 PCMA/8000", "a=sendrecv"]
    return "\r\n".join(lines) + "\r\n"


def _port_in(answer: bytes) -> int:
    return int(answer.split(b"m=audio ")[1].split()[0])


def _set_up(control: Control, name: str, index: int, sent: bytes) -> Call:
    """Offer, answer, and block DTMF of the caller where the setting says so."""
    caller, agent = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    call = Call(name, sent, caller, agent)
    for sock in (call.caller, call.agent):
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)
    call_id = f"{name} {index}"
    common = {"call-id": call_id, "from-tag": "caller", "flags": ["trust-address"], "rtcp-mux": ["remove"]}
    common["replace"] = ["origin", "session-connection"]
    control.command("offer", **common, sdp=_sdp(call.caller.getsockname()[1]))
    answer = control.command(
        "answer", **common, **{"to-tag": "agent", "sdp": _sdp(call.agent.getsockname()[1])}
    )
    call.target = ("127.0.0.1", _port_in(answer))
    setting = SETTINGS[name]
    if setting is not None:
        control.command("block DTMF", **{"call-id": call_id, "from-tag": "caller"}, **setting)
    return call


def _collect(calls: list[Call]) -> None:
    for call in calls:
        while True:
            try:
                packet = call.agent.recv(2_048)
            except BlockingIOError:
                break
            call.arrived_s.append(time.monotonic())
            call.payloads.append(packet[HEADER_BYTES:])


def _send_all(calls: list[Call]) -> list[float]:
    """Send every call's bytes at 20 ms a packet; return when each round of packets left."""
    left_s = []
    began_s = time.monotonic()
    for number in range(len(calls[0].sent) // PACKET_SAMPLES):
        part = slice(number * PACKET_SAMPLES, (number + 1) * PACKET_SAMPLES)
        while time.monotonic() < began_s + number * PACKET_S:
            _collect(calls)
            time.sleep(0.0005)  # packets leave on time and are read as they come
        left_s.append(time.monotonic())
        for index, call in enumerate(calls):
            header = struct.pack(
                "!BBHII", 0x80, PAYLOAD_PCMA, number, number * PACKET_SAMPLES, 0x1000 + index
            )
            call.caller.sendto(header + call.sent[part], call.target)
    until_s = time.monotonic() + _TAIL_S
    while time.monotonic() < until_s:
        _collect(calls)
        time.sleep(0.0005)  # what its delay buffer still holds
    return left_s


def _passed(call: Call, left_s: list[float]) -> Passed:
    """Put the packets the agent got in their place by those that passed whole."""
    n = len(left_s)
    places = {call.sent[i * PACKET_SAMPLES : (i + 1) * PACKET_SAMPLES]: i for i in range(n)}
    found = [(places[payload], got) for got, payload in enumerate(call.payloads) if payload in places]
    if not found:
        return Passed(call.name, b"", float("nan"), len(call.payloads), n)
    shifts = Counter(place - got for place, got in found)
    shift, agreeing = shifts.most_common(1)[0]
    delay_ms = 1_000 * float(np.median([call.arrived_s[got] - left_s[place] for place, got in found]))
    if agreeing < ALIKE_SHARE_MIN * len(found):
        return Passed(call.name, b"", delay_ms, len(call.payloads), n)
    audio = bytearray(SILENCE * len(call.sent))
    for got, payload in enumerate(call.payloads):
        if 0 <= got + shift < n and len(payload) == PACKET_SAMPLES:
            audio[(got + shift) * PACKET_SAMPLES : (got + shift + 1) * PACKET_SAMPLES] = payload
    return Passed(call.name, bytes(audio), delay_ms, len(call.payloads), n)


def measure(streams: list[NDArray[np.uint8]]) -> tuple[dict[str, list[Passed]], float]:
    """Send A-law streams of one length, each through every setting, all at once; takes as long as the audio.

    Returns by setting what passed of each stream, and by how many ms the latest round of packets left late: a late
    sender spoils what others are scored by.
    """
    whole = min(map(len, streams)) // PACKET_SAMPLES * PACKET_SAMPLES
    with running() as control:
        calls = [
            _set_up(control, name, index, stream[:whole].tobytes())
            for name in SETTINGS
            for index, stream in enumerate(streams)
        ]
        try:
            left_s = _send_all(calls)
        finally:
            for call in calls:
                call.caller.close()
                call.agent.close()
    due_s = left_s[0] + np.arange(len(left_s)) * PACKET_S
    late_ms = 1_000 * float((np.array(left_s) - due_s).max())
    found: dict[str, list[Passed]] = {name: [] for name in SETTINGS}
    for call in calls:
        found[call.name].append(_passed(call, left_s))
    return found, late_ms
