"""Who is signed in, people of the provider and of one-time links too; end their sessions. For administrators."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from fastapi.responses import Response
from pydantic import AfterValidator, BaseModel, StringConstraints

from dtmf_shield.api.access import Context, OncePerKey, asker, once
from dtmf_shield.api.identity.principal import Principal, Role
from dtmf_shield.api.problem import documented
from dtmf_shield.api.resources.bodies import RequestBody, no_card_number

router = APIRouter(prefix="/v1", responses=documented())
Admin = Annotated[OncePerKey, Depends(once(Role.ADMIN))]


class SessionView(BaseModel):
    """One browser that is signed in; its cookie is shown nowhere."""

    name: str
    how: str
    """``local``, ``oidc`` or ``link``."""
    since: float
    """Seconds since 1970, as all times here."""
    last_used: float
    ends_at: float


class SessionList(BaseModel):
    """Everybody who is signed in, by name."""

    sessions: list[SessionView]


class SessionCommandRequest(RequestBody):
    """End every session of one person, as the list names them."""

    command: Literal["sign_out"]
    name: Annotated[str, StringConstraints(min_length=1, max_length=80), AfterValidator(no_card_number)]


class SessionsEnded(BaseModel):
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
                since=round(row.created, 3),
                last_used=round(row.seen, 3),
                ends_at=round(row.ends, 3),
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
