"""A forwarding vault in between: the gateway's own bodies, another host, headers and a secret of the vault's."""

from __future__ import annotations

from pathlib import Path

from dtmf_shield.cde.gateways.authentication import read_credentials
from dtmf_shield.cde.gateways.base import Order
from dtmf_shield.cde.gateways.template import open_connector
from dtmf_shield.cde.gateways.template_file import shipped_templates
from dtmf_shield.model.payment import OperationKind
from tests.unit.cde.gateways.orders import body_of, card, settings, usual_connector

PROXY = """
[proxy]
secret_header = "BT-API-KEY"

[proxy.headers]
BT-PROXY-URL = "https://api.stripe.com${parameters.proxied_path}"

[parameters.proxied_path]
description = "what the vault puts before the path"
required = false
pattern = "/[a-z]*"
"""


def test_the_body_is_the_gateways_and_the_headers_are_more(tmp_path: Path) -> None:
    stripe = next(path for path in shipped_templates() if path.stem == "stripe").read_text()
    template, credentials_file = tmp_path / "stripe-by-vault.toml", tmp_path / "credentials"
    template.write_text(stripe + PROXY)
    credentials_file.write_text("sk_test_1\nproxy_secret = vault_1\n")
    order = Order(OperationKind.TOKENIZE, "key", card=card())

    connector = open_connector(settings(str(template), parameters=(("proxied_path", "/x"),)))
    credentials = read_credentials(credentials_file, connector.authentication)

    assert body_of(connector, order) == body_of(usual_connector("stripe"), order)
    assert ("BT-PROXY-URL", "https://api.stripe.com/x") in connector.request(order).headers
    assert credentials.headers == (("Authorization", "Bearer sk_test_1"), ("BT-API-KEY", "vault_1"))
