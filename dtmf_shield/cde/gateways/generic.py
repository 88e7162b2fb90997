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
    BodyPart,
    GatewayResult,
    GatewayResultKind,
    Idempotency,
    SlotField,
    TokenizeOrder,
    decline_code,
    json_text,
)

_TOKEN: Final = re.compile(rf"[A-Za-z0-9_.:~+/=-]{{1,{TOKEN_CHARACTERS_MAX}}}")
_CARD_LIKE: Final = re.compile(r"[0-9]{12,}")
_UNKNOWN: Final = GatewayResult(GatewayResultKind.UNKNOWN)


class _Answer(msgspec.Struct):
    """The allow-list of what is read; everything else in the answer is dropped unseen."""

    token_id: Any = None
    error_code: Any = None


class GenericConnector:
    """One configured gateway that speaks this language."""

    __slots__ = ("_idempotency", "_name")

    def __init__(self, name: str, idempotency: Idempotency) -> None:
        self._name, self._idempotency = name, idempotency

    @property
    def name(self) -> str:
        """Name in the configuration and the ledger."""
        return self._name

    @property
    def idempotency(self) -> Idempotency:
        """As configured: the format says nothing of it."""
        return self._idempotency

    def tokenize_headers(self, order: TokenizeOrder) -> tuple[tuple[str, str], ...]:
        """JSON both ways, and the key once more as a header for gateways that read it there."""
        return (
            ("Content-Type", "application/json"),
            ("Accept", "application/json"),
            ("Idempotency-Key", order.key),
        )

    def tokenize_body(self, order: TokenizeOrder) -> tuple[BodyPart, ...]:
        """Return the parts; the keyed ones stay names until they are joined in locked memory."""
        key, reference = json_text(order.key), json_text(order.reference)
        return (
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

    def tokenize_result(self, status: int, body: bytes) -> GatewayResult:
        """Read the answer: a token, a refusal of the card, a refusal of us, or nothing that can be believed."""
        if status in (400, 401, 403, 404, 405, 413, 415, 422):
            # Refused before anything was done: sending again would meet the same answer.
            return GatewayResult(GatewayResultKind.REFUSED, code=f"http_{status}")
        if status != 200:
            return _UNKNOWN
        try:
            answer = msgspec.json.decode(body, type=_Answer)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return _UNKNOWN
        if answer.error_code is not None:
            return GatewayResult(GatewayResultKind.DECLINED, code=decline_code(str(answer.error_code)))
        if not isinstance(answer.token_id, str) or _TOKEN.fullmatch(answer.token_id) is None:
            return _UNKNOWN
        if _CARD_LIKE.search(answer.token_id):
            # A "token" made of the card's digits would leave the red side: format-preserving tokens are refused.
            return GatewayResult(GatewayResultKind.REFUSED, code="token_like_card")
        return GatewayResult(GatewayResultKind.TOKEN, token=answer.token_id)
