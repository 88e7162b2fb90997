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
RING_STEPS = 6  # of registration
RING_SAMPLES = RING_STEPS * STEP_SAMPLES  # 15 ms
HOLD_BACK_SAMPLES = WINDOW_SAMPLES  # 5 ms: what must be heard before a tone is told is what must be held
HELD_SAMPLES_MAX = 2 * HOLD_BACK_SAMPLES  # the same 5 ms at 16 kHz
N_FEATURES = 7  # of a suspicion window
KEYS_PER_PACKET_MAX = 4  # a key takes at least 31 ms to register, a packet has at most 60 ms
SEGMENTS_PER_PACKET_MAX = 8  # two mutes lie at least 10 ms apart, a packet has at most 60 ms

ShieldState = NDArray[np.void]
"""Records of `SHIELD_STATE_DTYPE`, shape (n_rows,)."""

SHIELD_STATE_DTYPE = np.dtype(
    [
        # Stream.
        ("position_samples", np.int64),  # samples received or concealed so far
        ("known_samples", np.int64),  # samples received since the last gap
        ("held", np.int16, (HELD_SAMPLES_MAX,)),  # raw audio not yet sent, at the leg's own rate
        ("half_band", np.float64, (6,)),  # filter of a 16 kHz leg
        ("heard", np.int16, (CHUNK_SAMPLES,)),  # this chunk at 8 kHz
        # Front end: the last 4 hops, then those of this chunk.
        ("samples", np.float32, (CHUNK_SAMPLES,)),
        ("hops", np.float32, (WINDOW_HOPS + CHUNK_HOPS, 2 * N_TONES)),
        ("hop_energies", np.float32, (WINDOW_HOPS + CHUNK_HOPS,)),
        ("hop_lags", np.float32, (WINDOW_HOPS + CHUNK_HOPS,)),  # sums of x[n] * x[n - 1]
        ("last_sample", np.float32),
        ("coordinates", np.float32, (2, N_TONES)),
        # What the last judged 5 ms window looked like.
        ("window_energy", np.float32),
        ("window_explained", np.float32),
        ("window_row_energy", np.float32),
        ("window_column_energy", np.float32),
        # Energy of the second strongest tone of either group, each by itself.
        ("window_second_row", np.float32),
        ("window_second_column", np.float32),
        ("features", np.float32, (N_FEATURES,)),
        # Registration: the last 6 steps of 2.5 ms at absolute phase, and the counters.
        ("ring", np.float32, (RING_STEPS, 2 * N_TONES)),
        ("ring_energies", np.float32, (RING_STEPS,)),
        ("ring_explained", np.float32, (RING_STEPS,)),
        ("ring_weaker", np.float32, (RING_STEPS,)),
        ("halves", np.float32, (2, 2 * N_TONES)),
        ("halves_explained", np.float32),  # energy of the best tone pair of the last judged 15 ms
        ("row_energy", np.float32),  # of the last valid 15 ms window, (|A1| + |A2|)^2
        ("column_energy", np.float32),
        ("run_key", np.int32),  # 1 + key index of the current run of valid steps, 0 for none
        ("run_steps", np.int32),
        ("run_misses", np.int32),
        ("run_start_samples", np.int64),
        ("open_key", np.int32),  # 1 + key index of the key held now, 0 for none
        ("miss_steps", np.int32),
        ("last_hit_samples", np.int64),
        ("key_onset_samples", np.int64, (KEYS_PER_PACKET_MAX,)),  # of the keys of the last packet, back-dated
        ("key_row_energy", np.float32),  # of the key registered last, at its registration
        ("key_column_energy", np.float32),
        ("key_end_samples", np.int64),  # of the key that ended last
        ("keys_ended", np.int64),
        ("keys_registered", np.int64),
        # Mask.
        ("mute_until_samples", np.int64),
        ("mute_suspects", np.int32),  # suspect hops of the tone that is heard
        ("suspected_until_samples", np.int64),  # a suspect hop up to here belongs to that tone
        ("mute_opened_samples", np.int64),  # where the mute for that tone began
        ("key_sounds", np.int32),  # 1 where the last packet held a tone that is surely one
        ("sustain_until_samples", np.int64),
        # Of this chunk: bit h is set where the 5 ms that end with hop h are suspect.
        ("suspect_hops", np.uint32),
        ("masked_in_packet_samples", np.int64),  # at the leg's own rate
        # How many stretches of the last packet were replaced, and which: [begin, end), at the leg's own rate.
        ("segments", np.int32),
        ("segment_begins", np.int32, (SEGMENTS_PER_PACKET_MAX,)),
        ("segment_ends", np.int32, (SEGMENTS_PER_PACKET_MAX,)),
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
