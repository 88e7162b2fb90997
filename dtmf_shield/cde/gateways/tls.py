"""How a gateway is believed: its authorities, its name, the pins of its key, and our own certificate for it.

TLS 1.2 or later (RFC 8446, RFC 5246). A pin is the SHA-256 of the SubjectPublicKeyInfo in base64, as RFC 7469 section
2.4 writes it; the leaf alone is compared, because Python shows no other certificate of the chain. Pins come beside the
check of the chain, never in its place.
"""

from __future__ import annotations

import base64
import hashlib
import ssl
from pathlib import Path
from typing import Final

from cryptography import x509

from dtmf_shield.base.errors import OperatorError

TEST_AUTHORITY: Final = "dtmf-shield development authority"
"""Common name of the authority of the embedded TEST gateway: a live gateway is never believed on its word."""
CERTIFICATE_BYTES_MAX: Final = 65_536
_SEQUENCE: Final = 0x30
_VERSION: Final = 0xA0
_FIELDS_BEFORE_KEY: Final = 5
"""serialNumber, signature, issuer, validity, subject (RFC 5280 section 4.1)."""


class UnreadableCertificateError(Exception):
    """A certificate that is not what RFC 5280 section 4.1 describes."""


def client_context(
    ca_file: Path, *, certificate_file: Path | None = None, key_file: Path | None = None
) -> ssl.SSLContext:
    """Return a context that believes ``ca_file`` alone and shows our certificate where one is named.

    Not ssl.create_default_context: that one honours SSLKEYLOGFILE and the system's authorities.
    Raises OperatorError where a file cannot be read.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise OperatorError(f"{ca_file}: cannot read the gateway's authorities; name a PEM file") from error
    if certificate_file is None:
        return context
    try:
        # An encrypted key would make OpenSSL ask on the terminal: no password is one it cannot be opened with.
        context.load_cert_chain(certificate_file, key_file, password=_no_password)
    except (OSError, ssl.SSLError, ValueError) as error:
        raise OperatorError(
            f"{certificate_file}, {key_file}: cannot be used as our certificate for the gateway; "
            "name a PEM certificate and the key that belongs to it, without a password"
        ) from error
    return context


def believes_test_authority(context: ssl.SSLContext) -> bool:
    """Whether the authority of the embedded TEST gateway is among those believed."""
    held = [x509.load_der_x509_certificate(one) for one in context.get_ca_certs(binary_form=True)]
    return any(name.value == TEST_AUTHORITY for one in held for name in one.subject)


def pin_of(certificate: bytes) -> str:
    """Return the pin of a certificate in DER. Raises UnreadableCertificateError."""
    digest = hashlib.sha256(subject_public_key_info(certificate)).digest()
    return base64.b64encode(digest).decode("ascii")


def subject_public_key_info(certificate: bytes) -> bytes:
    """Return the SubjectPublicKeyInfo exactly as it stands in a certificate in DER (RFC 5280 section 4.1).

    By hand: re-encoding by a library could give other bytes. Raises UnreadableCertificateError.
    """
    if len(certificate) > CERTIFICATE_BYTES_MAX:
        raise UnreadableCertificateError
    _, outer, _ = _element(certificate, 0)
    _, at, end = _element(certificate, outer)
    if certificate[at : at + 1] == bytes([_VERSION]):
        at = _element(certificate, at)[2]
    for _ in range(_FIELDS_BEFORE_KEY):
        at = _element(certificate, at)[2]
    tag, _, key_end = _element(certificate, at)
    if tag != _SEQUENCE or key_end > end:
        raise UnreadableCertificateError
    return certificate[at:key_end]


def _element(data: bytes, at: int) -> tuple[int, int, int]:
    """Return tag, start of the content and end of the DER element at ``at`` (X.690 section 8.1)."""
    if at + 2 > len(data):
        raise UnreadableCertificateError
    tag, length, start = data[at], data[at + 1], at + 2
    if length & 0x80:
        octets = length & 0x7F
        if not 1 <= octets <= 3 or start + octets > len(data):
            raise UnreadableCertificateError
        length, start = int.from_bytes(data[start : start + octets], "big"), start + octets
    if start + length > len(data):
        raise UnreadableCertificateError
    return tag, start, start + length


def _no_password() -> str:
    raise ValueError("the key is encrypted")
