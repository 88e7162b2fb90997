"""``certs dev``: names and purposes that peers check, keys of their owner alone, nothing replaced unasked; mTLS."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from dtmf_shield.base.errors import OperatorError
from dtmf_shield.service.dev_certificates import make_development_set


def make(directory: Path, sip_host: str = "sip.example.com", *, force: bool = False) -> Mapping[str, Path]:
    return make_development_set(directory, sip_host=sip_host, valid_days=90, force=force)


def certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


@pytest.mark.parametrize(
    ("host", "dns", "addresses", "uri"),
    [
        ("sip.example.com", ["sip.example.com"], [], "sip:sip.example.com"),
        ("192.0.2.7", [], ["192.0.2.7"], "sip:192.0.2.7"),
        ("2001:db8::7", [], ["2001:db8::7"], "sip:[2001:db8::7]"),
    ],
)
def test_the_sip_leaf_bears_its_host_and_uri(
    tmp_path: Path, host: str, dns: list[str], addresses: list[str], uri: str
) -> None:
    """RFC 5922 section 4."""
    names = (
        certificate(make(tmp_path, host)["sip.pem"])
        .extensions.get_extension_for_class(x509.SubjectAlternativeName)
        .value
    )

    assert names.get_values_for_type(x509.DNSName) == dns
    assert [str(each) for each in names.get_values_for_type(x509.IPAddress)] == addresses
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [uri]


def test_each_leaf_is_for_its_purpose_and_of_the_authority(tmp_path: Path) -> None:
    files = make(tmp_path)
    authority = certificate(files["ca.pem"])
    purposes = {}
    for role in ("sip", "gateway-server", "gateway-client"):
        leaf = certificate(files[f"{role}.pem"])
        leaf.verify_directly_issued_by(authority)
        purposes[role] = set(leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)

    assert purposes == {
        "sip": {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH},
        "gateway-server": {ExtendedKeyUsageOID.SERVER_AUTH},
        "gateway-client": {ExtendedKeyUsageOID.CLIENT_AUTH},
    }


def test_keys_belong_to_their_owner(tmp_path: Path) -> None:
    files = make(tmp_path)

    assert {path.stat().st_mode & 0o777 for name, path in files.items() if name.endswith(".key")} == {0o600}


def test_nothing_is_replaced_unasked(tmp_path: Path) -> None:
    before = {name: path.read_bytes() for name, path in make(tmp_path).items()}

    with pytest.raises(OperatorError, match=r"ca\.pem.*--force"):
        make(tmp_path)
    assert {name: path.read_bytes() for name, path in make_names(tmp_path).items()} == before

    assert all(path.read_bytes() != before[name] for name, path in make(tmp_path, force=True).items())


def make_names(directory: Path) -> Mapping[str, Path]:
    return {path.name: path for path in directory.iterdir()}


@pytest.mark.parametrize("host", ["", "a b", "sip:host", "-x", "x" * 300, "host\n"])
def test_a_host_that_is_none_is_refused(tmp_path: Path, host: str) -> None:
    with pytest.raises(OperatorError, match="--sip-host"):
        make(tmp_path, host)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("days", [0, 399])
def test_days_outside_the_limits_are_refused(tmp_path: Path, days: int) -> None:
    with pytest.raises(OperatorError, match="--days"):
        make_development_set(tmp_path, sip_host="localhost", valid_days=days, force=False)


def handshake(server: ssl.SSLContext, client: ssl.SSLContext) -> None:
    """TLS in memory until both sides are content."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname="localhost"),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _ in range(6):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue


def contexts(files: Mapping[str, Path], client: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    server_side, client_side = (
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER),
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
    )
    server_side.load_cert_chain(files["gateway-server.pem"], files["gateway-server.key"])
    server_side.load_verify_locations(files["ca.pem"])
    server_side.verify_mode = ssl.CERT_REQUIRED
    client_side.load_verify_locations(files["ca.pem"])
    client_side.load_cert_chain(files[f"{client}.pem"], files[f"{client}.key"])
    return server_side, client_side


def test_server_and_client_know_each_other(tmp_path: Path) -> None:
    handshake(*contexts(make(tmp_path), "gateway-client"))


def test_a_server_s_certificate_is_no_client(tmp_path: Path) -> None:
    with pytest.raises(ssl.SSLError, match=r"(unsuitable|unsupported) certificate purpose"):
        handshake(*contexts(make(tmp_path), "gateway-server"))
