"""Claim: the detector hears every legal key and no other. Prints the score of each condition, ours and spandsp's.

Usage: python -m bench.dtmf_scores [n] ; n = keys a condition (default 320). spandsp: apt install libspandsp2.
"""

import ctypes
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import soundfile
from scipy.signal import resample_poly

from tests.vectors.dtmf_scoring import hits_and_extras, listen
from tests.vectors.dtmf_signal import Recipe, Stream, key_stream, whole_packets

WORST = {"level_dbm0": -25, "snr_db": 15, "on_ms": 40, "gap_ms": 40}
CONDITIONS: dict[str, dict[str, object]] = {
    "clean": {},
    "clean -35 dBm0, A-law": {"level_dbm0": -35, "alaw": True},
    "both -1.5 %": {"row_error": -0.015, "column_error": -0.015},
    "both +1.5 % and +2 Hz": {"row_error": 0.015, "column_error": 0.015, "error_hz": 2},
    "both +1.8 %": {"row_error": 0.018, "column_error": 0.018},
    "both -1.8 %": {"row_error": -0.018, "column_error": -0.018},
    "row +1.75, column +1.65 %": {"row_error": 0.0175, "column_error": 0.0165},
    "both +3.5 % (reject)": {"row_error": 0.035, "column_error": 0.035},
    "both -3.5 % (reject)": {"row_error": -0.035, "column_error": -0.035},
    "row -3.5 % (reject)": {"row_error": -0.035},
    "row +3.5 % (reject)": {"row_error": 0.035},
    "column -3.5 % (reject)": {"column_error": -0.035},
    "column +3.5 % (reject)": {"column_error": 0.035},
    "twist -8": {"twist_db": -8},
    "twist -6": {"twist_db": -6},
    "twist +4": {"twist_db": 4},
    "twist +6": {"twist_db": 6},
    "level -42": {"level_dbm0": -42},
    "SNR 12": {"snr_db": 12},
    "SNR 8": {"snr_db": 8},
    "SNR 6": {"snr_db": 6},
    "speech 12 dB under": {"speech_below_db": 12},
    "speech 10 dB under": {"speech_below_db": 10},
    "on 20 ms (reject)": {"on_ms": 20},
    "on 23 ms (reject)": {"on_ms": 23},
    "on 35 ms": {"on_ms": 35},
    "on 40 ms": {"on_ms": 40},
    "gap 20 ms": {"gap_ms": 20, "gap_spread_ms": 0.125},
    "gap 40 ms, same key": {"gap_ms": 40, "gap_spread_ms": 0.125, "same_key_twice": True},
    "100 ms cut 10 ms (want 1)": {"on_ms": 100, "cut_ms": 10},
    "100 ms cut 20 ms (want 1)": {"on_ms": 100, "cut_ms": 20},
    "dial tone at -10 dB, keys -15": {"level_dbm0": -15, "dial_tone_db": -10},
    "dial tone at -5 dB, keys -15": {"level_dbm0": -15, "dial_tone_db": -5},
    "dial tone at 0 dB, keys -15": {"level_dbm0": -15, "dial_tone_db": 0},
    "clip +12 dB": {"level_dbm0": -6, "clip_gain_db": 12},
    "echo 20 ms -6 dB": {"echo_ms": 20, "echo_db": -6},
    "echo 30 ms -10 dB": {"echo_ms": 30, "echo_db": -10},
    "worst-legal A": {"row_error": 0.015, "column_error": -0.015, "twist_db": -6, **WORST},
}


def spandsp_events() -> Callable[[np.ndarray], list[tuple[str, int]]] | None:
    """Return a function that lists (key, sample) by libspandsp2, or None where it is not installed."""
    try:
        library = ctypes.CDLL("libspandsp.so.2")
    except OSError:
        return None
    pointer, integer = ctypes.c_void_p, ctypes.c_int
    callback_type = ctypes.CFUNCTYPE(None, pointer, integer, integer, integer)
    library.dtmf_rx_init.restype = pointer
    library.dtmf_rx_init.argtypes = [pointer, pointer, pointer]
    library.dtmf_rx_set_realtime_callback.argtypes = [pointer, callback_type, pointer]
    library.dtmf_rx.argtypes = [pointer, pointer, integer]
    library.dtmf_rx_free.argtypes = [pointer]

    def events(pcm: np.ndarray) -> list[tuple[str, int]]:
        found: list[tuple[str, int]] = []
        fed = [0]

        def on_key(_user: int, key: int, _level: int, _delay: int) -> None:
            if key:
                found.append((chr(key), fed[0]))

        callback = callback_type(on_key)
        receiver = library.dtmf_rx_init(None, None, None)
        library.dtmf_rx_set_realtime_callback(receiver, callback, None)
        for start in range(0, len(pcm), 160):
            fed[0] = start + 160
            library.dtmf_rx(receiver, pcm.ctypes.data + 2 * start, 160)
        library.dtmf_rx_free(receiver)
        return found

    return events


def synthetic_speech() -> np.ndarray:
    """Return about 40 s of espeak-ng speech at 8 kHz, float."""
    text = (
        "Thank you for calling. I would like to pay the bill for my mother's house, and after that I have a question "
        "about the contract. My name is Christopher Nightingale, and the street is called Eastern Avenue. Could you "
        "please tell me how long it takes until the money arrives? Oh, really? Well, that is much faster than I "
        "thought. Yes, I have my card here, one moment please, I need to find my glasses. Mm-hm, yeah, okay. "
    )
    pieces = []
    with TemporaryDirectory() as folder:
        for voice in ("en-gb", "en-us+f3", "es", "de+f2"):
            path = Path(folder) / "speech.wav"
            subprocess.run(["espeak-ng", "-v", voice, "-w", str(path), text], check=True)
            samples, rate = soundfile.read(path, dtype="float64")
            pieces.append(resample_poly(samples, 8000, rate))
    speech = np.concatenate(pieces)
    active = np.abs(speech) > 0.01
    return speech * (32767 * 10 ** (-26 / 20) / np.sqrt(np.mean(speech[active] ** 2)))


def random_corner(rng: np.random.Generator) -> dict[str, object]:
    """Return one corner of what Q.24 (AT&T) calls legal, at the limits of frequency, twist, level, SNR and time."""
    sign = rng.choice([-1.0, 1.0], 2)
    return {
        "row_error": 0.015 * sign[0],
        "column_error": 0.015 * sign[1],
        "twist_db": float(rng.choice([-8.0, -6.0, -3.0, 0.0, 4.0])),
        "level_dbm0": float(rng.choice([-25.0, -12.0, -4.0])),
        "snr_db": 15,
        "on_ms": 40,
        "gap_ms": 40,
    }


def score(recipe: Recipe, seed: int, speech: np.ndarray, peer: Callable | None) -> str:
    """Return one table row: ours and spandsp's share of hits and extras."""
    stream: Stream = key_stream(recipe, seed, speech)
    n = len(stream.keys)
    ours = hits_and_extras(stream, [(h.key, h.registered) for h in listen(stream.pcm)[0]])
    row = f"{100 * ours[0] / n:6.1f} % +{ours[1]:<4d} (misses {n - ours[0]} of {n})"
    if peer:
        theirs = hits_and_extras(stream, peer(whole_packets(stream.pcm, 160)))
        row += f"   spandsp {100 * theirs[0] / n:6.1f} % +{theirs[1]}"
    return row


def main() -> None:
    """Print the table."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 320
    repetitions = max(1, n // 16)
    speech, peer = synthetic_speech(), spandsp_events()
    if peer is None:
        print("libspandsp2 is not installed: no peer column")
    started_s = time.perf_counter()
    for number, (name, changes) in enumerate(CONDITIONS.items()):
        recipe = Recipe(repetitions=repetitions, **changes)  # type: ignore[arg-type]
        print(f"{name:32s} {score(recipe, 100 + number, speech, peer)}", flush=True)
    rng = np.random.default_rng(7)
    for number in range(8):
        corner = random_corner(rng)
        name = "corner {row_error:+.3f} {column_error:+.3f} {twist_db:+.0f} dB {level_dbm0:.0f} dBm0".format(
            **corner
        )
        recipe = Recipe(repetitions=repetitions, **corner)  # type: ignore[arg-type]
        print(f"{name:32s} {score(recipe, 300 + number, speech, peer)}", flush=True)
    print(f"{time.perf_counter() - started_s:.0f} s")


if __name__ == "__main__":
    main()
