"""One's own account: password, second factor, sessions. For people at a page of ours, whatever their role.

None of these POSTs needs an Idempotency-Key: passwords, secrets and codes in a table of answers would be one more place
for them, and done twice they do no harm.
"""

from __future__ import annotations

import enum
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import Field, StringConstraints, model_validator

from dtmf_shield.api.access import Asker, Context, address_of, require_same_origin
from dtmf_shield.api.identity.factors import RECOVERY_CODES
from dtmf_shield.api.identity.own_account import OwnAccount, session_id
from dtmf_shield.api.identity.qr_code import qr_rows
from dtmf_shield.api.problem import ApiRefusal, documented
from dtmf_shield.api.resources.bodies import RequestBody, TypedCode, TypedPassword
from dtmf_shield.api.resources.sessions import SessionKind, SessionsEnded, kind_of
from dtmf_shield.api.views.words import Prose, View, WholeSecond, Word, moment_of

router = APIRouter(prefix="/v1", responses=documented())
FactorSecret = Annotated[str, StringConstraints(pattern=r"^[A-Z2-7]{32}$")]
FactorUri = Annotated[str, StringConstraints(pattern=r"^otpauth://totp/")]
RecoveryCode = Annotated[str, StringConstraints(pattern=r"^[a-z]{4}(-[a-z]{4}){3}$")]
QrRow = Annotated[str, StringConstraints(pattern=r"^[#.]{21,177}$")]
SessionName = Annotated[str, StringConstraints(pattern=r"^[a-p]{24}$")]
Code = Annotated[TypedCode, Field(min_length=1)]


class SecondFactorView(View):
    """Whether a code is asked for beside the password."""

    on: bool
    required: bool
    """Whether it must be on here."""
    since: WholeSecond | None
    recovery_codes_left: int


class OwnSessionView(View):
    """One session of one's own."""

    id: SessionName
    kind: SessionKind
    since: WholeSecond
    last_used: WholeSecond
    ends_at: WholeSecond
    this: bool
    """Whether it is the one that asks."""


class AccountView(View):
    """One's own account. ``how``: ``local``, ``oidc`` or ``link``; only a local one has a password here."""

    name: Prose
    how: Word
    provider: Prose | None
    """What the provider is called that keeps the password, where one does."""
    second_factor: SecondFactorView
    sessions: list[OwnSessionView]


class PasswordChange(RequestBody):
    """The password there is, and another."""

    current: TypedPassword
    password: TypedPassword


class FactorProof(RequestBody):
    """The password, and a code of the second factor there is, if there is one."""

    current: TypedPassword
    code: TypedCode = ""


class FactorBegun(View):
    """What an authenticator app is told; it holds once a code of it was sent. Shown this once."""

    secret: FactorSecret
    """Base32, to be typed in."""
    uri: FactorUri
    """The same as a link that authenticator apps open."""
    qr: list[QrRow]
    """The link as a QR code, row by row: ``#`` dark, ``.`` light; four light cells belong around it."""


class FactorCode(RequestBody):
    """A code of the authenticator app."""

    code: Code


class RecoveryCodes(View):
    """Codes for a lost phone, each good once. Shown this once."""

    recovery_codes: Annotated[list[RecoveryCode], Field(max_length=RECOVERY_CODES)]


class OwnSessionCommand(enum.StrEnum):
    """``end``: one session, and panels that it opened. ``end_others``: every sign-in but the one that asks."""

    END = "end"
    END_OTHERS = "end_others"


class OwnSessionRequest(RequestBody):
    """A command; ``session`` belongs to ``end``."""

    command: OwnSessionCommand
    session: SessionName | None = None

    @model_validator(mode="after")
    def _session_of_end(self) -> OwnSessionRequest:
        if (self.session is not None) != (self.command is OwnSessionCommand.END):
            raise ValueError("end needs a session; end_others takes none")
        return self


async def own_account(request: Request, asker: Asker, context: Context) -> OwnAccount:
    """Return the account of who asks. Raises ApiRefusal for programs, panels, and requests of other sites."""
    if not asker.by_cookie or asker.panel:
        raise ApiRefusal(403, "people-only", "Only a person at a page of this service has an account.")
    if request.method != "GET":
        require_same_origin(request)
    return OwnAccount(context.identity, asker, address_of(request))


Own = Annotated[OwnAccount, Depends(own_account)]


@router.get("/account", responses=documented(403))
async def read_account(own: Own, context: Context) -> AccountView:
    """Show one's own account."""
    session, identity = own.session, context.identity
    factor = identity.factors.of(session.name) if own.local else None
    return AccountView(
        name=session.name,
        how=session.kind,
        provider=identity.oidc.settings.label if identity.oidc and session.kind == "oidc" else None,
        second_factor=SecondFactorView(
            on=factor is not None,
            required=identity.factor_required and own.local,
            since=moment_of(factor.since) if factor else None,
            recovery_codes_left=len(factor.recovery) if factor else 0,
        ),
        sessions=[
            OwnSessionView(
                id=session_id(row),
                kind=kind_of(row),
                since=moment_of(row.created),
                last_used=moment_of(row.seen),
                ends_at=moment_of(row.ends),
                this=row.digest == session.digest,
            )
            for row in sorted(own.sessions(), key=lambda row: -row.seen)
        ],
    )


@router.post("/account/password", status_code=204, responses=documented(403, 409, 413))
async def change_password(own: Own, given: PasswordChange) -> Response:
    """Set another password. Every other sign-in of this person ends."""
    await own.change_password(given.current, given.password)
    return Response(status_code=204)


@router.post("/account/second-factor", status_code=201, responses=documented(403, 409, 413))
async def begin_second_factor(own: Own, given: FactorProof) -> FactorBegun:
    """Make the secret of a new second factor; one that is there stays until the new one is confirmed."""
    begun = await own.begin_factor(given.current, given.code)
    return FactorBegun(secret=begun.secret, uri=begun.uri, qr=list(qr_rows(begun.uri)))


@router.post("/account/second-factor/confirm", responses=documented(403, 409, 413))
async def confirm_second_factor(own: Own, given: FactorCode) -> RecoveryCodes:
    """Let the new second factor hold, by a code of it. Sign-ins without it end."""
    return RecoveryCodes(recovery_codes=list(own.confirm_factor(given.code)))


@router.post("/account/second-factor/remove", status_code=204, responses=documented(403, 409, 413))
async def remove_second_factor(own: Own, given: FactorProof) -> Response:
    """Go on without a second factor, where that is allowed."""
    await own.remove_factor(given.current, given.code)
    return Response(status_code=204)


@router.post("/account/sessions/commands", status_code=202, responses=documented(403, 404, 413))
async def command_sessions(own: Own, wanted: OwnSessionRequest) -> SessionsEnded:
    """End a session of one's own, or every sign-in but this."""
    return SessionsEnded(ended=own.end(wanted.session) if wanted.session else own.end_others())
