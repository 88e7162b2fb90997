"""A call core with fake ports, a scripted caller and a scripted agent on a virtual network."""

import ipaddress
from pathlib import Path

from dtmf_shield.call import handover
from dtmf_shield.call.core import CallCore
from dtmf_shield.call.events import CallEnded
from dtmf_shield.call.settings import AgentTarget, CallSettings, Route, Trunk
from dtmf_shield.flow.loader import load_flow
from dtmf_shield.model.messages import ShieldChanged
from dtmf_shield.model.stream import MediaPorts
from dtmf_shield.sip.dialog import dialog_of_received_invite, dialog_of_sent_invite, new_request
from dtmf_shield.sip.endpoint import Endpoint
from dtmf_shield.sip.events import AckReceived, Address, CancelReceived, RequestReceived, ResponseReceived
from dtmf_shield.sip.message import respond_to
from dtmf_shield.sip.uri import NameAddr, parse_uri
from tests.spec.sip_network import Network, token_source

CALLER, CORE, AGENT = Address("192.0.2.1", 5060), Address("192.0.2.9", 5060), Address("192.0.2.2", 5060)
HELP = Address("192.0.2.3", 5060)
FLOW_FILE = Path(__file__).parents[3] / "ivr_flows" / "card-tokenize-agent.yaml"
FLOW, CHARGE = "card-tokenize-agent", "card-charge-agent"
ALONE = "pay-alone"
"""Answers routes 80*, without an agent."""


def sdp(host, port=4000, formats="8 0 101", direction="sendrecv", version=1, more=""):
    maps = "a=rtpmap:101 telephone-event/8000\r\n" if "101" in formats else ""
    return (
        f"v=0\r\no=- 5 {version} IN IP4 {host}\r\ns=secret\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
        f"m=audio {port} RTP/AVP {formats}\r\n{maps}a=ptime:30\r\na={direction}\r\n{more}"
    ).encode()


class FakeMedia:
    def __init__(self, rows=4):
        self.free, self.log, self.streams, self.shields = list(range(rows)), [], {}, {}
        self.strictness = {}
        self.speaks = False  # as a media process that is away
        self.said, self.stopped, self.rung = [], [], []

    def media_address(self, *, v6):
        return None if v6 else "192.0.2.9"

    def reserve(self, call_id):
        if not self.free:
            return None
        row = self.free.pop(0)
        self.log.append(("open", row))
        return MediaPorts(row, 20000 + 4 * row, 20002 + 4 * row)

    def adopt(self, call_id, row):
        if row not in self.free:
            return False
        self.free.remove(row)
        return True

    def reopen(self, call_id, row):
        self.log.append(("open", row))

    def set_stream(self, call_id, row, role, stream):
        self.log.append(("stream", role.value))
        self.streams[role.value] = stream

    def set_shield(self, call_id, row, role, mode, strictness):
        self.log.append(("shield", role.value, mode.value))
        self.shields[role.value] = mode.value
        self.strictness[role.value] = strictness

    def play(self, call_id, row, role, play_id, pieces, language, *, loop, barge_in):
        self.log.append(("play", role.value))
        if self.speaks:
            self.said.append((role.value, play_id, pieces, language, loop, barge_in))
        return self.speaks

    def ring(self, call_id, row, play_id, language):
        self.log.append(("ring", language))
        self.rung.append(play_id)
        return True

    def stop_prompt(self, call_id, row, role, play_id):
        self.stopped.append((role.value, play_id))

    def close(self, call_id, row):
        self.log.append(("close", row))
        self.free.append(row)


class FakeCapture:
    def __init__(self):
        self.sent, self.infos, self.up = [], [], True

    def send(self, message):
        self.sent.append(message)
        return self.up

    def opaque_info(self, call_id, row, role, body):
        with body.view() as view:
            self.infos.append((role.value, bytes(view)))
        return self.up


class FakeStore:
    def __init__(self):
        self.records = {}

    def put(self, record):
        self.records[record.call_id] = record

    def remove(self, call_id):
        self.records.pop(call_id, None)


class Phone:
    """A user agent: keeps what it got; answers in-dialog requests 200, SDP by SDP."""

    def __init__(self, house, address, prefix):
        self.house, self.address = house, address
        self.endpoint = Endpoint(tokens=token_source(prefix), local=[address])
        self.dialog = self.invite = self.ack = None
        self.requests, self.responses, self.cancelled = [], [], []
        self.contact = f"sip:{prefix}@{address.host}:{address.port}"
        self.direction, self.refuse, self.ack_body, self.auto_ack = "sendrecv", None, b"", True
        self.offer_late = False

    def call(self, user="4420", body=b"", **headers):
        me = NameAddr('"Ann Caller"', parse_uri(f"sip:+441234567890@{self.address.host}"))
        self.sent = new_request(
            "INVITE", uri=f"sip:{user}@192.0.2.9", local=me, remote=NameAddr("", parse_uri("sip:x@192.0.2.9")),
            call_id=self.endpoint._tokens() + "@secret.example", tag=self.endpoint._tokens(), contact=self.contact,
            headers=[(name.replace("_", "-"), value) for name, value in headers.items()],
            content_type="application/sdp", body=body,
        )  # fmt: skip
        self.transaction = self.endpoint.send_request(self.house.now_s, self.sent, CORE, 0)

    def answer(self, status, body=b""):
        headers = [("Contact", f"<{self.contact}>"), ("Allow", "INVITE, ACK, BYE, INFO, UPDATE")]
        if body:
            headers.append(("Content-Type", "application/sdp"))
        event = self.invite
        response = respond_to(event.request, status, to_tag="agenttag", headers=headers, body=body)
        self.endpoint.respond(self.house.now_s, event.transaction, response)
        if status == 200:
            self.dialog = dialog_of_received_invite(
                event.request, local_tag="agenttag", contact=self.contact, source=CORE, flow=0
            )

    def send(self, method, body=b"", content_type="application/sdp", headers=()):
        request = self.dialog.request(method, headers=headers, content_type=content_type, body=body)
        return self.endpoint.send_request(self.house.now_s, request, CORE, 0)

    def work(self):
        while (event := self.endpoint.next_event()) is not None:
            if isinstance(event, RequestReceived):
                self._request(event)
            elif isinstance(event, ResponseReceived):
                self._response(event)
            elif isinstance(event, AckReceived):
                self.ack = event.request
            elif isinstance(event, CancelReceived):
                self.cancelled.append(event)
                final = respond_to(self.invite.request, 487, to_tag="agenttag")
                self.endpoint.respond(self.house.now_s, event.transaction, final)

    def _request(self, event):
        request = event.request
        self.requests.append(request)
        if request.method == "INVITE" and not request.to_tag:
            self.invite = event
            return
        status, body = self.refuse or 200, b""
        if request.body and not self.refuse and request.method in ("INVITE", "UPDATE"):
            body = sdp(self.address.host, direction=self.direction, version=2)
        elif request.method == "INVITE":
            body = sdp(self.address.host, version=2)
        headers = [("Contact", f"<{self.contact}>")] + ([("Content-Type", "application/sdp")] if body else [])
        answer = respond_to(request, status, headers=headers, body=body)
        self.endpoint.respond(self.house.now_s, event.transaction, answer)

    def _response(self, event):
        response = event.response
        self.responses.append(response)
        if event.request.method != "INVITE" or not 200 <= response.status < 300 or not self.auto_ack:
            return
        if self.dialog is None:
            self.dialog = dialog_of_sent_invite(
                event.request, response, contact=self.contact, source=CORE, flow=0
            )
        ack = self.dialog.ack(event.request.cseq.number, content_type="application/sdp", body=self.ack_body)
        self.endpoint.send_ack(event.transaction, response.to_tag, ack, CORE, 0)

    def statuses(self, method=None):
        return [r.status for r in self.responses if method is None or r.cseq.method == method]

    def methods(self):
        return [request.method for request in self.requests]


class CallHouse:
    def __init__(self, *, rows=4, seed=0, loss=0.0, jitter_s=0.0, store=None, media=None, **options):
        self.net = Network(seed=seed, loss=loss, jitter_s=jitter_s)
        self.media, self.capture = media or FakeMedia(rows), FakeCapture()
        self.store = store or FakeStore()
        self.events, self.hooks = [], None
        self.settings = settings(**options)
        self.core = self.new_core("k")
        self.caller, self.agent = Phone(self, CALLER, "c"), Phone(self, AGENT, "a")
        self.net.add(CALLER, self.caller.endpoint, self.caller.work)
        self.net.add(AGENT, self.agent.endpoint, self.agent.work)
        self.help = Phone(self, HELP, "h")
        self.net.add(HELP, self.help.endpoint, self.help.work)
        self.net.add(CORE, self.core, self._drain)

    def new_core(self, prefix):
        return CallCore(
            settings=self.settings, local=[CORE], media=self.media, capture=self.capture, store=self.store,
            tokens=token_source(prefix), hooks=self.hooks,
        )  # fmt: skip

    def crash(self, versions=None):
        """Control dies and comes back: nothing is left but the store, and flows of earlier ``versions``."""
        records = list(self.store.records.values())
        self.media.free = sorted({*self.media.free, *(record.ports.row for record in records)})
        self.core = self.new_core("k2")
        count = self.core.restore(self.now_s, records, versions or {})
        self.net.add(CORE, self.core, self._drain)
        return count

    def _drain(self):
        self.events.extend(iter(self.core.next_event, None))

    @property
    def now_s(self):
        return self.net.now_s

    def run(self, duration_s=0.2):
        self.net.run(duration_s)

    def talk(self, **call):
        """A basic call up to both ACKs; returns its id."""
        self.caller.call(body=sdp(CALLER.host), **call)
        self.run()
        self.agent.answer(180)
        self.run()
        self.agent.answer(200, sdp(AGENT.host, 5000))
        self.run()
        return self.core.snapshots()[0].call_id

    def dial_alone(self, body=None):
        """A call that we answer ourselves, up to its ACK; returns its id."""
        self.caller.call(user="8000", body=sdp(CALLER.host) if body is None else body)
        self.run()
        return self.core.snapshots()[0].call_id

    def hand_over(self, call_id, to="queue", target="help"):
        """What a flow's transfer step does."""
        context = self.core._ctx
        handover.hand_over(context, self.now_s, context.calls[call_id], to, target)
        self.core._settle(self.now_s)
        self.run()

    def confirm_shield(self, call_id, mode):
        for role in ("caller", "agent"):
            self.core.shield_changed(self.now_s, ShieldChanged(call_id, role_of(role), mode))


def ended(house):
    """SIP status and reason of each call that has ended."""
    return [(event.status, event.reason) for event in house.events if isinstance(event, CallEnded)]


def drained(house):
    """Whether nothing is left anywhere once every timer has had its time."""
    house.run(140)
    return set(house.core.table_sizes()) == {0} and not house.store.records


def role_of(name):
    from dtmf_shield.model.ids import LegRole

    return LegRole(name)


def settings(**options):
    trunk = Trunk(
        "t1",
        (ipaddress.ip_network("192.0.2.0/31"),),
        options.pop("accept_info", True),
        ("X-Account", "Contact"),
    )
    options.setdefault("routes", (Route("44*", "desk"), Route("agent", "desk"), Route("80*", None, ALONE)))
    return CallSettings(
        trunks=(trunk,),
        agents={
            "desk": AgentTarget("desk", "agent", AGENT.host, AGENT.port),
            "help": AgentTarget("help", "queue", HELP.host, HELP.port),
        },
        flows={
            path.stem: load_flow(path.read_text("utf-8"), file="flow")
            for path in (
                FLOW_FILE,
                FLOW_FILE.with_name(f"{CHARGE}.yaml"),
                Path(__file__).with_name(f"{ALONE}.yaml"),
            )
        },
        default_flow=FLOW,
        **options,
    )
