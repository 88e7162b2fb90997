"""What connector, transport and payment engine say to each other: orders, requests, answers, results.

A connector turns an Order into a Request (where card data stands as names of slot parts, never as values) and an answer
into a GatewayResult. It sends nothing: every card number takes the one measured way in ``sender.py``.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from dtmf_shield.account_data import slots
from dtmf_shield.base.errors import InvariantError, OperatorError
from dtmf_shield.model.payment import OperationKind

TOKEN_CHARACTERS_MAX: Final = 200
EXCHANGE_TIME_MAX_S: Final = 10.0
"""Of one exchange: connecting and the answer. A gateway of more than four addresses that are all silent, or with as
many exchanges as may be at once, takes up to 4 s longer and fails unsent.
"""


class GatewayResultKind(enum.StrEnum):
    """How an operation ended, as far as it is known."""

    APPROVED = "approved"
    DECLINED = "declined"
    ACTION_REQUIRED = "action_required"
    """The gateway wants a 3-D Secure step, which a telephone order has not: another card is needed."""
    REFUSED = "refused"
    """The gateway refused us, not the card: credentials, request, configuration. Nothing was done."""
    BUSY = "busy"
    """The gateway did nothing and may be asked again (429)."""
    FAILED_BEFORE_SEND = "failed_before_send"
    NOT_FOUND = "not_found"
    """Of a lookup: the gateway knows no such operation."""
    UNKNOWN = "unknown"
    """Bytes left and no answer can be believed. Never read as declined."""


@dataclass(frozen=True, slots=True)
class GatewayResult:
    """``code``: a DeclineCode where DECLINED, else a word of ours. ``token`` where the operation gave one.

    ``reference`` is the gateway's name of this operation, for capture, refund, void and lookup. ``avs`` and
    ``cvc_check`` are ``pass``, ``fail`` or ``unchecked``. ``voided``: approved, and taken back since.
    """

    kind: GatewayResultKind
    token: str = ""
    code: str = ""
    reference: str = ""
    auth_code: str = ""
    network_transaction_id: str = ""
    avs: str = ""
    cvc_check: str = ""
    retry_after_s: float = 0.0
    voided: bool = False


class Idempotency(enum.StrEnum):
    """What the gateway does with a key it has seen. Only REPLAY allows asking again after bytes left."""

    REPLAY = "replay"
    SUCCESS_ONLY = "success_only"
    NONE = "none"


class SlotField(enum.Enum):
    """A part of the slot that a body template may name."""

    NUMBER = "number"
    EXPIRY_MONTH = "expiry_month"
    EXPIRY_MONTH_NUMBER = "expiry_month_number"
    """As JSON writes a number: 3, not 03."""
    EXPIRY_YEAR = "expiry_year"
    """Two digits."""
    EXPIRY_YEAR_LONG = "expiry_year_long"
    """Four digits."""
    SECURITY_CODE = "security_code"
    POSTAL_CODE = "postal_code"
    BANK_ACCOUNT = "bank_account"
    ROUTING_NUMBER = "routing_number"
    IBAN = "iban"
    """With its country letters."""
    DATE_OF_BIRTH = "date_of_birth"
    """Eight digits, in the order they were keyed."""


_PAYS: Final = (SlotField.NUMBER, SlotField.BANK_ACCOUNT, SlotField.IBAN)
Place = tuple[int, int]
"""Start within the slot, length."""


@dataclass(frozen=True, slots=True)
class CardInSlot:
    """A complete card or account where it lies: the slot and how long each field is. Holds no digit itself.

    ``expiry_length`` 6: MMYYYY, as cde keeps every accepted expiry; 4: MMYY, which has no EXPIRY_YEAR_LONG.
    ``others``: places of parts that have no fixed one. A length of 0 or no place: it was not keyed.
    """

    slot: memoryview
    number_length: int = 0
    expiry_length: int = 0
    security_code_length: int = 0
    others: Mapping[SlotField, Place] = field(default_factory=dict)

    def part(self, field: SlotField) -> memoryview:
        """Return the view of ``field``; empty where it was not keyed."""
        start, length = self.others.get(field) or self._fixed_place(field)
        return self.slot[start : start + length]

    @property
    def pays(self) -> bool:
        """Whether a card or an account was keyed, which a gateway can exchange for a token; else a person's data."""
        return any(len(self.part(field)) for field in _PAYS)

    def _fixed_place(self, field: SlotField) -> Place:
        at, length = slots.EXPIRY_AT, self.expiry_length
        match field:
            case SlotField.NUMBER:
                return slots.CARD_NUMBER_AT, self.number_length
            case SlotField.EXPIRY_MONTH:
                return at, 2 if length else 0
            case SlotField.EXPIRY_MONTH_NUMBER:
                zero = length > 0 and self.slot[at] == ord("0")
                return at + zero, (2 - zero) if length else 0
            case SlotField.EXPIRY_YEAR:
                return at + length - 2, 2 if length else 0
            case SlotField.EXPIRY_YEAR_LONG:
                return at + 2, 4 if length == 6 else 0
            case SlotField.SECURITY_CODE:
                return slots.SECURITY_CODE_AT, self.security_code_length
            case _:
                return 0, 0


BodyPart = bytes | SlotField


@dataclass(frozen=True, slots=True)
class Order:
    """One operation as the engine wants it done.

    ``key`` is the idempotency key, the same for every re-send; of a LOOKUP, the key of the operation asked about.
    Either ``card`` or ``token`` for what takes a card; ``gateway_reference`` names the earlier operation for CAPTURE,
    REFUND, VOID and, where known, LOOKUP. ``of``: for LOOKUP the kind asked about; for REFUND and VOID, where known,
    the kind taken back. ``customer``: an opaque name of the payer, for gateways that store cards.
    """

    kind: OperationKind
    key: str
    card: CardInSlot | None = None
    token: str = ""
    amount_minor: int = 0
    currency: str = ""
    reference: str = ""
    gateway_reference: str = ""
    of: OperationKind | None = None
    customer: str = ""


@dataclass(frozen=True, slots=True)
class Signature:
    """The gateway wants ``header`` to hold the HMAC of the body, in hexadecimal, by ``algorithm`` (of hashlib).

    The transport signs the filled build page (``hmac.digest`` on the view copies nothing), where the credentials file
    has a signing secret.
    """

    header: str
    algorithm: str


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request. Headers come beside Host, Content-Length and what the transport adds; never account data."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...] = ()
    body: tuple[BodyPart, ...] = ()
    signature: Signature | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete HTTP answer. ``retry_after_s``: of Retry-After, 0 without one."""

    status: int
    body: bytes
    retry_after_s: float = 0.0

    def __repr__(self) -> str:
        return f"<Answer {self.status}, {len(self.body)} bytes>"  # a gateway may echo what it was sent


@dataclass(frozen=True, slots=True)
class Unanswered:
    """No complete answer. ``sent``: a byte may have left. ``reason``: refused timeout tls pin reset garbage."""

    reason: str
    sent: bool


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a gateway can do. ``key_ttl_s``: how long it knows an idempotency key.

    ``by_card`` and ``by_token``: operations that take a card or a token. ``lookup_by_key`` and ``lookup_by_reference``:
    kinds that can be asked about by our key or by the gateway's reference. ``voids``: kinds that a VOID can take back;
    the others need a REFUND.
    """

    operations: frozenset[OperationKind]
    idempotency: Idempotency
    key_ttl_s: float = 0.0
    token_binds_cvc: bool = False
    by_card: frozenset[OperationKind] = frozenset()
    by_token: frozenset[OperationKind] = frozenset()
    lookup_by_key: frozenset[OperationKind] = frozenset()
    lookup_by_reference: frozenset[OperationKind] = frozenset()
    voids: frozenset[OperationKind] = frozenset()

    @property
    def tokenizes(self) -> bool:
        """Whether it gives a token for a card."""
        return OperationKind.TOKENIZE in self.by_card


class OrderImpossibleError(OperatorError):
    """An order cannot be said in this gateway's language: nothing was sent. ``code``: ``currency`` or ``amount``."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


class Connector(Protocol):
    """One gateway's language."""

    @property
    def name(self) -> str:
        """Name in the configuration and the ledger."""

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""

    def request(self, order: Order) -> Request:
        """Return the request of ``order``, byte for byte the same each time.

        Raises InvariantError beyond its capabilities, OrderImpossibleError for an amount it cannot express.
        """

    def result(self, order: Order, answer: Answer) -> GatewayResult:
        """Read the answer. Never raises for what a peer can send."""


class Exchange(Protocol):
    """The transport to one gateway."""

    @property
    def health(self) -> str:
        """``ok`` or why not: refused timeout tls pin."""

    async def exchange(self, request: Request, card: CardInSlot | None) -> Answer | Unanswered:
        """Send once and wait for the answer, within the transport's time limits. Never raises for peer or network."""


def build_body(page: memoryview, parts: tuple[BodyPart, ...], card: CardInSlot | None) -> memoryview:
    """Join ``parts`` in ``page``, locked memory. Return the filled view.

    Raises InvariantError if it is too long, or names a part of a card that is not there.
    """
    end = 0
    for part in parts:
        if isinstance(part, SlotField):
            if card is None:
                raise InvariantError("a body names card data and has no card")
            view = card.part(part)
        else:
            view = memoryview(part)
        if end + len(view) > len(page):
            raise InvariantError("a body is longer than its build page")
        page[end : end + len(view)] = view
        end += len(view)
    return page[:end]
