"""The test phone's RTP stream, without a socket: speech, keys as tones or telephone events, and what is heard.

RFC 3550 section 5.1 packets of 20 ms, RFC 4733 events with three end packets. No jitter buffer: audio is put where
its timestamp says, so that what was heard is what the network brought. No RTCP, no SRTP.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dtmf_shield.media.rtp.clock import TIMESTAMP_MODULUS, timestamp_distance
from dtmf_shield.media.rtp.packet import HEADER_BYTES, parse_packet, write_header
from dtmf_shield.media.rtp.telephone_event import EVENT_KEY_CODES, EVENT_PAYLOAD_BYTES
from dtmf_shield.phone.audio_coder import AudioCoder
from dtmf_shield.phone.tones import key_tone

PACKET_SAMPLES: Final = 160
PACKET_S: Final = 0.02
EVENT_VOLUME: Final = 10
"""-10 dBm0 (RFC 4733 section 2.3.5)."""
END_PACKETS: Final = 3
HEARD_SAMPLES_MAX: Final = 8000 * 600
"""Ten minutes a call; later audio is counted and not kept."""
PACKETS_LOGGED_MAX: Final = 30_000


@dataclass(frozen=True, slots=True)
class Passage:
    """One audio packet in passing: its first sample's place in the stream (from 0), and when, in seconds."""

    at_sample: int
    at_s: float


@dataclass(slots=True)
class _Event:
    """A telephone event being sent: packets are one a tick, the last three carry the end bit."""

    code: int
    timestamp: int
    packets: int
    sent: int = 0


class PhoneStream:
    """One direction each way of one call. `next_packet` is asked every 20 ms."""

    def __init__(self, *, ssrc: int, sequence: int, timestamp: int) -> None:
        self.payload_type = 0
        self.event_payload_type: int | None = None
        self.events_received: list[int] = []
        """Event code of each packet-distinct telephone event that reached this phone."""
        self.packets_unread = 0
        """Not RTP, or a payload type that was not agreed."""
        self.sent_log: list[Passage] = []
        self.heard_log: list[Passage] = []
        self.on_sent: Callable[[NDArray[np.int16]], None] | None = None
        """Told the audio of each packet sent, before coding, int16 at 8 kHz; that of an event is silence."""
        self.on_heard: Callable[[NDArray[np.int16]], None] | None = None
        """Told the audio of each packet received, in order of arrival, int16 at 8 kHz."""
        self.keeps_audio = True
        """Off: neither `sent` nor `heard` nor a log is kept; the two above are told all the same."""
        self._ssrc, self._sequence, self._timestamp = ssrc, sequence, timestamp
        self._first_packet = True
        self._coder = AudioCoder()
        self._speech: NDArray[np.int16] = np.zeros(0, np.int16)
        self._speech_at = 0
        self._loop = True
        self._overlay: deque[NDArray[np.int16]] = deque()
        self._events: deque[tuple[int, int]] = deque()
        self._event: _Event | None = None
        self._sent: list[NDArray[np.int16]] = []
        self._heard = np.zeros(0, np.int16)
        self._heard_samples = 0
        self._heard_origin: int | None = None
        self._heard_ssrc = -1
        self._last_event = (-1, -1)

    def talk(self, speech: NDArray[np.int16], *, loop: bool = True) -> None:
        """Speak `speech` (int16, 8 kHz) from now on; an empty array is silence."""
        self._speech, self._speech_at, self._loop = speech, 0, loop

    def press_as_tone(self, key: str, duration_ms: int, level_dbm0: float | None = None) -> None:
        """Mix the key's tone into the audio from the next packet on."""
        tone = key_tone(key, duration_ms) if level_dbm0 is None else key_tone(key, duration_ms, level_dbm0)
        padded = np.pad(tone, (0, -len(tone) % PACKET_SAMPLES))
        self._overlay.extend(padded.reshape(-1, PACKET_SAMPLES))

    def press_as_event(self, key: str, duration_ms: int) -> None:
        """Send the key as telephone events from the next packet on. Raises ValueError where none were agreed."""
        if self.event_payload_type is None:
            raise ValueError("the other side takes no telephone events")
        code = int(np.flatnonzero(ord(key) == EVENT_KEY_CODES)[0])
        self._events.append((code, max(duration_ms // 20, 1) + END_PACKETS - 1))

    @property
    def sent(self) -> NDArray[np.int16]:
        """All audio sent, before coding, int16 at 8 kHz; packets that were events count as silence."""
        return np.concatenate([np.zeros(0, np.int16), *self._sent])

    @property
    def heard(self) -> NDArray[np.int16]:
        """All audio received, each packet where its timestamp puts it, int16 at 8 kHz; gaps are silence."""
        return self._heard[: self._heard_samples].copy()

    def next_packet(self, now_s: float) -> bytes:
        """Return the packet of this 20 ms tick."""
        if self._event is None and self._events:
            code, packets = self._events.popleft()
            self._event = _Event(code, self._timestamp, packets)
        audio = self._next_audio()
        is_event = self._event is not None
        if self._event is not None:
            packet = self._event_packet(self._event)
            audio = np.zeros(PACKET_SAMPLES, np.int16)
        else:
            packet = self._audio_packet(audio)
        if self.on_sent is not None:
            self.on_sent(audio)
        if self.keeps_audio:
            self._sent.append(audio)
            if not is_event and len(self.sent_log) < PACKETS_LOGGED_MAX:
                self.sent_log.append(Passage((len(self._sent) - 1) * PACKET_SAMPLES, now_s))
        self._sequence = (self._sequence + 1) & 0xFFFF
        self._timestamp = (self._timestamp + PACKET_SAMPLES) % TIMESTAMP_MODULUS
        self._first_packet = False
        return packet

    def _next_audio(self) -> NDArray[np.int16]:
        audio = np.zeros(PACKET_SAMPLES, np.int64)
        if len(self._speech):
            index = self._speech_at + np.arange(PACKET_SAMPLES)
            if self._loop:
                audio += self._speech[index % len(self._speech)]
            else:
                inside = index < len(self._speech)
                audio[inside] += self._speech[index[inside]]
            self._speech_at += PACKET_SAMPLES
        if self._overlay:
            audio += self._overlay.popleft()
        return np.clip(audio, -32768, 32767).astype(np.int16)

    def _audio_packet(self, audio: NDArray[np.int16]) -> bytes:
        packet = np.zeros(HEADER_BYTES + PACKET_SAMPLES, np.uint8)
        marker = int(self._first_packet)
        write_header(packet, marker, self.payload_type, self._sequence, self._timestamp, self._ssrc)
        packet[HEADER_BYTES:] = self._coder.encode(self.payload_type, audio)
        return packet.tobytes()

    def _event_packet(self, event: _Event) -> bytes:
        """One update of an event. Its timestamp is that of its start throughout (RFC 4733 section 2.5.1.2)."""
        event.sent += 1
        ending = event.sent > event.packets - END_PACKETS
        duration = PACKET_SAMPLES * min(event.sent, event.packets - END_PACKETS + 1)
        packet = np.zeros(HEADER_BYTES + EVENT_PAYLOAD_BYTES, np.uint8)
        payload_type = self.event_payload_type or 0
        write_header(packet, int(event.sent == 1), payload_type, self._sequence, event.timestamp, self._ssrc)
        packet[HEADER_BYTES:] = (event.code, (ending << 7) | EVENT_VOLUME, duration >> 8, duration & 0xFF)
        if event.sent == event.packets:
            self._event = None
        return packet.tobytes()

    def receive(self, data: bytes, now_s: float) -> None:
        """Take one datagram from the other side."""
        packet = np.frombuffer(data, np.uint8)
        header = parse_packet(packet, len(packet))
        if not header.valid:
            self.packets_unread += 1
            return
        payload = packet[header.payload_at : header.payload_at + header.payload_bytes]
        if header.payload_type == self.event_payload_type and header.payload_bytes >= EVENT_PAYLOAD_BYTES:
            if (header.timestamp, int(payload[0])) != self._last_event:
                self._last_event = (header.timestamp, int(payload[0]))
                self.events_received.append(int(payload[0]))
        elif header.payload_type == self.payload_type:
            if header.ssrc != self._heard_ssrc:
                self._coder.new_source()
            audio = self._coder.decode(header.payload_type, payload)
            if self.on_heard is not None:
                self.on_heard(audio)
            if self.keeps_audio:
                self._place(audio, header.ssrc, header.timestamp, now_s)
            self._heard_ssrc = header.ssrc
        else:
            self.packets_unread += 1

    def _place(self, audio: NDArray[np.int16], ssrc: int, timestamp: int, now_s: float) -> None:
        """Put received audio at its timestamp. A new source goes on where the old one ended."""
        if self._heard_origin is None or ssrc != self._heard_ssrc:
            self._heard_origin = (timestamp - self._heard_samples) % TIMESTAMP_MODULUS
            self._heard_ssrc = ssrc
        at = timestamp_distance(timestamp, self._heard_origin)
        end = at + len(audio)
        if at < 0 or end > HEARD_SAMPLES_MAX:
            self.packets_unread += 1
            return
        if end > len(self._heard):
            grown = np.zeros(max(2 * len(self._heard), end, 8000), np.int16)
            grown[: self._heard_samples] = self._heard[: self._heard_samples]
            self._heard = grown
        self._heard[at:end] = audio
        self._heard_samples = max(self._heard_samples, end)
        if len(self.heard_log) < PACKETS_LOGGED_MAX:
            self.heard_log.append(Passage(at, now_s))
