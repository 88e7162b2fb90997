"""The resources under /v1: calls, captures, commands, flows, events; and the probes."""

from __future__ import annotations

import enum
import re
from typing import Annotated, Final

from fastapi import APIRouter, Header, Path
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from dtmf_shield.api.access import ApiContext, Asker, Context, Once
from dtmf_shield.api.ports import CaptureSending
from dtmf_shield.api.problem import ApiRefusal, documented
from dtmf_shield.api.views import (
    CallList,
    CallView,
    CaptureView,
    FlowList,
    ServiceView,
    ShieldState,
    TokenView,
    Word,
)
from dtmf_shield.base.log import holds_card_number
from dtmf_shield.model.capture import CaptureState
from dtmf_shield.model.ids import CallId, CaptureId
from dtmf_shield.model.payment import AMOUNT_MINOR_MAX, Money

DIGITS_IN_A_ROW_MAX: Final = 11
"""One less than the shortest card number still issued (Maestro, 12)."""

AT_GATEWAY: Final = frozenset({CaptureState.SENDING, CaptureState.PAYING, CaptureState.SETTLING})
"""Nothing can be changed any more."""
_LONG_RUN: Final = re.compile(rf"[0-9]{{{DIGITS_IN_A_ROW_MAX + 1}}}")


def _no_card_number(text: str) -> str:
    if _LONG_RUN.search(text) or holds_card_number(text) or holds_card_number(text.replace("-", "")):
        raise ValueError("looks like a card number")
    return text


Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{1,32}$"), AfterValidator(_no_card_number)]
Identifier = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class RequestBody(BaseModel):
    """A request body: nothing extra, and its values stay out of error texts."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class CaptureInputs(RequestBody):
    """What the agent's desktop knows of the payment."""

    reference: Name | None = None
    """The merchant's own; a capture started by star code or dialled number has none either."""
    amount_minor: Annotated[int, Field(strict=True, ge=1, le=AMOUNT_MINOR_MAX)] | None = None
    """In minor units: 10.50 EUR is 1050. Needed where the flow charges or authorizes and has no amount of its own."""
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")] | None = None
    """ISO 4217."""

    @model_validator(mode="after")
    def _amount_whole(self) -> CaptureInputs:
        if (self.amount_minor is None) != (self.currency is None):
            raise ValueError("amount_minor and currency belong together")
        return self

    @property
    def amount(self) -> Money:
        """Both together."""
        return Money(self.amount_minor or 0, self.currency or "")


class CaptureRequest(RequestBody):
    """Start ``flow`` on a call."""

    flow: Name
    inputs: CaptureInputs = CaptureInputs()


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


class NoMembers(RequestBody):
    """A command that needs no more words."""


class Readiness(BaseModel):
    """Whether calls are shielded; the payment service may be down and calls still go on."""

    ready: bool
    service: ServiceView


class Alive(BaseModel):
    """The process answers."""

    alive: bool = True


v1 = APIRouter(prefix="/v1", responses=documented())
probes = APIRouter(responses={400: documented()[400]})


@v1.get("/calls")
async def list_calls(_asker: Asker, context: Context) -> CallList:
    """List calls in progress, newest first, then those that ended lately."""
    return CallList(calls=tuple(context.desk.calls()))


@v1.get("/calls/{call_id}", responses=documented(404))
async def get_call(_asker: Asker, context: Context, call_id: Identifier) -> CallView:
    """Show one call."""
    return context.desk.call(CallId(call_id))


@v1.post(
    "/calls/{call_id}/captures",
    status_code=201,
    response_model=CaptureView,
    responses=documented(403, 404, 409, 413),
)
async def start_capture(call_id: Identifier, wanted: CaptureRequest, once: Once) -> Response:
    """Start a capture on a call that is connected on both sides."""
    desk = once.context.desk

    def carry_out() -> CaptureView:
        inputs = wanted.inputs
        capture_id = desk.start_capture(CallId(call_id), wanted.flow, inputs.reference or "", inputs.amount)
        return desk.capture(capture_id)

    return once.answer(201, carry_out)


@v1.get("/captures/{capture_id}", responses=documented(404))
async def get_capture(_asker: Asker, context: Context, capture_id: Identifier) -> CaptureView:
    """Show one capture."""
    return context.desk.capture(CaptureId(capture_id))


@v1.get("/captures/{capture_id}/token", responses=documented(403, 404))
async def get_token(asker: Asker, context: Context, capture_id: Identifier) -> TokenView:
    """Give the token to a program that has the key. A browser session gets 403: no person needs it."""
    if asker.by_cookie:
        raise ApiRefusal(403, "machines-only", "Tokens are for programs with the API key.")
    token = context.desk.token(CaptureId(capture_id))
    outcome = context.desk.capture(CaptureId(capture_id)).outcome
    return TokenView(token=token, test=outcome is not None and outcome.test)


@v1.post(
    "/captures/{capture_id}/commands",
    status_code=202,
    response_model=CaptureView,
    responses=documented(403, 404, 409, 413),
)
async def command_capture(capture_id: Identifier, wanted: CommandRequest, once: Once) -> Response:
    """Collect a field again, pause, resume, or cancel. Refused once the card is being sent."""

    def carry_out() -> CaptureView:
        return _carry_out(once.context, CaptureId(capture_id), wanted)

    return once.answer(202, carry_out)


@v1.post(
    "/captures/{capture_id}/pay",
    status_code=202,
    response_model=CaptureView,
    responses=documented(403, 404, 409, 413),
)
async def take_payment(capture_id: Identifier, _wanted: NoMembers, once: Once) -> Response:
    """Take the payment where the flow asks the caller to confirm it: what its menu lets the agent choose."""

    def carry_out() -> CaptureView:
        desk = once.context.desk
        desk.take_payment(CaptureId(capture_id))
        return desk.capture(CaptureId(capture_id))

    return once.answer(202, carry_out)


def _carry_out(context: ApiContext, capture_id: CaptureId, wanted: CommandRequest) -> CaptureView:
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
    return desk.capture(capture_id)


@v1.get("/flows")
async def list_flows(_asker: Asker, context: Context) -> FlowList:
    """List the flows a capture may be started with."""
    return FlowList(flows=tuple(context.desk.flows()))


@v1.get(
    "/events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
async def events(
    asker: Asker, context: Context, last_event_id: Annotated[str | None, Header()] = None
) -> StreamingResponse:
    """Stream changes as Server-Sent Events: call, capture, field, shield, payment, resync, heartbeat."""
    if context.ring.full:
        raise ApiRefusal(503, "too-many-streams", "Too many event streams are open. Close a page.")
    stream = context.ring.stream(last_event_id, lambda: context.clock.wall_s() < asker.ends_s)
    headers = {"X-Accel-Buffering": "no", "Cache-Control": "no-store"}
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)


@probes.get("/livez")
async def livez() -> Alive:
    """Say that the process answers."""
    return Alive()


@probes.get("/readyz", response_model=Readiness, responses={503: {"model": Readiness}})
async def readyz(context: Context) -> Response:
    """Say whether calls are shielded."""
    service = context.desk.service()
    readiness = Readiness(ready=service.shield is not ShieldState.FAULT, service=service)
    return JSONResponse(readiness.model_dump(mode="json"), status_code=200 if readiness.ready else 503)
