"""The pool of prompts: what lies where, what is loaded again, what does not fit."""

from pathlib import Path

import numpy as np
import pytest

from dtmf_shield.base.errors import OperatorError
from dtmf_shield.flow.loader import load_flow
from dtmf_shield.service.prompts.pool import PromptPool, load_prompts
from tests.interop.beeps import AMPLITUDE, BEEP_MS, beep_frames, write_beeps

SHIPPED = Path(__file__).parents[3] / "ivr_flows" / "card-payment-agent.yaml"
FLOW = load_flow(SHIPPED.read_text("utf-8"), file=SHIPPED.name)


def make_pool(n=1_000):
    narrow, wide = np.zeros(n, np.int16), np.zeros(2 * n, np.int16)
    return narrow, wide, PromptPool(narrow, wide)


def audio(level, n):
    return np.full(n, level, np.int16), np.full(2 * n, level, np.int16)


def test_pieces_lie_behind_each_other_at_both_rates():
    narrow, wide, pool = make_pool()
    pool.add("a", *audio(1, 160))
    pool.add("b", *audio(2, 320))

    assert pool.places(("b", "a", "b")) == [(160, 320), (0, 160), (160, 320)]
    assert set(narrow[160:480]) == set(wide[320:960]) == {2}


def test_piece_loaded_again_lies_anew_and_the_old_samples_stay():
    narrow, _wide, pool = make_pool()
    pool.add("a", *audio(1, 160))
    pool.add("a", *audio(3, 160))

    assert pool.places(("a",)) == [(160, 160)]
    assert set(narrow[:160]) == {1}


def test_the_same_piece_again_takes_no_room():
    _narrow, _wide, pool = make_pool(200)
    for _ in range(5):
        pool.add("a", *audio(1, 160))

    assert pool.places(("a",)) == [(0, 160)]


def test_full_pool_is_told_and_keeps_what_it_has():
    _narrow, _wide, pool = make_pool(200)
    pool.add("a", *audio(1, 160))

    with pytest.raises(OperatorError, match="full at 'b'"):
        pool.add("b", *audio(1, 160))
    assert pool.places(("b",)) is None
    assert len(pool) == 1


# --- from a folder of built prompts ------------------------------------------------------------------------------


def test_what_is_built_is_loaded_by_language_and_name_at_both_rates(tmp_path):
    pieces = write_beeps(tmp_path, FLOW)
    narrow, wide, pool = make_pool(8_000 * 60 * 3)

    answer = load_prompts(pool, str(tmp_path))

    assert (answer.path, answer.count, answer.reason) == (str(tmp_path), pieces, "")
    [(start, length)] = pool.places(("en-GB/n-12",))
    assert length == 8_000 * BEEP_MS // 1_000
    assert beep_frames(narrow[start : start + length]) == BEEP_MS // 20
    assert np.abs(wide[2 * start : 2 * (start + length)]).max() > AMPLITUDE * 0.9


def test_nothing_built_is_no_fault_and_counts_nothing(tmp_path):
    answer = load_prompts(make_pool()[2], str(tmp_path))

    assert (answer.count, answer.reason) == (0, "")


def test_a_pool_that_is_full_says_so_and_keeps_what_it_has(tmp_path):
    write_beeps(tmp_path, FLOW)
    pool = make_pool(2_000)[2]

    answer = load_prompts(pool, str(tmp_path))

    assert "is full" in answer.reason
    assert len(pool) == 1


def test_a_store_that_cannot_be_read_is_told_in_a_sentence(tmp_path):
    write_beeps(tmp_path, FLOW)
    for index in tmp_path.glob("*/index.json"):
        index.write_text("no json", "utf-8")

    answer = load_prompts(make_pool()[2], str(tmp_path))

    assert answer.count == 0
    assert answer.reason
