"""What the TEST gateway speaks: the Generic Pay Connector's JSON, with the operations beyond charge and tokenize.

One request is ``POST /pay`` with Basic authentication and a body of at most 16 KiB::

    {"transaction_id": KEY, "method": METHOD, ...}

KEY (1 to 200 characters) is the idempotency key and the name by which ``lookup`` finds the operation. METHOD:

==========  ======================================================  ==============================================
method      reads beside transaction_id and method                  ids in the answer
==========  ======================================================  ==============================================
tokenize    card or bank account                                    token_id
verify      card, bank account, person or parameters.token          charge_id
charge      card, bank account or parameters.token; amount          charge_id
authorize   card, bank account or parameters.token; amount          charge_id
capture     parameters.charge_id of authorize; amount (null: all)   charge_id of the capture
refund      parameters.charge_id of charge, authorize or capture;   charge_id of the refund
            amount (null: what is left)
void        parameters.charge_id of authorize or charge             charge_id of the void
lookup      nothing: transaction_id is the KEY asked about          those of the operation found
==========  ======================================================  ==============================================

card::

    "cardnumber": "4242424242424242", "cvv": "123", "expiry_month": "12", "expiry_year": "30", "postal_code": null

bank account: ``"bankaccountnumber": ..., "routingnumber": ...``; person: ``"dateofbirth": ..., "postal_code": ...`` as
keyed, where there is neither card nor account; amount: ``"amount": "10.00", "currency_code": "EUR"``,
with as many digits after the point as ISO 4217 gives the currency (``"10"`` JPY). ``description`` and unknown keys are
not read.

The answer to a request that was understood is HTTP 200, and ``error_code`` decides. All keys are always present::

    {"charge_id": "ch_TEST_..." | null, "token_id": "tok_TEST_..." | null, "error_code": null, "error_message": null,
     "brand": "visa", "last4": "4242", "auth_code": "TEST01", "network_transaction_id": "TEST...",
     "avs": "unchecked", "cvc_check": "pass", "method": METHOD, "state": "approved", "voided": false, "test": true}

``state`` is approved or declined; ``avs`` and ``cvc_check`` are pass or unchecked (a token does not bind the code);
``voided``, ``captured_minor`` and ``refunded_minor`` tell what became of the operation, which changes after it: a
replayed answer is the first one, ``lookup`` tells today's. A lookup that finds nothing has ``error_code`` not_found and
``state`` null; one that finds a declined operation has that operation's ``error_code``.

Error codes of a card: those of ``cards.py``. Of the rules: unknown_token, unknown_reference, not_capturable,
already_captured, already_voided, already_settled, not_refundable, not_voidable, amount_exceeded, currency_mismatch.

HTTP 400 with ``error_code`` bad_request (not understood, nothing done) or idempotency_error (KEY was used with another
body), 401 credentials, 404 path, 413 too long, 503 book_full: nothing was done. 409, 429, 500 come from the fault plan.
"""

from __future__ import annotations

import enum
import re
from decimal import Decimal
from typing import Any, Final

import msgspec

from dtmf_shield.model.payment import AMOUNT_MINOR_MAX, currency_exponent

KEY_CHARACTERS_MAX: Final = 200
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_AMOUNT: Final = re.compile(r"[0-9]{1,11}(?:\.([0-9]{1,3}))?")

Answer = dict[str, Any]


class Method(enum.StrEnum):
    """What can be asked."""

    TOKENIZE = "tokenize"
    VERIFY = "verify"
    CHARGE = "charge"
    AUTHORIZE = "authorize"
    CAPTURE = "capture"
    REFUND = "refund"
    VOID = "void"
    LOOKUP = "lookup"


NEEDS_AMOUNT: Final = frozenset({Method.CHARGE, Method.AUTHORIZE})
MAY_HAVE_AMOUNT: Final = NEEDS_AMOUNT | {Method.CAPTURE, Method.REFUND}
NAMES_EARLIER: Final = frozenset({Method.CAPTURE, Method.REFUND, Method.VOID})
TAKES_TOKEN: Final = frozenset({Method.VERIFY, Method.CHARGE, Method.AUTHORIZE})


class BadRequestError(Exception):
    """The request cannot be understood. ``error_code`` of the answer."""

    def __init__(self, error_code: str = "bad_request") -> None:
        super().__init__(error_code)
        self.error_code = error_code


class _Parameters(msgspec.Struct):
    token: str | None = None
    charge_id: str | None = None


class PayRequest(msgspec.Struct, kw_only=True):
    """A request as it stands in the body."""

    transaction_id: str
    method: Method
    cardnumber: str | None = None
    cvv: str | None = None
    expiry_month: str | None = None
    expiry_year: str | None = None
    postal_code: str | None = None
    bankaccountnumber: str | None = None
    routingnumber: str | None = None
    dateofbirth: str | None = None
    amount: str | None = None
    currency_code: str | None = None
    parameters: _Parameters = msgspec.field(default_factory=_Parameters)

    def __repr__(self) -> str:
        return f"<PayRequest {self.method} {self.transaction_id}>"

    @property
    def amount_minor(self) -> int | None:
        """Return the amount in minor units, None without one. Raises BadRequestError."""
        if self.amount is None:
            return None
        if self.currency_code is None or _CURRENCY.fullmatch(self.currency_code) is None:
            raise BadRequestError
        exponent, match = currency_exponent(self.currency_code), _AMOUNT.fullmatch(self.amount)
        if match is None or len(match[1] or "") not in (0, exponent):
            raise BadRequestError
        amount_minor = int(Decimal(self.amount).scaleb(exponent))
        if not 0 < amount_minor <= AMOUNT_MINOR_MAX:
            raise BadRequestError
        return amount_minor


_decoder: Final = msgspec.json.Decoder(PayRequest)


def read_request(body: bytes) -> PayRequest:
    """Read and check a body. Raises BadRequestError."""
    try:
        request = _decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadRequestError from error
    if not 0 < len(request.transaction_id) <= KEY_CHARACTERS_MAX or not _complete(request):
        raise BadRequestError
    return request


def _complete(request: PayRequest) -> bool:
    amount_minor = request.amount_minor
    if (amount_minor is None and request.method in NEEDS_AMOUNT) or (
        amount_minor is not None and request.method not in MAY_HAVE_AMOUNT
    ):
        return False
    sources = (request.cardnumber, request.bankaccountnumber, request.parameters.token)
    given = sum(source is not None for source in sources)
    if request.method in NAMES_EARLIER:
        return request.parameters.charge_id is not None and given == 0
    if request.method is Method.LOOKUP:
        return given == 0
    if request.parameters.token is not None and request.method not in TAKES_TOKEN:
        return False
    if given == 0 and request.method is Method.VERIFY:
        return request.dateofbirth is not None
    return given == 1 and (request.bankaccountnumber is None) == (request.routingnumber is None)
