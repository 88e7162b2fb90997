"""Registration: the strict test that makes a key of a tone pair (ITU-T Q.23, limits of Q.24 in the AT&T column).

Judged every 2.5 ms on the last 15 ms. Removal does not wait for it: see `suspicion.py`.
"""

from math import atan2, pi, sqrt
from typing import Any

from dtmf_shield.media.dsp.kernel import vector_kernel
from dtmf_shield.media.dsp.leg_state import KEYS_PER_PACKET_MAX, RING_SAMPLES, RING_STEPS
from dtmf_shield.media.dsp.levels import mean_square
from dtmf_shield.media.dsp.tables import N_TONES, SAMPLE_RATE_HZ, TONE_HZ

HALF_S = 0.5 * RING_SAMPLES / SAMPLE_RATE_HZ

LEVEL_DBM0_MIN = -42.0  # AT&T: accept to -25 dBm a tone; 17 dB of head room for lossy lines
LEVEL_TONE_DBM0_MIN = -48.0
PURITY_MIN = 0.80  # share of energy in the two tones; SNR 15 dB gives 0.97, half a cycle off frequency 0.88
TWIST_ROW_OVER_COLUMN_DB_MAX = 12.0  # AT&T asks for 8; noise at SNR 15 dB moves the weak tone by 3
TWIST_COLUMN_OVER_ROW_DB_MAX = 9.0  # AT&T asks for 4, ETSI for 6
PEAK_DB_MIN = 6.0  # over every other tone of the group; rows are 73 Hz apart, 15 ms resolves 67 Hz
# Accept +-1.5 % and 2 Hz (AT&T), reject +-3.5 %; noise at SNR 15 dB needs the rest.
FREQUENCY_SHARE_MAX = 0.025
FREQUENCY_HZ_MAX = 2.0
STEPS_TO_REGISTER = 8  # 15 ms window + 7 * 2.5 ms: accepts 40 ms, refuses 23 ms
RUN_MISSES_MAX = 2  # consecutive steps without verdict that a run outlives: a noise peak in a 40 ms key
STEPS_TO_END = 14  # 35 ms: a 10 ms break stays one key, a 40 ms pause (less 9 ms of window) makes two
EXPLAINED_MIN = 0.70  # of the three 5 ms fits inside the window: an early exit, laxer than PURITY_MIN implies
WEAKER_SHARE_MIN = 0.02  # of the weaker tone in those fits: another; the twist limits leave it 0.047 of 15 ms

# The first valid window holds about 104 of its 120 samples of tone; the last one ends about 12 after the tone.
ONSET_BEFORE_FIRST_SAMPLES = 104
END_BEFORE_LAST_SAMPLES = 14

_ENERGY_MIN = RING_SAMPLES * mean_square(LEVEL_DBM0_MIN)
_TONE_POWER_MIN = 0.5 * RING_SAMPLES**2 * mean_square(LEVEL_TONE_DBM0_MIN)
_ROW_OVER_COLUMN_MAX = 10.0 ** (TWIST_ROW_OVER_COLUMN_DB_MAX / 10.0)
_COLUMN_OVER_ROW_MAX = 10.0 ** (TWIST_COLUMN_OVER_ROW_DB_MAX / 10.0)
_PEAK_RATIO_MAX = 10.0 ** (-PEAK_DB_MIN / 10.0)


@vector_kernel
def judge_window(leg: Any, energy: float) -> int:
    """Return 1 + the key whose tones fill the 15 ms in `halves`, or 0. `energy` is the window's sum of squares."""
    halves = leg.halves
    row, column = 0, 4
    row_power = column_power = -1.0
    for k in range(4):
        power = halves[0, k] ** 2 + halves[0, k + 8] ** 2 + halves[1, k] ** 2 + halves[1, k + 8] ** 2
        if power > row_power:
            row, row_power = k, power
        power = (
            halves[0, k + 4] ** 2 + halves[0, k + 12] ** 2 + halves[1, k + 4] ** 2 + halves[1, k + 12] ** 2
        )
        if power > column_power:
            column, column_power = k + 4, power
    leg.halves_explained = 4.0 * (row_power + column_power) / RING_SAMPLES
    if leg.halves_explained <= PURITY_MIN * energy:
        return 0
    row_power = _spread_power(halves, row)
    column_power = _spread_power(halves, column)
    if 2.0 * (row_power + column_power) <= PURITY_MIN * RING_SAMPLES * energy:
        return 0
    if row_power > _ROW_OVER_COLUMN_MAX * column_power or column_power > _COLUMN_OVER_ROW_MAX * row_power:
        return 0
    if min(row_power, column_power) < _TONE_POWER_MIN:
        return 0
    if not (_is_peak(halves, row, row_power) and _is_peak(halves, column, column_power)):
        return 0
    if not (_on_frequency(halves, row) and _on_frequency(halves, column)):
        return 0
    leg.row_energy = row_power
    leg.column_energy = column_power
    return 1 + 4 * row + column - 4


@vector_kernel
def _spread_power(halves: Any, k: int) -> float:
    """Return (|A1| + |A2|)^2 of tone k: keeps the energy of a tone slightly off frequency."""
    older = sqrt(halves[0, k] ** 2 + halves[0, N_TONES + k] ** 2)
    newer = sqrt(halves[1, k] ** 2 + halves[1, N_TONES + k] ** 2)
    return float((older + newer) ** 2)


@vector_kernel
def _is_peak(halves: Any, k: int, power: float) -> bool:
    """Tell whether the 15 ms sum of every other tone of k's group lies PEAK_DB_MIN below `power`."""
    first = (k // 4) * 4
    for other in range(first, first + 4):
        re = halves[0, other] + halves[1, other]
        im = halves[0, N_TONES + other] + halves[1, N_TONES + other]
        if other != k and re * re + im * im >= _PEAK_RATIO_MAX * power:
            return False
    return True


@vector_kernel
def _on_frequency(halves: Any, k: int) -> bool:
    """Tell whether tone k turns between the halves by no more than the accepted frequency error allows."""
    re1, im1 = halves[0, k], halves[0, N_TONES + k]
    re2, im2 = halves[1, k], halves[1, N_TONES + k]
    turn = atan2(im2 * re1 - re2 * im1, re2 * re1 + im2 * im1)
    return bool(abs(turn) < 2.0 * pi * HALF_S * (FREQUENCY_SHARE_MAX * TONE_HZ[k] + FREQUENCY_HZ_MAX))


@vector_kernel
def window_energy(leg: Any) -> float:
    """Return the sum of squares of the 15 ms in the ring."""
    energies = leg.ring_energies
    return float(energies[0] + energies[1] + energies[2] + energies[3] + energies[4] + energies[5])


@vector_kernel
def worth_judging(leg: Any, slot: int, energy: float) -> bool:
    """Tell by level and by the three 5 ms fits inside the window whether `judge_window` can say yes."""
    if energy <= _ENERGY_MIN:
        return False
    explained, weaker = leg.ring_explained, leg.ring_weaker
    second, third = (slot + 4) % RING_STEPS, (slot + 2) % RING_STEPS
    if explained[slot] + explained[second] + explained[third] <= EXPLAINED_MIN * energy:
        return False
    return bool(weaker[slot] + weaker[second] + weaker[third] > WEAKER_SHARE_MIN * energy)


@vector_kernel
def count_step(leg: Any, key: int, position_samples: int, keys: Any, n_keys: int, key_codes: Any) -> int:
    """Advance the counters by one judged step with verdict `key` (0 for none); return the new number of keys.

    A key that registers now is written to keys[n_keys] as an ASCII code, its onset to key_onset_samples[n_keys].
    """
    if key != 0:
        if key != leg.run_key:
            leg.run_key = key
            leg.run_steps = 0
            leg.run_start_samples = position_samples
        leg.run_steps += 1
        leg.run_misses = 0
    elif leg.run_key != 0:
        leg.run_misses += 1
        if leg.run_misses > RUN_MISSES_MAX:
            leg.run_key = 0
            leg.run_steps = 0
    if leg.open_key != 0:
        if key == leg.open_key:
            leg.miss_steps = 0
            leg.last_hit_samples = position_samples
        else:
            leg.miss_steps += 1
            if leg.miss_steps >= STEPS_TO_END:
                _end_key(leg)
    if leg.run_steps >= STEPS_TO_REGISTER and leg.run_key != leg.open_key:
        if leg.open_key != 0:
            _end_key(leg)
        leg.open_key = leg.run_key
        leg.miss_steps = 0
        leg.last_hit_samples = position_samples
        leg.keys_registered += 1
        leg.key_row_energy = leg.row_energy
        leg.key_column_energy = leg.column_energy
        if n_keys < KEYS_PER_PACKET_MAX:
            keys[n_keys] = key_codes[leg.run_key - 1]
            leg.key_onset_samples[n_keys] = max(0, leg.run_start_samples - ONSET_BEFORE_FIRST_SAMPLES)
            n_keys += 1
    return n_keys


@vector_kernel
def _end_key(leg: Any) -> None:
    """Close the held key at its last valid window."""
    leg.key_end_samples = leg.last_hit_samples - END_BEFORE_LAST_SAMPLES
    leg.keys_ended += 1
    leg.open_key = 0
    leg.miss_steps = 0
