"""RFC 4475 cases, own texts, at two levels: the parser, and the whole core fed by datagrams. We are strict."""

import pytest

from dtmf_shield.sip.errors import Drop, Reject
from dtmf_shield.sip.message import Request
from dtmf_shield.sip.parser import parse_message
from tests.spec.torture_messages import ACCEPTED, DROPPED, REFUSED, SDP, message
from tests.unit.call.call_house import CALLER, CallHouse


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_is_accepted_means_the_same_after_a_round_trip(name):
    first = parse_message(ACCEPTED[name])

    second = parse_message(first.serialize())

    assert list(second.headers)[:-1] == [field for field in first.headers if field[0] != "Content-Length"]
    assert (second.via, second.from_, second.to, second.cseq) == (
        first.via,
        first.from_,
        first.to,
        first.cseq,
    )
    assert (second.call_id, second.body) == (first.call_id, first.body)
    if isinstance(first, Request):
        assert (second.method, second.uri) == (first.method, first.uri)
    else:
        assert (second.status, second.reason) == (first.status, first.reason)


@pytest.mark.parametrize("name", REFUSED)
def test_the_core_answers_with_the_status_of_the_case(name):
    status, data = REFUSED[name]
    house = CallHouse()

    house.core.receive_datagram(house.now_s, data, CALLER, 0)

    answers = [out.data for out in house.core.datagrams_to_send() if out.data.startswith(b"SIP/")]
    assert [int(answer[8:11]) for answer in answers] == [status]
    assert b"192.0.2.1" in answers[0].split(b"\r\n")[1]


@pytest.mark.parametrize("name", DROPPED)
def test_what_cannot_be_answered_is_dropped_without_a_word(name):
    house = CallHouse()

    house.core.receive_datagram(house.now_s, DROPPED[name], CALLER, 0)

    assert house.core.datagrams_to_send() == []
    assert set(house.core.table_sizes()) == {0}


def test_wsinv_reads_folded_compact_and_empty_fields():
    request = parse_message(ACCEPTED["wsinv"])

    assert request.cseq.number == 9
    assert request.max_forwards == 68
    assert request.to.tag == "t9n"
    assert request.from_.display_name == '"J Caller \\\\\\""'
    assert [via.rpartition("=")[2].strip() for via in request.headers.get_all("Via")] == [
        "z9hG4bKws", "z9hG4bK2", "z9hG4bK3",
    ]  # fmt: skip
    assert request.headers.get("Subject") == ""
    assert request.contact.parameter("q") == "0.33"
    assert request.body == SDP.encode()


def test_a_parameter_without_brackets_is_the_headers_and_within_brackets_the_uris():
    outside = parse_message(ACCEPTED["cparam01"]).contact
    inside = parse_message(ACCEPTED["cparam02"]).contact

    assert (outside.parameters, outside.uri.parameters) == ((("unknownparam", None),), ())
    assert (inside.parameters, inside.uri.parameters) == ((), (("unknownparam", None),))


def test_escapes_are_never_decoded():
    assert parse_message(ACCEPTED["esc01"]).uri == "sip:age%6Et%2540x@192.0.2.9;p=%41"
    assert parse_message(ACCEPTED["escnull"]).from_.uri.user == "null-%00-null"


def test_an_escaped_header_name_is_another_header():
    request = parse_message(message("OPTIONS", Contact=None, extra=["C%6Fntact: <sip:x@192.0.2.1>"]))

    assert request.contact is None


def test_bytes_after_content_length_are_ignored():
    assert parse_message(ACCEPTED["dblreq"]).method == "OPTIONS"


def test_420_lists_what_is_not_supported():
    house = CallHouse()

    house.core.receive_datagram(house.now_s, REFUSED["bext01"][1], CALLER, 0)

    [out] = house.core.datagrams_to_send()
    assert b"Unsupported: nothingSupportsThis, nothingSupportsThisEither\r\n" in out.data


def test_a_message_truncated_anywhere_is_refused_or_dropped():
    data = message(body=SDP)

    for end in range(len(data)):
        with pytest.raises((Drop, Reject)):
            parse_message(data[:end])


def test_a_line_ending_other_than_crlf_is_refused():
    house = CallHouse()

    house.core.receive_datagram(house.now_s, message(extra=["X-A: 1\nX-B: 2"]), CALLER, 0)

    [out] = house.core.datagrams_to_send()
    assert out.data.startswith(b"SIP/2.0 400")
