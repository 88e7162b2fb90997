"""What a capture is asked to do, and what it may tell: never a digit, but for last4 once a card is accepted."""

from __future__ import annotations

import enum

import msgspec

from dtmf_shield.model.ids import CaptureId, OperationId, Token


class FieldKind(enum.StrEnum):
    """Kinds of keyed fields."""

    CARD_NUMBER = "card_number"
    EXPIRY = "expiry"
    SECURITY_CODE = "security_code"


class CaptureState(enum.StrEnum):
    """States of the capture machine in cde."""

    IDLE = "idle"
    WAITING = "waiting"
    KEYING = "keying"
    HELD = "held"
    SENDING = "sending"
    PAYING = "paying"
    """The gateway has the card as a token, the digits are wiped, money is about to move."""
    SETTLING = "settling"
    """No believable answer: the gateway is asked what it did. No digit is held."""
    DONE = "done"
    FAILED = "failed"


class RejectReason(enum.StrEnum):
    """Why a keyed field was not accepted."""

    TIMEOUT = "timeout"
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    LUHN = "luhn"
    BRAND = "brand"
    EXPIRED = "expired"
    TOO_FAR = "too_far"
    FORMAT = "format"


class CaptureResult(enum.StrEnum):
    """How a capture ended. A closed set; ``unknown`` is never to be read as declined."""

    TOKEN = "token"  # noqa: S105 - the name of an outcome
    """The card was exchanged or verified; no money moved."""
    APPROVED = "approved"
    """Authorized or charged."""
    DECLINED = "declined"
    ACTION_REQUIRED = "action_required"
    """The gateway wants a step that a telephone has not: another card is needed."""
    VELOCITY = "velocity"
    """Stopped by a rule against card testing; nothing was sent."""
    GATEWAY_UNREACHABLE = "gateway_unreachable"
    UNKNOWN = "unknown"
    ATTEMPTS_USED = "attempts_used"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    CALLER_GONE = "caller_gone"
    INTERRUPTED = "interrupted"
    REFUSED = "refused"


class UndoKey(enum.StrEnum):
    """What the star key does."""

    STAR = "star"
    NONE = "none"


class FieldSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One field to be keyed. ``brands`` empty means every brand of the IIN table."""

    name: str
    kind: FieldKind
    brands: tuple[str, ...] = ()


class CaptureSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Everything cde needs to run a capture. Durations in milliseconds.

    ``settle_timeout_ms``: silence that submits a field whose length is possible but not certain
    (a Visa of 16 digits may have 18 or 19); shorter than ``inter_digit_timeout_ms``.
    """

    fields: tuple[FieldSpec, ...]
    attempts: int = 3
    first_digit_timeout_ms: int = 20_000
    inter_digit_timeout_ms: int = 6_000
    settle_timeout_ms: int = 2_000
    total_timeout_ms: int = 300_000
    undo: UndoKey = UndoKey.STAR


class CaptureProgress(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What the agent's page may show of a running capture. Sent on change, batched at 100-250 ms.

    ``length`` is the number of keys the field will have once that is certain, else 0. ``last4`` is empty
    until a card number is accepted and for every other field. ``reason`` is set when the last entry was
    refused.
    """

    capture_id: CaptureId
    state: CaptureState
    field: str = ""
    count: int = 0
    length: int = 0
    brand: str = ""
    last4: str = ""
    attempt: int = 1
    reason: RejectReason | None = None
    accepted: tuple[str, ...] = ()


class CaptureOutcome(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The end of a capture. ``gateway_code`` is from a closed list of the connector, never free text."""

    capture_id: CaptureId
    result: CaptureResult
    token: Token = Token("")
    brand: str = ""
    last4: str = ""
    gateway_code: str = ""
    operation_id: OperationId = OperationId("")
    """Of the authorization or charge, to capture, refund or void it by."""
    test: bool = False
