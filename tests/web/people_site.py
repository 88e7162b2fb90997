"""A site with people who sign in, and how their pages are looked at: sound, narrow, dark, by keyboard."""

from __future__ import annotations

from typing import Any

from argon2 import PasswordHasher
from playwright.sync_api import Page

from dtmf_shield.api.identity.principal import Role
from dtmf_shield.api.identity.sessions import LOCAL
from tests.web.accessibility import axe_findings
from tests.web.desk_site import DeskSite
from tests.web.layout import cut_off, focused, overflow_px, unmarked_controls

PASSWORD = "seven green kites 4"
OTHER_PASSWORD = "nine brown otters 2"
NARROW: dict[str, Any] = {"viewport": {"width": 320, "height": 700}}
TABS_MAX = 30
TEST_DAY_S = 1_774_742_400.0
"""The beginning of 29 March 2026, UTC."""


class PeopleSite(DeskSite):
    """A site of its own: users stay, and other tests' sign-in page is that of a service without any."""

    def hire(self, name: str, *roles: Role) -> str:
        """Make a user with PASSWORD, and return the cookie of a session."""
        hashed = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
        secret = self.run(self.identity.users.make, name, roles, None)
        assert self.run(self.identity.users.set_password, secret, hashed) is not None
        return str(self.run(self.identity.sessions.open, name, LOCAL, roles))


def look_of(look: str) -> dict[str, Any]:
    """Return the options of a browser's context for one of LOOKS."""
    return {"color_scheme": "dark" if look == "dark" else "light", **(NARROW if look == "narrow" else {})}


def assert_sound(page: Page) -> None:
    """Fail where axe, the width, cut words or controls without an edge are wrong."""
    assert axe_findings(page) == []
    assert overflow_px(page) <= page.viewport_size["width"]
    assert cut_off(page) == []
    # Tick boxes, which have no id, are drawn by the browser, with an edge of its own.
    assert [one for one in unmarked_controls(page) if one != "input "] == []


def tab_to(page: Page, name: str) -> None:
    """Press Tab until the control of that id has the focus; each stop on the way is seen."""
    for _ in range(TABS_MAX):
        stop = focused(page)
        if stop is not None:
            assert stop["outlined"] and stop["inside"] and not stop["covered"], stop
            if stop["name"] == name:
                return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab does not lead to {name}")
