"""Test calls and their evidence: for engineers alone, in demo mode alone, and a dead play process costs an answer."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager

import pytest
from full_house import TEST_CALL, PlayedCalls, full_house

from dtmf_shield.api.identity.principal import Role
from dtmf_shield.api.play import PlayPhones
from dtmf_shield.api.site import COOKIE
from dtmf_shield.service.control import test_calls as control
from tests.unit.api.api_desk import ApiHouse

CALLS = "/v1/test-calls"
EVIDENCE = f"{CALLS}/{TEST_CALL.id}/evidence"
PATHS = (CALLS, EVIDENCE, f"{EVIDENCE}/caller.png", f"{EVIDENCE}/agent.png")
PNG = b"\x89PNG\r\n\x1a\n"
KEY = "the-key-of-the-phones"
LISTED = {"calls": [json.loads(TEST_CALL.model_dump_json())]}
WHOLE = json.loads(asyncio.run(PlayedCalls().evidence("")).model_dump_json())


def ask(house, path, role=Role.ENGINEER):
    async def asked():
        cookie = house.identity.sessions.open("somebody", "oidc", [role])
        async with house.client(cookie=f"{COOKIE}={cookie}") as client:
            return await client.get(path)

    return asyncio.run(asked())


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.ENGINEER])
@pytest.mark.parametrize("path", PATHS)
def test_only_engineers_see_test_calls(role, path):
    assert ask(full_house(), path, role).status_code == 403


@pytest.mark.parametrize("path", PATHS)
def test_an_engineer_sees_them_and_nothing_of_it_is_kept_by_the_browser(path):
    answer = ask(full_house(), path)

    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"] == ("image/png" if path.endswith(".png") else "application/json")


@pytest.mark.parametrize("path", PATHS)
def test_outside_demo_mode_each_route_says_why_there_is_nothing(path):
    answer = ask(ApiHouse(), path)

    assert (answer.status_code, answer.json()["type"]) == (404, "urn:dtmf-shield:problem:no-test-calls")
    assert "demo mode only" in answer.json()["title"]


@pytest.mark.parametrize("name", ["4242424242424242", "..", "ABCDEFGH", "abcdefghi"])
def test_what_is_no_name_of_a_test_call_is_refused(name):
    assert ask(full_house(), f"{CALLS}/{name}/evidence").status_code in (404, 422)
    assert ask(full_house(), f"{EVIDENCE}/{name}.png").status_code in (404, 422)


# --- by way of the play process ---------------------------------------------------------------------


@asynccontextmanager
async def play_process(status=200, body=b"", silent=False):
    """A play process that answers one thing to everything; yields its phones and what it was asked."""
    asked = []

    async def answer(reader, writer):
        asked.append((await reader.readuntil(b"\r\n\r\n")).decode("latin-1"))
        if not silent:
            writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
            await writer.drain()
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        port = server.sockets[0].getsockname()[1]
        yield PlayPhones(f"http://127.0.0.1:{port}", KEY), asked
    finally:
        server.close()


def through_control(path, **answering):
    """Ask the API whose desk asks a play process; return the answer and what the process was asked."""

    async def asked():
        async with play_process(**answering) as (phones, seen):
            house = ApiHouse(test_calls=control.test_calls_of(phones))
            cookie = house.identity.sessions.open("somebody", "oidc", [Role.ENGINEER])
            async with house.client(cookie=f"{COOKIE}={cookie}") as client:
                return await client.get(path), seen

    return asyncio.run(asked())


@pytest.mark.parametrize(
    ("path", "body"),
    [(CALLS, json.dumps(LISTED)), (EVIDENCE, json.dumps(WHOLE)), (PATHS[2], PNG.decode("latin-1") + "x")],
)
def test_answers_of_the_play_process_are_passed_on_as_they_are(path, body):
    raw = body.encode("latin-1")

    answer, seen = through_control(path, body=raw)

    assert answer.status_code == 200
    assert answer.content == raw if path.endswith(".png") else answer.json() == json.loads(body)
    assert f"authorization: bearer {KEY}" in seen[0].lower()
    assert seen[0].split()[1] == path.removeprefix("/v1").replace("/evidence/caller.png", "/caller.png")


@pytest.mark.parametrize(
    ("status", "body", "expected", "slug"),
    [
        (404, b"", 404, "test-call-not-found"),
        (409, b'{"problem":"judging"}', 409, "evidence-not-ready"),
        (409, b'{"problem":"failed"}', 409, "evidence-failed"),
        (401, b"", 503, "play-phones-silent"),
        (500, b"", 503, "play-phones-silent"),
        (200, b"no json", 503, "play-phones-silent"),
        (200, json.dumps(WHOLE | {"digits": "4242424242424242"}).encode(), 503, "play-phones-silent"),
        (200, b" " * (control.EVIDENCE_BYTES_MAX + 1), 503, "play-phones-silent"),
    ],
)
def test_what_the_play_process_refuses_or_nobody_understands_is_told_in_words(status, body, expected, slug):
    answer, _ = through_control(EVIDENCE, status=status, body=body)

    assert (answer.status_code, answer.json()["type"]) == (expected, f"urn:dtmf-shield:problem:{slug}")
    assert "4242" not in answer.text


def test_what_is_no_picture_is_not_passed_on():
    answer, _ = through_control(PATHS[2], body=b"<svg onload='x'>")

    assert answer.status_code == 503


def test_dead_or_silent_play_process_gives_503_with_words(monkeypatch):
    monkeypatch.setattr(control, "TIMEOUT_S", 0.2)
    silent, _ = through_control(CALLS, silent=True)
    dead = ask(ApiHouse(test_calls=control.test_calls_of(PlayPhones("http://127.0.0.1:9", KEY))), CALLS)

    for answer in (silent, dead):
        assert answer.status_code == 503
        assert "play phones do not answer" in answer.json()["title"]
