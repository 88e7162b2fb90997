"""The resources: what they answer, what they refuse, and that no answer holds a card number."""

from __future__ import annotations

import logging
import re
from typing import Any

import httpx
import pytest
from api_desk import ANYBODY, API_KEY, TEST_PAN, ApiHouse, MemoryDesk, a_call, a_capture

from dtmf_shield.api.gate import BODY_BYTES_MAX
from dtmf_shield.api.ports import CapturesFull
from dtmf_shield.api.views import CallState, ShieldState, capture_after_outcome, capture_after_progress
from dtmf_shield.model.capture import CaptureOutcome, CaptureProgress, CaptureResult, CaptureState
from dtmf_shield.model.ids import CallId, CaptureId, Token

pytestmark = pytest.mark.anyio
START = {"flow": "card-payment", "inputs": {"reference": "88-1932"}}
STARTS, COMMANDS = "/v1/calls/c1/captures", "/v1/captures/cap1/commands"
PAN_RUN = re.compile("|".join(TEST_PAN[start : start + 5] for start in range(len(TEST_PAN) - 4)))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def key(name: str = "key-00000001") -> dict[str, str]:
    return {"idempotency-key": name}


def problem(answer: httpx.Response) -> str:
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == answer.status_code
    return str(body["type"]).rpartition(":")[2]


def capturing(state: CaptureState = CaptureState.KEYING) -> ApiHouse:
    progress = CaptureProgress(
        capture_id=CaptureId("cap1"), state=state, field="pan", count=12, brand="visa", last4="4242"
    )
    return ApiHouse(a_call(capture=capture_after_progress(a_capture(), progress)))


async def test_calls_are_listed_and_shown() -> None:
    house = ApiHouse(a_call(), a_call("c2", CallState.RINGING))
    async with house.machine() as client:
        listed = (await client.get("/v1/calls")).json()["calls"]
        shown = (await client.get("/v1/calls/c2")).json()

    assert [call["id"] for call in listed] == ["c1", "c2"]
    assert shown == listed[1]
    assert shown["caller_masked"] == "••12"
    assert shown["started_at"] == "2026-01-02T03:04:05Z"
    withheld = {"caller_withheld": False, "agent_withheld": False, "unrecorded": False}
    assert shown["shield"] == {"state": "on", "caller": "guard", "agent": "guard", **withheld}
    assert shown["line"] is None


async def test_a_capture_starts_and_is_shown() -> None:
    house = ApiHouse(a_call())
    async with house.machine() as client:
        answer = await client.post(STARTS, json=START, headers=key())
        shown = await client.get("/v1/captures/cap1")

    assert answer.status_code == 201
    assert answer.json() == shown.json()
    assert [field["field"] for field in answer.json()["fields"]] == ["pan", "expiry", "cvv"]
    assert house.desk.asked == [("start", "c1", "card-payment", "88-1932")]


@pytest.mark.parametrize(
    ("body", "asked"),
    [
        ({"command": "request", "field": "cvv"}, ("request", "cap1", "cvv")),
        ({"command": "redo", "field": "pan"}, ("request", "cap1", "pan")),
        ({"command": "cancel"}, ("cancel", "cap1")),
        ({"command": "pause"}, ("pause", "cap1")),
        ({"command": "resume"}, ("resume", "cap1")),
    ],
)
async def test_commands_reach_the_desk(body: dict[str, str], asked: tuple[str, ...]) -> None:
    house = capturing()
    async with house.machine() as client:
        answer = await client.post(COMMANDS, json=body, headers=key())

    assert answer.status_code == 202
    assert house.desk.asked == [asked]


@pytest.mark.parametrize("state", [CaptureState.SENDING, CaptureState.PAYING, CaptureState.SETTLING])
@pytest.mark.parametrize(
    "body", [{"command": "cancel"}, {"command": "redo", "field": "pan"}, {"command": "pause"}]
)
async def test_nothing_is_changed_while_the_card_is_being_sent(
    body: dict[str, str], state: CaptureState
) -> None:
    house = capturing(state)
    async with house.machine() as client:
        answer = await client.post(COMMANDS, json=body, headers=key())

    assert (answer.status_code, problem(answer)) == (409, "capture-sending")
    assert house.desk.asked == []


async def test_an_amount_reaches_the_desk_and_is_shown() -> None:
    house = ApiHouse(a_call())
    inputs = {"reference": "88-1932", "amount_minor": 1050, "currency": "EUR"}
    async with house.machine() as client:
        answer = await client.post(STARTS, json={"flow": "card-charge", "inputs": inputs}, headers=key())

    assert answer.status_code == 201
    assert house.desk.asked == [("start", "c1", "card-charge", "88-1932"), ("amount", "1050", "EUR")]


@pytest.mark.parametrize(
    ("flow", "inputs", "slug"),
    [
        ("card-charge", {}, "amount-needed"),
        ("card-payment", {"amount_minor": 1050, "currency": "EUR"}, "amount-not-taken"),
        ("card-charge", {"amount_minor": 1050}, "invalid-request"),
        ("card-charge", {"currency": "EUR"}, "amount-needed"),
        ("card-charge", {"currency": "eur"}, "invalid-request"),
        ("card-charge", {"amount_minor": 0, "currency": "EUR"}, "invalid-request"),
        ("card-charge", {"amount_minor": -5, "currency": "EUR"}, "invalid-request"),
        ("card-charge", {"amount_minor": "1050", "currency": "EUR"}, "invalid-request"),
        ("card-charge", {"amount_minor": 10.5, "currency": "EUR"}, "invalid-request"),
        ("card-charge", {"amount_minor": 10**10, "currency": "EUR"}, "invalid-request"),
        ("card-charge", {"amount_minor": 1050, "currency": "eur"}, "invalid-request"),
    ],
)
async def test_an_amount_of_another_form_is_refused(flow: str, inputs: dict[str, Any], slug: str) -> None:
    house = ApiHouse(a_call())
    async with house.machine() as client:
        answer = await client.post(STARTS, json={"flow": flow, "inputs": inputs}, headers=key())

    assert (answer.status_code, problem(answer)) == (422, slug)
    assert house.desk.asked == []


async def test_inputs_go_by_the_flows_own_names_beside_reference_and_language() -> None:
    house = ApiHouse(a_call())
    inputs = {"reference": "88-1932", "customer": "C 1", "amount": "12.50", "currency": "EUR"}
    body = {"flow": "card-payment", "inputs": inputs, "language": "fr-FR"}
    async with house.machine() as client:
        answer = await client.post(STARTS, json=body, headers=key())

    assert answer.status_code == 201
    assert house.desk.asked == [
        ("start", "c1", "card-payment", "88-1932"),
        ("told", "fr-FR", "customer=C 1", "amount=12.50", "currency=EUR"),
    ]


@pytest.mark.parametrize(
    "body",
    [
        {"inputs": {"Customer": "x"}},
        {"inputs": {"a b": "x"}},
        {"inputs": {"c" * 33: "x"}},
        {"inputs": {"c123456789012": "x"}},
        {"inputs": {"customer": ""}},
        {"inputs": {"customer": "x" * 65}},
        {"inputs": {"customer": "123456789012"}},
        {"inputs": {"customer": 7}},
        {"inputs": {"customer": None}},
        {"inputs": {"customer": ["x"]}},
        {"inputs": {f"n{place}": "x" for place in range(33)}},
        {"language": "klingon"},
        {"language": "fr-fr"},
        {"language": ""},
    ],
)
async def test_inputs_of_another_form_are_refused_and_not_repeated(body: dict[str, Any]) -> None:
    house = ApiHouse(a_call())
    async with house.machine() as client:
        answer = await client.post(STARTS, json={"flow": "card-payment", **body}, headers=key())

    assert (answer.status_code, problem(answer)) == (422, "invalid-request")
    assert house.desk.asked == []
    assert "123456789012" not in answer.text
    assert "klingon" not in answer.text


@pytest.mark.parametrize("shape", ["{}", "x{}", "{}x", "order {}"])
async def test_a_card_number_as_an_input_is_refused_at_the_gate(shape: str) -> None:
    house = ApiHouse(a_call())
    body = {"flow": "card-payment", "inputs": {"customer": shape.format(TEST_PAN)}}
    async with house.machine() as client:
        answer = await client.post(STARTS, json=body, headers=key())

    assert (answer.status_code, problem(answer)) == (422, "card-number")
    assert TEST_PAN not in answer.text
    assert house.desk.asked == []


async def test_an_input_that_the_flow_does_not_take_is_told_by_name_and_rule() -> None:
    house = ApiHouse(a_call())
    body = {"flow": "card-payment", "inputs": {"customer": "UNFIT"}}
    async with house.machine() as client:
        answer = await client.post(STARTS, json=body, headers=key())

    assert (answer.status_code, problem(answer)) == (422, "input-refused")
    assert answer.json()["findings"] == ["input customer: text that matches [A-Z]{3}"]
    assert "UNFIT" not in answer.text


async def test_a_reference_may_be_left_out() -> None:
    house = ApiHouse(a_call())
    async with house.machine() as client:
        answer = await client.post(STARTS, json={"flow": "card-payment"}, headers=key())

    assert answer.status_code == 201
    assert house.desk.asked == [("start", "c1", "card-payment", "")]


async def test_a_program_gets_the_token_and_a_browser_does_not() -> None:
    ended = capture_after_outcome(
        a_capture(),
        CaptureOutcome(
            capture_id=CaptureId("cap1"), result=CaptureResult.TOKEN, token=Token("tok_TEST_whole")
        ),
    )
    house = ApiHouse(a_call(capture=ended))

    async with house.machine() as machine, house.browser() as browser:
        for_program = await machine.get("/v1/captures/cap1/token")
        for_person = await browser.get("/v1/captures/cap1/token")

    assert for_program.json()["token"] == "tok_TEST_whole"
    assert problem(for_person) == "machines-only"
    assert "tok_TEST_whole" not in for_person.text


async def test_there_is_no_token_before_the_end() -> None:
    house = ApiHouse(a_call(capture=a_capture()))

    async with house.machine() as machine:
        answer = await machine.get("/v1/captures/cap1/token")

    assert problem(answer) == "no-token"


async def test_refusals_of_the_desk_are_problems() -> None:
    house = ApiHouse(a_call(), a_call("held", CallState.HELD))
    async with house.machine() as client:
        await client.post(STARTS, json=START, headers=key("first-00"))
        answers = [
            await client.get("/v1/calls/none"),
            await client.get("/v1/captures/none"),
            await client.post(STARTS, json=START, headers=key("second-0")),
            await client.post("/v1/calls/held/captures", json=START, headers=key()),
            await client.post("/v1/calls/held/captures", json={**START, "flow": "none"}, headers=key()),
            await client.post(COMMANDS, json={"command": "redo", "field": "pin"}, headers=key("third-00")),
        ]

    assert [(answer.status_code, problem(answer)) for answer in answers] == [
        (404, "call-not-found"),
        (404, "capture-not-found"),
        (409, "capture-running"),
        (409, "call-not-talking"),
        (422, "flow-unknown"),
        (422, "field-unknown"),
    ]


async def test_a_full_house_says_when_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> CaptureId:
        raise CapturesFull

    house = ApiHouse(a_call())
    monkeypatch.setattr(house.desk, "start_capture", full)
    async with house.machine() as client:
        answer = await client.post(STARTS, json=START, headers=key())

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")


async def test_the_same_key_and_body_get_the_stored_answer() -> None:
    house = ApiHouse(a_call())
    async with house.machine() as client:
        first = await client.post(STARTS, json=START, headers=key())
        again = await client.post(STARTS, json=START, headers=key())

    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["idempotency-replayed"] == "true"
    assert len(house.desk.asked) == 1


async def test_a_capture_that_was_started_is_answered_again_though_its_call_is_forgotten() -> None:
    house = ApiHouse(a_call())
    async with house.machine() as client:
        first = await client.post(STARTS, json=START, headers=key())
        del house.desk.table[CallId("c1")]
        again = await client.post(STARTS, json=START, headers=key())
        other = await client.post(STARTS, json=START, headers=key("key-00000002"))

    assert (again.status_code, again.content) == (201, first.content)
    assert (other.status_code, problem(other)) == (404, "call-not-found")


async def test_the_same_key_for_another_request_is_refused() -> None:
    house = capturing()
    async with house.machine() as client:
        await client.post(COMMANDS, json={"command": "redo", "field": "pan"}, headers=key())
        other = await client.post(COMMANDS, json={"command": "cancel"}, headers=key())

    assert (other.status_code, problem(other)) == (409, "idempotency-key-reused")
    assert len(house.desk.asked) == 1


async def test_a_refused_request_may_be_tried_again_with_its_key() -> None:
    house = ApiHouse(a_call(state=CallState.RINGING))
    async with house.machine() as client:
        refused = await client.post(STARTS, json=START, headers=key())
        house.desk.change(a_call())
        taken = await client.post(STARTS, json=START, headers=key())

    assert (refused.status_code, taken.status_code) == (409, 201)


async def test_stored_answers_are_kept_apart_by_principal_and_end_after_a_day() -> None:
    house = capturing()
    body = {"command": "cancel"}
    async with house.machine() as machine, house.browser() as browser:
        browser.headers["sec-fetch-site"] = "same-origin"
        await machine.post(COMMANDS, json=body, headers=key())
        await browser.post(COMMANDS, json=body, headers=key())
        house.clock.seconds += 24 * 3_600
        await machine.post(COMMANDS, json=body, headers=key())

    assert len(house.desk.asked) == 3


@pytest.mark.parametrize("headers", [{}, key("short"), key("x" * 65), key("with space 1")])
async def test_a_post_needs_a_key_of_the_right_form(headers: dict[str, str]) -> None:
    house = ApiHouse(a_call())
    async with house.machine() as client:
        answer = await client.post(STARTS, json=START, headers=headers)

    assert answer.status_code == 422
    assert house.desk.asked == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "same-origin"}, 202),
        ({"sec-fetch-site": "same-origin", "origin": "http://127.0.0.1:8080"}, 202),
        ({"origin": "http://127.0.0.1:8080"}, 202),
        ({}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "none"}, 403),
        ({"sec-fetch-site": "same-origin", "origin": "http://127.0.0.1:9999"}, 403),
        ({"origin": "https://example.org"}, 403),
        ({"origin": "null"}, 403),
    ],
)
async def test_a_post_by_cookie_must_come_from_our_own_page(headers: dict[str, str], status: int) -> None:
    house = capturing()
    async with house.browser() as client:
        answer = await client.post(COMMANDS, json={"command": "cancel"}, headers={**key(), **headers})

    assert answer.status_code == status
    assert len(house.desk.asked) == (status == 202)


@pytest.mark.parametrize(
    "reference",
    ["", "a b", "x" * 33, "é", "1" * 12, "ord_1", "4242-4242-4242-4242", "42-42-42-42-42-42-42-42"],
)
async def test_a_reference_of_another_form_is_refused(reference: str) -> None:
    house = ApiHouse(a_call())
    async with house.machine() as client:
        answer = await client.post(
            STARTS, json={"flow": "card-payment", "inputs": {"reference": reference}}, headers=key()
        )

    assert answer.status_code == 422
    assert house.desk.asked == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"command": "cancel", "field": "pan"}, 422),
        ({"command": "redo"}, 422),
        ({"command": "pay"}, 422),
        ({"command": "pause", "field": "pan"}, 422),
        ({"command": "cancel", "extra": 1}, 422),
        ([], 422),
    ],
)
async def test_a_command_of_another_form_is_refused(body: Any, status: int) -> None:
    async with capturing().machine() as client:
        assert (await client.post(COMMANDS, json=body, headers=key())).status_code == status


async def test_a_body_that_does_not_parse_is_a_400() -> None:
    async with ApiHouse(a_call()).machine() as client:
        answer = await client.post(
            STARTS, content=b"{", headers={**key(), "content-type": "application/json"}
        )

    assert (answer.status_code, problem(answer)) == (400, "invalid-request")


SPELLINGS = [TEST_PAN, "4242 4242 4242 4242", "4242-4242-4242-4242", "x" + TEST_PAN + "y", "378282246310005"]


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_a_card_number_anywhere_in_a_request_is_refused_and_neither_echoed_nor_logged(
    spelling: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    house = ApiHouse(a_call())
    async with house.machine() as client:
        answers = [
            await client.post(STARTS, json={**START, "inputs": {"reference": spelling}}, headers=key()),
            await client.post(STARTS, json={**START, spelling: 1}, headers=key()),
            await client.post(STARTS, json=spelling, headers=key()),
            await client.get("/v1/calls", params={"q": spelling}),
        ]

    assert [answer.status_code for answer in answers] == [422] * 4
    assert {problem(answer) for answer in answers} == {"card-number"}
    assert house.desk.asked == []
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith("httpx")]
    told = "".join(ours) + "".join(answer.text + str(answer.headers) for answer in answers)
    assert not re.search(r"4242|37828", told)


@pytest.mark.parametrize("path", [f"/v1/calls/{TEST_PAN}", f"/{TEST_PAN}", f"/ui/{TEST_PAN}"])
async def test_a_card_number_as_a_path_is_refused(path: str) -> None:
    async with ApiHouse().machine() as client:
        answer = await client.get(path)

    assert (answer.status_code, problem(answer)) == (422, "card-number")


async def test_a_card_number_hidden_by_escapes_is_not_echoed_either() -> None:
    hidden = "".join(f"\\u{ord(digit):04x}" for digit in TEST_PAN)
    body = f'{{"flow":"card-payment","inputs":{{"reference":"{hidden}","{hidden}":1}}}}'
    house = ApiHouse(a_call())
    async with house.machine() as client:
        headers = {**key(), "content-type": "application/json"}
        answer = await client.post(STARTS, content=body.encode(), headers=headers)

    assert answer.status_code == 422
    assert "4242" not in answer.text
    assert house.desk.asked == []


async def test_a_bare_card_number_as_idempotency_key_is_refused_but_a_random_one_is_taken() -> None:
    house = ApiHouse(a_call())
    async with house.machine() as client:
        bare = await client.post(STARTS, json=START, headers=key(TEST_PAN))
        random = await client.post(STARTS, json=START, headers=key(f"f{TEST_PAN}a"))

    assert (problem(bare), random.status_code) == ("card-number", 201)


async def test_a_body_over_the_limit_is_refused_unread() -> None:
    async with ApiHouse(a_call()).machine() as client:
        answer = await client.post(STARTS, content=b" " * (BODY_BYTES_MAX + 1), headers=key())

    assert (answer.status_code, problem(answer)) == (413, "body-too-large")


async def test_a_long_address_is_refused() -> None:
    async with ApiHouse().machine() as client:
        assert (await client.get("/v1/calls?" + "q" * 5_000)).status_code == 414


@pytest.mark.parametrize(
    "host", ["example.org", "127.0.0.1.example.org", "192.0.2.1:8080", "", "[2001:db8::1]"]
)
async def test_a_foreign_host_name_is_refused(host: str) -> None:
    async with ApiHouse(a_call()).machine() as client:
        answer = await client.get("/v1/calls", headers={"host": host})

    assert (answer.status_code, problem(answer)) == (421, "foreign-host")


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost", "localhost:1", "[::1]:8080", "[::1]"])
async def test_loopback_names_are_served(host: str) -> None:
    async with ApiHouse(a_call()).machine() as client:
        assert (await client.get("/v1/calls", headers={"host": host})).status_code == 200


@pytest.mark.parametrize("path", ["/ui/", "/ui/agent/app.js", "/v1/calls", "/nowhere", "/livez"])
async def test_every_answer_has_the_security_headers(path: str) -> None:
    async with ApiHouse().client() as client:
        headers = (await client.get(path)).headers

    assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["permissions-policy"].startswith("microphone=(self)")
    assert headers["cache-control"] in ("no-store", "no-cache")


async def test_unknown_paths_and_methods_are_problems() -> None:
    async with ApiHouse().machine() as client:
        answers = [await client.get("/nowhere"), await client.delete("/v1/calls")]

    assert [(answer.status_code, problem(answer)) for answer in answers] == [
        (404, "not-found"),
        (405, "method-not-allowed"),
    ]
    assert answers[1].headers["allow"] == "GET"


async def test_a_method_that_is_none_is_told_all_that_there_are() -> None:
    async with ApiHouse().machine() as client:
        answers = [await client.delete(path) for path in ("/v1/users", "/v1/login", "/v1/logout", "/livez")]

    assert [answer.status_code for answer in answers] == [405] * 4
    assert [answer.headers["allow"] for answer in answers] == ["GET, POST", "GET, POST", "POST", "GET"]


async def test_our_own_mistake_is_a_problem_without_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_self: MemoryDesk) -> None:
        raise ArithmeticError(TEST_PAN)

    monkeypatch.setattr(MemoryDesk, "calls", broken)
    async with ApiHouse().machine() as client:
        answer = await client.get("/v1/calls")

    assert (answer.status_code, problem(answer)) == (500, "internal")
    assert "content-security-policy" in answer.headers
    assert TEST_PAN not in answer.text


async def test_probes_are_open_and_readiness_follows_the_shield() -> None:
    house = ApiHouse()
    async with house.client() as client:
        assert (await client.get("/livez")).json() == {"alive": True}
        assert (await client.get("/readyz")).status_code == 200
        house.desk.shield = ShieldState.FAULT
        faulty = await client.get("/readyz")

    assert faulty.status_code == 503
    assert faulty.json() == {"ready": False, "service": {"shield": "fault", "gateway": "up"}}


async def test_no_answer_holds_more_than_four_digits_of_the_card_even_where_messages_did() -> None:
    pan = CaptureProgress(
        capture_id=CaptureId("cap1"),
        state=CaptureState.KEYING,
        field=TEST_PAN,
        count=16,
        brand=TEST_PAN,
        last4=TEST_PAN,
        accepted=(TEST_PAN,),
    )
    end = CaptureOutcome(
        capture_id=CaptureId("cap1"),
        result=CaptureResult.TOKEN,
        token=Token(TEST_PAN),
        brand=TEST_PAN,
        last4="4242",
        gateway_code=TEST_PAN,
    )
    capture = capture_after_outcome(capture_after_progress(a_capture(), pan), end)
    house = ApiHouse(a_call(dialled=TEST_PAN, capture=capture))
    async with house.machine() as client:
        house.desk.change(house.desk.call(CallId("c1")))
        house.clock.seconds += 1
        bodies = [
            (await client.get(path)).text for path in ("/v1/calls", "/v1/calls/c1", "/v1/captures/cap1")
        ]
        bodies.append(await _first_frames(house))

    assert "…4242" in "".join(bodies)  # the control: the capture with the card in it was shown
    assert PAN_RUN.search(TEST_PAN)
    assert not PAN_RUN.search("".join(bodies))
    assert API_KEY not in "".join(bodies)


async def _first_frames(house: ApiHouse) -> str:
    stream = house.ring.stream(None, ANYBODY, lambda: True)
    frames = [await anext(stream), await anext(stream)]
    await stream.aclose()
    return b"".join(frames).decode()
