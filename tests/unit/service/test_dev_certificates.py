"""Development certificates: private, for loopback only, stable until they are about to end."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from dtmf_shield.service import dev_certificates
from dtmf_shield.service.dev_certificates import ensure_dev_certificates


def leaf_of(directory: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(
        ensure_dev_certificates(directory).gateway_certificate_file.read_bytes()
    )


def test_every_file_belongs_to_its_owner_alone(tmp_path: Path) -> None:
    files = ensure_dev_certificates(tmp_path)

    directory = files.ca_file.parent
    assert directory.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in directory.iterdir()} == {0o600}


def test_leaf_is_signed_by_the_authority_and_names_loopback(tmp_path: Path) -> None:
    leaf = leaf_of(tmp_path)
    ca = x509.load_pem_x509_certificate(ensure_dev_certificates(tmp_path).ca_file.read_bytes())

    leaf.verify_directly_issued_by(ca)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]


def test_second_start_keeps_the_files(tmp_path: Path) -> None:
    assert leaf_of(tmp_path).serial_number == leaf_of(tmp_path).serial_number


def test_leaf_about_to_end_is_renewed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = leaf_of(tmp_path)
    monkeypatch.setattr(dev_certificates, "RENEW_DAYS_BEFORE", dev_certificates.VALID_DAYS + 1)

    assert leaf_of(tmp_path).serial_number != before.serial_number


def test_damaged_leaf_is_made_anew(tmp_path: Path) -> None:
    files = ensure_dev_certificates(tmp_path)
    files.gateway_certificate_file.write_bytes(b"damaged")

    assert leaf_of(tmp_path).serial_number
