"""The audit log, for reading."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query
from pydantic import AfterValidator, StringConstraints

from dtmf_shield.api.access import Context, asker
from dtmf_shield.api.identity.principal import Principal, Role
from dtmf_shield.api.ports.audit import AUDIT_ROWS_MAX, AuditFilter
from dtmf_shield.api.problem import documented
from dtmf_shield.api.resources.bodies import Day, no_card_number
from dtmf_shield.api.views import AuditPage
from dtmf_shield.api.views.words import Cursor, Word

PAGE_ROWS: Final = 50
NAME_CHARACTERS_MAX: Final = 80
"""Of a person; names of the provider are the longest."""
PersonName = Annotated[
    str, StringConstraints(min_length=1, max_length=NAME_CHARACTERS_MAX), AfterValidator(no_card_number)
]
CallName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
router = APIRouter(prefix="/v1/audit", responses=documented(403))


@router.get("")
async def list_audit(
    asker: Annotated[Principal, Depends(asker(Role.AUDITOR))],
    context: Context,
    event: Annotated[Word | None, Query(description="Rows of this event alone.")] = None,
    person: Annotated[PersonName | None, Query(description="Rows by or about this person or key.")] = None,
    call: Annotated[CallName | None, Query(description="Rows of this call.")] = None,
    day: Annotated[Day | None, Query(description="Rows of this day, UTC.")] = None,
    cursor: Annotated[Cursor | None, Query(description="next_cursor of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=AUDIT_ROWS_MAX)] = PAGE_ROWS,
) -> AuditPage:
    """List audit rows, newest first, and whether their chain is intact. Who reads is a row too."""
    context.deeds.audit_read(asker)
    before = None if cursor is None else int(cursor)
    wanted = AuditFilter(event or "", person or "", call or "", day)
    return await asyncio.to_thread(context.backing.audit.page, before=before, rows=limit, wanted=wanted)
