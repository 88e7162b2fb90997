"""Webhooks against a real receiver on loopback: signed, at least once, bounded, and what is left after a restart."""

import asyncio
import itertools
import re
import sqlite3
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hook_server import Script, serving

from dtmf_shield.api.ports.webhooks import WebhookNotFound
from dtmf_shield.base.config import Config
from dtmf_shield.base.system_clock import SystemClock
from dtmf_shield.base.web_address import web_address
from dtmf_shield.service.certificates import SERVER_AUTH, host_name, issue_leaf, make_authority
from dtmf_shield.service.control import webhook_settings, webhooks
from dtmf_shield.service.control.hook_settings import client_context
from dtmf_shield.service.control.json_post import Server
from dtmf_shield.service.control.webhook_settings import webhooks_of
from dtmf_shield.service.control.webhooks import ControlWebhooks, Webhook, signature
from dtmf_shield.store.webhook_queue import WebhookQueue

pytestmark = pytest.mark.anyio
SECRET = b"0123456789abcdef0123456789abcdef"
DOCUMENT = Path(__file__).parents[3] / "docs" / "reference" / "webhooks.md"
CALL = {"id": "c1", "state": "talking"}
REFUND = {"call": None, "gateway": "up", "operation": {"id": "o-a", "kind": "refund", "state": "approved"}}


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(webhooks, "RETRY_FIRST_S", 0.02)


def documented_verifier():
    """The receiver of the documentation, as a reader would copy it."""
    return documented("verified")


def documented(name):
    """A function of the documentation's receiver."""
    (code,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    names = {}
    exec(code, names)  # noqa: S102 - our own page
    return names[name]


@asynccontextmanager
async def telling(path, port, *, events=("call", "payment"), waiting_max=10, timeout_s=2.0):
    url = f"http://127.0.0.1:{port}/told"
    hook = Webhook("crm", url, Server(web_address(url), None), SECRET, frozenset(events), timeout_s)
    telling = ControlWebhooks({"crm": hook}, WebhookQueue(path, waiting_max), SystemClock())
    telling.start()
    try:
        yield telling
    finally:
        await telling.close()


async def until(look, limit_s=5.0):
    async with asyncio.timeout(limit_s):
        while not look():
            await asyncio.sleep(0.01)


def course(telling):
    (view,) = telling.webhooks()
    return view


async def test_events_arrive_signed_as_the_documentation_says(tmp_path):
    verified = documented_verifier()
    with serving(script := Script(status=204, body=b"")) as port:
        async with telling(tmp_path / "q", port) as told:
            told.published("call", CALL)
            told.published("field", {"field": "pan"})  # not asked for
            told.published("payment", REFUND)
            await until(lambda: course(told).delivered == 2)
            view = course(told)

    assert [event["type"] for event in script.asked] == ["call", "payment"]
    assert script.asked[0]["data"] == {"v": 1, **CALL}
    assert script.paths == ["/told", "/told"]
    body, header = script.bodies[1], script.heads[1]["DTMF-Shield-Signature"]
    now_s = SystemClock().wall_s()
    assert verified(SECRET, header, body, now_s)
    assert not verified(b"x" * 32, header, body, now_s)
    assert not verified(SECRET, header, body + b" ", now_s)
    assert not verified(SECRET, header, body, now_s + 301)
    assert not verified(SECRET, header.replace("t=", "t=1"), body, now_s)
    assert not verified(SECRET, "v1=", body, now_s)
    assert (view.waiting, view.failures, view.last_status, view.last_error) == (0, 0, 204, None)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "t={now}",
        "t={now},v1=\u00e9",
        "t={now}\u00e9,v1=0",
        "t=\u0663,v1=0",
        "t={many},v1=0",
        "t={now},v1=\udce9",
        "=,,=",
    ],
    ids=["none", "no-v1", "latin-1", "latin-1-t", "other-digits", "long-t", "surrogate", "signs"],
)
def test_a_forged_header_is_no_error_of_the_receiver(header):
    """`http.server` decodes headers as latin-1, and int() takes 4,300 digits at most."""
    now_s = 1_700_000_000
    forged = header.format(now=now_s, many="1" * 5_000)

    assert documented_verifier()(SECRET, forged, b"{}", now_s) is False


def test_the_signature_is_the_one_that_openssl_makes():
    # printf '1700000000.{"id":"e-a"}' | openssl dgst -sha256 -hmac 0123456789abcdef0123456789abcdef
    made = signature(SECRET, 1_700_000_000, b'{"id":"e-a"}')

    assert made == "t=1700000000,v1=933274f50d4c324710ee458e475763c89c2448ea5d5c3b8b5aa4c486eda151ae"


@pytest.mark.parametrize(
    ("script", "error", "status"),
    [
        (Script(status=500), "refused", 500),
        (Script(status=404), "refused", 404),
        (Script(status=302, headers=[("Location", "http://127.0.0.1:1/")]), "redirect", 302),
        (Script(body=b"x" * 20_000), "answer_too_long", None),
        (Script(delay_s=30), "no_answer_in_time", None),
    ],
)
async def test_what_fails_is_tried_again_until_it_arrives(tmp_path, script, error, status):
    with serving(script) as port:
        async with telling(tmp_path / "q", port, timeout_s=0.3) as told:
            told.published("call", CALL)
            await until(lambda: course(told).failures >= 2)
            failed = course(told)
            script.status, script.body, script.delay_s = 200, b"{}", 0.0
            await until(lambda: course(told).delivered == 1)

    assert (failed.last_error, failed.last_status, failed.waiting) == (error, status, 1)
    assert failed.next_attempt_at is not None
    assert len({event["id"] for event in script.asked}) == 1
    assert len(script.asked) >= 3


async def test_nobody_there_and_nobody_speaking_http(tmp_path):
    script = Script()
    script.raw = b"220 mail.example.com ESMTP\r\n\r\n"
    with serving(script) as port:
        async with telling(tmp_path / "q", port) as told:
            told.published("call", CALL)
            await until(lambda: course(told).failures)
            assert course(told).last_error == "no_http"
    async with telling(tmp_path / "q", port) as told:
        await until(lambda: course(told).failures)
        assert course(told).last_error == "connection"


async def test_a_restart_loses_nothing(tmp_path):
    with serving(Script(status=503)) as port:
        async with telling(tmp_path / "q", port) as told:
            for number in range(3):
                told.published("call", {"id": f"c{number}"})
            await until(lambda: course(told).failures)
    with serving(script := Script()) as port:
        async with telling(tmp_path / "q", port) as told:
            await until(lambda: course(told).delivered == 3)

    assert sorted(event["data"]["id"] for event in script.asked) == ["c0", "c1", "c2"]


async def test_a_full_queue_drops_the_oldest_and_counts_it(tmp_path):
    script = Script(status=503)
    with serving(script) as port:
        async with telling(tmp_path / "q", port, waiting_max=3) as told:
            for number in range(5):
                told.published("call", {"id": f"c{number}"})
            full = course(told)
            script.status = 200
            await until(lambda: course(told).delivered == 3)

    assert (full.waiting, full.dropped) == (3, 2)
    assert {event["data"]["id"] for event in script.asked} == {"c2", "c3", "c4"}


async def test_what_is_refused_for_ever_is_given_up_and_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(webhooks, "ATTEMPTS_MAX", 3)
    with serving(script := Script(status=410)) as port:
        async with telling(tmp_path / "q", port) as told:
            told.published("call", CALL)
            await until(lambda: course(told).given_up)
            after = course(told)

    assert (after.waiting, after.delivered, len(script.asked)) == (0, 0, 3)


async def test_pauses_double_up_to_an_hour():
    pauses = [webhooks._pause_s(failures) for failures in (1, 2, 3, 30, 1_000)]

    assert pauses == [0.02, 0.04, 0.08, 3_600.0, 3_600.0]


async def test_an_operation_that_is_told_again_keeps_its_id_and_a_call_does_not(tmp_path):
    with serving(script := Script()) as port:
        async with telling(tmp_path / "q", port) as told:
            for _ in range(2):
                told.published("payment", REFUND)
                told.published("call", CALL)
                delivered = course(told).delivered
                await until(lambda before=delivered: course(told).delivered >= before + 2)

    ids = {
        kind: [each["id"] for each in script.asked if each["type"] == kind] for kind in ("payment", "call")
    }
    assert len(set(ids["payment"])) == 1
    assert len(set(ids["call"])) == 2
    assert not any(character.isdigit() for each in script.asked for character in each["id"])


async def test_a_test_goes_out_through_the_pause(tmp_path, monkeypatch):
    monkeypatch.setattr(webhooks, "RETRY_FIRST_S", 600.0)
    script = Script(status=500)
    with serving(script) as port:
        async with telling(tmp_path / "q", port) as told:
            told.published("call", CALL)
            await until(lambda: course(told).failures)
            script.status = 200
            told.test("crm")
            await until(lambda: course(told).delivered)
            with pytest.raises(WebhookNotFound):
                told.test("none")

    assert [event["type"] for event in script.asked] == ["call", "test"]


async def test_an_event_behind_a_refused_one_does_not_wait_for_it(tmp_path):
    path = tmp_path / "q"
    with serving(script := Script()) as port:
        async with telling(path, port) as told:
            told._queue.put("crm", "e-poison", lambda _: b'{"type":"poison"}', SystemClock().wall_s() + 3_600)
            told.published("call", CALL)
            await until(lambda: course(told).delivered)
            assert course(told).waiting == 1

    assert [event["type"] for event in script.asked] == ["call"]


def test_a_file_that_is_no_queue_is_moved_aside(tmp_path):
    path = tmp_path / "webhooks.sqlite3"
    path.write_bytes(b"no database" * 99)
    queue = WebhookQueue(path)
    queue.put("crm", "e-a", lambda _: b"{}", 1.0)

    assert queue.counts("crm").waiting == 1
    assert path.with_suffix(".broken").exists()
    queue.close()
    with pytest.raises(sqlite3.Error):
        queue.counts("crm")


def configured(tmp_path, **changed):
    entry = {"name": "crm", "url": "https://crm.example.com/x", "secret_file": "crm.secret", **changed}
    return Config.model_validate({"webhooks": [entry]})


@pytest.mark.parametrize(
    ("content", "mode", "finding"),
    [
        (SECRET + b"\n", 0o600, ""),
        (SECRET, 0o644, "others may read it; chmod 600 it"),
        (b"short", 0o600, "holds no secret; write 32 to 256 characters"),
        (b"with blanks " * 9, 0o600, "holds no secret"),
        (None, 0, "No such file"),
    ],
)
def test_files_are_checked_without_repeating_them(tmp_path, content, mode, finding):
    if content is not None:
        (tmp_path / "crm.secret").write_bytes(content)
        (tmp_path / "crm.secret").chmod(mode)

    found = webhook_settings.findings(configured(tmp_path), tmp_path)

    assert len(found) == bool(finding)
    assert all(each.startswith("webhooks[0].secret_file: ") and finding in each for each in found)
    assert not any("short" in each or SECRET.decode() in each for each in found)


def test_a_webhook_whose_secret_is_gone_is_left_out_and_the_others_serve(tmp_path):
    (tmp_path / "b.secret").write_bytes(SECRET)
    entries = [
        {"name": name, "url": "http://127.0.0.1:1/", "secret_file": str(tmp_path / f"{name}.secret")}
        for name in ("a", "b")
    ]

    found = webhooks_of(Config.model_validate({"webhooks": entries}))

    assert list(found) == ["b"]
    assert SECRET.decode() not in repr(found)


@pytest.mark.parametrize("url", ["http://crm.example.com/", "https://user@crm.example.com/", "ftp://x/"])
def test_only_https_or_loopback(tmp_path, url):
    with pytest.raises(ValueError, match=r"https"):
        configured(tmp_path, url=url)


async def test_a_receiver_that_orders_by_subject_and_sequence_ends_with_the_newest(tmp_path, monkeypatch):
    """The first event fails and comes last; the documented rule drops it, and nothing else."""
    monkeypatch.setattr(webhooks, "_pause_s", lambda failures: 0.0 if failures < 2 else 0.2)
    is_news, script = documented("is_news"), Script(status=500)
    with serving(script) as port:
        async with telling(tmp_path / "q", port) as told:
            told.published("call", {"id": "c1", "state": "ringing"})
            await until(lambda: course(told).failures >= 2)
            told._courses["crm"].paused_until_s = 0.0
            script.status = 200
            told.published("call", {"id": "c1", "state": "talking"})
            told.published("call", {"id": "c2", "state": "held"})
            await until(lambda: course(told).delivered == 3)
    arrived = [event for event, status in zip(script.asked, script.statuses, strict=True) if status == 200]
    newest, state = {}, {}
    for event in arrived:
        if is_news(newest, event):
            state[event["subject"]] = event["data"]["state"]

    assert [event["data"]["state"] for event in arrived] == ["talking", "held", "ringing"]
    assert state == {"call:c1": "talking", "call:c2": "held"}
    ordered = sorted(event["sequence"] for event in arrived)
    assert ordered == list(range(ordered[0], ordered[0] + 3))


async def test_sequences_go_on_after_a_restart_and_after_the_file_is_lost(tmp_path):
    script, path = Script(), tmp_path / "q"
    with serving(script) as port:
        for lose in (False, False, True):
            if lose:
                await asyncio.sleep(0.5)
                for file in tmp_path.glob("q*"):
                    file.unlink()
            async with telling(path, port) as told:
                told.published("call", CALL)
                told.published("call", CALL)
                await until(lambda: course(told).waiting == 0)
    numbers = [event["sequence"] for event in script.asked]

    assert [after - before for before, after in itertools.pairwise(numbers[:4])] == [1, 1, 1]
    assert numbers == sorted(set(numbers)) and len(numbers) == 6
    assert len(str(numbers[0])) == 11  # shorter than a card number


@pytest.mark.parametrize(
    ("kind", "data", "subject"),
    [
        ("call", CALL, "call:c1"),
        ("capture", {"call": "c1", "capture": "p1", "state": "keying"}, "capture:p1"),
        ("field", {"call": "c1", "capture": "p1", "field": "pan"}, "field:p1.pan"),
        ("shield", {"call": "c1", "state": "on"}, "shield:c1"),
        ("shield", {"call": None, "state": "on"}, "shield"),
        ("payment", {"call": "c1", "capture": "p1", "result": "approved"}, "payment:p1"),
        ("payment", {"call": None, "gateway": "up"}, "payment"),
        ("payment", REFUND, "payment:o-a"),
        ("test", {}, "test"),
    ],
)
def test_each_event_says_what_it_is_about(kind, data, subject):
    assert webhooks._subject(kind, data) == subject


def test_what_waits_and_is_told_again_takes_no_number(tmp_path):
    queue = WebhookQueue(tmp_path / "q")
    for event_id in ("e-a", "e-a", "e-b"):
        queue.put("crm", event_id, lambda number: str(number).encode(), 100.0)

    first = queue.next("crm")
    queue.delivered("crm", first.seq)

    assert (first.body, queue.next("crm").body) == (b"1000", b"1001")


@asynccontextmanager
async def telling_over_tls(path, tmp_path, names, *, other_authority=False):
    """A receiver with TLS by the development authority, for names; the service believes it, or another."""
    authority, stranger = make_authority("development"), make_authority("stranger")
    leaf = issue_leaf(authority, "receiver", [host_name(name) for name in names], (SERVER_AUTH,))
    files = {
        "ca": (stranger if other_authority else authority).certificate_pem(),
        "leaf": leaf.certificate_pem(),
        "key": leaf.key_pem(),
    }
    for name, pem in files.items():
        (tmp_path / name).write_bytes(pem)
    script = Script()
    with serving(script, (tmp_path / "leaf", tmp_path / "key")) as port:
        url = f"https://127.0.0.1:{port}/told"
        server = Server(web_address(url), client_context(str(tmp_path / "ca")))
        hook = Webhook("crm", url, server, SECRET, frozenset({"call"}), 2.0)
        told = ControlWebhooks({"crm": hook}, WebhookQueue(path), SystemClock())
        told.start()
        try:
            yield told, script
        finally:
            await told.close()


async def test_a_receiver_with_the_right_certificate_is_told(tmp_path):
    async with telling_over_tls(tmp_path / "q", tmp_path, ["127.0.0.1"]) as (told, script):
        told.published("call", CALL)
        await until(lambda: course(told).delivered == 1)

    assert [event["subject"] for event in script.asked] == ["call:c1"]


@pytest.mark.parametrize(
    ("names", "other_authority", "word", "says"),
    [
        (["receiver.example"], False, "certificate_name", "for another name than that in url"),
        (["127.0.0.2"], False, "certificate_name", "for another name than that in url"),
        (["127.0.0.1"], True, "certificate_authority", "an authority that is not known here"),
    ],
)
async def test_a_receiver_with_a_wrong_certificate_is_told_nothing_tried_again_and_said(
    tmp_path, names, other_authority, word, says
):
    wrong = telling_over_tls(tmp_path / "q", tmp_path, names, other_authority=other_authority)
    async with wrong as (told, script):
        told.published("call", CALL)
        await until(lambda: course(told).failures >= 2)
        view = course(told)
        heard = list(script.asked)
    # Mended: what waited arrives.
    async with telling_over_tls(tmp_path / "q", tmp_path, ["127.0.0.1"]) as (told, script):
        await until(lambda: course(told).delivered == 1)

    assert (heard, view.last_error, view.waiting, view.delivered) == ([], word, 1, 0)
    assert says in view.last_error_note and "nothing was sent" in view.last_error_note
    assert view.next_attempt_at is not None
    assert [event["data"]["id"] for event in script.asked] == ["c1"]


@pytest.mark.parametrize("word", sorted(webhooks.ERROR_NOTES))
def test_every_reason_is_in_the_documentation(word):
    assert f"`{word}`" in DOCUMENT.read_text("utf-8")
