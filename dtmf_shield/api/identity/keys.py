"""Keys of programs: named, with roles of their own, shown once when they are made, kept as digests, revoked one by one.

The key that the state directory has always held (``api.key``) stands beside them: whoever can read it runs the service.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from dtmf_shield.api.identity.principal import EVERY_ROLE, Principal, Role, roles_of
from dtmf_shield.api.identity.secret import SECRET_CHARACTERS_MAX, digest_of, new_secret
from dtmf_shield.api.identity.users import FIRST_KEY_NAME, UserRefusal
from dtmf_shield.base.clock import Clock
from dtmf_shield.store.identity_rows import IdentityRows, KeyRow

KEYS_MAX: Final = 256
KEY_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,31}")
KEY_PREFIX: Final = "dtmfshield_"
"""Lets scanners of repositories find a key that somebody committed."""
ROLES_OF_KEYS: Final = EVERY_ROLE - {Role.ADMIN}
"""People administer; a key that could make keys would never be revoked."""


class Keys:
    """All keys, in memory and in the file."""

    def __init__(self, rows: IdentityRows, clock: Clock, first_key: str | None) -> None:
        """``first_key``: the one of the state directory."""
        self._rows, self._clock = rows, clock
        self._first = first_key.encode() if first_key else b""
        self._keys: dict[str, KeyRow] = {}
        self.reload()

    def reload(self) -> None:
        """Read all of them anew."""
        self._keys = {key.name: key for key in self._rows.program_keys()}

    def all(self) -> list[KeyRow]:
        """Return all keys, by name, revoked ones too."""
        return sorted(self._keys.values(), key=lambda key: key.name)

    def make(self, name: str, roles: Iterable[str], agents: Iterable[str] | None = None) -> str:
        """Return a new key; it is never shown again. Raises UserRefusal."""
        if KEY_NAME.fullmatch(name) is None:
            raise UserRefusal("key-name", "A key's name has 1 to 32 of a-z 0-9 - and begins with a letter.")
        if name in self._keys:
            raise UserRefusal("key-exists", "There is or was a key of that name.")
        if len(self._keys) >= KEYS_MAX:
            raise UserRefusal("keys-full", f"There are {KEYS_MAX} keys, which is the most.")
        if not roles_of(roles) <= ROLES_OF_KEYS:
            raise UserRefusal("key-admin", "A key cannot be an administrator.")
        key = KEY_PREFIX + new_secret()
        own = None if agents is None else tuple(sorted(set(agents)))
        self._put(KeyRow(name, digest_of(key), tuple(sorted(set(roles))), own, self._clock.wall_s(), 0.0))
        return key

    def revoke(self, name: str) -> KeyRow:
        """Let a key open nothing any more. Raises UserRefusal."""
        key = self._keys.get(name)
        if key is None:
            raise UserRefusal("key-not-found", "There is no such key.")
        return key if key.revoked else self._put(replace(key, revoked=self._clock.wall_s()))

    def principal(self, given: str) -> Principal | None:
        """Return whose key this is, or None."""
        if not given or len(given) > SECRET_CHARACTERS_MAX:
            return None
        if self._first and hmac.compare_digest(given.encode("utf-8", "replace"), self._first):
            return Principal(FIRST_KEY_NAME, roles=ROLES_OF_KEYS, by_cookie=False, ends_s=float("inf"))
        digest = digest_of(given)
        return next(
            (_principal(key) for key in self._keys.values() if key.digest == digest and not key.revoked), None
        )

    def stands(self, principal: Principal) -> bool:
        """Whether the key of ``principal`` goes on."""
        if not principal.proof:
            return True
        return any(key.digest == principal.proof and not key.revoked for key in self._keys.values())

    def _put(self, key: KeyRow) -> KeyRow:
        self._rows.put(key)
        self._keys[key.name] = key
        return key


def _principal(key: KeyRow) -> Principal:
    return Principal(
        f"key:{key.name}",
        roles=roles_of(key.roles),
        by_cookie=False,
        ends_s=float("inf"),
        agents=None if key.agents is None else frozenset(key.agents),
        proof=key.digest,
    )
