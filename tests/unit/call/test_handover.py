"""A caller handed to an agent or a queue: audio both ways on success, and no way in which the caller is lost."""

import pytest

from dtmf_shield.call.events import CallHandedOver, CallPhase
from dtmf_shield.model.capture import CaptureProgress, CaptureResult, CaptureState, ControlKey, RejectReason
from dtmf_shield.model.ids import LegRole
from dtmf_shield.model.messages import (
    CancelCapture,
    CaptureArmed,
    CaptureOutcome,
    CollectField,
    ControlKeyed,
    FieldGivenUp,
    PromptEnd,
    PromptEnded,
    StartCapture,
)
from dtmf_shield.model.stream import Codec, Direction, ShieldMode
from dtmf_shield.sip.message import respond_to
from tests.unit.call.call_house import AGENT, CALLER, FLOW, HELP, CallHouse, drained, ended, sdp


def told(house):
    return [
        (event.target, event.ok, event.reason, event.status)
        for event in house.events
        if isinstance(event, CallHandedOver)
    ]


def alone(**options):
    """A caller whose flow runs."""
    house = CallHouse(**options)
    call_id = house.dial_alone()
    house.confirm_shield(call_id, ShieldMode.CAPTURE)
    house.core.capture_message(house.now_s, CaptureArmed(house.core.snapshot(call_id).capture.capture_id))
    return house, call_id


def give_up(house, capture_id):
    """The caller has used up every attempt."""
    given_up = FieldGivenUp(capture_id, "pan", RejectReason.LUHN)
    house.core.capture_message(house.now_s, given_up)
    house.run()


def test_the_queue_answers_and_the_two_talk():
    house, call_id = alone()

    house.hand_over(call_id)
    house.help.answer(180)
    house.run()
    house.help.answer(200, sdp(HELP.host, 5000))
    house.run()

    [view] = house.core.snapshots()
    assert (view.agent_name, view.phase) == ("help", CallPhase.TALKING)
    assert told(house) == [("help", True, "answered", 0)]
    assert house.help.ack is not None
    stream = house.media.streams["agent"]
    assert (stream.remote_host, stream.remote_port, stream.direction) == (HELP.host, 5000, Direction.SENDRECV)
    assert house.media.shields == {"caller": "capture", "agent": "capture"}
    house.caller.send("BYE")
    house.run()

    assert house.help.methods() == ["INVITE", "BYE"]
    assert drained(house)


def test_the_invite_offers_the_callers_codec_first_and_says_who_calls():
    house, call_id = alone()

    house.hand_over(call_id)

    invite = house.help.invite.request
    assert b"RTP/AVP 8 0 " in invite.body
    assert b"a=sendrecv" in invite.body
    assert str(invite.from_).startswith('"Ann Caller" <sip:+441234567890@192.0.2.9')
    assert invite.uri == "sip:queue@192.0.2.3:5060"
    assert invite.max_forwards == 69
    assert CALLER.host.encode() not in invite.serialize()


def test_headers_that_the_trunk_lets_pass_go_to_the_queue_also_after_a_crash_of_control():
    house = CallHouse()
    house.caller.call(user="8000", body=sdp(CALLER.host), X_Account="a-1", X_Other="o-2")
    house.run()
    house.crash()
    call_id = house.core.snapshots()[0].call_id

    house.hand_over(call_id)

    invite = house.help.invite.request
    assert invite.headers.get("X-Account") == "a-1"
    assert invite.headers.get("X-Other") is None
    assert invite.max_forwards == 69


def test_an_agent_who_speaks_another_codec_than_the_caller_is_joined():
    house, call_id = alone()
    house.hand_over(call_id)

    house.help.answer(200, sdp(HELP.host, 5000, formats="0 101"))
    house.run()

    assert (house.media.streams["caller"].codec, house.media.streams["agent"].codec) == (
        Codec.PCMA,
        Codec.PCMU,
    )
    assert house.caller.methods() == []


@pytest.mark.parametrize("status", [302, 401, 404, 480, 486, 488, 503, 603])
def test_a_refusal_is_told_and_the_caller_stays(status):
    house, call_id = alone()
    house.hand_over(call_id)

    house.help.answer(status)
    house.run()

    assert told(house) == [("help", False, "refused", status)]
    assert [view.agent_name for view in house.core.snapshots()] == [""]
    assert house.caller.methods() == []
    house.caller.send("BYE")
    assert drained(house)


def test_nobody_answers_within_the_ring_limit():
    house, call_id = alone(ring_limit_s=20)
    house.hand_over(call_id)
    house.help.answer(180)

    house.run(25)

    assert told(house) == [("help", False, "no_answer", 408)]
    assert len(house.help.cancelled) == 1
    assert len(house.core.snapshots()) == 1
    house.caller.send("BYE")
    assert drained(house)


def test_a_queue_that_is_not_there_is_told():
    house, call_id = alone()
    house.net.nodes.pop(HELP)
    house.hand_over(call_id)

    house.run(40)

    assert told(house) == [("help", False, "no_answer", 408)]


@pytest.mark.parametrize(
    ("to", "target", "reason"),
    [
        ("queue", "nowhere", "unknown_target"),
        ("agent", "nowhere", "unknown_target"),
        ("queue", "", "no_target"),
    ],
)
def test_a_target_that_the_configuration_has_not_fails_at_once(to, target, reason):
    house = CallHouse()
    call_id = house.talk()

    house.hand_over(call_id, to, target)

    assert told(house) == [(target, False, reason, 0)]
    assert house.help.methods() == []


def test_a_target_of_an_address_family_that_is_not_served_fails():
    house, call_id = alone()
    six = type(house.settings.agents["help"])("six", "q", "2001:db8::1", 5060)
    house.settings.agents["six"] = six

    house.hand_over(call_id, "queue", "six")

    assert told(house) == [("six", False, "no_such_address_family", 0)]


def test_an_answer_without_a_codec_of_ours_gets_bye():
    house, call_id = alone()
    house.hand_over(call_id)

    house.help.answer(200, sdp(HELP.host, formats="18"))
    house.run()

    assert house.help.methods() == ["INVITE", "BYE"]
    assert house.help.ack is not None
    assert told(house) == [("help", False, "no_codec", 0)]
    assert [view.agent_name for view in house.core.snapshots()] == [""]
    house.caller.send("BYE")
    assert drained(house)


def test_an_answer_without_sdp_gets_bye():
    house, call_id = alone()
    house.hand_over(call_id)

    house.help.answer(200)
    house.run()

    assert house.help.methods() == ["INVITE", "BYE"]
    assert told(house) == [("help", False, "no_codec", 0)]


def test_the_caller_hangs_up_meanwhile():
    house, call_id = alone()
    house.hand_over(call_id)
    house.help.answer(180)
    house.run()

    house.caller.send("BYE")
    house.run()

    assert len(house.help.cancelled) == 1
    assert told(house) == []
    assert ended(house) == [(0, "caller_bye")]
    assert drained(house)


def test_a_2xx_that_crosses_our_cancel_gets_ack_and_bye():
    house, call_id = alone()
    house.hand_over(call_id)
    house.help.answer(180)
    house.run()

    house.caller.send("BYE")
    house.help.answer(200, sdp(HELP.host, 5000))
    house.run()

    assert house.help.methods() == ["INVITE", "BYE"]
    assert house.help.ack is not None
    assert drained(house)


def test_a_second_fork_that_answers_too_gets_bye_and_the_first_stays():
    house, call_id = alone()
    house.hand_over(call_id)
    house.help.answer(200, sdp(HELP.host, 5000))
    house.run()
    headers = [("Contact", f"<{house.help.contact}>"), ("Content-Type", "application/sdp")]
    body = sdp(HELP.host, 5002)
    again = respond_to(house.help.invite.request, 200, to_tag="fork2", headers=headers, body=body)
    house.core.receive_datagram(house.now_s, again.serialize(), HELP)
    house.run()

    byes = [request for request in house.help.requests if request.method == "BYE"]
    assert [bye.to_tag for bye in byes] == ["fork2"]
    assert house.media.streams["agent"].remote_port == 5000
    assert len(house.core.snapshots()) == 1


@pytest.mark.parametrize("direction", ["sendonly", "sendrecv"])
def test_a_re_invite_of_the_caller_meanwhile_is_answered_here(direction):
    house, call_id = alone()
    house.hand_over(call_id)

    house.caller.send("INVITE", sdp(CALLER.host, direction=direction, version=2))
    house.run()

    assert house.caller.statuses()[-1] == 200
    assert house.help.methods() == ["INVITE"]
    house.help.answer(200, sdp(HELP.host, 5000))
    house.run()
    assert told(house) == [("help", True, "answered", 0)]
    held = direction == "sendonly"
    assert house.core.snapshots()[0].phase is (CallPhase.HELD if held else CallPhase.TALKING)


def test_after_it_a_re_invite_goes_to_the_agent_and_bye_ends_both():
    house, call_id = alone()
    house.hand_over(call_id)
    house.help.answer(200, sdp(HELP.host, 5000))
    house.run()

    house.caller.send("INVITE", sdp(CALLER.host, direction="sendonly", version=2))
    house.run()
    house.help.send("BYE")
    house.run()

    assert house.help.methods() == ["INVITE", "INVITE"]
    assert house.caller.methods() == ["BYE"]
    assert ended(house) == [(0, "agent_bye")]
    assert drained(house)


def test_the_ack_of_a_callers_late_re_invite_may_come_after_the_agent_has_answered():
    house, call_id = alone()
    house.hand_over(call_id)
    house.caller.auto_ack = False
    house.caller.send("INVITE")
    house.run()
    house.help.answer(200, sdp(HELP.host, 5000))
    house.run()

    house.caller.auto_ack, house.caller.ack_body = True, sdp(CALLER.host, port=4444, version=2)
    house.run(1)

    assert house.media.streams["caller"].remote_port == 4444
    assert house.core.snapshots()[0].agent_name == "help"


def test_a_new_capture_may_start_with_the_agent():
    house, call_id = alone()
    capture_id = house.core.snapshot(call_id).capture.capture_id
    house.hand_over(call_id)
    house.help.answer(200, sdp(HELP.host, 5000))
    house.run()
    handed = CaptureOutcome(capture_id=capture_id, result=CaptureResult.HANDED_OVER)
    house.core.capture_message(house.now_s, handed)

    house.core.start_capture(house.now_s, call_id, FLOW)
    house.confirm_shield(call_id, ShieldMode.CAPTURE)

    started = [message for message in house.capture.sent if isinstance(message, StartCapture)]
    assert [(start.flow, start.agent) for start in started][-1] == (FLOW, "help")


def test_what_cde_holds_stays_while_somebody_is_called():
    house, call_id = alone()

    house.hand_over(call_id)
    house.help.answer(486)
    house.run()

    assert not [message for message in house.capture.sent if isinstance(message, CancelCapture)]
    assert house.core.snapshot(call_id).capture.outcome is None


def test_asked_again_for_the_same_it_goes_on_and_for_another_the_first_is_given_up():
    house, call_id = alone()
    house.hand_over(call_id)
    house.help.answer(180)
    house.run()

    house.hand_over(call_id)
    assert house.help.methods() == ["INVITE"]
    house.hand_over(call_id, "agent", "desk")
    house.agent.answer(200, sdp(AGENT.host, 5000))
    house.run()

    assert len(house.help.cancelled) == 1
    assert told(house) == [("desk", True, "answered", 0)]
    assert house.core.snapshots()[0].agent_name == "desk"
    house.caller.send("BYE")
    assert drained(house)


def test_control_that_dies_while_somebody_is_called_calls_them_again():
    house, call_id = alone()
    house.hand_over(call_id)
    house.help.answer(180)
    house.run()

    assert house.crash() == 1
    first = house.help.invite.request.call_id
    house.run()

    assert house.help.methods() == ["INVITE", "INVITE"]
    assert house.help.invite.request.call_id != first
    assert [view.agent_name for view in house.core.snapshots()] == [""]
    house.help.answer(200, sdp(HELP.host, 5000))
    house.run()
    assert told(house) == [("help", True, "answered", 0)]
    house.caller.send("BYE")
    assert drained(house)


def test_a_2xx_to_an_invite_of_before_the_crash_gets_no_ack():
    """The called phone gives up by itself (RFC 3261 section 13.3.1.4)."""
    house, call_id = alone()
    house.hand_over(call_id)
    old = house.help.invite
    house.crash()
    house.run()

    house.help.invite = old
    house.help.answer(200, sdp(HELP.host, 5000))
    house.run()

    assert house.help.ack is None
    assert [view.agent_name for view in house.core.snapshots()] == [""]


def test_control_that_dies_after_it_comes_back_to_both():
    house, call_id = alone()
    house.hand_over(call_id)
    house.help.answer(200, sdp(HELP.host, 5000))
    house.run()

    assert house.crash() == 1

    assert house.core.snapshots()[0].agent_name == "help"
    house.caller.send("BYE")
    house.run()
    assert house.help.methods() == ["INVITE", "BYE"]
    assert drained(house)


def test_a_flow_that_gives_up_hands_the_caller_to_its_queue_and_hangs_up_where_nobody_takes_them():
    house, call_id = alone()
    capture_id = house.core.snapshot(call_id).capture.capture_id
    give_up(house, capture_id)
    assert house.help.methods() == ["INVITE"]
    assert house.caller.methods() == []
    assert house.capture.sent[-1] == CancelCapture(capture_id, CaptureResult.ATTEMPTS_USED, keeps=True)

    house.help.answer(486)
    house.run()

    assert told(house) == [("help", False, "refused", 486)]
    assert house.caller.methods() == ["BYE"]
    assert ended(house) == [(0, "flow_over")]
    assert drained(house)


def test_a_flow_that_gives_up_leaves_the_caller_with_the_queue_unmasked_after_the_tail():
    house, call_id = alone()
    give_up(house, house.core.snapshot(call_id).capture.capture_id)

    house.help.answer(200, sdp(HELP.host, 5000))
    house.run()
    assert house.media.shields == {"caller": "capture", "agent": "capture"}
    house.run(5)

    assert house.media.shields == {"caller": "guard", "agent": "guard"}
    assert house.core.snapshots()[0].agent_name == "help"
    house.caller.send("BYE")
    assert drained(house)


def test_a_crash_of_control_after_the_flows_end_calls_the_queue_again():
    house, call_id = alone()
    give_up(house, house.core.snapshot(call_id).capture.capture_id)

    assert house.crash() == 1
    house.run()

    assert house.help.methods() == ["INVITE", "INVITE"]
    house.help.answer(200, sdp(HELP.host, 5000))
    house.run()
    assert house.core.snapshots()[0].agent_name == "help"
    assert house.caller.methods() == []


@pytest.mark.parametrize("lost", ["cde_restarted", "media_restarted"])
def test_a_caller_whose_flow_breaks_off_goes_to_the_first_target_that_the_flow_names(lost):
    house, _ = alone()

    getattr(house.core, lost)(house.now_s)
    house.run()
    house.help.answer(200, sdp(HELP.host, 5000))
    house.run()

    assert told(house) == [("help", True, "answered", 0)]
    assert house.caller.methods() == []
    house.caller.send("BYE")
    assert drained(house)


def test_a_caller_who_hangs_up_is_handed_to_nobody():
    house, _ = alone()

    house.caller.send("BYE")
    house.run()

    assert told(house) == []
    assert house.help.methods() == []
    assert drained(house)


def test_cde_that_dies_while_the_queue_is_called_changes_nothing_of_that():
    house, call_id = alone()
    house.hand_over(call_id)

    house.core.cde_restarted(house.now_s)
    house.run()
    house.help.answer(200, sdp(HELP.host, 5000))
    house.run()

    assert told(house) == [("help", True, "answered", 0)]
    assert house.caller.methods() == []


# --- the flow's transfer step ---------------------------------------------------------------------------------


def agent_key(**options):
    """A caller whose flow plays a prompt after the agent key and then calls the queue."""
    house, call_id = alone(**options)
    house.media.speaks = True
    capture_id = house.core.snapshot(call_id).capture.capture_id
    house.core.capture_message(house.now_s, ControlKeyed(capture_id, ControlKey.AGENT))
    role, play_id, *_ = house.media.said[-1]
    assert role == "caller"
    house.core.prompt_ended(house.now_s, PromptEnded(call_id, LegRole.CALLER, play_id, PromptEnd.DONE))
    house.run()
    return house, call_id, capture_id


def test_the_agent_key_leads_to_the_queue_and_its_answer_ends_the_flow_well():
    house, call_id, capture_id = agent_key()
    assert house.help.methods() == ["INVITE"]
    assert not [message for message in house.capture.sent if isinstance(message, CancelCapture)]

    house.help.answer(200, sdp(HELP.host, 5000))
    house.run()

    assert house.capture.sent[-1] == CancelCapture(capture_id, CaptureResult.HANDED_OVER, keeps=True)
    assert house.core.snapshot(call_id).agent_name == "help"
    assert house.caller.methods() == []
    house.caller.send("BYE")
    assert drained(house)


def test_where_the_queue_refuses_the_flow_goes_on_and_asks_again():
    house, *_ = agent_key()

    house.help.answer(486)
    house.run()

    asked = [message.field for message in house.capture.sent if isinstance(message, CollectField)]
    assert asked == ["pan", "pan"]
    assert not [message for message in house.capture.sent if isinstance(message, CancelCapture)]
    house.caller.send("BYE")
    assert drained(house)


def test_a_crash_of_control_in_the_transfer_step_calls_the_queue_once_more_and_once_only():
    house, call_id, capture_id = agent_key()

    assert house.crash() == 1
    progress = CaptureProgress(capture_id=capture_id, state=CaptureState.HELD)
    house.core.capture_message(house.now_s, progress)
    house.run()

    assert house.help.methods() == ["INVITE", "INVITE"]
    house.help.answer(200, sdp(HELP.host, 5000))
    house.run()
    assert house.core.snapshot(call_id).agent_name == "help"
    assert house.capture.sent[-1] == CancelCapture(capture_id, CaptureResult.HANDED_OVER, keeps=True)


# --- with an agent on the line ------------------------------------------------------------------------------


def test_to_the_agent_who_is_there_it_is_done_at_once():
    house = CallHouse()
    call_id = house.talk()

    house.hand_over(call_id, "agent", "")
    house.hand_over(call_id, "agent", "desk")

    assert told(house) == [("desk", True, "there_already", 0)] * 2
    assert house.agent.methods() == ["INVITE"]


def test_the_queue_takes_the_place_of_the_agent_once_it_has_answered():
    house = CallHouse()
    call_id = house.talk()

    house.hand_over(call_id)
    assert house.agent.methods() == ["INVITE"]
    house.help.answer(200, sdp(HELP.host, 5000))
    house.run()

    assert house.agent.methods() == ["INVITE", "BYE"]
    assert house.media.streams["agent"].remote_host == HELP.host
    assert house.core.snapshots()[0].agent_name == "help"
    house.caller.send("BYE")
    house.run()
    assert house.help.methods() == ["INVITE", "BYE"]
    assert drained(house)


def test_the_agent_stays_where_the_queue_refuses():
    house = CallHouse()
    call_id = house.talk()
    house.hand_over(call_id)

    house.help.answer(486)
    house.run()

    assert house.agent.methods() == ["INVITE"]
    assert house.core.snapshots()[0].agent_name == "desk"
    assert house.media.streams["agent"].remote_host == AGENT.host


def test_the_agent_hangs_up_while_the_queue_is_called():
    house = CallHouse()
    call_id = house.talk()
    house.hand_over(call_id)
    house.help.answer(180)
    house.run()

    house.agent.send("BYE")
    house.run()

    assert len(house.help.cancelled) == 1
    assert house.caller.methods() == ["BYE"]
    assert drained(house)


def test_an_offer_between_caller_and_agent_that_crosses_the_queues_answer_keeps_the_agent():
    house = CallHouse()
    call_id = house.talk()
    house.hand_over(call_id)
    house.agent.work = lambda: None
    house.net.add(AGENT, house.agent.endpoint, lambda: None)  # the agent's phone is slow
    house.caller.send("INVITE", sdp(CALLER.host, version=2))
    house.run()

    house.help.answer(200, sdp(HELP.host, 5000))
    house.run()

    assert told(house) == [("help", False, "renegotiating", 0)]
    assert house.help.methods() == ["INVITE", "BYE"]
    assert house.core.snapshots()[0].agent_name == "desk"


def test_loss_and_reordering_lose_no_dialog():
    joined = 0
    for seed in range(20):
        house = CallHouse(seed=seed, loss=0.2, jitter_s=0.05)
        house.caller.call(user="8000", body=sdp(CALLER.host))
        house.run(3)
        if house.core.snapshots():
            house.hand_over(house.core.snapshots()[0].call_id)
        house.run(5)
        if house.help.invite is not None:
            house.help.answer(200, sdp(HELP.host, 5000))
        house.run(5)
        joined += told(house) == [("help", True, "answered", 0)]
        if house.caller.dialog is not None:
            house.caller.send("BYE")
        house.run(60)

        assert drained(house), seed
    assert joined >= 10
