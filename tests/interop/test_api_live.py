"""Every resource of the API on a running service: a payment made by telephone is refunded by a program."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from dtmf_shield.phone.door import Door
from dtmf_shield.phone.voices import Voice, voice
from tests.interop.phones import Phones
from tests.interop.running_service import CHARGE_FLOW, RunningService, wait_until

pytestmark = pytest.mark.interop
VISA = "4242424242424242"
SECRET = "0123456789abcdef0123456789abcdef"
PAID_MINOR = 1_234
LINE_S = 20.0
"""Three rounds in which control asks media, and then some on a busy machine."""


@dataclass
class Receiver:
    """Takes webhooks."""

    bodies: list[dict[str, Any]] = field(default_factory=list)
    signatures: list[str] = field(default_factory=list)

    def serve(self) -> ThreadingHTTPServer:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.bodies.append(json.loads(body))
                receiver.signatures.append(self.headers["DTMF-Shield-Signature"])
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_arguments: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server


@dataclass
class Site:
    """A service with one paid call behind it."""

    service: RunningService
    receiver: Receiver
    call_id: str
    payment: dict[str, Any]

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        key = (self.service.state / "api.key").read_text("ascii").strip()
        host, port = self.service.ready["api"]
        headers = {"Authorization": f"Bearer {key}", **options.pop("headers", {})}
        url = f"http://{host}:{port}{path}"
        return httpx.request(method, url, headers=headers, timeout=10, trust_env=False, **options)


def pay(service: RunningService, phones: Phones) -> str:
    """Call, key a card, be charged, hang up; return the call's id."""
    caller_phone = phones.open()
    host, port = service.sip
    caller = caller_phone.call(f"sip:agent@{host}:{port}")
    try:
        caller.call.talk(voice(Voice.CALLER))
        call_id = str(service.call_to("agent")["id"])
        service.start_capture(call_id, CHARGE_FLOW, amount_minor=PAID_MINOR, currency="EUR")
        for name, keys in (("pan", VISA + "#"), ("expiry", "1230"), ("cvv", "123")):
            service.wait_for_field(call_id, name, "waiting")
            phones.run(caller.call.keys(keys, Door.RFC4733))
        assert service.wait_for_outcome(call_id)["result"] == "approved"
    finally:
        caller_phone.hang_up(caller)
    return call_id


@pytest.fixture(scope="module")
def site(phones: Phones, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    directory: Path = tmp_path_factory.mktemp("api-live")
    (directory / "crm.secret").write_text(SECRET, "ascii")
    (directory / "crm.secret").chmod(0o600)
    receiver = Receiver()
    server = receiver.serve()
    agent = phones.open()
    webhook = (
        f'\n[[webhooks]]\nname = "crm"\nurl = "http://127.0.0.1:{server.server_address[1]}/told"\n'
        'secret_file = "crm.secret"\n'
    )
    service = RunningService(directory, {"agent": f"127.0.0.1:{agent.port}"}, sections=webhook)
    try:
        service.listen_to_events()
        call_id = pay(service, phones)
        listed = service.get(f"/v1/payments?reference=test-1&day={_today(service)}")["payments"]
        (charge,) = [payment for payment in listed if payment["kind"] == "charge"]
        yield Site(service, receiver, call_id, charge)
    finally:
        assert service.stop() == 0, service.log_tail()
        server.shutdown()


def _today(service: RunningService) -> str:
    return str(service.get("/v1/audit?limit=1")["rows"][0]["at"])[:10]


def settled(site: Site, operation_id: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        shown: dict[str, Any] = site.service.get(f"/v1/payments/{operation_id}")
        return None if shown["state"] in ("intent", "unknown") else shown

    return wait_until(look, f"operation {operation_id} is settled")


def test_payment_made_by_phone_is_listed_as_the_ledger_has_it(site: Site) -> None:
    charge = site.payment

    assert (charge["amount_minor"], charge["currency"], charge["state"]) == (PAID_MINOR, "EUR", "approved")
    assert (charge["brand"], charge["last4"], charge["call"]) == ("visa", "4242", site.call_id)
    assert str(charge["token_reference"]).startswith("tok_…")
    assert charge["test"] is True
    assert site.service.get(f"/v1/payments/{charge['id']}") == charge


def test_part_and_rest_are_given_back_once_each_and_no_more(site: Site) -> None:
    refund = f"/v1/payments/{site.payment['id']}/refund"
    key = {"Idempotency-Key": uuid.uuid4().hex}

    part = site.ask("POST", refund, json={"amount_minor": 234}, headers=key)
    again = site.ask("POST", refund, json={"amount_minor": 234}, headers=key)
    assert (part.status_code, again.status_code, again.json()["id"]) == (202, 202, part.json()["id"])
    assert settled(site, part.json()["id"])["state"] == "approved"
    rest = site.service.post(refund, {})
    assert settled(site, rest.json()["id"])["amount_minor"] == 1_000
    more = site.service.post(refund, {"amount_minor": 1})

    assert (more.status_code, more.json()["findings"]) == (409, ["amount"])
    books = site.service.gateway("GET", "/book")["operations"]
    (charged,) = [each for each in books if each["amount_minor"] == PAID_MINOR and each["method"] == "charge"]
    assert charged["refunded_minor"] == PAID_MINOR
    events = b"".join(site.service.said).decode("utf-8", "replace")
    assert f'"id":"{part.json()["id"]}","kind":"refund","state":"approved"' in events


def test_webhook_was_told_of_call_and_money_and_of_a_test(site: Site) -> None:
    assert site.service.post("/v1/webhooks/crm/test", {}).status_code == 202
    wait_until(lambda: any(body["type"] == "test" for body in site.receiver.bodies), "the test arrives")

    (state,) = site.service.get("/v1/webhooks")["webhooks"]
    told = {
        body["data"]["operation"]["id"]: body["data"]["operation"]["state"]
        for body in site.receiver.bodies
        if body["type"] == "payment" and "operation" in body["data"]
    }
    assert told[site.payment["id"]] == "approved"
    assert {"call", "capture", "payment"} <= {body["type"] for body in site.receiver.bodies}
    assert (state["dropped"], state["given_up"], state["last_error"]) == (0, 0, None)
    assert state["delivered"] >= 4
    assert all(signature.startswith("t=") for signature in site.receiver.signatures)
    assert VISA not in json.dumps(site.receiver.bodies)


def test_recording_of_the_call_is_listed_and_its_download_is_in_the_audit_log(site: Site) -> None:
    def look() -> dict[str, Any] | None:
        found = site.service.get(f"/v1/recordings?call={site.call_id}")["recordings"]
        return found[0] if found else None

    recording = wait_until(look, "the recording is complete")
    audio = site.ask("GET", f"/v1/recordings/{recording['id']}/audio")
    missing = site.ask("GET", "/v1/recordings/..%2f..%2fapi/audio")

    assert (audio.status_code, audio.headers["content-type"]) == (200, "audio/wav")
    assert audio.content == site.service.recording_of(site.call_id).read_bytes()
    assert recording["duration_ms"] > 2_000
    assert missing.status_code in (404, 422)
    rows = site.service.get("/v1/audit?event=recording_taken")["rows"]
    assert [row["texts"] for row in rows] == [{"recording": recording["id"], "by": "key"}]


def test_node_says_what_runs_and_what_is_in_use(site: Site) -> None:
    (node,) = site.service.get("/v1/nodes")["nodes"]

    assert {process["name"]: process["up"] for process in node["processes"]} == {
        "control": True,
        "media": True,
        "cde": True,
    }
    (gateway,) = node["gateways"]
    assert (gateway["state"], node["calls"], node["calls_max"]) == ("up", 0, 32)
    assert gateway["latency_ms_p50"] >= 0
    assert node["trunks"][0]["seen_at"] is not None
    assert node["readers"]["streams"] == 1
    assert node["media"]["received"] > 100
    assert node["media"]["events_removed"] > 0
    assert [item["findings"] for item in node["certificates"]] == [[], []]


def test_audit_log_shows_the_payment_and_who_ordered_the_refund_and_is_intact(site: Site) -> None:
    page = site.service.get("/v1/audit?limit=200")
    ordered = site.service.get("/v1/audit?event=payment_ordered")["rows"]
    commanded = site.service.get("/v1/audit?event=capture_commanded")["rows"]
    (begun,) = [row["texts"] for row in commanded if row["texts"]["call"] == site.call_id]
    read = site.service.get("/v1/audit?event=audit_read")["rows"]

    assert page["intact"] is True
    assert {"control_started", "call_answered", "capture_ended", "payment"} <= {
        row["event"] for row in page["rows"]
    }
    assert {(row["texts"]["by"], row["texts"]["kind"]) for row in ordered} == {("key", "refund")}
    started = site.service.get("/v1/audit?event=capture_started")["rows"]
    assert (begun["command"], begun["by"]) == ("start", "key")
    assert begun["capture"] in {row["texts"]["capture"] for row in started}
    assert [row["texts"] for row in read] == [{"by": "key"}]  # one reading, however often it has looked


def test_ticket_opens_the_stream_for_a_reader_without_a_header(site: Site) -> None:
    ticket = site.service.post("/v1/events/tickets", {}).json()["ticket"]
    host, port = site.service.ready["api"]
    url = f"http://{host}:{port}/v1/events?ticket={ticket}"
    with httpx.stream("GET", url, timeout=10, trust_env=False) as stream:
        lines = stream.iter_lines()
        first = next(line for line in lines if line.startswith("event:"))

    assert first == "event: resync"
    assert httpx.get(url, timeout=10, trust_env=False).status_code == 401


def test_drafts_of_flows_are_worked_on_in_a_process_of_their_own(site: Site) -> None:
    def drafted(what: str, **body: str) -> Any:
        answer = site.ask(
            "POST", f"/v1/flow-drafts/{what}", json=body, headers={"Idempotency-Key": uuid.uuid4().hex}
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    (flow,) = [one for one in site.service.get("/v1/flow-versions")["flows"] if one["id"] == CHARGE_FLOW]
    text = site.service.get(f"/v1/flows/{CHARGE_FLOW}")["text"]
    script = "input amount=1.00\ninput currency=EUR\ninput reference=A-1\ncard visa\nkeys 1230\nkeys 123\n"

    assert flow["served"] is True
    assert drafted("check", text=text)["findings"] == []
    assert drafted("graph", text=text)["svg"].startswith("<svg")
    assert drafted("simulate", text=text, script=script)["lines"][-1]["text"].startswith("paid")
    wrong = drafted("check", text=text.replace("start: ", "start: x_"))["findings"]
    assert (wrong[0]["rule"], wrong[0]["severity"]) == ("unknown-step", "error")
    (node,) = site.service.get("/v1/nodes")["nodes"]
    assert node["prompts"]["pieces"] >= 0


@pytest.mark.parametrize(("door", "shown"), [(Door.INBAND, "tones"), (Door.RFC4733, "events")])
def test_live_call_shows_its_codec_the_door_of_its_keys_and_a_line_that_loses_nothing(
    site: Site, phones: Phones, door: Door, shown: str
) -> None:
    service = site.service
    caller_phone = phones.open()
    host, port = service.sip
    caller = caller_phone.call(f"sip:agent@{host}:{port}")
    try:
        caller.call.talk(voice(Voice.CALLER))
        call_id = str(service.call_to("agent")["id"])
        service.start_capture(call_id, CHARGE_FLOW, amount_minor=PAID_MINOR, currency="EUR")
        service.wait_for_field(call_id, "pan", "waiting")
        phones.run(caller.call.keys(VISA[:4], door))

        def measured() -> dict[str, Any] | None:
            line = service.get(f"/v1/calls/{call_id}")["line"]
            return line if line and line["caller"]["doors"] and line["caller"]["quality"] else None

        line = wait_until(measured, "the line is measured and a door is known", limit_s=LINE_S)
        (node,) = service.get("/v1/nodes")["nodes"]
    finally:
        caller_phone.hang_up(caller)

    assert line["caller"]["codec"] in ("PCMU", "PCMA", "G722")
    assert line["caller"]["telephone_event"] is True
    assert (line["caller"]["doors"], line["caller"]["loss_permille"]) == ([shown], 0)
    assert line["agent"]["codec"] == line["caller"]["codec"]
    events = b"".join(service.said).decode("utf-8", "replace")
    assert f'event: line\ndata: {{"v":1,"call":"{call_id}"' in events
    threads, sentinel = node["media"]["threads"], node["media"]["sentinel"]
    assert sum(thread["packets"] for thread in threads) > 100
    assert (sentinel["keys_after_mask"], node["alerts"]) == (0, [])
    assert sentinel["listened_s"] > 0
