"""The ``dtmf-shield`` command."""

from __future__ import annotations

import typer

from dtmf_shield.cli.audit import app as audit_app
from dtmf_shield.cli.certs import app as certs_app
from dtmf_shield.cli.check import check
from dtmf_shield.cli.demo import demo
from dtmf_shield.cli.doctor import doctor
from dtmf_shield.cli.files import detect, mask
from dtmf_shield.cli.flow import app as flow_app
from dtmf_shield.cli.gateway import app as gateway_app
from dtmf_shield.cli.keys import app as keys_app
from dtmf_shield.cli.payments import app as payments_app
from dtmf_shield.cli.prompts import app as prompts_app
from dtmf_shield.cli.serve import serve
from dtmf_shield.cli.users import app as users_app
from dtmf_shield.cli.users import keys_app as api_keys_app

app = typer.Typer(
    name="dtmf-shield",
    help="Secure card capture by telephone keypad: agents and recordings never hear a digit.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # a traceback with locals could show what must not be shown
    add_completion=False,
)
app.command()(serve)
app.command()(demo)
app.command()(check)
app.command()(doctor)
app.command()(detect)
app.command()(mask)
app.add_typer(audit_app, name="audit")
app.add_typer(flow_app, name="flow")
app.add_typer(gateway_app, name="gateway")
app.add_typer(keys_app, name="keys")
app.add_typer(certs_app, name="certs")
app.add_typer(payments_app, name="payments")
app.add_typer(prompts_app, name="prompts")
app.add_typer(users_app, name="users")
app.add_typer(api_keys_app, name="api-keys")


def main() -> None:
    """Run the command line."""
    app()
