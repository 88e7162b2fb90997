"""Who listens in the tests: our detector, spandsp and multimon-ng. A missing ear fails a test; silence must not pass.

Each ear takes int16 PCM at 8 kHz and returns the keys it heard, in order.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from scipy import signal

from dtmf_shield.service.file_analysis import detect_file

SAMPLE_RATE_HZ = 8_000
MULTIMON_LIMIT_S = 30
Pcm = NDArray[np.int16]


def our_detector(pcm: Pcm, directory: Path) -> str:
    """Listen with the live detector, by way of a WAV file as ``dtmf-shield detect`` does."""
    path = directory / "heard.wav"
    soundfile.write(path, pcm, SAMPLE_RATE_HZ, subtype="PCM_16")
    return "".join(str(found["digit"]) for found in detect_file(path, reveal=True)["digits"])


def spandsp(pcm: Pcm, _directory: Path) -> str:
    """Listen with libspandsp's receiver."""
    try:
        library = ctypes.CDLL("libspandsp.so.2")
    except OSError:
        pytest.fail("libspandsp.so.2 is missing: apt-get install libspandsp2")
    pointer, integer = ctypes.c_void_p, ctypes.c_int
    changed = ctypes.CFUNCTYPE(None, pointer, integer, integer, integer)
    library.dtmf_rx_init.restype = pointer
    library.dtmf_rx_init.argtypes = [pointer, pointer, pointer]
    library.dtmf_rx_set_realtime_callback.argtypes = [pointer, changed, pointer]
    library.dtmf_rx.argtypes = [pointer, pointer, integer]
    library.dtmf_rx_free.argtypes = [pointer]
    keys: list[str] = []

    def on_change(_user: Any, key: int, _level: int, _delay: int) -> None:
        if key:
            keys.append(chr(key))

    callback = changed(on_change)
    receiver = library.dtmf_rx_init(None, None, None)
    library.dtmf_rx_set_realtime_callback(receiver, callback, None)
    samples = np.ascontiguousarray(pcm, np.int16)
    for start in range(0, len(samples), 160):
        library.dtmf_rx(receiver, samples.ctypes.data + 2 * start, min(160, len(samples) - start))
    library.dtmf_rx_free(receiver)
    return "".join(keys)


def multimon(pcm: Pcm, _directory: Path) -> str:
    """Listen with multimon-ng, which wants 22,050 Hz."""
    program = shutil.which("multimon-ng")
    if program is None:
        pytest.fail("multimon-ng is missing: apt-get install multimon-ng")
    resampled = signal.resample_poly(pcm.astype(np.float64), 441, 160)
    raw = np.clip(np.round(resampled), -32_768, 32_767).astype(np.int16).tobytes()
    done = subprocess.run(
        [program, "-q", "-a", "DTMF", "-t", "raw", "-"],
        input=raw,
        capture_output=True,
        timeout=MULTIMON_LIMIT_S,
        check=True,
    )
    lines = done.stdout.decode("ascii", "replace").splitlines()
    return "".join(line.removeprefix("DTMF: ").strip() for line in lines if line.startswith("DTMF: "))


EARS: dict[str, Callable[[Pcm, Path], str]] = {
    "our detector": our_detector,
    "spandsp": spandsp,
    "multimon-ng": multimon,
}


def heard_by_all(pcm: Pcm, directory: Path) -> dict[str, str]:
    """Return what each ear heard."""
    return {name: ear(pcm, directory) for name, ear in EARS.items()}


NOTHING = dict.fromkeys(EARS, "")
"""What ears must hear on the agent's side."""


def channels_of(path: Path) -> list[Pcm]:
    """Return a WAV file's channels."""
    samples, rate_hz = soundfile.read(path, dtype="int16", always_2d=True)
    assert rate_hz == SAMPLE_RATE_HZ
    return [np.ascontiguousarray(samples[:, channel]) for channel in range(samples.shape[1])]


def speech_seconds(pcm: Pcm) -> float:
    """Return how many seconds are louder than -36 dBm0 or so, in blocks of 20 ms: speech, not comfort noise."""
    blocks = pcm[: len(pcm) // 160 * 160].reshape(-1, 160).astype(np.float64)
    return float(np.count_nonzero(np.sqrt(np.mean(blocks**2, axis=1)) > 400.0)) * 0.02
