"""The audit log says who did what: a row for each deed through the API, none for what was refused or repeated."""

from __future__ import annotations

from typing import Any

import pytest
from api_desk import ApiHouse, a_call, a_capture
from full_house import full_house

from dtmf_shield.api import deeds
from dtmf_shield.api.identity.principal import EVERY_ROLE, Principal
from dtmf_shield.api.identity.users import UserRefusal
from dtmf_shield.api.site import COOKIE
from dtmf_shield.api.views import OutcomeView
from dtmf_shield.base.log import holds_card_number
from dtmf_shield.model.capture import CaptureResult

pytestmark = pytest.mark.anyio
START, COMMANDS, PAY = "/v1/calls/c2/captures", "/v1/captures/cap1/commands", "/v1/captures/cap1/pay"
NEVER_A_NAME = "4242424242424242"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def ada(house: ApiHouse, *roles: str, agents: list[str] | None = None) -> Any:
    """A browser in which Ada is signed in."""
    cookie = house.identity.sessions.open("ada", "oidc", roles, agents)
    return house.client(cookie=f"{COOKIE}={cookie}", origin="http://127.0.0.1:8080")


def key(number: int) -> dict[str, str]:
    return {"idempotency-key": f"deed-{number:04}"}


DONE = [
    (START, {"flow": "card-payment"}, {"call": "c2", "command": "start"}),
    (
        COMMANDS,
        {"command": "request", "field": "expiry"},
        {"call": "c1", "command": "request", "field": "expiry"},
    ),
    (COMMANDS, {"command": "redo", "field": "cvv"}, {"call": "c1", "command": "redo", "field": "cvv"}),
    (COMMANDS, {"command": "pause"}, {"call": "c1", "command": "pause"}),
    (COMMANDS, {"command": "resume"}, {"call": "c1", "command": "resume"}),
    (COMMANDS, {"command": "cancel"}, {"call": "c1", "command": "cancel"}),
    (PAY, {}, {"call": "c1", "command": "pay"}),
]


@pytest.mark.parametrize(("path", "body", "row"), DONE, ids=[row["command"] for _, _, row in DONE])
async def test_what_somebody_does_with_a_capture_is_one_row_with_their_name(
    path: str, body: dict[str, str], row: dict[str, str]
) -> None:
    house = ApiHouse(a_call("c2")) if path == START else full_house()
    program = house.identity.keys.make("crm", ["agent"])
    expected = {"event": "capture_commanded", "capture": "cap1", **row}
    async with ada(house, "agent") as browser, house.client(authorization=f"Bearer {program}") as machine:
        house.noted.clear()
        first = await browser.post(path, json=body, headers=key(1))
        replayed = await browser.post(path, json=body, headers=key(1))
        assert house.noted == [{**expected, "by": "ada"}]
        if path == START:
            return  # a second one is refused: it runs
        second = await machine.post(path, json=body, headers=key(1))

    assert replayed.headers["idempotency-replayed"] == "true"
    assert first.status_code == replayed.status_code == second.status_code
    assert house.noted == [{**expected, "by": "ada"}, {**expected, "by": "key:crm"}]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (START, {"flow": "none"}),
        (COMMANDS, {"command": "redo", "field": "nothing_of_the_flow"}),
        (COMMANDS, {"command": "redo", "field": NEVER_A_NAME}),
        ("/v1/captures/none/commands", {"command": "cancel"}),
        ("/v1/captures/none/pay", {}),
    ],
)
async def test_what_was_refused_was_not_done(path: str, body: dict[str, str]) -> None:
    house = full_house()
    async with ada(house, "agent") as browser:
        house.noted.clear()
        refused = await browser.post(path, json=body, headers=key(1))

    assert refused.status_code in (404, 409, 422)
    assert house.noted == []


async def test_a_call_of_another_agent_that_was_asked_for_is_a_row_once_a_minute_and_one_that_is_none_is_not() -> (
    None
):
    house = ApiHouse(
        a_call("c1", agent="desk-2", capture=a_capture("cap1", "c1")), a_call("c2", agent="desk-1")
    )
    async with ada(house, "agent", agents=["desk-1"]) as browser:
        house.noted.clear()
        await browser.get("/v1/calls/c1")
        await browser.post(COMMANDS, json={"command": "cancel"}, headers=key(1))
        await browser.post(PAY, json={}, headers=key(2))
        await browser.get("/v1/calls/c2")
        await browser.get("/v1/calls/none")
        assert house.noted == [{"event": "call_denied", "call": "c1", "by": "ada"}]
        house.clock.seconds += deeds.DENIED_AGAIN_S
        await browser.get("/v1/captures/cap1")

    assert len(house.noted) == 2
    assert house.desk.asked == []


async def test_a_supervisor_takes_no_payment_and_that_it_was_tried_is_told() -> None:
    house = full_house()
    async with ada(house, "supervisor") as browser:
        house.noted.clear()
        refused = await browser.post(PAY, json={}, headers=key(1))
        paused = await browser.post(COMMANDS, json={"command": "pause"}, headers=key(2))

    assert (refused.status_code, paused.status_code) == (403, 202)
    assert ("pay", "cap1") not in house.desk.asked
    assert [(row["event"], row["by"]) for row in house.noted] == [
        ("role_denied", "ada"),
        ("capture_commanded", "ada"),
    ]


async def test_a_report_that_leaves_as_a_file_is_a_row_and_one_that_is_looked_at_is_not() -> None:
    house = full_house()
    days = "from=2026-01-01&to=2026-01-31&agent=ann"
    async with ada(house, "supervisor") as browser:
        house.noted.clear()
        for form in ("json", "csv", "csv_fields"):
            assert (await browser.get(f"/v1/reports/captures?{days}&format={form}")).status_code == 200
        wrong = await browser.get("/v1/reports/captures?from=2026-02-01&to=2026-01-01&format=csv")

    row = {"event": "report_taken", "from_day": "2026-01-01", "to_day": "2026-01-31", "by": "ada"}
    assert wrong.status_code == 422
    assert house.noted == [{**row, "format": "csv"}, {**row, "format": "csv_fields"}]


async def test_who_reads_the_audit_log_is_one_row_for_each_reader_in_its_time() -> None:
    house = full_house()
    program = house.identity.keys.make("siem", ["auditor"])
    async with ada(house, "auditor") as browser, house.client(authorization=f"Bearer {program}") as machine:
        house.noted.clear()
        for query in ("", "?cursor=42", "?event=shield", "?limit=200"):
            assert (await browser.get(f"/v1/audit{query}")).status_code == 200
            assert (await machine.get(f"/v1/audit{query}")).status_code == 200
        assert house.noted == [{"event": "audit_read", "by": by} for by in ("ada", "key:siem")]
        house.clock.seconds += deeds.AUDIT_READ_AGAIN_S - 1
        await browser.get("/v1/audit")
        assert len(house.noted) == 2
        house.clock.seconds += 1
        await browser.get("/v1/audit")

    assert house.noted[2:] == [{"event": "audit_read", "by": "ada"}]


async def test_a_token_that_a_program_takes_and_a_test_of_a_webhook_are_rows() -> None:
    capture = a_capture().model_copy(update={"outcome": OutcomeView(result=CaptureResult.TOKEN)})
    house = full_house()
    async with house.machine() as machine, ada(house, "engineer") as browser:
        house.noted.clear()
        early = await machine.get("/v1/captures/cap1/token")
        house.desk.change(a_call(capture=capture))
        taken = await machine.get("/v1/captures/cap1/token")
        tested = await browser.post("/v1/webhooks/crm/test", json={}, headers=key(1))

    assert (early.status_code, taken.status_code, tested.status_code) == (404, 200, 202)
    assert house.noted == [
        {"event": "token_taken", "capture": "cap1", "call": "c1", "by": "key"},
        {"event": "webhook_tested", "webhook": "crm", "by": "ada"},
    ]
    assert not holds_card_number(str(house.noted))


def test_a_program_in_a_loop_fills_no_log_and_what_is_told_once_comes_back() -> None:
    house, noted = ApiHouse(), []
    rows = deeds.Deeds(lambda event, **facts: noted.append(facts), house.clock)
    somebody = Principal("somebody", roles=EVERY_ROLE, by_cookie=False, ends_s=float("inf"))

    for number in range(2 * deeds.SELDOM_KEPT_MAX):
        rows.call_denied(somebody, a_call(f"c{number}"))
    assert len(noted) == deeds.SELDOM_KEPT_MAX
    house.clock.seconds += deeds.DENIED_AGAIN_S
    rows.call_denied(somebody, a_call("c0"))

    assert len(noted) == deeds.SELDOM_KEPT_MAX + 1


async def test_nobody_has_the_name_by_which_rows_know_the_key_of_the_state_directory() -> None:
    house = ApiHouse()
    house.identity.users.make("keyes", ["agent"], None)

    with pytest.raises(UserRefusal, match="'key'"):
        house.identity.users.make("key", ["agent"], None)
