"""From an engine's or a person's recording to what a telephone plays: 8 kHz narrowband and 16 kHz wideband PCM.

Trimmed of silence, limited to 300-3400 Hz (ITU-T G.712 calls it the telephone band) or 50-7000 Hz (G.722), brought to a
loudness with a limiter below the peak, padded to whole packets. Change anything here and POST_PROCESSING_VERSION with
it: it is part of every cache key.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import minimum_filter1d, uniform_filter1d
from scipy.signal import butter, resample_poly, sosfiltfilt

from dtmf_shield.prompts.errors import PromptError
from dtmf_shield.prompts.sound.loudness import loudness_lufs

POST_PROCESSING_VERSION: Final = 1
LOUDNESS_LUFS: Final = -16.0
PEAK_DBFS_MAX: Final = -6.0
"""Leaves room for gains on the way; a key tone of a caller who keys over a prompt is louder than its echo."""
PACKET_MS: Final = 20
NARROW_HZ: Final = 8_000
WIDE_HZ: Final = 16_000
SOUND_S_MAX: Final = 120
"""A longer prompt is a mistake, or music: let it loop."""
_NARROW_BAND_HZ: Final = (300.0, 3400.0)
_WIDE_BAND_HZ: Final = (50.0, 7000.0)
_FILTER_ORDER: Final = 4
_WINDOW_S: Final = 0.005
_SILENCE_BELOW_LOUDEST_DB: Final = 40.0
_MARGIN_BEFORE_S: Final = 0.015
_MARGIN_AFTER_S: Final = 0.030
_FADE_S: Final = 0.005
_LIMITER_S: Final = 0.008
_LEVELLING_STEPS: Final = 4
_NEAR_LU: Final = 0.5
_STEP_LU_MAX: Final = 6.0

Samples = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sound:
    """Samples as an engine made them, full scale 1.0, shape (n,)."""

    samples: Samples
    sample_rate_hz: int


@dataclass(frozen=True, slots=True)
class Shaped:
    """A piece as it is stored: both int16 and a whole number of packets long, the same number of both."""

    narrow: NDArray[np.int16]
    wide: NDArray[np.int16]
    loudness_lufs: float

    @property
    def packet_count(self) -> int:
        """How many packets of 20 ms it fills."""
        return len(self.narrow) // (NARROW_HZ * PACKET_MS // 1000)


NO_SOUND: Final = Sound(np.zeros(0), WIDE_HZ)


def joined(sounds: list[tuple[Sound, int]]) -> Sound:
    """Return sounds one after the other at 16 kHz, each trimmed and followed by its pause in ms."""
    parts: list[Samples] = []
    for sound, pause_ms in sounds:
        if len(sound.samples):
            parts.append(trimmed(resampled(sound, WIDE_HZ), WIDE_HZ))
        parts.append(np.zeros(WIDE_HZ * pause_ms // 1000))
    return Sound(np.concatenate(parts), WIDE_HZ)


def shaped(sound: Sound) -> Shaped:
    """Return ``sound`` as it is stored. Raises PromptError for one that is silent or too long."""
    if len(sound.samples) > SOUND_S_MAX * sound.sample_rate_hz:
        raise PromptError(f"the sound is longer than {SOUND_S_MAX} s; cut it, or let a shorter one loop")
    wide = trimmed(resampled(sound, WIDE_HZ), WIDE_HZ)
    narrow = resampled(Sound(wide, WIDE_HZ), NARROW_HZ)
    narrow = levelled(_band_limited(narrow, NARROW_HZ, _NARROW_BAND_HZ), NARROW_HZ)
    wide = levelled(_band_limited(wide, WIDE_HZ, _WIDE_BAND_HZ), WIDE_HZ)
    packets = -(-len(narrow) * 1000 // (NARROW_HZ * PACKET_MS))
    return Shaped(
        narrow=_pcm16(narrow, packets * NARROW_HZ * PACKET_MS // 1000),
        wide=_pcm16(wide, packets * WIDE_HZ * PACKET_MS // 1000),
        loudness_lufs=loudness_lufs(narrow, NARROW_HZ),
    )


def silence(duration_ms: int) -> Shaped:
    """Return a pause."""
    packets = -(-duration_ms // PACKET_MS)
    narrow = np.zeros(packets * NARROW_HZ * PACKET_MS // 1000, np.int16)
    wide = np.zeros(packets * WIDE_HZ * PACKET_MS // 1000, np.int16)
    return Shaped(narrow, wide, -np.inf)


def resampled(sound: Sound, sample_rate_hz: int) -> Samples:
    """Return the samples of ``sound`` at another rate."""
    divisor = gcd(sound.sample_rate_hz, sample_rate_hz)
    if sound.sample_rate_hz == sample_rate_hz:
        return sound.samples
    resampled_: Samples = resample_poly(
        sound.samples, sample_rate_hz // divisor, sound.sample_rate_hz // divisor
    )
    return resampled_


def trimmed(samples: Samples, sample_rate_hz: int) -> Samples:
    """Return ``samples`` without the silence around them, faded at both ends. Raises PromptError for silence."""
    window = round(_WINDOW_S * sample_rate_hz)
    level = np.sqrt(np.maximum(uniform_filter1d(samples**2, window, mode="constant"), 0.0))
    loudest = level.max(initial=0.0)
    if loudest < 1e-4:  # -80 dBFS
        raise PromptError("there is no sound in it")
    heard = np.flatnonzero(level > loudest * 10 ** (-_SILENCE_BELOW_LOUDEST_DB / 20))
    begin = max(heard[0] - round(_MARGIN_BEFORE_S * sample_rate_hz), 0)
    end = min(heard[-1] + round(_MARGIN_AFTER_S * sample_rate_hz), len(samples))
    kept = samples[begin:end].copy()
    fade = min(round(_FADE_S * sample_rate_hz), len(kept) // 2)
    ramp = 0.5 - 0.5 * np.cos(np.pi * np.arange(fade) / max(fade, 1))
    kept[:fade] *= ramp
    kept[len(kept) - fade :] *= ramp[::-1]
    return kept


def levelled(samples: Samples, sample_rate_hz: int) -> Samples:
    """Return ``samples`` near LOUDNESS_LUFS and never above PEAK_DBFS_MAX.

    The limiter takes loudness away where peaks stand out; each step gives it back, as far as the peak allows.
    """
    out, gain_lu = samples, 0.0
    for _ in range(_LEVELLING_STEPS):
        missing_lu = LOUDNESS_LUFS - loudness_lufs(out, sample_rate_hz)
        if out is not samples and abs(missing_lu) < _NEAR_LU:
            break
        gain_lu += missing_lu if out is samples else float(np.clip(missing_lu, -_STEP_LU_MAX, _STEP_LU_MAX))
        out = _limited(samples * 10 ** (gain_lu / 20), sample_rate_hz)
    return out


def _limited(samples: Samples, sample_rate_hz: int) -> Samples:
    """Limit the peak by a gain that falls before the peak comes and rises after it, without a step."""
    ceiling = 10 ** (PEAK_DBFS_MAX / 20) * (1 - 2**-14)  # rounding to 16 bits may add half a step
    wanted = np.minimum(1.0, ceiling / np.maximum(np.abs(samples), 1e-9))
    window = 2 * round(_LIMITER_S * sample_rate_hz / 2) + 1
    # The mean over a window of minima over that window is nowhere above the gain that is wanted.
    gain = uniform_filter1d(minimum_filter1d(wanted, window), window, mode="nearest")
    limited: Samples = samples * np.minimum(gain, wanted)
    return limited


def _band_limited(samples: Samples, sample_rate_hz: int, band_hz: tuple[float, float]) -> Samples:
    sections = butter(_FILTER_ORDER, band_hz, btype="bandpass", fs=sample_rate_hz, output="sos")
    # The edges of a very short word are padded with silence: there is nothing of it beyond them.
    around = np.zeros(sample_rate_hz // 20)
    filtered: Samples = sosfiltfilt(sections, np.concatenate((around, samples, around)))
    return filtered[len(around) : len(around) + len(samples)]


def _pcm16(samples: Samples, size: int) -> NDArray[np.int16]:
    pcm = np.zeros(size, np.int16)
    kept = samples[:size]
    pcm[: len(kept)] = np.rint(kept * 32768).clip(-32768, 32767).astype(np.int16)
    return pcm
