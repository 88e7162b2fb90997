"""GET /v1/reports/captures: for supervisors alone; days, filters, JSON and CSV; nothing a spreadsheet would run."""

from __future__ import annotations

import csv
import io

import pytest
from api_desk import TEST_PAN, ApiHouse

from dtmf_shield.api import access
from dtmf_shield.api.identity.principal import Principal, Role
from dtmf_shield.api.ports.reports import ReportTooLong
from dtmf_shield.model.capture import CaptureResult
from dtmf_shield.model.report import (
    END_UNKNOWN,
    FieldCount,
    OutcomeCount,
    OutcomeLine,
    ReportCounts,
    ReportRange,
)

pytestmark = pytest.mark.anyio
PATH = "/v1/reports/captures"
DAY_S = 86_400
LINES = (
    OutcomeLine("2026-01-30", "card", "ann", "approved", 3),
    OutcomeLine("2026-01-30", "card", "=1+2", "declined", 1),
    OutcomeLine("2026-01-31", "card", "ann", "", 1),
    OutcomeLine("2026-01-31", "card", "ann", "unknown", 1),
    OutcomeLine("2026-01-31", "card", "ann", END_UNKNOWN, 2),
    OutcomeLine("2026-01-31", "card", "ann", "of_another_version", 9),
)
COUNTS = ReportCounts(
    days=(
        OutcomeCount("2026-01-30", "approved", 3, 3),
        OutcomeCount("2026-01-30", "declined", 1, 1),
        OutcomeCount("2026-01-31", "", 1, 0),
        OutcomeCount("2026-01-31", "unknown", 1, 0),
        OutcomeCount("2026-01-31", "caller_gone", 1, 0),
        OutcomeCount("2026-01-31", END_UNKNOWN, 2, 0),
        OutcomeCount("2026-01-31", "of_another_version", 9, 0),
    ),
    flows=(OutcomeCount("card", "approved", 3, 3),),
    fields=(FieldCount("pan", "card_number", 5, 7), FieldCount("new", "of_another_version", 1, 1)),
    seconds=(("pan", 10, 3), ("pan", 40, 1)),
    rejects=(("pan", "luhn", 2), ("pan", "of_another_version", 1)),
    gone=(("card", "ask_card", 2), ("card", "", 1)),
)


class KeptBook:
    """Answers with what the test says and writes down what it was asked."""

    rows_lost = 4

    def __init__(self) -> None:
        self.asked: list[ReportRange] = []
        self.shown = LINES

    def counts(self, wanted: ReportRange) -> ReportCounts:
        self.asked.append(wanted)
        return COUNTS

    def lines(self, wanted: ReportRange) -> tuple[OutcomeLine, ...]:
        self.asked.append(wanted)
        return self.shown


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> ApiHouse:
    book = KeptBook()
    house = ApiHouse(reports=book)
    house.book = book
    house.role = Role.SUPERVISOR
    monkeypatch.setattr(
        access,
        "principal_of",
        lambda request: Principal("x", roles=frozenset({house.role}), by_cookie=False, ends_s=float("inf")),
    )
    return house


async def ask(house: ApiHouse, query: str = ""):
    async with house.client() as client:
        return await client.get(PATH + query)


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.SUPERVISOR])
async def test_reports_are_for_supervisors(house: ApiHouse, role: Role) -> None:
    house.role = role

    refused = await ask(house)

    assert (refused.status_code, house.book.asked) == (403, [])


async def test_a_report_has_every_result_and_leaves_out_words_of_another_version(house: ApiHouse) -> None:
    report = (await ask(house, "?from=2026-01-30&to=2026-01-31&flow=card&agent=ann")).json()

    assert (report["begun"], report["ended"], report["open"], report["succeeded"]) == (9, 6, 1, 3)
    assert (report["success_rate"], report["test"], report["lost"]) == (0.5, 4, 4)
    assert report["end_unknown"] == 2
    assert [(day["failed"], day["abandoned"], day["end_unknown"]) for day in report["days"]] == [
        (1, 0, 0),
        (1, 1, 2),
    ]
    assert [one["result"] for one in report["outcomes"]] == [result.value for result in CaptureResult]
    assert {one["result"]: one["captures"] for one in report["outcomes"]}["unknown"] == 1
    assert [one["field"] for one in report["fields"]] == ["pan"]
    assert (report["fields"][0]["median_s"], report["fields"][0]["p90_s"]) == (10, 40)
    assert report["fields"][0]["rejects"] == [{"reason": "luhn", "times": 2}]
    assert report["abandoned"][0] == {"flow": "card", "step": "ask_card", "captures": 2}
    assert (report["flow"], report["agent"]) == ("card", "ann")


async def test_days_are_whole_and_both_are_in_it(house: ApiHouse) -> None:
    await ask(house, "?from=2026-01-30&to=2026-01-31&flow=card&agent=ann%40desk")

    (asked,) = house.book.asked

    assert asked == ReportRange(1_769_731_200, 1_769_731_200 + 2 * DAY_S, "card", "ann@desk")


async def test_without_days_it_is_the_last_thirty(house: ApiHouse) -> None:
    report = (await ask(house)).json()

    (asked,) = house.book.asked
    assert asked.to_s - asked.from_s == 30 * DAY_S
    assert asked.from_s <= house.clock.seconds < asked.to_s
    assert (report["flow"], report["agent"]) == (None, None)


@pytest.mark.parametrize(
    "query",
    [
        "?from=2026-02-02&to=2026-02-01",
        "?from=2024-01-01&to=2026-01-01",
        "?from=yesterday",
        "?to=9999-12-31",
        "?from=0001-01-01&to=0001-01-01",
        "?from=9999-12-31",
        "?flow=a%20b",
        "?agent=%3Cb%3E",
        "?format=xml",
        f"?flow={TEST_PAN}",
        f"?agent={TEST_PAN}",
    ],
)
async def test_what_cannot_be_asked_is_refused_and_not_echoed(house: ApiHouse, query: str) -> None:
    refused = await ask(house, query)

    assert refused.status_code == 422
    assert TEST_PAN not in refused.text
    assert house.book.asked == []


async def test_csv_has_a_line_a_group_and_no_formula(house: ApiHouse) -> None:
    answer = await ask(house, "?from=2026-01-30&to=2026-01-31&format=csv")

    lines = list(csv.reader(io.StringIO(answer.text)))

    assert answer.headers["content-type"].startswith("text/csv")
    assert (
        answer.headers["content-disposition"] == 'attachment; filename="captures-2026-01-30-2026-01-31.csv"'
    )
    assert lines[0] == [
        "day",
        "flow",
        "agent",
        "begun",
        *(result.value for result in CaptureResult),
        END_UNKNOWN,
    ]
    assert {line[2] for line in lines[1:]} == {"ann", "'=1+2"}
    by_group = {tuple(line[:3]): dict(zip(lines[0], line, strict=True)) for line in lines[1:]}
    assert by_group["2026-01-30", "card", "ann"]["approved"] == "3"
    assert by_group["2026-01-31", "card", "ann"]["unknown"] == "1"
    assert by_group["2026-01-31", "card", "ann"][END_UNKNOWN] == "2"


@pytest.mark.parametrize(
    "name", ["=1", "+1", "-1", "@sum", "\t=1", "\r=1", "\n=1", " =1", "\uff1d1", "=cmd|' /c calc'!a0"]
)
async def test_no_cell_is_a_formula(house: ApiHouse, name: str) -> None:
    house.book.shown = (OutcomeLine("2026-01-30", name, name, "approved", 1),)

    lines = list(csv.reader(io.StringIO((await ask(house, "?format=csv")).text, newline="")))

    assert lines[1][1:3] == [f"'{name}"] * 2


async def test_csv_tells_of_no_person_but_the_agent_and_of_no_single_capture(house: ApiHouse) -> None:
    """The columns are all there is: no caller, number dialled, token, reference, amount, or time of day."""
    captures = list(csv.reader(io.StringIO((await ask(house, "?format=csv")).text)))

    assert captures[0][:4] == ["day", "flow", "agent", "begun"]
    assert set(captures[0][4:]) == {*(result.value for result in CaptureResult), END_UNKNOWN}
    assert all(cell.isdigit() for line in captures[1:] for cell in line[3:])


async def test_a_table_that_is_too_long_is_refused_in_words(house: ApiHouse, monkeypatch) -> None:
    def too_long(_):
        raise ReportTooLong

    monkeypatch.setattr(house.book, "lines", too_long)
    answer = await ask(house, "?format=csv")

    assert (answer.status_code, answer.json()["type"].endswith(":report-too-long")) == (422, True)


async def test_csv_of_fields(house: ApiHouse) -> None:
    lines = list(csv.reader(io.StringIO((await ask(house, "?format=csv_fields")).text)))

    assert lines[0] == ["field", "kind", "asked", "accepted", "attempts", "median_s", "p90_s", "rejects"]
    assert lines[1] == ["pan", "card_number", "5", "4", "7", "10", "40", "luhn:2"]


async def test_a_service_without_rows_says_so() -> None:
    house = ApiHouse()
    async with house.machine() as client:
        answer = await client.get(PATH)

    assert answer.status_code == 503
    assert answer.json()["type"].endswith(":reports-unavailable")
