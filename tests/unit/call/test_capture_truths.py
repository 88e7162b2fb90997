"""Whose word counts about a capture's end: a card on its way is left alone, and cde knows better than a guess."""

import pytest

from dtmf_shield.base.errors import InvariantError
from dtmf_shield.call.events import CallEnded
from dtmf_shield.call.settings import ARM_TIMEOUT_S
from dtmf_shield.model.capture import CaptureOutcome, CaptureProgress, CaptureResult, CaptureState
from dtmf_shield.model.ids import Token
from dtmf_shield.model.messages import CancelCapture, CaptureArmed, CollectField, SubmitCapture
from dtmf_shield.model.payment import NO_MONEY, Money
from dtmf_shield.model.stream import ShieldMode
from tests.unit.call.call_house import CALLER, CHARGE, FLOW, CallHouse, sdp


def progress(capture_id, state, accepted=()):
    return CaptureProgress(capture_id=capture_id, state=state, accepted=accepted)


def armed_house(flow=FLOW, amount=NO_MONEY):
    house = CallHouse()
    call_id = house.talk()
    capture_id = house.core.start_capture(house.now_s, call_id, flow, amount=amount)
    house.confirm_shield(call_id, ShieldMode.CAPTURE)
    return house, capture_id


def sending_house(flow=FLOW, amount=NO_MONEY):
    house, capture_id = armed_house(flow, amount)
    house.core.capture_message(house.now_s, CaptureArmed(capture_id))
    fields = tuple(house.settings.flows[flow].fields)
    for count in range(len(fields)):
        held = progress(capture_id, CaptureState.HELD, fields[: count + 1])
        house.core.capture_message(house.now_s, held)
    assert isinstance(house.capture.sent[-1], SubmitCapture)
    return house, capture_id


def paying_house():
    return sending_house(CHARGE, Money(1050, "EUR"))


def told_at_the_end(house):
    """What is said of the capture with the end of its call."""
    (ended,) = [event for event in house.events if isinstance(event, CallEnded)]
    return ended.capture.result


def joined_anew_house():
    """Control died while a card was sent, and its channel to cde broke before cde told how far the capture is."""
    house, capture_id = sending_house()
    house.crash()
    house.capture.sent.clear()
    house.core.cde_restarted(house.now_s)
    return house, capture_id


def outcome_of(house):
    return house.core.snapshots()[0].capture.outcome


def cancels(house):
    return [message for message in house.capture.sent if isinstance(message, CancelCapture)]


def test_media_restarting_while_a_card_is_sent_leaves_the_capture_its_token():
    house, capture_id = sending_house()

    house.core.media_restarted(house.now_s)

    assert cancels(house) == []
    assert house.media.shields == {"caller": "capture", "agent": "capture"}
    token = CaptureOutcome(capture_id=capture_id, result=CaptureResult.TOKEN, token=Token("tok_1"))
    house.core.capture_message(house.now_s, token)
    assert outcome_of(house).token == "tok_1"


def test_media_restarting_while_keys_are_taken_interrupts():
    house, capture_id = armed_house()
    house.core.capture_message(house.now_s, CaptureArmed(capture_id))

    house.core.media_restarted(house.now_s)

    assert [message.capture_id for message in cancels(house)] == [capture_id]
    assert outcome_of(house).result is CaptureResult.INTERRUPTED


def test_cde_dying_while_a_card_is_sent_leaves_an_unknown_outcome():
    house, _ = sending_house()

    house.core.cde_restarted(house.now_s)

    assert outcome_of(house).result is CaptureResult.UNKNOWN


def test_joining_a_cde_anew_while_keys_are_taken_ends_the_capture_there_too():
    """The channel may have broken and not cde: it would go on collecting under a mask that has gone down."""
    house, capture_id = armed_house()
    house.core.capture_message(house.now_s, CaptureArmed(capture_id))

    house.core.cde_restarted(house.now_s)

    assert cancels(house) == [CancelCapture(capture_id, CaptureResult.INTERRUPTED)]
    assert outcome_of(house).result is CaptureResult.INTERRUPTED


def test_joining_a_cde_anew_while_a_card_is_sent_leaves_the_capture_its_token():
    house, capture_id = sending_house()

    house.core.cde_restarted(house.now_s)

    assert cancels(house) == []
    token = CaptureOutcome(capture_id=capture_id, result=CaptureResult.TOKEN, token=Token("tok_1"))
    house.core.capture_message(house.now_s, token)
    assert outcome_of(house).token == "tok_1"


def test_joining_a_cde_anew_before_it_told_how_far_a_capture_is_waits_for_its_word():
    house, capture_id = joined_anew_house()

    assert cancels(house) == []
    assert outcome_of(house) is None
    token = CaptureOutcome(capture_id=capture_id, result=CaptureResult.TOKEN, token=Token("tok_1"))
    house.core.capture_message(house.now_s, token)
    assert outcome_of(house).token == "tok_1"


def test_a_capture_of_which_a_cde_joined_anew_says_nothing_is_interrupted_there_too():
    house, capture_id = joined_anew_house()

    house.run(ARM_TIMEOUT_S + 0.1)

    assert cancels(house) == [CancelCapture(capture_id, CaptureResult.INTERRUPTED)]
    assert outcome_of(house).result is CaptureResult.INTERRUPTED


def test_what_a_fresh_cde_reads_in_its_ledger_replaces_a_guess():
    house, capture_id = sending_house()
    house.core.cde_restarted(house.now_s)

    told = CaptureOutcome(capture_id=capture_id, result=CaptureResult.INTERRUPTED)
    house.core.capture_message(house.now_s, told)

    assert outcome_of(house).result is CaptureResult.INTERRUPTED


def test_a_late_word_does_not_replace_what_an_agent_ended():
    house, capture_id = armed_house()
    house.core.capture_message(house.now_s, CaptureArmed(capture_id))
    house.core.cancel_capture(house.now_s, capture_id)

    told = CaptureOutcome(capture_id=capture_id, result=CaptureResult.TIMED_OUT)
    house.core.capture_message(house.now_s, told)

    assert outcome_of(house).result is CaptureResult.CANCELLED


def test_control_dying_before_the_first_question_asks_it_after():
    house, capture_id = armed_house()
    house.core.capture_message(house.now_s, CaptureArmed(capture_id))
    house.crash()
    house.capture.sent.clear()

    house.core.capture_message(house.now_s, progress(capture_id, CaptureState.HELD))

    assert [type(message) for message in house.capture.sent] == [CollectField]


def test_control_dying_before_the_slot_is_armed_still_asks_once_it_is():
    house, capture_id = armed_house()
    house.crash()
    house.capture.sent.clear()

    house.core.capture_message(house.now_s, progress(capture_id, CaptureState.IDLE))
    assert house.capture.sent == []
    house.core.capture_message(house.now_s, CaptureArmed(capture_id))

    assert [type(message) for message in house.capture.sent] == [CollectField]


def test_a_keyed_body_is_wiped_even_where_its_handling_breaks():
    house = CallHouse()
    house.talk()
    bodies = []

    def break_down(_call_id, _row, _role, body):
        bodies.append(body)
        raise InvariantError("our own mistake")

    house.capture.opaque_info = break_down
    house.caller.send("INFO", b"Signal=5\r\n", "application/dtmf-relay")

    with pytest.raises(InvariantError):
        house.run()

    assert not any(bodies[0].view())


@pytest.mark.parametrize("state", [None, CaptureState.SENDING, CaptureState.PAYING, CaptureState.SETTLING])
@pytest.mark.parametrize("who", ["caller", "agent"])
def test_a_hang_up_with_money_at_the_gateway_is_unknown_until_cde_says_what_became_of_it(who, state):
    """cde may find it approved, and say so: nobody may have been told that nothing was taken."""
    house, capture_id = paying_house()
    if state is not None:
        house.core.capture_message(house.now_s, progress(capture_id, state))

    getattr(house, who).send("BYE")
    house.run()

    assert told_at_the_end(house) is CaptureResult.UNKNOWN
    assert cancels(house) == [CancelCapture(capture_id, CaptureResult.CALLER_GONE)]


@pytest.mark.parametrize("said", [True, False])
def test_a_hang_up_before_cde_has_told_a_fresh_control_whether_money_is_on_its_way_is_unknown(said):
    house, capture_id = paying_house()
    house.crash()
    if said:
        house.core.capture_message(house.now_s, progress(capture_id, CaptureState.PAYING))

    house.caller.send("BYE")
    house.run()

    assert told_at_the_end(house) is CaptureResult.UNKNOWN


def test_a_hang_up_after_the_flow_has_given_up_waiting_for_the_answer_is_unknown_as_before():
    house, _ = paying_house()
    house.run(61)

    house.caller.send("BYE")
    house.run()

    assert told_at_the_end(house) is CaptureResult.UNKNOWN


@pytest.mark.parametrize("sent", [True, False])
def test_a_hang_up_where_no_money_can_have_moved_says_that_the_caller_is_gone(sent):
    house, capture_id = sending_house() if sent else armed_house(CHARGE, Money(1050, "EUR"))

    house.caller.send("BYE")
    house.run()

    assert told_at_the_end(house) is CaptureResult.CALLER_GONE
    assert cancels(house) == [CancelCapture(capture_id, CaptureResult.CALLER_GONE)]


def test_a_hang_up_in_a_pause_before_the_card_is_sent_says_that_the_caller_is_gone():
    house, capture_id = armed_house(CHARGE, Money(1050, "EUR"))
    house.core.capture_message(house.now_s, CaptureArmed(capture_id))
    house.core.pause_capture(house.now_s, capture_id)
    fields = tuple(house.settings.flows[CHARGE].fields)
    house.core.capture_message(house.now_s, progress(capture_id, CaptureState.PAUSED, fields))
    assert not any(isinstance(message, SubmitCapture) for message in house.capture.sent)

    house.caller.send("BYE")
    house.run()

    assert told_at_the_end(house) is CaptureResult.CALLER_GONE


def test_an_end_that_cde_has_told_before_the_hang_up_stands():
    house, capture_id = paying_house()
    approved = CaptureOutcome(capture_id=capture_id, result=CaptureResult.APPROVED)
    house.core.capture_message(house.now_s, approved)

    house.caller.send("BYE")
    house.run()

    assert told_at_the_end(house) is CaptureResult.APPROVED


def test_a_dialog_that_turns_out_gone_ends_the_capture_in_cde_too():
    house, capture_id = armed_house()
    house.core.capture_message(house.now_s, CaptureArmed(capture_id))
    house.agent.refuse = 481

    house.caller.send("INVITE", sdp(CALLER.host, direction="sendonly", version=2))
    house.run()

    assert house.core.snapshots() == []
    assert [(message.capture_id, message.result) for message in cancels(house)] == [
        (capture_id, CaptureResult.CALLER_GONE)
    ]


def test_a_bye_that_is_refused_for_its_number_ends_no_capture():
    house, capture_id = armed_house()
    house.core.capture_message(house.now_s, CaptureArmed(capture_id))
    house.caller.dialog.local_cseq = 0

    house.caller.send("BYE")
    house.run()

    assert house.caller.statuses("BYE") == [500]
    assert cancels(house) == []
    assert outcome_of(house) is None
