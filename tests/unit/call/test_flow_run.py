"""A flow in a call: prompts, menus, timers, another card after a refusal, the agent's hand in it, its end."""

import pytest

from dtmf_shield.call.errors import CaptureOver, CaptureSending, FieldUnknown, NothingToPay
from dtmf_shield.call.events import FlowAlerted
from dtmf_shield.flow.engine.events import HookAnswered, HookOutcome
from dtmf_shield.model.capture import CaptureResult, CaptureState, ChoiceFault, ControlKey, Hint, RejectReason
from dtmf_shield.model.ids import LegRole
from dtmf_shield.model.messages import ChoiceMade, CollectField, KeysHinted, LineHinted, PromptEnd
from dtmf_shield.model.payment import NO_MONEY
from dtmf_shield.model.stream import ShieldMode
from tests.unit.call.flow_house import SHIPPED, FlowHouse, flow

PAYING = SHIPPED.steps["pay"].model_copy(update={"gateway": "second"})
NAMED = SHIPPED.model_copy(update={"steps": {**SHIPPED.steps, "pay": PAYING}})
"""The shipped flow, which asks the gateway ``second`` and no other."""


def at_confirm(**options):
    house = FlowHouse(**options).begin()
    house.hold_card()
    return house


@pytest.mark.parametrize(
    ("result", "alerts"), [(CaptureResult.UNKNOWN, ["reconcile"]), (CaptureResult.APPROVED, [])]
)
def test_a_person_is_called_to_a_payment_that_ended_unknown(result, alerts):
    house = at_confirm(speaks=False)
    house.choose(0)

    house.outcome(result)

    told = [event for event in iter(house.core.next_event, None) if isinstance(event, FlowAlerted)]
    assert [event.alert for event in told] == alerts
    assert all(event.capture_id == house.capture_id for event in told)


def test_a_shipped_flow_goes_from_the_mask_to_the_receipt():
    house = FlowHouse().start()
    assert (house.asked(), house.said()) == ([], [])

    house.confirm_shield(house.call_id, ShieldMode.CAPTURE)
    assert (house.asked(), house.said()) == (["start"], [])
    house.arm()
    assert house.asked()[1:] == ["collect pan", "saying"]
    assert house.said()[0].startswith("Please key in the long number")
    house.prompt_over(PromptEnd.STOPPED_BY_KEY)
    assert house.asked()[-1] == "said"
    house.hold_card()
    assert house.asked()[-2:] == ["menu xx", "saying"]
    assert "12.50" in house.said()[-1]
    assert "4242" in house.said()[-1]
    assert house.shown.can_pay
    house.choose(0)
    assert house.asked()[-1] == "submit charge"
    house.outcome()

    assert (house.result, house.step) == (CaptureResult.APPROVED, "done")  # told before the receipt is said
    house.prompt_over()
    assert house.said()[-1] == "You have paid 12.50"
    assert house.media.shields["caller"] == "capture"
    house.prompt_over()
    assert (house.result, house.step) == (CaptureResult.APPROVED, "")
    assert house.media.shields["caller"] == "capture"
    house.run(3.1)
    assert house.media.shields["caller"] == "guard"


def test_a_flow_goes_on_without_a_word_where_nothing_can_be_heard():
    house = at_confirm(speaks=False)
    house.choose(0)
    house.outcome()

    assert (house.result, house.step) == (CaptureResult.APPROVED, "")
    assert "saying" not in house.asked()


def test_a_refused_card_leads_to_another_capture_with_another_name():
    house = at_confirm(speaks=False)
    first = house.capture_id
    house.choose(0)
    house.outcome(CaptureResult.DECLINED)

    assert house.asked()[-1] == "start"
    assert house.capture_id != first
    assert house.result is None
    house.arm()
    assert (house.asked()[-1], house.step) == ("collect pan", "card")
    assert house.capture.sent[-1].capture_id == house.capture_id
    house.hold_card()
    house.choose(0)
    house.outcome()
    assert house.result is CaptureResult.APPROVED
    assert [line for line in house.asked() if line.startswith("submit")] == ["submit charge"] * 2


def test_what_cde_says_late_of_the_capture_before_changes_nothing():
    house = at_confirm(speaks=False)
    first = house.capture_id
    house.choose(0)
    house.outcome(CaptureResult.DECLINED)
    house.arm()
    before = house.asked()

    house.tell(ChoiceMade(first, 0))

    assert (house.asked(), house.step) == (before, "card")


def test_an_unknown_result_is_never_followed_by_another_card():
    house = at_confirm(speaks=False)
    house.choose(0)
    house.outcome(CaptureResult.UNKNOWN)

    assert (house.result, house.step) == (CaptureResult.UNKNOWN, "")
    assert house.asked()[-1] == "submit charge"


def test_no_answer_of_the_gateway_in_time_is_unknown_until_cde_knows_better():
    house = at_confirm(speaks=False)
    house.choose(0)

    house.run(31)

    assert (house.result, house.step) == (CaptureResult.UNKNOWN, "")
    assert house.asked()[-1] == "submit charge"  # nothing cuts what is at the gateway
    house.outcome()
    assert house.result is CaptureResult.APPROVED


@pytest.mark.parametrize(
    ("reason", "result"),
    [(RejectReason.LUHN, CaptureResult.ATTEMPTS_USED), (RejectReason.TIMEOUT, CaptureResult.TIMED_OUT)],
)
def test_a_field_given_up_ends_the_capture_by_its_reason(reason, result):
    house = FlowHouse(speaks=False).begin()

    house.give_up("pan", reason)

    assert (house.result, house.step, house.asked()[-1]) == (result, "", f"cancel {result.value}")


def test_a_menu_that_nobody_answers_is_asked_again_then_failed():
    house = at_confirm(speaks=False)

    house.choose_nothing(ChoiceFault.WRONG_KEY)
    assert house.asked()[-1] == "menu xx"
    house.choose_nothing()

    assert (house.result, house.asked()[-1]) == (CaptureResult.TIMED_OUT, "cancel timed_out")


def test_the_second_option_asks_for_the_card_again():
    house = at_confirm(speaks=False)

    house.choose(1)

    assert (house.asked()[-1], house.step) == ("collect pan", "card")
    assert len([line for line in house.asked() if line == "start"]) == 1


# --- the agent ------------------------------------------------------------------------------------------------


def test_the_agent_takes_the_payment_where_the_menu_lets_him():
    house = FlowHouse(speaks=False).begin()
    with pytest.raises(NothingToPay):
        house.core.take_payment(house.now_s, house.capture_id)
    house.hold_card()

    house.core.take_payment(house.now_s, house.capture_id)

    assert house.asked()[-2:] == ["stop asking", "submit charge"]
    with pytest.raises(CaptureSending):
        house.core.take_payment(house.now_s, house.capture_id)


def test_an_agents_cancel_wipes_at_once_and_ends_by_the_flows_way():
    house = at_confirm()

    house.core.cancel_capture(house.now_s, house.capture_id)

    assert (house.result, house.step, house.asked()[-1]) == (CaptureResult.CANCELLED, "", "cancel cancelled")
    assert house.media.stopped


def test_an_agents_cancel_after_the_payment_ends_the_speaking_and_keeps_the_outcome():
    house = at_confirm()
    house.choose(0)
    house.outcome()
    assert house.step == "done"

    house.core.cancel_capture(house.now_s, house.capture_id)

    assert (house.result, house.step) == (CaptureResult.APPROVED, "")
    assert house.media.stopped[-1] == ("caller", house.media.said[-1][1])
    with pytest.raises(CaptureOver):
        house.core.cancel_capture(house.now_s, house.capture_id)


def test_once_money_has_moved_nobody_asks_for_another_card():
    house = at_confirm()
    house.choose(0)
    house.outcome()

    with pytest.raises(CaptureOver):
        house.core.request_field(house.now_s, house.capture_id, "pan")

    assert house.asked()[-1] == "submit charge"


def test_a_pause_stops_the_prompt_and_the_end_of_it_says_it_again():
    house = FlowHouse().begin()
    house.core.pause_capture(house.now_s, house.capture_id)
    assert house.media.stopped == [("caller", house.media.said[-1][1])]
    assert house.asked()[-2:] == ["said", "PauseCapture"]
    house.run(15)
    assert len(house.said()) == 1  # the silence of a pause is no silence of the caller's

    house.core.resume_capture(house.now_s, house.capture_id)

    assert house.asked()[-2:] == ["ResumeCapture", "saying"]
    assert len(set(house.said())) == 1 < len(house.said())


def paying_in_a_pause():
    """The caller's last key and the agent's pause cross: the payment waits for its end."""
    house = at_confirm()
    house.core.pause_capture(house.now_s, house.capture_id)
    house.choose(0)
    assert house.step == "pay"
    return house


def test_a_payment_that_waits_for_the_end_of_a_pause_is_sent_then():
    house = paying_in_a_pause()

    house.core.resume_capture(house.now_s, house.capture_id)

    assert "submit charge" in house.asked()


def test_a_payment_that_waits_for_the_end_of_a_pause_can_be_cancelled():
    house = paying_in_a_pause()

    house.core.cancel_capture(house.now_s, house.capture_id)

    assert (house.step, house.result, house.asked()[-1]) == ("", CaptureResult.CANCELLED, "cancel cancelled")
    assert "submit charge" not in house.asked()
    with pytest.raises(CaptureOver):
        house.core.resume_capture(house.now_s, house.capture_id)


@pytest.mark.parametrize("result", [CaptureResult.TIMED_OUT, CaptureResult.INTERRUPTED])
def test_a_payment_that_never_left_a_pause_is_not_called_unknown(result):
    house = paying_in_a_pause()

    house.outcome(result)

    assert (house.step, house.result) == ("", result)


def test_a_payment_that_was_sent_cannot_be_cancelled():
    house = at_confirm()
    house.choose(0)

    with pytest.raises(CaptureSending):
        house.core.cancel_capture(house.now_s, house.capture_id)


def test_a_pause_while_the_receipt_is_said_needs_no_cde():
    house = at_confirm()
    house.choose(0)
    house.outcome()
    house.core.pause_capture(house.now_s, house.capture_id)
    assert house.asked()[-1] == "submit charge"

    house.core.resume_capture(house.now_s, house.capture_id)
    house.prompt_over()
    house.prompt_over()

    assert house.step == ""


def test_a_field_keyed_again_by_the_agents_wish_leaves_the_menu():
    house = at_confirm()

    house.core.request_field(house.now_s, house.capture_id, "cvv")

    assert (house.step, house.asked()[-2:]) == ("cvv", ["collect cvv", "saying"])
    house.progress(CaptureState.WAITING, "pan", "expiry", field="cvv")
    house.hold("pan", "expiry", "cvv", field="cvv")
    assert house.step == "confirm"


# --- what else moves it -----------------------------------------------------------------------------------------


def test_silence_after_a_prompt_says_it_once_more():
    house = FlowHouse().begin()
    house.prompt_over()
    house.run(9)
    assert len(house.said()) == 1

    house.run(2)

    assert len(house.said()) == 2


def test_the_end_of_a_prompt_that_was_replaced_means_nothing():
    house = at_confirm()
    first = house.media.said[0][1]
    before = house.asked()

    house.prompt_over(play_id=first)

    assert house.asked() == before


def test_the_longest_duration_hands_back_and_closes_what_is_open():
    house = FlowHouse().begin()

    house.run(15 * 60 + 1)

    assert (house.result, house.step, house.asked()[-1]) == (CaptureResult.TIMED_OUT, "", "cancel timed_out")


def test_a_gateway_that_is_down_is_known_before_a_card_is_asked_for():
    house = FlowHouse(speaks=False)
    house.core.gateways_changed(house.now_s, {"first": False, "second": False})
    house.start()
    house.confirm_shield(house.call_id, ShieldMode.CAPTURE)

    assert (house.result, house.asked()) == (CaptureResult.HANDED_OVER, [])


def test_one_gateway_of_two_is_enough_for_a_flow_that_names_none():
    house = FlowHouse(speaks=False).begin()

    house.core.gateways_changed(house.now_s, {"first": False, "second": True})
    assert not house.shown.gateway_down
    house.core.gateways_changed(house.now_s, {"first": False, "second": False})
    assert house.shown.gateway_down
    house.core.gateways_changed(house.now_s, {"first": True, "second": False})
    assert not house.shown.gateway_down


def test_a_flow_that_names_a_gateway_is_told_of_that_one_alone():
    house = FlowHouse(NAMED, speaks=False).begin()

    house.core.gateways_changed(house.now_s, {"first": False, "second": True})
    assert not house.shown.gateway_down
    house.core.gateways_changed(house.now_s, {"first": True, "second": False})
    assert house.shown.gateway_down


def test_a_card_is_not_asked_for_where_the_gateway_that_the_flow_names_is_down():
    house = FlowHouse(NAMED, speaks=False)
    house.core.gateways_changed(house.now_s, {"first": True, "second": False})
    house.start()
    house.confirm_shield(house.call_id, ShieldMode.CAPTURE)

    assert (house.result, house.asked()) == (CaptureResult.HANDED_OVER, [])


def test_hints_of_cde_and_of_media_are_shown_and_those_of_the_agents_line_are_not():
    house = FlowHouse(speaks=False).begin()
    house.core.line_hinted(house.now_s, LineHinted(house.call_id, LegRole.AGENT, Hint.NOISY_LINE))
    assert house.shown.hint is None
    house.core.line_hinted(house.now_s, LineHinted(house.call_id, LegRole.CALLER, Hint.WEAK_TONES))
    assert house.shown.hint is Hint.WEAK_TONES

    house.tell(KeysHinted(house.capture_id, Hint.SLOW_KEYS))

    assert house.shown.hint is Hint.SLOW_KEYS


def test_a_slow_caller_is_given_time_and_asked_for_nothing():
    house = FlowHouse().begin()

    house.tell(KeysHinted(house.capture_id, Hint.SLOW_KEYS))

    first, slower = [message for message in house.capture.sent if isinstance(message, CollectField)]
    assert (first.patience_only, slower.patience_only) == (False, True)
    assert slower.patience.first_digit_timeout_ms > first.patience.first_digit_timeout_ms


def test_a_caller_who_hangs_up_ends_prompt_and_capture():
    house = at_confirm()

    house.caller.send("BYE")
    house.run()

    assert house.asked()[-1] == "cancel caller_gone"
    assert house.core.snapshots() == []


def test_cde_that_is_away_interrupts_and_the_flow_ends_by_its_own_way():
    house = FlowHouse(speaks=False).begin()
    house.capture.up = False

    house.hold("pan", field="pan")

    assert (house.result, house.step) == (CaptureResult.INTERRUPTED, "")


def test_media_that_restarts_lets_a_receipt_end():
    house = at_confirm()
    house.choose(0)
    house.outcome()
    house.media.speaks = False

    house.core.media_restarted(house.now_s)

    assert (house.result, house.step) == (CaptureResult.APPROVED, "")


# --- flows of the tests -----------------------------------------------------------------------------------------

CHATTY = """
prompts_heard_by: {heard}
prompts:
  hello: {{en-GB: {{say: "Hello."}}}}
  ask: {{en-GB: {{say: "Account?"}}}}
fields: {{account: {{type: digits, length: {{min: 4, max: 6}}, sensitive: false}}}}
start: hello
steps:
  hello: {{do: play, prompt: hello, next: {{ok: ask}}}}
  ask: {{do: collect, field: account, prompts: [{{play: ask}}], next: {{ok: done, failed: back, agent_cancel: back}}}}
  done: {{do: exit, result: completed}}
  back: {{do: exit, result: failed}}
"""


def chatty(heard="caller"):
    return FlowHouse(flow(CHATTY.format(heard=heard)))


def nothing():
    return {"amount": NO_MONEY, "reference": ""}


LOOKING_UP = """
masking: {scope: collect_steps}
inputs: {reference: {type: text}}
prompts: {ask: {en-GB: {say: "Account?"}}}
fields: {account: {type: digits, length: {min: 4, max: 6}, sensitive: false}}
start: look
steps:
  look:
    {do: http, request: {hook: crm, send: [inputs.reference]}, timeout: 5s, save: found, next: {ok: ask, error: back}}
  ask: {do: collect, field: account, prompts: [{play: ask}], next: {ok: done, failed: back, agent_cancel: back}}
  done: {do: exit, result: completed}
  back: {do: exit, result: failed}
"""


def looking_up():
    return FlowHouse(flow(LOOKING_UP)).start(amount=NO_MONEY)


def answer(house, outcome=HookOutcome.OK, mark=None):
    call_id, asked, _ = house.hooks.asked[-1]
    house.core.hook_answered(house.now_s, call_id, mark or asked, HookAnswered(outcome, (("name", "Ann"),)))


def test_a_flow_that_masks_from_its_first_question_on_begins_unmasked():
    house = looking_up()
    assert (house.step, house.media.shields["caller"]) == ("look", "guard")
    assert house.hooks.asked[0][2].hook == "crm"

    answer(house)

    assert (house.step, house.media.shields["caller"], house.asked()) == ("ask", "capture", [])
    house.confirm_shield(house.call_id, ShieldMode.CAPTURE)
    house.arm()
    assert house.asked() == ["start", "collect account", "saying"]


def test_a_look_up_that_answers_late_or_for_something_else_means_nothing():
    house = looking_up()
    answer(house, mark=999)
    assert house.step == "look"

    house.run(5.1)
    answer(house)

    assert (house.step, house.result, house.asked()) == ("", CaptureResult.HANDED_OVER, [])


def test_without_hooks_a_look_up_is_an_error_at_once():
    house = FlowHouse(flow(LOOKING_UP))
    house.core._ctx.hooks = None

    house.start(amount=NO_MONEY)

    assert (house.step, house.result) == ("", CaptureResult.HANDED_OVER)


def test_a_flow_that_asks_the_gateway_for_nothing_is_completed():
    house = chatty().start(**nothing())
    house.confirm_shield(house.call_id, ShieldMode.CAPTURE)
    assert (house.asked(), house.said()) == (
        [],
        ["Hello."],
    )  # cde has no slot before there is something to ask
    house.prompt_over()
    house.arm()
    house.hold("account", field="account")

    assert (house.result, house.asked()[-1]) == (CaptureResult.COMPLETED, "cancel completed")


def test_prompts_for_both_are_played_to_both_and_end_together():
    house = chatty(heard="both").start(**nothing())
    house.confirm_shield(house.call_id, ShieldMode.CAPTURE)
    roles = [(who, play) for who, play, *_ in house.media.said]
    assert [who for who, _ in roles] == ["caller", "agent"]
    assert roles[0][1] == roles[1][1]

    house.prompt_over(role=LegRole.AGENT)
    assert house.step == "hello"
    house.prompt_over()

    assert house.step == "ask"
    assert house.media.stopped == [("agent", roles[1][1])]


def test_a_field_that_no_agent_may_ask_for_is_refused():
    house = FlowHouse(flow("agent_requests: none\n" + CHATTY.format(heard="caller")))
    house.start(**nothing())
    house.confirm_shield(house.call_id, ShieldMode.CAPTURE)

    with pytest.raises(FieldUnknown):
        house.core.request_field(house.now_s, house.capture_id, "account")


WAY_OUT = """
defaults: {keys: {agent: "0"}}
prompts: {ask: {en-GB: {say: "Account?"}}, sorry: {en-GB: {say: "One moment."}}}
fields: {account: {type: digits, length: {min: 4, max: 6}, sensitive: false}}
start: ask
steps:
  ask:
    do: collect
    field: account
    prompts: [{play: ask}]
    next: {ok: done, failed: sorry, agent_key: over, agent_redo: ask, agent_cancel: back}
  sorry: {do: play, prompt: sorry, next: {ok: over}}
  over: {do: transfer, to: TARGET, result: completed, next: {failed: back}}
  done: {do: exit, result: completed}
  back: {do: exit, result: failed}
"""


def asking(target="agent, target: desk"):
    return FlowHouse(flow(WAY_OUT.replace("TARGET", target))).begin(amount=NO_MONEY)


def test_the_agent_key_hands_over_to_the_agent_who_is_there():
    house = asking()

    house.press(ControlKey.AGENT)

    assert (house.result, house.step) == (CaptureResult.HANDED_OVER, "")
    assert house.asked()[-2:] == ["stop asking", "cancel handed_over"]


def test_a_queue_that_takes_nobody_leads_on():
    house = asking("queue, target: sales")

    house.press(ControlKey.AGENT)

    assert (house.result, house.step) == (CaptureResult.HANDED_OVER, "")
    assert house.core.snapshots() != []  # the agent keeps the call


def test_a_field_given_up_is_closed_before_the_flow_says_what_follows():
    house = asking()

    house.give_up("account", RejectReason.TOO_SHORT)

    assert (house.step, house.said()[-1], house.asked()[-1]) == ("sorry", "One moment.", "stop asking")
    house.prompt_over()
    assert house.result is CaptureResult.HANDED_OVER


def test_the_repeat_key_says_the_prompt_again():
    house = asking()
    house.prompt_over()

    house.press(ControlKey.REPEAT)

    assert house.said() == ["Account?"] * 2


def test_the_agent_has_the_field_at_hand_keyed_again():
    house = asking()
    house.progress(CaptureState.WAITING, field="account")
    house.progress(CaptureState.KEYING, field="account", count=3)

    house.core.request_field(house.now_s, house.capture_id, "account")

    assert [line for line in house.asked() if line.startswith("collect")] == ["collect account"] * 2
    assert house.said() == ["Account?"] * 2


def test_a_refused_entry_is_answered_and_the_field_stays_open():
    house = asking()
    house.progress(CaptureState.WAITING, field="account")
    house.prompt_over()

    house.progress(CaptureState.WAITING, field="account", attempt=2, reason=RejectReason.TOO_SHORT)

    assert house.said() == ["Account?"] * 2
    assert "stop asking" not in house.asked()
