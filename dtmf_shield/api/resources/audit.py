"""The audit log, for reading."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query

from dtmf_shield.api.access import Context, asker
from dtmf_shield.api.identity.principal import Principal, Role
from dtmf_shield.api.ports.audit import AUDIT_ROWS_MAX
from dtmf_shield.api.problem import documented
from dtmf_shield.api.views import AuditPage
from dtmf_shield.api.views.words import Cursor, Word

PAGE_ROWS: Final = 50
router = APIRouter(prefix="/v1/audit", responses=documented(403))


@router.get("")
async def list_audit(
    asker: Annotated[Principal, Depends(asker(Role.AUDITOR))],
    context: Context,
    event: Annotated[Word | None, Query(description="Rows of this event alone.")] = None,
    cursor: Annotated[Cursor | None, Query(description="next_cursor of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=AUDIT_ROWS_MAX)] = PAGE_ROWS,
) -> AuditPage:
    """List audit rows, newest first, and whether their chain is intact. Who reads is a row too."""
    context.deeds.audit_read(asker)
    before = None if cursor is None else int(cursor)
    return await asyncio.to_thread(context.backing.audit.page, before=before, rows=limit, event=event or "")
