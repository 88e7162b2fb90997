"""Sessions of browsers: kept by the service, found by a random cookie, ended by logout, idleness, age or an admin.

The cookie is 256 random bits and says nothing; its digest is kept, so that a read of the file opens no session. A login
always makes a new one: a cookie that somebody planted before is never the signed-in one. Sessions outlive ``control``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from dtmf_shield.api.identity.principal import Principal, roles_of
from dtmf_shield.api.identity.secret import SECRET_CHARACTERS_MAX, digest_of, new_secret
from dtmf_shield.api.identity.users import Users
from dtmf_shield.base.clock import Clock
from dtmf_shield.store.identity_rows import IdentityRows, SessionRow

IDLE_LIMIT_S: Final = 15 * 60.0
"""PCI DSS 4.0.1 section 8.2.8."""
SESSION_LIMIT_S: Final = 12 * 3_600.0
"""One long shift."""
SESSIONS_MAX: Final = 4_096
SESSIONS_OF_ONE_MAX: Final = 16
"""Browsers of one person; one more ends the one that was idle longest."""
SEEN_WRITTEN_S: Final = 60.0
"""How far the file may be behind: the call core shares the thread, so not every request is written."""
LOCAL, LINK, OIDC = "local", "link", "oidc"


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """``idle_s``: without a request; ``whole_s``: whatever happens."""

    idle_s: float = IDLE_LIMIT_S
    whole_s: float = SESSION_LIMIT_S


class Sessions:
    """All sessions, in memory and in the file."""

    def __init__(self, rows: IdentityRows, clock: Clock, users: Users, limits: SessionLimits) -> None:
        self._rows, self._clock, self._users, self.limits = rows, clock, users, limits
        self._sessions: dict[bytes, SessionRow] = {}
        self._written_s: dict[bytes, float] = {}
        self.reload()

    def reload(self) -> None:
        """Read all of them anew; what this process knows better of their last use stays."""
        found = {session.digest: session for session in self._rows.sessions()}
        for digest, session in found.items():
            known = self._sessions.get(digest)
            if known is not None:
                found[digest] = replace(session, seen=max(session.seen, known.seen))
        self._sessions = found
        self._written_s = {digest: session.seen for digest, session in found.items()}
        self.sweep()

    def open(
        self,
        name: str,
        kind: str,
        roles: Iterable[str] = (),
        agents: Iterable[str] | None = None,
        ends: float = math.inf,
    ) -> str:
        """Return the cookie of a new session, over at ``ends`` (wall seconds) at the latest.

        Where it is local, ``agents`` are those of the user, and so are ``roles``: of those named, where any are.
        """
        now_s, cookie = self._clock.wall_s(), new_secret()
        row = SessionRow(
            digest_of(cookie),
            name,
            kind,
            tuple(sorted(roles)),
            None if agents is None else tuple(sorted(agents)),
            created=now_s,
            seen=now_s,
            ends=min(now_s + self.limits.whole_s, ends),
        )
        self._make_room(name)
        self._rows.put(row, durable=False)
        self._sessions[row.digest] = row
        self._written_s[row.digest] = now_s
        return cookie

    def narrowed(self, principal: Principal, roles: Iterable[str]) -> str | None:
        """Return the cookie of a further session of ``principal`` with no role but ``roles``; None where it is over.

        It ends when the first does at the latest: nobody stays longer by opening it.
        """
        first = self._alive(principal.proof)
        if first is None:
            return None
        return self.open(first.name, first.kind, roles, first.agents, ends=first.ends)

    def principal(self, cookie: str, *, active: bool = True) -> Principal | None:
        """Return who has this cookie, or None. ``active``: it counts as use, as a stream that comes back does not."""
        if not cookie or len(cookie) > SECRET_CHARACTERS_MAX:
            return None
        digest = digest_of(cookie)
        row = self._alive(digest)
        if row is None:
            return None
        if active:
            self._touch(row)
        return self._principal(row)

    def stands(self, principal: Principal) -> bool:
        """Whether the session of ``principal`` goes on, with the same rights."""
        row = self._alive(principal.proof)
        return row is not None and self._principal(row) == principal

    def close(self, digest: bytes) -> SessionRow | None:
        """End one session; return what it was."""
        row = self._sessions.get(digest)
        self._forget([digest])
        return row

    def close_all_of(self, name: str) -> int:
        """End all sessions of one person; return how many."""
        digests = [digest for digest, row in self._sessions.items() if row.name == name]
        self._forget(digests)
        return len(digests)

    def all(self) -> list[SessionRow]:
        """Return those that go on, by name and beginning."""
        alive = [row for digest, row in self._sessions.items() if self._alive(digest) is not None]
        return sorted(alive, key=lambda row: (row.name, row.created))

    def of(self, name: str) -> int:
        """Return how many sessions a person has open."""
        return sum(
            row.name == name and self._alive(digest) is not None for digest, row in self._sessions.items()
        )

    def sweep(self) -> None:
        """Forget those that are over."""
        self._forget([digest for digest in self._sessions if self._alive(digest) is None])

    def _alive(self, digest: bytes) -> SessionRow | None:
        row, now_s = self._sessions.get(digest), self._clock.wall_s()
        if row is None or now_s >= row.ends or now_s >= row.seen + self.limits.idle_s:
            return None
        return row

    def _principal(self, row: SessionRow) -> Principal | None:
        roles, agents, language = row.roles, row.agents, ""
        if row.kind == LOCAL:
            user = self._users.active(row.name)
            if user is None:
                return None
            roles = tuple(role for role in user.roles if role in row.roles or not row.roles)
            agents, language = user.agents, user.language
        return Principal(
            row.name,
            roles=roles_of(roles),
            by_cookie=True,
            ends_s=row.ends,
            agents=None if agents is None else frozenset(agents),
            language=language,
            proof=row.digest,
        )

    def _touch(self, row: SessionRow) -> None:
        now_s = self._clock.wall_s()
        touched = self._sessions[row.digest] = replace(row, seen=now_s)
        if now_s - self._written_s.get(row.digest, 0.0) >= SEEN_WRITTEN_S:
            self._written_s[row.digest] = now_s
            self._rows.put(touched, durable=False)

    def _make_room(self, name: str) -> None:
        self.sweep()
        own = sorted((row for row in self._sessions.values() if row.name == name), key=lambda row: row.seen)
        self._forget([row.digest for row in own[: max(0, len(own) - SESSIONS_OF_ONE_MAX + 1)]])
        if len(self._sessions) >= SESSIONS_MAX:
            self._forget([min(self._sessions.values(), key=lambda row: row.seen).digest])

    def _forget(self, digests: list[bytes]) -> None:
        if not digests:
            return
        self._rows.remove_sessions(digests)
        for digest in digests:
            self._sessions.pop(digest, None)
            self._written_s.pop(digest, None)
