"""Never a digit, by type: no text of any answer has room for a card number, but for what is named and argued here.

The committed OpenAPI document is walked, every response of every route. A text is closed where it is one of a list, is
too short, or has a pattern that refuses twelve digits wherever they stand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dtmf_shield.api.resources.keys import KeyView
from dtmf_shield.api.resources.me import Me, Ways
from dtmf_shield.api.resources.sessions import SessionKind, SessionView
from dtmf_shield.api.resources.users import UserState, UserView
from dtmf_shield.api.views import CaptureView, PaymentView
from dtmf_shield.model.capture import CaptureState
from dtmf_shield.model.ids import CallId, CaptureId
from dtmf_shield.model.payment import OperationKind, OperationState

DOCUMENT = json.loads((Path(__file__).parents[2] / "golden" / "openapi.json").read_text("utf-8"))
MOMENT = datetime(2026, 3, 29, 9, 12, tzinfo=UTC)
DIGITS = 12
"""The shortest card number still issued (Maestro)."""
ARGUED = {
    "identifier": "random, made by the service: what was keyed never reaches who makes it",
    "secret": "random, made by the service, shown once to who asked for it: what was keyed never reaches who makes it",
    "digest": "SHA-256 of an audit row, which itself has no room for a card number",
    "token": "for programs with the key alone; a browser session is refused, a gateway chooses its form",
    "dialled": "a telephone number (ITU-T E.164, up to 15 digits); drawn over where its check digit is a card's",
    "step": "a name of the flow file, written before there was any call",
    "moment": "a date and time (RFC 3339): twelve digits never stand together in it",
    "picture": "of published TEST cards' tones alone, from the play phones, in demo mode alone; bytes and no text",
    "audio": "the masked recording, bytes of sound and no text",
    "table": "names and counts as CSV, each cell drawn over as Prose is",
    "stream": "the event stream: each event is one of the views that are walked here",
}
EXCEPTIONS = {
    "CallView.id": "identifier",
    "CaptureView.id": "identifier",
    "CaptureView.call": "identifier",
    "OutcomeView.operation_id": "identifier",
    "PaymentView.id": "identifier",
    "PaymentView.parent": "identifier",
    "PaymentView.capture": "identifier",
    "PaymentView.call": "identifier",
    "RecordingView.id": "identifier",
    "RecordingView.call": "identifier",
    "RecordingPage.next_cursor": "identifier",
    "StreamTicket.ticket": "identifier",
    "AuditRowView.hash": "digest",
    "KeyMade.secret": "secret",
    "UserChanged.link": "secret",
    "FactorBegun.secret": "secret",
    "OwnSessionView.since": "moment",
    "OwnSessionView.last_used": "moment",
    "OwnSessionView.ends_at": "moment",
    "SecondFactorView.since": "moment",
    "SessionView.since": "moment",
    "SessionView.last_used": "moment",
    "SessionView.ends_at": "moment",
    "UserView.created_at": "moment",
    "KeyView.created_at": "moment",
    "TokenView.token": "token",
    "CallView.dialled": "dialled",
    "CaptureView.step": "step",
    "FieldReport.field": "step",
    "StepCount.step": "step",
    "GraphNodeView.name": "step",
    "GraphWayView.source": "step",
    "GraphWayView.target": "step",
    "FlowGraphView.start": "step",
    "CallView.started_at": "moment",
    "PaymentView.sent_at": "moment",
    "PaymentView.settled_at": "moment",
    "RecordingView.started_at": "moment",
    "AuditRowView.at": "moment",
    "NodeView.started_at": "moment",
    "ProcessView.since": "moment",
    "GatewayHealthView.since": "moment",
    "TrunkView.seen_at": "moment",
    "WebhookView.last_delivered_at": "moment",
    "WebhookView.next_attempt_at": "moment",
    "TestCallView.started_at": "moment",
    "/v1/test-calls/{test_call_id}/evidence/{side}.png": "picture",
    "/v1/recordings/{recording_id}/audio": "audio",
    "/v1/reports/captures": "table",
    "/v1/events": "stream",
}
RUNS = [
    *("4" * length for length in range(DIGITS, 65)),
    "x" + "4" * DIGITS,
    "4" * DIGITS + "x",
    "tok_…" + "4" * DIGITS,
    "/welcome#" + "4" * DIGITS,
    "a b " + "4" * 19 + "\n.",
]


def refuses_runs(pattern: str) -> bool:
    return not any(re.search(pattern, run) for run in RUNS)


def closed(schema: dict[str, Any]) -> bool:
    """Whether a string of this schema has no room for twelve digits together."""
    if "const" in schema or "enum" in schema:
        words = schema.get("enum", [schema.get("const")])
        return not any(re.search(rf"[0-9]{{{DIGITS}}}", str(word)) for word in words)
    return schema.get("maxLength", DIGITS) < DIGITS or (
        "pattern" in schema and refuses_runs(schema["pattern"])
    )


def strings(schema: dict[str, Any], place: str, seen: set[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (Model.member, schema) of every string below."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if name not in seen:
            yield from strings(DOCUMENT["components"]["schemas"][name], name, seen | {name})
        return
    for key in ("anyOf", "oneOf", "allOf", "prefixItems"):
        for each in schema.get(key, []):
            yield from strings(each, place, seen)
    for name, member in schema.get("properties", {}).items():
        yield from strings(member, f"{place}.{name}", seen)
    if "items" in schema:
        yield from strings(schema["items"], place, seen)
    more = schema.get("additionalProperties")
    if isinstance(more, dict):
        yield from strings(more, place, seen)
    # Names of members that a peer may choose are texts as well.
    if isinstance(more, dict) or more is True or isinstance(schema.get("propertyNames"), dict):
        yield f"{place} (names)", schema.get("propertyNames", {})
    if schema.get("type") == "string":
        yield place, schema
    known = {"$ref", "anyOf", "oneOf", "allOf", "prefixItems", "type", "const", "enum"}
    if not known & set(schema):
        yield place, schema  # anything at all fits into it


def answers() -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        for method in methods.values():
            for response in method["responses"].values():
                for content in response.get("content", {}).values():
                    yield path, content.get("schema", {})


def every_string() -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for path, schema in answers():
        for place, string in strings(schema, path, set()):
            found.setdefault(place, []).append(string)
    return found


def test_no_text_of_any_answer_has_room_for_a_card_number() -> None:
    found = every_string()
    open_ones = {place for place, schemas in found.items() if not all(map(closed, schemas))}

    assert len(found) > 60
    assert open_ones - set(EXCEPTIONS) == set()


def test_every_exception_is_argued_and_still_one() -> None:
    found = every_string()

    assert set(EXCEPTIONS.values()) == set(ARGUED)
    assert {place for place in EXCEPTIONS if place not in found} == set()
    assert {place for place in EXCEPTIONS if all(map(closed, found[place]))} == set()


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string"},
        {"type": "string", "maxLength": DIGITS},
        {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"},
        {"type": "string", "pattern": "[a-z]*"},
        {"type": "string", "enum": ["a", "4" * DIGITS]},
    ],
)
def test_the_walk_would_find_an_open_text(schema: dict[str, Any]) -> None:
    found = dict(strings({"properties": {"note": {"anyOf": [schema, {"type": "null"}]}}}, "View", set()))

    assert not closed(found["View.note"])


def test_numbers_hold_no_card_number_either() -> None:
    """No answer's number is made of keys: they count, and none is told of a field but its count and lengths."""
    numbers = {
        f"{name}.{member}"
        for name, schema in DOCUMENT["components"]["schemas"].items()
        for member, each in schema.get("properties", {}).items()
        if name == "FieldView" and "integer" in json.dumps(each)
    }

    assert numbers == {"FieldView.count", "FieldView.of", "FieldView.of_usual"}


def test_names_of_people_and_programs_are_drawn_over_in_every_answer_of_identity() -> None:
    """A provider names its people as it likes, and may name one by digits alone."""
    run = "4242424242424242"
    me = Me(
        name=f"oidc:{run}",
        roles=[],
        language=None,
        agents=[run],
        pages=["agent"],
        second_factor_needed=False,
        idle_limit_s=None,
    )
    session = SessionView(
        name=f"oidc:{run}", how="oidc", kind=SessionKind.PAGE, since=MOMENT, last_used=MOMENT, ends_at=MOMENT
    )
    key = KeyView(name=f"k-{run}", roles=[], agents=[f"desk-{run}"], created_at=MOMENT, revoked=False)
    user = UserView(
        name=f"u{run}",
        roles=[],
        agents=[run],
        language=None,
        state=UserState.ACTIVE,
        created_at=MOMENT,
        sessions=0,
        second_factor=False,
    )
    for view in (me, session, key, user, Ways(passwords=False, oidc=run)):
        assert "••••" in view.model_dump_json()
        assert not re.search(rf"[0-9]{{{DIGITS}}}", view.model_dump_json())


def test_prose_is_drawn_over_as_it_leaves_copies_too() -> None:
    run = "4242 4242 4242 4242"
    view = CaptureView(id=CaptureId("cap1"), call=CallId("c1"), flow="f", state=CaptureState.IDLE, say="good")
    copied = view.model_copy(update={"say": f"say {run} now"})
    payment = PaymentView(
        id="o-a", kind=OperationKind.CHARGE, state=OperationState.APPROVED, reference="4242424242424"
    )

    assert json.loads(copied.model_dump_json())["say"] == "say •••• now"
    assert payment.model_dump(mode="json")["reference"] == "••••"
    assert json.loads(view.model_dump_json())["say"] == "good"
