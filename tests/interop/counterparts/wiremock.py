"""WireMock 3.13.2 as a gateway that misbehaves: its own process, HTTPS with our development certificate, mTLS too."""

from __future__ import annotations

import datetime
import http.client
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from dtmf_shield.model.gateway import GatewaySettings
from dtmf_shield.service.dev_certificates import SERVER_NAME, DevCertificates, ensure_dev_certificates
from tests.interop.counterparts.installed import WIREMOCK, need, node_program
from tests.interop.counterparts.running import free_port, running

PASSWORD = "password"
JAR = "build/wiremock-standalone-3.13.2.jar"
ADMIN_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class WireMock:
    """A running one. ``client_certificate``: certificate and key it wants to see, none without mTLS."""

    https_port: int
    http_port: int
    files: DevCertificates
    credentials_file: Path
    client_certificate: tuple[Path, Path] | None

    def settings(self, **more: Any) -> GatewaySettings:
        """Settings of a Stripe gateway here."""
        return GatewaySettings(
            name="wiremock",
            template="stripe",
            addresses=("127.0.0.1",),
            port=self.https_port,
            server_name=SERVER_NAME,
            ca_file=str(self.files.ca_file),
            credentials_file=str(self.credentials_file),
            **more,
        )

    def reset(self) -> None:
        """Forget stubs, scenarios and what came."""
        self.admin("POST", "/__admin/reset")

    def stub(self, path: str, response: dict[str, Any], **more: Any) -> None:
        """Answer POSTs to ``path`` so."""
        self.admin(
            "POST",
            "/__admin/mappings",
            {"request": {"method": "POST", "url": path}, "response": response, **more},
        )

    def times(self, path: str, key: str) -> int:
        """How often ``key`` came to ``path``."""
        wanted = {"method": "POST", "url": path, "headers": {"Idempotency-Key": {"equalTo": key}}}
        return int(self.admin("POST", "/__admin/requests/count", wanted)["count"])

    def bodies(self, path: str) -> list[str]:
        """What came to ``path``, in order."""
        found = self.admin("POST", "/__admin/requests/find", {"method": "POST", "url": path})
        return [request["body"] for request in found["requests"]]

    def admin(self, method: str, path: str, body: Any = None) -> Any:
        """Speak to it beside the gateway's way."""
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=ADMIN_TIMEOUT_S)
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        assert answer.status < 300, content
        return json.loads(content) if content else None


def as_json(body: Any, status: int = 200, **more: Any) -> dict[str, Any]:
    """A stub's answer."""
    return {"status": status, "jsonBody": body, "headers": {"Content-Type": "application/json"}, **more}


@contextmanager
def wiremock(folder: Path, *, mutual: bool = False) -> Iterator[WireMock]:
    """Run one. ``mutual``: it takes connections with our client certificate only."""
    files = ensure_dev_certificates(folder)
    credentials_file = folder / "key"
    credentials_file.write_text("sk_test_12345\n")
    https_port, http_port = free_port(), free_port()
    command = [
        need("java"),
        "-Xmx256m",
        "-XX:TieredStopAtLevel=1",
        "-jar",
        str(node_program(WIREMOCK, JAR)),
        *("--port", str(http_port), "--https-port", str(https_port), "--bind-address", "127.0.0.1"),
        *("--https-keystore", str(_server_store(folder, files)), "--keystore-type", "PKCS12"),
        *("--keystore-password", PASSWORD, "--key-manager-password", PASSWORD),
        *("--root-dir", str(folder), "--disable-banner"),
    ]
    client = _client_certificate(folder) if mutual else None
    if client is not None:
        store = _trust_store(folder, client[0])
        command += ["--https-require-client-cert", "--https-truststore", str(store)]
        command += ["--truststore-type", "PKCS12", "--truststore-password", PASSWORD]
    with running(command, https_port, folder):
        yield WireMock(https_port, http_port, files, credentials_file, client)


def _server_store(folder: Path, files: DevCertificates) -> Path:
    key = serialization.load_pem_private_key(files.gateway_key_file.read_bytes(), None)
    leaf = x509.load_pem_x509_certificate(files.gateway_certificate_file.read_bytes())
    authority = x509.load_pem_x509_certificate(files.ca_file.read_bytes())
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    store = folder / "server.p12"
    encryption = serialization.BestAvailableEncryption(PASSWORD.encode())
    store.write_bytes(pkcs12.serialize_key_and_certificates(b"gateway", key, leaf, [authority], encryption))
    return store


def _client_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate that vouches for itself: the one WireMock is told to trust."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "client of the tests")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / "client.pem", folder / "client.key"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    key_file.chmod(0o600)
    return certificate_file, key_file


def _trust_store(folder: Path, certificate_file: Path) -> Path:
    """Java believes a certificate of a PKCS #12 store only where keytool put it there."""
    store = folder / "trust.p12"
    command = [
        need("keytool"),
        "-importcert",
        "-noprompt",
        "-alias",
        "client",
        "-file",
        str(certificate_file),
    ]
    command += ["-keystore", str(store), "-storetype", "PKCS12", "-storepass", PASSWORD]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return store
