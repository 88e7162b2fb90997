"""Everything that proves who somebody is, in one place: users, sessions, keys, links, and the guard of the login.

It says what happened to ``note`` (the audit log) and never what was typed: no password, ticket, cookie or key, and no
name that nobody has, for people type passwords into the wrong field.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable
from typing import Final

from dtmf_shield.api.identity.factors import SecondFactors
from dtmf_shield.api.identity.keys import Keys
from dtmf_shield.api.identity.login_guard import LoginGuard, Try
from dtmf_shield.api.identity.oidc import OidcClient, Person
from dtmf_shield.api.identity.one_time_login import OneTimeLogin
from dtmf_shield.api.identity.passwords import PASSWORD_CHARACTERS_MAX, Passwords, require_fit
from dtmf_shield.api.identity.principal import Principal, Role
from dtmf_shield.api.identity.sessions import LINK, LOCAL, OIDC, SessionLimits, Sessions
from dtmf_shield.api.identity.users import Users
from dtmf_shield.api.problem import ApiRefusal
from dtmf_shield.base.clock import Clock
from dtmf_shield.store.identity_rows import IdentityRows, UserRow

UNKNOWN: Final = "unknown"
"""Stands in the audit log for a name that nobody has."""
EMBED: Final = "embed"
FACTOR_KEY_BYTES: Final = 32
FAILURES_NOTED_MAX: Final = 60
FAILURES_WINDOW_S: Final = 60.0
"""So many failed logins are told in a window, then one row that there were more: a flood fills no audit log."""


Note = Callable[..., None]
"""``note(event, **facts)`` writes one row into the audit log; texts and whole numbers. Never blocks, never raises."""


def no_note(_event: str, **_facts: str | int) -> None:
    """Keep no audit log: for descriptions of the API and tests of other things."""


class Identity:
    """What the API asks; all methods belong to one event loop."""

    def __init__(
        self,
        rows: IdentityRows,
        clock: Clock,
        *,
        limits: SessionLimits | None = None,
        api_key: str | None = None,
        passwords: Passwords | None = None,
        note: Note = no_note,
        oidc: OidcClient | None = None,
        factor_key: bytes | None = None,
        factor_required: bool = False,
    ) -> None:
        """``api_key``: the one of the state directory, None for none. ``oidc``: the provider, None for none.

        ``factor_key``: 32 bytes that seal second factors, None for one that ends with this object.
        ``factor_required``: local users do nothing without a second factor.
        """
        self._rows, self._clock = rows, clock
        self.note, self.oidc = note, oidc
        self.users = Users(rows, clock)
        self.factors = SecondFactors(rows, clock, factor_key or secrets.token_bytes(FACTOR_KEY_BYTES))
        self.factor_required = factor_required
        self.sessions = Sessions(
            rows, clock, self.users, limits or SessionLimits(), held_back=self.lacks_factor
        )
        self.keys = Keys(rows, clock, api_key)
        self.login = OneTimeLogin(rows, clock, self.sessions)
        self.guard = LoginGuard(lambda account: self.users.find(account) is not None)
        self._passwords = passwords or Passwords()
        self._failures, self._failures_until_s = 0, 0.0
        self._seen_elsewhere = rows.changed_elsewhere()
        self._revoked: Callable[[], None] = lambda: None

    def when_revoked(self, told: Callable[[], None]) -> None:
        """Call ``told`` after each change that may end somebody's rights: open streams ask :meth:`stands` anew."""
        self._revoked = told

    def revoked(self) -> None:
        """Something was taken away: let open streams look again."""
        self._revoked()

    def lacks_factor(self, name: str) -> bool:
        """Whether a local user must set up a second factor before anything else."""
        return self.factor_required and self.factors.of(name) is None

    def stands(self, principal: Principal) -> bool:
        """Whether ``principal`` may still do what it could when it asked."""
        if self._clock.wall_s() >= principal.ends_s:
            return False
        return self.sessions.stands(principal) if principal.by_cookie else self.keys.stands(principal)

    def take_over(self) -> None:
        """Take over what the command line has written: people, keys, ended sessions, and its rows for the audit log.

        Raises sqlite3.Error; the next one then begins anew.
        """
        seen = self._rows.changed_elsewhere()
        if seen == self._seen_elsewhere:
            return
        self.users.reload()
        self.factors.reload()
        self.keys.reload()
        self.sessions.reload()
        self.revoked()
        # These are taken out of the file, which fails where the disk is full. Whose rights have ended knows it by now.
        self._rows.hand_over_notes(self.note)
        self._seen_elsewhere = seen

    def redeem(self, ticket: str, address: str) -> str | None:
        """Spend the ticket of a one-time link; return the cookie of a new session, or None."""
        self.take_over()
        cookie = self.login.redeem(ticket)
        opened = self.sessions.principal(cookie or "")
        if opened is None:
            self._note_failed(LINK, address)
        else:
            self.note("login", user=opened.name, how=LINK, address=address)
        return cookie

    async def sign_in(self, name: str, password: str, address: str, code: str = "") -> str:
        """Return the cookie of a new session. Raises ApiRefusal: 401, or 429 and when.

        A wrong name and a wrong password are told alike; ``code-needed`` and ``code-refused`` come after a right one.
        """
        account = name.lower()
        await self.prove(account, password, address, code)
        self.note("login", user=account, how=LOCAL, address=address)
        return self.sessions.open(account, LOCAL)

    async def prove(
        self,
        account: str,
        password: str,
        address: str,
        code: str | None = None,
        *,
        told: str = "",
        status: int = 401,
    ) -> None:
        """Return where it is the person: by the password, and by a code where there is a second factor.

        ``code``: empty where none was given yet, None where none is asked for. ``told``: what the audit log says of a
        failure beside its reason. Raises ApiRefusal with ``status``, or 429.
        """
        self.take_over()
        now_s = self._clock.now_s()
        wait_s = self.guard.wait_s(account, address, now_s)
        if wait_s > 0:
            raise ApiRefusal(
                429,
                "too-many-attempts",
                "Too many wrong passwords. Try again later.",
                retry_after_s=math.ceil(wait_s),
            )
        user = self.users.active(account)
        tried = self.guard.tried(account, address, now_s)
        if not await self._right(user, password, tried):
            known = account if self.users.find(account) is not None else UNKNOWN
            self._note_failed(known, address, locked=int(tried.locked), **({"reason": told} if told else {}))
            raise ApiRefusal(status, "login-refused", "Name or password is wrong.")
        if code is not None and self.factors.of(account) is not None:
            if not code.strip():
                self.guard.take_back(tried)
                raise ApiRefusal(status, "code-needed", "A code of the second factor is needed as well.")
            self._take_code(account, code, address, locked=tried.locked, status=status)
        self.guard.succeeded(tried)

    async def _right(self, user: UserRow | None, password: str, tried: Try) -> bool:
        try:
            right = await self._passwords.right(
                user.password if user else "", password[: PASSWORD_CHARACTERS_MAX + 1]
            )
        except ApiRefusal:  # too many wait: nobody has looked at the password
            self.guard.take_back(tried)
            raise
        # The time of hashing may have seen the user disabled, or the password taken away or changed.
        now = self.users.active(tried.account)
        return right and user is not None and now is not None and now.password == user.password

    def _take_code(self, account: str, code: str, address: str, *, locked: bool, status: int) -> None:
        taken = self.factors.take(account, code)
        if taken is None:
            self._note_failed(account, address, locked=int(locked), reason="code")
            raise ApiRefusal(status, "code-refused", "The code is wrong, too old, or was used before.")
        factor = self.factors.of(account)
        if taken == "recovery" and factor is not None:
            self.note("recovery_code_used", user=account, address=address, left=len(factor.recovery))

    def came_back(self, person: Person, address: str) -> str:
        """Open a session for who came back from the provider; return its cookie."""
        self.note("login", user=person.name, how=OIDC, address=address, roles="+".join(sorted(person.roles)))
        return self.sessions.open(person.name, OIDC, person.roles, person.agents)

    def embed(self, principal: Principal, address: str) -> str | None:
        """Open the session of an embedded page for ``principal``: an agent's, whatever else they are. None: over."""
        cookie = self.sessions.narrowed(principal, [Role.AGENT])
        if cookie is not None:
            self.note("login", user=principal.name, how=EMBED, address=address)
        return cookie

    def embed_failed(self, address: str) -> None:
        """Tell that a ticket for an embedded page opened nothing."""
        self._note_failed(EMBED, address)

    def oidc_failed(self, reason: str, address: str) -> None:
        """Tell that nobody came back, and why, in words of ours."""
        self._note_failed(OIDC, address, reason=reason)

    async def set_password(self, secret: str, password: str, address: str) -> str | None:
        """Set the password by a link; return the cookie of a new session. Raises ApiRefusal.

        None where there is a second factor: a link takes the place of a password, not of a code.
        """
        self.take_over()
        user = self.users.link_for(secret)
        if user is None:
            raise ApiRefusal(403, "link-spent", "This link was used, or is too old. Ask for a new one.")
        hashed = await self.hashed(user.name, password)
        user = self.users.set_password(secret, hashed)
        if user is None:
            raise ApiRefusal(403, "link-spent", "This link was used, or is too old. Ask for a new one.")
        self.sessions.close_all_of(user.name)
        self.guard.forget(user.name)
        self.revoked()
        self.note("password_set", user=user.name, address=address)
        return None if self.factors.of(user.name) else self.sessions.open(user.name, LOCAL)

    async def hashed(self, name: str, password: str) -> str:
        """Return what is kept of a new password. Raises ApiRefusal (422) where it may not be taken."""
        require_fit(name, password)
        return await self._passwords.hashed(password)

    def succeed(self, before: str, after: str) -> None:
        """A browser has another session now: the one before ends, and so do its panels but for the same person's."""
        ended = self.sessions.succeed(before, after)
        if ended is not None:
            self.note("logout", user=ended.name)
        self.revoked()

    def _note_failed(self, user: str, address: str, **facts: str | int) -> None:
        """Tell of a failed login; of a flood, so many a minute and then how many more."""
        now_s = self._clock.now_s()
        if now_s >= self._failures_until_s:
            self._failures_until_s, self._failures = now_s + FAILURES_WINDOW_S, 0
        self._failures += 1
        if self._failures <= FAILURES_NOTED_MAX:
            self.note("login_failed", user=user, address=address, **facts)
        elif self._failures == FAILURES_NOTED_MAX + 1:
            self.note("login_failures_many", counted=self._failures, window_s=int(FAILURES_WINDOW_S))

    def sign_out(self, principal: Principal) -> None:
        """End the sign-in of ``principal``: its session, those of panels that it opened, and their streams."""
        if self.sessions.close_sign_in(principal.proof) is not None:
            self.note("logout", user=principal.name)
            self.revoked()

    def close(self) -> None:
        """End the threads and close the file."""
        self._passwords.close()
        self._rows.close()
