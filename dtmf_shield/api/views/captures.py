"""Response models of the API, and the pure functions that turn capture messages into them.

No model here has room for a keyed digit: a field is a count, a mask made of four drawing characters, a brand and,
once a card number is accepted, ``last4``. The mapping functions are total: whatever a message says, they answer
with a view that validates, and leave out what does not fit its closed form.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping, Sequence
from typing import Final

from dtmf_shield.api.views.words import (
    FILLED,
    Currency,
    Last4,
    Mask,
    OperationReference,
    Prose,
    Step,
    TokenReference,
    Value,
    View,
    Word,
)
from dtmf_shield.model.capture import (
    KEYS_MAX,
    VALUE_KEYS_MAX,
    CaptureOutcome,
    CaptureProgress,
    CaptureResult,
    CaptureState,
    FieldKind,
    FieldSpec,
    Hint,
    RejectReason,
    replaces,
)
from dtmf_shield.model.ids import CallId, CaptureId, Token
from dtmf_shield.model.payment import NO_MONEY, Money

KEYS_SHOWN_MAX: Final = 19
"""A mask of a card is never longer: the longest card number (ISO/IEC 7812-1)."""
LABELS: Final = {
    FieldKind.CARD_NUMBER: "Card number",
    FieldKind.EXPIRY: "Expiry date",
    FieldKind.SECURITY_CODE: "Security code",
    FieldKind.POSTAL_CODE: "Postal code",
    FieldKind.BANK_ACCOUNT: "Account number",
    FieldKind.ROUTING_NUMBER: "Routing number",
    FieldKind.IBAN: "IBAN",
    FieldKind.DATE_OF_BIRTH: "Date of birth",
    FieldKind.DIGITS: "Number",
    FieldKind.AMOUNT: "Amount",
}

_EMPTY: Final = "○"
_GROUPS_AMEX: Final = (4, 6, 5)
_GROUPS_CARD: Final = (4, 4, 4, 4, 3)
_GOOD: Final = frozenset({CaptureResult.TOKEN, CaptureResult.APPROVED})
_HOLDING: Final = frozenset(
    {
        CaptureState.HELD,
        CaptureState.CHOOSING,
        CaptureState.SENDING,
        CaptureState.PAYING,
        CaptureState.SETTLING,
        CaptureState.DONE,
    }
)
_OPERATION: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_VALUE: Final = re.compile(rf"[0-9]{{1,{VALUE_KEYS_MAX}}}")
_WORD: Final = re.compile(r"[a-z_]{1,40}")
_STEP: Final = re.compile(r"[a-z][a-z0-9_]{0,31}")
_LAST4: Final = re.compile(r"[0-9]{4}")


class FieldState(enum.StrEnum):
    """Where one field is, in words for the agent."""

    IDLE = "idle"
    WAITING = "waiting"
    KEYING = "keying"
    VALID = "valid"
    INVALID = "invalid"
    TIMEOUT = "timeout"


class FieldView(View):
    """One field. ``count`` is null where the flow shows no agent a count.

    ``of`` is null while a field may still have several lengths; ``of_usual`` is the length most have.

    ``reason`` is null while none applies; ``value`` for every field that the flow does not call not sensitive.
    ``named``: the label is the flow's own; else it is the kind in English, and a page says it in its reader's language.
    """

    field: Word
    kind: FieldKind
    label: Prose
    named: bool = False
    state: FieldState = FieldState.IDLE
    count: int | None = 0
    of: int | None = None
    of_usual: int | None = None
    masked: Mask = ""
    brand: Word | None = None
    last4: Last4 | None = None
    reason: RejectReason | None = None
    value: Value | None = None


class OutcomeView(View):
    """How a capture ended. ``unknown`` is never to be read as declined.

    ``operation_id`` names the authorization or charge, to capture, refund or void it by.
    """

    result: CaptureResult
    token_reference: TokenReference | None = None
    brand: Word | None = None
    last4: Last4 | None = None
    gateway_code: Word | None = None
    operation_id: OperationReference | None = None
    test: bool = False


class CaptureView(View):
    """One capture. ``current`` is the field being collected; ``say`` what the agent tells the caller now.

    ``step``: where its flow is, null once that is over; it may go on after the outcome, to say the receipt or to ask
    for another card in a new capture. ``can_pay``: the caller is asked to confirm, which the agent may do instead.
    ``hint``: what is wrong with how the keys arrive. ``amount_minor`` and ``currency`` where the flow charges or
    authorizes. ``reference``: the merchant's own name for it, where one was said. ``gateway_down``: no payment service
    that its flow asks answers just now.
    """

    id: CaptureId
    call: CallId
    flow: Prose
    title: Prose = ""
    state: CaptureState = CaptureState.IDLE
    current: Word | None = None
    say: Prose = ""
    amount_minor: int | None = None
    currency: Currency | None = None
    fields: tuple[FieldView, ...] = ()
    outcome: OutcomeView | None = None
    step: Step | None = None
    can_pay: bool = False
    hint: Hint | None = None
    reference: Prose = ""
    gateway_down: bool = False


class TokenView(View):
    """The token itself, for the merchant's program; pages see its reference only."""

    token: Token
    test: bool


def token_reference(token: Token) -> str | None:
    """Return ``tok_…9f3a``: enough to compare two tokens by eye, too little to be a card number.

    A token may look like a card number itself (format preserving): never more than its last four characters.
    """
    if not token:
        return None
    prefix = re.match(r"[A-Za-z]{1,8}_", token)
    return f"{prefix.group() if prefix else ''}…{token[-4:]}"


def mask(kind: FieldKind, count: int, of: int | None, brand: str | None) -> str:
    """Draw ``count`` keys: ``•`` for a key that is there, ``○`` for one to come where ``of`` is known."""
    shown_max = KEYS_SHOWN_MAX if kind is FieldKind.CARD_NUMBER else KEYS_MAX
    total = min(max(count, of or 0, 0), shown_max)
    drawn = FILLED * min(max(count, 0), total) + _EMPTY * (total - min(max(count, 0), total))
    if kind is not FieldKind.CARD_NUMBER and kind is not FieldKind.EXPIRY:
        return (
            " ".join(drawn[start : start + 4] for start in range(0, len(drawn), 4)) if total > 10 else drawn
        )
    if kind is FieldKind.EXPIRY:
        return drawn[:2] + "/" + drawn[2:] if total > 2 else drawn
    parts, start = [], 0
    for size in _GROUPS_AMEX if brand == "amex" else _GROUPS_CARD:
        parts.append(drawn[start : start + size])
        start += size
    parts.append(drawn[start:])
    return " ".join(part for part in parts if part)


def new_capture(
    *,
    capture_id: CaptureId,
    call_id: CallId,
    flow_id: str,
    fields: Sequence[FieldSpec],
    labels: Mapping[str, str] | None = None,
    title: str = "",
    say: str = "",
    amount: Money = NO_MONEY,
    reference: str = "",
) -> CaptureView:
    """Return the view of a capture that has just been asked for: every field idle. ``labels``: the flow's own."""
    named = labels or {}
    return CaptureView(
        id=capture_id,
        call=call_id,
        flow=flow_id,
        title=title,
        say=say,
        amount_minor=amount.minor or None,
        currency=amount.currency or None,
        reference=reference,
        fields=tuple(
            FieldView(
                field=spec.name,
                kind=spec.kind,
                label=named.get(spec.name, LABELS[spec.kind]),
                named=spec.name in named,
            )
            for spec in fields
        ),
    )


def capture_after_progress(view: CaptureView, progress: CaptureProgress, say: str = "") -> CaptureView:
    """Apply one progress message; it speaks of one field, the others keep what earlier ones said of them.

    A message for another capture, or after the outcome, changes nothing.
    """
    if progress.capture_id != view.id or view.outcome is not None:
        return view
    current = progress.field if any(field.field == progress.field for field in view.fields) else None
    return view.model_copy(
        update={
            "state": progress.state,
            "current": current,
            "say": say or view.say,
            "fields": tuple(_field_after(field, progress) for field in view.fields),
        }
    )


def capture_after_outcome(view: CaptureView, outcome: CaptureOutcome) -> CaptureView:
    """Apply the end of a capture; one for another capture changes nothing.

    The first outcome stands, unless it was a guess or a later one says that money moved, or may have.
    """
    if outcome.capture_id != view.id:
        return view
    if view.outcome is not None and not replaces(outcome.result, view.outcome.result):
        return view
    done = outcome.result in _GOOD
    shown = OutcomeView(
        result=outcome.result,
        token_reference=token_reference(outcome.token),
        brand=_word(outcome.brand),
        last4=_last4(outcome.last4),
        gateway_code=_word(outcome.gateway_code),
        operation_id=outcome.operation_id if _OPERATION.fullmatch(outcome.operation_id) else None,
        test=outcome.test,
    )
    return view.model_copy(
        update={
            "state": CaptureState.DONE if done else CaptureState.FAILED,
            "current": None,
            "say": "",
            # What was being keyed is gone: cde has wiped it.
            "fields": tuple(
                field if field.state is FieldState.VALID else _untouched(field) for field in view.fields
            ),
            "outcome": shown,
        }
    )


def capture_in_flow(
    view: CaptureView, step: str, hint: Hint | None, *, can_pay: bool, gateway_down: bool = False
) -> CaptureView:
    """Show where the flow is; a name that is none of a flow file's is not shown."""
    shown = step if _STEP.fullmatch(step) else None
    if (view.step, view.hint, view.can_pay, view.gateway_down) == (shown, hint, can_pay, gateway_down):
        return view
    return view.model_copy(
        update={"step": shown, "hint": hint, "can_pay": can_pay, "gateway_down": gateway_down}
    )


def _field_after(field: FieldView, progress: CaptureProgress) -> FieldView:
    accepted = field.field in progress.accepted
    value = next((one.value for one in progress.values if one.field == field.field), "")
    shown_value = value if accepted and _VALUE.fullmatch(value) else None
    if field.field != progress.field:
        if accepted:
            update = {"state": FieldState.VALID, "reason": None, "value": shown_value}
            return field.model_copy(update=update)
        return _untouched(field)
    is_card = field.kind is FieldKind.CARD_NUMBER
    state = FieldState.VALID if accepted else _state_of_current(progress)
    of = _length_shown(field.kind, progress)
    brand = _word(progress.brand) if is_card else None
    return FieldView(
        field=field.field,
        kind=field.kind,
        label=field.label,
        named=field.named,
        state=state,
        count=max(progress.count, 0),
        of=of,
        of_usual=of or max(progress.usual, 0) or None,
        masked=mask(field.kind, progress.count, of, brand),
        brand=brand,
        last4=_last4(progress.last4) if is_card and state is FieldState.VALID else None,
        reason=progress.reason if state in (FieldState.INVALID, FieldState.TIMEOUT) else None,
        value=shown_value,
    )


def _untouched(field: FieldView) -> FieldView:
    return FieldView(field=field.field, kind=field.kind, label=field.label, named=field.named)


def _state_of_current(progress: CaptureProgress) -> FieldState:
    if progress.state in _HOLDING:
        return FieldState.VALID
    if progress.count > 0 and progress.state in (CaptureState.KEYING, CaptureState.PAUSED):
        return FieldState.KEYING
    if progress.reason is RejectReason.TIMEOUT:
        return FieldState.TIMEOUT
    if progress.reason is not None:
        return FieldState.INVALID
    return FieldState.WAITING


def _length_shown(kind: FieldKind, progress: CaptureProgress) -> int | None:
    if kind is FieldKind.EXPIRY:
        return 4  # MMYY, whatever the card
    return progress.length or None


def _word(text: str) -> str | None:
    return text if _WORD.fullmatch(text) else None


def _last4(text: str) -> str | None:
    return text if _LAST4.fullmatch(text) else None
