"""The golden set of short keypad vectors: made again byte for byte, and heard as its truth says.

After a change that moves times on purpose: ``python -m tests.vectors.make_golden_dtmf``, then review the difference.
"""

import json
from pathlib import Path

import pytest

from tests.vectors.make_golden_dtmf import (
    GOLDEN,
    HEARD,
    SAMPLES_MAX,
    SET_BYTES_MAX,
    TRUTH,
    VECTORS,
    heard_in,
    make,
    synthesise,
)

ONSET_MS_MAX = 10.0
"""Registration judges every 2.5 ms on 15 ms and back-dates; noise moves it by some steps."""
END_MS_MAX = 15.0
GOLDEN_MS_MAX = 5.0
"""From what was heard when the set was made: two steps."""

truth = json.loads((GOLDEN / TRUTH).read_text())
golden = json.loads((GOLDEN / HEARD).read_text())


def keys(presses: list[dict]) -> str:
    return "".join(press["key"] for press in presses)


def differences(one: list[dict], other: list[dict], which: str) -> list[float]:
    return [abs(a[which] - b[which]) for a, b in zip(one, other, strict=True)]


def test_the_set_is_small_and_whole():
    files = {path.name for path in GOLDEN.iterdir()}

    assert files == {*VECTORS, TRUTH, HEARD}
    assert len(VECTORS) <= 40
    assert sum(path.stat().st_size for path in GOLDEN.iterdir()) < SET_BYTES_MAX
    assert max(len(synthesise(vector).pcm) for vector in VECTORS.values()) <= SAMPLES_MAX


def test_the_set_is_made_again_byte_for_byte(tmp_path: Path):
    make(tmp_path)

    for path in tmp_path.iterdir():
        assert path.read_bytes() == (GOLDEN / path.name).read_bytes(), path.name


@pytest.mark.parametrize("name", sorted(VECTORS))
def test_each_vector_is_heard_as_it_was_pressed(name: str):
    heard = heard_in(GOLDEN / name)

    assert keys(heard) == keys(truth[name])
    assert max(differences(heard, truth[name], "start_ms"), default=0.0) <= ONSET_MS_MAX
    assert max(differences(heard, truth[name], "end_ms"), default=0.0) <= END_MS_MAX


@pytest.mark.parametrize("name", sorted(VECTORS))
def test_each_vector_is_heard_as_before(name: str):
    heard = heard_in(GOLDEN / name)

    assert keys(heard) == keys(golden[name])
    for which in ("start_ms", "end_ms"):
        assert max(differences(heard, golden[name], which), default=0.0) <= GOLDEN_MS_MAX
