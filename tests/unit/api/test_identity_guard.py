"""The guard of the login: by account and by address (PCI DSS 4.0.1 section 8.3.4)."""

from __future__ import annotations

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


def wrong_tries(guard: LoginGuard, count: int, account: str = "ada", now_s: float = 0.0) -> list[bool]:
    return [guard.tried(account, "192.0.2.1", now_s) for _ in range(count)]


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
    guard.succeeded("ada", "192.0.2.1")
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


def test_what_it_remembers_is_bounded() -> None:
    guard = LoginGuard()
    for number in range(ENTRIES_MAX + 10):
        guard.tried(f"user{number}", f"a{number}", 0.0)

    assert len(guard._accounts) == len(guard._addresses) == ENTRIES_MAX
