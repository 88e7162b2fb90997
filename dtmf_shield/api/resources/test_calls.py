"""Test calls of the play phones and their evidence, for engineers. Demo mode only: elsewhere each route says so.

What is shown as sound or spectrum is of these calls alone, in which published TEST cards are keyed; no route leads to
the audio of any other call.
"""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path
from fastapi.responses import Response

from dtmf_shield.api.access import Context, asker
from dtmf_shield.api.identity.principal import Principal, Role
from dtmf_shield.api.problem import documented
from dtmf_shield.api.views.test_calls import Side, TestCallEvidence, TestCallList

PNG: Final = "image/png"
router = APIRouter(prefix="/v1/test-calls", responses=documented(403, 404))
Engineer = Annotated[Principal, Depends(asker(Role.ENGINEER))]
CallId = Annotated[str, Path(pattern=r"^[a-z]{8}$")]


@router.get("")
async def list_test_calls(_asker: Engineer, context: Context) -> TestCallList:
    """List the last test calls, newest first."""
    return await context.backing.test_calls.calls()


@router.get("/{test_call_id}/evidence", responses=documented(409))
async def get_evidence(_asker: Engineer, context: Context, test_call_id: CallId) -> TestCallEvidence:
    """Show what a test call proves: keys heard on both sides, each press, and peaks to draw."""
    return await context.backing.test_calls.evidence(test_call_id)


@router.get(
    "/{test_call_id}/evidence/{side}.png",
    response_class=Response,
    responses={200: {"content": {PNG: {"schema": {"type": "string", "format": "binary"}}}}},
)
async def get_evidence_picture(
    _asker: Engineer, context: Context, test_call_id: CallId, side: Side
) -> Response:
    """Show the spectrum of what one phone sent or received, on the axes that the evidence tells."""
    return Response(await context.backing.test_calls.picture(test_call_id, side), media_type=PNG)
