"""Flows that a capture may be started with."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends

from dtmf_shield.api.access import Context, asker
from dtmf_shield.api.identity.principal import Principal, Role
from dtmf_shield.api.problem import documented
from dtmf_shield.api.views import (
    FlowList,
)

router = APIRouter(prefix="/v1", responses=documented())


@router.get("/flows", responses=documented(403))
async def list_flows(
    _asker: Annotated[Principal, Depends(asker(Role.AGENT, Role.SUPERVISOR, Role.ENGINEER))], context: Context
) -> FlowList:
    """List the flows a capture may be started with."""
    return FlowList(flows=tuple(context.desk.flows()))
