"""The play page: not there but in demo mode; there, for agents alone, and the only page that may reach the phones."""

from __future__ import annotations

import asyncio

import pytest

from dtmf_shield.api import play
from dtmf_shield.api.play import PlayPhones
from tests.unit.api.api_desk import ApiHouse

PHONES = PlayPhones("http://127.0.0.1:39999", "secret-of-the-phones")
PATHS = ("/ui/play/", "/ui/play/phones.json")


def asked(path, *, demo, signed_in=True):
    house = ApiHouse(play=PHONES if demo else None)

    async def ask():
        async with house.browser() if signed_in else house.client() as client:
            return await client.get(path)

    return asyncio.run(ask())


@pytest.mark.parametrize("path", PATHS)
def test_outside_demo_mode_there_is_no_play_page(path):
    assert asked(path, demo=False).status_code == 404


def test_in_demo_mode_it_is_the_first_page():
    assert asked("/ui/", demo=True).headers["location"] == "/ui/play/"
    assert asked("/ui/", demo=False).headers["location"] == "/ui/agent/"


@pytest.mark.parametrize(("demo", "first"), [(True, ["play", "agent"]), (False, ["agent", "supervisor"])])
def test_pages_menus_lead_to_it_in_demo_mode_alone(demo, first):
    assert asked("/v1/me", demo=demo).json()["pages"][:2] == first


@pytest.mark.parametrize("path", ["/ui/", *PATHS])
def test_who_is_not_signed_in_is_told_nothing(path):
    answer = asked(path, demo=True, signed_in=False)

    assert answer.status_code == 401
    assert PHONES.key not in answer.text
    assert PHONES.url not in answer.text + str(answer.headers)


def test_the_page_is_told_where_the_phones_are_and_may_reach_them_and_frame_our_pages():
    page, told, agent = (asked(path, demo=True) for path in (*PATHS, "/ui/agent/"))
    policy = page.headers["content-security-policy"]

    assert told.json() == {"url": PHONES.url, "key": PHONES.key}
    assert f"connect-src 'self' {PHONES.url};" in policy
    assert "frame-src 'self';" in policy
    assert "script-src 'self';" in policy
    assert PHONES.url not in agent.headers["content-security-policy"]
    assert "frame-src" not in agent.headers["content-security-policy"]


def test_nobody_but_agents_plays(monkeypatch):
    class Nobody:
        def has(self, *_roles):
            return False

    monkeypatch.setattr(play, "principal_of", lambda _request: Nobody())

    assert asked("/ui/play/", demo=True).status_code == 403
