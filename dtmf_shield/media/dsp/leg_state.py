"""The whole state of one shielded leg as one record of fixed size: all-zero bytes are a fresh leg.

A table of n legs is `numpy.zeros(n, SHIELD_STATE_DTYPE)` (or a view of locked memory of that size). Every field is
red: it holds caller audio or what was heard in it. Positions, onsets and ends count samples at 8 kHz from the leg's
first, for 16 kHz legs too.
"""

import numpy as np
from numpy.typing import NDArray

from dtmf_shield.media.dsp.kernel import kernel
from dtmf_shield.media.dsp.tables import HOP_SAMPLES, N_TONES, STEP_SAMPLES, WINDOW_HOPS, WINDOW_SAMPLES

CHUNK_SAMPLES = 160  # a packet is worked through in chunks of at most 20 ms
CHUNK_HOPS = CHUNK_SAMPLES // HOP_SAMPLES
CHUNK_STEPS = CHUNK_SAMPLES // STEP_SAMPLES
FRAGMENT_HOPS = 8 + CHUNK_HOPS  # 5 ms before what is held back, that, and this chunk
N_HOPS = 2 * CHUNK_HOPS  # the last 20 ms and this chunk
HOLD_BACK_SAMPLES = WINDOW_SAMPLES  # 5 ms: what must be heard before a tone is told is what must be held
HELD_SAMPLES_MAX = 2 * HOLD_BACK_SAMPLES  # the same 5 ms at 16 kHz
N_FEATURES = 7  # of a suspicion window
KEYS_PER_PACKET_MAX = 4  # a key takes at least 31 ms to register, a packet has at most 60 ms
SEGMENTS_PER_PACKET_MAX = 8  # two mutes lie at least 10 ms apart, a packet has at most 60 ms

ShieldState = NDArray[np.void]
"""Records of `SHIELD_STATE_DTYPE`, shape (n_rows,)."""

SHIELD_STATE_DTYPE = np.dtype(
    [
        # What every packet touches comes first: a thousand legs do not fit into the nearest caches.
        ("position_samples", np.int64),  # samples received or concealed so far
        ("known_samples", np.int64),  # samples received since the last gap
        ("mute_until_samples", np.int64),
        ("sustain_until_samples", np.int64),
        ("suspected_until_samples", np.int64),  # a suspect hop up to here belongs to the tone that is heard
        ("mute_opened_samples", np.int64),  # where the mute for that tone began
        ("masked_in_packet_samples", np.int64),  # at the leg's own rate
        # Of this chunk: bit h is set where the 5 ms that end with hop h are suspect.
        ("suspect_hops", np.uint32),
        ("mute_suspects", np.int32),  # suspect hops of the tone that is heard
        ("key_sounds", np.int32),  # 1 where the last packet held a tone that is surely one
        ("segments", np.int32),  # how many stretches of the last packet were replaced
        # What replaces (dsp/filler.py). The first four are settings: a reset keeps them.
        ("style", np.int32),
        ("noise_peak", np.int32),
        ("tone_peak", np.int32),
        ("echo_hold_samples", np.int32),  # 0 for the default, -1 for none
        ("noise", np.uint32),
        ("tone_phase", np.int32),
        ("beep_left", np.int32),  # at 16 kHz, for 8 kHz legs too
        ("beep_asked_samples", np.int64),
        ("beep_barred_until_samples", np.int64),
        ("filled_until_samples", np.int64),
        ("run_key", np.int32),  # 1 + key index of the run of valid steps that may become a key, 0 for none
        ("open_key", np.int32),  # 1 + key index of the key held now, 0 for none
        ("hops_known", np.int32),  # 0: the history was screened out, its hops are computed when asked for
        ("fragment_pending", np.int32),  # 1: a burst has begun in what is held back
        ("tone_streak", np.int32),  # hops in a row whose 5 ms window looked like tones
        ("tone_samples", np.int32),  # of the tone that suspicion mutes now, in a capture
        ("tone_loudest", np.float32),  # energy of its loudest 2.5 ms
        ("tone_is_key", np.int32),  # 1 where it has been counted as a press
        ("half_band", np.float64, (6,)),  # filter of a 16 kHz leg
        ("held", np.int16, (HELD_SAMPLES_MAX,)),  # raw audio not yet sent, at the leg's own rate
        # 20 ms of history, then this chunk, at 8 kHz. Hops and steps are numbered from the history's start.
        ("samples", np.int16, (2 * CHUNK_SAMPLES + 2 * N_TONES,)),  # read sixteen at a time
        ("step_energies", np.float32, (2 * CHUNK_STEPS,)),  # of 2.5 ms
        ("step_lags", np.float32, (2 * CHUNK_STEPS,)),  # sums of x[n] * x[n - 1]
        # Of the 5 ms that end with each step: energy, and that of the strongest row and column tone, each by itself.
        ("window_energies", np.float32, (2 * CHUNK_STEPS,)),
        ("block", np.float32, (64,)),  # scratch: eight rows on their way to being columns
        ("window_rows", np.float32, (2 * CHUNK_STEPS,)),
        ("window_columns", np.float32, (2 * CHUNK_STEPS,)),
        ("folded", np.float32, (N_TONES,)),  # scratch: lanes about to be summed
        ("hops_re", np.float32, (N_HOPS * N_TONES,)),
        ("hops_im", np.float32, (N_HOPS * N_TONES,)),
        # The windows that end in the middle of each step of this chunk; in a capture only.
        ("between_energies", np.float32, (CHUNK_STEPS,)),
        ("between_rows", np.float32, (CHUNK_STEPS,)),
        ("between_columns", np.float32, (CHUNK_STEPS,)),
        ("hop_energies", np.float32, (WINDOW_HOPS + FRAGMENT_HOPS,)),  # the first four stay zero
        # Exact fit of one 5 ms window.
        ("u", np.float32, (N_TONES,)),
        ("v", np.float32, (N_TONES,)),
        ("window_energy", np.float32),
        ("window_explained", np.float32),
        ("window_row_energy", np.float32),
        ("window_column_energy", np.float32),
        # Energy of the second strongest tone of either group, each by itself.
        ("window_second_row", np.float32),
        ("window_second_column", np.float32),
        ("features", np.float32, (N_FEATURES + 1,)),  # of its suspicion; the last one is 1
        # Registration: the 7.5 ms sums of the 15 ms last judged, and what was found in them.
        ("older_re", np.float32, (N_TONES,)),
        ("older_im", np.float32, (N_TONES,)),
        ("newer_re", np.float32, (N_TONES,)),
        ("newer_im", np.float32, (N_TONES,)),
        ("row_power", np.float32),  # (|A1| + |A2|)^2 of the verdict's tones
        ("column_power", np.float32),
        ("pair_energy", np.float32),  # of the 15 ms they were found in: sum of squares
        ("is_pure", np.int32),  # 1 where they are nearly all there is
        ("judged_end", np.int32),  # index into `samples` just behind those 15 ms
        # The run.
        ("run_steps", np.int32),  # pure windows
        ("run_windows", np.int32),  # pure and impure ones
        ("run_misses", np.int32),  # windows since that were no key at all
        ("run_start_samples", np.int64),  # end of its first pure window
        ("run_last_samples", np.int64),  # end of its last one
        ("run_impure_start_samples", np.int64),  # end of its first window of either kind
        ("run_impure_last_samples", np.int64),
        ("run_lost_samples", np.int64),  # lost at its beginning: they may have been tone
        ("run_before_samples", np.int64),  # of tone, heard before that loss
        ("run_turns", np.float64, (4,)),  # sums of A2 * conj(A1) / |A1||A2|: row re, im, column re, im
        ("run_powers", np.float64, (4,)),  # least and most of its pure windows: row, column
        (
            "run_resumes",
            np.int32,
        ),  # 1 while it is open whether this is the held key going on or pressed again
        # The held key.
        ("open_turns", np.float64, (4,)),  # as run_turns, of all its valid steps
        ("open_phases", np.float64, (4,)),  # A1 + A2 of its last valid window: row re, im, column re, im
        ("open_power", np.float64),  # of both tones in that window
        ("miss_steps", np.int32),
        ("last_hit_samples", np.int64),
        ("open_onset_samples", np.int64),
        ("open_signs", np.int32),  # press_quality.SIGN_WEAK, SIGN_NOISY
        # Dial tone: mean square of its last chunk, and when the high-pass was engaged (0: it is not); how long it has
        # been steady, or gone; how long something else has sounded.
        ("dial_last", np.float64),
        ("dial_energy", np.float64),
        ("dial_samples", np.int32),
        ("dial_other_samples", np.int32),
        ("high_pass", np.float64, (6,)),
        # Loss.
        ("gap_samples", np.int64),  # lost before what is known now
        ("gap_streak", np.int32),  # tone_streak when the gap came
        ("after_streak", np.int32),  # the same of the hops right behind it
        # Of the keys of this packet, back-dated.
        ("key_onset_samples", np.int64, (KEYS_PER_PACKET_MAX,)),
        ("key_row_energy", np.float32),  # of the key registered last, at its registration
        ("key_column_energy", np.float32),
        ("key_end_samples", np.int64),  # of the key that ended last
        ("keys_ended", np.int64),
        ("keys_registered", np.int64),
        # Presses that have ended, and how many of them were cut short, weak, in noise.
        ("presses", np.int64),
        ("presses_short", np.int64),
        ("presses_weak", np.int64),
        ("presses_noisy", np.int64),
        # Which stretches of the last packet were replaced: [begin, end), at its own rate.
        ("segment_begins", np.int32, (SEGMENTS_PER_PACKET_MAX,)),
        ("segment_ends", np.int32, (SEGMENTS_PER_PACKET_MAX,)),
    ],
    align=True,
)


@kernel
def reset_row(state: ShieldState, row: int) -> None:
    """Wipe `row`: audio, counters and mask; the leg is then as new, its settings kept."""
    leg = state[row]
    style, noise_peak, tone_peak, hold = leg.style, leg.noise_peak, leg.tone_peak, leg.echo_hold_samples
    octets = state[row : row + 1].view(np.uint8)
    octets[:] = 0
    leg.style = style
    leg.noise_peak = noise_peak
    leg.tone_peak = tone_peak
    leg.echo_hold_samples = hold


@kernel
def key_onset_samples(state: ShieldState, row: int, index: int) -> int:
    """Return where key `index` of the last packet began, in samples since the leg's first, back-dated."""
    return int(state[row].key_onset_samples[index])
