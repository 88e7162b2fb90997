"""What the TEST gateway decides and remembers: operations with their keys, and the rules of money between them.

It touches no socket. A number that is not published is refused unread; it stands in no answer and no book. Of others
last4 and token are kept, in memory alone.
"""

from __future__ import annotations

import enum
import hashlib
import secrets
from dataclasses import asdict, dataclass, field
from typing import Final

from dtmf_shield.service.test_gateway.cards import (
    TEST_CARD_REQUIRED,
    Fate,
    fate_of_bank_account,
    fate_of_card,
    fate_of_person,
)
from dtmf_shield.service.test_gateway.language import (
    NAMES_EARLIER,
    Answer,
    BadRequestError,
    Method,
    PayRequest,
    read_request,
)

BOOK_ENTRIES_MAX: Final = 200_000
"""About 120 MB. Beyond it every request is refused with 503: an operation outside the book would be a lie."""
BOOK_PAGE_ENTRIES_MAX: Final = 5_000
"""Entries in one answer to GET /book: about 2 MB."""
TOKEN_PREFIX: Final = "tok_TEST_"  # noqa: S105 - the visible mark of a worthless token
_ID_PREFIXES: Final = {
    Method.VERIFY: "ve_TEST_",
    Method.CHARGE: "ch_TEST_",
    Method.AUTHORIZE: "au_TEST_",
    Method.CAPTURE: "ca_TEST_",
    Method.REFUND: "re_TEST_",
    Method.VOID: "vo_TEST_",
}
_ID_BYTES: Final = 12


class KeyRule(enum.StrEnum):
    """What happens to a key seen before. REPLAY: first answer again. SUCCESS_ONLY: only where it was approved."""

    REPLAY = "replay"
    SUCCESS_ONLY = "success_only"
    NONE = "none"


@dataclass(slots=True)
class Operation:
    """One operation as booked. ``parent``: charge_id of the one it works on; ``token``: given or used."""

    key: str
    method: str
    state: str
    error_code: str
    charge_id: str
    token: str
    parent: str
    amount_minor: int
    currency: str
    brand: str
    last4: str
    cvc_check: str = "unchecked"
    avs: str = "unchecked"
    auth_code: str = ""
    network_transaction_id: str = ""
    captured_minor: int = 0
    refunded_minor: int = 0
    voided: bool = False

    def answer(self) -> Answer:
        """Return the answer to a client, as of now."""
        given = self.token if self.method == Method.TOKENIZE else ""
        return {
            "charge_id": self.charge_id or None,
            "token_id": given or None,
            "error_code": self.error_code or None,
            "error_message": f"TEST gateway: {self.error_code}" if self.error_code else None,
            "brand": self.brand,
            "last4": self.last4,
            "auth_code": self.auth_code,
            "network_transaction_id": self.network_transaction_id,
            "avs": self.avs,
            "cvc_check": self.cvc_check,
            "method": self.method,
            "state": self.state,
            "voided": self.voided,
            "captured_minor": self.captured_minor,
            "refunded_minor": self.refunded_minor,
            "test": True,
        }


@dataclass(slots=True)
class _Card:
    """What stays of a card or bank account after its number was judged."""

    fate: Fate
    last4: str
    token: str = ""
    cvc_check: str = "unchecked"
    avs: str = "unchecked"


@dataclass(slots=True)
class _Kept:
    digest: bytes
    answer: Answer
    operation: Operation


@dataclass(slots=True)
class Book:
    """Operations in order; ``canary_digests``: SHA-256 of numbers a leak test announced.

    ``settles_at_once``: a charge cannot be voided, only refunded, as where the day's settlement has run.
    """

    key_rule: KeyRule = KeyRule.REPLAY
    settles_at_once: bool = False
    operations: list[Operation] = field(default_factory=list)
    replayed: int = 0
    canary_digests: set[str] = field(default_factory=set)
    _by_key: dict[str, _Kept] = field(default_factory=dict)
    _by_id: dict[str, Operation] = field(default_factory=dict)
    _cards: dict[str, _Card] = field(default_factory=dict)
    _digest_key: bytes = field(default_factory=lambda: secrets.token_bytes(32))

    def take(self, body: bytes, *, decline: bool = False) -> tuple[int, Answer]:
        """Return HTTP status and answer to a request body. ``decline``: refuse the operation this time."""
        try:
            request = read_request(body)
        except BadRequestError as error:
            return 400, error_answer(error.error_code)
        if request.method is Method.LOOKUP:
            return 200, self._lookup(request.transaction_id)
        # Keyed with what no one else knows: a body may hold a number.
        digest = hashlib.blake2b(body, key=self._digest_key, digest_size=16).digest()
        kept = self._by_key.get(request.transaction_id)
        if kept is not None and self._honours(kept.operation):
            if kept.digest != digest:
                return 400, error_answer("idempotency_error")
            self.replayed += 1
            return 200, kept.answer
        if len(self.operations) >= BOOK_ENTRIES_MAX:
            return 503, error_answer("book_full")
        operation = self._perform(request, decline=decline)
        answer = operation.answer()
        self.operations.append(operation)
        self._by_key[request.transaction_id] = _Kept(digest, answer, operation)
        if operation.charge_id:
            self._by_id[operation.charge_id] = operation
        return 200, answer

    def shown(self, first: int = 0, count: int = BOOK_PAGE_ENTRIES_MAX) -> Answer:
        """Return a page of the book for a test to compare with the ledger. ``next`` is null on the last one."""
        last = first + max(1, min(count, BOOK_PAGE_ENTRIES_MAX))
        return {
            "test": True,
            "operations": [asdict(operation) for operation in self.operations[first:last]],
            "total": len(self.operations),
            "next": last if last < len(self.operations) else None,
            "replayed": self.replayed,
        }

    def _honours(self, operation: Operation) -> bool:
        return self.key_rule is KeyRule.REPLAY or (
            self.key_rule is KeyRule.SUCCESS_ONLY and operation.state == "approved"
        )

    def _lookup(self, key: str) -> Answer:
        kept = self._by_key.get(key)
        if kept is None:
            return error_answer("not_found")
        return kept.operation.answer()

    def _perform(self, request: PayRequest, *, decline: bool) -> Operation:
        if request.method in NAMES_EARLIER:
            operation = self._later(request, request.parameters.charge_id or "", decline=decline)
        else:
            operation = self._first(request, decline=decline)
        if operation.state == "approved":
            self._give_ids(operation)
        return operation

    def _give_ids(self, operation: Operation) -> None:
        if operation.method == Method.TOKENIZE:
            return
        operation.charge_id = _ID_PREFIXES[Method(operation.method)] + secrets.token_urlsafe(_ID_BYTES)
        if operation.method in (Method.CHARGE, Method.AUTHORIZE, Method.VERIFY):
            operation.auth_code = f"TEST{len(self.operations) % 100:02d}"
            operation.network_transaction_id = "TEST" + secrets.token_hex(6)

    # --- operations on a card -----------------------------------------------------------------------------

    def _first(self, request: PayRequest, *, decline: bool) -> Operation:
        card = self._card(request)
        code = "unknown_token" if card is None else _code(card.fate, request.method, decline=decline)
        known = card is not None and code != TEST_CARD_REQUIRED
        operation = Operation(
            key=request.transaction_id,
            method=request.method,
            state="declined" if code else "approved",
            error_code=code,
            charge_id="",
            token=card.token if card is not None else "",
            parent="",
            amount_minor=request.amount_minor or 0,
            currency=request.currency_code or "",
            brand=card.fate.brand if card is not None else "",
            last4=card.last4 if card is not None and known else "",
            cvc_check=card.cvc_check if card is not None else "unchecked",
            avs=card.avs if card is not None else "unchecked",
        )
        if not code and request.method is Method.CHARGE:
            operation.captured_minor = operation.amount_minor
        if not code and request.method is Method.TOKENIZE and card is not None:
            operation.token = TOKEN_PREFIX + secrets.token_urlsafe(_ID_BYTES)
            self._cards[operation.token] = _Card(card.fate, card.last4, operation.token)
        return operation

    def _card(self, request: PayRequest) -> _Card | None:
        """Return the card meant, None for an unknown token."""
        if request.parameters.token is not None:
            return self._cards.get(request.parameters.token)
        if request.bankaccountnumber is not None:
            fate = fate_of_bank_account(request.routingnumber or "", request.bankaccountnumber)
            return _Card(fate, request.bankaccountnumber[-4:])
        if request.cardnumber is None:
            return _Card(fate_of_person(request.dateofbirth or "", request.postal_code or ""), "")
        number = request.cardnumber
        return _Card(
            fate_of_card(number, self.canary_digests),
            number[-4:],
            cvc_check="pass" if request.cvv else "unchecked",
            avs="pass" if request.postal_code else "unchecked",
        )

    # --- operations on an earlier one ---------------------------------------------------------------------

    def _later(self, request: PayRequest, charge_id: str, *, decline: bool) -> Operation:
        named = self._by_id.get(charge_id)
        # The money of a capture is that of its authorization: refunds of either count together.
        root = self._by_id[named.parent] if named is not None and named.method == Method.CAPTURE else named
        amount_minor = request.amount_minor
        if amount_minor is None and root is not None:
            amount_minor = _rest(root, request.method)
        code = "card_declined" if decline else self._objection(request, named, root, amount_minor or 0)
        if not code and root is not None:
            _change(root, request.method, amount_minor or 0)
        return Operation(
            key=request.transaction_id,
            method=request.method,
            state="declined" if code else "approved",
            error_code=code,
            charge_id="",
            token=root.token if root is not None else "",
            parent=charge_id if named is not None else "",
            amount_minor=amount_minor or 0,
            currency=root.currency if root is not None else request.currency_code or "",
            brand=root.brand if root is not None else "",
            last4=root.last4 if root is not None else "",
        )

    def _objection(
        self, request: PayRequest, named: Operation | None, root: Operation | None, amount_minor: int
    ) -> str:
        if named is None or root is None:
            return "unknown_reference"
        if request.currency_code is not None and request.currency_code != root.currency:
            return "currency_mismatch"
        if root.voided:
            return "already_voided"
        if request.method is Method.CAPTURE:
            return _objection_to_capture(named, amount_minor)
        if request.method is Method.REFUND:
            return _objection_to_refund(root, amount_minor)
        return self._objection_to_void(named)

    def _objection_to_void(self, named: Operation) -> str:
        if named.method not in (Method.AUTHORIZE, Method.CHARGE):
            return "not_voidable"
        if named.method == Method.AUTHORIZE and named.captured_minor:
            return "already_captured"
        if named.refunded_minor:
            return "not_voidable"
        return "already_settled" if named.method == Method.CHARGE and self.settles_at_once else ""


def error_answer(error_code: str) -> Answer:
    """Return the answer where there is no operation to tell of."""
    nothing = Operation("", "", "", error_code, "", "", "", 0, "", "", "")
    return {**nothing.answer(), "method": None, "state": None}


def _code(fate: Fate, method: Method, *, decline: bool) -> str:
    own = fate.tokenize_code if method is Method.TOKENIZE else fate.money_code
    return own or ("card_declined" if decline else "")


def _rest(root: Operation, method: Method) -> int:
    if method is Method.REFUND:
        return root.captured_minor - root.refunded_minor
    return root.amount_minor


def _objection_to_capture(named: Operation, amount_minor: int) -> str:
    if named.method != Method.AUTHORIZE:
        return "not_capturable"
    if named.captured_minor:
        return "already_captured"
    return "amount_exceeded" if amount_minor > named.amount_minor else ""


def _objection_to_refund(root: Operation, amount_minor: int) -> str:
    if root.method not in (Method.AUTHORIZE, Method.CHARGE) or not root.captured_minor:
        return "not_refundable"
    if not amount_minor or root.refunded_minor + amount_minor > root.captured_minor:
        return "amount_exceeded"
    return ""


def _change(root: Operation, method: Method, amount_minor: int) -> None:
    if method is Method.CAPTURE:
        root.captured_minor = amount_minor
    elif method is Method.REFUND:
        root.refunded_minor += amount_minor
    else:
        root.voided = True
