"""Nodes: the health of the service itself."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends

from dtmf_shield.api.access import Context, asker
from dtmf_shield.api.identity.principal import Principal, Role
from dtmf_shield.api.problem import documented
from dtmf_shield.api.views import NodeList

router = APIRouter(prefix="/v1/nodes", responses=documented(403))


@router.get("")
async def list_nodes(
    _asker: Annotated[Principal, Depends(asker(Role.ENGINEER))], context: Context
) -> NodeList:
    """Show processes, limits in use, gateway, certificates, event readers and trunks."""
    return NodeList(nodes=tuple(await context.backing.nodes.nodes()))
