"""Keypad detectors that share nothing with the product's: a plain FFT here, spandsp and multimon-ng where installed.

They witness what each side of a call received, so they lean towards hearing: one that hears a key in clean speech is
a nuisance, one that misses a key would be a false assurance. None of them says which key it heard unless asked.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import signal

SAMPLE_RATE_HZ: Final = 8000
KEYPAD: Final = "123A456B789C*0#D"
ROWS_HZ: Final = np.array([697.0, 770.0, 852.0, 941.0])
COLUMNS_HZ: Final = np.array([1209.0, 1336.0, 1477.0, 1633.0])

_WINDOW_SAMPLES: Final = 256
"""32 ms: a Hann window of it separates neighbouring rows (73 Hz)."""
_STEP_SAMPLES: Final = 40
_FFT_SAMPLES: Final = 1024
_BLOCK_WINDOWS: Final = 2_048
"""Windows worked on at a time: 17 MB, however long the recording is."""
_BAND_HZ: Final = 28.0
"""Half width of the band taken as one tone; wider than the 1.5 % that ITU-T Q.24 asks receivers to accept."""
_SHARE_MIN: Final = 0.82
"""Of the power between 300 and 3400 Hz, the two tones hold at least this much."""
_TWIST_DB_MAX: Final = 10.0
_LEVEL_DBM0_MIN: Final = -45.0
_WINDOWS_MIN: Final = 5
"""25 ms of agreement besides the window: keys from about 40 ms on."""
_WINDOWS_BRIDGED: Final = 2
_ZERO_DBM0_PEAK: Final = 32767.0 * 10.0 ** (-3.14 / 20.0)

_SPANDSP_BLOCK: Final = 160
_MULTIMON_RATE_UP: Final = 441
_MULTIMON_RATE_DOWN: Final = 160
_MULTIMON_LIMIT_S: Final = 30


@dataclass(frozen=True, slots=True)
class HeardKey:
    """One key: first and last sample of the stretch in which it was heard."""

    key: str
    start: int
    end: int


def fft_keys(pcm: NDArray[np.int16]) -> list[HeardKey]:
    """Find keys with a plain short-time spectrum.

    `pcm`: int16 at 8 kHz, shape (n,). Start and end are good to about 5 ms.
    """
    if len(pcm) < _WINDOW_SAMPLES:
        return []
    windows = np.lib.stride_tricks.sliding_window_view(pcm, _WINDOW_SAMPLES)[::_STEP_SAMPLES]
    blocks = [windows[at : at + _BLOCK_WINDOWS] for at in range(0, len(windows), _BLOCK_WINDOWS)]
    return _stretches(np.concatenate([_codes(block) for block in blocks]))


def _codes(windows: NDArray[np.int16]) -> NDArray[np.int64]:
    """Return the index of the key that each window holds, -1 for none: shape (n_windows,)."""
    hann = signal.windows.hann(_WINDOW_SAMPLES, sym=False)
    power = np.abs(np.fft.rfft(windows * hann, _FFT_SAMPLES, axis=1)) ** 2
    bins_hz = np.arange(_FFT_SAMPLES // 2 + 1) * (SAMPLE_RATE_HZ / _FFT_SAMPLES)
    rows, columns = _band_powers(power, bins_hz, ROWS_HZ), _band_powers(power, bins_hz, COLUMNS_HZ)
    speech_band = power[:, (bins_hz >= 300) & (bins_hz <= 3400)].sum(axis=1) + 1e-9
    row, column = rows.max(axis=1), columns.max(axis=1)
    twist_db = np.abs(10 * np.log10((row + 1e-9) / (column + 1e-9)))
    full = float(np.sum(hann**2)) * _FFT_SAMPLES / 2 * _ZERO_DBM0_PEAK**2 / 2
    loud = np.minimum(row, column) > full * 10.0 ** (_LEVEL_DBM0_MIN / 10.0)
    heard = ((row + column) / speech_band > _SHARE_MIN) & (twist_db < _TWIST_DB_MAX) & loud
    return np.where(heard, rows.argmax(axis=1) * len(COLUMNS_HZ) + columns.argmax(axis=1), -1)


def _band_powers(
    power: NDArray[np.floating[Any]], bins_hz: NDArray[np.floating[Any]], tones_hz: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the power near each tone: shape (n_windows, n_tones)."""
    return np.stack([power[:, np.abs(bins_hz - tone) <= _BAND_HZ].sum(axis=1) for tone in tones_hz], axis=1)


def _stretches(codes: NDArray[np.int64]) -> list[HeardKey]:
    """Join windows of one key into presses. `codes`: key index or -1 a window, shape (n_windows,)."""
    found: list[HeardKey] = []
    at = 0
    while at < len(codes):
        code, first, last = codes[at], at, at
        at += 1
        if code < 0:
            continue
        while at < len(codes) and at - last <= _WINDOWS_BRIDGED + 1 and codes[at] in (code, -1):
            last = at if codes[at] == code else last
            at += 1
        at = last + 1
        if last - first + 1 >= _WINDOWS_MIN:
            # A window is mostly tone from a quarter before its middle on.
            found.append(
                HeardKey(
                    KEYPAD[code],
                    first * _STEP_SAMPLES + _WINDOW_SAMPLES // 2,
                    last * _STEP_SAMPLES + _WINDOW_SAMPLES // 2,
                )
            )
    return found


def spandsp_keys(pcm: NDArray[np.int16]) -> str | None:
    """Return the keys that spandsp hears, or None where the library is not installed."""
    name = ctypes.util.find_library("spandsp") or "libspandsp.so.2"
    try:
        library = ctypes.CDLL(name)
    except OSError:
        return None
    pointer, integer = ctypes.c_void_p, ctypes.c_int
    callback_type = ctypes.CFUNCTYPE(None, pointer, integer, integer, integer)
    library.dtmf_rx_init.restype = pointer
    library.dtmf_rx_init.argtypes = [pointer, pointer, pointer]
    library.dtmf_rx_set_realtime_callback.argtypes = [pointer, callback_type, pointer]
    library.dtmf_rx.argtypes = [pointer, pointer, integer]
    library.dtmf_rx_free.argtypes = [pointer]
    keys: list[str] = []

    def on_change(_user: Any, digit: int, _level: int, _delay: int) -> None:
        if digit:
            keys.append(chr(digit))

    callback = callback_type(on_change)
    state = library.dtmf_rx_init(None, None, None)
    library.dtmf_rx_set_realtime_callback(state, callback, None)
    samples = np.ascontiguousarray(pcm, dtype=np.int16)
    for at in range(0, len(samples), _SPANDSP_BLOCK):
        library.dtmf_rx(state, samples.ctypes.data + 2 * at, min(_SPANDSP_BLOCK, len(samples) - at))
    library.dtmf_rx_free(state)
    return "".join(keys)


def multimon_keys(pcm: NDArray[np.int16]) -> str | None:
    """Return the keys that multimon-ng hears, or None where the program is not installed."""
    program = shutil.which("multimon-ng")
    if program is None:
        return None
    resampled = signal.resample_poly(pcm.astype(np.float64), _MULTIMON_RATE_UP, _MULTIMON_RATE_DOWN)
    raw = np.clip(np.round(resampled), -32768, 32767).astype(np.int16).tobytes()
    done = subprocess.run(
        [program, "-q", "-a", "DTMF", "-t", "raw", "-"],
        input=raw,
        capture_output=True,
        timeout=_MULTIMON_LIMIT_S,
        check=False,
    )
    lines = done.stdout.decode("ascii", "replace").splitlines()
    return "".join(line.removeprefix("DTMF: ").strip() for line in lines if line.startswith("DTMF: "))


def fft_key_string(pcm: NDArray[np.int16]) -> str | None:
    """Return the keys that the plain FFT hears."""
    return "".join(heard.key for heard in fft_keys(pcm))


WITNESSES: Final[dict[str, Callable[[NDArray[np.int16]], str | None]]] = {
    "FFT": fft_key_string,
    "spandsp": spandsp_keys,
    "multimon-ng": multimon_keys,
}
"""Independent detectors by name. One that is not installed answers None and is not counted."""
