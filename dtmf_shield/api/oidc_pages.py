"""The way to the provider and back: both are GET by nature (RFC 6749 section 3.1)."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response

from dtmf_shield.api.access import Context, address_of, within
from dtmf_shield.api.embed_pages import POPUP, popup_headers
from dtmf_shield.api.identity.cookies import set_session
from dtmf_shield.api.identity.identity import EMBED
from dtmf_shield.api.identity.oidc import OidcRefusal
from dtmf_shield.api.identity.ways import WAY_LIFETIME_S
from dtmf_shield.api.limits import counted_as
from dtmf_shield.api.pages import LANGUAGE_FORM, AskedLanguage, redirect
from dtmf_shield.api.problem import ApiRefusal

WAY_COOKIE: Final = "dtmf_shield_way"
"""Binds the way back to the browser that went."""
CALLBACK: Final = "/login/oidc/callback"
_MARK: Final = "~"
"""Parts the cookie: what binds, where the way began (``embed`` or nothing), the language; no base64 has it."""
ANSWER_CHARACTERS_MAX: Final = 2_048

oidc_pages = APIRouter(include_in_schema=False)
Given = Annotated[str, Query(max_length=ANSWER_CHARACTERS_MAX)]


@oidc_pages.get("/login/oidc")
async def go(
    request: Request,
    context: Context,
    back: Annotated[str, Query(alias="from", max_length=16)] = "",
    lang: AskedLanguage = "",
) -> Response:
    """Send the browser to the provider. ``from=embed``: out of, and back into, the window of an embedded page."""
    if context.identity.oidc is None:
        raise ApiRefusal(404, "not-found", "There is no provider.")
    asker = counted_as(address_of(request))
    within(context.limits.provider, asker)
    origin = context.site.origin_of(request.url.scheme, request.headers.get("host", ""))
    try:
        url, browser = await context.identity.oidc.begin(origin + CALLBACK, asker)
    except OidcRefusal as refusal:
        return _failed(request, context, refusal, back, lang)
    answer = RedirectResponse(url, status_code=303, headers=popup_headers(context.site))
    language = lang if LANGUAGE_FORM.fullmatch(lang) else ""
    answer.set_cookie(
        context.site.cookie(WAY_COOKIE),
        _MARK.join((browser, EMBED if back == EMBED else "", language)),
        max_age=int(WAY_LIFETIME_S),
        path="/",
        secure=context.site.secure,
        httponly=True,
        samesite="lax",  # the way back comes from another site
    )
    return answer


@oidc_pages.get(CALLBACK)
async def come_back(
    request: Request,
    context: Context,
    state: Given = "",
    code: Given = "",
    iss: Given = "",
    error: Given = "",
) -> Response:
    """Take the provider's answer: open a session, or say in words why not."""
    if context.identity.oidc is None:
        raise ApiRefusal(404, "not-found", "There is no provider.")
    way = request.cookies.get(context.site.cookie(WAY_COOKIE), "")
    browser, began, lang = (*way.split(_MARK), "", "")[:3]
    try:
        _require_code(code, error)
        person = await context.identity.oidc.finish(state, code, iss, browser)
    except OidcRefusal as refusal:
        return _failed(request, context, refusal, began, lang)
    cookie = context.identity.came_back(person, address_of(request))
    answer = redirect(POPUP if began == EMBED else "/ui/", lang, popup_headers(context.site))
    context.identity.succeed(request.cookies.get(context.site.cookie(), ""), cookie)
    set_session(answer, context.site, cookie)
    answer.delete_cookie(context.site.cookie(WAY_COOKIE), path="/", secure=context.site.secure, httponly=True)
    return answer


def _require_code(code: str, error: str) -> None:
    if error or not code:
        raise OidcRefusal("other", "provider_said_no")


def _failed(request: Request, context: Context, refusal: OidcRefusal, began: str, language: str) -> Response:
    """Say why on the page where the way began; an embedded page's window stays tied to the frame that opened it."""
    context.identity.oidc_failed(refusal.reason, address_of(request))
    asked = f"&lang={language}" if LANGUAGE_FORM.fullmatch(language) else ""
    page, headers = (POPUP, popup_headers(context.site)) if began == EMBED else ("/ui/", None)
    return RedirectResponse(f"{page}?failed={refusal.slug}{asked}", status_code=303, headers=headers)
