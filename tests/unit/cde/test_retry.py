"""May it be sent again: every ending, every rule about keys, in doubt and not, written down a second time."""

from __future__ import annotations

import itertools

import pytest

from dtmf_shield.cde.gateways.base import (
    Answer,
    GatewayResult,
    GatewayResultKind,
    Idempotency,
    Unanswered,
)
from dtmf_shield.cde.retry import (
    KEY_LIFE_SHARE,
    VERDICTS,
    WAIT_S_MAX,
    Ending,
    Verdict,
    decide,
    doubt_after,
    ending_of,
    key_is_known,
    wait_s,
)

E, V = Ending, Verdict
EVERY = list(itertools.product(Ending, Idempotency, (False, True)))


def ask(ending: Ending, idempotency: Idempotency, *, in_doubt: bool, **changed: object) -> Verdict:
    facts: dict[str, object] = {"sends_left": 3, "time_left_s": 10.0, "key_is_known": True, **changed}
    return decide(ending, idempotency, in_doubt=in_doubt, **facts)


def test_the_table_knows_every_case() -> None:
    assert set(VERDICTS) == set(EVERY)


@pytest.mark.parametrize(("ending", "idempotency", "in_doubt"), EVERY)
def test_bytes_that_may_have_arrived_are_sent_again_only_where_keys_are_replayed(
    ending: Ending, idempotency: Idempotency, in_doubt: bool
) -> None:
    verdict = ask(ending, idempotency, in_doubt=in_doubt)
    doubt = doubt_after(ending, in_doubt=in_doubt)

    if doubt and verdict in (V.AGAIN, V.AGAIN_IN_DOUBT):
        # 409 is the gateway's own word that it keeps the key.
        assert idempotency is Idempotency.REPLAY or (
            ending is E.KEY_IN_USE and idempotency is Idempotency.SUCCESS_ONLY
        )
    if verdict is V.NOTHING_DONE or verdict is V.AGAIN:
        assert not doubt


@pytest.mark.parametrize(("ending", "idempotency", "in_doubt"), EVERY)
def test_doubt_ends_by_an_answer_about_the_operation_alone(
    ending: Ending, idempotency: Idempotency, in_doubt: bool
) -> None:
    verdict = ask(ending, idempotency, in_doubt=in_doubt, sends_left=0)

    if doubt_after(ending, in_doubt=in_doubt):
        assert verdict is (V.SETTLED if ending is E.SETTLED else V.UNKNOWN)
    else:
        assert verdict is (V.SETTLED if ending in (E.SETTLED, E.REFUSED) else V.NOTHING_DONE)


@pytest.mark.parametrize(("ending", "idempotency", "in_doubt"), EVERY)
@pytest.mark.parametrize("lack", [{"sends_left": 0}, {"time_left_s": 0.0}, {"time_left_s": -1.0}])
def test_nothing_is_sent_again_without_sends_or_time_left(
    ending: Ending, idempotency: Idempotency, in_doubt: bool, lack: dict[str, float]
) -> None:
    assert ask(ending, idempotency, in_doubt=in_doubt, **lack) not in (V.AGAIN, V.AGAIN_IN_DOUBT)


@pytest.mark.parametrize(("ending", "idempotency", "in_doubt"), EVERY)
def test_a_key_that_may_be_forgotten_is_not_relied_on(
    ending: Ending, idempotency: Idempotency, in_doubt: bool
) -> None:
    verdict = ask(ending, idempotency, in_doubt=in_doubt, key_is_known=False)

    assert verdict is not V.AGAIN_IN_DOUBT


@pytest.mark.parametrize("idempotency", Idempotency)
def test_no_connection_and_429_may_be_tried_again_with_any_gateway(idempotency: Idempotency) -> None:
    assert ask(E.NOTHING_LEFT, idempotency, in_doubt=False) is V.AGAIN
    assert ask(E.BUSY, idempotency, in_doubt=False, key_is_known=False) is V.AGAIN


@pytest.mark.parametrize(
    ("answer", "kind", "ending"),
    [
        (Unanswered("refused", sent=False), None, E.NOTHING_LEFT),
        (Unanswered("timeout", sent=True), None, E.NO_ANSWER),
        (Answer(200, b""), GatewayResultKind.APPROVED, E.SETTLED),
        (Answer(200, b""), GatewayResultKind.DECLINED, E.SETTLED),
        (Answer(402, b""), GatewayResultKind.ACTION_REQUIRED, E.SETTLED),
        (Answer(401, b""), GatewayResultKind.REFUSED, E.REFUSED),
        (Answer(404, b""), GatewayResultKind.NOT_FOUND, E.REFUSED),
        (Answer(429, b""), GatewayResultKind.BUSY, E.BUSY),
        (Answer(500, b""), GatewayResultKind.UNKNOWN, E.NO_ANSWER),
        (Answer(200, b""), GatewayResultKind.UNKNOWN, E.NO_ANSWER),
        (Answer(200, b""), GatewayResultKind.FAILED_BEFORE_SEND, E.NO_ANSWER),
        (Answer(409, b""), GatewayResultKind.UNKNOWN, E.KEY_IN_USE),
        (Answer(409, b""), GatewayResultKind.BUSY, E.KEY_IN_USE),
        (Answer(409, b""), GatewayResultKind.REFUSED, E.KEY_IN_USE),
        (Answer(409, b""), GatewayResultKind.DECLINED, E.SETTLED),
    ],
)
def test_what_came_back_is_classed(
    answer: Answer | Unanswered, kind: GatewayResultKind | None, ending: Ending
) -> None:
    assert ending_of(answer, GatewayResult(kind) if kind else None) is ending


def test_a_key_is_relied_on_for_part_of_its_life_and_never_by_a_clock_that_went_back() -> None:
    assert key_is_known(0.0, 100.0)
    assert key_is_known(100.0 * KEY_LIFE_SHARE, 100.0)
    assert not key_is_known(100.0 * KEY_LIFE_SHARE + 0.1, 100.0)
    assert not key_is_known(-1.0, 100.0)
    assert not key_is_known(1.0, 0.0)


def test_waits_grow_to_a_limit_jitter_and_obey_retry_after() -> None:
    waits = [wait_s(sends, retry_after_s=0.0, jitter=1.0) for sends in range(1, 8)]

    assert waits == sorted(waits)
    assert waits[-1] == WAIT_S_MAX
    assert wait_s(1, retry_after_s=0.0, jitter=0.0) == waits[0] / 2
    assert wait_s(1, retry_after_s=7.0, jitter=1.0) == 7.0
