"""RFC 3261 section 17 (with RFC 6026): the four machines, state by state, and on the wire in virtual time."""

import itertools

import pytest

from dtmf_shield.base.errors import InvariantError
from dtmf_shield.sip.dialog import dialog_of_received_invite, dialog_of_sent_invite
from dtmf_shield.sip.events import (
    AckMissing,
    AckReceived,
    Address,
    CancelReceived,
    RequestReceived,
    RequestTimedOut,
    ResponseReceived,
)
from dtmf_shield.sip.message import respond_to
from dtmf_shield.sip.transaction import SERVER_KINDS, TABLES, Input, Kind, State, Timers, step
from tests.spec.sip_network import Network, endpoint, events, request

A, B = Address("192.0.2.1", 5060), Address("192.0.2.2", 5060)
RESPONSES = {Input.PROVISIONAL, Input.SUCCESS, Input.FAILURE}


def pair(**network):
    net = Network(**network)
    client, server = endpoint(*A, prefix="c"), endpoint(*B, prefix="s")
    net.add(A, client)
    net.add(B, server)
    return net, client, server


def times(net, source, start, since_s=1000.0):
    return [
        round(at - since_s, 3)
        for at, sender, _, data in net.sent
        if sender == source and data.startswith(start)
    ]


@pytest.mark.parametrize(("kind", "state", "event"), list(itertools.product(Kind, State, Input)))
def test_every_state_and_input_is_in_a_table_absorbed_or_an_error_of_ours(kind, state, event):
    row = TABLES[kind].get((state, event))

    if row is not None:
        assert step(kind, state, event) == row
    elif event in RESPONSES and kind in SERVER_KINDS:
        with pytest.raises(InvariantError):
            step(kind, state, event)
    else:
        assert step(kind, state, event) == (state, ())


@pytest.mark.parametrize(
    ("kind", "unreliable_s"),
    [(Kind.INVITE_CLIENT, 32.0), (Kind.CLIENT, 5.0), (Kind.INVITE_SERVER, 5.0), (Kind.SERVER, 32.0)],
    ids=["D", "K", "I", "J"],
)
def test_wait_timers_are_zero_on_reliable_transports(kind, unreliable_s):
    assert Timers().wait_s(kind, State.COMPLETED) == unreliable_s
    assert Timers(reliable=True).wait_s(kind, State.COMPLETED) == 0.0


def test_timer_a_doubles_and_timer_b_ends_an_unanswered_invite():
    net, client, _ = pair(loss=1.0)
    client.send_request(net.now_s, request("INVITE"), B, 0)

    net.run(40)

    assert times(net, A, b"INVITE") == [0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert [type(event) for event in events(client)] == [RequestTimedOut]
    assert client.table_sizes() == (0, 0, 0, 0)


def test_timer_e_doubles_to_t2_and_timer_f_ends_an_unanswered_request():
    net, client, _ = pair(loss=1.0)
    client.send_request(net.now_s, request("OPTIONS"), B, 0)

    net.run(40)

    assert times(net, A, b"OPTIONS") == [0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert [type(event) for event in events(client)] == [RequestTimedOut]


@pytest.mark.parametrize("method", ["INVITE", "OPTIONS"])
def test_nothing_is_repeated_on_reliable_transports(method):
    net = Network(loss=1.0)
    client = endpoint(*A, timers=Timers(reliable=True))
    net.add(A, client)
    client.send_request(net.now_s, request(method), B, 0)

    net.run(40)

    assert len(net.sent) == 1
    assert [type(event) for event in events(client)] == [RequestTimedOut]


def test_timer_g_repeats_a_failure_until_timer_h():
    net, client, server = pair()
    client.send_request(net.now_s, request("INVITE"), B, 0)
    net.run(0.1)
    [received] = events(server)
    net.loss = 1.0
    since_s = net.now_s

    server.respond(net.now_s, received.transaction, respond_to(received.request, 486, to_tag="x"))
    net.run(70)

    assert times(net, B, b"SIP/2.0 486", since_s) == [
        0,
        0.5,
        1.5,
        3.5,
        7.5,
        11.5,
        15.5,
        19.5,
        23.5,
        27.5,
        31.5,
    ]
    assert server.table_sizes() == (0, 0, 0, 0)


def test_the_ack_of_a_failure_has_the_branch_and_request_uri_of_its_invite():
    net, client, server = pair()
    client.send_request(net.now_s, request("INVITE", headers=[("Route", "<sip:192.0.2.2;lr>")]), B, 0)
    net.run(0.1)
    [received] = events(server)
    server.respond(net.now_s, received.transaction, respond_to(received.request, 603, to_tag="x"))

    net.run(0.1)

    ack = next(data for _, sender, _, data in net.sent if sender == A and data.startswith(b"ACK"))
    invite = net.sent[0][3]
    for line in (b"Via:", b"Route:", b"From:", b"Call-ID:"):
        assert [x for x in ack.split(b"\r\n") if x.startswith(line)] == [
            x for x in invite.split(b"\r\n") if x.startswith(line)
        ]
    assert b"To: <sip:b@192.0.2.2>;tag=x" in ack
    assert b"CSeq: 1 ACK" in ack
    net.run(70)
    assert client.table_sizes() == server.table_sizes() == (0, 0, 0, 0)


def test_a_retransmitted_invite_gets_the_last_provisional_response_and_no_second_event():
    net, client, server = pair()
    client.send_request(net.now_s, request("INVITE"), B, 0)
    net.run(0.005)
    invite = net.sent[0][3]
    net.run(0.02)
    [received] = events(server)
    server.respond(net.now_s, received.transaction, respond_to(received.request, 180, to_tag="x"))
    net.run(0.1)

    server.receive_datagram(net.now_s, invite, A, 0)
    net.run(0.1)

    assert len(times(net, B, b"SIP/2.0 180")) == 2
    assert events(server) == []


def test_a_2xx_is_repeated_by_the_core_until_its_ack_comes():
    net, client, server = pair()
    number = client.send_request(net.now_s, request("INVITE"), B, 0)
    net.run(0.02)
    [received] = events(server)
    since_s = net.now_s

    server.respond(net.now_s, received.transaction, respond_to(received.request, 200, to_tag="x"))
    net.run(3)
    [response] = [e for e in events(client) if isinstance(e, ResponseReceived)][:1]
    dialog = dialog_of_sent_invite(
        request("INVITE"), response.response, contact="sip:a@192.0.2.1", source=B, flow=0
    )
    client.send_ack(number, "x", dialog.ack(1), B, 0)
    net.run(70)

    assert times(net, B, b"SIP/2.0 200", since_s) == [0, 0.5, 1.5]
    [ack] = events(server)
    assert isinstance(ack, AckReceived)
    assert ack.transaction == received.transaction
    assert client.table_sizes() == server.table_sizes() == (0, 0, 0, 0)


def test_a_2xx_without_ack_is_given_up_after_64_t1():
    net, client, server = pair()
    client.send_request(net.now_s, request("INVITE"), B, 0)
    net.run(0.02)
    [received] = events(server)
    since_s = net.now_s

    server.respond(net.now_s, received.transaction, respond_to(received.request, 200, to_tag="x"))
    net.run(40)

    sent = times(net, B, b"SIP/2.0 200", since_s)
    assert sent == [0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert events(server) == [AckMissing(received.transaction)]


def test_each_repeated_2xx_is_answered_by_the_same_ack_without_a_second_event():
    net, client, server = pair()
    number = client.send_request(net.now_s, request("INVITE"), B, 0)
    net.run(0.02)
    [received] = events(server)
    answer = respond_to(received.request, 200, to_tag="x")
    server.respond(net.now_s, received.transaction, answer)
    net.run(0.02)
    [response] = events(client)
    dialog = dialog_of_sent_invite(
        request("INVITE"), response.response, contact="sip:a@192.0.2.1", source=B, flow=0
    )
    client.send_ack(number, "x", dialog.ack(1), B, 0)
    net.flush()

    client.receive_datagram(net.now_s, answer.serialize(), B, 0)
    net.run(0.1)

    acks = [data for _, sender, _, data in net.sent if sender == A and data.startswith(b"ACK")]
    assert len(acks) == 2
    assert acks[0] == acks[1]
    assert events(client) == []


def test_cancel_waits_for_a_provisional_response_and_keeps_branch_and_reason():
    net, client, server = pair()
    number = client.send_request(net.now_s, request("INVITE"), B, 0)
    client.cancel(net.now_s, number, 'SIP;cause=200;text="Call completed elsewhere"')
    net.run(0.1)
    assert times(net, A, b"CANCEL") == []

    [received] = events(server)
    server.respond(net.now_s, received.transaction, respond_to(received.request, 100))
    net.run(0.1)

    [cancelled] = events(server)
    assert cancelled == CancelReceived(received.transaction, 'SIP;cause=200;text="Call completed elsewhere"')
    server.respond(net.now_s, received.transaction, respond_to(received.request, 487, to_tag="x"))
    net.run(70)
    statuses = [e.response.status for e in events(client)]
    assert statuses == [100, 487]
    assert client.table_sizes() == server.table_sizes() == (0, 0, 0, 0)


def test_an_invite_that_stays_pending_after_cancel_ends_after_64_t1():
    net, client, server = pair()
    number = client.send_request(net.now_s, request("INVITE"), B, 0)
    net.run(0.1)
    [received] = events(server)
    server.respond(net.now_s, received.transaction, respond_to(received.request, 180, to_tag="x"))
    net.run(0.1)

    client.cancel(net.now_s, number)
    net.run(33)

    assert [type(e) for e in events(client)] == [ResponseReceived, RequestTimedOut]


def test_cancel_of_nothing_is_answered_481_without_state():
    net, _, server = pair()
    cancel = request("CANCEL")
    cancel.headers.put_first("Via", "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKnone")

    server.receive_datagram(net.now_s, cancel.serialize(), A, 0)

    assert server.datagrams_to_send()[0].data.startswith(b"SIP/2.0 481")
    assert server.table_sizes() == (0, 0, 0, 0)


def test_the_same_request_by_another_path_is_answered_482():
    net, _, server = pair()
    for branch in ("z9hG4bK1", "z9hG4bK2"):
        invite = request("INVITE")
        invite.headers.put_first("Via", f"SIP/2.0/UDP 192.0.2.1:5060;branch={branch}")
        server.receive_datagram(net.now_s, invite.serialize(), A, 0)

    assert [type(e) for e in events(server)] == [RequestReceived]
    assert [out.data[:11] for out in server.datagrams_to_send()] == [b"SIP/2.0 482"]


def test_a_peer_of_rfc_2543_is_matched_without_a_branch():
    net, _, server = pair()
    invite = request("INVITE")
    invite.headers.put_first("Via", "SIP/2.0/UDP 192.0.2.1:5060")
    ack = request("ACK")
    ack.headers.put_first("Via", "SIP/2.0/UDP 192.0.2.1:5060")

    server.receive_datagram(net.now_s, invite.serialize(), A, 0)
    server.receive_datagram(net.now_s, invite.serialize(), A, 0)
    [received] = events(server)
    server.respond(net.now_s, received.transaction, respond_to(received.request, 404, to_tag="x"))
    server.receive_datagram(net.now_s, ack.serialize(), A, 0)
    net.run(30)

    assert len(times(net, B, b"SIP/2.0 404")) == 1


@pytest.mark.parametrize(
    ("via", "source", "expected"),
    [
        ("192.0.2.1:5080;rport", Address("198.51.100.7", 1111), Address("198.51.100.7", 1111)),
        ("192.0.2.1:5080", Address("198.51.100.7", 1111), Address("198.51.100.7", 5080)),
        ("192.0.2.1", Address("198.51.100.7", 1111), Address("198.51.100.7", 5060)),
        ("192.0.2.1;maddr=203.0.113.9", Address("192.0.2.1", 5060), Address("192.0.2.1", 5060)),
    ],
    ids=["rport", "port", "default", "maddr not followed"],
)
def test_responses_go_to_the_source_address(via, source, expected):
    net, _, server = pair()
    message = request("OPTIONS")
    host, semicolon, tail = via.partition(";")
    message.headers.put_first("Via", f"SIP/2.0/UDP {host};branch=z9hG4bK1{semicolon}{tail}")
    server.receive_datagram(net.now_s, message.serialize(), source, 0)
    [received] = events(server)

    server.respond(net.now_s, received.transaction, respond_to(received.request, 200, to_tag="x"))

    assert server.datagrams_to_send()[0].remote == expected


def test_a_response_with_a_wrong_call_id_or_two_vias_is_dropped():
    net, client, _ = pair()
    client.send_request(net.now_s, request("OPTIONS"), B, 0)
    sent = request("OPTIONS")
    sent.headers.put_first("Via", "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKc000001")
    good = respond_to(sent, 200, to_tag="x")
    wrong = respond_to(sent, 200, to_tag="x")
    wrong.headers.set("Call-ID", "other")
    twice = respond_to(sent, 200, to_tag="x")
    twice.headers.add("Via", "SIP/2.0/UDP 203.0.113.1;branch=z9hG4bK9")

    for response in (wrong, twice, good):
        client.receive_datagram(net.now_s, response.serialize(), B, 0)

    assert [e.response.status for e in events(client) if isinstance(e, ResponseReceived)] == [200]


def test_unknown_sources_get_silence_and_no_state():
    server = endpoint(*B, admit=lambda host: host == "192.0.2.1")
    message = request("OPTIONS")
    message.headers.put_first("Via", "SIP/2.0/UDP 203.0.113.1;branch=z9hG4bK1")

    server.receive_datagram(0.0, message.serialize(), Address("203.0.113.1", 5060), 0)

    assert server.datagrams_to_send() == events(server) == []
    assert server.unknown_sources == 1


def test_a_full_table_is_answered_503_with_retry_after():
    server = endpoint(*B, transactions_max=1)
    for index in range(2):
        message = request("OPTIONS", call_id=f"call{index}")
        message.headers.put_first("Via", f"SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{index}")
        server.receive_datagram(0.0, message.serialize(), A, 0)

    [busy] = server.datagrams_to_send()
    assert busy.data.startswith(b"SIP/2.0 503")
    assert b"Retry-After" in busy.data


@pytest.mark.parametrize("seed", range(20))
def test_calls_complete_and_all_tables_drain_on_a_lossy_network(seed):
    net, client, server = pair(seed=seed, loss=0.3, jitter_s=0.3)
    dialogs = {}
    finished = []

    def serve():
        for event in events(server):
            if isinstance(event, RequestReceived):
                server.respond(net.now_s, event.transaction, respond_to(event.request, 200, to_tag="x"))
                if event.request.method == "INVITE":
                    dialog_of_received_invite(
                        event.request, local_tag="x", contact="sip:b@192.0.2.2", source=A, flow=0
                    )

    def drive():
        for event in events(client):
            if isinstance(event, RequestTimedOut):
                finished.append("timeout")
            elif isinstance(event, ResponseReceived) and event.response.cseq.method == "INVITE":
                invite = request("INVITE", call_id=event.response.call_id)
                dialog = dialog_of_sent_invite(
                    invite, event.response, contact="sip:a@192.0.2.1", source=B, flow=0
                )
                dialogs[event.response.call_id] = dialog
                client.send_ack(event.transaction, "x", dialog.ack(1), B, 0)
                client.send_request(net.now_s, dialog.request("BYE"), B, 0)
            elif isinstance(event, ResponseReceived):
                finished.append(event.response.status)

    net.add(A, client, drive)
    net.add(B, server, serve)
    for index in range(10):
        client.send_request(net.now_s, request("INVITE", call_id=f"call{index}"), B, 0)

    net.run(150)

    assert len(finished) == 10
    assert finished.count(200) >= 9
    assert client.table_sizes() == server.table_sizes() == (0, 0, 0, 0)
