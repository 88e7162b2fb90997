"""The generic connector: JSON as Twilio's Generic Pay Connector sends it, so that adapters written for that fit.

POST over TLS with Basic authentication; the answer is always 200 with all keys present and ``error_code`` decides.
Tokenise only: charging by token comes with the payment flows.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from dtmf_shield.cde.gateways.base import (
    TOKEN_CHARACTERS_MAX,
    Answer,
    Capabilities,
    GatewayResult,
    GatewayResultKind,
    Idempotency,
    Order,
    Request,
    SlotField,
    decline_code,
    json_text,
)
from dtmf_shield.model.payment import OperationKind

KEY_TTL_S: Final = 24 * 3_600.0
_TOKEN: Final = re.compile(rf"[A-Za-z0-9_.:~+/=-]{{1,{TOKEN_CHARACTERS_MAX}}}")
_CARD_LIKE: Final = re.compile(r"[0-9]{12,}")
_UNKNOWN: Final = GatewayResult(GatewayResultKind.UNKNOWN)


class _Answer(msgspec.Struct):
    """The allow-list of what is read; everything else in the answer is dropped unseen."""

    token_id: Any = None
    error_code: Any = None


class GenericConnector:
    """One configured gateway that speaks this language."""

    __slots__ = ("_capabilities", "_name", "_path")

    def __init__(self, name: str, idempotency: Idempotency, path: str) -> None:
        self._name, self._path = name, path
        self._capabilities = Capabilities(
            frozenset({OperationKind.TOKENIZE}),
            idempotency,
            KEY_TTL_S,
            by_card=frozenset({OperationKind.TOKENIZE}),
        )

    @property
    def name(self) -> str:
        """Name in the configuration and the ledger."""
        return self._name

    @property
    def capabilities(self) -> Capabilities:
        """Idempotency as configured: the format says nothing of it."""
        return self._capabilities

    def request(self, order: Order) -> Request:
        """JSON both ways, and the key once more as a header for gateways that read it there."""
        key, reference = json_text(order.key), json_text(order.reference)
        headers = (
            ("Content-Type", "application/json"),
            ("Accept", "application/json"),
            ("Idempotency-Key", order.key),
        )
        body = (
            b'{"transaction_id":' + key + b',"method":"tokenize","cardnumber":"',
            SlotField.NUMBER,
            b'","cvv":"',
            SlotField.SECURITY_CODE,
            b'","expiry_month":"',
            SlotField.EXPIRY_MONTH,
            b'","expiry_year":"',
            SlotField.EXPIRY_YEAR,
            b'","postal_code":null,"description":' + reference + b',"parameters":{}}',
        )
        return Request("POST", self._path, headers, body)

    def result(self, order: Order, answer: Answer) -> GatewayResult:
        """Read the answer: a token, a refusal of the card, a refusal of us, or nothing that can be believed."""
        if answer.status in (400, 401, 403, 404, 405, 413, 415, 422):
            # Refused before anything was done: sending again would meet the same answer.
            return GatewayResult(GatewayResultKind.REFUSED, code=f"http_{answer.status}")
        if answer.status != 200:
            return _UNKNOWN
        try:
            read = msgspec.json.decode(answer.body, type=_Answer)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return _UNKNOWN
        if read.error_code is not None:
            return GatewayResult(GatewayResultKind.DECLINED, code=decline_code(str(read.error_code)))
        if not isinstance(read.token_id, str) or _TOKEN.fullmatch(read.token_id) is None:
            return _UNKNOWN
        if _CARD_LIKE.search(read.token_id):
            # A "token" made of the card's digits would leave the red side: format-preserving tokens are refused.
            return GatewayResult(GatewayResultKind.REFUSED, code="token_like_card")
        return GatewayResult(GatewayResultKind.APPROVED, token=read.token_id)
