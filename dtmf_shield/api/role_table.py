"""Who may what, read from the routes themselves: ``python -m dtmf_shield.api.role_table > docs/reference/roles.md``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from dtmf_shield.api.access import signed_in
from dtmf_shield.api.identity.principal import EVERY_ROLE, Role
from dtmf_shield.api.pages import PAGES
from dtmf_shield.api.resources import ROUTERS, probes

HEADER: Final = """# Who may what

Written from the routes by `python -m dtmf_shield.api.role_table`; a test compares them, and another asks each route
with each role. Not named is not allowed. An agent sees own calls only (`agents` of the user or the key).

- **agent**: own calls and their captures; nobody else takes the payment where a flow asks the caller to confirm it.
- **supervisor**: every call; starts captures, pauses, resumes and cancels them and, by API, asks for a field again;
  recordings, reports, and refund, capture or void of payments that were made.
- **engineer**: flows, nodes, health, webhooks, test calls; no customer data. **auditor**: reads the audit log.
  **admin**: users and keys.
- The one-time link that the start prints holds every role; the key in the state directory every role but admin.

"""


@dataclass(frozen=True, slots=True)
class Access:
    """One route. ``roles``: who may ask, None for everybody, signed in or not."""

    method: str
    path: str
    roles: frozenset[Role] | None


def accesses() -> list[Access]:
    """Return every route of the API, by path."""
    found = [
        Access(method, route.path, _roles(route.dependant))
        for router in (*ROUTERS, probes.router)
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in sorted(route.methods or ())
    ]
    return sorted(found, key=lambda access: (access.path, access.method))


def render() -> str:
    """Return the page as Markdown."""
    names = [role.value for role in Role]
    lines = ["| route | open | " + " | ".join(names) + " |", "|---|" + "---|" * (len(names) + 1)]
    for access in accesses():
        marks = ["yes" if access.roles is None else ""]
        marks += ["yes" if access.roles is not None and role in access.roles else "" for role in Role]
        lines.append(f"| {access.method} `{access.path}` | " + " | ".join(marks) + " |")
    lines.append(
        "\nPages: " + ", ".join(f"`/ui/{page}/` for {role.value}" for page, role in PAGES.items()) + "."
    )
    return HEADER + "\n".join(lines) + "\n"


def _roles(dependant: Dependant) -> frozenset[Role] | None:
    """Return the roles that the dependencies of a route ask for; two that ask both ask."""
    asked = list(_asked(dependant))
    return frozenset.intersection(*asked) if asked else None


def _asked(dependant: Dependant) -> Iterator[frozenset[Role]]:
    for one in dependant.dependencies:
        roles = getattr(one.call, "roles", None)
        if isinstance(roles, frozenset):
            yield roles
        elif one.call is signed_in:
            yield EVERY_ROLE
        yield from _asked(one)


if __name__ == "__main__":
    sys.stdout.write(render())
