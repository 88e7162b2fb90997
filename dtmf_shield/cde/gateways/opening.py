"""From a gateway's settings to its sender. Reads every file: to be done before the process is sealed."""

from __future__ import annotations

from pathlib import Path

from dtmf_shield.account_data.slots import Region
from dtmf_shield.base.errors import OperatorError
from dtmf_shield.cde.gateways.sender import Endpoint, GatewaySender
from dtmf_shield.cde.gateways.tls import believes_test_authority, client_context
from dtmf_shield.model.gateway import GatewaySettings


def open_sender(
    settings: GatewaySettings,
    page: Region,
    headers: tuple[tuple[str, str], ...],
    signing_key: bytes = b"",
    *,
    test: bool,
) -> GatewaySender:
    """Return the sender. ``headers`` and ``signing_key``: from the credentials file, as the connector wants them.

    ``test``: everything is marked TEST. Raises OperatorError for a file that cannot be used, and where a live gateway
    would be believed on the word of the TEST gateway's authority.
    """
    certificate, key = settings.client_certificate_file, settings.client_key_file
    context = client_context(
        Path(settings.ca_file),
        certificate_file=Path(certificate) if certificate else None,
        key_file=Path(key) if key else None,
    )
    if not test and believes_test_authority(context):
        raise OperatorError(
            f"{settings.ca_file}: holds the authority of the embedded TEST gateway, and gateway {settings.name} is "
            "live; name the file of your gateway's authorities"
        )
    endpoint = Endpoint(
        addresses=settings.addresses,
        port=settings.port,
        server_name=settings.server_name,
        headers=headers,
        signing_key=signing_key,
        pins=frozenset(settings.pins),
    )
    return GatewaySender(endpoint, context, settings.name, page)
