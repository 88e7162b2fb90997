"""How presses arrived: cut short, weak or in noise. For hints about the line (session/hints.py), never about a key.

A press is judged when it ends, a tone that never became a key when it stops. The figures stay in the leg's record:
what is counted is only how many presses passed which limit. Judges nothing while a tone sounds.
"""

from math import atan2, sin
from typing import Any, Final

from dtmf_shield.media.dsp.kernel import vector_kernel
from dtmf_shield.media.dsp.leg_state import CHUNK_STEPS
from dtmf_shield.media.dsp.levels import mean_square
from dtmf_shield.media.dsp.tables import RING_SAMPLES, SAMPLE_RATE_HZ, STEP_SAMPLES

SHORT_TONE_MS_MAX: Final = 45
"""A key is told from 40 ms on (ITU-T Q.24) and its length known to 4 ms: 42 ms always fall below, 50 ms never do."""
FRAGMENT_WINDOWS_MIN: Final = 2
"""Pure windows of 15 ms of a tone too short to register: 18 ms of tone. In speech shorter ones are found as well."""
WEAK_TONE_DBM0_MAX: Final = -36.0
"""Mean of both tones. A phone in order arrives above -25 (AT&T) to -30 dBm0; registration needs -45 of a tone."""
KEY_SNR_DB_MIN: Final = 10.5
"""Both tones over all else in 15 ms. SNR 15 dB (AT&T's limit) measures 10.8 and more, SNR 8 dB at most 10.4 in nine of
ten; a clean key 13, as its two tones do not part fully in 15 ms; GSM full rate 10.7."""
FAINT_TONE_SAMPLES_MIN: Final = 60 * SAMPLE_RATE_HZ // 1000
"""Of suspected tone below all registration, in whole chunks: a tone of 50 ms sounds in three of 20 ms, quiet speech is
suspected in two at most."""
FAINT_STEP_DBM0_MAX: Final = -39.0
"""Of its loudest 2.5 ms: registration begins at -42 for both tones, and where they add up they are 3 dB louder."""

SIGN_WEAK: Final = 1
SIGN_NOISY: Final = 2

_SHORT_SAMPLES_MAX = SHORT_TONE_MS_MAX * SAMPLE_RATE_HZ // 1000
_WEAK_POWER = 0.5 * RING_SAMPLES**2 * mean_square(WEAK_TONE_DBM0_MAX)
_SIGNAL_SHARE_MIN = 1.0 / (1.0 + 10.0 ** (-KEY_SNR_DB_MIN / 10.0))
_FAINT_STEP_ENERGY_MAX = STEP_SAMPLES * mean_square(FAINT_STEP_DBM0_MAX)


@vector_kernel
def note_registered(leg: Any, onset_samples: int) -> None:
    """Keep of the key that registers now where it began and which limits of level and noise it passed."""
    leg.open_onset_samples = onset_samples
    leg.tone_is_key = 1
    weak = float(leg.row_power) * float(leg.column_power) < _WEAK_POWER**2
    row = leg.row_power / _slope_loss(leg.run_turns[0], leg.run_turns[1])
    column = leg.column_power / _slope_loss(leg.run_turns[2], leg.run_turns[3])
    noisy = 2.0 * (row + column) < _SIGNAL_SHARE_MIN * RING_SAMPLES * leg.pair_energy
    leg.open_signs = SIGN_WEAK * int(weak) + SIGN_NOISY * int(noisy)


@vector_kernel
def count_ended(leg: Any, end_samples: int) -> None:
    """Count the registered key that ended at `end_samples`."""
    noisy = leg.open_signs & SIGN_NOISY != 0
    leg.presses += 1
    leg.presses_noisy += int(noisy)
    leg.presses_weak += int(leg.open_signs & SIGN_WEAK != 0)
    # Noise hides a tone's end: the length of such a press says nothing.
    leg.presses_short += int(not noisy and end_samples - leg.open_onset_samples <= _SHORT_SAMPLES_MAX)


@vector_kernel
def count_fragment(leg: Any) -> None:
    """Count a run that stopped before it was a key, where it was surely of two tones and no packet was lost in it."""
    if leg.run_key != leg.open_key and leg.run_lost_samples == 0 and leg.run_steps >= FRAGMENT_WINDOWS_MIN:
        leg.presses += 1
        leg.presses_short += 1
        leg.tone_is_key = 1  # counted: the tone is not also one that was too weak


@vector_kernel
def follow_tone(leg: Any, n: int) -> None:
    """Follow over the chunk of n samples last heard a tone that suspicion mutes; count one too weak to register.

    Asked in a capture only: elsewhere suspicion does not hear what is weaker than keys that register.
    """
    if leg.key_sounds != 0:
        leg.tone_samples += n
        for step in range(CHUNK_STEPS, CHUNK_STEPS + n // STEP_SAMPLES):
            leg.tone_loudest = max(leg.tone_loudest, leg.step_energies[step])
        return
    faint = leg.tone_loudest <= _FAINT_STEP_ENERGY_MAX and leg.tone_samples >= FAINT_TONE_SAMPLES_MIN
    if faint and leg.tone_is_key == 0:
        leg.presses += 1
        leg.presses_weak += 1
    leg.tone_samples = 0
    leg.tone_loudest = 0.0
    leg.tone_is_key = 0


@vector_kernel
def _slope_loss(re: float, im: float) -> float:
    """Return which share of its power a tone off its frequency shows in windows of 7.5 ms: sinc^2 of half its turn."""
    half_turn = 0.5 * atan2(im, re)
    if abs(half_turn) < 1e-6:
        return 1.0
    return float((sin(half_turn) / half_turn) ** 2)
