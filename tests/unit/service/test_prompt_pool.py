"""The pool of prompts: what lies where, what is loaded again, what does not fit."""

import numpy as np
import pytest

from dtmf_shield.base.errors import OperatorError
from dtmf_shield.service.prompt_pool import PromptPool


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
