"""The search for card numbers in text: the same answer as looking at every window by itself, and quick on long runs."""

from __future__ import annotations

import random
import time

from dtmf_shield.base.log import holds_card_number, luhn_valid


def by_windows(digits: str) -> bool:
    return any(
        luhn_valid(digits[start : start + length])
        for length in range(13, 20)
        for start in range(len(digits) - length + 1)
    )


def test_every_window_is_looked_at() -> None:
    draw = random.Random(1)
    runs = ["".join(draw.choice("0123456789") for _ in range(draw.randrange(13, 24))) for _ in range(3_000)]
    answers = [by_windows(run) for run in runs]

    assert [holds_card_number(run) for run in runs] == answers
    assert 300 < sum(answers) < 2_900


def test_a_number_in_groups_and_among_others_is_found() -> None:
    assert holds_card_number("1" * 40 + "4242-4242 4242-4242" + "1" * 40)
    assert not holds_card_number("1" * 100)


def test_a_run_as_long_as_a_draft_holds_nobody_up() -> None:
    begin_s = time.process_time()

    assert not holds_card_number("1" * 65_536)
    assert time.process_time() - begin_s < 1.0
