"""What ``dtmf-shield users`` and ``api-keys`` do to the file of users, beside a running service or without one.

A running ``control`` takes it over within a second, ends sessions, and writes the audit log: each change leaves a note.
"""

from __future__ import annotations

import getpass
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from dtmf_shield.api.identity.keys import Keys
from dtmf_shield.api.identity.one_time_login import issue_ticket, login_url
from dtmf_shield.api.identity.principal import Role
from dtmf_shield.api.identity.sessions import SessionLimits, Sessions
from dtmf_shield.api.identity.users import UserRefusal, Users
from dtmf_shield.base.clock import Clock
from dtmf_shield.base.errors import OperatorError
from dtmf_shield.base.system_clock import SystemClock
from dtmf_shield.store.identity_rows import IDENTITY_FILE, IdentityRows, KeyRow, UserRow

ROLES: Final = tuple(role.value for role in Role)


class People:
    """The file in ``state``, opened for one command."""

    def __init__(self, state: Path, origin: str, clock: Clock | None = None) -> None:
        """``state``: the state directory. ``origin``: where browsers reach the service. Raises OperatorError."""
        self._clock, self._origin = clock or SystemClock(), origin
        self._rows = IdentityRows(state / IDENTITY_FILE)
        self._users = Users(self._rows, self._clock)
        self._sessions = Sessions(self._rows, self._clock, self._users, SessionLimits())
        self._keys = Keys(self._rows, self._clock, None)

    def close(self) -> None:
        """Close the file."""
        self._rows.close()

    def users(self) -> list[dict[str, Any]]:
        """Return everybody."""
        with_factor = {factor.name for factor in self._rows.factors()}
        return [_user(user, second_factor=user.name in with_factor) for user in self._users.all()]

    def add(self, name: str, roles: Iterable[str], agents: Iterable[str] | None) -> str:
        """Make a user; return the link that sets their password. Raises OperatorError."""
        roles = _known(roles)
        with _mended():
            secret = self._users.make(name, roles, agents)
        self._note("user_made", user=name, roles="+".join(sorted(roles)))
        return self._welcome(secret)

    def disable(self, name: str) -> None:
        """Let a user sign in no more. Raises OperatorError."""
        with _mended():
            self._users.disable(name)
        self._sessions.close_all_of(name)
        self._note("user_disabled", user=name)

    def enable(self, name: str) -> None:
        """Let a disabled user sign in again. Raises OperatorError."""
        with _mended():
            self._users.enable(name)
        self._note("user_enabled", user=name)

    def reset(self, name: str) -> str:
        """Take a password away; return the link that sets a new one. Raises OperatorError."""
        with _mended():
            secret = self._users.reset(name)
        self._sessions.close_all_of(name)
        self._note("password_reset", user=name)
        return self._welcome(secret)

    def reset_second_factor(self, name: str) -> None:
        """Forget a lost second factor and end the sessions. Raises OperatorError."""
        with _mended():
            if self._users.find(name) is None:
                raise UserRefusal("user-not-found", "There is no such user.")
        if name not in {factor.name for factor in self._rows.factors()}:
            raise OperatorError(f"{name} has no second factor")
        self._rows.remove_factor(name)
        self._sessions.close_all_of(name)
        self._note("second_factor_reset", user=name)

    def link(self) -> str:
        """Return a one-time link of the local administrator."""
        ticket = issue_ticket(self._rows, self._clock)
        self._note("link_made")
        return login_url(self._origin, ticket)

    def keys(self) -> list[dict[str, Any]]:
        """Return the keys of programs."""
        return [_key(key) for key in self._keys.all()]

    def add_key(self, name: str, roles: Iterable[str], agents: Iterable[str] | None) -> str:
        """Make a key and return it. Raises OperatorError."""
        roles = _known(roles)
        with _mended():
            key = self._keys.make(name, roles, agents)
        self._note("key_made", key=name, roles="+".join(sorted(roles)))
        return key

    def revoke_key(self, name: str) -> None:
        """Let a key open nothing any more. Raises OperatorError."""
        with _mended():
            self._keys.revoke(name)
        self._note("key_revoked", key=name)

    def _note(self, event: str, **facts: str | int) -> None:
        self._rows.add_note(event, {**facts, "by": f"command-line:{getpass.getuser()}"})

    def _welcome(self, secret: str) -> str:
        return f"{self._origin}/welcome#{secret}"


class _mended:  # noqa: N801 - a context manager, used as a word
    """Turns a refusal into a sentence for the operator."""

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, _kind: object, error: object, _trace: object) -> None:
        """Raise OperatorError in place of UserRefusal."""
        if isinstance(error, UserRefusal):
            raise OperatorError(f"{error} (list shows which there are)") from error


def _known(roles: Iterable[str]) -> tuple[str, ...]:
    given = tuple(roles)
    unknown = [role for role in given if role not in ROLES]
    if unknown or not given:
        found = repr(unknown[0]) if unknown else "none"
        raise OperatorError(f"--role: found {found}; allowed: one or more of {', '.join(ROLES)}")
    return given


def _user(user: UserRow, *, second_factor: bool) -> dict[str, Any]:
    state = "disabled" if user.disabled else "active" if user.password else "invited"
    agents = None if user.agents is None else list(user.agents)
    return {
        "name": user.name,
        "roles": list(user.roles),
        "agents": agents,
        "state": state,
        "second_factor": second_factor,
    }


def _key(key: KeyRow) -> dict[str, Any]:
    agents = None if key.agents is None else list(key.agents)
    return {"name": key.name, "roles": list(key.roles), "agents": agents, "revoked": bool(key.revoked)}
