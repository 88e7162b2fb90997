"""The test phone's signalling on virtual time: two of them, and a wire that loses what it is told to."""

import itertools

import pytest

from dtmf_shield.phone.offer import Media, read_sdp, write_sdp
from dtmf_shield.phone.user_agent import (
    CallAnswered,
    CallConfirmed,
    CallEnded,
    CallIncoming,
    CallOffered,
    CallProgressing,
    CallRefused,
    InfoReceived,
    PhoneUserAgent,
    RequestAnswered,
)

CALLER, CALLEE = ("127.0.0.1", 5060), ("127.0.0.1", 5070)
SDP = write_sdp(Media("127.0.0.1", 4000), session=1)


class Wire:
    """Carries datagrams between two phones; `lose` says which of all of them (from 0) never arrive."""

    def __init__(self, lose=()):
        tokens = (f"t{number}" for number in itertools.count())
        self.phones = {address: PhoneUserAgent(address, lambda: next(tokens)) for address in (CALLER, CALLEE)}
        self.caller, self.callee = self.phones[CALLER], self.phones[CALLEE]
        self.now_s = 0.0
        self.lose, self.carried = set(lose), 0

    def settle(self):
        moved = True
        while moved:
            moved = False
            for address, phone in self.phones.items():
                for data, peer in phone.datagrams_to_send():
                    moved = True
                    if self.carried not in self.lose:
                        self.phones[peer].receive_datagram(data, address, self.now_s)
                    self.carried += 1

    def wait(self, seconds):
        end_s = self.now_s + seconds
        while True:
            self.settle()
            due = [
                at
                for phone in self.phones.values()
                if (at := phone.next_timer_s()) is not None and at <= end_s
            ]
            if not due:
                break
            self.now_s = max(self.now_s, min(due))
            for phone in self.phones.values():
                phone.handle_timer(self.now_s)
        self.now_s = end_s

    @staticmethod
    def events(phone):
        return list(iter(phone.next_event, None))

    def connect(self):
        call_id = self.caller.invite("sip:bob@127.0.0.1:5070", SDP, self.now_s)
        self.wait(1)
        self.callee.answer(call_id, SDP, self.now_s)
        self.wait(1)
        self.events(self.caller), self.events(self.callee)
        return call_id


def test_a_call_rings_is_answered_and_ends():
    wire = Wire()
    call_id = wire.caller.invite("sip:bob@127.0.0.1:5070", SDP, 0.0)
    wire.settle()
    (incoming,) = wire.events(wire.callee)
    assert isinstance(incoming, CallIncoming)
    assert (incoming.dialled, incoming.sdp) == ("bob", SDP)
    wire.callee.ring(call_id)
    wire.callee.answer(call_id, SDP, 0.0)
    wire.settle()
    assert wire.events(wire.caller) == [CallProgressing(call_id, 180, b""), CallAnswered(call_id, SDP)]
    assert wire.events(wire.callee) == [CallConfirmed(call_id)]
    wire.callee.hang_up(call_id, 0.0)
    wire.settle()
    assert wire.events(wire.caller) == [CallEnded(call_id)]
    assert wire.events(wire.callee) == [CallEnded(call_id)]
    assert wire.caller.next_timer_s() is None
    assert wire.callee.next_timer_s() is None


@pytest.mark.parametrize("lost", range(4))
def test_a_lost_datagram_is_repeated(lost):
    wire = Wire(lose=[lost])
    call_id = wire.caller.invite("sip:bob@127.0.0.1:5070", SDP, 0.0)
    wire.wait(2)
    wire.callee.answer(call_id, SDP, wire.now_s)
    wire.wait(4)
    assert CallAnswered(call_id, SDP) in wire.events(wire.caller)
    assert CallConfirmed(call_id) in wire.events(wire.callee)
    assert wire.callee.next_timer_s() is None


def test_an_invite_carries_the_headers_it_is_given_once():
    wire = Wire()
    wire.caller.invite("sip:bob@127.0.0.1:5070", SDP, 0.0, headers={"X-Customer": "C-1"})
    ((data, _),) = wire.caller.datagrams_to_send()

    assert data.count(b"X-Customer: C-1\r\n") == 1


def test_a_repeated_invite_is_one_call():
    wire = Wire(lose=[1])
    wire.caller.invite("sip:bob@127.0.0.1:5070", SDP, 0.0)
    wire.wait(4)
    assert len([event for event in wire.events(wire.callee) if isinstance(event, CallIncoming)]) == 1


def test_silence_is_a_refusal_with_408_in_the_end():
    wire = Wire(lose=range(100))
    call_id = wire.caller.invite("sip:bob@127.0.0.1:5070", SDP, 0.0)
    wire.wait(64)
    assert wire.events(wire.caller) == [CallRefused(call_id, 408)]


def test_a_refusal_is_told_once_and_acknowledged():
    wire = Wire()
    call_id = wire.caller.invite("sip:bob@127.0.0.1:5070", SDP, 0.0)
    wire.settle()
    wire.callee.refuse(call_id, 603)
    wire.settle()
    assert wire.events(wire.caller) == [CallRefused(call_id, 603)]


def test_cancel_ends_a_ringing_call_on_both_sides():
    wire = Wire()
    call_id = wire.caller.invite("sip:bob@127.0.0.1:5070", SDP, 0.0)
    wire.settle()
    wire.callee.ring(call_id)
    wire.settle()
    wire.caller.hang_up(call_id, 0.0)
    wire.wait(1)
    assert CallRefused(call_id, 487) in wire.events(wire.caller)
    assert CallEnded(call_id) in wire.events(wire.callee)


def test_info_arrives_counted_and_without_its_body():
    wire = Wire()
    call_id = wire.connect()
    wire.caller.info(call_id, "application/dtmf-relay", b"Signal=4\r\nDuration=100\r\n", wire.now_s)
    wire.settle()
    assert wire.events(wire.callee) == [InfoReceived(call_id, "application/dtmf-relay", 24)]
    assert wire.events(wire.caller) == [RequestAnswered(call_id, "INFO", 200)]


def test_a_re_offer_is_answered_with_the_present_description():
    wire = Wire()
    call_id = wire.connect()
    held = write_sdp(Media("127.0.0.1", 4000, direction="sendonly"), session=1, version=2)
    wire.caller.reinvite(call_id, held, wire.now_s)
    wire.settle()
    assert wire.events(wire.callee) == [CallOffered(call_id, held), CallConfirmed(call_id)]
    assert wire.events(wire.caller) == [CallAnswered(call_id, SDP)]


def test_what_is_no_sip_is_dropped():
    wire = Wire()
    wire.callee.receive_datagram(b"\x00\xff nonsense", CALLER, 0.0)
    assert wire.callee.datagrams_to_send() == []


def test_a_description_reads_as_it_was_written():
    for media in (Media("127.0.0.1", 4000), Media("::1", 4002, (8,), None, "inactive")):
        assert read_sdp(write_sdp(media, session=9)) == media


def test_the_other_sides_first_codec_is_taken_and_its_event_type():
    own, other = Media("127.0.0.1", 1), Media("127.0.0.1", 2, (8, 0), 96)
    assert own.common(other) == (8, 96)
    with pytest.raises(ValueError, match="no common codec"):
        Media("127.0.0.1", 1, (0,)).common(Media("127.0.0.1", 2, (8,)))
