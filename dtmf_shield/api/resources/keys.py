"""Keys of programs: list, make, revoke. For administrators; every change is in the audit log."""

from __future__ import annotations

import enum
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path
from fastapi.responses import Response
from pydantic import AfterValidator, StringConstraints

from dtmf_shield.api.access import Context, OncePerKey, asker, once
from dtmf_shield.api.identity.principal import Principal, Role
from dtmf_shield.api.problem import documented
from dtmf_shield.api.resources.bodies import RequestBody, no_card_number
from dtmf_shield.api.resources.users import Agents, Roles, refused
from dtmf_shield.api.views.words import Prose, Secret, SecretOnceView, View, WholeSecond, moment_of
from dtmf_shield.store.identity_rows import KeyRow

router = APIRouter(prefix="/v1", responses=documented())
Admin = Annotated[OncePerKey, Depends(once(Role.ADMIN))]
KEY_NAME_FORM: Final = r"^[a-z][a-z0-9-]{0,31}$"
KeyName = Annotated[str, StringConstraints(pattern=KEY_NAME_FORM), AfterValidator(no_card_number)]


class KeyView(View):
    """A key, without what opens anything."""

    name: Prose
    roles: list[Role]
    agents: list[Prose] | None
    """Names whose calls it sees as an agent; null: every call."""
    created_at: WholeSecond
    revoked: bool


class KeyList(View):
    """All keys, by name, revoked ones too. The one in the state directory is not among them."""

    keys: list[KeyView]


class NewKey(RequestBody):
    """Which key is to be made; ``admin`` is not among the roles of keys."""

    name: KeyName
    roles: Roles
    agents: Agents | None = None


class KeyMade(SecretOnceView):
    """A new key. ``secret`` is sent as ``Authorization: Bearer`` and shown this once; null in a repeated answer."""

    key: KeyView
    secret: Secret | None

    def again(self) -> KeyMade:
        """Return it without the secret."""
        return self.model_copy(update={"secret": None, "already_shown": True})


class KeyCommand(enum.StrEnum):
    """What may become of a key."""

    REVOKE = "revoke"


class KeyCommandRequest(RequestBody):
    """A command."""

    command: KeyCommand


@router.get("/keys", responses=documented(403))
async def list_keys(_asker: Annotated[Principal, Depends(asker(Role.ADMIN))], context: Context) -> KeyList:
    """List the keys of programs."""
    return KeyList(keys=[_view(key) for key in context.identity.keys.all()])


@router.post("/keys", status_code=201, response_model=KeyMade, responses=documented(403, 409, 413))
async def make_key(wanted: NewKey, once: Admin) -> Response:
    """Make a key. Its secret is in this answer and nowhere else."""
    identity = once.context.identity

    def carry_out() -> KeyMade:
        with refused():
            secret = identity.keys.make(wanted.name, wanted.roles, wanted.agents)
        roles = "+".join(sorted(wanted.roles))
        identity.note("key_made", key=wanted.name, by=once.principal.name, roles=roles)
        made = next(key for key in identity.keys.all() if key.name == wanted.name)
        return KeyMade(key=_view(made), secret=secret)

    return once.answer(201, carry_out)


@router.post(
    "/keys/{name}/commands", status_code=202, response_model=KeyView, responses=documented(403, 404, 409, 413)
)
async def command_key(
    name: Annotated[str, Path(pattern=KEY_NAME_FORM)], _wanted: KeyCommandRequest, once: Admin
) -> Response:
    """Revoke a key: it opens nothing from now on, and its streams end."""
    identity = once.context.identity

    def carry_out() -> KeyView:
        with refused():
            key = identity.keys.revoke(name)
        identity.note("key_revoked", key=name, by=once.principal.name)
        identity.revoked()
        return _view(key)

    return once.answer(202, carry_out)


def _view(key: KeyRow) -> KeyView:
    return KeyView(
        name=key.name,
        roles=[Role(role) for role in key.roles if role in set(Role)],
        agents=None if key.agents is None else list(key.agents),
        created_at=moment_of(key.created),
        revoked=bool(key.revoked),
    )
