"""From verdicts on 15 ms windows to keys: when a key has begun, whether it goes on, when it has ended.

A run of valid windows becomes a key after 32.5 ms of tone (ITU-T Q.24: 40 ms is a key, 23 ms is none). A held key
outlives a break: up to 12 ms always, up to 26 ms if both tones come back in the phase that they would have reached
(a finger on a key does not restart the oscillators; the next press does). Lost samples are unknown: what lay in them
counts for a key that sounded at their edge, and never against one.
"""

from math import atan2, cos, pi, sin, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtmf_shield.media.dsp.kernel import vector_kernel
from dtmf_shield.media.dsp.leg_state import KEYS_PER_PACKET_MAX
from dtmf_shield.media.dsp.press_quality import count_ended, count_fragment, note_registered
from dtmf_shield.media.dsp.registration import HALF_S
from dtmf_shield.media.dsp.tables import (
    HOP_SAMPLES,
    KEY_CODES,
    RING_SAMPLES,
    SAMPLE_RATE_HZ,
    STEP_SAMPLES,
    TONE_HZ,
    WINDOW_SAMPLES,
)

SPAN_SAMPLES_MIN = 7 * STEP_SAMPLES  # from first to last valid window; with the window itself 32.5 ms
RUN_STEPS_MIN = 5  # pure windows among those 8; the others may be spoilt by speech
# Under speech: 42.5 ms with the first window, of which a tone of 23 ms gives 35.
IMPURE_SPAN_SAMPLES_MIN = 11 * STEP_SAMPLES
IMPURE_WINDOWS_MIN = 10  # of those 12
COHERENCE_MIN = 0.97  # length of the mean of their unit turns; 14 degrees of jitter
RUN_MISSES_MAX = 3  # windows in a row that show no sign of the key
# Where samples were lost at the edge of a tone, this much of it must have been heard: 25 ms; no tone of 23 ms does it.
LOSSY_TONE_SAMPLES_MIN = 200
LOST_SAMPLES_MAX = 480  # 60 ms, three packets; more silence than that is no part of a key

STEPS_TO_END = 14  # windows without the key: 35 ms, a pause of 26 ms and more
# A break of g ms keeps windows invalid for g + 9 to g + 14 ms: up to 12 ms nobody asks whether it was one.
RESUME_SAMPLES = 26 * SAMPLE_RATE_HZ // 1000
RESUME_STEPS = 3  # windows until that is judged: the first are not yet full of tone
# Frequency is known to 1 Hz after 40 ms, so phase to 0.25 rad over 40 ms; a new press is within the limit on both
# tones by luck in 5 % of cases.
RESUME_PHASE_MAX = 0.7
RESUME_POWER_SHARE_MIN = 0.5  # 3 dB below is an echo, not a finger

# Of the mean over a run; noise has averaged out, so nearer to what is asked (1.5 % + 2 Hz) than a single window.
RUN_FREQUENCY_SHARE_MAX = 0.018
RUN_FREQUENCY_HZ_MAX = 3.5

# A voice's partials swell and fade. Keys do not, but 6 dB of echo 20 ms late adds 3.5 dB or takes 6.
SWELL_DB_MAX = 8.0
# The nearest legal pair, 2 with the row 1.5 % and 2 Hz low and the column as much high, is 11 Hz short of an octave.
OCTAVE_HZ_MAX = 8.0
OVERTONE_DB_MAX = -15.0  # under the column tone; Q.23 asks a phone for 20 dB, noise at SNR 6 lies at -20

# The first valid window holds about 104 of its 120 samples of tone; the last one ends about 12 after the tone.
ONSET_BEFORE_FIRST_SAMPLES = 104
END_BEFORE_LAST_SAMPLES = 14

_HALF_SAMPLES = RING_SAMPLES // 2
_SWELL_MAX = 10.0 ** (SWELL_DB_MAX / 10.0)
_OVERTONE_MAX = 10.0 ** (OVERTONE_DB_MAX / 10.0)


@vector_kernel
def is_steady(leg: Any) -> bool:
    """Tell whether a key is held and nothing else is heard."""
    return bool(
        leg.open_key != 0 and leg.run_key == leg.open_key and leg.miss_steps == 0 and leg.run_misses == 0
    )


@vector_kernel
def count_step(leg: Any, verdict: int, position_samples: int, keys: NDArray[np.uint8], n_keys: int) -> int:
    """Take the verdict of `registration.judge_window` on the 15 ms before `position_samples`; return the keys so far.

    A key that registers now is written to keys[n_keys] as an ASCII code, its onset to key_onset_samples[n_keys].
    """
    after_gap = leg.gap_samples > 0 and leg.known_samples < RING_SAMPLES + STEP_SAMPLES
    if after_gap and leg.run_key != 0 and _ran_into_gap(leg, position_samples):
        _carry_over_gap(leg)
        if verdict != leg.run_key or not leg.is_pure:
            if leg.run_key != leg.open_key and _is_heard(leg, _tone_samples(leg.after_streak)):
                n_keys = _register(leg, keys, n_keys)
            leg.run_key = 0
            leg.run_resumes = 0
    _count_run(leg, verdict, position_samples, after_gap)
    if leg.open_key != 0:
        _count_held(leg, -verdict if verdict > 0 and not leg.is_pure else verdict, position_samples)
    new = leg.run_key != 0 and verdict == leg.run_key
    if new and leg.run_key != leg.open_key and _is_key(leg):
        n_keys = _register(leg, keys, n_keys)
    return n_keys


@vector_kernel
def _count_run(leg: Any, verdict: int, position_samples: int, after_gap: bool) -> None:
    """Begin, prolong or drop the run."""
    if verdict > 0:
        if verdict != leg.run_key:
            _begin_run(leg, verdict, position_samples, after_gap)
        leg.run_windows += 1
        leg.run_misses = 0
        leg.run_impure_last_samples = position_samples
        if leg.is_pure:
            if leg.run_steps == 0 and leg.run_before_samples == 0:
                leg.run_start_samples = position_samples
                paused = position_samples - leg.last_hit_samples >= RESUME_SAMPLES
                leg.run_resumes = int(verdict == leg.open_key and paused)
            leg.run_steps += 1
            leg.run_last_samples = position_samples
            _note_powers(leg)
        if verdict != leg.open_key or leg.run_resumes:
            _add_turns(leg, verdict, leg.run_turns)
    elif leg.run_key != 0 and verdict != -leg.run_key:
        leg.run_misses += 1
        if leg.run_misses > RUN_MISSES_MAX:
            if leg.run_last_samples - leg.run_start_samples < SPAN_SAMPLES_MIN:
                count_fragment(leg)
            leg.run_key = 0
            leg.run_resumes = 0


@vector_kernel
def _begin_run(leg: Any, key: int, position_samples: int, after_gap: bool) -> None:
    leg.run_key = key
    leg.run_steps = leg.run_windows = 0
    leg.run_start_samples = leg.run_impure_start_samples = position_samples
    leg.run_lost_samples = leg.run_before_samples = 0
    leg.run_turns[:] = 0.0
    leg.run_resumes = 0
    if after_gap and leg.gap_samples <= LOST_SAMPLES_MAX:
        leg.run_lost_samples = leg.gap_samples
        leg.run_before_samples = _tone_samples(leg.gap_streak)


@vector_kernel
def _tone_samples(streak_hops: int) -> int:
    """Return how much tone that many 5 ms windows in a row have seen."""
    return WINDOW_SAMPLES + HOP_SAMPLES * (streak_hops - 1) if streak_hops > 0 else 0


@vector_kernel
def _ran_into_gap(leg: Any, position_samples: int) -> bool:
    """Tell whether the run sounded to the edge of the gap that the last 15 ms follow, and the gap is short."""
    gap_at = position_samples - leg.known_samples - leg.gap_samples
    return bool(leg.run_impure_last_samples == gap_at and leg.gap_samples <= LOST_SAMPLES_MAX)


@vector_kernel
def _carry_over_gap(leg: Any) -> None:
    """Count what the run has heard as heard before the gap."""
    leg.run_before_samples += max(_pure_samples(leg), _tone_samples(leg.gap_streak))
    leg.run_lost_samples += leg.gap_samples
    leg.run_steps = 0


@vector_kernel
def _pure_samples(leg: Any) -> int:
    """Return how much tone the run's pure windows have seen since it began or the last gap."""
    return RING_SAMPLES + STEP_SAMPLES * (leg.run_steps - 1) if leg.run_steps > 0 else 0


@vector_kernel
def _is_heard(leg: Any, after_samples: int) -> bool:
    """Tell whether a run at the edge of a gap has heard enough tone, with `after_samples` more behind the gap."""
    return bool(leg.run_lost_samples > 0 and leg.run_before_samples + after_samples >= LOSSY_TONE_SAMPLES_MIN)


@vector_kernel
def _is_key(leg: Any) -> bool:
    """Tell whether the run is long enough and on frequency."""
    span = leg.run_last_samples - leg.run_start_samples
    impure_span = leg.run_impure_last_samples - leg.run_impure_start_samples
    long_enough = (span >= SPAN_SAMPLES_MIN and leg.run_steps >= RUN_STEPS_MIN) or (
        impure_span >= IMPURE_SPAN_SAMPLES_MIN
        and leg.run_windows >= IMPURE_WINDOWS_MIN
        and leg.run_steps >= 1
        and _is_coherent(leg)
    )
    if not long_enough and not _is_heard(leg, _pure_samples(leg)):
        return False
    row, column = (leg.run_key - 1) // 4, 4 + (leg.run_key - 1) % 4
    turns = leg.run_turns
    return (
        _turn_allowed(row, turns[0], turns[1])
        and _turn_allowed(column, turns[2], turns[3])
        and _is_level(leg)
        and not _is_octave(leg, row, column)
        and not _has_overtone(leg, column)
    )


@vector_kernel
def _is_coherent(leg: Any) -> bool:
    """Tell whether both tones turned alike in all windows of the run, as no voice does."""
    turns, needed = leg.run_turns, COHERENCE_MIN * leg.run_windows
    return bool(turns[0] ** 2 + turns[1] ** 2 > needed**2 and turns[2] ** 2 + turns[3] ** 2 > needed**2)


@vector_kernel
def _note_powers(leg: Any) -> None:
    """Keep the least and the most of either tone's power."""
    powers = leg.run_powers
    first = leg.run_steps == 1
    powers[0] = leg.row_power if first else min(powers[0], leg.row_power)
    powers[1] = leg.row_power if first else max(powers[1], leg.row_power)
    powers[2] = leg.column_power if first else min(powers[2], leg.column_power)
    powers[3] = leg.column_power if first else max(powers[3], leg.column_power)


@vector_kernel
def _is_level(leg: Any) -> bool:
    """Tell whether both tones kept their level over the run's pure windows."""
    powers = leg.run_powers
    return bool(powers[1] <= _SWELL_MAX * powers[0] and powers[3] <= _SWELL_MAX * powers[2])


@vector_kernel
def _frequency_hz(leg: Any, tone: int, at: int) -> float:
    """Return the mean frequency over the run of the tone whose turns lie at `at`."""
    return float(TONE_HZ[tone] + atan2(leg.run_turns[at + 1], leg.run_turns[at]) / (2.0 * pi * HALF_S))


@vector_kernel
def _is_octave(leg: Any, row: int, column: int) -> bool:
    """Tell whether the column tone is twice the row tone: partials of one voice (Q.23 has no such pair)."""
    return bool(abs(_frequency_hz(leg, column, 2) - 2.0 * _frequency_hz(leg, row, 0)) < OCTAVE_HZ_MAX)


@vector_kernel
def _has_overtone(leg: Any, column: int) -> bool:
    """Tell whether twice the column's frequency sounds as well, in the 15 ms last judged.

    Twice the row's lies too near to the columns to be told from them in that time.
    """
    turn = 4.0 * pi * _frequency_hz(leg, column, 2) / SAMPLE_RATE_HZ
    step_re, step_im = cos(turn), sin(turn)
    re, im, power_re, power_im = 1.0, 0.0, 0.0, 0.0
    for at in range(leg.judged_end - RING_SAMPLES, leg.judged_end):
        sample = float(leg.samples[at])
        power_re += sample * re
        power_im += sample * im
        re, im = re * step_re - im * step_im, re * step_im + im * step_re
    return bool(power_re * power_re + power_im * power_im > _OVERTONE_MAX * leg.column_power)


@vector_kernel
def _turn_allowed(tone: int, re: float, im: float) -> bool:
    """Tell whether a mean turn between the halves is within the frequency limits of a run."""
    limit_hz = RUN_FREQUENCY_SHARE_MAX * TONE_HZ[tone] + RUN_FREQUENCY_HZ_MAX
    return bool(abs(atan2(im, re)) < 2.0 * pi * HALF_S * limit_hz)


@vector_kernel
def _register(leg: Any, keys: NDArray[np.uint8], n_keys: int) -> int:
    """Make the run a key, held from now on; return the number of keys."""
    if leg.open_key != 0:
        _end_key(leg)
    leg.open_key = leg.run_key
    leg.open_turns[:] = leg.run_turns
    leg.miss_steps = 0
    leg.run_resumes = 0
    _note_hit(leg, leg.run_impure_last_samples)
    leg.keys_registered += 1
    leg.key_row_energy = leg.row_power
    leg.key_column_energy = leg.column_power
    onset = _onset_samples(leg)
    note_registered(leg, onset)
    if n_keys == KEYS_PER_PACKET_MAX:
        return n_keys
    keys[n_keys] = KEY_CODES[leg.run_key - 1]
    leg.key_onset_samples[n_keys] = onset
    return n_keys + 1


@vector_kernel
def _onset_samples(leg: Any) -> int:
    """Return where the run began, back-dated."""
    onset = leg.run_start_samples if leg.run_steps >= RUN_STEPS_MIN else leg.run_impure_start_samples
    if leg.run_before_samples > 0:
        onset -= leg.run_lost_samples + leg.run_before_samples
    return int(max(0, onset - ONSET_BEFORE_FIRST_SAMPLES))


@vector_kernel
def _count_held(leg: Any, verdict: int, position_samples: int) -> None:
    """Prolong or end the held key."""
    if leg.run_resumes:
        if leg.run_steps >= RESUME_STEPS or leg.run_windows > 2 * RESUME_STEPS:
            leg.run_resumes = 0
            if _goes_on(leg, position_samples):
                _note_hit(leg, position_samples)
            else:
                _end_key(leg)
    elif verdict == leg.open_key:
        _add_turns(leg, verdict, leg.open_turns)
        _note_hit(leg, position_samples)
    elif verdict == -leg.open_key and position_samples - leg.last_hit_samples < RESUME_SAMPLES:
        leg.miss_steps = 0
    elif verdict != -leg.open_key:
        leg.miss_steps += 1
        if leg.miss_steps >= STEPS_TO_END:
            _end_key(leg)


@vector_kernel
def _goes_on(leg: Any, position_samples: int) -> bool:
    """Tell whether the resumed tones are the held key's: weaker as an echo is, or in its phase."""
    if leg.row_power + leg.column_power < RESUME_POWER_SHARE_MIN * leg.open_power:
        return True
    elapsed = position_samples - leg.last_hit_samples
    row, column = (leg.open_key - 1) // 4, 4 + (leg.open_key - 1) % 4
    return _in_phase(leg, row, 0, elapsed) and _in_phase(leg, column, 2, elapsed)


@vector_kernel
def _in_phase(leg: Any, tone: int, at: int, elapsed_samples: int) -> bool:
    """Tell whether the tone whose phase and turns lie at `at` has reached the phase foreseen `elapsed_samples` ago."""
    turns, phases = leg.open_turns, leg.open_phases
    advance = 2.0 * pi * ((TONE_HZ[tone] * elapsed_samples) % SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    advance += atan2(turns[at + 1], turns[at]) / _HALF_SAMPLES * elapsed_samples
    re, im = leg.older_re[tone] + leg.newer_re[tone], leg.older_im[tone] + leg.newer_im[tone]
    foreseen_re = phases[at] * cos(advance) - phases[at + 1] * sin(advance)
    foreseen_im = phases[at] * sin(advance) + phases[at + 1] * cos(advance)
    error = atan2(im * foreseen_re - re * foreseen_im, re * foreseen_re + im * foreseen_im)
    return bool(abs(error) < RESUME_PHASE_MAX)


@vector_kernel
def _note_hit(leg: Any, position_samples: int) -> None:
    """Keep time, phases and power of the held key's last valid window, which is the one last judged."""
    row, column = (leg.open_key - 1) // 4, 4 + (leg.open_key - 1) % 4
    phases = leg.open_phases
    phases[0], phases[1] = leg.older_re[row] + leg.newer_re[row], leg.older_im[row] + leg.newer_im[row]
    phases[2] = leg.older_re[column] + leg.newer_re[column]
    phases[3] = leg.older_im[column] + leg.newer_im[column]
    leg.open_power = leg.row_power + leg.column_power
    leg.miss_steps = 0
    leg.last_hit_samples = position_samples


@vector_kernel
def _add_turns(leg: Any, key: int, turns: Any) -> None:
    """Add the turn between the halves of the key's two tones, as numbers of size 1."""
    for part in range(2):
        tone = (key - 1) // 4 if part == 0 else 4 + (key - 1) % 4
        re1, im1, re2, im2 = leg.older_re[tone], leg.older_im[tone], leg.newer_re[tone], leg.newer_im[tone]
        scale = 1.0 / max(1e-9, sqrt((re1 * re1 + im1 * im1) * (re2 * re2 + im2 * im2)))
        turns[2 * part] += (re2 * re1 + im2 * im1) * scale
        turns[2 * part + 1] += (im2 * re1 - re2 * im1) * scale


@vector_kernel
def _end_key(leg: Any) -> None:
    """Close the held key at its last valid window."""
    leg.key_end_samples = leg.last_hit_samples - END_BEFORE_LAST_SAMPLES
    leg.keys_ended += 1
    count_ended(leg, leg.key_end_samples)
    leg.open_key = 0
    leg.miss_steps = 0
