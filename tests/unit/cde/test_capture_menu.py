"""Menus: one key matched in cde, its option's place told and nothing else. And every trap between fields and menus."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from dtmf_shield.account_data import slots
from dtmf_shield.base.errors import InvariantError
from dtmf_shield.cde.capture import REPEAT_REST_S
from dtmf_shield.cde.menu import Menu
from dtmf_shield.cde.step_clock import PROMPT_S_MAX
from dtmf_shield.model.capture import CaptureState, ChoiceFault, ControlKey, RejectReason
from dtmf_shield.model.ids import CaptureId
from dtmf_shield.model.messages import ChoiceMade, ChoiceRefused, ControlKeyed
from tests.unit.cde.capture_line import (
    CODE,
    EXPIRY,
    MASTERCARD,
    OPTIONS,
    PAN,
    PATIENCE,
    VISA,
    Line,
    held_card,
)

ID = CaptureId("c1")
DROP = replace(PATIENCE, type_ahead="drop")
WAY_OUT = replace(PATIENCE, agent="0")
TIMEOUT, WRONG_KEY = ChoiceRefused(ID, ChoiceFault.TIMEOUT), ChoiceRefused(ID, ChoiceFault.WRONG_KEY)
REPEAT, AGENT = ControlKeyed(ID, ControlKey.REPEAT), ControlKeyed(ID, ControlKey.AGENT)


# --- choosing ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("key", "ordinal"), [("1", 0), ("2", 1), ("3", 2)])
def test_option_tells_its_place_and_closes_the_menu(key: str, ordinal: int) -> None:
    line = Line().armed().menu()
    assert line.state is CaptureState.CHOOSING

    line.key(key)

    assert line.told() == [ChoiceMade(ID, ordinal)]
    assert line.state is CaptureState.HELD


def test_place_is_of_the_order_and_not_the_key() -> None:
    assert Line().armed().menu(keys=("9", "4")).key("4").told() == [ChoiceMade(ID, 1)]


def test_no_trace_of_the_choice_stays_in_the_slot_for_its_other_door() -> None:
    line = Line().armed().menu().key("2")
    assert line.unpaired() == b""

    line.capture.take_info_key(ord("2"), 0.0, line.now_s + 0.5)
    line.menu()
    assert line.told() == [ChoiceMade(ID, 1)]
    assert line.state is CaptureState.CHOOSING


def test_option_by_info_counts_once() -> None:
    line = Line().armed().menu()
    line.capture.take_info_key(ord("3"), 0.1, line.now_s)
    line.key("3")
    assert line.told() == [ChoiceMade(ID, 2)]
    line.menu()
    assert line.state is CaptureState.CHOOSING


@pytest.mark.parametrize("key", ["7", "#", "0"])
def test_key_without_an_option_closes_the_menu_as_wrong(key: str) -> None:
    line = Line().armed().menu().key(key)
    assert line.told() == [WRONG_KEY]
    assert line.state is CaptureState.HELD


def test_keys_that_no_telephone_has_are_no_choice_and_no_mistake() -> None:
    line = Line().armed().menu().key("ABCD")
    assert (line.told(), line.state) == ([], CaptureState.CHOOSING)


def test_no_key_in_time_closes_the_menu() -> None:
    line = Line().armed().menu().wait(19.9)
    assert (line.told(), line.state) == ([], CaptureState.CHOOSING)

    line.wait(0.1)
    assert (line.told(), line.state) == ([TIMEOUT], CaptureState.HELD)
    assert line.wait(60).told() == []


def test_total_time_bounds_a_menu_that_is_asked_to_repeat_for_ever() -> None:
    line = Line().armed().menu(replace(PATIENCE, total_timeout_ms=30_000))
    line.wait(15).key("*").wait(14)
    assert line.told() == [REPEAT]
    assert line.wait(1).told() == [TIMEOUT]


def test_menu_closed_by_control_tells_nothing() -> None:
    line = Line().armed().menu()
    line.capture.stop_asking()
    assert (line.told(), line.state) == ([], CaptureState.HELD)
    assert line.wait(60).told() == []


def test_stop_that_crossed_the_choice_changes_nothing() -> None:
    line = Line().armed().menu().key("1")
    line.capture.stop_asking()
    assert (line.told(), line.state) == ([ChoiceMade(ID, 0)], CaptureState.HELD)


@pytest.mark.parametrize("keys", [(), ("1", "1"), ("12",), ("",), ("*",), ("#",), ("a",), ("²",)])
def test_what_is_no_menu_is_refused_and_changes_nothing(keys: tuple[str, ...]) -> None:
    line = Line().armed().collect(PAN).key("42")
    with pytest.raises(InvariantError):
        line.menu(keys=keys)
    assert (line.state, line.number()) == (CaptureState.KEYING, b"42")


def test_menu_shows_no_key() -> None:
    assert "9" not in repr(Menu(("9", "4")))


def test_field_half_keyed_goes_when_a_menu_opens_and_held_ones_stay() -> None:
    line = Line().armed().collect(EXPIRY).key("1230").collect(PAN).key("4242").menu()
    told = line.capture.progress()
    assert (line.number(), line.unpaired()) == (b"", b"")
    assert (told.field, told.count, told.accepted) == ("", 0, (EXPIRY,))


def test_last_four_stay_told_beside_a_menu_for_the_confirmation() -> None:
    line = Line().armed().collect(PAN).key(VISA + "#").menu()
    told = line.capture.progress()
    assert (told.state, told.field, told.last4, told.brand) == (CaptureState.CHOOSING, PAN, "4242", "visa")


def test_card_is_sent_while_its_menu_is_open_as_the_agent_may_choose() -> None:
    line = held_card().menu()
    line.capture.submit(line.now_s)
    assert line.state is CaptureState.SENDING
    assert line.key("1").told() == []


# --- keys left over from before --------------------------------------------------------------------------


def test_keys_left_over_from_the_card_do_not_pay() -> None:
    line = Line().armed().collect(CODE).key("1234" + "1")
    line.menu(DROP)
    assert (line.told(), line.state) == ([], CaptureState.CHOOSING)
    assert bytes(line.slot[slots.WAITING_KEYS_AT :][: slots.WAITING_KEYS_MAX]) == bytes(
        slots.WAITING_KEYS_MAX
    )

    assert line.key("1").told() == [ChoiceMade(ID, 0)]


def test_key_typed_ahead_chooses_where_the_menu_keeps_it_and_the_rest_serves_what_follows() -> None:
    line = Line().armed().key("21230").menu()
    assert line.told() == [ChoiceMade(ID, 1)]
    assert line.collect(EXPIRY).capture.progress().accepted == (EXPIRY,)


def test_wrong_key_typed_ahead_drops_the_rest() -> None:
    line = Line().armed().key("91").menu()
    assert line.told() == [WRONG_KEY]
    line.menu()
    assert (line.told(), line.state) == ([], CaptureState.CHOOSING)


@pytest.mark.parametrize("patience", [PATIENCE, DROP])
@pytest.mark.parametrize("opened_first", [True, False])
def test_submit_key_right_after_an_auto_submit_is_no_choice(opened_first: bool, patience: object) -> None:
    line = Line().armed().collect(PAN).key(MASTERCARD)
    if opened_first:
        line.menu(patience).key("#")
    else:
        line.key("#").menu(patience)
    assert (line.told(), line.state) == ([], CaptureState.CHOOSING)

    assert line.key("#").told() == [WRONG_KEY]


def test_submit_key_of_the_field_and_not_of_the_menu_is_swallowed() -> None:
    by_star = replace(PATIENCE, submit="star", undo="none", repeat="none")
    line = Line().armed().collect(PAN, by_star).key(MASTERCARD).menu().key("*")
    assert (line.told(), line.state) == ([], CaptureState.CHOOSING)


def test_submit_key_after_a_choice_is_swallowed_too() -> None:
    line = Line().armed().menu().key("1").collect(EXPIRY).key("#")
    assert (line.state, line.reason) == (CaptureState.WAITING, None)

    again = Line().armed().menu().key("9")
    assert again.told() == [WRONG_KEY]
    assert (again.menu().key("#").told(), again.state) == ([], CaptureState.CHOOSING)


def test_bounce_of_the_choice_is_no_key_of_the_next_field() -> None:
    line = Line().armed().menu(replace(PATIENCE, debounce_ms=120)).key("1").key("1", gap_s=0.08)
    assert line.told() == [ChoiceMade(ID, 0)]
    assert line.collect(EXPIRY).state is CaptureState.WAITING


# --- repeat key and agent key ----------------------------------------------------------------------------


def test_repeat_key_leaves_the_menu_open_with_fresh_patience() -> None:
    line = Line().armed().menu().wait(19).key("*")
    assert (line.told(), line.state) == ([REPEAT], CaptureState.CHOOSING)

    line.wait(19)
    assert line.key("2").told() == [ChoiceMade(ID, 1)]


def test_two_stars_in_a_row_repeat_once_and_one_after_a_while_again() -> None:
    line = Line().armed().menu().key("**")
    assert line.told() == [REPEAT]
    assert line.wait(REPEAT_REST_S).key("*").told() == [REPEAT]


def test_agent_key_closes_the_menu() -> None:
    line = Line().armed().menu(WAY_OUT).key("0")
    assert (line.told(), line.state) == ([AGENT], CaptureState.HELD)
    assert line.unpaired() == b""


def test_option_wins_over_a_key_to_an_agent() -> None:
    assert Line().armed().menu(WAY_OUT, ("1", "0")).key("0").told() == [ChoiceMade(ID, 1)]


def test_star_is_a_wrong_key_where_nothing_repeats() -> None:
    assert Line().armed().menu(replace(PATIENCE, repeat="none")).key("*").told() == [WRONG_KEY]


# --- prompt and pause -------------------------------------------------------------------------------------


def test_silence_of_a_menu_counts_from_the_end_of_its_prompt() -> None:
    line = Line().armed().menu().prompt(over=False).wait(50)
    assert line.told() == []

    line.prompt(over=True).wait(19.9)
    assert line.told() == []
    assert line.wait(0.1).told() == [TIMEOUT]


def test_prompt_that_nobody_says_is_over_holds_up_a_menu_no_longer_than_its_limit() -> None:
    long = replace(PATIENCE, total_timeout_ms=300_000)
    line = Line().armed().menu(long).prompt(over=False).wait(PROMPT_S_MAX + 19.9)
    assert line.told() == []
    assert line.wait(0.1).told() == [TIMEOUT]


def test_key_during_the_prompt_of_a_menu_chooses() -> None:
    assert Line().armed().menu().prompt(over=False).wait(1).key("1").told() == [ChoiceMade(ID, 0)]


def test_menu_goes_on_after_a_pause_with_the_time_it_had() -> None:
    line = Line().armed().menu().wait(15)
    line.capture.pause(line.now_s)
    line.wait(100).key("1")
    assert line.told() == []

    line.capture.resume(line.now_s)
    assert line.state is CaptureState.CHOOSING
    line.wait(4.9)
    assert line.told() == []
    assert line.wait(0.2).told() == [TIMEOUT]


def test_menu_closed_in_a_pause_is_not_open_after_it() -> None:
    line = Line().armed().menu()
    line.capture.pause(line.now_s)
    line.capture.stop_asking()
    assert line.state is CaptureState.PAUSED

    line.wait(30)
    line.capture.resume(line.now_s)
    assert (line.wait(60).told(), line.state) == ([], CaptureState.HELD)


def test_menu_asked_for_in_a_pause_ends_it() -> None:
    line = Line().armed().collect(PAN).key("42")
    line.capture.pause(line.now_s)
    line.wait(30).menu()
    assert (line.state, line.number()) == (CaptureState.CHOOSING, b"")
    assert line.wait(19.9).told() == []


def test_keys_lost_on_the_way_choose_nothing() -> None:
    line = Line().armed().menu()
    line.capture.take_media_keys(line.head, True, line.now_s)
    assert (line.told(), line.state) == ([], CaptureState.CHOOSING)


# --- every menu -------------------------------------------------------------------------------------------


@given(
    keys=st.lists(st.sampled_from("0123456789"), min_size=1, max_size=10, unique=True).map(tuple),
    pressed=st.sampled_from("0123456789*#"),
)
def test_any_key_in_any_menu_has_one_answer(keys: tuple[str, ...], pressed: str) -> None:
    line = Line().armed().menu(WAY_OUT, keys).key(pressed)
    expected = (
        ChoiceMade(ID, keys.index(pressed))
        if pressed in keys
        else REPEAT
        if pressed == "*"
        else AGENT
        if pressed == "0"
        else WRONG_KEY
    )
    assert line.told() == [expected]
    assert (line.state is CaptureState.CHOOSING) == (expected is REPEAT)


def test_options_are_the_keys_of_a_flow() -> None:
    assert all(Menu(OPTIONS).ordinal(ord(key)) == place for place, key in enumerate(OPTIONS))
    assert Menu(OPTIONS).ordinal(ord("9")) is None


def test_refusal_reason_of_a_field_does_not_stay_beside_a_menu() -> None:
    line = Line().armed().collect(PAN).key("5555555555554445")
    assert line.reason is RejectReason.LUHN
    assert line.menu().reason is None
