"""What a caller's telephone sends: a voice with keys, as µ-law audio or as RTP with telephone events in a pcap file.

Keys are synthesised by tests/vectors, speech is the test phone's; RTP by RFC 3550 section 5.1, events by RFC 4733
section 2.3, files by the classic pcap format. It sends nothing: SIPp plays these files.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from dtmf_shield.media.codecs.g711 import ALAW_ENCODE, ULAW_DECODE, ULAW_ENCODE
from tests.vectors.dtmf_signal import Recipe, tone_pair
from tests.vectors.spandsp_g722 import SpandspG722

SAMPLES_PER_MS = 8
PACKET_SAMPLES = 160
EVENT_PAYLOAD_TYPE = 101
EVENT_KEYS = "0123456789*#ABCD"
END_PACKETS = 3
TONE_MS, GAP_MS = 80, 80
VOICE_START_MS = 8_000
"""The voice around keys is another passage than the one a call begins with, so that it can be found again."""
SPEECH_FILE = Path(__file__).parents[2] / "dtmf_shield" / "phone" / "speech" / "caller.ul"


@dataclass(frozen=True)
class Utterance:
    """A stretch of a call: speech for ``speech_ms``, then ``keys`` one by one."""

    keys: str
    speech_ms: int = 400


def speech(milliseconds: int, start_ms: int = 0) -> NDArray[np.int16]:
    """Return the caller's voice from ``start_ms`` on, int16 at 8 kHz, without its pauses of dead silence."""
    codes = np.frombuffer(SPEECH_FILE.read_bytes(), np.uint8)
    voice = ULAW_DECODE[codes]
    loud = voice.reshape(-1, PACKET_SAMPLES * 2) if len(voice) % 320 == 0 else _whole(voice, 320)
    voice = loud[np.sqrt(np.mean(loud.astype(np.float64) ** 2, axis=1)) > 100].reshape(-1)
    index = start_ms * SAMPLES_PER_MS + np.arange(milliseconds * SAMPLES_PER_MS)
    return np.asarray(voice[index % len(voice)], np.int16)


def _whole(samples: NDArray[np.int16], row: int) -> NDArray[np.int16]:
    return samples[: len(samples) // row * row].reshape(-1, row)


def spoken_keys(utterances: Sequence[Utterance], *, seed: int, closing_ms: int = 1_000) -> NDArray[np.int16]:
    """Return the whole stretch as a telephone would send it: voice, tones of 80 ms with gaps of 80 ms, voice."""
    rng = np.random.default_rng(seed)
    recipe = Recipe(level_dbm0=-9.0)
    parts: list[NDArray[np.float64]] = []
    spoken_ms = VOICE_START_MS + seed * 977
    for utterance in utterances:
        parts.append(speech(utterance.speech_ms, spoken_ms).astype(np.float64))
        spoken_ms += utterance.speech_ms
        for key in utterance.keys:
            parts.append(tone_pair(key, TONE_MS * SAMPLES_PER_MS, recipe, rng))
            parts.append(np.zeros(GAP_MS * SAMPLES_PER_MS))
    parts.append(speech(closing_ms, spoken_ms).astype(np.float64))
    whole = np.concatenate(parts)
    padded = np.concatenate([whole, np.zeros(-len(whole) % PACKET_SAMPLES)])
    return np.clip(np.round(padded), -32_768, 32_767).astype(np.int16)


def key_places(utterances: Sequence[Utterance]) -> list[tuple[str, int, int]]:
    """Return each key with its first and last sample in what ``spoken_keys`` returns."""
    places, at = [], 0
    for utterance in utterances:
        at += utterance.speech_ms * SAMPLES_PER_MS
        for key in utterance.keys:
            places.append((key, at, at + TONE_MS * SAMPLES_PER_MS))
            at += (TONE_MS + GAP_MS) * SAMPLES_PER_MS
    return places


def write_ulaw(path: Path, pcm: NDArray[np.int16]) -> Path:
    """Write ``pcm`` as headerless µ-law."""
    path.write_bytes(_coded(pcm, 0))
    return path


def write_alaw(path: Path, pcm: NDArray[np.int16]) -> Path:
    """Write ``pcm`` as headerless A-law."""
    path.write_bytes(_coded(pcm, 8))
    return path


def _coded(pcm: NDArray[np.int16], payload_type: int) -> bytes:
    """Return codes by static payload type: 0 is PCMU, 8 is PCMA, 9 is G722, coded by libspandsp at 16 kHz."""
    if payload_type == 9:
        wide = np.clip(np.round(signal.resample_poly(pcm.astype(np.float64), 2, 1)), -32_768, 32_767)
        return SpandspG722().encode(wide.astype(np.int16)).tobytes()
    table = {0: ULAW_ENCODE, 8: ALAW_ENCODE}[payload_type]
    return table[pcm.astype(np.int64) + 32_768].astype(np.uint8).tobytes()


def write_speech_pcap(path: Path, milliseconds: int, *, ssrc: int) -> Path:
    """Write RTP of the caller's voice alone."""
    return _write(path, _Rtp(ssrc).talk(speech(milliseconds)).packets)


def write_audio_pcap(
    path: Path,
    pcm: NDArray[np.int16],
    *,
    ssrc: int,
    payload_type: int = 0,
    ptime_ms: int = 20,
    new_source_at: Sequence[int] = (),
) -> Path:
    """Write RTP of ``pcm`` in packets of ``ptime_ms``; at each sample of ``new_source_at`` another source goes on.

    A new source comes with another SSRC, sequence number and timestamp (RFC 3550 section 8). What is left after the
    last whole packet is not sent.
    """
    rtp = _Rtp(ssrc, payload_type, ptime_ms)
    cuts = [0, *new_source_at, len(pcm)]
    for number, (start, end) in enumerate(itertools.pairwise(cuts)):
        if number:
            rtp.change_source(number)
        rtp.talk(pcm[start:end])
    return _write(path, rtp.packets)


def write_key_pcap(
    path: Path, utterances: Sequence[Utterance], *, ssrc: int, seed: int, closing_ms: int = 1_000
) -> Path:
    """Write RTP of voice, with each key a telephone event of 80 ms and three end packets."""
    rtp = _Rtp(ssrc)
    spoken_ms = seed * 977
    for utterance in utterances:
        rtp.talk(speech(utterance.speech_ms, spoken_ms))
        spoken_ms += utterance.speech_ms
        for key in utterance.keys:
            rtp.press(key).talk(np.zeros(GAP_MS * SAMPLES_PER_MS, np.int16))
    rtp.talk(speech(closing_ms, spoken_ms))
    return _write(path, rtp.packets)


class _Rtp:
    """One sender's packets with their times, in microseconds from the first."""

    def __init__(self, ssrc: int, payload_type: int = 0, ptime_ms: int = 20) -> None:
        self.packets: list[tuple[int, bytes]] = []
        self._ssrc, self._sequence, self._timestamp, self._at_us = ssrc, ssrc & 0x3FFF, ssrc & 0xFFFF, 0
        self._payload_type, self._packet_samples = payload_type, ptime_ms * SAMPLES_PER_MS

    def change_source(self, number: int) -> None:
        """Go on as another source."""
        self._ssrc += 1
        self._sequence = (self._sequence + 20_011 * number) & 0xFFFF
        self._timestamp = (self._timestamp + 1_000_000_007 * number) & 0xFFFFFFFF

    def talk(self, pcm: NDArray[np.int16]) -> _Rtp:
        codes, size = _coded(pcm, self._payload_type), self._packet_samples
        for start in range(0, len(codes) // size * size, size):
            self._send(
                self._payload_type, self._timestamp, codes[start : start + size], marker=not self.packets
            )
        return self

    def press(self, key: str) -> _Rtp:
        """Send one event: its timestamp is that of its start throughout (RFC 4733 section 2.5.1.2)."""
        began, updates = self._timestamp, TONE_MS // 20
        for number in range(1, updates + END_PACKETS):
            ending = number >= updates
            duration = PACKET_SAMPLES * min(number, updates)
            payload = struct.pack("!BBH", EVENT_KEYS.index(key), (ending << 7) | 10, duration)
            self._send(EVENT_PAYLOAD_TYPE, began, payload, marker=number == 1)
        return self

    def _send(self, payload_type: int, timestamp: int, payload: bytes, *, marker: bool) -> None:
        header = struct.pack(
            "!BBHII", 0x80, (marker << 7) | payload_type, self._sequence, timestamp, self._ssrc
        )
        self.packets.append((self._at_us, header + payload))
        self._sequence = (self._sequence + 1) & 0xFFFF
        self._timestamp = (self._timestamp + self._packet_samples) & 0xFFFFFFFF
        self._at_us += self._packet_samples * 1_000 // SAMPLES_PER_MS


def _write(path: Path, packets: Sequence[tuple[int, bytes]]) -> Path:
    """Write packets as UDP in IPv4 in Ethernet; SIPp puts its own addresses and ports in their place."""
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, 1))
        for at_us, payload in packets:
            udp = struct.pack("!HHHH", 6000, 6000, 8 + len(payload), 0) + payload
            ip = struct.pack(
                "!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, b"\x7f\0\0\1", b"\x7f\0\0\1"
            )
            frame = bytes(12) + b"\x08\x00" + ip + udp
            file.write(struct.pack("<IIII", at_us // 1_000_000, at_us % 1_000_000, len(frame), len(frame)))
            file.write(frame)
    return path
