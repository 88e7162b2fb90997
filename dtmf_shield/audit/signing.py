"""The key that signs audit roots: Ed25519 (RFC 8032), private in the state directory, public for whoever verifies."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from dtmf_shield.base.errors import OperatorError

KEY_FILE: Final = "audit.key"
CONTEXT: Final = b"dtmf-shield audit root 1\n"
"""Before what is signed, so that no signature of ours can be passed off as one of something else."""
PUBLIC_KEYS_MAX: Final = 64

_PEM_END: Final = b"-----END PUBLIC KEY-----"


def key_id(key: Ed25519PublicKey) -> str:
    """Return the name of a public key: 16 hex digits of its hash."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:16]


class RootSigner:
    """Signs with one key."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public_key = key.public_key()
        self.key_id = key_id(self.public_key)

    def sign(self, content: bytes) -> str:
        """Return the signature in hex."""
        return self._key.sign(CONTEXT + content).hex()

    def public_pem(self) -> str:
        """Return the public key as PEM."""
        return self.public_key.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ).decode("ascii")


def ensure_signer(path: Path) -> RootSigner:
    """Return the signer of ``path``, a PEM file made with mode 0600 where missing. Raises OperatorError."""
    if not path.exists():
        pem = Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(pem)
                os.fsync(file.fileno())
        except OSError as error:
            raise OperatorError(f"{path}: cannot write the audit key ({error.strerror})") from error
    return load_signer(path)


def load_signer(path: Path) -> RootSigner:
    """Return the signer of an existing file. Raises OperatorError."""
    try:
        mode, pem = path.stat().st_mode, path.read_bytes()
        key = serialization.load_pem_private_key(pem, password=None)
    except OSError as error:
        raise OperatorError(
            f"{path}: cannot read the audit key ({error.strerror}); start the service once"
        ) from None
    except ValueError:
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise OperatorError(
            f"{path}: holds no Ed25519 private key in PEM; move it away and a new one is made"
        ) from None
    if mode & 0o077:
        raise OperatorError(f"{path}: mode {mode & 0o777:04o}, others may read it; chmod 600 it")
    return RootSigner(key)


def load_public_keys(path: Path) -> Mapping[str, Ed25519PublicKey]:
    """Return the public keys of a PEM file by key id. Raises OperatorError."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise OperatorError(f"{path}: cannot read public keys ({error.strerror})") from None
    blocks = [block + _PEM_END for block in raw.split(_PEM_END)[:-1]][:PUBLIC_KEYS_MAX]
    try:
        keys = [serialization.load_pem_public_key(block) for block in blocks]
    except ValueError:
        keys = []
    found = {key_id(key): key for key in keys if isinstance(key, Ed25519PublicKey)}
    if not found:
        raise OperatorError(
            f"{path}: holds no Ed25519 public key in PEM; print one: dtmf-shield audit public-key"
        )
    return found


def signature_good(key: Ed25519PublicKey, content: bytes, signature_hex: str) -> bool:
    """Whether the signature is of this content by this key."""
    try:
        key.verify(bytes.fromhex(signature_hex), CONTEXT + content)
    except (InvalidSignature, ValueError):
        return False
    return True
