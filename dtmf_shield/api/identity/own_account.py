"""What people do about their own account: another password, a second factor, their sessions. All of it is told.

Where a password is asked for again, a wrong one counts as one at the sign-in: a browser left alone is no way to guess.
"""

from __future__ import annotations

import hashlib
from typing import Final

from dtmf_shield.api.identity.factors import Enrolment
from dtmf_shield.api.identity.identity import Identity
from dtmf_shield.api.identity.principal import Principal
from dtmf_shield.api.identity.secret import in_letters
from dtmf_shield.api.identity.sessions import LOCAL
from dtmf_shield.api.problem import ApiRefusal
from dtmf_shield.store.identity_rows import SessionRow

_ID_LETTERS: Final = 24
_ASKED_AGAIN: Final = "asked_again"
"""The reason of a failed login that was none: the password of somebody who is signed in."""


def session_id(row: SessionRow) -> str:
    """Return what names a session to its owner: it opens nothing."""
    return in_letters(hashlib.sha256(b"name of a session\0" + row.digest).hexdigest()[:_ID_LETTERS])


class OwnAccount:
    """The account of ``principal``, who is a person at a page of ours."""

    def __init__(self, identity: Identity, principal: Principal, address: str) -> None:
        self._identity, self._principal, self._address = identity, principal, address
        self._name = principal.name

    @property
    def session(self) -> SessionRow:
        """The session that asks. Raises ApiRefusal where it has just ended."""
        row = self._identity.sessions.find(self._principal.proof)
        if row is None:
            raise ApiRefusal(401, "not-signed-in", "Sign in, or send a bearer key.")
        return row

    @property
    def local(self) -> bool:
        """Whether the password is kept here."""
        return self.session.kind == LOCAL

    async def change_password(self, current: str, password: str) -> None:
        """Set another password; every other sign-in of this person ends. Raises ApiRefusal."""
        await self._prove(current)
        if current == password:
            raise ApiRefusal(422, "password-same", "The new password is the one you have.")
        proven = self._identity.users.active(self._name)
        hashed = await self._identity.hashed(self._name, password)
        self._require_local()  # the time of hashing may have seen the session ended, or another password set
        now = self._identity.users.active(self._name)
        if proven is None or now is None or now.password != proven.password:
            raise ApiRefusal(403, "login-refused", "Name or password is wrong.")
        self._identity.users.change_password(self._name, hashed)
        self._note("password_changed")
        self.end_others()

    async def begin_factor(self, current: str, code: str) -> Enrolment:
        """Return the secret of a new second factor; ``code``: of the one there is. Raises ApiRefusal."""
        await self._prove(current, code)
        return self._identity.factors.begin(self._name)

    def confirm_factor(self, code: str) -> tuple[str, ...]:
        """Take the begun factor; return the recovery codes. Sign-ins without it end. Raises ApiRefusal."""
        self._require_local()
        if not self._identity.factors.begun(self._name):
            raise ApiRefusal(409, "factor-not-begun", "Begin again: that took too long.")
        codes = self._identity.factors.confirm(self._name, code)
        if codes is None:
            raise ApiRefusal(403, "code-refused", "The code is wrong, too old, or was used before.")
        self._note("second_factor_on")
        self.end_others()
        return codes

    async def remove_factor(self, current: str, code: str) -> None:
        """Go on without a second factor. Raises ApiRefusal."""
        await self._prove(current, code)
        if self._identity.factor_required:
            raise ApiRefusal(409, "factor-required", "Everybody here needs a second factor.")
        if not self._identity.factors.remove(self._name):
            raise ApiRefusal(409, "factor-off", "There is no second factor.")
        self._note("second_factor_off")

    def sessions(self) -> list[SessionRow]:
        """Return the sessions of this person."""
        return self._identity.sessions.all_of(self._name)

    def end(self, wanted: str) -> int:
        """End one session of this person; return how many have ended. Raises ApiRefusal."""
        row = next((row for row in self.sessions() if session_id(row) == wanted), None)
        if row is None:
            raise ApiRefusal(404, "session-not-found", "That session is over.")
        before = len(self.sessions())
        self._identity.sessions.close(row.digest)
        return self._ended(before - len(self.sessions()))

    def end_others(self) -> int:
        """End every sign-in of this person but the one that asks; return how many sessions have ended."""
        return self._ended(self._identity.sessions.close_all_of(self._name, but=self._principal.proof))

    def _ended(self, count: int) -> int:
        if count:
            self._note("signed_out", by=self._name, sessions=count)
        self._identity.revoked()
        return count

    async def _prove(self, current: str, code: str | None = None) -> None:
        self._require_local()
        await self._identity.prove(self._name, current, self._address, code, told=_ASKED_AGAIN, status=403)
        self._require_local()  # the session may have ended meanwhile

    def _require_local(self) -> None:
        if not self.local:
            raise ApiRefusal(409, "local-only", "Your password and second factor are not kept here.")

    def _note(self, event: str, **facts: str | int) -> None:
        self._identity.note(event, user=self._name, address=self._address, **facts)
