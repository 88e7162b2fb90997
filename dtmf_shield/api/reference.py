"""The API's reference page, written from the OpenAPI document: ``python -m dtmf_shield.api.reference``."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final

from dtmf_shield.api.connection import CONNECTIONS_MAX, CONNECTIONS_OF_ADDRESS_MAX, HEAD_TIME_MAX_S
from dtmf_shield.api.events import (
    EVENTS_MAX,
    HEARTBEAT_S,
    RETRY_MS,
    STREAMS_OF_KEY_MAX,
    STREAMS_OF_PERSON_MAX,
    SUBSCRIBERS_MAX,
)
from dtmf_shield.api.gate import BODY_BYTES_MAX, BODY_TIME_MAX_S, DRAFT_BYTES_MAX
from dtmf_shield.api.idempotency import ANSWER_LIFETIME_S, ANSWERS_MAX
from dtmf_shield.api.identity.principal import EVERY_ROLE, Role
from dtmf_shield.api.limits import KEY_RATE, SESSION_RATE, STRANGER_RATE, Rate
from dtmf_shield.api.openapi import openapi_text
from dtmf_shield.api.role_table import accesses
from dtmf_shield.api.tickets import TICKET_LIFETIME_S

_BODIES: Final = {
    "/v1/calls/{call_id}/captures": {
        "flow": "card-charge-agent",
        "inputs": {"reference": "88-1932", "amount_minor": 1050, "currency": "EUR"},
    },
    "/v1/captures/{capture_id}/commands": {"command": "redo", "field": "cvv"},
    "/v1/flow-drafts/check": {"text": "flow: v1"},
    "/v1/flow-drafts/graph": {"text": "flow: v1"},
    "/v1/flow-drafts/simulate": {"text": "flow: v1", "script": "card visa"},
    "/v1/payments/{operation_id}/refund": {"amount_minor": 400},
    "/v1/payments/{operation_id}/capture": {"amount_minor": 1050},
    "/v1/login": {"name": "ada", "password": "…"},
    "/v1/password": {"link": "…", "password": "…"},
    "/v1/users": {"name": "ada", "roles": ["agent"], "agents": ["desk-1"]},
    "/v1/users/{name}/commands": {"command": "disable"},
    "/v1/sessions/commands": {"command": "sign_out", "name": "ada"},
    "/v1/keys": {"name": "crm", "roles": ["agent", "supervisor"]},
    "/v1/keys/{name}/commands": {"command": "revoke"},
    "/v1/account/password": {"current": "…", "password": "…"},
    "/v1/account/second-factor": {"current": "…"},
    "/v1/account/second-factor/confirm": {"code": "…"},
    "/v1/account/second-factor/remove": {"current": "…", "code": "…"},
    "/v1/account/sessions/commands": {"command": "end_others"},
}
_PLACES: Final = {
    "call_id": "$CALL",
    "capture_id": "$CAPTURE",
    "operation_id": "$PAYMENT",
    "recording_id": "$RECORDING",
    "flow_id": "card-payment-agent",
    "name": "crm",
    "test_call_id": "$TEST_CALL",
    "side": "agent",
}
_OPTIONS: Final = {
    "/v1/events": "-N ",
    "/v1/flows/{flow_id}/picture": "-o flow.svg ",
    "/v1/recordings/{recording_id}/audio": "-o call.wav ",
    "/v1/test-calls/{test_call_id}/evidence/{side}.png": "-o agent.png ",
}
_SESSIONS_ALONE: Final = ("/v1/logout", "/v1/account")
_KEY: Final = "idempotency-key"


def _rate(rate: Rate) -> str:
    return f"{rate.burst} at once, then {rate.per_s:g} a second"


def _header() -> str:
    return f"""# HTTP API

Written from the OpenAPI document (`/openapi.json`) by `python -m dtmf_shield.api.reference`; a test compares them.

**Who asks.** A program sends `Authorization: Bearer KEY`: one that an administrator has made, or the one in `api.key`
in the state directory. A person's pages have a session cookie, and a POST with it says where it comes from (`Origin`,
`Sec-Fetch-Site`; browsers do). Each route names the roles that may use it; whoever lacks them gets 403. No key is an
administrator: users and keys are a person's matter.

**Never a digit.** No answer has room for a card number, by type: a field is a count, a mask, a brand, and `last4` once
a card is accepted. A request that holds a card number is refused with 422, and neither kept nor logged.

**Every POST but login, logout, password and those of one's own account needs `Idempotency-Key`**, 8 to 64 of `A-Z a-z 0-9 _ -`, new for each new
request. The same key with the same body gets the answer of before, with `Idempotency-Replayed: true`; with another body
409. Answers are kept in memory, for {ANSWER_LIFETIME_S // 3_600} hours at most: the last {ANSWERS_MAX:,} of all who ask, of which whoever has most loses the
oldest first, and none over a restart. A request whose answer is gone is carried out again: look at the call first
(`GET /v1/calls`) where much time went by. The name of a refund, capture or void is made of the key, so that one sent again after a crash
of either side is done once, at the gateway too.

**Errors** are `application/problem+json` (RFC 9457): `type` is `urn:dtmf-shield:problem:` and a word that stays, `title`
a sentence for people, `findings` say which members were refused. 503 and 429 come with `Retry-After`.

**Limits.** A person, in all browsers: {_rate(SESSION_RATE)}; a key: {_rate(KEY_RATE)}; an address without either:
{_rate(STRANGER_RATE)}. Beyond: 429. Open event streams are not held up. A body has at most {BODY_BYTES_MAX // 1_024} KiB,
that of a flow in hand {DRAFT_BYTES_MAX // 1_024}, is UTF-8 (else 400), and is there within {BODY_TIME_MAX_S:g} s (else 408). A connection on which no
whole head of a request has come within {HEAD_TIME_MAX_S:g} s is closed, and so is what one address opens beyond {CONNECTIONS_OF_ADDRESS_MAX} connections of
{CONNECTIONS_MAX} (an IPv6 /64 is one; loopback and proxies of `behind_proxy` have no limit of their own).

**Events.** `GET /v1/events` is a stream of Server-Sent Events; one carries all calls. A reader that comes back with
`Last-Event-ID` (browsers do it by themselves, after {RETRY_MS // 1_000} s) gets what it missed, of the last {EVENTS_MAX:,} events; else, at the
first time, and where the id was given to somebody else or under other rights, `resync` with everything. `heartbeat` comes where nothing else does for {HEARTBEAT_S:g} s. Each reader is told what its
roles may see. {SUBSCRIBERS_MAX} streams at once, {STREAMS_OF_PERSON_MAX} of a person in all browsers, {STREAMS_OF_KEY_MAX} of a key. A reader that cannot send a header takes a
ticket, which opens one stream within {TICKET_LIFETIME_S} s. Programs without a stream: [webhooks](webhooks.md).

| event | data |
|---|---|
| `call` | a CallView without `shield`, `line` and `capture`: it is new or has changed |
| `shield` | `call` and a ShieldView; `call` null: `state` holds for all calls |
| `line` | `call` and a LineView; figures are told again where they have changed noticeably, every few seconds at most |
| `capture` | a CaptureView without `fields` and `outcome`; `capture` is its id |
| `field` | `call`, `capture` and a FieldView |
| `payment` | `call`, `capture` and an OutcomeView; `call` null: `gateway` is up, partly (one of two), down or unknown, and `operation`, where it is there, a PaymentNews (supervisors) |
| `flows` | `flows`: the FlowViews that a capture may be started with from now on (agents, supervisors, engineers) |
| `gone` | `call` is another agent's now |
| `resync` | a Snapshot: forget what you have |

**Kept free.** `/v1/webrtc/` is for the telephone in the browser, an SDP offer in and an answer out; nothing answers there yet.

The examples below need:

```sh
API=http://127.0.0.1:8080; KEY=$(cat state/api.key)
SESSION=cookies.txt  # of an administrator who is signed in: curl -c writes it at /v1/login
```
"""  # noqa: E501 - a page's text: its lines are as wide once the numbers stand in them


def render() -> str:
    """Return the whole page as Markdown."""
    document = json.loads(openapi_text())
    parts = [_header()]
    for path, methods in sorted(document["paths"].items(), key=_by_resource):
        for method, operation in methods.items():
            parts.append(_operation(path, method.upper(), operation))
    parts.append("## Forms\n")
    parts += [_form(name, schema) for name, schema in sorted(document["components"]["schemas"].items())]
    return "\n".join(parts)


def _by_resource(entry: tuple[str, Any]) -> tuple[bool, str]:
    return (not entry[0].startswith("/v1"), entry[0])


def roles() -> Mapping[tuple[str, str], str]:
    """Return who may use each route, in words, by (method, path)."""
    return {place: _who(held) for place, held in _held().items()}


def _held() -> Mapping[tuple[str, str], frozenset[Role] | None]:
    return {(access.method, access.path): access.roles for access in accesses()}


def _who(held: frozenset[Role] | None) -> str:
    if held is None:
        return "everybody"
    return "whoever is signed in" if held == EVERY_ROLE else ", ".join(sorted(held))


def _operation(path: str, method: str, operation: dict[str, Any]) -> str:
    whole = (operation.get("description") or "").strip()
    lines = [f"## `{method} {path}`\n", whole, "", f"Roles: {roles()[method, path]}.", ""]
    for parameter in operation.get("parameters", []):
        if parameter["in"] == "query":
            needed = "" if not parameter.get("required") else ", required"
            meaning = parameter.get("description", "")
            lines.append(f"- `{parameter['name']}`{needed}: {_type(parameter['schema'])}. {meaning}".rstrip())
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    if body is not None:
        lines.append(f"- body: {_type(body)}")
    lines += [
        f"- answers: {_answers(operation['responses'])}",
        "",
        "```sh",
        _curl(path, method, operation),
        "```",
        "",
    ]
    return "\n".join(lines)


def _answers(responses: dict[str, Any]) -> str:
    good = [
        f"{status} {_type(_schema(answer))}".strip()
        for status, answer in sorted(responses.items())
        if status.startswith("2")
    ]
    return ", ".join([*good, *(status for status in sorted(responses) if not status.startswith("2"))])


def _schema(answer: dict[str, Any]) -> dict[str, Any]:
    """Return the form of an answer's body; empty where it has none."""
    contents: list[dict[str, Any]] = list(answer.get("content", {}).values())
    return contents[0].get("schema", {}) if contents else {}


def _curl(path: str, method: str, operation: dict[str, Any]) -> str:
    address = re.sub(r"\{(\w+)\}", lambda match: _PLACES[match[1]], path)
    command = f'curl -sS {_OPTIONS.get(path, "")}{_proof(path, method)}"$API{address}"'
    if method != "POST":
        return command
    named = {parameter["name"].lower() for parameter in operation.get("parameters", [])}
    key = '-H "Idempotency-Key: $(uuidgen)" ' if _KEY in named else ""
    body = json.dumps(_BODIES.get(path, {}), ensure_ascii=False)
    return f"{command} \\\n  {key}-H 'Content-Type: application/json' -d '{body}'"


def _proof(path: str, method: str) -> str:
    """Return the options of curl that say who asks: a key where it may, a session where it must, or nothing."""
    held = _held()[method, path]
    own_page = '-H "Origin: $API" ' if method == "POST" else ""
    if held is None:
        return "-c $SESSION " + own_page if own_page else ""
    if held == {Role.ADMIN} or path.startswith(_SESSIONS_ALONE):
        return "-b $SESSION " + own_page
    return '-H "Authorization: Bearer $KEY" '


def _form(name: str, schema: dict[str, Any]) -> str:
    text = " ".join((schema.get("description") or "").replace("``", "`").split())
    lines = [f"### {name}\n", text, ""]
    if "enum" in schema:
        lines += [", ".join(f"`{word}`" for word in schema["enum"]), ""]
    if schema.get("properties"):
        lines += ["| member | type | meaning |", "|---|---|---|", *_members(schema), ""]
    return "\n".join(lines)


def _members(schema: dict[str, Any]) -> Iterator[str]:
    for name, member in schema["properties"].items():
        meaning = " ".join((member.get("description") or "").replace("``", "`").replace("|", "\\|").split())
        yield f"| `{name}` | {_type(member)} | {meaning} |"


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(_type(each) for each in schema["anyOf"])
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`"
    if "enum" in schema:
        return " or ".join(f"`{word}`" for word in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return str(schema.get("format") or schema.get("type", ""))


if __name__ == "__main__":
    sys.stdout.write(render())
