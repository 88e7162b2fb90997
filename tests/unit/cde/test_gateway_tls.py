"""Pins of a key, our certificate, and whom a context believes."""

from __future__ import annotations

import base64
import hashlib
import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st

from dtmf_shield.base.errors import OperatorError
from dtmf_shield.cde.gateways.tls import (
    UnreadableCertificateError,
    believes_test_authority,
    client_context,
    pin_of,
)
from dtmf_shield.service.dev_certificates import ensure_dev_certificates
from tests.unit.cde.authority import Authority, Key


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP384R1()),
        ed25519.Ed25519PrivateKey.generate(),
        rsa.generate_private_key(public_exponent=65_537, key_size=2048),
    ],
    ids=["ec", "ed25519", "rsa"],
)
def test_pin_is_the_digest_of_the_key_as_another_library_sees_it(authority: Authority, key: Key) -> None:
    """RFC 7469 section 2.4."""
    info = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )

    assert pin_of(authority.leaf(key=key).der) == base64.b64encode(hashlib.sha256(info).digest()).decode()


def test_certificate_cut_anywhere_is_unreadable(authority: Authority) -> None:
    whole = authority.leaf().der

    for end in range(len(whole)):
        with pytest.raises(UnreadableCertificateError):
            pin_of(whole[:end])


@given(st.binary(max_size=300))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    try:
        pin_of(data)
    except UnreadableCertificateError:
        return


def test_certificate_beyond_its_limit_is_unreadable(authority: Authority) -> None:
    with pytest.raises(UnreadableCertificateError):
        pin_of(authority.leaf().der + bytes(65_536))


def test_context_believes_the_named_file_alone(authority: Authority) -> None:
    context = client_context(authority.file)

    assert len(context.get_ca_certs()) == 1
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_secrets_of_tls_are_written_nowhere(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))

    assert client_context(authority.file).keylog_filename is None


@pytest.mark.parametrize("content", [None, b"no PEM"])
def test_authorities_that_cannot_be_read_are_named(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(OperatorError, match=r"ca\.pem"):
        client_context(file)


def test_key_of_another_certificate_is_refused(authority: Authority) -> None:
    ours, other = authority.leaf(client=True), authority.leaf(client=True)

    with pytest.raises(OperatorError, match="belongs to it"):
        client_context(authority.file, certificate_file=ours.certificate_file, key_file=other.key_file)


def test_encrypted_key_is_refused_and_nobody_is_asked(authority: Authority, tmp_path: Path) -> None:
    ours = authority.leaf(client=True)
    key = serialization.load_pem_private_key(ours.key_file.read_bytes(), None)
    encrypted = tmp_path / "encrypted.key"
    encrypted.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"password"),
        )
    )

    with pytest.raises(OperatorError, match="without a password"):
        client_context(authority.file, certificate_file=ours.certificate_file, key_file=encrypted)


def test_authority_of_the_test_gateway_is_known(authority: Authority, tmp_path: Path) -> None:
    files = ensure_dev_certificates(tmp_path)

    assert believes_test_authority(client_context(files.ca_file))
    assert not believes_test_authority(client_context(authority.file))
