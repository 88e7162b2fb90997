"""Local users: list, make, change. For administrators; every change is in the audit log."""

from __future__ import annotations

import enum
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path
from fastapi.responses import Response
from pydantic import AfterValidator, Field, StringConstraints, model_validator

from dtmf_shield.api.access import ApiContext, Context, OncePerKey, asker, once
from dtmf_shield.api.identity.principal import Principal, Role
from dtmf_shield.api.identity.users import AGENTS_OF_A_USER_MAX, UserRefusal
from dtmf_shield.api.problem import ApiRefusal, documented
from dtmf_shield.api.resources.bodies import Language, RequestBody, no_card_number
from dtmf_shield.api.views.words import (
    LanguageTag,
    Prose,
    SecretLink,
    SecretOnceView,
    View,
    WholeSecond,
    moment_of,
)
from dtmf_shield.store.identity_rows import UserRow

router = APIRouter(prefix="/v1", responses=documented())
Admin = Annotated[OncePerKey, Depends(once(Role.ADMIN))]
USER_NAME_FORM: Final = r"^[a-z][a-z0-9._@-]{1,63}$"
UserName = Annotated[str, StringConstraints(pattern=USER_NAME_FORM), AfterValidator(no_card_number)]
AgentName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$"), AfterValidator(no_card_number)
]
Roles = Annotated[list[Role], Field(min_length=1, max_length=len(Role))]
Agents = Annotated[list[AgentName], Field(max_length=AGENTS_OF_A_USER_MAX)]
_STATUS: Final = {
    "user-not-found": 404,
    "key-not-found": 404,
    "user-name": 422,
    "key-name": 422,
    "key-admin": 422,
}


class UserState(enum.StrEnum):
    """``invited``: no password yet, or taken away; the link sets one."""

    INVITED = "invited"
    ACTIVE = "active"
    DISABLED = "disabled"


class UserView(View):
    """One person."""

    name: Prose
    roles: list[Role]
    agents: list[Prose] | None
    """Names whose calls are their own; null: every call."""
    language: LanguageTag | None
    state: UserState
    created_at: WholeSecond
    sessions: int
    """Sessions they have open: browsers, and panels in other sites' pages."""
    second_factor: bool
    """Whether a code is asked for beside the password."""


class UserList(View):
    """Everybody, by name."""

    users: list[UserView]


class UserChanged(SecretOnceView):
    """A user after a change. ``link``: where they set their password, once, within a day; shown this once."""

    user: UserView
    link: SecretLink | None = None

    def again(self) -> UserChanged:
        """Return it without the link."""
        return self.model_copy(update={"link": None, "already_shown": self.link is not None})


class NewUser(RequestBody):
    """Who is to be made. ``agents`` not given: every call is their own."""

    name: UserName
    roles: Roles
    agents: Agents | None = None
    language: Language | None = None


class UserCommand(enum.StrEnum):
    """``reset`` takes the password away and gives a link; ``reset_second_factor`` forgets a lost one; ``sign_out`` ends
    sessions; ``change`` gives other rights."""

    DISABLE = "disable"
    ENABLE = "enable"
    RESET = "reset"
    RESET_SECOND_FACTOR = "reset_second_factor"
    SIGN_OUT = "sign_out"
    CHANGE = "change"


class UserCommandRequest(RequestBody):
    """A command; roles, agents, every_call, language and browsers_language belong to ``change``."""

    command: UserCommand
    roles: Roles | None = None
    agents: Agents | None = None
    every_call: bool = False
    language: Language | None = None
    browsers_language: bool = False
    """The browser's again: ``language`` is forgotten."""

    @model_validator(mode="after")
    def _members_of_change(self) -> UserCommandRequest:
        told = (self.roles, self.agents, self.language)
        given = any(one is not None for one in told) or self.every_call or self.browsers_language
        if given != (self.command is UserCommand.CHANGE):
            raise ValueError("change needs what is to change; the others take nothing")
        return self


@router.get("/users", responses=documented(403))
async def list_users(_asker: Annotated[Principal, Depends(asker(Role.ADMIN))], context: Context) -> UserList:
    """List everybody. Nothing of a password is ever shown."""
    return UserList(users=[_view(context, user) for user in context.identity.users.all()])


@router.post("/users", status_code=201, response_model=UserChanged, responses=documented(403, 409, 413))
async def make_user(wanted: NewUser, once: Admin) -> Response:
    """Make a user; the answer has the link by which they set their password."""
    identity = once.context.identity

    def carry_out() -> UserChanged:
        with refused():
            secret = identity.users.make(wanted.name, wanted.roles, wanted.agents, wanted.language or "")
        _note(once, "user_made", wanted.name, roles="+".join(sorted(wanted.roles)))
        return _changed(once.context, wanted.name, secret)

    return once.answer(201, carry_out)


@router.post(
    "/users/{name}/commands",
    status_code=202,
    response_model=UserChanged,
    responses=documented(403, 404, 409, 413),
)
async def command_user(
    name: Annotated[str, Path(pattern=USER_NAME_FORM)], wanted: UserCommandRequest, once: Admin
) -> Response:
    """Disable (sessions and streams end at once), enable, reset password or second factor, sign out, change rights."""

    def carry_out() -> UserChanged:
        with refused():
            secret = _carry_out(once, name, wanted)
        once.context.identity.revoked()
        return _changed(once.context, name, secret)

    return once.answer(202, carry_out)


class refused:  # noqa: N801 - a context manager, used as a word
    """Answers a refusal of users and keys with its problem."""

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, _kind: object, error: object, _trace: object) -> None:
        """Turn a UserRefusal into an ApiRefusal."""
        if isinstance(error, UserRefusal):
            raise ApiRefusal(_STATUS.get(error.slug, 409), error.slug, str(error)) from error


def _carry_out(once: OncePerKey, name: str, wanted: UserCommandRequest) -> str | None:
    identity, secret = once.context.identity, None
    match wanted.command:
        case UserCommand.DISABLE:
            identity.users.disable(name)
            identity.sessions.close_all_of(name)
            _note(once, "user_disabled", name)
        case UserCommand.ENABLE:
            identity.users.enable(name)
            _note(once, "user_enabled", name)
        case UserCommand.RESET:
            secret = identity.users.reset(name)
            identity.sessions.close_all_of(name)
            identity.guard.forget(name)
            _note(once, "password_reset", name)
        case UserCommand.RESET_SECOND_FACTOR:
            if identity.users.find(name) is None:
                raise UserRefusal("user-not-found", "There is no such user.")
            if not identity.factors.remove(name):
                raise UserRefusal("factor-off", "There is no second factor.")
            identity.sessions.close_all_of(name)
            _note(once, "second_factor_reset", name)
        case UserCommand.SIGN_OUT:
            if identity.users.find(name) is None:
                raise UserRefusal("user-not-found", "There is no such user.")
            _note(once, "signed_out", name, sessions=identity.sessions.close_all_of(name))
        case UserCommand.CHANGE:
            user = identity.users.change(
                name,
                roles=wanted.roles,
                agents=wanted.agents,
                every_call=wanted.every_call,
                language="" if wanted.browsers_language else wanted.language,
            )
            _note(once, "user_changed", name, roles="+".join(user.roles))
    return secret


def _note(once: OncePerKey, event: str, user: str, **facts: str | int) -> None:
    once.context.identity.note(event, user=user, by=once.principal.name, **facts)


def _changed(context: ApiContext, name: str, secret: str | None) -> UserChanged:
    user = context.identity.users.find(name)
    if user is None:
        raise ApiRefusal(404, "user-not-found", "There is no such user.")
    link = None if secret is None else f"/welcome#{secret}"
    return UserChanged(user=_view(context, user), link=link)


def _view(context: ApiContext, user: UserRow) -> UserView:
    state = UserState.DISABLED if user.disabled else UserState.ACTIVE if user.password else UserState.INVITED
    return UserView(
        name=user.name,
        roles=[Role(role) for role in user.roles if role in set(Role)],
        agents=None if user.agents is None else list(user.agents),
        language=user.language or None,
        state=state,
        created_at=moment_of(user.created),
        sessions=context.identity.sessions.of(user.name),
        second_factor=context.identity.factors.of(user.name) is not None,
    )
