"""Whole calls through the core in virtual time: caller, core, agent; what each side is told, and what it is not."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtmf_shield.call.events import CallAnswered, CallPhase, CallStarted
from tests.unit.call.call_house import AGENT, CALLER, CORE, CallHouse, drained, ended, sdp


def sent_to(house, address):
    return b"".join(
        data for _, sender, remote, data in house.net.sent if sender == CORE and remote == address
    )


def test_a_basic_call_is_answered_guarded_and_ended_by_the_caller():
    house = CallHouse()
    call_id = house.talk()
    house.run(5)

    [view] = house.core.snapshots()
    assert (view.phase, view.dialled, view.caller_masked) == (CallPhase.TALKING, "4420", "••90")
    assert house.media.shields == {"caller": "guard", "agent": "guard"}
    house.caller.send("BYE")
    house.run()

    assert house.agent.methods() == ["INVITE", "BYE"]
    assert house.caller.statuses() == [100, 180, 200, 200]
    assert [type(event) for event in house.events[:2]] == [CallStarted, CallAnswered]
    assert ended(house) == [(0, "caller_bye")]
    assert house.media.log[-1] == ("close", 0)
    assert call_id
    assert drained(house)


def test_the_agent_may_end_the_call():
    house = CallHouse()
    house.talk()

    house.agent.send("BYE")
    house.run()

    assert house.caller.methods() == ["BYE"]
    assert ended(house) == [(0, "agent_bye")]
    assert drained(house)


def test_every_leg_is_muted_until_something_is_agreed():
    house = CallHouse()
    house.caller.call(body=sdp(CALLER.host))
    house.run()
    house.agent.answer(180)
    house.run()

    assert house.media.log == [("open", 0)]


def test_neither_side_learns_the_others_address_identifiers_or_sdp():
    house = CallHouse()
    house.talk(X_Account="a-1", X_Other="o-2")
    house.caller.send("BYE")
    house.run()

    to_agent, to_caller = sent_to(house, AGENT), sent_to(house, CALLER)
    for secret in (b"192.0.2.1:", b"192.0.2.1\r", b"secret", house.caller.sent.call_id.encode(), b"X-Other"):
        assert secret not in to_agent
    for secret in (b"192.0.2.2:5060;", b"IP4 192.0.2.2", b"agenttag", b"secret\r\n"):
        assert secret not in to_caller
    # The control: all of it was there to be passed on.
    from_caller = b"".join(data for _, sender, _, data in house.net.sent if sender == CALLER)
    assert all(secret in from_caller for secret in (b"s=secret", b"IP4 192.0.2.1", b"X-Other"))
    assert b"X-Account: a-1" in to_agent
    assert b'"Ann Caller" <sip:+441234567890@192.0.2.9:5060>' in to_agent
    assert house.agent.invite.request.max_forwards == 69


@pytest.mark.parametrize("status", [404, 408, 480, 486, 488, 500, 503, 600, 603])
def test_failures_are_passed_on_with_their_codes(status):
    house = CallHouse()
    house.caller.call(body=sdp(CALLER.host))
    house.run()

    house.agent.answer(status)
    house.run()

    assert house.caller.statuses()[-1] == status
    assert ended(house) == [(status, "refused")]
    assert drained(house)


@pytest.mark.parametrize(("status", "shown"), [(302, 480), (401, 502), (407, 502)])
def test_redirections_and_challenges_are_not_followed(status, shown):
    house = CallHouse()
    house.caller.call(body=sdp(CALLER.host))
    house.run()

    house.agent.answer(status)
    house.run()

    assert house.caller.statuses()[-1] == shown
    assert len(house.agent.requests) == 1


def test_an_agent_who_is_not_there_is_408():
    house = CallHouse()
    house.net.nodes.pop(AGENT)
    house.caller.call(body=sdp(CALLER.host))

    house.run(40)

    assert house.caller.statuses() == [100, 408]


def test_ringing_ends_at_the_ring_limit():
    house = CallHouse(ring_limit_s=20)
    house.caller.call(body=sdp(CALLER.host))
    house.run()
    house.agent.answer(180)

    house.run(25)

    assert house.caller.statuses()[-1] == 408
    assert len(house.agent.cancelled) == 1
    assert drained(house)


def test_cancel_reaches_the_agent_with_its_reason():
    house = CallHouse()
    house.caller.call(body=sdp(CALLER.host))
    house.run()
    house.agent.answer(180)
    house.run()

    house.caller.endpoint.cancel(house.now_s, house.caller.transaction, "SIP;cause=200")
    house.run()

    assert [event.reason for event in house.agent.cancelled] == ["SIP;cause=200"]
    assert house.caller.statuses("INVITE")[-1] == 487
    assert drained(house)


def test_a_200_that_crosses_cancel_is_acknowledged_and_ended():
    house = CallHouse()
    house.caller.call(body=sdp(CALLER.host))
    house.run()
    house.agent.answer(180)
    house.run()

    house.agent.answer(200, sdp(AGENT.host, 5000))
    house.caller.endpoint.cancel(house.now_s, house.caller.transaction)
    house.run(0.012)
    house.run(2)

    assert house.agent.ack is not None
    assert house.agent.methods()[-1] == "BYE"
    assert drained(house)


def test_early_media_is_relayed_and_guarded():
    house = CallHouse()
    house.caller.call(body=sdp(CALLER.host))
    house.run()

    house.agent.answer(183, sdp(AGENT.host, 5000))
    house.run()

    assert house.core.snapshots()[0].phase is CallPhase.EARLY
    assert house.media.shields == {"caller": "guard", "agent": "guard"}
    assert house.media.streams["agent"].remote_port == 5000
    assert b"m=audio 20000" in house.caller.responses[-1].body
    house.agent.answer(200, sdp(AGENT.host, 5000))
    house.run()
    assert house.caller.statuses("INVITE") == [100, 183, 200]
    versions = [r.body.split(b"\r\n")[1] for r in house.caller.responses if r.body]
    assert versions[0] == versions[1]


def test_a_late_offer_is_answered_in_the_ack():
    house = CallHouse()
    house.caller.ack_body = sdp(CALLER.host)
    house.caller.call()
    house.run()
    assert house.agent.invite.request.body == b""

    house.agent.answer(200, sdp(AGENT.host, 5000))
    house.run()

    assert b"m=audio 20000" in house.caller.responses[-1].body
    assert b"m=audio 20002" in house.agent.ack.body
    assert house.media.streams["caller"].remote_port == 4000
    assert house.core.snapshots()[0].phase is CallPhase.TALKING


def test_a_late_offer_without_an_answer_ends_both_legs():
    house = CallHouse()
    house.caller.call()
    house.run()

    house.agent.answer(200, sdp(AGENT.host, 5000))
    house.run(1)

    assert house.caller.methods() == house.agent.methods()[1:] == ["BYE"]
    assert drained(house)


@pytest.mark.parametrize("side", ["caller", "agent"])
@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
@pytest.mark.parametrize(("direction", "answered"), [("sendonly", "recvonly"), ("inactive", "inactive")])
def test_hold_and_resume_pass_to_the_other_side(side, method, direction, answered):
    house = CallHouse()
    house.talk()
    holder, other = getattr(house, side), house.agent if side == "caller" else house.caller
    other.direction = answered

    holder.send(method, sdp(holder.address.host, direction=direction, version=2))
    house.run()

    assert f"a={direction}".encode() in other.requests[-1].body
    assert f"a={answered}".encode() in holder.responses[-1].body
    assert house.core.snapshots()[0].phase is CallPhase.HELD
    other.direction = "sendrecv"
    holder.send(method, sdp(holder.address.host, version=3))
    house.run()
    assert house.core.snapshots()[0].phase is CallPhase.TALKING
    assert house.media.shields == {"caller": "guard", "agent": "guard"}


def test_hold_by_a_zero_address_is_sendonly():
    house = CallHouse()
    house.talk()
    house.agent.direction = "recvonly"

    house.caller.send("INVITE", sdp("0.0.0.0", version=2))
    house.run()

    assert b"a=sendonly" in house.agent.requests[-1].body
    assert b"0.0.0.0" not in house.agent.requests[-1].body
    assert house.media.streams["caller"].direction.value == "recvonly"


def test_a_reinvite_without_offer_is_answered_by_the_other_sides_offer():
    house = CallHouse()
    house.talk()
    house.caller.ack_body = sdp(CALLER.host, 4444, version=2)

    house.caller.send("INVITE")
    house.run()

    assert house.caller.statuses("INVITE")[-1] == 200
    assert house.media.streams["caller"].remote_port == 4444
    assert b"m=audio 20002" in house.agent.ack.body


def test_crossing_reinvites_get_491_and_the_old_agreement_stays():
    house = CallHouse()
    house.talk()

    house.caller.send("INVITE", sdp(CALLER.host, direction="sendonly", version=2))
    house.agent.send("INVITE", sdp(AGENT.host, 5000, direction="sendonly", version=2))
    house.run(0.5)

    assert sorted(house.caller.statuses("INVITE")[-1:] + house.agent.statuses("INVITE")[-1:]) == [200, 491]
    assert house.core.snapshots()[0].phase in (CallPhase.HELD, CallPhase.TALKING)


@pytest.mark.parametrize("status", [488, 491, 500, 603])
def test_a_refused_reinvite_is_passed_back_and_the_call_goes_on(status):
    house = CallHouse()
    house.talk()
    before = dict(house.media.streams)
    house.agent.refuse = status

    house.caller.send("INVITE", sdp(CALLER.host, 4444, version=2))
    house.run()

    assert house.caller.statuses("INVITE")[-1] == status
    assert house.media.streams == before
    house.agent.refuse = None
    house.caller.send("INVITE", sdp(CALLER.host, 4445, version=3))
    house.run()
    assert house.media.streams["caller"].remote_port == 4445


def test_a_reinvite_into_a_dead_dialog_ends_the_call():
    house = CallHouse()
    house.talk()
    house.agent.refuse = 481

    house.caller.send("INVITE", sdp(CALLER.host, version=2))
    house.run(1)

    assert house.caller.methods() == ["BYE"]
    assert drained(house)


def test_options_in_a_dialog_is_200_and_other_requests_of_nobodys_dialog_481():
    house = CallHouse()
    house.talk()
    house.caller.send("OPTIONS")
    house.run()
    house.caller.dialog.remote_tag = "stranger"
    for method in ("BYE", "INFO", "UPDATE"):
        house.caller.send(method)
    house.run()

    assert house.caller.statuses()[-4:] == [200, 481, 481, 481]
    assert len(house.core.snapshots()) == 1


def test_a_request_with_an_old_cseq_is_500():
    house = CallHouse()
    house.talk()
    house.caller.send("OPTIONS")
    house.run()
    house.caller.dialog.local_cseq -= 1

    house.caller.send("OPTIONS")
    house.run()

    assert house.caller.statuses("OPTIONS") == [200, 500]


def test_not_ready_is_503_with_retry_after_and_calls_go_on():
    house = CallHouse()
    house.talk()
    house.core.ready = False

    house.caller.dialog = None
    house.caller.call(body=sdp(CALLER.host))
    house.run()

    assert house.caller.responses[-1].status == 503
    assert house.caller.responses[-1].headers.get("Retry-After") == "10"
    assert len(house.core.snapshots()) == 1


def test_no_free_row_is_503():
    house = CallHouse(rows=0)
    house.caller.call(body=sdp(CALLER.host))
    house.run()

    assert house.caller.statuses() == [503]


def test_an_unknown_number_is_404_and_an_agents_call_403():
    house = CallHouse()
    house.caller.call(user="999", body=sdp(CALLER.host))
    house.run()
    house.agent.call(body=sdp(AGENT.host))
    house.run()

    assert house.caller.statuses() == [404]
    assert house.agent.statuses() == [403]


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"v=0\r\nnonsense", 400), (sdp(CALLER.host, formats="18"), 488), (sdp(CALLER.host, port=0), 488)],
)
def test_an_offer_that_cannot_be_met_is_refused_before_the_agent_hears(body, status):
    house = CallHouse()
    house.caller.call(body=body)
    house.run()

    assert house.caller.statuses() == [status]
    assert house.agent.requests == []


def test_an_answer_that_cannot_be_used_ends_both_legs():
    house = CallHouse()
    house.caller.call(body=sdp(CALLER.host))
    house.run()

    house.agent.answer(200, sdp(AGENT.host, formats="18"))
    house.run()

    assert house.caller.statuses()[-1] == 488
    assert house.agent.methods() == ["INVITE", "BYE"]
    assert drained(house)


def test_no_bye_is_sent_before_the_callers_ack():
    house = CallHouse()
    house.caller.auto_ack = False
    house.caller.call(body=sdp(CALLER.host))
    house.run()
    house.agent.answer(200, sdp(AGENT.host))
    house.run()

    house.agent.send("BYE")
    house.run(1)
    assert house.caller.methods() == []
    house.run(40)

    assert house.caller.methods()[:1] == ["BYE"]
    assert drained(house)


@pytest.mark.parametrize("seed", range(12))
def test_calls_survive_a_lossy_network_and_leave_nothing_behind(seed):
    house = CallHouse(seed=seed, loss=0.2, jitter_s=0.1)
    house.caller.call(body=sdp(CALLER.host))
    house.run(5)
    if house.agent.invite is not None:
        house.agent.answer(200, sdp(AGENT.host, 5000))
        house.run(10)
    if house.caller.dialog is not None:
        house.caller.send("BYE")
        house.run(20)

    assert len(ended(house)) == 1
    assert drained(house)
    assert len(house.media.free) == 4


STEPS = st.sampled_from(
    [
        "caller_bye",
        "agent_bye",
        "caller_hold",
        "agent_hold",
        "cancel",
        "ring",
        "answer",
        "busy",
        "crash",
        "wait",
    ]
)


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(STEPS, max_size=8), seed=st.integers(0, 1000))
def test_no_order_of_events_leaves_a_row_a_dialog_or_a_record(steps, seed):
    house = CallHouse(seed=seed, loss=0.05, jitter_s=0.05, ring_limit_s=10)
    house.caller.call(body=sdp(CALLER.host))
    house.run()
    for step in steps:
        play(house, step)
        house.run(0.03)
    house.run(60)
    for phone in (house.caller, house.agent):
        if phone.dialog is not None:
            phone.send("BYE")
    house.run(40)

    assert drained(house)
    assert sorted(house.media.free) == [0, 1, 2, 3]


def play(house, step):
    side, _, what = step.partition("_")
    if step == "cancel":
        house.caller.endpoint.cancel(house.now_s, house.caller.transaction)
    elif step == "crash":
        if all(record.call_id for record in house.store.records.values()):
            house.media.free = sorted(set(range(4)))
            house.crash()
    elif step in ("ring", "answer", "busy") and house.agent.invite is not None and house.agent.dialog is None:
        status = {"ring": 180, "answer": 200, "busy": 486}[step]
        house.agent.answer(status, sdp(AGENT.host) if status == 200 else b"")
    elif what:
        phone = getattr(house, side)
        if phone.dialog is not None:
            body = sdp(phone.address.host, direction="sendonly", version=2) if what == "hold" else b""
            phone.send("INVITE" if what == "hold" else "BYE", body)
