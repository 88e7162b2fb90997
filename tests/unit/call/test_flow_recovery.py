"""Control dies while a flow runs: the mask first, then the step that is stored, and nothing is sent twice."""

import msgspec
import pytest

from dtmf_shield.call.errors import CaptureOver
from dtmf_shield.flow.engine.commands import CallHook
from dtmf_shield.flow.engine.events import HookAnswered, HookOutcome
from dtmf_shield.model.capture import CaptureResult, CaptureState, KeyedValue
from dtmf_shield.model.messages import SubmitCapture
from dtmf_shield.model.payment import NO_MONEY
from dtmf_shield.model.stream import ShieldMode
from tests.unit.call.flow_house import FlowHouse, flow


def crashed(house):
    house.crash()
    house.capture.sent.clear()
    house.media.said.clear()
    return house


def in_collect():
    house = FlowHouse().begin()
    house.hold("pan", field="pan", brand="visa", last4="4242")
    return crashed(house)


def in_menu():
    house = FlowHouse().begin()
    house.hold_card()
    return crashed(house)


def paying():
    house = FlowHouse().begin()
    house.hold_card()
    house.choose(0)
    return crashed(house)


def after_the_outcome():
    house = FlowHouse().begin()
    house.hold_card()
    house.choose(0)
    house.outcome()
    return crashed(house)


def test_a_question_is_asked_again_with_its_prompt():
    house = in_collect()
    assert house.media.shields["caller"] == "capture"

    house.hold("pan")

    assert (house.step, house.asked()) == ("expiry", ["collect expiry", "saying"])


def test_a_field_that_is_being_keyed_is_left_alone():
    house = in_collect()

    house.progress(CaptureState.KEYING, "pan", field="expiry", count=2)

    assert (house.step, house.asked(), house.said()) == ("expiry", [], [])
    house.hold("pan", "expiry", field="expiry")
    assert house.asked()[0] == "collect cvv"


def test_an_open_field_hears_its_prompt_and_keeps_its_place():
    house = in_collect()

    house.progress(CaptureState.WAITING, "pan", field="expiry")

    assert house.asked() == ["saying"]
    assert house.said() == ["Key in the expiry date as four digits, month then year."]


def test_a_menu_is_opened_again():
    house = in_menu()

    house.progress(CaptureState.CHOOSING, "pan", "expiry", "cvv")

    assert (house.step, house.asked()[0], house.shown.can_pay) == ("confirm", "menu xx", True)
    house.choose(0)
    assert house.asked()[-1] == "submit charge"


def test_what_was_sent_is_not_sent_again_and_its_answer_goes_on():
    house = paying()

    house.progress(CaptureState.PAYING, "pan", "expiry", "cvv")
    assert (house.step, house.asked()) == ("pay", [])
    house.outcome()

    assert (house.step, house.result) == ("done", CaptureResult.APPROVED)


def test_what_was_about_to_be_sent_when_control_died_is_sent_once():
    house = paying()

    house.hold("pan", "expiry", "cvv")

    assert [line for line in house.asked() if line.startswith("submit")] == ["submit charge"]


def test_an_answer_that_came_while_control_was_away_goes_on_too():
    house = paying()

    house.outcome(CaptureResult.DECLINED)

    assert (house.step, house.result) == ("declined", CaptureResult.DECLINED)


def test_a_receipt_waits_for_media_and_is_said_again():
    house = after_the_outcome()
    assert (house.result, house.said()) == (CaptureResult.APPROVED, [])

    house.core.media_joined(house.now_s)
    house.prompt_over()
    house.prompt_over()

    assert (house.result, house.step, house.asked()) == (CaptureResult.APPROVED, "", [])


def test_nobody_pays_twice_where_control_died_after_the_payment():
    house = after_the_outcome()
    house.core.media_joined(house.now_s)

    with pytest.raises(CaptureOver):
        house.core.request_field(house.now_s, house.capture_id, "pan")

    assert house.asked() == []


def test_the_longest_duration_goes_on_counting():
    house = FlowHouse().begin()
    house.run(10 * 60)
    crashed(house)
    house.progress(CaptureState.WAITING, field="pan")

    house.run(5 * 60 + 1)

    assert (house.step, house.result) == ("", CaptureResult.TIMED_OUT)


def test_a_flow_that_had_not_begun_begins_once_media_masks():
    house = crashed(FlowHouse().start())
    house.core.media_joined(house.now_s)
    assert house.asked() == []

    house.confirm_shield(house.call_id, ShieldMode.CAPTURE)
    house.arm()

    assert house.asked() == ["start", "collect pan", "saying"]


def test_a_capture_that_cde_knows_no_more_is_over():
    house = in_menu()

    house.run(5.1)

    assert (house.result, house.step) == (CaptureResult.INTERRUPTED, "")


def pause(house):
    house.core.pause_capture(house.now_s, house.capture_id)
    return house


def test_a_pause_in_a_receipt_outlives_control_and_nothing_is_said_into_it():
    house = FlowHouse().begin()
    house.hold_card()
    house.choose(0)
    house.outcome()
    crashed(pause(house))

    house.core.media_joined(house.now_s)
    assert house.said() == []

    house.core.resume_capture(house.now_s, house.capture_id)
    assert len(house.said()) == 1


def test_a_pause_between_two_questions_outlives_control():
    house = pause(FlowHouse().begin())
    house.hold("pan", field="pan", brand="visa", last4="4242")
    crashed(house)

    house.hold("pan")
    assert (house.asked(), house.said()) == ([], [])

    house.core.resume_capture(house.now_s, house.capture_id)
    assert house.asked() == ["ResumeCapture", "collect expiry", "saying"]


def test_a_pause_that_was_over_is_over():
    house = pause(FlowHouse().begin())
    house.core.resume_capture(house.now_s, house.capture_id)
    crashed(house)

    house.hold()

    assert house.asked() == ["collect pan", "saying"]


LOOK_UP = """
inputs: {reference: {type: text}}
fields: {account: {type: digits, length: {min: 4, max: 6}, sensitive: false}}
start: look
steps:
  look:
    {do: http, request: {hook: crm, send: [inputs.reference]}, timeout: 5s, save: found, next: {ok: ask, error: back}}
  ask: {do: collect, field: account, next: {ok: done, failed: back, agent_cancel: back}}
  done: {do: exit, result: completed}
  back: {do: exit, result: failed}
"""


def test_a_look_up_is_asked_for_again():
    house = FlowHouse(flow(LOOK_UP)).start(amount=NO_MONEY)
    house.confirm_shield(house.call_id, ShieldMode.CAPTURE)
    crashed(house)

    house.core.media_joined(house.now_s)

    assert [request for _, _, request in house.hooks.asked] == [
        CallHook("crm", (("reference", "A-1"),), 5_000)
    ] * 2


CHOSEN = """
inputs: {reference: {type: text}}
fields:
  pan: {type: card_number}
  expiry: {type: expiry}
  account: {type: digits, length: {min: 4, max: 6}, sensitive: false}
  pin: {type: digits, length: 4}
prompts:
  how_much: {en-GB: {say: "You owe {found.balance|money}. 1: all of it. 2: the least."}}
start: look
steps:
  look:
    {do: http, request: {hook: crm, send: [inputs.reference]}, save: found, next: {ok: account, error: back}}
  account: {do: collect, field: account, next: {ok: pin, failed: back, agent_cancel: back}}
  pin: {do: collect, field: pin, next: {ok: how_much, failed: back, agent_cancel: back}}
  how_much:
    do: menu
    prompts: [{play: how_much}]
    keys: {"1": card, "2": card}
    set: {"1": {due: found.balance}, "2": {due: found.least}}
    type_ahead: drop
    next: {failed: back, agent_cancel: back}
  card: {do: collect, field: pan, next: {ok: expiry, failed: back, agent_cancel: back}}
  expiry: {do: collect, field: expiry, next: {ok: pay, failed: back, agent_cancel: back}}
  pay:
    do: charge
    amount: vars.due
    currency: GBP
    reference: vars.account
    next: {approved: paid, declined: back, gateway_down: back, unknown: nobody_knows}
  paid: {do: exit, result: paid}
  nobody_knows: {do: exit, result: unknown, alert: reconcile}
  back: {do: exit, result: failed}
"""
FOUND = (("balance", "42.50"), ("least", "5.00"), ("street", "Elm Road"))


def looked_up(text=CHOSEN):
    """Behind the look-up, both fields accepted, the menu open."""
    house = FlowHouse(flow(text)).start(amount=NO_MONEY)
    house.confirm_shield(house.call_id, ShieldMode.CAPTURE)
    [(call_id, mark, _)] = house.hooks.asked
    house.core.hook_answered(house.now_s, call_id, mark, HookAnswered(HookOutcome.OK, FOUND))
    house.arm()
    house.hold("account", field="account", values=(KeyedValue("account", "13572"),))
    house.hold("account", "pin", field="pin", values=(KeyedValue("account", "13572"),))
    return house


def test_answers_of_a_look_up_are_still_known():
    house = crashed(looked_up())

    house.progress(CaptureState.HELD, "account", "pin", values=(KeyedValue("account", "13572"),))

    assert house.said() == ["You owe 42.50 1: all of it. 2: the least."]


def test_what_a_menu_has_set_is_still_known():
    house = looked_up()
    house.choose(1)
    crashed(house)

    house.progress(CaptureState.HELD, "account", "pin", values=(KeyedValue("account", "13572"),))
    house.hold("account", "pin", "pan", field="pan", brand="visa", last4="4242")
    house.hold("account", "pin", "pan", "expiry", field="expiry", brand="visa")

    [order] = [message for message in house.capture.sent if isinstance(message, SubmitCapture)]
    assert (order.amount_minor, order.currency) == (500, "GBP")


def test_a_variable_that_a_menu_has_set_over_a_keyed_field_of_its_name_stays_as_set():
    house = looked_up(CHOSEN.replace("due: found", "account: found").replace("vars.due", "vars.account"))
    house.choose(1)
    crashed(house)

    house.progress(CaptureState.HELD, "account", "pin", values=(KeyedValue("account", "13572"),))
    house.hold("account", "pin", "pan", field="pan", brand="visa", last4="4242")
    house.hold("account", "pin", "pan", "expiry", field="expiry", brand="visa")

    [order] = [message for message in house.capture.sent if isinstance(message, SubmitCapture)]
    assert order.amount_minor == 500


def test_a_record_keeps_of_values_what_the_flow_refers_to_and_nothing_of_a_field():
    house = looked_up()
    house.choose(1)
    [record] = house.store.records.values()

    assert record.flow.values == (("found.balance", "42.50"), ("found.least", "5.00"), ("vars.due", "5.00"))
    assert b"13572" not in msgspec.msgpack.encode(record)


@pytest.mark.parametrize("place", [in_collect, in_menu, paying, after_the_outcome])
def test_a_record_of_a_flow_holds_steps_and_words_and_packs(place):
    house = place()

    [record] = house.store.records.values()

    packed = msgspec.msgpack.encode(record)
    assert msgspec.msgpack.decode(packed, type=type(record)) == record
    assert b"4242" not in packed
