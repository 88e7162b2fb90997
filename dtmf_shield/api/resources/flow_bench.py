"""Flows for those who write them: versions, texts and pictures of the served ones, and a workbench for drafts.

A draft is text in the request and nothing more: it is checked, drawn or simulated, and forgotten. What calls run
changes by a file and a reload, never from here.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path
from fastapi.responses import Response
from pydantic import AfterValidator, StringConstraints

from dtmf_shield.api.access import Context, OncePerKey, asker, once
from dtmf_shield.api.identity.principal import Principal, Role
from dtmf_shield.api.problem import documented
from dtmf_shield.api.resources.bodies import RequestBody
from dtmf_shield.api.views import (
    FlowCheckView,
    FlowDrawingView,
    FlowGraphView,
    FlowSourceView,
    FlowVersionList,
    TranscriptView,
)
from dtmf_shield.api.views.flow_bench import SVG_CHARACTERS_MAX, drawn_picture
from dtmf_shield.api.views.words import NO_LONG_RUN
from dtmf_shield.base.log import holds_card_number

SVG: Final = "image/svg+xml"
DRAFT_CHARACTERS_MAX: Final = 48_000
"""What the gate lets through with room for escapes; the longest shipped flow has 7,000."""
SCRIPT_CHARACTERS_MAX: Final = 8_000
router = APIRouter(prefix="/v1", responses=documented(403))
Engineer = Annotated[Principal, Depends(asker(Role.ENGINEER))]
Drafter = Annotated[OncePerKey, Depends(once(Role.ENGINEER, drafts=True))]
FlowId = Annotated[str, Path(pattern=r"^[a-z0-9-]{1,32}$")]


def _no_card_number(text: str) -> str:
    """The gate has looked at the request as it is written: JSON may write each digit as an escape."""
    if holds_card_number(text):
        raise ValueError("looks like a card number")
    return text


DraftText = Annotated[
    str,
    StringConstraints(strict=True, max_length=DRAFT_CHARACTERS_MAX),
    AfterValidator(_no_card_number),
]
ScriptText = Annotated[
    str,
    StringConstraints(strict=True, max_length=SCRIPT_CHARACTERS_MAX),
    AfterValidator(_no_card_number),
]
_DRAFT: Final[dict[str, Any]] = {"status_code": 200, "responses": documented(403, 409, 413)}


class FlowDraft(RequestBody):
    """A flow's text, YAML. A card number in it, a test card's too, is refused like in every request."""

    text: DraftText


class SimulatedDraft(FlowDraft):
    """A flow's text and what happens to it: a script as ``dtmf-shield flow simulate`` takes it, cards by name."""

    script: ScriptText = ""


@router.get("/flow-versions")
async def list_flow_versions(_asker: Engineer, context: Context) -> FlowVersionList:
    """List every flow of the service in its present version, with why one cannot be run here."""
    return FlowVersionList(flows=tuple(context.backing.flow_bench.versions()))


@router.get("/flows/{flow_id}", responses=documented(404))
async def get_flow(_asker: Engineer, context: Context, flow_id: FlowId) -> FlowSourceView:
    """Show the text of a flow as calls run it."""
    return await asyncio.to_thread(context.backing.flow_bench.source, flow_id)


@router.get("/flows/{flow_id}/graph", responses=documented(404))
async def get_flow_graph(_asker: Engineer, context: Context, flow_id: FlowId) -> FlowGraphView:
    """Show the steps of a flow and the ways between them."""
    return context.backing.flow_bench.graph(flow_id)


@router.get(
    "/flows/{flow_id}/picture",
    response_class=Response,
    responses={
        **documented(404),
        200: {
            "content": {
                SVG: {"schema": {"type": "string", "pattern": NO_LONG_RUN, "maxLength": SVG_CHARACTERS_MAX}}
            }
        },
    },
)
async def get_flow_picture(_asker: Engineer, context: Context, flow_id: FlowId) -> Response:
    """Show the picture of a flow, SVG."""
    return Response(drawn_picture(context.backing.flow_bench.picture(flow_id)), media_type=SVG)


@router.post("/flow-drafts/check", response_model=FlowCheckView, **_DRAFT)
async def check_draft(draft: FlowDraft, once: Drafter) -> Response:
    """Tell every mistake of a text, with line and column."""
    return await once.answer_later(200, lambda: once.context.backing.flow_bench.check(draft.text))


@router.post("/flow-drafts/graph", response_model=FlowDrawingView, **_DRAFT)
async def draw_draft(draft: FlowDraft, once: Drafter) -> Response:
    """Draw a text: picture, steps and ways; nothing where it has errors."""
    return await once.answer_later(200, lambda: once.context.backing.flow_bench.draw(draft.text))


@router.post("/flow-drafts/simulate", response_model=TranscriptView, **_DRAFT)
async def simulate_draft(draft: SimulatedDraft, once: Drafter) -> Response:
    """Run a text on virtual time and tell what happens. Test cards only, by name: ``card visa``."""
    return await once.answer_later(
        200, lambda: once.context.backing.flow_bench.simulate(draft.text, draft.script)
    )
