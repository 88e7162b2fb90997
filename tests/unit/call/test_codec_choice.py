"""Which codecs are offered to a leg and which two are spoken: one where there is one, else a change-over in media."""

import itertools

import pytest

from dtmf_shield.call.codec_choice import choose_codecs, codecs_taken, codecs_to_offer
from dtmf_shield.model.stream import Codec
from dtmf_shield.sip.errors import SdpError
from tests.unit.call.call_house import AGENT, CALLER, CallHouse, sdp

PCMU, PCMA, G722 = Codec.PCMU, Codec.PCMA, Codec.G722
ALL = (PCMU, PCMA, G722)
SUBSETS = [order for n in range(1, 4) for order in itertools.permutations(ALL, n)]


@pytest.mark.parametrize(
    ("described", "taken", "current", "offered"),
    [
        ((PCMA, PCMU), ALL, None, (PCMA, PCMU)),
        ((PCMU,), ALL, None, (PCMU, PCMA)),
        ((G722,), ALL, None, (G722, PCMU, PCMA)),
        ((G722, PCMA), (PCMA, PCMU, G722), None, (G722, PCMA, PCMU)),
        ((G722, PCMA), (PCMA,), None, (PCMA,)),
        ((PCMU,), ALL, G722, (PCMU, PCMA, G722)),
        ((PCMU,), ALL, PCMA, (PCMU, PCMA)),
    ],
)
def test_the_other_sides_codecs_come_first_and_g722_only_where_it_is_spoken(
    described, taken, current, offered
):
    assert codecs_to_offer(described, taken, current) == offered


@pytest.mark.parametrize(("offered", "answered"), list(itertools.product(SUBSETS, SUBSETS)))
def test_both_legs_speak_one_codec_wherever_there_is_one(offered, answered):
    leg, other = choose_codecs(offered, answered)

    assert leg in offered
    assert other in answered
    assert (leg is other) == bool(set(offered) & set(answered))


def test_where_they_differ_the_sample_rate_is_kept_if_it_can_be():
    assert choose_codecs((G722, PCMU), (PCMA,)) == (PCMU, PCMA)
    assert choose_codecs((G722,), (PCMA,)) == (G722, PCMA)


def test_codecs_that_are_not_taken_are_no_codecs():
    with pytest.raises(SdpError) as caught:
        codecs_taken((G722,), (PCMU, PCMA))

    assert caught.value.status == 488


def talking(caller_formats, agent_formats, **options):
    house = CallHouse(**options)
    house.caller.call(body=sdp(CALLER.host, formats=caller_formats))
    house.run()
    if house.agent.invite is not None:
        house.agent.answer(200, sdp(AGENT.host, 5000, formats=agent_formats))
        house.run()
    return house


def codecs_of(house):
    return {role: stream.codec for role, stream in house.media.streams.items()}


@pytest.mark.parametrize(
    ("caller_formats", "agent_formats", "offered", "caller", "agent"),
    [
        ("9 8 0 101", "9 101", b"9 8 0 101", G722, G722),
        ("9 8 101", "8 101", b"9 8 0 101", PCMA, PCMA),
        ("9 101", "8 101", b"9 0 8 101", G722, PCMA),
        ("9 8 101", "0 101", b"9 8 0 101", PCMA, PCMU),
        ("0 101", "8 101", b"0 8 101", PCMU, PCMA),
        ("0 9 101", "9 101", b"0 9 8 101", G722, G722),
        ("18 0 101", "0 101", b"0 8 101", PCMU, PCMU),
    ],
)
def test_a_call_between_phones_of_different_codecs(caller_formats, agent_formats, offered, caller, agent):
    house = talking(caller_formats, agent_formats)

    assert b" RTP/AVP " + offered + b"\r\n" in house.agent.invite.request.body
    assert codecs_of(house) == {"caller": caller, "agent": agent}
    answer = house.caller.responses[-1].body
    assert f"RTP/AVP {caller.payload_type} 101\r\n".encode() in answer
    assert house.core.snapshots()[0].phase.value == "talking"


@pytest.mark.parametrize(("formats", "options"), [("3 18 101", {}), ("9 101", {"codecs": (PCMU, PCMA)})])
def test_a_caller_without_a_codec_that_is_taken_is_refused(formats, options):
    house = talking(formats, "0 101", **options)

    assert house.agent.invite is None
    assert house.caller.statuses("INVITE")[-1] == 488


def test_an_answer_with_a_codec_that_was_not_offered_ends_the_call():
    house = talking("0 101", "9 101")
    house.run(1)

    assert house.caller.statuses("INVITE")[-1] == 488
    assert house.agent.methods()[-1] == "BYE"


def test_a_reoffer_of_one_side_leaves_the_other_what_it_speaks():
    house = talking("9 101", "8 101")

    house.agent.send("INVITE", sdp(AGENT.host, 5000, formats="8 101", version=2))
    house.run()

    # The scripted caller answers PCMA and PCMU, so that both speak one from now on.
    assert b" RTP/AVP 8 0 9 101\r\n" in house.caller.requests[-1].body
    assert codecs_of(house) == {"caller": PCMA, "agent": PCMA}


def test_codecs_of_both_legs_survive_a_crash_of_control():
    house = talking("9 101", "8 101")
    house.media.streams.clear()

    assert house.crash() == 1
    house.caller.send("INVITE", sdp(CALLER.host, formats="9 101", direction="sendonly", version=2))
    house.run()

    assert b" RTP/AVP 9 0 8 101\r\n" in house.agent.requests[-1].body
    assert [record.caller.codec for record in house.store.records.values()] == [G722]
