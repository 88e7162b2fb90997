"""Stored answers: bounded, each principal's own, and nobody's flood drops those of others."""

from __future__ import annotations

import pytest
from api_desk import HandClock

from dtmf_shield.api.idempotency import ANSWER_LIFETIME_S, StoredAnswers
from dtmf_shield.api.problem import ApiRefusal


def kept(answers: StoredAnswers, principal: str, count: int) -> list[int]:
    return [
        number for number in range(count) if answers.find(principal, f"key-{number}", b"asked") is not None
    ]


def store(answers: StoredAnswers, principal: str, count: int) -> None:
    for number in range(count):
        answers.store(principal, f"key-{number}", b"asked", 201, b"{}")


def test_one_that_asks_alone_has_the_whole_place_and_loses_the_oldest() -> None:
    answers = StoredAnswers(HandClock(), answers_max=8)
    store(answers, "crm", 10)

    assert kept(answers, "crm", 10) == list(range(2, 10))


def test_a_flood_of_one_drops_its_own_answers_and_not_those_of_others() -> None:
    answers = StoredAnswers(HandClock(), answers_max=8)
    store(answers, "ada", 3)
    store(answers, "crm", 100)

    assert kept(answers, "ada", 3) == [0, 1, 2]
    assert kept(answers, "crm", 100) == [95, 96, 97, 98, 99]


def test_more_principals_than_places_have_an_end_too() -> None:
    answers = StoredAnswers(HandClock(), answers_max=8)
    for number in range(50):
        store(answers, f"p{number}", 1)

    assert sum(len(kept(answers, f"p{number}", 1)) for number in range(50)) == 8
    assert kept(answers, "p49", 1) == [0]


def test_an_answer_told_again_takes_no_second_place_and_ends_in_time() -> None:
    clock = HandClock()
    answers = StoredAnswers(clock, answers_max=2)
    for _ in range(5):
        store(answers, "crm", 1)
    store(answers, "ada", 1)

    assert (kept(answers, "crm", 1), kept(answers, "ada", 1)) == ([0], [0])
    with pytest.raises(ApiRefusal, match="another request"):
        answers.find("crm", "key-0", b"other")
    clock.seconds += ANSWER_LIFETIME_S
    assert answers.find("crm", "key-0", b"asked") is None
