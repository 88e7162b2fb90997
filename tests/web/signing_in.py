"""A browser that is signed in without having loaded a page for it; how people sign in has tests of its own."""

from __future__ import annotations

from dtmf_shield.api.site import COOKIE
from tests.web.browser import Visitor
from tests.web.desk_site import DeskSite


def sign_in(site: DeskSite, visitor: Visitor) -> None:
    """Give the browser the cookie that the one-time link of a service on loopback gives."""
    session = site.run(lambda: site.login.redeem(site.login.issue()))
    visitor.context.add_cookies([{"name": COOKIE, "value": session, "url": site.url}])
