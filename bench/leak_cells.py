"""Which presses are attacked: a grid of level, SNR, twist and codec, fragments too short to be keys, and odd ones.

Each cell is a stream of its own, seeded; frequency errors (within 1.5 % + 2 Hz) and the length of a press are drawn for
each. Gaps are long enough that the 200 ms around a press hold no other.
"""

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dtmf_shield.media.codecs.g711 import decode_alaw, decode_ulaw, encode_alaw, encode_ulaw
from dtmf_shield.media.codecs.g722 import G722_STATE_DTYPE, LEAP_OCTAVES, decode_g722, encode_g722
from dtmf_shield.media.masker import MODE_CAPTURE
from dtmf_shield.media.session.transcoding import LEAP_MUTE_SAMPLES, LEAP_OCTAVES_IN_CAPTURE
from tests.vectors.dtmf_signal import APART_MS, KEYS, Recipe, Stream, key_stream, whole_packets

LEVELS_DBM0 = (-4, -10, -25, -32)
SNRS_DB = (35, 25, 20, 15)
TWISTS_DB = (-8, -4, 0, 4)
PRESSES_MS = (40, 50, 65, 80, 100)
FRAGMENTS_MS = (2, 3, 5, 8, 13, 20, 30, 39)
FRAGMENT_LEVELS_DBM0 = (-10, -25)
FRAGMENT_SNRS_DB = (35, 20)
GAP_MS = APART_MS + 20
CALL_PRESS_MS = 80
PACKET_TICKS = 160
# Fields of the recipe that span the cells, and what the report calls them.
GRID = {"level_dbm0": "dBm0", "snr_db": "SNR", "twist_db": "twist"}
FRAGMENT_GRID = {"on_ms": "ms", "level_dbm0": "dBm0", "snr_db": "SNR"}
FIRST_SEED = 5_000
FRAGMENT_SEED = 6_000
EXTRA_SEED = 7_000
EXTRAS: dict[str, dict[str, object]] = {
    "ramps of 5 ms, SNR 35": {"ramp_ms": 5, "snr_db": 35},
    "clipped by 12 dB": {"level_dbm0": -6, "clip_gain_db": 12},
    "4 s, SNR 25": {"on_ms": 4_000, "snr_db": 25},
    "twist -10, SNR 20": {"twist_db": -10, "snr_db": 20},
    "-44 dBm0, SNR 20": {"level_dbm0": -44, "snr_db": 20},
    "echo 30 ms -10 dB": {"echo_ms": 30, "echo_db": -10, "snr_db": 35},
}
Pcm = NDArray[np.int16]
Codes = NDArray[np.uint8]
Labels = dict[str, str]
Changes = dict[str, object]


def through_g711(
    encode: Callable[[Pcm, Codes], None], decode: Callable[[Codes, Pcm], None]
) -> Callable[[Pcm], Pcm]:
    """Return a function that takes PCM through a codec and back."""

    def through(pcm: Pcm) -> Pcm:
        codes, decoded = np.zeros(len(pcm), np.uint8), np.zeros(len(pcm), np.int16)
        encode(pcm, codes)
        decode(codes, decoded)
        return decoded

    return through


def _g722_codes(pcm: Pcm) -> Codes:
    codes = np.zeros(len(pcm) // 2, np.uint8)
    encode_g722(np.zeros(1, G722_STATE_DTYPE), 0, pcm, codes)
    return codes


def through_g722(pcm: Pcm) -> Pcm:
    """Take PCM of 16 kHz, whole pairs of samples, through G.722 and back."""
    decoded = np.zeros(len(pcm), np.int16)
    decode_g722(np.zeros(1, G722_STATE_DTYPE), 0, _g722_codes(pcm), decoded)
    return decoded


def g722_mutes(pcm: Pcm, mode: int) -> NDArray[np.int64]:
    """Return for how long each packet of `pcm` is muted in `mode` because G.722 bends it, as the session does.

    int64 (n_packets,), in samples at 8 kHz.
    """
    leap = LEAP_OCTAVES_IN_CAPTURE if mode == MODE_CAPTURE else LEAP_OCTAVES
    state, raw = np.zeros(1, G722_STATE_DTYPE), np.zeros(2 * PACKET_TICKS, np.int16)
    packets = _g722_codes(pcm).reshape(-1, PACKET_TICKS)
    leaping = [decode_g722(state, 0, packet, raw, leap) for packet in packets]
    return np.array([ticks + LEAP_MUTE_SAMPLES if ticks else 0 for ticks in leaping], np.int64)


@dataclass(frozen=True, slots=True)
class Codec:
    """The rate a codec works at, what it makes of PCM there and back, how late, and what its decoder has muted."""

    sample_rate_hz: int
    through: Callable[[Pcm], Pcm]
    delay_samples: int = 0
    mutes: Callable[[Pcm, int], NDArray[np.int64] | None] = lambda pcm, mode: None


CODECS = {
    "A-law": Codec(8_000, through_g711(encode_alaw, decode_alaw)),
    "µ-law": Codec(8_000, through_g711(encode_ulaw, decode_ulaw)),
    "linear 16 kHz": Codec(16_000, lambda pcm: pcm),
    "G.722": Codec(16_000, through_g722, 22, g722_mutes),
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One stream to attack: what it is of (label -> value), its recipe, codec and seed."""

    labels: Labels
    changes: Changes
    codec: str
    seed: int
    spoken_around: bool = False
    repetitions: int = 1

    def spoken(self, speech: NDArray[np.float64]) -> Stream:
        """Synthesise it in whole packets; its PCM is what goes into the codec."""
        codec = CODECS[self.codec]
        changes = {"repetitions": self.repetitions, "sample_rate_hz": codec.sample_rate_hz, **self.changes}
        stream = key_stream(Recipe(**changes), self.seed)  # type: ignore[arg-type]  # fields of many types
        if self.spoken_around:
            _speak_around(stream, speech, self.seed)
        stream.pcm = whole_packets(stream.pcm, PACKET_TICKS * codec.sample_rate_hz // 8000)
        return stream

    def stream(self, speech: NDArray[np.float64]) -> Stream:
        """Synthesise it; its PCM is what the codec delivers, its times are of that."""
        return delivered(self.spoken(speech), CODECS[self.codec])


def delivered(spoken: Stream, codec: Codec) -> Stream:
    """Return what `codec` makes of a stream."""
    onsets, ends = ([at + codec.delay_samples for at in times] for times in (spoken.onsets, spoken.ends))
    return Stream(codec.through(spoken.pcm), spoken.keys, onsets, ends)


def _speak_around(stream: Stream, speech: NDArray[np.float64], seed: int) -> None:
    """Put speech, not silence, up to the onset and from the end of every press."""
    start = int(np.random.default_rng(seed).integers(0, len(speech)))
    background = np.resize(np.roll(speech, -start), len(stream.pcm))
    for onset, end in zip(stream.onsets, stream.ends, strict=True):
        background[onset:end] = 0.0
    stream.pcm = np.clip(stream.pcm + background, -32768, 32767).astype(np.int16)


def _cell(
    index: int, first_seed: int, labels: Labels, changes: Changes, codec: str, repetitions: int
) -> Cell:
    rng = np.random.default_rng(first_seed + index)
    shares = rng.uniform(-1.0, 1.0, 2)
    errors = {
        "row_error": 0.015 * shares[0], "row_error_hz": 2.0 * shares[0],
        "column_error": 0.015 * shares[1], "column_error_hz": 2.0 * shares[1],
    }  # fmt: skip
    every = {"gap_ms": GAP_MS, "on_ms": float(rng.choice(PRESSES_MS)), **errors, **changes}
    return Cell({**labels, "codec": codec}, every, codec, first_seed + index, repetitions=repetitions)


def _cells(
    n: int,
    first_seed: int,
    places: Iterable[tuple[object, ...]],
    recipe: dict[str, str],
    fixed: Changes | None = None,
) -> list[Cell]:
    """Return a cell for each of `places` (values of `recipe`'s fields, then a codec), of n presses in all."""
    every = list(places)
    repetitions = max(1, -(-n // (len(KEYS) * len(every))))
    cells = []
    for index, (*values, codec) in enumerate(every):
        labels = {label: str(value) for label, value in zip(recipe.values(), values, strict=True)}
        changes = {**dict(zip(recipe, values, strict=True)), **(fixed or {})}
        cells.append(_cell(index, first_seed, labels, changes, str(codec), repetitions))
    return cells


def _chosen(cells: list[Cell], n: int) -> list[Cell]:
    """Return all cells, or as many as n presses fill, spread over them by a fixed draw."""
    wanted = max(1, n // len(KEYS))
    if wanted >= len(cells):
        return cells
    places = np.random.default_rng(0).permutation(len(cells))[:wanted]
    return [cells[place] for place in sorted(places)]


def grid_cells(n: int) -> list[Cell]:
    """Return cells that hold at least n presses in all (where that is fewer than one a cell: some of them)."""
    places = itertools.product(LEVELS_DBM0, SNRS_DB, TWISTS_DB, CODECS)
    return _chosen(_cells(n, FIRST_SEED, places, GRID), n)


def fragment_cells(n: int) -> list[Cell]:
    """Return cells of fragments of 2 to 39 ms, at least n in all (or some of the cells)."""
    places = itertools.product(FRAGMENTS_MS, FRAGMENT_LEVELS_DBM0, FRAGMENT_SNRS_DB, CODECS)
    return _chosen(_cells(n, FRAGMENT_SEED, places, FRAGMENT_GRID), n)


def extra_cells(n: int) -> list[Cell]:
    """Return odd presses, about n / 8 of each kind, and presses at each level with speech up to and after them."""
    repetitions = max(1, n // 8 // len(KEYS))
    cells = []
    for index, (name, changes) in enumerate(EXTRAS.items()):
        fewer = max(1, repetitions // 12) if name.startswith("4 s") else repetitions
        cells.append(_cell(index, EXTRA_SEED, {"odd": name}, changes, "A-law", fewer))
    for level in LEVELS_DBM0:
        labels = {"odd": f"speech around, {level} dBm0, SNR 20"}
        spoken: Changes = {"level_dbm0": level, "snr_db": 20}
        quiet = _cell(len(cells), EXTRA_SEED, labels, spoken, "A-law", repetitions)
        cells.append(replace(quiet, spoken_around=True))
    return cells


def call_cells(n: int, calls: int, first_seed: int) -> list[Cell]:
    """Return one A-law cell for each of `calls` calls, drawn from the grid, of n presses in all."""
    rng = np.random.default_rng(first_seed)
    axes = (LEVELS_DBM0, SNRS_DB, TWISTS_DB)
    drawn = [(*(int(rng.choice(values)) for values in axes), "A-law") for _ in range(calls)]
    # One length of press, so that all calls of a round last about as long.
    return _cells(n, first_seed, drawn, GRID, {"on_ms": CALL_PRESS_MS})
