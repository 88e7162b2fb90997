"""``dtmf-shield certs inventory``: everything is in the list, and each thing that is wrong is named."""

from __future__ import annotations

import datetime
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from pydantic import BaseModel
from typer.testing import CliRunner

from dtmf_shield.audit.signing import ensure_signer
from dtmf_shield.base.config import Config
from dtmf_shield.cli.main import app
from dtmf_shield.service import inventory as inventory_module
from dtmf_shield.service.certificate_findings import Role, certificate_items, key_item
from dtmf_shield.service.certificates import CLIENT_AUTH, SERVER_AUTH, host_name, issue_leaf, make_authority
from dtmf_shield.service.dev_certificates import ensure_dev_certificates, make_development_set
from dtmf_shield.service.inventory import Item, inventory
from dtmf_shield.service.keys import Place
from tests.unit.cde.keys.sealed_ledger import StoppedClock, seal_tokens

NOW = datetime.datetime.now(datetime.UTC)
GENERIC = """
[gateway]
kind = "generic"
address = "192.0.2.30:443"
ca_file = "certs/ca.pem"
credentials_file = "credentials"
"""


def run(*arguments: str | Path, code: int = 0) -> Any:
    result = CliRunner().invoke(app, ["certs", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A configured gateway, and a state directory with everything in it, all in order."""
    make_development_set(tmp_path / "certs", sip_host="localhost", valid_days=90, force=False)
    (tmp_path / "credentials").write_text("user:password\n")
    (tmp_path / "credentials").chmod(0o600)
    (tmp_path / "c.toml").write_text(GENERIC)
    state = tmp_path / "state"
    state.mkdir()
    ensure_dev_certificates(state)
    ensure_signer(state / "audit.key")
    for name in ("api.key", "caller.key"):
        (state / name).write_text("secret\n")
        (state / name).chmod(0o600)
    seal_tokens(state, 1, wall_s=NOW.timestamp())
    return tmp_path


def items_of(house: Path, code: int = 0) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(
        run("inventory", "--config", house / "c.toml", "--json", code=code).stdout
    )["items"]
    return found


def test_everything_is_in_the_list(house: Path) -> None:
    items = items_of(house)

    kinds = [(item["kind"], item["source"].split(":")[0]) for item in items]
    assert kinds == [
        ("authority", "gateway.ca_file"),
        ("secret", "gateway.credentials_file"),
        ("authority", "state"),
        ("server certificate", "state"),
        ("private key", "state"),
        ("private key", "state"),
        ("private key", "state"),
        ("secret", "state"),
        ("secret", "state"),
        ("KEK", "active"),
        ("data keys", "ledger"),
    ]
    assert [item["algorithm"] for item in items if item["path"].endswith("audit.key")] == ["Ed25519"]
    assert items[0]["days_left"] == 89
    assert items[-1]["days_left"] in (399, 400)  # midnight may pass meanwhile


def test_nothing_secret_is_shown(house: Path) -> None:
    shown = run("inventory", "--config", house / "c.toml").output
    kek = json.loads((house / "state" / "kek.json").read_text())["keys"][0]["key"]

    assert "89 days left" in shown
    assert not any(secret in shown for secret in ("password", "secret\n", kek, "PRIVATE"))


@pytest.mark.parametrize(
    "name", ["credentials", "state/api.key", "state/caller.key", "state/audit.key", "state/kek.json"]
)
def test_a_secret_that_others_may_read_is_a_finding(house: Path, name: str) -> None:
    (house / name).chmod(0o644)

    told = run("inventory", "--config", house / "c.toml", code=1)

    assert f"{(house / name).name}" in told.stderr
    assert "chmod 600" in told.stderr


def test_files_that_are_not_there_or_not_what_they_should_be_are_findings(house: Path) -> None:
    (house / "certs" / "ca.pem").write_text("no certificate")
    (house / "credentials").unlink()
    (house / "state" / "kek.json").unlink()

    findings = {item["source"]: item["findings"] for item in items_of(house, code=1) if item["findings"]}

    assert findings["gateway.ca_file"] == ["holds no certificate in PEM"]
    assert findings["gateway.credentials_file"] == ["cannot be read (No such file or directory)"]
    assert "restore the file from its backup" in findings["keys"][0]


class GatewayLater(BaseModel):
    """A section as it may look when client certificates and pins are in it."""

    client_certificate_file: str = "certs/gateway-client.pem"
    client_key_file: str = "certs/gateway-client.key"
    pins: list[str] = ["one"]


class ConfigLater(Config):
    gateway_later: GatewayLater = GatewayLater()


def test_keys_that_the_configuration_has_later_are_found_by_their_names(house: Path) -> None:
    found = inventory(Place(ConfigLater(), house, house / "state"))

    later = {item.source: item for item in found if item.source.startswith("gateway_later")}
    assert later["gateway_later.client_certificate_file"].kind == "client certificate"
    assert later["gateway_later.client_certificate_file"].findings == []
    assert later["gateway_later.client_key_file"].kind == "private key"
    assert later["gateway_later.pins"].findings == ["1 pins; give 2 or more: now and next"]


def test_a_key_of_another_certificate_is_a_finding(house: Path) -> None:
    key = house / "certs" / "gateway-client.key"
    key.write_bytes((house / "certs" / "sip.key").read_bytes())

    found = inventory(Place(ConfigLater(), house, house / "state"))

    (item,) = [item for item in found if item.kind == "client certificate"]
    assert item.findings == [f"{key} is not its key"]


def test_an_old_kek_and_data_keys_that_end_are_findings(house: Path) -> None:
    def at(days: int) -> list[Item]:
        clock = StoppedClock(NOW.timestamp() + days * 86_400)
        return [
            i
            for i in inventory(Place(Config(), house, house / "state", clock))
            if i.kind in ("KEK", "data keys")
        ]

    assert [item.findings for item in at(365)] == [[], []]
    assert [item.findings for item in at(380)] == [
        [f"older than {inventory_module.KEK_DAYS_MAX} days; rotate it: dtmf-shield keys rotate"],
        ["their days are nearly over; replace cde: send SIGHUP to dtmf-shield serve"],
    ]


# --- one certificate --------------------------------------------------------------------------------------

AUTHORITY = make_authority("test authority")


def findings_of(path: Path, role: Role, now: datetime.datetime = NOW) -> list[str]:
    (item,) = certificate_items(path, role, now, 30)
    found: list[str] = item["findings"]
    return found


@pytest.mark.parametrize(
    ("days", "words"),
    [(0, None), (59, None), (61, "expires in 2"), (91, "expired on"), (-2, "not valid before")],
)
def test_age_is_told_in_time(tmp_path: Path, days: int, words: str | None) -> None:
    path = tmp_path / "leaf.pem"
    path.write_bytes(
        issue_leaf(AUTHORITY, "leaf", [host_name("localhost")], (SERVER_AUTH,)).certificate_pem()
    )

    findings = findings_of(path, Role.SERVER, NOW + datetime.timedelta(days=days))

    assert [finding for finding in findings if words is None or words not in finding] == []
    assert bool(findings) == (words is not None)


def test_purposes_and_names_are_those_of_the_role(tmp_path: Path) -> None:
    path = tmp_path / "leaf.pem"
    path.write_bytes(issue_leaf(AUTHORITY, "bare", (), (SERVER_AUTH,)).certificate_pem())

    assert findings_of(path, Role.CLIENT) == ["its extended key usage lacks clientAuth"]
    assert findings_of(path, Role.SERVER) == ["has no subject alternative name"]
    assert findings_of(path, Role.SIP) == [
        "has neither a sip: URI nor a DNS name as subject alternative name"
    ]
    assert findings_of(path, Role.AUTHORITY) == ["is no authority (basic constraints)"]

    path.write_bytes(issue_leaf(AUTHORITY, "client", (), (CLIENT_AUTH,)).certificate_pem())
    assert findings_of(path, Role.CLIENT) == []


def weak_certificate(bits: int, algorithm: hashes.HashAlgorithm) -> tuple[bytes, bytes]:
    key = rsa.generate_private_key(65_537, bits)
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in ("leaf", "issuer")]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(names[0])
        .issuer_name(names[1])
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - datetime.timedelta(days=1))
        .not_valid_after(NOW + datetime.timedelta(days=90))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, algorithm)
    )
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return certificate.public_bytes(serialization.Encoding.PEM), key.private_bytes(*form)


def test_weak_keys_and_broken_hashes_are_findings(tmp_path: Path) -> None:
    certificate, key = weak_certificate(1_024, hashes.SHA256())
    (tmp_path / "weak.pem").write_bytes(certificate)
    (tmp_path / "weak.key").write_bytes(key)
    (tmp_path / "weak.key").chmod(0o600)

    assert findings_of(tmp_path / "weak.pem", Role.AUTHORITY) == ["RSA of 1024 bits; 2048 at least"]
    assert key_item(tmp_path / "weak.key")["findings"] == ["RSA of 1024 bits; 2048 at least"]


def openssl(directory: Path, command: str) -> None:
    subprocess.run(["openssl", *command.split()], cwd=directory, check=True, capture_output=True)


def test_sha_1_is_a_finding_but_for_a_root_s_own_signature(tmp_path: Path) -> None:
    """cryptography signs nothing with SHA-1 any more, so openssl makes the certificates."""
    openssl(
        tmp_path, "req -x509 -newkey rsa:2048 -nodes -sha1 -days 90 -subj /CN=root -keyout ca.key -out ca.pem"
    )
    openssl(tmp_path, "req -newkey rsa:2048 -nodes -subj /CN=leaf -keyout leaf.key -out leaf.csr")
    openssl(
        tmp_path,
        "x509 -req -sha1 -in leaf.csr -CA ca.pem -CAkey ca.key -days 90 -CAcreateserial -out sha1.pem",
    )
    tomorrow = NOW + datetime.timedelta(days=1)

    assert "signed with sha1, which is broken" in findings_of(tmp_path / "sha1.pem", Role.AUTHORITY, tomorrow)
    assert findings_of(tmp_path / "ca.pem", Role.AUTHORITY, tomorrow) == []


def test_a_chain_is_a_leaf_and_its_authorities(tmp_path: Path) -> None:
    leaf = issue_leaf(AUTHORITY, "client", (), (CLIENT_AUTH,))
    (tmp_path / "chain.pem").write_bytes(leaf.certificate_pem() + AUTHORITY.certificate_pem())

    items = certificate_items(tmp_path / "chain.pem", Role.CLIENT, NOW, 30)

    assert [(item["kind"], item["findings"]) for item in items] == [
        ("client certificate", []),
        ("authority", []),
    ]


def test_a_certificate_that_others_may_write_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(AUTHORITY.certificate_pem())
    (tmp_path / "ca.pem").chmod(0o666)

    assert findings_of(tmp_path / "ca.pem", Role.AUTHORITY) == [
        "mode 0666, others may write it; chmod 644 it"
    ]
