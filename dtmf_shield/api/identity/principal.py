"""Roles and principals: what somebody may do, and whose calls are their own. Default deny: a role is named or lacks."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from dtmf_shield.api.views import CallView


class Role(enum.StrEnum):
    """What a person or a program may do.

    ``agent``: own calls and their captures, and alone takes the payment of one. ``supervisor``: every call, its shield
    and outcome; starts, commands and ends captures; recordings, reports, and orders for payments that were made.
    ``engineer``: flows, nodes, health, webhooks, test calls; no customer data. ``auditor``: reads the audit log.
    ``admin``: users and keys.
    """

    AGENT = "agent"
    SUPERVISOR = "supervisor"
    ENGINEER = "engineer"
    AUDITOR = "auditor"
    ADMIN = "admin"


EVERY_ROLE: Final = frozenset(Role)


def roles_of(names: Iterable[str]) -> frozenset[Role]:
    """Return the roles of their names; one of another version is left out."""
    known = {role.value: role for role in Role}
    return frozenset(known[name] for name in names if name in known)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. ``name`` is what the audit log says; ``ends_s`` is wall time.

    ``agents``: names of agents (``[[agents]]`` or extension) whose calls are this principal's own; None: all of them,
    which holds for the local administrator and for programs with a key. ``proof``: digest of the session or the key
    that proves all this, empty for the key of the state directory. ``panel``: in another site's page.
    """

    name: str
    roles: frozenset[Role]
    by_cookie: bool
    ends_s: float
    agents: frozenset[str] | None = None
    language: str = ""
    proof: bytes = b""
    panel: bool = False

    def has(self, *roles: Role) -> bool:
        """Whether any of ``roles`` is held."""
        return not self.roles.isdisjoint(roles)

    def sees(self, call: CallView) -> bool:
        """Whether this call may be shown: a supervisor sees all, an agent their own."""
        if self.has(Role.SUPERVISOR):
            return True
        return self.has(Role.AGENT) and (self.agents is None or call.agent in self.agents)
