"""The play phones' HTTP: who may ask, from which page, and what each refusal says."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from dtmf_shield.base.errors import PeerError
from dtmf_shield.phone.test_cards import TEST_CARDS
from dtmf_shield.service.play.booth import Booth
from dtmf_shield.service.play.gateway_switch import GatewayMode
from dtmf_shield.service.play.settings import Dialled, PlaySettings
from dtmf_shield.service.play.web import PlayWeb

KEY = "k" * 43
PAGE, ELSEWHERE = "http://127.0.0.1:8080", "http://evil.example"
SIGNED_IN = {"Authorization": f"Bearer {KEY}"}
POSTS = {
    "/call": {"number": "pay"},
    "/hangup": {},
    "/press": {"key": "1"},
    "/card": {"name": "visa", "part": "number"},
    "/choose": {"door": "info", "fingers": "slow", "line": "weak"},
    "/gateway": {"mode": "dead"},
}


class Switch:
    def __init__(self):
        self.set_to = []

    def set(self, mode):
        if mode is GatewayMode.LOST:
            raise PeerError("silent", 0)
        self.set_to.append(mode)


class Client:
    """Asks the application in this process, one request a loop."""

    def __init__(self, app):
        self._app = app

    def _ask(self, method, path, **more):
        async def asked():
            transport = httpx.ASGITransport(self._app)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:9999") as client:
                return await client.request(method, path, **more)

        return asyncio.run(asked())

    def get(self, path, **more):
        return self._ask("GET", path, **more)

    def post(self, path, **more):
        return self._ask("POST", path, **more)

    def options(self, path, **more):
        return self._ask("OPTIONS", path, **more)


@pytest.fixture
def switch():
    return Switch()


@pytest.fixture
def web(switch):
    settings = PlaySettings(
        key=KEY,
        origins=(PAGE, "http://localhost:8080"),
        sip=("127.0.0.1", 9),
        agents=(),
        dialled=(Dialled("pay"), Dialled("self", "card-payment-self-service")),
        gateway_port=1,
        gateway_ca_file="",
        gateway_user_file="",
    )
    app = PlayWeb(settings, Booth(settings.sip, settings.agents), switch).app()
    return Client(app)


GETS = ("/state", "/test-calls", "/test-calls/abcdefgh/evidence", "/test-calls/abcdefgh/caller.png")


@pytest.mark.parametrize("path", [*GETS, *POSTS])
@pytest.mark.parametrize("given", [None, "Bearer " + "x" * 43, KEY, f"Basic {KEY}"])
def test_nothing_is_told_or_done_without_the_key(web, path, given):
    headers = {"Authorization": given} if given else {}

    answer = web.get(path, headers=headers) if path in GETS else web.post(path, headers=headers, json={})

    assert (answer.status_code, answer.json()) == (401, {"problem": "not_signed_in"})


def test_only_our_page_may_ask_from_a_browser(web):
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}

    ours = web.options("/press", headers={"Origin": PAGE, **asked})
    others = web.options("/press", headers={"Origin": ELSEWHERE, **asked})
    read = web.get("/state", headers={"Origin": ELSEWHERE, **SIGNED_IN})

    assert (ours.status_code, ours.headers["access-control-allow-origin"]) == (200, PAGE)
    assert others.status_code == 400
    assert "access-control-allow-origin" not in others.headers
    assert "access-control-allow-origin" not in read.headers


def test_another_name_for_this_machine_is_not_answered(web):
    assert web.get("/state", headers={"Host": "rebound.example", **SIGNED_IN}).status_code == 421


def test_state_says_what_can_be_dialled_and_which_cards_are_published(web):
    state = web.get("/state", headers=SIGNED_IN).json()

    assert [one["number"] for one in state["dialled"]] == ["pay", "self"]
    assert [card["name"] for card in state["cards"] if card["number"] not in TEST_CARDS] == ["mistyped"]
    assert (state["phase"], state["heard"]) == ("idle", {"sent": 0, "caller_side": 0, "agent_side": 0})


def test_without_a_call_there_is_no_evidence(web):
    answers = [web.get(path, headers=SIGNED_IN) for path in GETS[1:]]

    assert [answer.status_code for answer in answers] == [200, 404, 404]
    assert answers[0].json() == {"calls": []}
    assert web.get("/state", headers=SIGNED_IN).json()["test_call"] == ""


@pytest.mark.parametrize("path", ["/press", "/card"])
def test_keys_without_a_call_are_refused(web, path):
    answer = web.post(path, headers=SIGNED_IN, json=POSTS[path])

    assert (answer.status_code, answer.json()) == (409, {"problem": "no_call"})


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/press", {"key": "12"}),
        ("/press", {"key": ""}),
        ("/press", {"key": 1}),
        ("/press", {}),
        ("/press", {"key": "1", "more": 1}),
        ("/press", {"key": "1", "field": "pin"}),
        ("/card", {"name": "nobody", "part": "number"}),
        ("/card", {"name": "visa", "part": "all"}),
        ("/call", {"number": "999"}),
        ("/choose", {"door": "pigeon", "fingers": "slow", "line": "weak"}),
        ("/gateway", {"mode": "gone"}),
    ],
)
def test_what_is_not_understood_is_refused_without_a_word_of_it(web, path, body):
    answer = web.post(path, headers=SIGNED_IN, json=body)

    assert (answer.status_code, answer.json()) == (400, {"problem": "not_understood"})


def test_body_that_is_too_long_is_not_read(web):
    assert web.post("/press", headers=SIGNED_IN, content=b"1" * 20_000).status_code == 413


def test_choices_and_the_gateway_are_set_and_told(web, switch):
    web.post("/choose", headers=SIGNED_IN, json=POSTS["/choose"])
    state = web.post("/gateway", headers=SIGNED_IN, json={"mode": "dead"}).json()

    assert state["choices"] == {"door": "info", "fingers": "slow", "line": "weak"}
    assert (state["gateway"], switch.set_to) == ("dead", [GatewayMode.DEAD])


def test_gateway_that_does_not_answer_is_told_and_not_believed(web):
    answer = web.post("/gateway", headers=SIGNED_IN, json={"mode": "lost"})

    assert (answer.status_code, answer.json()) == (502, {"problem": "gateway_silent"})
    assert web.get("/state", headers=SIGNED_IN).json()["gateway"] == "up"
