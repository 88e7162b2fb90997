"""KEKs in a PKCS #11 token (HSM): AES-256 keys that cannot be extracted; data keys travel, the KEK never does.

OASIS PKCS #11 v2.40: CKM_AES_KEY_GEN, CKM_AES_GCM with CK_GCM_PARAMS. Every AES key with the configured label belongs
to the ring; the one with the highest CKA_ID is active, and ids made here begin with the time. The maker's library is
native code with threads of its own: only commands and ``hsm_process`` load it, never the process that holds cards.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NoReturn, Protocol, cast

import pkcs11
from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass
from pkcs11.mechanisms import GCMParams

from dtmf_shield.base.errors import OperatorError
from dtmf_shield.cde.keys.kek import (
    HSM_PREFIX,
    KEKS_MAX,
    KEY_BYTES,
    NONCE_BYTES,
    TAG_BYTES,
    DekUnwrapError,
    wrapping_context,
)
from dtmf_shield.model.keys import KekSettings

PIN_BYTES_MAX: Final = 256
ID_GROUP_BYTES: Final = 5


class _GcmKey(Protocol):
    """What an AES key of python-pkcs11 can do: the classes that do it are made at run time."""

    def encrypt(self, data: bytes, *, mechanism: Mechanism, mechanism_param: GCMParams) -> bytes: ...

    def decrypt(self, data: bytes, *, mechanism: Mechanism, mechanism_param: GCMParams) -> bytes: ...


class HsmKek:
    """A KEK inside the token. Implements ``Kek``."""

    def __init__(self, kek_id: str, key: pkcs11.SecretKey) -> None:
        self.kek_id = kek_id
        self._key = cast(_GcmKey, key)

    def wrap(self, dek: bytes, dek_id: str) -> bytes:
        """Return ``dek`` encrypted by the token."""
        nonce = os.urandom(NONCE_BYTES)
        sealed = self._key.encrypt(
            dek, mechanism=Mechanism.AES_GCM, mechanism_param=self._parameters(nonce, dek_id)
        )
        return nonce + bytes(sealed)

    def unwrap(self, wrapped: bytes, dek_id: str) -> bytes:
        """Return the key. Raises DekUnwrapError."""
        nonce, sealed = wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:]
        try:
            key = self._key.decrypt(
                sealed, mechanism=Mechanism.AES_GCM, mechanism_param=self._parameters(nonce, dek_id)
            )
        except (pkcs11.PKCS11Error, ValueError):
            # Tokens answer a wrong tag each in their own way; SoftHSM2 says CKR_GENERAL_ERROR.
            raise DekUnwrapError(f"data key {dek_id} does not open with {self.kek_id}") from None
        return bytes(key)

    def _parameters(self, nonce: bytes, dek_id: str) -> GCMParams:
        return GCMParams(nonce, wrapping_context(dek_id, self.kek_id), TAG_BYTES * 8)


class Pkcs11Ring:
    """Implements ``KekRing`` over one logged-in session."""

    def __init__(self, settings: KekSettings, *, writable: bool) -> None:
        """Log in. ``writable``: keys are to be made or destroyed. Raises OperatorError."""
        self.place = f"PKCS #11 token {settings.token!r}"
        self._label = settings.key_label
        pin = _pin(Path(settings.pin_file))
        try:
            self._library = pkcs11.lib(settings.module)
        except (pkcs11.PKCS11Error, RuntimeError) as error:
            raise OperatorError(f"keys.module: {settings.module} cannot be loaded ({error})") from None
        with self._errors("log in"):
            self._session = self._library.get_token(token_label=settings.token).open(
                rw=writable, user_pin=pin
            )

    def ids(self) -> tuple[str, ...]:
        """Return the names of all keys, the active one last."""
        return tuple(self._keys())

    def get(self, kek_id: str) -> HsmKek:
        """Return one key. Raises OperatorError where it is not there."""
        return HsmKek(kek_id, self._key(kek_id))

    def generate(self, wall_s: float) -> str:
        """Make an AES-256 key that is sensitive and not extractable; return its name."""
        if len(self._keys()) >= KEKS_MAX:
            raise OperatorError(f"{self.place}: {KEKS_MAX} keys are the most; retire some: keys retire")
        key_id = int(wall_s).to_bytes(5, "big") + secrets.token_bytes(3)
        with self._errors("make a key"):
            self._session.generate_key(
                KeyType.AES,
                KEY_BYTES * 8,
                id=key_id,
                label=self._label,
                store=True,
                template={Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False},
            )
        return _name(key_id)

    def retire(self, kek_id: str) -> None:
        """Destroy a key in the token."""
        with self._errors("destroy a key"):
            self._key(kek_id).destroy()

    def close(self) -> None:
        """Log out."""
        with self._errors("log out"):
            self._session.close()

    def _key(self, kek_id: str) -> pkcs11.SecretKey:
        keys = self._keys()
        if kek_id not in keys:
            raise OperatorError(
                f"{self.place}: no AES key {kek_id} with the label {self._label!r}, but data keys are wrapped by it;"
                " restore the token from its backup"
            )
        return keys[kek_id]

    def _keys(self) -> dict[str, pkcs11.SecretKey]:
        wanted = {
            Attribute.CLASS: ObjectClass.SECRET_KEY,
            Attribute.KEY_TYPE: KeyType.AES,
            Attribute.LABEL: self._label,
        }
        with self._errors("look for keys"):
            found = {
                _name(bytes(key.id)): key
                for key in self._session.get_objects(wanted)
                if isinstance(key, pkcs11.SecretKey)
            }
        return dict(sorted(found.items()))

    @contextmanager
    def _errors(self, doing: str) -> Iterator[None]:
        try:
            yield
        except pkcs11.PKCS11Error as error:
            self._refused(doing, error)

    def _refused(self, doing: str, error: pkcs11.PKCS11Error) -> NoReturn:
        reason = f"{type(error).__name__} {error}".strip()
        raise OperatorError(
            f"{self.place}: cannot {doing} ({reason}); check keys.module, keys.token and keys.pin_file"
        ) from None


def _name(key_id: bytes) -> str:
    # An x after each five bytes: a longer run of digits could pass for a card number.
    return HSM_PREFIX + key_id.hex("x", -ID_GROUP_BYTES)


def _pin(path: Path) -> str:
    try:
        mode, pin = path.stat().st_mode, path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise OperatorError(
            f"keys.pin_file: {path} cannot be read; write the user PIN on one line there"
        ) from None
    if mode & 0o077:
        raise OperatorError(f"keys.pin_file: {path}: others may read it; chmod 600 it")
    if not 0 < len(pin) <= PIN_BYTES_MAX:
        raise OperatorError(f"keys.pin_file: {path} holds no PIN; write the user PIN on one line there")
    return pin
