"""Keystroke scripts rendered to the doors of a trunk and brought over a network that delays, loses and reorders.

Everything comes from one seed. A trunk is honest about its presses, not about its packets: it moves or repeats
timestamps, forgets markers and ends, sends silence between, is late. Losses stay within what RFC 4733's own
redundancy mends: of every press at least one packet arrives.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from dtmf_shield.cde.doors import Door, KeyJoiner
from dtmf_shield.media.masker import NOISE_PEAK
from dtmf_shield.media.session.receive import tick
from tests.unit.media.call_on_tables import CALLER, EVENT_TYPE, MS, Call, Sent, decoded, tone

FRAME = 160
LEAD_MS = 400
KEYS = "0123456789*#ABCD"
LOUD = 2 * NOISE_PEAK + 50
"""A sample over that is no comfort noise, whatever the codec rounds it to."""


@dataclass(frozen=True)
class Press:
    """A key on the caller's clock, in ms. `broken`: nothing for 10 ms in the middle."""

    key: str
    start_ms: int
    held_ms: int
    broken: bool = False

    @property
    def end_ms(self) -> int:
        return self.start_ms + self.held_ms


@dataclass(frozen=True)
class Trunk:
    """What a trunk does with presses."""

    tones: bool = False
    events: bool = False
    info: bool = False
    audio_beside: bool = True
    """Audio packets go on during events: with the tone or with silence."""
    offset_ms: int = 0
    """Onset of the event after that of the tone, on the media clock."""
    detection_ms: int = 0
    """The first event packet comes so long after its onset."""
    update_ms: int = 20
    moving: bool = False
    """Every event packet has a timestamp of its own."""
    end_step: int = 0
    """Ticks by which each repeated end is moved on."""
    end_marker: bool = False
    marker: bool = True
    ends: int = 3
    loss: float = 0.0
    reorder: float = 0.0
    jitter_ms: int = 0
    info_late_s: float = 0.0
    info_at_release: bool = False


@dataclass(order=True)
class Packet:
    """One RTP packet on its way."""

    arrives_ns: int
    order: int
    data: bytes = field(compare=False)


def make_script(
    rng: np.random.Generator, n_keys: int, shortest_ms: int, *, breaks: bool = True
) -> list[Press]:
    """Draw keys, some twice in a row, held 40 ms to 4 s, pauses from 40 ms."""
    presses, at, key = [], LEAD_MS, ""
    for _ in range(n_keys):
        key = key if key and rng.random() < 0.4 else str(rng.choice(list(KEYS)))
        held = int(
            rng.choice([rng.integers(shortest_ms, 120), rng.integers(120, 600), 4000], p=[0.75, 0.22, 0.03])
        )
        broken = breaks and held >= 120 and rng.random() < 0.5
        presses.append(Press(key, at, held, broken))
        at += held + int(rng.integers(shortest_ms, 160))
    return presses


def raw_audio(presses: list[Press], trunk: Trunk) -> np.ndarray:
    """Return what the caller's line carries, int16 at 8 kHz: tones where the trunk has them, else silence."""
    samples = np.zeros((presses[-1].end_ms + 600) // 20 * FRAME, np.int16)
    if trunk.tones:
        for press in presses:
            start, n = press.start_ms * 8, press.held_ms * 8
            samples[start : start + n] = tone(press.key, n)
            if press.broken:
                samples[start + n // 2 : start + n // 2 + 80] = 0
    return samples


def spans(press: Press, trunk: Trunk) -> Iterator[tuple[int, int]]:
    """Yield begin and end in ms of the events a gateway makes of a press: two where it is broken."""
    start, end = press.start_ms + trunk.offset_ms, press.end_ms + trunk.offset_ms
    middle = start + press.held_ms // 2
    yield from [(start, middle), (middle + 10, end)] if press.broken else [(start, end)]


@dataclass(frozen=True)
class Told:
    """One event packet: sent at `at_ms`, of press number `press`."""

    at_ms: float
    press: int
    code: int
    marker: bool
    end: bool
    timestamp_ms: float
    ticks_on: int
    duration: int
    first_end: bool = False


def event_packets(number: int, press: Press, trunk: Trunk) -> list[Told]:
    """Return the packets of a press: updates while it lasts, then the ends."""
    told: list[Told] = []
    code = KEYS.index(press.key)
    for start, end in spans(press, trunk):
        at, first = start + trunk.detection_ms, True
        while at + trunk.update_ms < end:
            at += trunk.update_ms
            stamp = at - trunk.update_ms if trunk.moving else start
            told.append(Told(at, number, code, first and trunk.marker, False, stamp, 0, (at - start) * 8))
            first = False
        at = max(at, end)
        stamp = max(start, at - trunk.update_ms) if trunk.moving else start
        for repeat in range(trunk.ends):
            told.append(
                Told(
                    at + 20 * repeat,
                    number,
                    code,
                    (first and trunk.marker) or trunk.end_marker,
                    True,
                    stamp,
                    trunk.end_step * repeat,
                    (end - start) * 8,
                    repeat == 0,
                )
            )
            first = False
    return told


class Line:
    """The caller's end: all packets of a script in order of arrival."""

    def __init__(self, presses: list[Press], trunk: Trunk, rng: np.random.Generator) -> None:
        self.trunk, self.rng = trunk, rng
        self.audio = raw_audio(presses, trunk)
        self.broken = [press.broken for press in presses]
        told = [packet for n, press in enumerate(presses) for packet in event_packets(n, press, trunk)]
        self.told = sorted(told, key=lambda packet: packet.at_ms) if trunk.events else []
        self.packets = sorted(self._send())

    def _send(self) -> Iterator[Packet]:
        """Number the packets in order of sending, then let the network have them."""
        sending: list[tuple[float, Told | int]] = [(packet.at_ms, packet) for packet in self.told]
        silent = [] if self.trunk.audio_beside or not self.told else self._slots_of_events()
        sending += [(20.0 * (n + 1), n) for n in range(len(self.audio) // FRAME) if n not in silent]
        sending.sort(key=lambda item: item[0])
        kept = self._survivors()
        for sequence, (at_ms, what) in enumerate(sending):
            delay_ms = 30.0 + (self.rng.random() * self.trunk.jitter_ms)
            if isinstance(what, int):
                # Audio keeps its order: a late packet is a lost one, and lost tone is another test's.
                yield Packet(int((at_ms + 30.0) * MS), sequence, self._audio_packet(what, sequence))
            elif id(what) in kept:
                if self.rng.random() < self.trunk.reorder:
                    delay_ms += 25.0
                yield Packet(int((at_ms + delay_ms) * MS), sequence, self._event_packet(what, sequence))

    def _slots_of_events(self) -> set[int]:
        return {
            n for packet in self.told for n in range(int(packet.timestamp_ms // 20), int(packet.at_ms // 20))
        }

    def _survivors(self) -> set[int]:
        """Lose packets, yet never a whole press."""
        kept = {id(packet) for packet in self.told if self.rng.random() >= self.trunk.loss}
        for number in {packet.press for packet in self.told}:
            ours = [packet for packet in self.told if packet.press == number]
            if not any(id(packet) in kept for packet in ours):
                kept.add(id(ours[int(self.rng.integers(len(ours)))]))
            # Without an end nobody can tell how long a break was.
            kept.update(id(packet) for packet in ours if packet.first_end and self.broken[number])
        return kept

    def _audio_packet(self, n: int, sequence: int) -> bytes:
        codes = self.encoder(self.audio[FRAME * n : FRAME * (n + 1)])
        return self._header(0, 0, sequence, FRAME * n) + codes

    def _event_packet(self, told: Told, sequence: int) -> bytes:
        payload = struct.pack("!BBH", told.code, 0x80 * told.end | 10, min(told.duration, 0xFFFF))
        stamp = int(told.timestamp_ms * 8) + told.ticks_on
        return self._header(EVENT_TYPE, told.marker, sequence, stamp) + payload

    def _header(self, payload_type: int, marker: bool | int, sequence: int, timestamp: int) -> bytes:
        second = int(marker) << 7 | payload_type
        return struct.pack(
            "!BBHII", 0x80, second, (65_500 + sequence) % 65536, (2**32 - 5000 + timestamp) % 2**32, 7
        )

    @staticmethod
    def encoder(samples: np.ndarray) -> bytes:
        from dtmf_shield.media.codecs.g711 import encode_ulaw

        codes = np.zeros(len(samples), np.uint8)
        encode_ulaw(samples, codes)
        return codes.tobytes()


@dataclass
class Outcome:
    """What came of a script: the keys media wrote and when, and what the agent got."""

    keys: str
    arrivals_s: list[float]
    sent: list[Sent]

    @property
    def loud_samples(self) -> int:
        """How many samples at the agent's are no comfort noise."""
        return int(np.sum(np.abs(decoded(self.sent).astype(int)) > LOUD))


def play(call: Call, line: Line) -> Outcome:
    """Bring the packets to a call, the clock ticking in between."""
    outcome = Outcome("", [], [])
    call.arm()
    origin = call.now_ns
    for packet in line.packets:
        while call.now_ns + 20 * MS < origin + packet.arrives_ns:
            call.now_ns += 20 * MS
            tick(call.tables, call.ears, call.now_ns)
        call.now_ns = origin + packet.arrives_ns
        outcome.sent += call.receive(CALLER, packet.data)
        keys = call.keys()
        outcome.arrivals_s += [packet.arrives_ns / 1e9] * (len(keys) - len(outcome.keys))
        outcome.keys = keys
    return outcome


def info_arrivals(
    presses: list[Press], trunk: Trunk, rng: np.random.Generator
) -> list[tuple[float, str, float]]:
    """Return (time in s, key, time held in s) of each INFO: in order, late by up to `info_late_s`."""
    arrivals, before = [], 0.0
    for press in presses:
        sent = (press.end_ms if trunk.info_at_release else press.start_ms + 20) / 1000
        before = max(before + 0.001, sent + 0.03 + rng.random() * trunk.info_late_s)
        arrivals.append((before, press.key, press.held_ms / 1000 if trunk.info_at_release else 0.0))
    return arrivals


def joined(outcome: Outcome, infos: list[tuple[float, str, float]]) -> str:
    """Return the keys of a capture to which media and INFO both tell theirs."""
    joiner = KeyJoiner(memoryview(bytearray(16)))
    arrivals = [(at, key, Door.MEDIA, 0.0) for at, key in zip(outcome.arrivals_s, outcome.keys, strict=True)]
    arrivals += [(at, key, Door.INFO, held) for at, key, held in infos]
    arrivals.sort(key=lambda arrival: arrival[0])
    return "".join(key for at, key, door, held in arrivals if joiner.is_new(ord(key), door, at, held))
