"""Sessions of browsers: kept by the service, found by a random cookie, ended by logout, idleness, age or an admin.

The cookie is 256 random bits and says nothing; its digest is kept, so that a read of the file opens no session. A login
always makes a new one: a cookie that somebody planted before is never the signed-in one. Sessions outlive ``control``.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

from dtmf_shield.api.identity.principal import Principal, roles_of
from dtmf_shield.api.identity.secret import SECRET_CHARACTERS_MAX, digest_of, new_secret
from dtmf_shield.api.identity.users import Users
from dtmf_shield.base.clock import Clock
from dtmf_shield.base.log import get_logger
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
NOT_WRITTEN_TOLD_S: Final = 600.0
"""Once in this time the log says that the file takes nothing, as on a full disk."""
LOCAL, LINK, OIDC = "local", "link", "oidc"

_log = get_logger("identity")


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """``idle_s``: without use, see ``api.access``; ``whole_s``: whatever happens."""

    idle_s: float = IDLE_LIMIT_S
    whole_s: float = SESSION_LIMIT_S


class Sessions:
    """All sessions, in memory and in the file."""

    def __init__(
        self,
        rows: IdentityRows,
        clock: Clock,
        users: Users,
        limits: SessionLimits,
        *,
        held_back: Callable[[str], bool] = lambda _name: False,
    ) -> None:
        """``held_back``: whether a local user may do nothing yet but set up a second factor."""
        self._rows, self._clock, self._users, self.limits = rows, clock, users, limits
        self._held_back = held_back
        self._sessions: dict[bytes, SessionRow] = {}
        self._written_s: dict[bytes, float] = {}
        self._not_written_s = -math.inf
        self.reload()

    def reload(self) -> None:
        """Read all of them anew; what this process knows better of their last use stays. Raises sqlite3.Error."""
        found = {session.digest: session for session in self._rows.sessions()}
        for digest, session in found.items():
            known = self._sessions.get(digest)
            if known is not None:
                found[digest] = replace(session, seen=max(session.seen, known.seen))
        self._sessions = found
        self._written_s = {digest: session.seen for digest, session in found.items()}
        try:
            self.sweep()
        except sqlite3.Error as error:  # they are over, in the file or not
            self._not_written(error)

    def open(
        self,
        name: str,
        kind: str,
        roles: Iterable[str] = (),
        agents: Iterable[str] | None = None,
        ends: float = math.inf,
        parent: bytes = b"",
    ) -> str:
        """Return the cookie of a new session, over at ``ends`` (wall seconds) at the latest.

        Where it is local, ``agents`` are those of the user, and so are ``roles``: of those named, where any are.
        ``parent``: digest of the session of the sign-in that this one belongs to.
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
            parent=parent,
        )
        self._make_room(name)
        self._rows.put(row, durable=False)
        self._sessions[row.digest] = row
        self._written_s[row.digest] = now_s
        return cookie

    def narrowed(self, principal: Principal, roles: Iterable[str]) -> str | None:
        """Return the cookie of a further session of ``principal`` with no role but ``roles``; None where it is over.

        It ends when the first would at the latest: nobody stays longer by opening it. The first may be idle meanwhile.
        """
        first = self._alive(principal.proof)
        if first is None:
            return None
        parent = first.parent or first.digest
        return self.open(first.name, first.kind, roles, first.agents, ends=first.ends, parent=parent)

    def principal(self, cookie: str, *, active: bool = True) -> Principal | None:
        """Return who has this cookie, or None. ``active``: it counts as use, as a page's own reading does not."""
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
        """End one session and those that it opened; return what it was."""
        row = self._sessions.get(digest)
        self._forget([digest, *(panel.digest for panel in self._panels(digest))])
        return row

    def close_sign_in(self, digest: bytes) -> SessionRow | None:
        """End the whole sign-in that a session belongs to, panels included; return what the session was."""
        row = self._sessions.get(digest)
        if row is not None:
            self.close(row.parent or row.digest)
        return row

    def succeed(self, before: str, after: str) -> SessionRow | None:
        """A browser that had the cookie ``before`` has ``after`` now: the old session ends; return it if it went on.

        Its panels, which may be in use long after it was idle, belong to the new sign-in where it is of the same
        person, and end where it is another's.
        """
        old, new = digest_of(before), self._sessions.get(digest_of(after))
        if not before or len(before) > SECRET_CHARACTERS_MAX or new is None or old == new.digest:
            return None
        for panel in self._panels(old):
            if panel.name == new.name:
                self._put(replace(panel, parent=new.digest))
        alive = self._alive(old)
        self.close(old)
        return alive

    def close_all_of(self, name: str, but: bytes = b"") -> int:
        """End all sessions of one person, panels included; return how many. ``but``: a sign-in that goes on."""
        digests = [
            row.digest for row in self._sessions.values() if row.name == name and but not in _line(row)
        ]
        self._forget(digests)
        return len(digests)

    def find(self, digest: bytes) -> SessionRow | None:
        """Return a session that goes on, or None."""
        return self._alive(digest)

    def all_of(self, name: str) -> list[SessionRow]:
        """Return those of one person that go on, by beginning."""
        return [row for row in self.all() if row.name == name]

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

    def _panels(self, digest: bytes) -> list[SessionRow]:
        return [row for row in self._sessions.values() if row.parent == digest]

    def _put(self, row: SessionRow) -> None:
        self._rows.put(row, durable=False)
        self._sessions[row.digest] = row

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
            if self._held_back(row.name):
                roles = ()
            agents, language = user.agents, user.language
        return Principal(
            row.name,
            roles=roles_of(roles),
            by_cookie=True,
            ends_s=row.ends,
            agents=None if agents is None else frozenset(agents),
            language=language,
            proof=row.digest,
            panel=bool(row.parent),
        )

    def _touch(self, row: SessionRow) -> None:
        now_s = self._clock.wall_s()
        touched = self._sessions[row.digest] = replace(row, seen=now_s)
        if now_s - self._written_s.get(row.digest, 0.0) >= SEEN_WRITTEN_S:
            self._written_s[row.digest] = now_s
            try:
                self._rows.put(touched, durable=False)
            except sqlite3.Error as error:  # memory knows it: what was asked for goes on
                self._not_written(error)

    def _not_written(self, error: sqlite3.Error) -> None:
        now_s = self._clock.now_s()
        if now_s >= self._not_written_s + NOT_WRITTEN_TOLD_S:
            self._not_written_s = now_s
            _log.error("sessions_not_written", error=type(error).__name__, reason=str(error))

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


def _line(row: SessionRow) -> tuple[bytes, bytes]:
    """Return the digests that a session goes by: its own, and that of its sign-in."""
    return row.digest, row.parent or row.digest
