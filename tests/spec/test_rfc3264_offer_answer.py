"""RFC 3264 and RFC 6337 for one audio stream: turns, version, directions, refused streams; golden bodies."""

import itertools

import pytest

from dtmf_shield.base.errors import InvariantError
from dtmf_shield.model.stream import Codec, Direction
from dtmf_shield.sip.errors import SdpError
from dtmf_shield.sip.offer_answer import TURNS, Negotiation, Step, Turn, allowed_answer
from dtmf_shield.sip.sdp import read_audio

OFFER = b"""v=0\r
o=alice 2890844526 2890844526 IN IP4 192.0.2.1\r
s=Alice's phone\r
c=IN IP4 192.0.2.1\r
b=AS:80\r
t=0 0\r
a=tool:somebody\r
m=audio 49170 RTP/AVP 9 8 0 96\r
a=rtpmap:9 G722/8000\r
a=rtpmap:96 telephone-event/8000\r
a=fmtp:96 0-15\r
a=ptime:30\r
m=video 51372 RTP/AVP 31 32\r
a=rtpmap:31 H261/90000\r
m=audio 49180 RTP/SAVP 0\r
"""
ANSWER = b"""v=0\r
o=- 77 1 IN IP4 198.51.100.9\r
s=-\r
c=IN IP4 198.51.100.9\r
t=0 0\r
m=audio 20000 RTP/AVP 8 96\r
a=rtpmap:8 PCMA/8000\r
a=rtpmap:96 telephone-event/8000\r
a=fmtp:96 0-15\r
a=ptime:30\r
a=sendrecv\r
m=video 0 RTP/AVP 31\r
m=audio 0 RTP/SAVP 0\r
"""
ONWARD = b"""v=0\r
o=- 78 1 IN IP6 2001:db8::9\r
s=-\r
c=IN IP6 2001:db8::9\r
t=0 0\r
m=audio 20002 RTP/AVP 9 8 0 101\r
a=rtpmap:9 G722/8000\r
a=rtpmap:8 PCMA/8000\r
a=rtpmap:0 PCMU/8000\r
a=rtpmap:101 telephone-event/8000\r
a=fmtp:101 0-15\r
a=ptime:30\r
a=sendrecv\r
"""


def offer(negotiation, direction=Direction.SENDRECV, codecs=(Codec.PCMU,)):
    return negotiation.send_offer(
        host="198.51.100.9", port=20002, codecs=codecs, ptime_ms=20, direction=direction
    )


def answer(negotiation, direction=Direction.SENDRECV, **more):
    return negotiation.send_answer(
        host="198.51.100.9", port=20000, codec=Codec.PCMA, ptime_ms=30, direction=direction, **more
    )


def test_an_offer_is_answered_with_one_codec_and_every_other_stream_refused_in_its_place():
    negotiation = Negotiation(session_id=77)
    negotiation.receive_offer(OFFER)

    assert answer(negotiation) == ANSWER


def test_an_offer_is_passed_on_with_our_codecs_in_its_order_and_nothing_of_its_text():
    remote = read_audio(OFFER)
    onward = Negotiation(session_id=78)

    body = onward.send_offer(
        host="2001:db8::9",
        port=20002,
        codecs=remote.codecs,
        ptime_ms=remote.ptime_ms,
        direction=remote.direction,
    )

    assert body == ONWARD


@pytest.mark.parametrize(
    ("formats", "maps", "codecs"),
    [
        (b"9", b"", [Codec.G722]),
        (b"9 0", b"a=rtpmap:9 G722/8000", [Codec.G722, Codec.PCMU]),
        (b"9 0", b"a=rtpmap:9 g722/8000/1", [Codec.G722, Codec.PCMU]),
        # RFC 3551 section 4.5.2: its clock rate is 8000; what says 16000 is something else.
        (b"9 0", b"a=rtpmap:9 G722/16000", [Codec.PCMU]),
        (b"0 9 9", b"", [Codec.PCMU, Codec.G722]),
    ],
)
def test_g722_is_payload_type_nine_at_a_clock_of_8000(formats, maps, codecs):
    body = OFFER.replace(b"RTP/AVP 9 8 0 96", b"RTP/AVP " + formats)
    body = body.replace(b"a=rtpmap:9 G722/8000\r\n", maps + b"\r\n" if maps else b"")

    assert list(read_audio(body).codecs) == codecs


def test_a_g722_answer_says_a_clock_of_8000():
    negotiation = Negotiation(session_id=77)
    negotiation.receive_offer(OFFER)

    body = negotiation.send_answer(
        host="198.51.100.9", port=20000, codec=Codec.G722, ptime_ms=20, direction=Direction.SENDRECV
    )

    assert b"m=audio 20000 RTP/AVP 9 96\r\na=rtpmap:9 G722/8000\r\n" in body
    assert negotiation.stream(Codec.G722).payload_type == 9


@pytest.mark.parametrize(("turn", "move"), list(itertools.product(Turn, Step)))
def test_every_turn_and_step_is_in_the_table_or_changes_nothing(turn, move):
    negotiation = Negotiation(session_id=1, turn=turn)
    target = TURNS.get((turn, move))

    if target is None:
        with pytest.raises(InvariantError):
            negotiation._go(move)
        assert negotiation.turn is turn
    else:
        negotiation._go(move)
        assert negotiation.turn is target


@pytest.mark.parametrize(("turn", "status"), [(Turn.OFFER_SENT, 491), (Turn.OFFER_RECEIVED, 500)])
def test_a_second_offer_is_refused(turn, status):
    with pytest.raises(SdpError) as caught:
        Negotiation(session_id=1, turn=turn).receive_offer(OFFER)

    assert caught.value.status == status


def test_the_version_goes_up_by_one_and_only_when_something_changes():
    negotiation = Negotiation(session_id=1)
    negotiation.receive_offer(OFFER)
    early = answer(negotiation, final=False)
    final = answer(negotiation)
    held = offer(negotiation, Direction.SENDONLY)

    assert early == final
    assert b"o=- 1 1 " in final
    assert b"o=- 1 2 " in held


def test_a_later_offer_of_ours_keeps_the_places_of_refused_streams():
    negotiation = Negotiation(session_id=1)
    negotiation.receive_offer(OFFER)
    answer(negotiation)

    body = offer(negotiation)

    assert [line for line in body.split(b"\r\n") if line.startswith(b"m=")] == [
        b"m=audio 20002 RTP/AVP 0 96",
        b"m=video 0 RTP/AVP 31",
        b"m=audio 0 RTP/SAVP 0",
    ]


@pytest.mark.parametrize(("offered", "wished"), list(itertools.product(Direction, Direction)))
def test_an_answer_never_says_more_than_its_offer_allows(offered, wished):
    given = allowed_answer(offered, wished)

    sends = given in (Direction.SENDRECV, Direction.SENDONLY)
    receives = given in (Direction.SENDRECV, Direction.RECVONLY)
    assert not sends or offered in (Direction.SENDRECV, Direction.RECVONLY)
    assert not receives or offered in (Direction.SENDRECV, Direction.SENDONLY)


@pytest.mark.parametrize(
    ("stated", "zero", "read"),
    [
        ("sendrecv", False, "sendrecv"),
        ("sendonly", False, "sendonly"),
        ("inactive", False, "inactive"),
        ("sendrecv", True, "sendonly"),
        ("recvonly", True, "inactive"),
    ],
)
def test_hold_is_read_from_the_direction_and_from_a_zero_address(stated, zero, read):
    body = OFFER.replace(b"a=ptime:30", b"a=" + stated.encode())
    if zero:
        body = body.replace(b"c=IN IP4 192.0.2.1", b"c=IN IP4 0.0.0.0")

    assert read_audio(body).direction == read


def test_a_failed_reoffer_leaves_the_old_agreement():
    negotiation = Negotiation(session_id=1)
    negotiation.receive_offer(OFFER)
    answer(negotiation)
    negotiation.receive_offer(OFFER.replace(b"49170", b"50000"))

    negotiation.abandon()

    assert negotiation.stream(Codec.PCMA).remote_port == 49170


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        (b"v=0", b"v=1", 400),
        (b"t=0 0\r\n", b"", 400),
        (b"o=alice", b"o=", 400),
        (b"m=audio 49170", b"m=audio 99999", 400),
        (b"c=IN IP4 192.0.2.1\r\n", b"", 400),
        (b"c=IN IP4 192.0.2.1", b"c=IN IP4 999.0.2.1", 400),
        (b"c=IN IP4 192.0.2.1", b"c=IN IP4 host.example", 488),
        (b"s=Alice's phone", b"s=\xff\xfe", 400),
        (b"a=tool", b"A=tool", 400),
        (b"RTP/AVP 9 8 0 96", b"RTP/AVP 3 18 96", 488),
        (b"m=audio 49170 RTP/AVP", b"m=audio 49170 RTP/SAVP", 488),
        (b"m=audio 49170", b"m=audio 0", 488),
    ],
)
def test_a_broken_or_unusable_offer_is_refused_with_its_status(old, new, status):
    with pytest.raises(SdpError) as caught:
        Negotiation(session_id=1).receive_offer(OFFER.replace(old, new, 1))

    assert caught.value.status == status


@pytest.mark.parametrize(("ptime", "read"), [(b"10", 10), (b"60", 60), (b"5", 20), (b"200", 20), (b"x", 20)])
def test_ptime_is_taken_within_its_range(ptime, read):
    assert read_audio(OFFER.replace(b"ptime:30", b"ptime:" + ptime)).ptime_ms == read


@pytest.mark.parametrize(
    ("body", "status"), [(ANSWER, 400), (ONWARD.replace(b"9 8 0 101", b"9 8 101"), 488), (b"", 400)]
)
def test_an_answer_that_does_not_fit_its_offer_is_refused(body, status):
    negotiation = Negotiation(session_id=1)
    offer(negotiation)

    with pytest.raises(SdpError) as caught:
        negotiation.receive_answer(body)

    assert caught.value.status == status
