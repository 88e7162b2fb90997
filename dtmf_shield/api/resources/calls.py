"""Calls in progress and those that ended lately."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends

from dtmf_shield.api.access import ApiContext, Context, asker
from dtmf_shield.api.identity.principal import Principal, Role
from dtmf_shield.api.ports import CallNotFound
from dtmf_shield.api.problem import documented
from dtmf_shield.api.resources.bodies import (
    Identifier,
)
from dtmf_shield.api.views import (
    CallList,
    CallView,
)
from dtmf_shield.model.ids import CallId

router = APIRouter(prefix="/v1", responses=documented())
Watcher = Annotated[Principal, Depends(asker(Role.AGENT, Role.SUPERVISOR))]


@router.get("/calls", responses=documented(403))
async def list_calls(asker: Watcher, context: Context) -> CallList:
    """List calls in progress, newest first, then those that ended lately. An agent sees their own."""
    return CallList(calls=tuple(call for call in context.desk.calls() if asker.sees(call)))


@router.get("/calls/{call_id}", responses=documented(403, 404))
async def get_call(asker: Watcher, context: Context, call_id: Identifier) -> CallView:
    """Show one call."""
    return call_seen(context, asker, CallId(call_id))


def call_seen(context: ApiContext, principal: Principal, call_id: CallId) -> CallView:
    """Return a call that ``principal`` may see. Raises CallNotFound for others too: that they are there is no news."""
    call = context.desk.call(call_id)
    if not principal.sees(call):
        context.deeds.call_denied(principal, call)
        raise CallNotFound
    return call
