"""Second factors of local users: time-based one-time passwords (TOTP, RFC 6238), and recovery codes for a lost phone.

The secret must be readable to compare codes, so it is sealed (AES-256-GCM) with a key that is kept beside the file of
users, not in it. PCI DSS 4.0.1 sections 8.4 and 8.5: a code is good once, and nobody goes on without it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import quote, urlencode

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from dtmf_shield.base.clock import Clock
from dtmf_shield.store.identity_rows import FactorRow, IdentityRows

SECRET_BYTES: Final = 20
"""RFC 4226 section 4, R6: 160 bits recommended."""
CODE_DIGITS: Final = 6
STEP_S: Final = 30
"""RFC 6238 section 5.2: the recommended step. Authenticator apps know no other, nor another hash than SHA-1."""
STEPS_AROUND: Final = 1
"""RFC 6238 section 5.2: one step to either side for clocks and slow fingers."""
RECOVERY_CODES: Final = 10
RECOVERY_LETTERS: Final = "abcdefghijkmnpqrstuvwxyz"
"""Without l and o, which are read as digits; no digits."""
RECOVERY_GROUPS: Final = 4
RECOVERY_GROUP_LETTERS: Final = 4
"""16 of 24 letters: 73 random bits."""
CODE_CHARACTERS_MAX: Final = 32
BEGUN_LIFETIME_S: Final = 600.0
BEGUN_MAX: Final = 256
"""People who are setting one up; one more forgets who began first."""
ISSUER: Final = "dtmf-shield"
_NONCE_BYTES: Final = 12


@dataclass(frozen=True, slots=True, repr=False)
class Enrolment:
    """What an authenticator app is told. ``secret``: base32; ``uri``: the same with names around it. It has no repr."""

    secret: str
    uri: str


@dataclass(frozen=True, slots=True, repr=False)
class _Begun:
    secret: bytes
    ends_s: float


class SecondFactors:
    """All second factors, in memory and in the file. All methods belong to one event loop."""

    def __init__(self, rows: IdentityRows, clock: Clock, key: bytes) -> None:
        """``key``: seals what is in the file; 32 bytes."""
        self._rows, self._clock = rows, clock
        self._cipher, self._key = AESGCM(key), key
        self._factors: dict[str, FactorRow] = {}
        self._begun: OrderedDict[str, _Begun] = OrderedDict()
        self.reload()

    def reload(self) -> None:
        """Read all of them anew."""
        self._factors = {factor.name: factor for factor in self._rows.factors()}

    def of(self, name: str) -> FactorRow | None:
        """Return a person's factor, None without one."""
        return self._factors.get(name)

    def begin(self, name: str) -> Enrolment:
        """Make a secret for ``name``; it holds from :meth:`confirm` on, and what was there holds until then."""
        secret = os.urandom(SECRET_BYTES)
        self._begun.pop(name, None)
        self._begun[name] = _Begun(secret, self._clock.now_s() + BEGUN_LIFETIME_S)
        while len(self._begun) > BEGUN_MAX:
            self._begun.popitem(last=False)
        text = base64.b32encode(secret).decode("ascii")
        said = {
            "secret": text,
            "issuer": ISSUER,
            "algorithm": "SHA1",
            "digits": CODE_DIGITS,
            "period": STEP_S,
        }
        return Enrolment(text, f"otpauth://totp/{ISSUER}:{quote(name, safe='')}?{urlencode(said)}")

    def confirm(self, name: str, code: str) -> tuple[str, ...] | None:
        """Take the begun secret where ``code`` is one of it; return the recovery codes, shown this once, or None."""
        begun = self._begun.get(name)
        if begun is None or self._clock.now_s() >= begun.ends_s:
            return None
        step = self._step_of(begun.secret, _plain(code), used_step=-1)
        if step is None:
            return None
        del self._begun[name]
        codes = tuple(_recovery_code() for _ in range(RECOVERY_CODES))
        digests = tuple(self._digest(name, _plain(each)) for each in codes)
        self._put(FactorRow(name, self._sealed(name, begun.secret), self._clock.wall_s(), step, digests))
        return codes

    def begun(self, name: str) -> bool:
        """Whether ``name`` is setting one up."""
        begun = self._begun.get(name)
        return begun is not None and self._clock.now_s() < begun.ends_s

    def take(self, name: str, code: str) -> str | None:
        """Use a code up. Return what it was, ``code`` or ``recovery``; None: wrong, or used before."""
        factor, code = self._factors.get(name), _plain(code)
        if factor is None:
            return None
        digest = self._digest(name, code)
        if any(hmac.compare_digest(digest, left) for left in factor.recovery):
            left = tuple(each for each in factor.recovery if each != digest)
            self._put(replace(factor, recovery=left))
            return "recovery"
        secret = self._opened(factor)
        step = None if secret is None else self._step_of(secret, code, factor.used_step)
        if step is None:
            return None
        self._put(replace(factor, used_step=step))
        return "code"

    def remove(self, name: str) -> bool:
        """Forget a factor; return whether there was one."""
        self._begun.pop(name, None)
        if self._factors.pop(name, None) is None:
            return False
        self._rows.remove_factor(name)
        return True

    def _step_of(self, secret: bytes, code: str, used_step: int) -> int | None:
        """Return the newest step whose code this is, later than ``used_step`` (RFC 6238 section 5.2: once only)."""
        totp = TOTP(secret, CODE_DIGITS, SHA1(), STEP_S)  # noqa: S303 - RFC 6238; HMAC needs no collision resistance
        given = code.encode("utf-8", "replace")
        right = [step for step in self._steps() if hmac.compare_digest(totp.generate(step * STEP_S), given)]
        return max((step for step in right if step > used_step), default=None)

    def _steps(self) -> Iterator[int]:
        now = int(self._clock.wall_s()) // STEP_S
        yield from range(now - STEPS_AROUND, now + STEPS_AROUND + 1)

    def _sealed(self, name: str, secret: bytes) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, secret, name.encode())

    def _opened(self, factor: FactorRow) -> bytes | None:
        """Return the secret, None where another key has sealed it: then recovery codes fail as well."""
        nonce, sealed = factor.secret[:_NONCE_BYTES], factor.secret[_NONCE_BYTES:]
        try:
            return self._cipher.decrypt(nonce, sealed, factor.name.encode())
        except (InvalidTag, ValueError):
            return None

    def _digest(self, name: str, code: str) -> str:
        # Keyed, so that the file alone lets nobody try codes.
        return hmac.new(self._key, f"recovery\0{name}\0{code}".encode(), hashlib.sha256).hexdigest()

    def _put(self, factor: FactorRow) -> None:
        self._rows.put(factor)
        self._factors[factor.name] = factor


def _plain(code: str) -> str:
    """Return a code as it is compared: people type it with spaces, dashes and capitals."""
    return "".join(code[:CODE_CHARACTERS_MAX].split()).replace("-", "").lower()


def _recovery_code() -> str:
    groups = (
        "".join(secrets.choice(RECOVERY_LETTERS) for _ in range(RECOVERY_GROUP_LETTERS))
        for _ in range(RECOVERY_GROUPS)
    )
    return "-".join(groups)
