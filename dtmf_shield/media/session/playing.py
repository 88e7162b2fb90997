"""Prompts played to a leg: pieces of recorded audio, one after the other, mixed into what the peer says to that leg.

The peer's packets pace a prompt while they come; where they do not (a silent talker, no agent on the call) the shard's
clock does, on the same unbroken timeline. The prompt's samples lie in ordinary memory that all calls share; they were
built before the call and name no digit of a card. Nothing is synthesized here.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dtmf_shield.media.frames import MaskedFrame
from dtmf_shield.media.rtp.clock import NS_A_MS, SAMPLES_A_MS
from dtmf_shield.media.rtp.kernel import kernel
from dtmf_shield.media.session.legs import (
    CODEC_G722,
    EVENT_PROMPT_ENDED,
    PIECES_MAX,
    Tables,
    post_event,
)

PROMPT_DONE: Final = 0
PROMPT_STOPPED: Final = 1
PROMPT_STOPPED_BY_KEY: Final = 2
PROMPT_REPLACED: Final = 3

PLAY_FIRST: Final = 1
PLAY_LAST: Final = 2
PLAY_LOOP: Final = 4
PLAY_BARGE_IN: Final = 8

PACE_MS: Final = 20
"""Frames of a prompt that nobody's packets pace."""
PACE_NS: Final = PACE_MS * NS_A_MS
PACE_SLACK_NS: Final = 60 * NS_A_MS
"""A peer that has just sent may still send: its packets pace the prompt, late by so much at most."""
DUCK_SHIFT: Final = 2
"""What the peer says lies 12 dB lower under a prompt: heard, and not in its way."""
_PCM_MAX: Final = 32_767
_PCM_MIN: Final = -32_768


@kernel
def add_piece(tables: Tables, index: int, numbers: NDArray[np.int64]) -> None:
    """Append a piece to what the leg at `index` hears: numbers = play id, start, length, PLAY_* flags.

    The first piece replaces what played; the last one starts it. A piece outside the pool, or one too many, is left
    out.
    """
    play = tables.plays[index]
    start, length, flags = numbers[1], numbers[2], numbers[3]
    if flags & PLAY_FIRST:
        stop_prompt(tables, index, PROMPT_REPLACED)
        play.play_id = numbers[0]
        play.n_pieces = 0
        play.loop = flags & PLAY_LOOP
        play.barge_in = flags & PLAY_BARGE_IN
    elif play.playing or play.play_id != numbers[0]:
        return
    fits = start >= 0 and length > 0 and start + length <= len(tables.prompts)
    if fits and play.n_pieces < PIECES_MAX:
        play.starts[play.n_pieces] = start
        play.lengths[play.n_pieces] = length
        play.n_pieces += 1
    if flags & PLAY_LAST:
        play.piece = 0
        play.sample_at = 0
        play.playing = 1
        tables.play_count[0] += 1
        if play.n_pieces == 0:
            stop_prompt(tables, index, PROMPT_DONE)


@kernel
def stop_prompt(tables: Tables, index: int, reason: int) -> None:
    """End what plays to the leg at `index`, if anything does, and tell why."""
    play = tables.plays[index]
    if play.playing:
        play.playing = 0
        tables.play_count[0] -= 1
        post_event(tables, EVENT_PROMPT_ENDED, index, play.play_id, reason, 0, 0)


@kernel
def key_stops_prompt(tables: Tables, index: int) -> None:
    """Barge-in: a key of the leg at `index` ends the prompt that it hears, if that prompt may be cut."""
    if tables.plays[index].barge_in:
        stop_prompt(tables, index, PROMPT_STOPPED_BY_KEY)


@kernel
def mix_whole(tables: Tables, index: int, frame: MaskedFrame) -> None:
    """Mix the prompt of the peer's leg into a frame of the leg at `index`, at that leg's sample rate."""
    if tables.plays[index ^ 1].playing:
        _mix(tables, index ^ 1, frame.samples, 2 if tables.legs[index].codec == CODEC_G722 else 1)


@kernel
def mix_encoded(tables: Tables, index: int, frame: MaskedFrame, narrow: MaskedFrame) -> None:
    """Mix the prompt of the peer's leg into that of the two which its codec is going to encode."""
    if not tables.plays[index ^ 1].playing:
        return
    wide = tables.legs[index].codec == CODEC_G722 and tables.legs[index ^ 1].codec == CODEC_G722
    if wide:
        _mix(tables, index ^ 1, frame.samples, 2)
    else:
        _mix(tables, index ^ 1, narrow.samples, 1)


@kernel
def is_due(tables: Tables, index: int, now_ns: int) -> bool:
    """Tell whether the leg at `index` must be given a frame of its prompt although its peer sent none."""
    source = tables.legs[index ^ 1]
    if not tables.plays[index].playing or not tables.legs[index].has_stream:
        return False
    since_ns = now_ns - source.filled_ns
    return bool(since_ns >= (PACE_NS if source.paced else PACE_NS + PACE_SLACK_NS))


@kernel
def silent_frame(tables: Tables, index: int) -> NDArray[np.int16]:
    """Return PACE_MS of silence at the rate of the leg at `index`, to be wrapped and sent in its name."""
    factor = 2 if tables.legs[index].codec == CODEC_G722 else 1
    silence = tables.masked[: factor * PACE_MS * SAMPLES_A_MS]
    silence[:] = 0
    return silence


@kernel
def _mix(tables: Tables, target: int, samples: NDArray[np.int16], factor: int) -> None:
    """Lay the next len(samples) of the prompt of `target` over `samples`, at factor * 8 kHz."""
    play = tables.plays[target]
    at = 0
    while at < len(samples) and play.playing:
        at = _mix_piece(tables, play, samples, at, factor)
        if play.sample_at >= play.lengths[play.piece]:
            play.sample_at = 0
            play.piece += 1
            if play.piece >= play.n_pieces:
                play.piece = 0
                if not play.loop:
                    stop_prompt(tables, target, PROMPT_DONE)


@kernel
def _mix_piece(tables: Tables, play: Any, samples: NDArray[np.int16], at: int, factor: int) -> int:
    """Mix from `at` on as much as the present piece has; return where it ended."""
    left = factor * (play.lengths[play.piece] - play.sample_at)
    n = min(len(samples) - at, left)
    start = factor * (play.starts[play.piece] + play.sample_at)
    pool = tables.prompts if factor == 1 else tables.prompts_wide
    for offset in range(n):
        value = (int(samples[at + offset]) >> DUCK_SHIFT) + int(pool[start + offset])
        samples[at + offset] = min(max(value, _PCM_MIN), _PCM_MAX)
    play.sample_at += n // factor
    return int(at + n)
