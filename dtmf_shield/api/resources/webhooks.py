"""Webhooks: how their deliveries go, and a test of one. They are set up in the configuration, not here."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from dtmf_shield.api.access import Context, OncePerKey, asker, once
from dtmf_shield.api.identity.principal import Principal, Role
from dtmf_shield.api.problem import documented
from dtmf_shield.api.resources.bodies import Identifier, NoMembers
from dtmf_shield.api.views import WebhookList, WebhookView

router = APIRouter(prefix="/v1/webhooks", responses=documented(403))
Engineer = Annotated[Principal, Depends(asker(Role.ENGINEER))]
Tester = Annotated[OncePerKey, Depends(once(Role.ENGINEER))]


@router.get("")
async def list_webhooks(_asker: Engineer, context: Context) -> WebhookList:
    """List the receivers of events and how their deliveries go."""
    return WebhookList(webhooks=tuple(context.backing.webhooks.webhooks()))


@router.post(
    "/{name}/test", status_code=202, response_model=WebhookView, responses=documented(403, 404, 409, 413)
)
async def test_webhook(name: Identifier, _wanted: NoMembers, once: Tester) -> Response:
    """Queue an event of type ``test`` for a receiver; the list tells whether it arrived."""

    def carry_out() -> WebhookView:
        view = once.context.backing.webhooks.test(name)
        once.context.deeds.webhook_tested(once.principal, view.name)
        return view

    return once.answer(202, carry_out)
