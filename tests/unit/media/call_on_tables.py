"""A call on the shard's tables and its two phones, for tests of the session: no socket, a clock by hand."""

import struct
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from dtmf_shield.account_data import slots as slot_layout
from dtmf_shield.media.codecs.g711 import decode_alaw, decode_ulaw, encode_alaw, encode_ulaw
from dtmf_shield.media.codecs.g722 import G722_STATE_DTYPE, decode_g722, encode_g722
from dtmf_shield.media.masker import MODE_GUARD
from dtmf_shield.media.recorder import make_tap_ring
from dtmf_shield.media.session.commands import (
    COMMAND_ARM,
    COMMAND_DTYPE,
    COMMAND_OPEN,
    COMMAND_SHIELD,
    COMMAND_STREAM,
    apply_command,
)
from dtmf_shield.media.session.ears import make_ears
from dtmf_shield.media.session.legs import (
    DIRECTION_SENDRECV,
    EVENT_CELLS,
    make_tables,
)
from dtmf_shield.media.session.receive import receive_packet

MS = 1_000_000
CALLER, AGENT = 0, 1
EVENT_TYPE = 101
CODECS = ("PCMU", "PCMA", "G722")
"""By the number that the shard knows them by."""
PAYLOAD_TYPES = {"PCMU": 0, "PCMA": 8, "G722": 9}
TONES = dict(
    zip(
        "123A456B789C*0#D",
        [(r, c) for r in (697, 770, 852, 941) for c in (1209, 1336, 1477, 1633)],
        strict=True,
    )
)
SPEECH_HZ = (310.0, 440.0, 620.0)


def tone(key: str, n: int, start: int = 0, peak: float = 6000.0, rate_hz: int = 8000) -> np.ndarray:
    """Return n samples of a key's two tones at -10 dBm0 or so."""
    row, column = TONES[key]
    t = (start + np.arange(n)) / rate_hz
    return (peak * (np.sin(2 * np.pi * row * t) + np.sin(2 * np.pi * column * t)) / 2).astype(np.int16)


def talk(n: int, start: int = 0, rate_hz: int = 8000) -> np.ndarray:
    """Return n samples of a chord that is no key."""
    t = (start + np.arange(n)) / rate_hz
    return (2000 * sum(np.sin(2 * np.pi * hz * t) for hz in SPEECH_HZ)).astype(np.int16)


def tone_share(samples: np.ndarray, key: str) -> float:
    """Return the largest share of energy at a key's two tones in any 5 ms, 0..1, over -50 dBm0."""
    worst = 0.0
    basis = np.exp(-2j * np.pi * np.outer(np.arange(40) / 8000, TONES[key]))
    for at in range(0, len(samples) - 40, 20):
        part = samples[at : at + 40].astype(float)
        energy = float(part @ part)
        if energy > 40 * 200.0**2:
            worst = max(worst, float(np.sum(np.abs(part @ basis) ** 2)) / (20 * energy))
    return worst


@dataclass
class Sent:
    marker: int
    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes

    @property
    def n(self) -> int:
        return len(self.payload)


class Phone:
    """One side's sender: its own sequence, timestamp and source."""

    def __init__(self, call: "Call", leg: int, ssrc: int) -> None:
        self.call, self.leg, self.ssrc = call, leg, ssrc
        self.sequence, self.timestamp = 65_533, 2**32 - 400
        self.codec, self.payload_type = "PCMU", 0
        self.encoder = np.zeros(1, G722_STATE_DTYPE)

    def packet(
        self, payload: bytes, *, payload_type=None, timestamp=None, sequence=None, marker=0, first=0x80
    ) -> bytes:
        if sequence is None:
            sequence, self.sequence = self.sequence, (self.sequence + 1) % 65536
        payload_type = self.payload_type if payload_type is None else payload_type
        timestamp = self.timestamp if timestamp is None else timestamp
        return (
            struct.pack("!BBHII", first, marker << 7 | payload_type, sequence, timestamp % 2**32, self.ssrc)
            + payload
        )

    def encoded(self, samples: np.ndarray) -> bytes:
        codes = np.zeros(len(samples) // self.samples_a_tick, np.uint8)
        if self.codec == "G722":
            encode_g722(self.encoder, 0, samples.astype(np.int16), codes)
            return codes.tobytes()
        (encode_ulaw if self.codec == "PCMU" else encode_alaw)(samples.astype(np.int16), codes)
        return codes.tobytes()

    @property
    def samples_a_tick(self) -> int:
        return 2 if self.codec == "G722" else 1

    def say(self, samples: np.ndarray, n: int = 160, *, lose=()) -> list[Sent]:
        """Send samples as packets of n ticks, one every n ticks; leave out those whose place is in `lose`."""
        sent = []
        n_samples = n * self.samples_a_tick
        for place, at in enumerate(range(0, len(samples), n_samples)):
            data = self.packet(self.encoded(samples[at : at + n_samples]))
            self.timestamp += n
            self.call.wait(n)
            if place not in lose:
                sent += self.call.receive(self.leg, data)
        return sent

    def event(self, code: int, start: int, duration: int, *, end=False, **fields) -> list[Sent]:
        payload = struct.pack("!BBH", code, 0x80 * end | 10, duration)
        data = self.packet(payload, payload_type=EVENT_TYPE, timestamp=start, **fields)
        return self.call.receive(self.leg, data)

    def press(self, code: int, frames: int = 5) -> list[Sent]:
        """Press a key by events in place of audio, ends sent three times in a burst."""
        sent, start = [], self.timestamp
        for frame in range(frames):
            self.call.wait(160)
            sent += self.event(code, start, 160 * (frame + 1), marker=int(frame == 0))
        for _ in range(3):
            sent += self.event(code, start, 160 * frames, end=True)
        self.timestamp += 160 * frames
        return sent


class Call:
    """Row 1 of a small table, opened, with both streams agreed."""

    def __init__(self, mode: int = MODE_GUARD, codecs=("PCMU", "PCMU"), star_codes=("*1",)) -> None:
        self.slots = np.zeros(slot_layout.REGION_BYTES, np.uint8)
        self.tables = make_tables(2, star_codes, self.slots, make_tap_ring(64), np.zeros)
        self.ears = make_ears(np.zeros)
        self.now_ns = 10**12
        self.caller, self.agent = Phone(self, CALLER, 0xAAAA), Phone(self, AGENT, 0xBBBB)
        self.command(COMMAND_OPEN, CALLER, [0x11111111, 100, 5000, 0x22222222, 65_530, 2**32 - 320])
        for phone, codec in zip((self.caller, self.agent), codecs, strict=True):
            self.stream(phone, codec=codec)
            self.command(COMMAND_SHIELD, phone.leg, [mode])
        self.events()

    def command(self, kind: int, leg: int = CALLER, numbers=(), generation: int = 9) -> None:
        record = np.zeros(1, COMMAND_DTYPE)
        record[0]["kind"], record[0]["leg"], record[0]["generation"] = kind, 2 + leg, generation
        record[0]["numbers"][: len(numbers)] = numbers
        apply_command(self.tables, self.ears, record[0], self.now_ns)

    def stream(self, phone: Phone, direction: int = DIRECTION_SENDRECV, codec: str = "") -> None:
        """Agree on a stream, over another codec if one is named."""
        if codec:
            phone.codec, phone.payload_type = codec, PAYLOAD_TYPES[codec]
        numbers = [4, 16, CODECS.index(phone.codec), phone.payload_type, EVENT_TYPE, 160, direction]
        self.command(COMMAND_STREAM, phone.leg, numbers)

    def wait(self, n_samples: int) -> None:
        self.now_ns += n_samples * 125_000

    def receive(self, leg: int, data: bytes) -> list[Sent]:
        self.tables.packet[: len(data)] = np.frombuffer(data, np.uint8)
        count = receive_packet(self.tables, self.ears, 2 + leg, len(data), self.now_ns, self.now_ns)
        sent = []
        for k in range(count):
            packet = self.tables.out[k, : self.tables.out_bytes[k]].tobytes()
            _, second, *numbers = struct.unpack("!BBHII", packet[:12])
            sent.append(Sent(second >> 7, second & 127, *numbers, packet[12:]))
        return sent

    def events(self) -> list[tuple[int, ...]]:
        """Return (kind, row, generation, side, numbers...) of the records posted since last asked."""
        heads = self.tables.event_heads
        records = [self.tables.events[at % EVENT_CELLS].tolist() for at in range(heads[1], heads[0])]
        heads[1] = heads[0]
        return [(r[0], r[1], r[2], r[7], *r[3:7]) for r in records]

    def arm(self, slot: int = 5, generation: int = 77, leg: int = CALLER) -> None:
        base = slot * slot_layout.SLOT_BYTES
        self.slots[base : base + 4] = np.frombuffer(struct.pack("<I", generation), np.uint8)
        self.slots[base + slot_layout.STATE_AT] = slot_layout.STATE_ARMED
        self.command(COMMAND_ARM, leg, [slot, generation])

    def keys(self, slot: int = 5) -> str:
        base = slot * slot_layout.SLOT_BYTES
        head = int(self.slots[base + slot_layout.HEAD_AT])
        ring = self.slots[base + slot_layout.RING_AT : base + slot_layout.RING_AT + head]
        return ring.tobytes().decode()

    def statistics(self, leg: int) -> np.record:
        return self.tables.legs.view(np.recarray)[2 + leg]


def decoded(sent: list[Sent], codec: str = "PCMU") -> np.ndarray:
    codes = np.frombuffer(b"".join(packet.payload for packet in sent), np.uint8)
    if codec == "G722":
        samples = np.zeros(2 * len(codes), np.int16)
        decode_g722(np.zeros(1, G722_STATE_DTYPE), 0, codes, samples)
        return samples
    samples = np.zeros(len(codes), np.int16)
    (decode_ulaw if codec == "PCMU" else decode_alaw)(codes, samples)
    return samples


def assert_unbroken(sent: list[Sent]) -> None:
    for before, after in pairwise(sent):
        assert after.sequence == (before.sequence + 1) % 65536
        assert after.timestamp == (before.timestamp + before.n) % 2**32
        assert after.ssrc == before.ssrc
