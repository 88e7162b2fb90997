"""The guard of the login: by account and by address (PCI DSS 4.0.1 section 8.3.4)."""

from __future__ import annotations

import pytest

from dtmf_shield.api.identity.login_guard import (
    ADDRESS_ATTEMPTS_MAX,
    ADDRESS_WINDOW_S,
    ATTEMPTS_MAX,
    BACKOFF_FIRST_S,
    ENTRIES_MAX,
    FREE_ATTEMPTS,
    LOCK_S,
    LoginGuard,
)
from dtmf_shield.api.identity.users import USERS_MAX

OFFICE = "192.0.2.1"


def wrong_at_the_office(guard: LoginGuard, count: int, now_s: float = 0.0) -> None:
    for number in range(count):
        guard.tried(f"user{number}-{now_s}", OFFICE, now_s)


def wrong_tries(guard: LoginGuard, count: int, account: str = "ada", now_s: float = 0.0) -> list[bool]:
    return [guard.tried(account, OFFICE, now_s).locked for _ in range(count)]


def test_who_mistypes_may_try_again_at_once() -> None:
    guard = LoginGuard()
    wrong_tries(guard, FREE_ATTEMPTS)

    assert guard.wait_s("ada", "192.0.2.1", 0.0) == 0


def test_each_more_wrong_try_waits_twice_as_long() -> None:
    guard = LoginGuard()
    wrong_tries(guard, FREE_ATTEMPTS)
    waits = []
    for _ in range(3):
        guard.tried("ada", "192.0.2.1", 0.0)
        waits.append(guard.wait_s("ada", "192.0.2.1", 0.0))

    assert waits == [BACKOFF_FIRST_S, 2 * BACKOFF_FIRST_S, 4 * BACKOFF_FIRST_S]
    assert guard.wait_s("ada", "192.0.2.1", 4 * BACKOFF_FIRST_S) == 0


def test_ten_lock_the_account_for_half_an_hour_wherever_one_comes_from() -> None:
    guard = LoginGuard()

    locked = wrong_tries(guard, ATTEMPTS_MAX)

    assert locked == [False] * (ATTEMPTS_MAX - 1) + [True]
    assert guard.wait_s("ada", "198.51.100.9", 0.0) == LOCK_S >= 1_800
    assert guard.wait_s("bob", "192.0.2.1", 0.0) == 0  # another account of the same office
    assert guard.wait_s("ada", "192.0.2.1", LOCK_S) == 0
    assert wrong_tries(guard, 1, now_s=LOCK_S) == [False]  # counted from one again


def test_a_right_password_forgets_and_a_reset_unlocks() -> None:
    guard = LoginGuard()
    wrong_tries(guard, ATTEMPTS_MAX - 1)
    guard.succeeded(guard.tried("ada", "192.0.2.1", 0.0))
    assert guard.wait_s("ada", "192.0.2.1", 0.0) == 0

    wrong_tries(guard, ATTEMPTS_MAX)
    guard.forget("ada")

    assert guard.wait_s("ada", "192.0.2.1", 0.0) == 0


def test_one_address_cannot_go_through_all_accounts() -> None:
    guard = LoginGuard()
    for number in range(ADDRESS_ATTEMPTS_MAX):
        guard.tried(f"user{number}", "192.0.2.1", 0.0)

    assert guard.wait_s("fresh", "192.0.2.1", 0.0) == ADDRESS_WINDOW_S
    assert guard.wait_s("fresh", "192.0.2.2", 0.0) == 0


def test_an_office_that_mistypes_all_day_stays_open() -> None:
    guard = LoginGuard()
    for number in range(2 * ADDRESS_ATTEMPTS_MAX):  # one every minute, and right ones in between
        guard.tried(f"user{number}", OFFICE, 60.0 * number)
        guard.succeeded(guard.tried("ada", OFFICE, 60.0 * number + 1))
        assert guard.wait_s("bob", OFFICE, 60.0 * number + 1) == 0

    wrong_at_the_office(guard, ADDRESS_ATTEMPTS_MAX, now_s=90_000.0)
    assert guard.wait_s("bob", OFFICE, 90_000.0) == ADDRESS_WINDOW_S


def test_a_closed_address_stays_closed_for_its_time_when_its_window_is_over() -> None:
    guard = LoginGuard()
    guard.tried("ada", OFFICE, 0.0)
    wrong_at_the_office(guard, ADDRESS_ATTEMPTS_MAX - 2, now_s=500.0)
    late = guard.tried("bob", OFFICE, 599.0)
    guard.tried("eve", OFFICE, 599.0)

    guard.take_back(late)  # what was no wrong try after all leaves sixty
    guard.tried("fay", OFFICE, 600.0)
    assert guard.wait_s("fay", OFFICE, 600.0) == ADDRESS_WINDOW_S
    assert guard.wait_s("fay", OFFICE, 600.0 + ADDRESS_WINDOW_S) == 0


@pytest.mark.parametrize("end", ["succeeded", "take_back"])
def test_a_right_password_closes_no_office(end: str) -> None:
    guard = LoginGuard()
    wrong_at_the_office(guard, ADDRESS_ATTEMPTS_MAX - 1)
    right = guard.tried("ada", OFFICE, 0.0)
    assert (
        guard.wait_s("bob", OFFICE, 0.0) > 0
    )  # until it is known to be right: tries sent at once do not pass

    getattr(guard, end)(right)

    assert guard.wait_s("bob", OFFICE, 0.0) == 0
    guard.tried("bob", OFFICE, 0.0)
    assert guard.wait_s("fay", OFFICE, 0.0) == ADDRESS_WINDOW_S


def test_a_try_taken_back_leaves_nothing_and_takes_nothing_of_what_came_after() -> None:
    guard = LoginGuard()
    wrong_tries(guard, ATTEMPTS_MAX - 1)
    waits_s = guard.wait_s("ada", OFFICE, 0.0)
    last = guard.tried("ada", OFFICE, 0.0)
    assert last.locked

    guard.take_back(last)

    assert guard.wait_s("ada", OFFICE, 0.0) == waits_s
    guard.forget("ada")
    old = guard.tried("ada", OFFICE, 0.0)
    guard.forget("ada")
    wrong_tries(guard, ATTEMPTS_MAX)
    guard.take_back(old)  # of the time before the password was reset
    assert guard.wait_s("ada", OFFICE, 0.0) == LOCK_S
    assert guard._accounts["ada"].count == ATTEMPTS_MAX


def test_an_ipv6_connection_is_one_address() -> None:
    guard = LoginGuard()
    for number in range(ADDRESS_ATTEMPTS_MAX):
        guard.tried(f"user{number}", f"2001:db8:0:1::{number:x}", 0.0)

    assert guard.wait_s("fresh", "2001:db8:0:1:ffff::1", 0.0) == ADDRESS_WINDOW_S
    assert guard.wait_s("fresh", "2001:db8:0:2::1", 0.0) == 0


@pytest.mark.parametrize("failures", [1, ATTEMPTS_MAX])
def test_invented_names_push_out_no_account_that_there_is(failures: int) -> None:
    guard = LoginGuard(lambda account: account == "ada")
    wrong_tries(guard, failures)
    for number in range(ENTRIES_MAX + 10):
        guard.tried(f"invented{number}", f"a{number}", 0.0)

    assert guard._accounts["ada"].count == failures
    assert USERS_MAX < ENTRIES_MAX  # so there is always another to forget


def test_what_is_closed_is_forgotten_last() -> None:
    guard = LoginGuard()
    wrong_tries(guard, ATTEMPTS_MAX, account="invented")
    for number in range(ADDRESS_ATTEMPTS_MAX):
        guard.tried(f"user{number}", "198.51.100.1", 0.0)
    for number in range(ENTRIES_MAX + 10):
        guard.tried(f"name{number}", f"a{number}", 0.0)

    assert guard.wait_s("invented", "", 0.0) == LOCK_S
    assert guard.wait_s("fresh", "198.51.100.1", 0.0) == ADDRESS_WINDOW_S


def test_where_all_is_closed_a_newcomer_is_counted_and_not_shut_out() -> None:
    guard = LoginGuard(lambda account: account == "ada")
    for number in range(ENTRIES_MAX):
        for _ in range(FREE_ATTEMPTS + 1):
            guard.tried(f"invented{number}", "", number / ENTRIES_MAX)

    assert guard.wait_s("ada", "", 1.0) == guard._addresses[""].open_s - 1.0  # by the address alone
    wrong_tries(guard, ATTEMPTS_MAX, now_s=1.0)

    assert guard.wait_s("ada", "192.0.2.9", 1.0) == LOCK_S
    assert guard.wait_s("invented0", "192.0.2.9", 1.0) == 0  # whose wait would have ended first
    assert guard.wait_s("invented1", "192.0.2.9", 1.0) > 0


def test_what_it_remembers_is_bounded() -> None:
    guard = LoginGuard()
    for number in range(ENTRIES_MAX + 10):
        guard.tried(f"user{number}", f"a{number}", 0.0)

    assert len(guard._accounts) == len(guard._addresses) == ENTRIES_MAX
