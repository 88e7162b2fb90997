"""Captures: begin, look, command, pay, and the token for programs."""

from __future__ import annotations

import enum
from typing import Annotated, Final

from fastapi import APIRouter, Depends
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from dtmf_shield.api.access import ApiContext, Context, OncePerKey, asker, once
from dtmf_shield.api.deeds import CaptureDeed
from dtmf_shield.api.identity.principal import Principal, Role
from dtmf_shield.api.ports import CallNotFound, CaptureNotFound, CaptureSending
from dtmf_shield.api.problem import ApiRefusal, documented
from dtmf_shield.api.resources.bodies import (
    Identifier,
    InputName,
    InputText,
    Language,
    Name,
    NoMembers,
    RequestBody,
)
from dtmf_shield.api.resources.calls import call_seen
from dtmf_shield.api.views import (
    CaptureView,
    TokenView,
    Word,
)
from dtmf_shield.model.capture import CaptureState
from dtmf_shield.model.ids import CallId, CaptureId
from dtmf_shield.model.payment import AMOUNT_MINOR_MAX, NO_MONEY, Money

INPUTS_MAX: Final = 32
"""As many as a flow may have."""
AT_GATEWAY: Final = frozenset({CaptureState.SENDING, CaptureState.PAYING, CaptureState.SETTLING})
"""Nothing can be changed any more."""
router = APIRouter(prefix="/v1", responses=documented())
Commander = Annotated[OncePerKey, Depends(once(Role.AGENT, Role.SUPERVISOR))]
Payer = Annotated[OncePerKey, Depends(once(Role.AGENT))]
"""Who talks to the caller: nobody else knows that the caller agrees to be charged."""
Watcher = Annotated[Principal, Depends(asker(Role.AGENT, Role.SUPERVISOR))]


class CaptureInputs(BaseModel):
    """What the flow is told: each of its inputs under its own name, as text.

    ``reference`` and ``amount_minor`` with ``currency`` stand for what the flow calls them, whatever that is.
    """

    model_config = ConfigDict(
        frozen=True, extra="allow", hide_input_in_errors=True, use_attribute_docstrings=True
    )
    __pydantic_extra__: dict[InputName, InputText] = Field(init=False)

    reference: Name | None = None
    """The merchant's own; a capture started by star code or dialled number has none either."""
    amount_minor: Annotated[int, Field(strict=True, ge=1, le=AMOUNT_MINOR_MAX)] | None = None
    """In minor units: 10.50 EUR is 1050. Needed where the flow charges or authorizes and has no amount of its own."""
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")] | None = None
    """ISO 4217."""

    @model_validator(mode="after")
    def _amount_whole(self) -> CaptureInputs:
        if self.amount_minor is not None and self.currency is None:
            raise ValueError("amount_minor needs currency")
        if len(self.__pydantic_extra__) > INPUTS_MAX:
            raise ValueError(f"at most {INPUTS_MAX} inputs")
        return self

    @property
    def amount(self) -> Money:
        """Both together; none where the flow's own input tells the amount."""
        return NO_MONEY if self.amount_minor is None else Money(self.amount_minor, self.currency or "")

    @property
    def given(self) -> dict[str, str]:
        """Inputs under the flow's own names."""
        own = {} if self.amount_minor is not None or self.currency is None else {"currency": self.currency}
        return {**self.__pydantic_extra__, **own}


class CaptureRequest(RequestBody):
    """Start ``flow`` on a call."""

    flow: Name
    inputs: CaptureInputs = CaptureInputs()
    language: Language | None = None
    """Spoken by flows that take it from the call; none: as the route says, else the flow's default."""


class Command(enum.StrEnum):
    """``request`` and ``redo`` both collect a field now, its old content wiped.

    ``pause``: keys are masked and dropped and the caller's time stands still, until ``resume``.
    """

    REQUEST = "request"
    REDO = "redo"
    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"


class CommandRequest(RequestBody):
    """A command to a running capture; ``field`` belongs to request and redo."""

    command: Command
    field: Word | None = None

    @model_validator(mode="after")
    def _field_where_needed(self) -> CommandRequest:
        if (self.command in (Command.REQUEST, Command.REDO)) != (self.field is not None):
            raise ValueError("request and redo need a field; the others take none")
        return self


@router.post(
    "/calls/{call_id}/captures",
    status_code=201,
    response_model=CaptureView,
    responses=documented(403, 404, 409, 413),
)
async def start_capture(call_id: Identifier, wanted: CaptureRequest, once: Commander) -> Response:
    """Start a capture on a call that is connected on both sides."""
    desk = once.context.desk

    def carry_out() -> CaptureView:
        call_seen(once.context, once.principal, CallId(call_id))
        inputs = wanted.inputs
        capture_id = desk.start_capture(
            CallId(call_id),
            wanted.flow,
            inputs.reference or "",
            inputs.amount,
            inputs.given,
            wanted.language or "",
        )
        return _done(once, CaptureDeed.START, capture_id)

    return once.answer(201, carry_out)


@router.get("/captures/{capture_id}", responses=documented(403, 404))
async def get_capture(asker: Watcher, context: Context, capture_id: Identifier) -> CaptureView:
    """Show one capture."""
    return _seen(context, asker, capture_id)


@router.get("/captures/{capture_id}/token", responses=documented(403, 404))
async def get_token(asker: Watcher, context: Context, capture_id: Identifier) -> TokenView:
    """Give the token to a program that has the key. A browser session gets 403: no person needs it.

    It is there for captures of calls in progress and of the last 1,000 calls that ended with one, until the service, or
    its control process, starts anew.
    """
    if asker.by_cookie:
        raise ApiRefusal(403, "machines-only", "Tokens are for programs with the API key.")
    capture = _seen(context, asker, capture_id)
    token = context.desk.token(capture.id)
    context.deeds.token_taken(asker, capture)
    return TokenView(token=token, test=capture.outcome is not None and capture.outcome.test)


@router.post(
    "/captures/{capture_id}/commands",
    status_code=202,
    response_model=CaptureView,
    responses=documented(403, 404, 409, 413),
)
async def command_capture(capture_id: Identifier, wanted: CommandRequest, once: Commander) -> Response:
    """Collect a field again, pause, resume, or cancel. Refused once the card is being sent."""

    def carry_out() -> CaptureView:
        _seen(once.context, once.principal, capture_id)
        _carry_out(once.context, CaptureId(capture_id), wanted)
        return _done(once, CaptureDeed(wanted.command), CaptureId(capture_id), wanted.field)

    return once.answer(202, carry_out)


@router.post(
    "/captures/{capture_id}/pay",
    status_code=202,
    response_model=CaptureView,
    responses=documented(403, 404, 409, 413),
)
async def take_payment(capture_id: Identifier, _wanted: NoMembers, once: Payer) -> Response:
    """Take the payment where the flow asks the caller to confirm it: what its menu lets the agent choose.

    For agents alone: who does not talk to the caller does not know that they agree.
    """

    def carry_out() -> CaptureView:
        _seen(once.context, once.principal, capture_id)
        once.context.desk.take_payment(CaptureId(capture_id))
        return _done(once, CaptureDeed.PAY, CaptureId(capture_id))

    return once.answer(202, carry_out)


def _seen(context: ApiContext, principal: Principal, capture_id: str) -> CaptureView:
    """Return a capture of a call that ``principal`` may see. Raises CaptureNotFound for others too."""
    capture = context.desk.capture(CaptureId(capture_id))
    try:
        call_seen(context, principal, capture.call)
    except CallNotFound:
        raise CaptureNotFound from None
    return capture


def _done(
    once: OncePerKey, deed: CaptureDeed, capture_id: CaptureId, field: str | None = None
) -> CaptureView:
    """Tell the audit log who did it, and return what the capture is now."""
    capture = once.context.desk.capture(capture_id)
    once.context.deeds.with_capture(once.principal, deed, capture, field)
    return capture


def _carry_out(context: ApiContext, capture_id: CaptureId, wanted: CommandRequest) -> None:
    desk = context.desk
    if desk.capture(capture_id).state in AT_GATEWAY:
        raise CaptureSending
    if wanted.field is not None:
        desk.request_field(capture_id, wanted.field)
    elif wanted.command is Command.PAUSE:
        desk.pause_capture(capture_id)
    elif wanted.command is Command.RESUME:
        desk.resume_capture(capture_id)
    else:
        desk.cancel_capture(capture_id)
