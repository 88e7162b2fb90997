"""Keys of programs: named, with roles, shown once, kept as digests, revoked one by one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from api_desk import ApiHouse, a_call
from test_identity_people import post, problem

from dtmf_shield.store.identity_rows import IDENTITY_FILE, IdentityRows

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_a_key_is_made_used_and_revoked_and_told(tmp_path: Path) -> None:
    house = ApiHouse(a_call("c1", agent="desk-1"), a_call("c2"), rows=IdentityRows(tmp_path / IDENTITY_FILE))
    async with house.browser() as admin:
        made = await post(admin, "/v1/keys", name="crm", roles=["agent"], agents=["desk-1"])
        secret = made.json()["secret"]
        async with house.client(authorization=f"Bearer {secret}") as program:
            me = (await program.get("/v1/me")).json()
            calls = (await program.get("/v1/calls")).json()["calls"]
            principal = house.identity.keys.principal(secret)
            assert principal is not None
            assert house.identity.stands(principal)
            refused = await program.get("/v1/users")
            listed = (await admin.get("/v1/keys")).text
            revoked = await post(admin, "/v1/keys/crm/commands", command="revoke")
            after = await program.get("/v1/me")

    assert made.status_code == 201
    assert (me["name"], me["roles"], me["pages"], me["idle_limit_s"]) == (
        "key:crm",
        ["agent"],
        ["agent"],
        None,
    )
    assert [call["id"] for call in calls] == ["c1"]
    assert refused.status_code == 403
    assert revoked.json()["revoked"] is True
    assert after.status_code == 401
    assert not house.identity.stands(principal)
    assert [row["event"] for row in house.noted] == ["key_made", "role_denied", "key_revoked"]
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert secret not in listed + json.dumps(house.noted)
    assert secret.encode() not in kept
    assert b"crm" in kept


async def test_a_key_needs_no_same_origin_proof_and_has_no_session_to_end() -> None:
    async with ApiHouse(a_call()).machine() as program:
        start = {"flow": "card-payment"}
        begun = await program.post(
            "/v1/calls/c1/captures", json=start, headers={"idempotency-key": "abcdefgh"}
        )
        out = await program.post("/v1/logout", json={})

    assert begun.status_code == 201
    assert (out.status_code, problem(out)) == (403, "people-only")


async def test_a_name_is_used_once_and_no_key_administers() -> None:
    async with ApiHouse().browser() as admin:
        await post(admin, "/v1/keys", name="crm", roles=["agent"])
        again = await post(admin, "/v1/keys", name="crm", roles=["agent"])
        king = await post(admin, "/v1/keys", name="king", roles=["admin"])
        nobody = await post(admin, "/v1/keys/nobody/commands", command="revoke")

    assert (problem(again), problem(king), problem(nobody)) == ("key-exists", "key-admin", "key-not-found")
    assert king.status_code == 422


async def test_the_answer_to_a_repeated_request_makes_no_second_key() -> None:
    house = ApiHouse()
    async with house.browser() as admin:
        headers = {"origin": "http://127.0.0.1:8080", "idempotency-key": "the-same-key"}
        body = {"name": "crm", "roles": ["agent"]}
        first = await admin.post("/v1/keys", json=body, headers=headers)
        again = await admin.post("/v1/keys", json=body, headers=headers)

    secret = first.json()["secret"]
    assert again.json() == {**first.json(), "secret": None, "already_shown": True}
    kept = house.app.state.context.answers._answers.values()
    stored = [answer.body for own in kept for answer in own.values()]
    assert len(stored) == 1
    assert secret.encode() not in stored[0]
    assert again.headers["idempotency-replayed"] == "true"
