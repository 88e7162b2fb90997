"""The connector of one gateway: an order in, a request out; an answer in, a result out, as its template says.

Templates are TOML files beside this one, or the operator's own. Nothing here sends, and card data stands in a request
only as names of parts of the slot, in its body.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from dtmf_shield.base.errors import InvariantError, OperatorError
from dtmf_shield.cde.gateways.authentication import Authentication
from dtmf_shield.cde.gateways.base import (
    Answer,
    Capabilities,
    GatewayResult,
    Idempotency,
    Order,
    OrderImpossibleError,
    Request,
)
from dtmf_shield.cde.gateways.body import CONTENT_TYPES, compact, form_escape
from dtmf_shield.cde.gateways.language import CARD, KEY, REFERENCE, TOKEN, Operation, Template
from dtmf_shield.cde.gateways.placeholders import PARAMETERS, fill_line, filling
from dtmf_shield.cde.gateways.template_file import find_template
from dtmf_shield.cde.gateways.toml_table import one_of
from dtmf_shield.model.gateway import GatewaySettings

PATH_PATTERN: Final = r"/[A-Za-z0-9._~/-]{0,200}"


class TemplateConnector:
    """One configured gateway that speaks a template. Implements base.Connector."""

    __slots__ = ("_capabilities", "_configured", "_name", "_operations", "_template")

    def __init__(
        self, name: str, template: Template, idempotency: Idempotency, configured: Mapping[str, str]
    ) -> None:
        """``configured``: ``path`` and ``parameters.x``, checked."""
        self._name, self._template, self._configured = name, template, configured
        self._operations = template.available(configured)
        self._capabilities = template.capabilities(idempotency, configured)

    @property
    def name(self) -> str:
        """Name in the configuration and the ledger."""
        return self._name

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        return self._capabilities

    @property
    def authentication(self) -> Authentication:
        """For ``authentication.read_credentials``."""
        return self._template.authentication

    def request(self, order: Order) -> Request:
        """Return the request of ``order``, byte for byte the same each time.

        Raises InvariantError beyond its capabilities, OrderImpossibleError for an amount it cannot express.
        """
        operation = self._operation(order)
        only = self._configured.get(PARAMETERS + self._template.currency_parameter, "")
        if only and order.currency not in ("", only):
            message = f"gateway {self._name} charges {only} alone, and its requests name no currency"
            raise OrderImpossibleError(message, "currency")
        values = filling(order, self._configured, self._template.exponents)
        content_type = CONTENT_TYPES[operation.encoding]
        headers = [("Content-Type", content_type)] if content_type else []
        headers += [(name, fill_line(text, values, _as_it_is)) for name, text in operation.headers]
        return Request(
            operation.method,
            fill_line(operation.path, values, form_escape),
            tuple(headers),
            compact(operation.body.filled(values)),
            self._template.signature,
        )

    def result(self, order: Order, answer: Answer) -> GatewayResult:
        """Read the answer. Never raises for what a peer can send."""
        return self._operation(order).answers.read(order, answer)

    def _operation(self, order: Order) -> Operation:
        for source in _sources(order):
            for operation in self._operations:
                if operation.serves(order.kind, source, order.of):
                    return operation
        raise InvariantError(f"gateway {self._name} cannot do {order.kind} with {_sources(order)}")


def _sources(order: Order) -> tuple[str, ...]:
    """Return what ``order`` has to be done with, best first."""
    there = ((CARD, order.card is not None), (TOKEN, order.token), (REFERENCE, order.gateway_reference))
    return (*(source for source, given in there if given), KEY)


def _as_it_is(value: str) -> str:
    return value


def open_connector(settings: GatewaySettings) -> TemplateConnector:
    """Return the connector of ``settings``, its template read and its parameters checked. Raises OperatorError."""
    template = _template(settings)
    gateway = f"gateway {settings.name} ({template.name})"
    configured = {"path": _path(settings, template, gateway), **_parameters(settings, template, gateway)}
    words = [each.value for each in Idempotency]
    if settings.idempotency and settings.idempotency not in words:
        raise OperatorError(
            f"{gateway}: idempotency: found {settings.idempotency!r}; "
            f"allowed: {one_of(settings.idempotency, words)}"
        )
    idempotency = Idempotency(settings.idempotency) if settings.idempotency else template.idempotency
    return TemplateConnector(settings.name, template, idempotency, configured)


def _template(settings: GatewaySettings) -> Template:
    try:
        return find_template(settings.template)
    except ExceptionGroup as group:
        raise OperatorError(
            f"gateway {settings.name}: {len(group.exceptions)} finding(s) in its template, the first: "
            f"{group.exceptions[0]}; see all by: dtmf-shield gateway check {settings.template}"
        ) from None


def _path(settings: GatewaySettings, template: Template, gateway: str) -> str:
    if template.uses_path and re.fullmatch(PATH_PATTERN, settings.path) is None:
        raise OperatorError(f"{gateway}: path: found {settings.path!r}; allowed: a path such as /pay")
    if settings.path and not template.uses_path:
        raise OperatorError(
            f"{gateway}: path: found {settings.path!r}; allowed: nothing, the template has paths"
        )
    return settings.path


def _parameters(settings: GatewaySettings, template: Template, gateway: str) -> dict[str, str]:
    given = dict(settings.parameters)
    known = {parameter.name: parameter for parameter in template.parameters}
    for name in given:
        if name not in known:
            raise OperatorError(
                f"{gateway}: parameters.{name}: found an unknown key; allowed: {one_of(name, known)}"
            )
    values = {}
    for parameter in template.parameters:
        value = given.get(parameter.name, parameter.default)
        if parameter.required and not value:
            raise OperatorError(
                f"{gateway}: parameters.{parameter.name}: found nothing; {parameter.description}"
            )
        if value and re.fullmatch(parameter.pattern, value) is None:
            raise OperatorError(
                f"{gateway}: parameters.{parameter.name}: found {value!r}; allowed: {parameter.description}, "
                f"of the form {parameter.pattern}"
            )
        values[PARAMETERS + parameter.name] = value
    return values
