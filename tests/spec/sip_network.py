"""Virtual time and a lossy, reordering network between SIP endpoints, from one seed. No socket, no sleeping."""

import heapq
import itertools
import random

from dtmf_shield.sip.dialog import new_request
from dtmf_shield.sip.endpoint import Endpoint
from dtmf_shield.sip.events import Address
from dtmf_shield.sip.uri import NameAddr, parse_uri

DELAY_S = 0.01


class Network:
    """Nodes have receive_datagram, datagrams_to_send, next_timer_s and handle_timer; one address each."""

    def __init__(self, seed=0, loss=0.0, jitter_s=0.0):
        self.random = random.Random(seed)
        self.loss, self.jitter_s = loss, jitter_s
        self.now_s = 1000.0
        self.nodes = {}
        self.flying = []
        self.counter = itertools.count()
        self.sent = []

    def add(self, address, node, on_change=lambda: None):
        self.nodes[address] = (node, on_change)

    def flush(self):
        busy = True
        while busy:
            busy = False
            for address, (node, on_change) in list(self.nodes.items()):
                on_change()
                for out in node.datagrams_to_send():
                    busy = True
                    self.sent.append((self.now_s, address, out.remote, out.data))
                    if self.random.random() >= self.loss:
                        at_s = self.now_s + DELAY_S + self.random.random() * self.jitter_s
                        heapq.heappush(self.flying, (at_s, next(self.counter), address, out.remote, out.data))

    def run(self, duration_s):
        end_s = self.now_s + duration_s
        self.flush()
        while True:
            due = [self.flying[0][0]] if self.flying else []
            for node, _ in self.nodes.values():
                timer_s = node.next_timer_s(self.now_s)
                if timer_s is not None:
                    due.append(self.now_s + timer_s)
            if not due or min(due) > end_s:
                self.now_s = end_s
                return
            self.now_s = max(self.now_s, min(due))
            while self.flying and self.flying[0][0] <= self.now_s:
                _, _, source, remote, data = heapq.heappop(self.flying)
                if remote in self.nodes:
                    self.nodes[remote][0].receive_datagram(self.now_s, data, source, 0)
            for node, _ in self.nodes.values():
                node.handle_timer(self.now_s)
            self.flush()


def token_source(prefix):
    counter = itertools.count(1)
    return lambda: f"{prefix}{next(counter):06x}"


def endpoint(host, port=5060, prefix="t", **options):
    return Endpoint(tokens=token_source(prefix), local=[Address(host, port)], **options)


def request(method="OPTIONS", *, uri="sip:b@192.0.2.2", cseq=1, tag="from1", call_id="call1", **more):
    local = NameAddr("", parse_uri("sip:a@192.0.2.1"))
    remote = NameAddr("", parse_uri("sip:b@192.0.2.2"))
    contact = "sip:a@192.0.2.1:5060" if method == "INVITE" else ""
    return new_request(
        method,
        uri=uri,
        local=local,
        remote=remote,
        call_id=call_id,
        tag=tag,
        cseq_number=cseq,
        contact=contact,
        **more,
    )


def events(node):
    return list(iter(node.next_event, None))
