"""Who is signed in, people of the provider and of one-time links too; end their sessions. For administrators."""

from __future__ import annotations

import enum
from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from fastapi.responses import Response
from pydantic import AfterValidator, StringConstraints

from dtmf_shield.api.access import Context, OncePerKey, asker, once
from dtmf_shield.api.identity.principal import Principal, Role
from dtmf_shield.api.problem import documented
from dtmf_shield.api.resources.bodies import RequestBody, no_card_number
from dtmf_shield.api.views.words import Prose, View, WholeSecond, Word, moment_of
from dtmf_shield.store.identity_rows import SessionRow

router = APIRouter(prefix="/v1", responses=documented())
Admin = Annotated[OncePerKey, Depends(once(Role.ADMIN))]


class SessionKind(enum.StrEnum):
    """``page``: a sign-in at a page of this service. ``panel``: an embedded one in another site's page."""

    PAGE = "page"
    PANEL = "panel"


class SessionView(View):
    """One session; its cookie is shown nowhere."""

    name: Prose
    how: Word
    """``local``, ``oidc`` or ``link``."""
    kind: SessionKind
    since: WholeSecond
    last_used: WholeSecond
    ends_at: WholeSecond


class SessionList(View):
    """Everybody who is signed in, by name."""

    sessions: list[SessionView]


class SessionCommandRequest(RequestBody):
    """End every session of one person, as the list names them."""

    command: Literal["sign_out"]
    name: Annotated[str, StringConstraints(min_length=1, max_length=80), AfterValidator(no_card_number)]


class SessionsEnded(View):
    """How many sessions have ended."""

    ended: int


@router.get("/sessions", responses=documented(403))
async def list_sessions(
    _asker: Annotated[Principal, Depends(asker(Role.ADMIN))], context: Context
) -> SessionList:
    """List who is signed in."""
    return SessionList(
        sessions=[
            SessionView(
                name=row.name,
                how=row.kind,
                kind=kind_of(row),
                since=moment_of(row.created),
                last_used=moment_of(row.seen),
                ends_at=moment_of(row.ends),
            )
            for row in context.identity.sessions.all()
        ]
    )


@router.post(
    "/sessions/commands", status_code=202, response_model=SessionsEnded, responses=documented(403, 409, 413)
)
async def end_sessions(wanted: SessionCommandRequest, once: Admin) -> Response:
    """Sign somebody out everywhere, at once. Who was taken out of a group at the provider is held here no longer."""
    identity = once.context.identity

    def carry_out() -> SessionsEnded:
        ended = identity.sessions.close_all_of(wanted.name)
        if ended:
            identity.note("signed_out", user=wanted.name, by=once.principal.name, sessions=ended)
            identity.revoked()
        return SessionsEnded(ended=ended)

    return once.answer(202, carry_out)


def kind_of(row: SessionRow) -> SessionKind:
    """Return whether a session is a page's or a panel's."""
    return SessionKind.PANEL if row.parent else SessionKind.PAGE
