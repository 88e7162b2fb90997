"""The stream of changes."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header
from fastapi.responses import StreamingResponse

from dtmf_shield.api.access import Asker, Context
from dtmf_shield.api.problem import ApiRefusal, documented

router = APIRouter(prefix="/v1", responses=documented())


@router.get(
    "/events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
async def events(
    asker: Asker, context: Context, last_event_id: Annotated[str | None, Header()] = None
) -> StreamingResponse:
    """Stream changes as Server-Sent Events: call, capture, field, shield, payment, gone, resync, heartbeat."""
    if context.ring.full:
        raise ApiRefusal(503, "too-many-streams", "Too many event streams are open. Close a page.")
    stream = context.ring.stream(last_event_id, asker, lambda: context.identity.stands(asker))
    headers = {"X-Accel-Buffering": "no", "Cache-Control": "no-store"}
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)
