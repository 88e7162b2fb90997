"""``dtmf-shield gateway``: connector templates. Forms are stable."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.markup import escape

from dtmf_shield.cli.console import EXIT_NO, err, operator_errors, out

app = typer.Typer(
    help="Payment gateways: the templates that say how each is spoken to.", no_args_is_help=True
)

TemplateName = Annotated[str, typer.Argument(help="A shipped template's name, or a file of your own.")]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]


@app.command(name="list")
def list_templates(as_json: AsJson = False) -> None:
    """Show the templates that ship with the service, with what each can do."""
    from dtmf_shield.service import gateway_templates  # red code loads here, not in the supervisor of `serve`

    with operator_errors():
        templates = gateway_templates.shipped()
    if as_json:
        out.print_json(json.dumps({"templates": templates}))
        return
    for template in templates:
        _print_template(template)


@app.command()
def check(template: TemplateName, as_json: AsJson = False) -> None:
    """Check a template. Exit code 1 when something is to be mended."""
    from dtmf_shield.service import gateway_templates

    with operator_errors():
        described, findings = gateway_templates.check(template)
    if as_json:
        out.print_json(json.dumps({"template": described, "findings": findings}))
    elif described is not None:
        _print_template(described)
        out.print(f"{escape(template)}: ok")
    for finding in () if as_json else findings:
        text = "{file}:{line}: {key}: found {found}; allowed: {allowed}".format(**finding)
        err.print(f"[red]error:[/red] {escape(text)}", soft_wrap=True)
    if findings:
        raise typer.Exit(EXIT_NO)


@app.command()
def show(
    template: TemplateName,
    operation: Annotated[
        str, typer.Option(help="verify, tokenize, authorize, charge, capture, refund, void, lookup.")
    ],
    source: Annotated[
        str, typer.Option("--with", help="card, token, reference or key; all of them without it.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Print a request as it would leave: •••• for card data, capitals for values."""
    from dtmf_shield.service import gateway_templates

    with operator_errors():
        requests = gateway_templates.requests(template, operation, source)
    if as_json:
        out.print_json(json.dumps({"requests": requests}, ensure_ascii=False))
        return
    for request in requests:
        _print_request(request)


def _print_template(template: dict[str, Any]) -> None:
    known = template["key_ttl_s"] and template["idempotency"] != "none"
    key = template["idempotency"] + (f" for {template['key_ttl_s']} s" if known else "")
    out.print(f"[bold]{template['name']}[/bold]  API {template['api_version']}, keys: {key}", soft_wrap=True)
    out.print(f"  {escape(template['documentation'])}", soft_wrap=True)
    for operation in template["operations"]:
        about = f" of {', '.join(operation['of'])}" if operation["of"] else ""
        needs = f"; needs {', '.join(operation['requires'])}" if operation["requires"] else ""
        moto = f"; MOTO: {operation['moto']}" if operation["moto"] else ""
        out.print(
            escape(f"  {operation['kind']} with {operation['with']}{about}{moto}{needs}"), soft_wrap=True
        )
    for parameter in template["parameters"]:
        kind = "required" if parameter["required"] else "optional"
        out.print(
            escape(f"  parameter {parameter['name']} ({kind}): {parameter['description']}"), soft_wrap=True
        )


def _print_request(request: dict[str, Any]) -> None:
    about = f" of {', '.join(request['of'])}" if request["of"] else ""
    out.print(f"[bold]{request['kind']} with {request['with']}{about}[/bold]", soft_wrap=True)
    out.print(escape(f"{request['method']} {request['path']}"), soft_wrap=True)
    for name, value in request["headers"].items():
        out.print(escape(f"{name}: {value}"), soft_wrap=True)
    out.print(f"\n{escape(request['body'])}\n" if request["body"] else "", soft_wrap=True)
