"""Messages, URIs and bodies: what is parsed is written back the same, and what may hold keys stays opaque."""

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtmf_shield.sip.errors import Drop, Malformed, Reject
from dtmf_shield.sip.message import OpaqueBody, Response
from dtmf_shield.sip.parser import HEADERS_MAX, parse_message
from dtmf_shield.sip.uri import parse_name_addr, parse_uri, parse_via
from tests.spec.torture_messages import message


@pytest.mark.parametrize(
    "text",
    [
        "sip:a@192.0.2.1",
        "sips:a:b@h.example:5061;lr;x=y?H=v",
        "sip:[2001:db8::1]:5060",
        "tel:+1;ext=2",
        "sip:h.example",
    ],
)
def test_a_uri_is_written_as_it_was_read(text):
    assert str(parse_uri(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sip:",
        "a@b",
        "sip:a@",
        "sip:a@-x",
        "sip:a@h:0",
        "sip:a@h:99999",
        "sip:a@[::1",
        "sip:a@1.2.3.999",
        "sip:a b@h",
    ],
)
def test_what_is_no_uri_is_refused(text):
    with pytest.raises(Malformed):
        parse_uri(text)


def test_ipv6_in_a_via_and_bare_in_received():
    via = parse_via("SIP/2.0/UDP [2001:db8::9:1]:5080;received=2001:db8::9:255;branch=z9hG4bKx")

    assert (via.host, via.port, via.parameter("received")) == ("2001:db8::9:1", 5080, "2001:db8::9:255")


@given(st.text(alphabet='abc"<>;=,@: \t\\%[]', max_size=40))
def test_any_text_is_a_name_addr_or_malformed_and_reads_the_same_again(text):
    try:
        first = parse_name_addr(text)
    except Malformed:
        return

    assert parse_name_addr(str(first)) == first


def test_info_bodies_are_opaque_and_can_be_wiped():
    data = bytearray(message("INFO", body="Signal=7\r\n", Content_Type="application/dtmf-relay"))

    body = parse_message(memoryview(data)).body

    assert isinstance(body, OpaqueBody)
    assert "7" not in repr(body) + str(body) + f"{body}"
    assert body != OpaqueBody(bytearray(b"Signal=7\r\n"))
    for forbidden in (pickle.dumps, copy.copy, copy.deepcopy, iter, list):
        with pytest.raises(TypeError):
            forbidden(body)
    body.wipe()
    assert bytes(body.view()) == bytes(10)


def test_an_opaque_body_cannot_be_sent():
    request = parse_message(message("INFO", body="Signal=7", Content_Type="application/dtmf"))

    with pytest.raises(TypeError):
        request.serialize()


def test_errors_never_quote_the_message():
    for data in (
        message("INFO", body="Signal=7", CSeq="4242424242424242 INFO"),
        message(To='"4242424242424242'),
    ):
        with pytest.raises((Drop, Reject)) as caught:
            parse_message(data)

        assert "4242" not in str(caught.value)


def test_too_many_headers_are_refused():
    with pytest.raises(Reject):
        parse_message(message(extra=[f"X-{i}: 1" for i in range(HEADERS_MAX)]))


def test_a_response_keeps_its_binary_body():
    body = bytes(range(256))
    data = (
        message(line="SIP/2.0 200 OK", Content_Length="256", Content_Type="application/octet-stream") + body
    )

    response = parse_message(data)

    assert isinstance(response, Response)
    assert response.body == body
    assert parse_message(response.serialize()).body == body
