"""Make the golden set of short keypad vectors in tests/golden/dtmf: audio, `truth.json`, and what `detect` hears.

``python -m tests.vectors.make_golden_dtmf`` writes all of it anew; review the difference before you commit. Every
vector is synthesised from `RECIPES` by the recipe in `dtmf_signal.py`; no recording and no card number is involved.
"""

import json
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtmf_shield.media.codecs.g711 import encode_alaw, encode_ulaw
from dtmf_shield.service.file_analysis import detect_file
from tests.vectors.dtmf_signal import SAMPLE_RATE_HZ, Recipe, Stream, key_stream

GOLDEN = Path(__file__).parents[1] / "golden" / "dtmf"
TRUTH, HEARD = "truth.json", "detected.json"
SET_BYTES_MAX = 600_000
SAMPLES_MAX = 2 * SAMPLE_RATE_HZ
HALVES = ("0123456789", "*#ABCD")


@dataclass(frozen=True)
class Vector:
    """One file: what is synthesised, how it is written, and whether its keys are to be heard at all."""

    recipe: Recipe
    seed: int
    suffix: str
    keys_count: bool = True


def _recipe(keys: str, **changes: Any) -> Recipe:
    return Recipe(repetitions=1, keys=keys, **changes)


def _vectors() -> dict[str, Vector]:
    vectors = {
        f"clean-{half}{suffix}": Vector(_recipe(keys, on_ms=80.0, gap_ms=80.0), 10 + half, suffix)
        for half, keys in enumerate(HALVES)
        for suffix in (".wav", ".ul", ".al")
    }
    shapes: dict[str, tuple[Recipe, bool]] = {
        "shortest": (_recipe(HALVES[0], on_ms=40.0, gap_ms=40.0), True),
        "quiet": (_recipe(HALVES[0], level_dbm0=-35.0), True),
        "loud": (_recipe(HALVES[1], level_dbm0=-3.5), True),
        "off-high": (_recipe(HALVES[0], row_error=0.015, column_error=0.015, error_hz=2.0), True),
        "off-low": (_recipe(HALVES[0], row_error=-0.015, column_error=-0.015, error_hz=-2.0), True),
        "twist-row": (_recipe(HALVES[0], twist_db=-6.0), True),
        "twist-column": (_recipe(HALVES[0], twist_db=6.0), True),
        "noise-15-db": (_recipe(HALVES[0], snr_db=15.0), True),
        "same-key-twice": (_recipe("05*D", same_key_twice=True, on_ms=60.0, gap_ms=40.0), True),
        "broken-10-ms": (_recipe("159#", on_ms=120.0, gap_ms=80.0, cut_ms=10.0), True),
        "too-short": (_recipe(HALVES[0], on_ms=20.0), False),
        "too-far-off": (_recipe(HALVES[0], row_error=0.035, column_error=0.035), False),
    }
    for number, (name, (recipe, keys_count)) in enumerate(shapes.items()):
        suffix = (".ul", ".al")[number % 2]
        vectors[name + suffix] = Vector(recipe, 100 + number, suffix, keys_count)
    return vectors


VECTORS = _vectors()


def synthesise(vector: Vector) -> Stream:
    """Return the vector's samples and truth."""
    return key_stream(vector.recipe, vector.seed)


def write(path: Path, pcm: NDArray[np.int16]) -> None:
    """Write 8 kHz mono: PCM16 WAV, or headerless µ-law or A-law by the suffix."""
    if path.suffix == ".wav":
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(SAMPLE_RATE_HZ)
            file.writeframes(pcm.astype("<i2").tobytes())
        return
    codes = np.zeros(len(pcm), np.uint8)
    (encode_ulaw if path.suffix == ".ul" else encode_alaw)(pcm, codes)
    path.write_bytes(codes.tobytes())


def truth_of(vector: Vector) -> list[dict[str, Any]]:
    """Return the keys to be heard with begin and end in ms."""
    stream = synthesise(vector)
    if not vector.keys_count:
        return []
    return [
        {"key": key, "start_ms": onset / 8, "end_ms": end / 8}
        for key, onset, end in zip(stream.keys, stream.onsets, stream.ends, strict=True)
    ]


def heard_in(path: Path) -> list[dict[str, Any]]:
    """Return what `detect` says of the file's keys."""
    digits = detect_file(path, reveal=True)["digits"]
    return [{"key": d["digit"], "start_ms": d["start_ms"], "end_ms": d["end_ms"]} for d in digits]


def make(directory: Path) -> None:
    """Write all audio and the truth into `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, vector in VECTORS.items():
        write(directory / name, synthesise(vector).pcm)
    save(directory / TRUTH, {name: truth_of(vector) for name, vector in VECTORS.items()})


def save(path: Path, lists: dict[str, list[dict[str, Any]]]) -> None:
    """Write JSON with one key press a line."""
    blocks = [
        f"{json.dumps(name)}: [" + ",".join(f"\n  {json.dumps(entry)}" for entry in lists[name]) + "]"
        for name in sorted(lists)
    ]
    path.write_text("{\n" + ",\n".join(blocks) + "\n}\n")


def main() -> None:
    """Make the set and note what the detector hears in it."""
    make(GOLDEN)
    save(GOLDEN / HEARD, {name: heard_in(GOLDEN / name) for name in VECTORS})


if __name__ == "__main__":
    main()
