"""Claim: with 5 ms of hold-back no sample of a key leaves in a capture, and speech is left alone. Prints both prices.

Usage: python -m bench.leak_scores [n] ; n = keys a condition (default 240). Speech: espeak-ng, made on the spot.
"""

import sys

import numpy as np

from bench.spoken import synthetic_speech
from dtmf_shield.media.masker import (
    MODE_CAPTURE,
    MODE_GUARD,
    SHIELD_STATE_DTYPE,
    samples_masked,
    shield_packet,
)
from tests.vectors.dtmf_scoring import leaked_samples, listen
from tests.vectors.dtmf_signal import Recipe, Stream, key_stream

CONDITIONS: dict[str, dict[str, object]] = {
    "-10 dBm0, 80 ms, SNR 35": {"level_dbm0": -10, "on_ms": 80, "snr_db": 35},
    "-25 dBm0, 50 ms, SNR 20": {"level_dbm0": -25, "on_ms": 50, "snr_db": 20},
    "-18 dBm0, 65 ms, no noise": {"level_dbm0": -18, "on_ms": 65},
    "-32 dBm0, 50 ms, SNR 20": {"level_dbm0": -32, "on_ms": 50, "snr_db": 20},
    "-44 dBm0, 50 ms, SNR 20": {"level_dbm0": -44, "on_ms": 50, "snr_db": 20},
    "A: +1.5/-1.5 %, twist -6, SNR 15": {
        "row_error": 0.015, "column_error": -0.015, "twist_db": -6,
        "level_dbm0": -25, "snr_db": 15, "on_ms": 40,
    },
    "-1.5/+1.5 %, twist +6, SNR 20": {
        "row_error": -0.015, "column_error": 0.015, "twist_db": 6, "snr_db": 20,
    },
    "twist -10, SNR 20": {"twist_db": -10, "snr_db": 20},
    "4 s, SNR 25": {"on_ms": 4000, "snr_db": 25, "repetitions": 2},
    "5 ms ramps, SNR 35": {"ramp_ms": 5, "snr_db": 35},
    "clip +12 dB": {"level_dbm0": -6, "clip_gain_db": 12},
    "fragments 39 ms, SNR 30": {"on_ms": 39, "snr_db": 30},
    "fragments 20 ms, SNR 30": {"on_ms": 20, "snr_db": 30},
    "fragments 10 ms, SNR 30": {"on_ms": 10, "snr_db": 30},
    "fragments 7 ms, SNR 30": {"on_ms": 7, "snr_db": 30},
    "fragments 5 ms, SNR 30": {"on_ms": 5, "snr_db": 30},
}  # fmt: skip


def with_speech_between(stream: Stream, speech: np.ndarray, seed: int) -> Stream:
    """Put speech (not the silence of the recipe) up to the onset and from the end of every key."""
    rng = np.random.default_rng(seed)
    start = int(rng.integers(0, len(speech)))
    background = np.resize(np.roll(speech, -start), len(stream.pcm))
    for onset, end in zip(stream.onsets, stream.ends, strict=True):
        background[onset:end] = 0.0
    stream.pcm = np.clip(stream.pcm + background, -32768, 32767).astype(np.int16)
    return stream


def leak_row(stream: Stream, mode: int) -> str:
    """Return share of keys with any leak, and the largest leak in ms."""
    out = listen(stream.pcm, mode)[1]
    leaks = np.array(
        [
            leaked_samples(stream.pcm, out, onset, end)
            for onset, end in zip(stream.onsets, stream.ends, strict=True)
        ]
    )
    return f"{np.count_nonzero(leaks):4d} of {len(leaks)} leak, max {leaks.max() / 8:5.1f} ms"


def false_mute(speech: np.ndarray, mode: int) -> str:
    """Return the share of active speech that was replaced, and bursts a minute."""
    state = np.zeros(1, SHIELD_STATE_DTYPE)
    keys, out = np.zeros(16, np.uint8), np.zeros(160, np.int16)
    pcm = speech.astype(np.int16)
    replaced, active, bursts, open_before = 0, 0, 0, False
    for start in range(0, len(pcm) - 159, 160):
        packet = pcm[start : start + 160]
        shield_packet(state, 0, packet, out, mode, keys)
        masked = samples_masked(state, 0)
        bursts += masked > 0 and not open_before
        open_before = masked > 0
        if np.abs(packet).max() > 200:
            replaced += masked
            active += 160
    registered = int(state[0]["keys_registered"])
    minutes = len(pcm) / 8000 / 60
    return f"{100 * replaced / active:.2f} % of active speech, {bursts / minutes:.1f} bursts/min, {registered} keys"


def main() -> None:
    """Print leak, false mute and throughput."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 240
    speech = synthetic_speech()
    for number, (name, changes) in enumerate(CONDITIONS.items()):
        recipe = Recipe(**{"repetitions": max(1, n // 16), **changes})  # type: ignore[arg-type]
        rows = [leak_row(key_stream(recipe, 500 + number), mode) for mode in (MODE_CAPTURE, MODE_GUARD)]
        spoken = with_speech_between(key_stream(recipe, 600 + number), speech, number)
        print(
            f"{name:33s} capture {rows[0]} | speech around {leak_row(spoken, MODE_CAPTURE)} | guard {rows[1]}"
        )
    for name, mode in (("capture", MODE_CAPTURE), ("guard", MODE_GUARD)):
        print(f"false mute in {name:8s}: {false_mute(speech, mode)}")


if __name__ == "__main__":
    main()
