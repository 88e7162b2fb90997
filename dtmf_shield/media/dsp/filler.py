"""What stands in place of a key: one of four styles, the same for every key, drawn from nothing that was heard.

The four: comfort noise, silence, a flat tone, or one fixed beep a key and noise around it. None is louder than the
leg's level. Style and level are fields of the leg's record; all-zero fields are noise at LEVEL_DBM0.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dtmf_shield.media.dsp.kernel import kernel
from dtmf_shield.media.dsp.leg_state import ShieldState
from dtmf_shield.media.dsp.levels import mean_square
from dtmf_shield.media.dsp.tables import SAMPLE_RATE_HZ

STYLE_NOISE: Final = 0
STYLE_SILENCE: Final = 1
STYLE_TONE: Final = 2
STYLE_BEEP: Final = 3
STYLES: Final = {"noise": STYLE_NOISE, "silence": STYLE_SILENCE, "tone": STYLE_TONE, "beep": STYLE_BEEP}

LEVEL_DBM0: Final = -50.0
"""Of comfort noise unless told otherwise: a quiet line's."""
# A whole number of samples a period at either rate: what a codec or a clipper makes of it lies on whole kHz, 6 % or
# more from every frequency of Q.23 and from twice and three times each. No fax (1100, 2100 Hz) or exchange tone.
TONE_HZ: Final = 1000
_PERIOD: Final = 2 * SAMPLE_RATE_HZ // TONE_HZ  # at 16 kHz
BEEP_MS: Final = 100  # shorter than the shortest mute that beeps in a capture
BEEP_REARM_SAMPLES: Final = 200 * SAMPLE_RATE_HZ // 1000
"""Keys that follow closer than 200 ms share a beep: their number and rhythm are not played to anyone."""

_SINE: Final = np.round(32767.0 * np.sin(2.0 * np.pi * np.arange(_PERIOD) / _PERIOD)).astype(np.int16)


def _noise_peak(level_dbm0: float) -> int:
    """Return the peak of uniform noise of that level: its mean square is a third of the squared peak."""
    return int(np.sqrt(3.0 * mean_square(level_dbm0)))


NOISE_PEAK: Final = _noise_peak(LEVEL_DBM0)


def set_style(state: ShieldState, style: str, level_dbm0: float = LEVEL_DBM0) -> None:
    """Give every row of `state` a style of STYLES and the level it keeps under. Raises KeyError for another style."""
    state["style"] = STYLES[style]
    state["noise_peak"] = _noise_peak(level_dbm0)
    state["tone_peak"] = int(np.sqrt(2.0 * mean_square(level_dbm0)))


@kernel
def fill(leg: Any, out: NDArray[np.int16], begin: int, end: int, at_samples: int, factor: int) -> None:
    """Overwrite out[begin:end], at factor * 8 kHz, which is sent as the leg's samples from `at_samples` on (8 kHz)."""
    if at_samples != leg.filled_until_samples and at_samples > leg.beep_asked_samples:
        leg.beep_left = 0  # the mute it belonged to has closed
    leg.filled_until_samples = at_samples + (end - begin) // factor
    if leg.style == STYLE_SILENCE:
        out[begin:end] = 0
    elif leg.style == STYLE_TONE:
        _fill_tone(leg, out, begin, end, factor)
    else:
        beep_end = min(end, begin + leg.beep_left * factor // 2)
        _fill_tone(leg, out, begin, beep_end, factor)
        leg.beep_left -= (beep_end - begin) * 2 // factor
        _fill_noise(leg, out, beep_end, end)


@kernel
def ask_beep(leg: Any, at_samples: int) -> None:
    """Start the beep, unless a key sounded within BEEP_REARM_SAMPLES before `at_samples`."""
    if leg.style == STYLE_BEEP and at_samples >= leg.beep_barred_until_samples:
        leg.beep_left = 2 * BEEP_MS * SAMPLE_RATE_HZ // 1000
        leg.beep_asked_samples = at_samples
        leg.tone_phase = 0
    leg.beep_barred_until_samples = at_samples + BEEP_REARM_SAMPLES


@kernel
def _fill_noise(leg: Any, out: NDArray[np.int16], begin: int, end: int) -> None:
    """Write uniform noise: a count, mixed (the 32-bit finalizer of MurmurHash3); its top 16 bits span +-32768.

    Every sample is made by itself, so that eight are made at a time.
    """
    peak = np.int32(leg.noise_peak if leg.noise_peak > 0 else NOISE_PEAK)
    count = leg.noise
    stretch = out[begin:end]
    for i in range(len(stretch)):
        mixed = np.uint32(count + np.uint32(i))
        mixed = np.uint32((mixed ^ (mixed >> np.uint32(16))) * np.uint32(0x85EBCA6B))
        mixed = np.uint32((mixed ^ (mixed >> np.uint32(13))) * np.uint32(0xC2B2AE35))
        mixed = np.uint32(mixed ^ (mixed >> np.uint32(16)))
        stretch[i] = np.int16(
            (np.int32(np.int32(mixed >> np.uint32(16)) - np.int32(32768)) * peak) >> np.int32(15)
        )
    leg.noise = np.uint32(count + np.uint32(end - begin))


@kernel
def _fill_tone(leg: Any, out: NDArray[np.int16], begin: int, end: int, factor: int) -> None:
    """Write the tone, its phase carried on over the stretches it fills."""
    phase = leg.tone_phase
    for i in range(begin, end):
        out[i] = (np.int64(_SINE[phase]) * leg.tone_peak) >> 15
        phase = (phase + 2 // factor) % _PERIOD
    leg.tone_phase = phase
