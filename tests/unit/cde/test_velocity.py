"""Velocity rules: sliding windows, cards on their way, nobody named, bounded memory."""

from __future__ import annotations

import pytest

from dtmf_shield.cde.velocity import Counted, Per, Rule, Velocity

HOUR_S = 3_600.0
NUMBER = memoryview(b"4242424242424242")


def declines(limit: int = 2, per: Per = Per.CALLER, window_s: float = HOUR_S) -> Rule:
    return Rule("declines", per, Counted.DECLINED, limit, window_s)


def attempts(limit: int = 2, per: Per = Per.CALLER) -> Rule:
    return Rule("attempts", per, Counted.ATTEMPTS, limit, HOUR_S)


def attempt(velocity: Velocity, now_s: float, *, declined: bool = True, caller: str = "anna") -> bool:
    """Make one attempt; True where it was let through."""
    subject = velocity.subject(caller=caller)
    if velocity.begin(subject, now_s) is not None:
        return False
    velocity.end(subject, now_s, declined=declined)
    return True


def test_declines_within_the_window_stop_the_next_card_and_no_longer() -> None:
    velocity = Velocity([declines()], bytes(32))

    assert [attempt(velocity, at_s) for at_s in (0.0, 10.0, 20.0)] == [True, True, False]
    assert not attempt(velocity, HOUR_S - 0.1)
    assert attempt(velocity, HOUR_S)
    assert not attempt(velocity, HOUR_S + 9.9)


def test_approved_cards_count_as_attempts_and_not_as_declines() -> None:
    by_declines, by_attempts = Velocity([declines()], bytes(32)), Velocity([attempts()], bytes(32))

    assert all(attempt(by_declines, at_s, declined=False) for at_s in range(10))
    assert [attempt(by_attempts, at_s, declined=False) for at_s in range(3)] == [True, True, False]


def test_cards_on_their_way_count_until_their_answer_is_here() -> None:
    """A hundred calls at once must not all pass before the first decline is known."""
    velocity = Velocity([declines()], bytes(32))
    subject = velocity.subject(caller="anna")

    assert [velocity.begin(subject, 0.0) for _ in range(2)] == [None, None]
    assert velocity.begin(subject, 0.0) is not None
    velocity.end(subject, 1.0, declined=False)
    assert velocity.begin(subject, 1.0) is None


def test_stopped_attempt_is_counted_by_no_rule() -> None:
    velocity = Velocity([attempts(5), declines(1)], bytes(32))
    attempt(velocity, 0.0)

    for at_s in range(20):
        assert not attempt(velocity, float(at_s))

    assert attempt(velocity, HOUR_S)


@pytest.mark.parametrize("per", Per)
def test_each_is_counted_for_itself(per: Per) -> None:
    velocity = Velocity([declines(1, per)], bytes(32))
    one = velocity.subject(caller="a", agent="a", flow="a", number=NUMBER)
    other = velocity.subject(caller="b", agent="b", flow="b", number=memoryview(b"5555555555554444"))
    velocity.begin(one, 0.0)
    velocity.end(one, 0.0, declined=True)

    stopped = velocity.begin(one, 1.0)

    assert stopped is not None
    assert stopped.per is per
    assert velocity.begin(other, 1.0) is None


def test_who_is_not_known_is_not_counted() -> None:
    velocity = Velocity([declines(1)], bytes(32))

    assert all(velocity.begin(velocity.subject(agent="anna"), 0.0) is None for _ in range(5))


def test_bin_is_eight_digits_and_six_of_a_short_number() -> None:
    velocity = Velocity([declines(1, Per.BIN)], bytes(32))

    def named(number: bytes) -> bytes:
        return velocity.subject(number=memoryview(number))[Per.BIN]

    assert named(b"4242424242424242") == named(b"4242424299999999")
    assert named(b"4242424242424242") != named(b"4242424142424242")
    assert named(b"378282246310005") == named(b"378282999999999")


def test_counter_names_hold_nothing_and_mean_nothing_to_another_process() -> None:
    one, other = Velocity([declines(1, Per.BIN)], bytes(32)), Velocity([declines(1, Per.BIN)], b"x" * 32)
    subject = one.subject(caller="+4912345", number=NUMBER)
    one.begin(subject, 0.0)

    assert all(len(name) == 32 for name in subject.values())
    assert subject[Per.BIN] != other.subject(number=NUMBER)[Per.BIN]
    assert one.subject(caller="x")[Per.CALLER] != one.subject(agent="x")[Per.AGENT]
    assert "4242" not in repr(one) + repr(vars(one))


def test_memory_is_bounded_and_the_quietest_is_forgotten() -> None:
    velocity = Velocity([declines(1)], bytes(32), counters_max=10)
    for number in range(25):
        attempt(velocity, 0.0, caller=f"caller-{number}")

    assert velocity.forgotten == 15
    assert attempt(velocity, 1.0, caller="caller-0")
    assert not attempt(velocity, 1.0, caller="caller-24")


def test_attempts_of_before_the_process_are_counted_again() -> None:
    velocity = Velocity([declines()], bytes(32))
    subject = velocity.subject(caller="anna")
    velocity.recall(subject, -HOUR_S + 5, declined=True)
    velocity.recall(subject, -1.0, declined=True)
    velocity.recall(subject, -1.0, declined=False)

    assert velocity.begin(subject, 0.0) is not None
    assert velocity.begin(subject, 5.0) is None


@pytest.mark.parametrize(
    "rules",
    [
        [declines(0)],
        [declines(10_001)],
        [declines(window_s=0.0)],
        [declines(window_s=8 * 86_400.0)],
        [declines(), declines()],
        [Rule("", Per.FLOW, Counted.ATTEMPTS, 1, 1.0)],
        [Rule(str(n), Per.FLOW, Counted.ATTEMPTS, 1, 1.0) for n in range(33)],
    ],
)
def test_rules_outside_their_limits_are_refused(rules: list[Rule]) -> None:
    with pytest.raises(ValueError, match="velocity rule"):
        Velocity(rules, bytes(32))


def test_no_rule_stops_nobody() -> None:
    velocity = Velocity([], bytes(32))

    assert velocity.window_s == 0.0
    assert velocity.begin(velocity.subject(caller="a"), 0.0) is None
