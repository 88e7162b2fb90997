"""The attacker's view of an agent's audio: laid on the clock, aligned with what the caller sent, attacked key by key.

Alignment is by the caller's voice around the keys, which the agent does hear. Where the voice is not found the test
fails: an attack at the wrong places proves nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from dtmf_shield.media.codecs.g711 import ALAW_DECODE, ULAW_DECODE
from dtmf_shield.media.rtp.clock import timestamp_distance
from dtmf_shield.service.witness.independent import HeardKey
from tests.interop.callers import Material
from tests.interop.ears import SAMPLE_RATE_HZ
from tests.interop.key_audio import GAP_MS, SAMPLES_PER_MS
from tests.interop.phones import Packet
from tests.vectors.spandsp_g722 import SpandspG722

FRAGMENT_SAMPLES = 24
"""3 ms: what the positive control lets through of each key."""
FRAGMENT_AT = 320
"""40 ms into the key, inside of every window."""
PCMA_PAYLOAD_TYPE, G722_PAYLOAD_TYPE = 8, 9
ALIKE_MIN = 0.5
COMFORT_NOISE_MAX = 200
"""Peak of the service's own noise, with room; a tone of -9 dBm0 peaks near 8,000."""
AROUND_SAMPLES = 320
"""40 ms, half a gap between keys: what a placement by arrival may be wrong by, and more."""
EDGE_SAMPLES = 240
"""30 ms: after a restart two sources are placed by arrival, and the voice beside a field must not count."""


def presses_in(heard: NDArray[np.int16], material: Material, after: int = 0) -> list[HeardKey]:
    """Return where in ``heard`` each key of ``material`` was pressed; it began at sample ``after`` at the earliest."""
    lag = after + lag_of(heard[after:], material)
    return [HeardKey(key, start + lag, end + lag) for key, start, end in material.places]


def lag_of(heard: NDArray[np.int16], material: Material) -> int:
    """Find the caller's file in what the agent heard, by the voice around the keys."""
    voice = material.pcm.astype(np.float64)
    first, last = material.places[0][1], material.places[-1][2]
    voice[first:last] = 0.0
    correlation = signal.correlate(heard.astype(np.float64), voice, mode="full", method="fft")
    lag = int(correlation.argmax()) - (len(voice) - 1)
    assert lag >= 0, "the file begins before the call"
    there = heard[lag : lag + len(voice)].astype(np.float64)
    there[first:last] = 0.0
    sent = voice[: len(there)]
    alike = float((sent * there).sum() / np.sqrt((sent**2).sum() * (there**2).sum()))
    assert alike > ALIKE_MIN, f"the caller's voice is not found in what the agent heard ({alike:.2f})"
    return lag


def let_fragments_through(
    audio: NDArray[np.int16], presses: Sequence[HeardKey], material: Material
) -> NDArray[np.int16]:
    """Return ``audio`` with three milliseconds of each key as it was sent: the attacker's positive control."""
    leaky = audio.copy()
    for press, (_, start, _) in zip(presses, itertools.cycle(material.places), strict=False):
        to, source = press.start + FRAGMENT_AT, start + FRAGMENT_AT
        leaky[to : to + FRAGMENT_SAMPLES] = material.pcm[source : source + FRAGMENT_SAMPLES]
    return leaky


def louder_than_noise(
    audio: NDArray[np.int16], presses: Sequence[HeardKey], material: Material
) -> list[tuple[int, int]]:
    """Return the place in the order and the peak of each press that is louder than comfort noise.

    The caller sends nothing but tones and silence there, so one leaked millisecond of one key is seen: guesses tell
    it only of many keys. At either end of a field is voice, so the window is narrow there.
    """
    found = []
    gap = GAP_MS * SAMPLES_PER_MS
    starts = [start for _, start, _ in material.places]
    ends = [end for _, _, end in material.places]
    for index, press in enumerate(presses):
        key_before = index > 0 and starts[index] - ends[index - 1] == gap
        key_after = index + 1 < len(presses) and starts[index + 1] - ends[index] == gap
        first = press.start + (-AROUND_SAMPLES if key_before else EDGE_SAMPLES)
        last = press.end + (AROUND_SAMPLES if key_after else -EDGE_SAMPLES)
        peak = int(np.abs(audio[first:last].astype(np.int64)).max(initial=0))
        if peak > COMFORT_NOISE_MAX:
            found.append((index, peak))
    return found


def on_the_clock(packets: Sequence[Packet]) -> NDArray[np.int16]:
    """Return the audio of ``packets``, each source placed by its earliest arrival and within it by timestamps.

    So a restart that changes the source, or a pause, keeps its true length. Int16 at 8 kHz; gaps are silence.
    """
    began_s = packets[0].at_s
    whole = np.zeros(int((packets[-1].at_s - began_s + 1) * SAMPLE_RATE_HZ), np.int16)
    for _, group in itertools.groupby(packets, key=lambda packet: packet.data[8:12]):
        source = list(group)
        first = int.from_bytes(source[0].data[4:8], "big")
        offsets = [timestamp_distance(int.from_bytes(packet.data[4:8], "big"), first) for packet in source]
        arrivals = [(packet.at_s - began_s) * SAMPLE_RATE_HZ for packet in source]
        origin = max(0, int(min(at - offset for at, offset in zip(arrivals, offsets, strict=True))))
        for audio, offset in zip(_decoded(source), offsets, strict=True):
            at = max(0, origin + offset)
            whole[at : at + len(audio)] = audio[: max(0, len(whole) - at)]
    return whole


def _decoded(source: Sequence[Packet]) -> list[NDArray[np.int16]]:
    """Return the audio of each packet at 8 kHz; runs of G.722 by libspandsp, which remembers from packet to packet."""
    audio: list[NDArray[np.int16]] = []
    for payload_type, run in itertools.groupby(source, key=lambda packet: packet.payload_type):
        codes = [np.frombuffer(packet.payload, np.uint8) for packet in run]
        if payload_type == G722_PAYLOAD_TYPE:
            wide = SpandspG722().decode(np.concatenate(codes)).astype(np.float64)
            whole = np.clip(np.round(signal.resample_poly(wide, 1, 2)), -32_768, 32_767).astype(np.int16)
        else:
            table = ALAW_DECODE if payload_type == PCMA_PAYLOAD_TYPE else ULAW_DECODE
            whole = table[np.concatenate(codes)]
        audio += np.split(whole, np.cumsum([len(each) for each in codes])[:-1])
    return audio
