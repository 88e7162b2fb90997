"""What a capture is asked to do, and what it may tell.

Never a digit, but for last4 once a card is accepted, and the value of a field that its flow calls not sensitive.
"""

from __future__ import annotations

import enum
from typing import Final

import msgspec

from dtmf_shield.model.ids import NO_OPERATION, NO_TOKEN, CaptureId, OperationId, Token

FIELDS_MAX: Final = 8
"""Fields of one capture; each has its own place in the slot."""
KEYS_MAX: Final = 32
"""Keys of one field: the longest is an IBAN without its two letters (ISO 13616-1)."""
HANDOVER_KEPT_S_MAX: Final = 300.0
"""From the hand-over to the agent's flow: a queue's wait and a greeting. Longer, and the caller keys again."""
VALUE_KEYS_MAX: Final = 11
"""Keys of a field that control may read: one less than the shortest card number still issued."""


class FieldKind(enum.StrEnum):
    """Kinds of keyed fields."""

    CARD_NUMBER = "card_number"
    EXPIRY = "expiry"
    SECURITY_CODE = "security_code"
    POSTAL_CODE = "postal_code"
    """The digits of the cardholder's postal code."""
    BANK_ACCOUNT = "bank_account"
    ROUTING_NUMBER = "routing_number"
    """Of a bank in the United States (ABA), nine digits with a check digit."""
    IBAN = "iban"
    """Without its country letters, which no key has: the specification names the country."""
    DATE_OF_BIRTH = "date_of_birth"
    DIGITS = "digits"
    """Anything else: a policy number, an account with the merchant. The only kind a capture may have several of."""
    AMOUNT = "amount"
    """In minor units: 10.50 is keyed 1050. The star is no decimal point; it takes back the last key as everywhere."""


class CaptureState(enum.StrEnum):
    """States of the capture machine in cde."""

    IDLE = "idle"
    WAITING = "waiting"
    KEYING = "keying"
    CHOOSING = "choosing"
    """A menu is open: one key is matched against its options."""
    HELD = "held"
    PAUSED = "paused"
    """The agent talks with the caller: keys are masked and dropped, key timers stand still."""
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
    RANGE = "range"
    CHECK = "check"


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
    COMPLETED = "completed"
    """The flow ended as it should without asking the gateway for anything."""
    HANDED_OVER = "handed_over"
    """The caller, or the flow, went to an agent before a card was sent."""


def replaces(told: CaptureResult, earlier: CaptureResult) -> bool:
    """Whether what cde tells of a capture's end replaces what was said of it before.

    An end said while cde was away was a guess; and the truth about money replaces everything that is not that truth.
    """
    if earlier is CaptureResult.APPROVED:
        return False
    guessed = earlier in (CaptureResult.INTERRUPTED, CaptureResult.UNKNOWN)
    return guessed or told in (CaptureResult.APPROVED, CaptureResult.UNKNOWN)


class UndoKey(enum.StrEnum):
    """Which key takes back the last digit."""

    STAR = "star"
    HASH = "hash"
    NONE = "none"


class ResetKeys(enum.StrEnum):
    """What empties the field: the undo key straight after the undo key, or nothing."""

    DOUBLE = "double"
    NONE = "none"


class SubmitKey(enum.StrEnum):
    """Which key says that the field is complete. NONE: only its length or silence says so."""

    HASH = "hash"
    STAR = "star"
    NONE = "none"


class Patience(msgspec.Struct, frozen=True, gc=False):
    """Attempts, times in milliseconds and keys of one collect step or menu.

    ``total_timeout_ms`` bounds the step with all its attempts. ``repeat``: star or none, pressed before the first digit
    it asks for the prompt again. ``agent``: the key that leads to an agent, alone in a field, or none. ``type_ahead``:
    keep or drop what was keyed before the step. ``debounce_ms``: the same key again within it counts once; 0: always
    twice.
    """

    attempts: int
    first_digit_timeout_ms: int
    inter_digit_timeout_ms: int
    settle_timeout_ms: int
    total_timeout_ms: int
    submit: str = "hash"
    undo: str = "star"
    reset: str = "double"
    repeat: str = "star"
    agent: str = "none"
    type_ahead: str = "keep"
    debounce_ms: int = 0


class ChoiceFault(enum.StrEnum):
    """Why a menu took no choice."""

    TIMEOUT = "timeout"
    WRONG_KEY = "wrong_key"


class ControlKey(enum.StrEnum):
    """What a key that is no digit of a field asks for."""

    REPEAT = "repeat"
    """The prompt once more: the repeat key before the first digit, or in a menu."""
    AGENT = "agent"
    """An agent: the flow's key for it, alone in a field, or in a menu."""


class Hint(enum.StrEnum):
    """What is wrong with how the keys arrive, judged without naming one."""

    DUPLICATE_KEYS = "duplicate_keys"
    """One press arrives as two: a line that repeats, or a phone that bounces."""
    SLOW_KEYS = "slow_keys"
    """Pauses near the patience of the field."""
    SHORT_TONES = "short_tones"
    WEAK_TONES = "weak_tones"
    NOISY_LINE = "noisy_line"


class FieldCheck(enum.StrEnum):
    """A rule the digits of a bank account or of DIGITS must keep."""

    NONE = "none"
    LUHN = "luhn"
    """ISO/IEC 7812-1 annex B."""
    MOD97 = "mod97"
    """ISO/IEC 7064 MOD 97-10: the whole number leaves 1."""
    MOD11 = "mod11"
    """Weights 1, 2, 3 ... from the right; the sum leaves 0 (Dutch accounts, ISBN-10)."""
    RANGE = "range"
    """Between ``value_min`` and ``value_max``."""


class DateFormat(enum.StrEnum):
    """In which order a date is keyed."""

    DDMMYYYY = "ddmmyyyy"
    MMDDYYYY = "mmddyyyy"
    YYYYMMDD = "yyyymmdd"


class FieldSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One field to be keyed. What a kind does not use stays at its default.

    ``brands`` empty: every brand of the IIN table; ``lengths``: of card numbers, a choice among the brand's, empty for
    all. ``length_min``, ``length_max`` (POSTAL_CODE, BANK_ACCOUNT, DIGITS) 0: as the kind has them. ``value_min``,
    ``value_max``: of AMOUNT in minor units (0: 1 and the largest amount) and of ``check`` RANGE. ``currency`` (ISO
    4217) of AMOUNT, ``country`` (ISO 3166-1) of IBAN. ``optional``: the submit key alone accepts it empty.
    ``sensitive`` False (DIGITS of at most VALUE_KEYS_MAX keys, and AMOUNT): control is told the value.
    """

    name: str
    kind: FieldKind
    brands: tuple[str, ...] = ()
    lengths: tuple[int, ...] = ()
    length_min: int = 0
    length_max: int = 0
    check: FieldCheck = FieldCheck.NONE
    value_min: int = 0
    value_max: int = 0
    currency: str = ""
    country: str = ""
    format: DateFormat = DateFormat.DDMMYYYY
    optional: bool = False
    sensitive: bool = True


class CaptureSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Everything cde needs to run a capture. Durations in milliseconds.

    ``settle_timeout_ms``: silence that submits a field whose length is possible but not certain
    (a Visa of 16 digits may have 18 or 19); shorter than ``inter_digit_timeout_ms``.
    ``pause_timeout_ms``: the longest pause; then the capture ends as timed out. The total time stands still in a pause.
    """

    fields: tuple[FieldSpec, ...]
    attempts: int = 3
    first_digit_timeout_ms: int = 20_000
    inter_digit_timeout_ms: int = 6_000
    settle_timeout_ms: int = 2_000
    total_timeout_ms: int = 300_000
    pause_timeout_ms: int = 300_000
    undo: UndoKey = UndoKey.STAR
    reset: ResetKeys = ResetKeys.DOUBLE
    submit: SubmitKey = SubmitKey.HASH


class KeyedValue(msgspec.Struct, frozen=True):
    """What was keyed into a field that its specification calls not sensitive: at most VALUE_KEYS_MAX digits."""

    field: str
    value: str


class CaptureProgress(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What the agent's page may show of a running capture. Sent on change, batched at 100-250 ms.

    ``length`` is the number of keys the field will have once that is certain, else 0; ``usual`` the number most such
    fields have, where it is known before that (a Visa: 16), so that a page can say "twelve of sixteen". ``last4`` is
    empty until a card number is accepted and for every other field. ``reason`` is set when the last entry was refused.
    ``values``: of accepted fields that are not sensitive.
    """

    capture_id: CaptureId
    state: CaptureState
    field: str = ""
    count: int = 0
    length: int = 0
    usual: int = 0
    brand: str = ""
    last4: str = ""
    attempt: int = 1
    reason: RejectReason | None = None
    accepted: tuple[str, ...] = ()
    values: tuple[KeyedValue, ...] = ()


class CaptureOutcome(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The end of a capture. ``gateway_code`` is from a closed list of the connector, never free text."""

    capture_id: CaptureId
    result: CaptureResult
    token: Token = NO_TOKEN
    brand: str = ""
    last4: str = ""
    gateway_code: str = ""
    operation_id: OperationId = NO_OPERATION
    """Of the authorization or charge, to capture, refund or void it by."""
    test: bool = False
