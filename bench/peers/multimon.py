"""multimon-ng's DTMF demodulator as a process of its own (apt-get install multimon-ng): it tells keys, no times."""

import re
import shutil
import subprocess

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

_RUN_TIME_MAX_S = 600
_KEY = re.compile(rb"^DTMF: (\S)", re.MULTILINE)


def is_installed() -> bool:
    """Tell whether the program is there."""
    return shutil.which("multimon-ng") is not None


def keys(pcm: NDArray[np.int16]) -> list[str]:
    """Return the keys heard in `pcm` (int16, 8 kHz), in order. The program wants 22,050 Hz."""
    resampled = resample_poly(pcm.astype(np.float64), 441, 160)
    audio = np.clip(np.round(resampled), -32768, 32767).astype("<i2").tobytes()
    run = subprocess.run(
        ["multimon-ng", "-q", "-a", "DTMF", "-t", "raw", "-"],
        input=audio, capture_output=True, check=True, timeout=_RUN_TIME_MAX_S,
    )  # fmt: skip
    return [key.decode() for key in _KEY.findall(run.stdout)]


def common_sequence_length(truth: list[str], heard: list[str]) -> int:
    """Return the length of the longest common subsequence (bit-parallel, a bit for each key of `truth`)."""
    places: dict[str, int] = {}
    for i, key in enumerate(truth):
        places[key] = places.get(key, 0) | 1 << i
    everything = (1 << len(truth)) - 1
    open_places = everything
    for key in heard:
        matches = open_places & places.get(key, 0)
        open_places = (open_places + matches) | (open_places & ~places.get(key, 0))
    return len(truth) - (open_places & everything).bit_count()
