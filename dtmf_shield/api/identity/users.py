"""Local users: who there is, with which roles, whose calls are theirs; made, changed and disabled by an administrator.

A user begins without a password: a link for one use lets them set it. Everything is held in memory and in
``store.identity_rows``; what the command line writes there is taken over by :meth:`Users.reload`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from dtmf_shield.api.identity.secret import digest_of, new_secret
from dtmf_shield.base.clock import Clock
from dtmf_shield.base.errors import DtmfShieldError
from dtmf_shield.store.identity_rows import IdentityRows, LinkRow, UserRow

USERS_MAX: Final = 2_000
AGENTS_OF_A_USER_MAX: Final = 32
USER_NAME: Final = re.compile(r"[a-z][a-z0-9._@-]{1,63}")
FIRST_KEY_NAME: Final = "key"
"""What the audit log calls the key of the state directory: nobody else's name."""
LANGUAGE: Final = re.compile(r"([a-z]{2,3}(-[A-Z]{2})?)?")
LINK_LIFETIME_S: Final = 24 * 3_600.0
"""A day: it is handed from person to person."""
PASSWORD_LINK: Final = "password"  # noqa: S105 - a word, and no password


class UserRefusal(DtmfShieldError):  # noqa: N818 - a refusal is no fault
    """A change that is not made. ``slug``: which, from a closed set."""

    def __init__(self, slug: str, title: str) -> None:
        self.slug = slug
        super().__init__(title)


class Users:
    """The people. Names are lower case; a user is disabled, never removed: the audit log speaks of them."""

    def __init__(self, rows: IdentityRows, clock: Clock) -> None:
        self._rows, self._clock = rows, clock
        self._users: dict[str, UserRow] = {}
        self.reload()

    def reload(self) -> None:
        """Read all of them anew."""
        self._users = {user.name: user for user in self._rows.users()}

    def all(self) -> list[UserRow]:
        """Return everybody, by name."""
        return sorted(self._users.values(), key=lambda user: user.name)

    def find(self, name: str) -> UserRow | None:
        """Return a user, or None."""
        return self._users.get(name)

    def active(self, name: str) -> UserRow | None:
        """Return a user who may sign in, or None."""
        user = self._users.get(name)
        return user if user is not None and not user.disabled and user.password else None

    def make(self, name: str, roles: Iterable[str], agents: Iterable[str] | None, language: str = "") -> str:
        """Make a user; return the secret of a link for one use. Raises UserRefusal."""
        if USER_NAME.fullmatch(name) is None or name == FIRST_KEY_NAME:
            raise UserRefusal(
                "user-name",
                "A user's name has 2 to 64 of a-z 0-9 . _ @ - and begins with a letter; it is not 'key'.",
            )
        if name in self._users:
            raise UserRefusal("user-exists", "There is a user of that name.")
        if len(self._users) >= USERS_MAX:
            raise UserRefusal("users-full", f"There are {USERS_MAX} users, which is the most.")
        self._put(UserRow(name, _sorted(roles), _own(agents), language, self._clock.wall_s(), "", 0.0))
        return self.new_link(name)

    def change(
        self,
        name: str,
        *,
        roles: Iterable[str] | None = None,
        agents: Iterable[str] | None = None,
        every_call: bool = False,
        language: str | None = None,
    ) -> UserRow:
        """Give other roles, agents or language; what is None stays. Raises UserRefusal."""
        user = self._known(name)
        changed = replace(
            user,
            roles=user.roles if roles is None else _sorted(roles),
            agents=None if every_call else user.agents if agents is None else _own(agents),
            language=user.language if language is None else language,
        )
        self._require_an_admin(user, changed)
        return self._put(changed)

    def disable(self, name: str) -> UserRow:
        """Let a user sign in no more. Raises UserRefusal."""
        user = self._known(name)
        changed = replace(user, disabled=self._clock.wall_s())
        self._require_an_admin(user, changed)
        self._rows.remove_links(name, self._clock.wall_s())
        return self._put(changed)

    def enable(self, name: str) -> UserRow:
        """Let a disabled user sign in again, with the password they had. Raises UserRefusal."""
        return self._put(replace(self._known(name), disabled=0.0))

    def reset(self, name: str) -> str:
        """Take the password away; return the secret of a new link. Raises UserRefusal."""
        self._put(replace(self._known(name), password=""))
        return self.new_link(name)

    def new_link(self, name: str) -> str:
        """Return the secret of a link that sets the password; older ones of this user are void."""
        now_s, secret = self._clock.wall_s(), new_secret()
        self._rows.remove_links(name, now_s)
        self._rows.put(LinkRow(digest_of(secret), PASSWORD_LINK, name, now_s + LINK_LIFETIME_S))
        return secret

    def link_for(self, secret: str) -> UserRow | None:
        """Return whose password this link sets, without using it up."""
        digest, now_s = digest_of(secret), self._clock.wall_s()
        for link in self._rows.links():
            if link.digest == digest and link.purpose == PASSWORD_LINK and now_s < link.ends:
                user = self._users.get(link.name)
                return user if user is not None and not user.disabled else None
        return None

    def set_password(self, secret: str, hashed: str) -> UserRow | None:
        """Use a link up and keep the password's hash. None: spent, old or unknown."""
        if self.link_for(secret) is None:
            return None
        link = self._rows.take_link(digest_of(secret))
        user = self._users.get(link.name) if link is not None else None
        return None if user is None else self._put(replace(user, password=hashed))

    def change_password(self, name: str, hashed: str) -> UserRow:
        """Keep another password's hash; links that would set one are void. Raises UserRefusal."""
        self._rows.remove_links(name, self._clock.wall_s())
        return self._put(replace(self._known(name), password=hashed))

    def _known(self, name: str) -> UserRow:
        user = self._users.get(name)
        if user is None:
            raise UserRefusal("user-not-found", "There is no such user.")
        return user

    def _put(self, user: UserRow) -> UserRow:
        self._rows.put(user)
        self._users[user.name] = user
        return user

    def _require_an_admin(self, before: UserRow, after: UserRow) -> None:
        """An administrator stays, or nobody could make one from a page any more."""
        if not _administers(before) or _administers(after):
            return
        if not any(_administers(user) for user in self._users.values() if user.name != before.name):
            raise UserRefusal("last-admin", "This is the last administrator. Make another one first.")


def _administers(user: UserRow) -> bool:
    return "admin" in user.roles and not user.disabled


def _sorted(roles: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(roles)))


def _own(agents: Iterable[str] | None) -> tuple[str, ...] | None:
    return None if agents is None else tuple(sorted(set(agents)))
