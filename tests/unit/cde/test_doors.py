"""Joining doors: one press by two doors counts once; two presses never count as one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtmf_shield.cde.doors import HELD_S_MAX, PAIR_WINDOW_S, Door, KeyJoiner


def joined(arrivals: list[tuple[str, Door, float]]) -> str:
    joiner = KeyJoiner(memoryview(bytearray(16)))
    return "".join(key for key, door, now_s in arrivals if joiner.is_new(ord(key), door, now_s))


def test_one_press_by_two_doors_counts_once() -> None:
    assert joined([("4", Door.MEDIA, 0.0), ("4", Door.INFO, 0.1)]) == "4"
    assert joined([("4", Door.INFO, 0.0), ("4", Door.MEDIA, 0.1)]) == "4"


def test_two_presses_of_one_door_count_twice() -> None:
    assert joined([("4", Door.INFO, 0.0), ("4", Door.INFO, 0.1)]) == "44"


def test_late_door_is_paired_in_order() -> None:
    arrivals = [
        ("4", Door.MEDIA, 0.0),
        ("2", Door.MEDIA, 0.15),
        ("4", Door.INFO, 0.2),
        ("2", Door.INFO, 0.35),
    ]
    assert joined(arrivals) == "42"


def test_pairing_passes_over_a_lost_key() -> None:
    arrivals = [("4", Door.MEDIA, 0.0), ("2", Door.MEDIA, 0.1), ("2", Door.INFO, 0.2), ("4", Door.INFO, 0.3)]
    assert joined(arrivals) == "424"


def test_same_key_after_the_window_is_a_new_press() -> None:
    assert joined([("4", Door.MEDIA, 0.0), ("4", Door.INFO, PAIR_WINDOW_S + 0.01)]) == "44"


@pytest.mark.parametrize("late_s", [0.0, 0.5, 1.5, 2.0])
def test_info_sent_again_after_losses_finds_its_key(late_s: float) -> None:
    """RFC 3261 17.1.2.2: timer E repeats an INFO 0.5 s and 1.5 s after the first."""
    keys = "4111"
    media = [(key, Door.MEDIA, 0.08 * index) for index, key in enumerate(keys)]
    info = [(key, Door.INFO, 0.08 * index + late_s) for index, key in enumerate(keys)]

    assert joined(sorted(media + info, key=lambda arrival: arrival[2])) == keys


def test_info_at_the_release_of_a_long_press_finds_its_key() -> None:
    joiner = KeyJoiner(memoryview(bytearray(16)))

    assert joiner.is_new(ord("5"), Door.MEDIA, 0.0)
    assert not joiner.is_new(ord("5"), Door.INFO, 4.1, held_s=4.0)


def test_info_so_late_that_it_was_not_held_is_a_press_of_its_own() -> None:
    assert joined([("5", Door.MEDIA, 0.0), ("5", Door.INFO, 4.1)]) == "55"


def test_quick_equal_presses_by_two_doors_stay_two() -> None:
    """40 ms tone, 40 ms pause; the INFO of the first comes after the second."""
    arrivals = [
        ("5", Door.MEDIA, 0.04),
        ("5", Door.MEDIA, 0.12),
        ("5", Door.INFO, 0.2),
        ("5", Door.INFO, 0.28),
    ]

    assert joined(arrivals) == "55"


def test_a_key_that_one_door_missed_still_counts() -> None:
    """The INFO of the first press takes the tone of the second for its pair; then the second INFO counts."""
    arrivals = [("5", Door.INFO, 0.0), ("5", Door.MEDIA, 0.3), ("5", Door.INFO, 0.4), ("7", Door.INFO, 0.7)]

    assert joined(arrivals) == "557"


def test_codes_leave_memory_when_their_time_is_over() -> None:
    cells = bytearray(16)
    joiner = KeyJoiner(memoryview(cells))
    joiner.is_new(ord("7"), Door.MEDIA, 0.0)
    assert joiner.next_timer_s == PAIR_WINDOW_S + HELD_S_MAX

    joiner.forget(PAIR_WINDOW_S + HELD_S_MAX + 0.01)

    assert cells == bytes(16)
    assert joiner.next_timer_s is None


def wiped_after(keys: str, door: Door) -> tuple[KeyJoiner, bytearray]:
    """A joiner to which one door told keys, 0.1 s apart from 0.0 on; then it was wiped."""
    cells = bytearray(16)
    joiner = KeyJoiner(memoryview(cells))
    assert all(joiner.is_new(ord(key), door, 0.1 * index) for index, key in enumerate(keys))
    assert bytes(cells[: len(keys)]) == keys.encode()
    joiner.wipe()
    return joiner, cells


def test_wipe_leaves_no_digit() -> None:
    joiner, cells = wiped_after("471", Door.MEDIA)

    assert cells == bytes(16)
    assert joiner._arrivals == [(Door.MEDIA, 0.1 * index) for index in range(3)]


@pytest.mark.parametrize(("first", "late"), [(Door.MEDIA, Door.INFO), (Door.INFO, Door.MEDIA)])
def test_late_info_of_a_wiped_key_is_swallowed(first: Door, late: Door) -> None:
    joiner, _ = wiped_after("47", first)

    assert not joiner.is_new(ord("4"), late, 1.0)
    assert not joiner.is_new(ord("7"), late, 1.1)
    assert joiner.is_new(ord("4"), late, 1.2)


def test_a_fresh_key_by_both_doors_counts_once_after_a_wipe() -> None:
    joiner, _ = wiped_after("47", Door.MEDIA)

    assert joiner.is_new(ord("5"), Door.MEDIA, 0.5)
    late = [joiner.is_new(ord(key), Door.INFO, 1.0 + 0.1 * index) for index, key in enumerate("475")]
    assert late == [False, False, False]


def test_a_fresh_key_counts_once_after_a_wipe_though_the_old_info_never_comes() -> None:
    joiner, _ = wiped_after("4", Door.MEDIA)

    assert [joiner.is_new(ord("5"), door, 0.5) for door in (Door.INFO, Door.MEDIA)] == [False, True]


def test_a_key_after_the_window_of_a_wiped_one_is_new() -> None:
    joiner, _ = wiped_after("4", Door.MEDIA)

    assert joiner.is_new(ord("4"), Door.INFO, PAIR_WINDOW_S + 0.01)


def test_a_wiped_key_is_forgotten_in_its_time() -> None:
    joiner, _ = wiped_after("4", Door.MEDIA)
    assert joiner.next_timer_s == PAIR_WINDOW_S + HELD_S_MAX

    joiner.forget(PAIR_WINDOW_S + HELD_S_MAX + 0.01)

    assert joiner.next_timer_s is None


def test_more_keys_than_cells_forget_the_oldest() -> None:
    assert len(joined([(str(index % 10), Door.MEDIA, 0.001 * index) for index in range(40)])) == 40


@given(st.text("0123456789*#", max_size=30), st.floats(0.0, 2.0))
def test_two_doors_in_step_give_each_key_once(keys: str, delay_s: float) -> None:
    arrivals = [(key, Door.MEDIA, 0.2 * index) for index, key in enumerate(keys)]
    arrivals += [(key, Door.INFO, 0.2 * index + delay_s) for index, key in enumerate(keys)]
    arrivals.sort(key=lambda arrival: arrival[2])

    assert joined(arrivals) == keys
