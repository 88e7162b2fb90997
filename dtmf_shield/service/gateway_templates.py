"""Connector templates as an operator sees them: which there are, what they can do, what a request looks like.

A request is shown with • in place of card data and names in place of values; no order and no gateway is needed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from dtmf_shield.base.errors import ConfigurationError, OperatorError
from dtmf_shield.cde.gateways.base import SlotField
from dtmf_shield.cde.gateways.body import CONTENT_TYPES
from dtmf_shield.cde.gateways.language import Operation, Template
from dtmf_shield.cde.gateways.placeholders import PARAMETERS, SLOT_FIELDS, VALUES, Filling, fill_line
from dtmf_shield.cde.gateways.template_file import find_template, load_template, shipped_templates
from dtmf_shield.cde.gateways.toml_table import one_of

HIDDEN: Final = "••••"


def shipped() -> list[dict[str, Any]]:
    """Return what each shipped template can do."""
    return [described(load_template(path)) for path in shipped_templates()]


def check(template: str) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    """Read a shipped template by name, or a file. Return what it can do, or None and the findings.

    Raises OperatorError for what cannot be read at all.
    """
    path = Path(template)
    try:
        return described(load_template(path) if path.is_file() else find_template(template)), []
    except ExceptionGroup as group:
        return None, [_finding(each) for each in group.exceptions if isinstance(each, ConfigurationError)]


def described(template: Template) -> dict[str, Any]:
    """Return name, abilities and parameters of a template, as JSON has them."""
    return {
        "name": template.name,
        "documentation": template.documentation,
        "api_version": template.api_version,
        "idempotency": template.idempotency.value,
        "key_ttl_s": template.key_ttl_s,
        "token_binds_cvc": template.token_binds_cvc,
        "authentication": {
            "scheme": template.authentication.scheme.value,
            "header": template.authentication.header,
            "credential": template.authentication.credential,
        },
        "parameters": [
            {
                "name": parameter.name,
                "required": parameter.required,
                "default": parameter.default,
                "pattern": parameter.pattern,
                "description": parameter.description,
            }
            for parameter in template.parameters
        ],
        "operations": [_operation(each) for each in template.operations],
    }


def requests(template: str, operation: str, source: str = "") -> list[dict[str, Any]]:
    """Return the requests of ``operation`` (with ``source`` where given) as they would leave. Raises OperatorError."""
    loaded = find_template(template)
    found = [
        each for each in loaded.operations if each.kind == operation and (not source or each.source == source)
    ]
    if not found:
        there = sorted({f"{each.kind} with {each.source}" for each in loaded.operations})
        wanted = f"{operation} with {source}" if source else operation
        raise OperatorError(f"{loaded.name} has no {wanted}; allowed: {one_of(wanted, there)}")
    return [_request(loaded, each) for each in found]


def _finding(error: ConfigurationError) -> dict[str, Any]:
    return {
        "file": error.file,
        "line": error.line,
        "key": error.key,
        "found": error.found,
        "allowed": error.allowed,
    }


def _operation(operation: Operation) -> dict[str, Any]:
    return {
        "kind": operation.kind.value,
        "with": operation.source,
        "of": sorted(each.value for each in operation.of),
        "moto": operation.moto,
        "no_moto_because": operation.no_moto_because,
        "requires": list(operation.requires),
    }


class _Shown(Filling):
    """Names in place of values."""

    def part(self, name: str) -> SlotField | str:
        return SLOT_FIELDS.get(name) or self.values[name]


def _request(template: Template, operation: Operation) -> dict[str, Any]:
    names = [*VALUES, *(PARAMETERS + parameter.name for parameter in template.parameters)]
    filling = _Shown({name: _sample(name) for name in names})
    content_type = CONTENT_TYPES[operation.encoding]
    headers = {template.authentication.header: HIDDEN}
    headers |= {"Content-Type": content_type} if content_type else {}
    headers |= {name: fill_line(text, filling, str) for name, text in operation.headers}
    body = [
        HIDDEN.encode() if isinstance(part, SlotField) else part for part in operation.body.filled(filling)
    ]
    return {
        **_operation(operation),
        "method": operation.method,
        "path": fill_line(operation.path, filling, str),
        "headers": headers,
        "body": b"".join(body).decode(),
    }


def _sample(name: str) -> str:
    """Return what stands for a value: its name in capitals, or an amount."""
    samples = {"amount_minor": "1000", "amount_decimal": "10.00", "currency": "EUR", "currency_lower": "eur"}
    return samples.get(name, "/PATH" if name == "path" else name.removeprefix(PARAMETERS).upper())
