"""A body that may hold a key is wiped by whoever is the last to have it, also where no core ever sees it."""

import gc

from dtmf_shield.sip.endpoint import Endpoint
from dtmf_shield.sip.events import Address, RequestReceived
from dtmf_shield.sip.message import OpaqueBody

PEER, HERE = Address("192.0.2.1", 5060), Address("192.0.2.9", 5060)
BODY = b"Signal=5\r\nDuration=160\r\n"


def info(branch="z9hG4bK-1", cseq="2 INFO", method="INFO"):
    return (
        f"{method} sip:x@192.0.2.9 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch={branch}\r\n"
        f"Max-Forwards: 70\r\nFrom: <sip:a@192.0.2.1>;tag=a\r\nTo: <sip:x@192.0.2.9>;tag=b\r\n"
        f"Call-ID: c1\r\nCSeq: {cseq}\r\nContent-Type: application/dtmf-relay\r\n"
        f"Content-Length: {len(BODY)}\r\n\r\n"
    ).encode() + BODY


def endpoint(**options):
    numbers = iter(range(1000))
    return Endpoint(tokens=lambda: f"t{next(numbers)}", local=[HERE], **options)


def readable_bodies(monkeypatch, *datagrams, **options):
    """How many opaque bodies made of these datagrams still hold something, those handed to the core left out."""
    made = []
    first = OpaqueBody.__init__

    def note(self, content):
        first(self, content)
        made.append(self)

    monkeypatch.setattr(OpaqueBody, "__init__", note)
    here = endpoint(**options)
    for datagram in datagrams:
        here.receive_datagram(1.0, datagram, PEER)
    events = list(iter(here.next_event, None))
    handed = [event.request.body for event in events if isinstance(event, RequestReceived)]
    gc.collect()
    assert made, "the positive control: these datagrams make opaque bodies"
    return [body for body in made if any(body.view()) and body not in handed], handed


def test_the_core_gets_the_first_one_unread(monkeypatch):
    left, handed = readable_bodies(monkeypatch, info())

    assert left == []
    assert len(handed) == 1
    assert any(handed[0].view())


def test_a_repetition_is_wiped(monkeypatch):
    left, handed = readable_bodies(monkeypatch, info(), info())

    assert len(handed) == 1
    assert left == []


def test_what_the_transaction_table_has_no_room_for_is_wiped(monkeypatch):
    left, handed = readable_bodies(monkeypatch, info(), transactions_max=0)

    assert handed == []
    assert left == []


def test_an_illegal_request_is_wiped(monkeypatch):
    left, handed = readable_bodies(monkeypatch, info(cseq="2 BYE"))

    assert handed == []
    assert left == []


def test_keys_in_a_cancel_or_an_ack_are_wiped(monkeypatch):
    left, _ = readable_bodies(
        monkeypatch, info(method="CANCEL", cseq="2 CANCEL"), info(method="ACK", cseq="2 ACK")
    )

    assert left == []
