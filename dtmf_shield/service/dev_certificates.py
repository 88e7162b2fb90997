"""Development certificates: a private authority and a leaf for the embedded test gateway on loopback (RFC 5280).

Made at the first start in the state directory, keys with mode 0600, renewed before they end. For the test gateway
alone: nothing else believes this authority.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DIRECTORY: Final = "dev-certificates"
VALID_DAYS: Final = 90
RENEW_DAYS_BEFORE: Final = 14
CLOCK_SKEW: Final = datetime.timedelta(hours=1)
AUTHORITY_NAME: Final = "dtmf-shield development authority"
"""Common name. No live gateway is believed on its word."""
GATEWAY_USER: Final = "test"
SERVER_NAME: Final = "localhost"


@dataclass(frozen=True, slots=True)
class DevCertificates:
    """Where the files are. ``gateway_user_file`` holds ``user:password`` of the test gateway."""

    ca_file: Path
    gateway_certificate_file: Path
    gateway_key_file: Path
    gateway_user_file: Path


def ensure_dev_certificates(state_directory: Path) -> DevCertificates:
    """Return the files, made anew where one is missing or about to end."""
    directory = state_directory / DIRECTORY
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    files = DevCertificates(
        ca_file=directory / "ca.pem",
        gateway_certificate_file=directory / "gateway.pem",
        gateway_key_file=directory / "gateway.key",
        gateway_user_file=directory / "gateway.user",
    )
    if not _good(files):
        _make(files, directory / "ca.key")
    return files


def _good(files: DevCertificates) -> bool:
    if not (files.ca_file.exists() and files.gateway_key_file.exists() and files.gateway_user_file.exists()):
        return False
    try:
        leaf = x509.load_pem_x509_certificate(files.gateway_certificate_file.read_bytes())
    except (OSError, ValueError):
        return False
    renew_at = leaf.not_valid_after_utc - datetime.timedelta(days=RENEW_DAYS_BEFORE)
    return datetime.datetime.now(datetime.UTC) < renew_at


def _make(files: DevCertificates, ca_key_file: Path) -> None:
    ca_key, gateway_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca = _authority(ca_key)
    leaf = _leaf(ca, ca_key, gateway_key)
    _write(ca_key_file, _key_pem(ca_key))
    _write(files.gateway_key_file, _key_pem(gateway_key))
    _write(files.gateway_user_file, f"{GATEWAY_USER}:{secrets.token_urlsafe(24)}\n".encode())
    _write(files.ca_file, ca.public_bytes(serialization.Encoding.PEM))
    _write(files.gateway_certificate_file, leaf.public_bytes(serialization.Encoding.PEM))


def _builder(name: str, key: ec.EllipticCurvePublicKey, issuer: x509.Name | None) -> x509.CertificateBuilder:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer or subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + datetime.timedelta(days=VALID_DAYS))
    )


def _authority(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    return (
        _builder(AUTHORITY_NAME, key.public_key(), None)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _leaf(
    ca: x509.Certificate, ca_key: ec.EllipticCurvePrivateKey, key: ec.EllipticCurvePrivateKey
) -> x509.Certificate:
    names = [
        x509.DNSName(SERVER_NAME),
        x509.IPAddress(ipaddress.IPv4Address("127.0.0.1")),
        x509.IPAddress(ipaddress.IPv6Address("::1")),
    ]
    return (
        _builder("dtmf-shield TEST gateway", key.public_key(), ca.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False
        )
        .sign(ca_key, hashes.SHA256())
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
