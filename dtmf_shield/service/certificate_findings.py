"""What a certificate or key file is, and what is wrong with it (RFC 5280, RFC 5922; NIST SP 800-131A: what is weak)."""

from __future__ import annotations

import datetime
import enum
from pathlib import Path
from typing import Any, Final, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier

RSA_BITS_MIN: Final = 2_048
EC_BITS_MIN: Final = 256
WEAK_HASHES: Final = frozenset({"md5", "sha1"})
CERTIFICATES_MAX: Final = 500
"""In one file: more than any system's bundle of authorities."""

_Kind = TypeVar("_Kind", bound=x509.ExtensionType)


class Role(enum.StrEnum):
    """What a certificate is for."""

    AUTHORITY = "authority"
    CLIENT = "client certificate"
    SERVER = "server certificate"
    SIP = "SIP certificate"


def certificate_items(
    path: Path, role: Role, now: datetime.datetime, soon_days: int, key_path: Path | None = None
) -> list[dict[str, Any]]:
    """Return one entry a certificate of a PEM file, a chain's authorities behind their leaf. No file makes it raise."""
    try:
        mode, raw = path.stat().st_mode & 0o777, path.read_bytes()
        certificates = x509.load_pem_x509_certificates(raw)[:CERTIFICATES_MAX]
    except OSError as error:
        return [_unreadable(role, path, f"cannot be read ({error.strerror})")]
    except ValueError:
        return [_unreadable(role, path, "holds no certificate in PEM")]
    items = []
    for position, certificate in enumerate(certificates):
        its_role = role if position == 0 else Role.AUTHORITY
        findings = [*_age_findings(certificate, now, soon_days), *_strength_findings(certificate)]
        findings += _role_findings(certificate, its_role)
        if mode & 0o022:
            findings.append(f"mode {mode:04o}, others may write it; chmod 644 it")
        if position == 0 and key_path is not None and not _is_pair(certificate, key_path):
            findings.append(f"{key_path} is not its key")
        items.append(
            {
                "kind": its_role.value,
                "path": str(path),
                "subject": certificate.subject.rfc4514_string(),
                "algorithm": f"{_key_name(certificate)}, {_hash_name(certificate)}",
                "not_after": certificate.not_valid_after_utc.isoformat(),
                "days_left": (certificate.not_valid_after_utc - now).days,
                "mode": f"{mode:04o}",
                "findings": findings,
            }
        )
    return items


def key_item(path: Path) -> dict[str, Any]:
    """Return the entry of a private key's file."""
    try:
        mode, raw = path.stat().st_mode & 0o777, path.read_bytes()
        key = serialization.load_pem_private_key(raw, password=None)
    except OSError as error:
        return _unreadable("private key", path, f"cannot be read ({error.strerror})")
    except (ValueError, TypeError):
        return _unreadable("private key", path, "holds no private key in PEM without a password")
    public = key.public_key()
    findings = [f"mode {mode:04o}, others may read it; chmod 600 it"] if mode & 0o077 else []
    return {
        "kind": "private key",
        "path": str(path),
        "algorithm": _name_of(public),
        "mode": f"{mode:04o}",
        "findings": findings + _weak(public),
    }


def _unreadable(kind: str, path: Path, finding: str) -> dict[str, Any]:
    return {"kind": str(kind), "path": str(path), "findings": [finding]}


def _age_findings(certificate: x509.Certificate, now: datetime.datetime, soon_days: int) -> list[str]:
    left = certificate.not_valid_after_utc - now
    if left < datetime.timedelta(0):
        return [f"expired on {certificate.not_valid_after_utc:%Y-%m-%d}"]
    if certificate.not_valid_before_utc > now:
        return [f"not valid before {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"]
    return [f"expires in {left.days} days"] if left.days < soon_days else []


def _strength_findings(certificate: x509.Certificate) -> list[str]:
    findings = _weak(certificate.public_key())
    if _hash_name(certificate) in WEAK_HASHES and certificate.issuer != certificate.subject:
        # A root's own signature proves nothing to anybody and is not checked.
        findings.append(f"signed with {_hash_name(certificate)}, which is broken")
    return findings


def _role_findings(certificate: x509.Certificate, role: Role) -> list[str]:
    if role is Role.AUTHORITY:
        constraints = _extension(certificate, x509.BasicConstraints)
        return [] if constraints is not None and constraints.ca else ["is no authority (basic constraints)"]
    findings = []
    wanted = {
        Role.CLIENT: (ExtendedKeyUsageOID.CLIENT_AUTH, "clientAuth"),
        Role.SERVER: (ExtendedKeyUsageOID.SERVER_AUTH, "serverAuth"),
        Role.SIP: (ExtendedKeyUsageOID.SERVER_AUTH, "serverAuth"),
    }[role]
    if not _serves(certificate, wanted[0]):
        findings.append(f"its extended key usage lacks {wanted[1]}")
    names = _extension(certificate, x509.SubjectAlternativeName)
    if role is Role.SERVER and names is None:
        findings.append("has no subject alternative name")
    if role is Role.SIP:
        # RFC 5922 section 7.1: a sip URI, or where there is none a DNS name, says whose domain it is.
        uris = names.get_values_for_type(x509.UniformResourceIdentifier) if names else []
        dns = names.get_values_for_type(x509.DNSName) if names else []
        if not any(uri.startswith("sip:") for uri in uris) and not dns:
            findings.append("has neither a sip: URI nor a DNS name as subject alternative name")
    return findings


def _serves(certificate: x509.Certificate, purpose: ObjectIdentifier) -> bool:
    usage = _extension(certificate, x509.ExtendedKeyUsage)
    return usage is not None and (purpose in usage or ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in usage)


def _extension(certificate: x509.Certificate, kind: type[_Kind]) -> _Kind | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except (x509.ExtensionNotFound, ValueError):
        return None


def _is_pair(certificate: x509.Certificate, key_path: Path) -> bool:
    try:
        key = serialization.load_pem_private_key(key_path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError):
        return True  # the key's own entry says what is wrong with it
    form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return key.public_key().public_bytes(*form) == certificate.public_key().public_bytes(*form)


def _hash_name(certificate: x509.Certificate) -> str:
    algorithm = certificate.signature_hash_algorithm
    return algorithm.name if algorithm is not None else "own hash"


def _key_name(certificate: x509.Certificate) -> str:
    return _name_of(certificate.public_key())


def _name_of(key: object) -> str:
    match key:
        case rsa.RSAPublicKey(key_size=bits):
            return f"RSA {bits}"
        case ec.EllipticCurvePublicKey(curve=curve):
            return f"EC {curve.name}"
        case ed25519.Ed25519PublicKey():
            return "Ed25519"
        case ed448.Ed448PublicKey():
            return "Ed448"
        case _:
            return type(key).__name__.strip("_").removesuffix("PublicKey")


def _weak(key: object) -> list[str]:
    match key:
        case rsa.RSAPublicKey(key_size=bits) if bits < RSA_BITS_MIN:
            return [f"RSA of {bits} bits; {RSA_BITS_MIN} at least"]
        case ec.EllipticCurvePublicKey(curve=curve) if curve.key_size < EC_BITS_MIN:
            return [f"curve of {curve.key_size} bits; {EC_BITS_MIN} at least"]
        case (
            rsa.RSAPublicKey()
            | ec.EllipticCurvePublicKey()
            | ed25519.Ed25519PublicKey()
            | ed448.Ed448PublicKey()
        ):
            return []
        case _:
            return [f"{_name_of(key)}: not among RSA, EC, Ed25519 and Ed448"]
