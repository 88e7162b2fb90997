"""Recordings: what there is, and the audio for supervisors, each download in the audit log."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query
from fastapi.responses import FileResponse

from dtmf_shield.api.access import Context, asker
from dtmf_shield.api.identity.principal import Principal, Role
from dtmf_shield.api.ports.recordings import RECORDINGS_PAGE_MAX
from dtmf_shield.api.problem import documented
from dtmf_shield.api.resources.bodies import Identifier
from dtmf_shield.api.views import RecordingPage, RecordingView

PAGE_ROWS: Final = 50
WAV: Final = "audio/wav"
router = APIRouter(prefix="/v1/recordings", responses=documented(403))
Supervisor = Annotated[Principal, Depends(asker(Role.SUPERVISOR))]
Given = Annotated[str | None, Query(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


@router.get("")
async def list_recordings(
    _asker: Supervisor,
    context: Context,
    call: Given = None,
    cursor: Given = None,
    limit: Annotated[int, Query(ge=1, le=RECORDINGS_PAGE_MAX)] = PAGE_ROWS,
) -> RecordingPage:
    """List complete recordings, newest first."""
    return await asyncio.to_thread(
        context.backing.recordings.page, before=cursor or "", rows=limit, call=call or ""
    )


@router.get("/{recording_id}", responses=documented(404))
async def get_recording(_asker: Supervisor, context: Context, recording_id: Identifier) -> RecordingView:
    """Show one recording."""
    return await asyncio.to_thread(context.backing.recordings.recording, recording_id)


@router.get(
    "/{recording_id}/audio",
    response_class=FileResponse,
    responses={
        **documented(404),
        200: {"content": {WAV: {"schema": {"type": "string", "format": "binary"}}}},
    },
)
async def get_recording_audio(asker: Supervisor, context: Context, recording_id: Identifier) -> FileResponse:
    """Download the audio: WAV, caller left, agent right, keys masked. Who took it is in the audit log."""
    file = await asyncio.to_thread(context.backing.recordings.file, recording_id)
    context.backing.recordings.taken(recording_id, asker.name)
    return FileResponse(file, media_type=WAV, filename=f"{recording_id}.wav")
