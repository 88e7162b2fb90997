"""Probes: whether the process answers, whether calls are shielded. Open to whoever reaches the address."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel

from dtmf_shield.api.access import Context
from dtmf_shield.api.problem import documented
from dtmf_shield.api.views import (
    ServiceView,
    ShieldState,
)

router = APIRouter(responses={status: documented()[status] for status in (400, 429)})


class Readiness(BaseModel):
    """Whether calls are shielded; the payment service may be down and calls still go on."""

    ready: bool
    service: ServiceView


class Alive(BaseModel):
    """The process answers."""

    alive: bool = True


@router.get("/livez")
async def livez() -> Alive:
    """Say that the process answers."""
    return Alive()


@router.get("/readyz", response_model=Readiness, responses={503: {"model": Readiness}})
async def readyz(context: Context) -> Response:
    """Say whether calls are shielded."""
    service = context.desk.service()
    readiness = Readiness(ready=service.shield is not ShieldState.FAULT, service=service)
    return JSONResponse(readiness.model_dump(mode="json"), status_code=200 if readiness.ready else 503)
