"""One gateway's language as data: operations, what fills them, how answers are read. ``template_file.py`` makes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from dtmf_shield.cde.gateways.answers import AnswerSet
from dtmf_shield.cde.gateways.authentication import Authentication
from dtmf_shield.cde.gateways.base import Capabilities, Idempotency, Signature
from dtmf_shield.cde.gateways.body import Body
from dtmf_shield.cde.gateways.placeholders import PARAMETERS, Text
from dtmf_shield.model.payment import OperationKind

CARD, TOKEN, REFERENCE, KEY = "card", "token", "reference", "key"
SOURCES: Final = (CARD, TOKEN, REFERENCE, KEY)
"""What an operation is done with: a card in a slot, a token, an earlier operation's reference, or our key alone."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """Something of the merchant's that requests hold: not secret, set in the configuration."""

    name: str
    description: str
    required: bool
    default: str
    pattern: str


@dataclass(frozen=True, slots=True)
class Operation:
    """One request. ``of``: for LOOKUP, REFUND and VOID the kinds it can be about; empty: any.

    ``moto``: the field that marks a telephone order; ``no_moto_because`` where the gateway has none for this one.
    ``requires``: parameters without which the operation does not exist.
    """

    kind: OperationKind
    source: str
    method: str
    path: Text
    encoding: str
    body: Body
    answers: AnswerSet
    answers_name: str
    headers: tuple[tuple[str, Text], ...] = ()
    of: frozenset[OperationKind] = frozenset()
    moto: str = ""
    no_moto_because: str = ""
    requires: tuple[str, ...] = ()

    def serves(self, kind: OperationKind, source: str, of: OperationKind | None) -> bool:
        """Whether it does ``kind`` with ``source``; ``of`` None asks for any."""
        return self.kind is kind and self.source == source and (of is None or not self.of or of in self.of)


@dataclass(frozen=True, slots=True)
class Template:
    """A whole template.

    ``exponents``: currencies whose minor unit the gateway counts otherwise than ISO 4217. ``uses_path``: the
    configuration gives a path. ``currency_parameter``: the parameter that names the only currency, where requests
    name none.
    """

    name: str
    documentation: str
    api_version: str
    idempotency: Idempotency
    key_ttl_s: float
    token_binds_cvc: bool
    authentication: Authentication
    parameters: tuple[Parameter, ...]
    operations: tuple[Operation, ...]
    exponents: Mapping[str, int]
    signature: Signature | None
    uses_path: bool
    currency_parameter: str = ""

    def capabilities(self, idempotency: Idempotency, configured: Mapping[str, str]) -> Capabilities:
        """Return what it can do with these parameters."""
        there = self.available(configured)
        return Capabilities(
            operations=frozenset(operation.kind for operation in there),
            idempotency=idempotency,
            key_ttl_s=self.key_ttl_s,
            token_binds_cvc=self.token_binds_cvc,
            by_card=frozenset(operation.kind for operation in there if operation.source == CARD),
            by_token=frozenset(operation.kind for operation in there if operation.source == TOKEN),
            lookup_by_key=frozenset(_kinds_about(there, OperationKind.LOOKUP, KEY)),
            lookup_by_reference=frozenset(_kinds_about(there, OperationKind.LOOKUP, REFERENCE)),
            voids=frozenset(_kinds_about(there, OperationKind.VOID, REFERENCE)),
        )

    def available(self, configured: Mapping[str, str]) -> tuple[Operation, ...]:
        """Return the operations whose parameters are set."""
        return tuple(
            operation
            for operation in self.operations
            if all(configured.get(PARAMETERS + name) for name in operation.requires)
        )


_ABOUT: Final = {
    OperationKind.LOOKUP: frozenset(OperationKind) - {OperationKind.LOOKUP},
    OperationKind.VOID: frozenset({OperationKind.AUTHORIZE, OperationKind.CHARGE}),
}
"""What an operation without ``of`` is about."""


def _kinds_about(
    operations: tuple[Operation, ...], kind: OperationKind, source: str
) -> Iterator[OperationKind]:
    for operation in operations:
        if operation.kind is kind and operation.source == source:
            yield from operation.of or _ABOUT[kind]
