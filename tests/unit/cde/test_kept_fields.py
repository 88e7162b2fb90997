"""Fields kept from one flow to the agent's: taken over once and whole, or wiped; and never paid from in between."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from dtmf_shield.account_data import slots
from dtmf_shield.cde import kept as kept_module
from dtmf_shield.cde.captures import SLOT_REST_S
from dtmf_shield.cde.gateways.base import SlotField
from dtmf_shield.model.capture import (
    HANDOVER_KEPT_S_MAX,
    CaptureProgress,
    CaptureResult,
    CaptureSpec,
    CaptureState,
    FieldCheck,
    FieldKind,
    FieldSpec,
    KeyedValue,
    Patience,
)
from dtmf_shield.model.ids import NO_CAPTURE, CallId, CaptureId, LegRole, OperationId
from dtmf_shield.model.messages import (
    ArmSlot,
    AskChoice,
    CancelCapture,
    CaptureArmed,
    CollectField,
    ControlToCde,
    InfoMailed,
    KeysWritten,
    OrderPayment,
    PauseCapture,
    PromptSaid,
    ResumeCapture,
    SlotArmed,
    StartCapture,
    StopAsking,
    SubmitCapture,
)
from dtmf_shield.model.payment import OperationKind
from tests.unit.cde.test_captures import CALL, Room

FIRST, SECOND = CaptureId("self-service"), CaptureId("agent")
VISA, MASTERCARD, ACCOUNT = "4242424242424242", "5555555555554444", "12345674"
PAN = FieldSpec(name="pan", kind=FieldKind.CARD_NUMBER)
EXPIRY = FieldSpec(name="expiry", kind=FieldKind.EXPIRY)
CODE = FieldSpec(name="cvv", kind=FieldKind.SECURITY_CODE)
ACCOUNT_FIELD = FieldSpec(name="account", kind=FieldKind.DIGITS, length_min=8, length_max=8, sensitive=False)
CARD = (PAN, EXPIRY, CODE)
KEYS = {"pan": VISA, "expiry": "1230", "cvv": "123", "account": ACCOUNT, "amount": "1250", "born": "01021990"}
PATIENCE = Patience(3, 20_000, 6_000, 2_000, 120_000)


class Handed(Room):
    """A caller who has keyed ``keyed`` into a flow without an agent and is handed on at second 10."""

    def __init__(
        self,
        *keyed: str,
        fields: tuple[FieldSpec, ...] = CARD,
        keeps: bool = True,
        half: str = "",
        slot_count: int = 2,
        result: CaptureResult = CaptureResult.HANDED_OVER,
    ) -> None:
        super().__init__(slot_count)
        self.arm = self.begin(FIRST, fields)
        for name in keyed:
            self.captures.control_message(CollectField(FIRST, name), 1.0)
            self.key(self.arm, KEYS[name] + "#", 2.0)
        if half:
            self.captures.control_message(CollectField(FIRST, half), 3.0)
            self.key(self.arm, KEYS[half][:2], 4.0)
        self.captures.control_message(CancelCapture(FIRST, result, keeps), 10.0)

    def begin(
        self,
        capture_id: CaptureId,
        fields: tuple[FieldSpec, ...],
        now_s: float = 0.0,
        takes_over: CaptureId = NO_CAPTURE,
        call_id: CallId = CALL,
        row: int = 0,
    ) -> ArmSlot:
        start = StartCapture(
            capture_id, call_id, row, CaptureSpec(fields=fields), flow="f", takes_over=takes_over
        )
        self.captures.control_message(start, now_s)
        arm = self.media[-1]
        assert isinstance(arm, ArmSlot)
        self.captures.media_message(SlotArmed(arm.slot, arm.generation, ok=True), now_s)
        return arm

    def take_over(self, fields: tuple[FieldSpec, ...] = CARD, now_s: float = 20.0) -> CaptureProgress:
        """What the first progress of the agent's capture says."""
        self.control.clear()
        self.arm = self.begin(SECOND, fields, now_s, FIRST)
        return self.progress()[0]

    def page(self, slot: int) -> bytes:
        return bytes(self.region.view[slot * slots.SLOT_BYTES : (slot + 1) * slots.SLOT_BYTES])

    def keyed(self, slot: int) -> bytes:
        """All that was ever keyed and is still in a slot."""
        return self.page(slot)[slots.RING_AT :].replace(b"\0", b"")

    def empty(self) -> bool:
        return not any(self.region.view)


# --- kept -------------------------------------------------------------------------------------------------


def test_accepted_fields_stay_and_everything_else_of_the_slot_goes() -> None:
    room = Handed("pan", "expiry", half="cvv")

    assert room.outcomes() == [CaptureResult.HANDED_OVER]
    assert room.keyed(0) == VISA.encode() + b"122030"
    assert room.page(0)[slots.STATE_AT] == slots.STATE_FREE
    assert room.captures.idle


def test_without_the_word_nothing_is_kept() -> None:
    room = Handed("pan", keeps=False)

    assert room.empty()
    assert room.take_over().accepted == ()


@pytest.mark.parametrize("half", ["", "pan"])
def test_where_nothing_is_accepted_nothing_is_kept(half: str) -> None:
    assert Handed(half=half).empty()


def test_a_key_that_media_was_writing_at_the_end_goes_and_the_fields_stay() -> None:
    room = Handed("pan")
    room.region.view[slots.RING_AT] = ord("7")

    room.captures.handle_timer(10.0 + SLOT_REST_S)

    assert room.keyed(0) == VISA.encode()


def test_nobody_who_takes_them_over_in_time_finds_nothing() -> None:
    room = Handed("pan", "expiry", "cvv")
    due_s = []
    while (now_s := room.captures.next_timer_s) is not None and len(due_s) < 9:
        due_s.append(now_s)
        room.captures.handle_timer(now_s)

    assert due_s == [10.0 + SLOT_REST_S, 10.0 + HANDOVER_KEPT_S_MAX, 10.0 + HANDOVER_KEPT_S_MAX + SLOT_REST_S]
    assert room.empty()
    assert room.take_over(now_s=400.0).accepted == ()


def test_a_timer_that_comes_late_lets_nobody_have_them() -> None:
    room = Handed("pan")

    assert room.take_over(now_s=10.0 + HANDOVER_KEPT_S_MAX).accepted == ()
    assert room.keyed(0) == room.keyed(1) == b""


def test_the_callers_end_wipes_them() -> None:
    room = Handed("pan", "expiry", "cvv")

    room.captures.control_message(CancelCapture(FIRST, CaptureResult.CALLER_GONE), 11.0)

    assert room.empty()
    assert room.take_over().accepted == ()
    assert room.outcomes() == [], "the end was told before"


def test_the_end_told_twice_keeps_them_once() -> None:
    room = Handed("pan")

    room.captures.control_message(CancelCapture(FIRST, CaptureResult.HANDED_OVER, keeps=True), 11.0)

    assert room.take_over().accepted == ("pan",)


@pytest.mark.parametrize(
    ("call", "takes_over"), [(CALL, NO_CAPTURE), ("call-2", NO_CAPTURE), ("call-2", FIRST)]
)
def test_another_capture_on_the_row_wipes_what_it_does_not_take_over(
    call: str, takes_over: CaptureId
) -> None:
    room = Handed("pan")

    room.begin(SECOND, CARD, 12.0, takes_over, CallId(call))

    assert room.keyed(0) == room.keyed(1) == b""
    assert all(not told.accepted for told in room.progress() if told.capture_id == SECOND)


def test_too_many_kept_wipe_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_module, "KEPT_MAX", 2)
    room = Handed("pan", slot_count=4)
    for row in (1, 2):
        name = CaptureId(f"more-{row}")
        arm = room.begin(name, CARD, 11.0, row=row, call_id=CallId(f"call-{row}"))
        room.captures.control_message(CollectField(name, "pan"), 11.0)
        room.key(arm, MASTERCARD, 11.0)
        room.captures.control_message(CancelCapture(name, CaptureResult.HANDED_OVER, keeps=True), 12.0)

    assert [room.keyed(slot) for slot in range(3)] == [b"", MASTERCARD.encode(), MASTERCARD.encode()]


def test_new_captures_come_before_what_is_kept() -> None:
    room = Handed("pan", slot_count=1)

    room.captures.control_message(
        StartCapture(CaptureId("early"), CallId("b"), 1, CaptureSpec(fields=CARD)), 10.5
    )
    assert room.outcomes()[-1] is CaptureResult.REFUSED, "media may still be writing one last key"
    room.captures.handle_timer(10.0 + SLOT_REST_S)
    arm = room.begin(CaptureId("late"), CARD, 12.0, row=1, call_id=CallId("b"))

    assert arm.slot == 0
    assert room.keyed(0) == b""


def test_what_is_kept_gives_its_slot_back_once() -> None:
    """A slot that is free twice would hold two callers' cards."""
    room = Handed("pan", slot_count=2)
    room.captures.control_message(CancelCapture(FIRST, CaptureResult.CALLER_GONE), 10.2)
    for now_s in (11.0, 11.2, 12.0, 400.0):
        room.captures.handle_timer(now_s)

    arms = [
        room.begin(CaptureId(f"n{row}"), CARD, 401.0, row=row, call_id=CallId(f"n{row}")) for row in (3, 4)
    ]
    room.captures.control_message(
        StartCapture(CaptureId("third"), CallId("n5"), 5, CaptureSpec(fields=CARD)), 401.0
    )

    assert {arm.slot for arm in arms} == {0, 1}
    assert room.outcomes()[-1] is CaptureResult.REFUSED


# --- no capture any more ----------------------------------------------------------------------------------

MESSAGES: tuple[ControlToCde, ...] = (
    CollectField(FIRST, "pan"),
    CollectField(FIRST, "cvv"),
    AskChoice(FIRST, ("1", "2"), PATIENCE),
    StopAsking(FIRST),
    PromptSaid(FIRST, over=True),
    SubmitCapture(FIRST, operation=OperationKind.CHARGE, amount_minor=1_250, currency="GBP"),
    SubmitCapture(FIRST),
    PauseCapture(FIRST),
    ResumeCapture(FIRST),
    OrderPayment(OperationId("o"), OperationId("p"), OperationKind.VOID),
)
INPUTS: dict[str, Callable[[Handed], None]] = {
    **{
        f"{place} {type(message).__name__}": lambda room, message=message: room.captures.control_message(
            message, 11.0
        )
        for place, message in enumerate(MESSAGES)
    },
    "key": lambda room: room.captures.media_message(KeysWritten(room.arm.slot, room.arm.generation, 5), 11.0),
    "armed": lambda room: room.captures.media_message(
        SlotArmed(room.arm.slot, room.arm.generation, ok=True), 11.0
    ),
    "not armed": lambda room: room.captures.media_message(
        SlotArmed(room.arm.slot, room.arm.generation, ok=False), 11.0
    ),
    "tokenized": lambda room: room.captures.tokenized(FIRST, 11.0),
    "settling": lambda room: room.captures.settling(FIRST, 11.0),
    "velocity": lambda room: room.captures.velocity_stopped(FIRST, 11.0),
    "media lost": lambda room: room.captures.media_lost(11.0),
    "time": lambda room: room.captures.handle_timer(11.0 + SLOT_REST_S),
}


@pytest.mark.parametrize("happen", INPUTS.values(), ids=INPUTS)
def test_whatever_else_happens_changes_nothing_and_sends_nothing(happen: Callable[[Handed], None]) -> None:
    room = Handed("pan", "expiry", "cvv")
    before, said = room.page(0), len(room.control)

    happen(room)

    assert (room.page(0), room.sent, len(room.control)) == (before, [], said)
    assert room.take_over().accepted == ("pan", "expiry", "cvv")


def test_a_key_by_info_meanwhile_goes_nowhere() -> None:
    room = Handed("pan")
    body = b"Signal=7\r\nDuration=160\r\n"
    room.mailbox.view[: len(body)] = body

    room.captures.control_message(InfoMailed(CALL, 0, LegRole.CALLER, 0, len(body)), 11.0)

    assert room.keyed(0) == VISA.encode()
    assert not any(room.mailbox.view)


def test_a_fresh_control_is_told_the_end_and_no_progress() -> None:
    room = Handed("pan")
    room.control.clear()

    room.captures.control_connected()

    assert (room.outcomes(), room.progress()) == ([CaptureResult.HANDED_OVER], [])


def test_the_end_of_the_process_wipes_them() -> None:
    room = Handed("pan")

    room.captures.wipe()

    assert room.empty()


# --- taken over -------------------------------------------------------------------------------------------


def test_fields_are_taken_over_told_before_anything_is_asked_and_sent_once() -> None:
    room = Handed("pan", "expiry", fields=CARD)

    told = room.take_over()

    assert (told.state, told.accepted, told.brand) == (CaptureState.IDLE, ("pan", "expiry"), "visa")
    assert (told.field, told.last4) == ("pan", "4242")
    assert room.control.index(told) < room.control.index(CaptureArmed(SECOND))
    assert room.keyed(0) == b"", "moved, not copied"
    room.captures.control_message(CollectField(SECOND, "cvv"), 21.0)
    assert room.last_fields[-1] == SECOND
    room.key(room.arm, "123", 22.0)
    room.captures.control_message(SubmitCapture(SECOND), 23.0)
    [submission] = room.sent
    assert submission.capture_id == SECOND
    assert submission.expiry == (12, 30)
    assert bytes(submission.card.part(SlotField.NUMBER)) == VISA.encode()
    assert bytes(submission.card.part(SlotField.SECURITY_CODE)) == b"123"


def test_a_whole_card_is_ready_to_be_sent_and_announced() -> None:
    room = Handed("pan", "expiry", "cvv")

    assert room.take_over().accepted == ("pan", "expiry", "cvv")
    assert room.last_fields[-1] == SECOND
    room.captures.control_message(SubmitCapture(SECOND), 21.0)

    assert [submission.capture_id for submission in room.sent] == [SECOND]


def test_it_can_be_taken_over_once() -> None:
    room = Handed("pan")
    room.take_over()
    room.captures.control_message(CancelCapture(SECOND), 21.0)

    room.captures.handle_timer(29.0)
    room.control.clear()
    room.begin(CaptureId("third"), CARD, 30.0, FIRST)

    assert [told.accepted for told in room.progress()] == [()]
    assert room.keyed(0) == room.keyed(1) == b""


def test_what_was_taken_over_goes_with_its_capture() -> None:
    room = Handed("pan", "expiry", "cvv")
    room.take_over()

    room.captures.control_message(CancelCapture(SECOND), 21.0)

    assert room.keyed(0) == room.keyed(1) == b""


def test_media_that_is_away_ends_the_new_capture_and_nothing_is_left() -> None:
    room = Handed("pan")
    room.media_there = False

    room.captures.control_message(
        StartCapture(SECOND, CALL, 0, CaptureSpec(fields=CARD), takes_over=FIRST), 20.0
    )

    assert room.outcomes()[-1] is CaptureResult.INTERRUPTED
    assert room.keyed(0) == room.keyed(1) == b""


def test_a_draining_process_refuses_and_wipes() -> None:
    room = Handed("pan")
    room.captures.draining = True

    room.captures.control_message(
        StartCapture(SECOND, CALL, 0, CaptureSpec(fields=CARD), takes_over=FIRST), 20.0
    )

    assert room.outcomes()[-1] is CaptureResult.REFUSED
    assert room.empty()


def test_an_agent_has_a_field_that_was_taken_over_keyed_again() -> None:
    room = Handed("pan", "expiry", "cvv")
    room.take_over()

    room.captures.control_message(CollectField(SECOND, "pan"), 21.0)

    told = room.progress()[-1]
    assert (told.state, told.accepted, told.brand) == (CaptureState.WAITING, ("expiry",), "")
    assert VISA.encode() not in room.keyed(room.arm.slot)


def test_a_value_that_is_not_sensitive_is_told_again_wherever_its_place_is_now() -> None:
    born = FieldSpec(name="born", kind=FieldKind.DATE_OF_BIRTH)
    room = Handed("account", "born", fields=(ACCOUNT_FIELD, born, PAN))

    told = room.take_over((PAN, born, FieldSpec(name="x", kind=FieldKind.DIGITS), ACCOUNT_FIELD))

    assert (told.accepted, told.values) == (("account", "born"), (KeyedValue("account", ACCOUNT),))
    assert room.keyed(room.arm.slot) == KEYS["born"].encode() + ACCOUNT.encode()


def changed(field: FieldSpec, **words: object) -> tuple[FieldSpec, ...]:
    return tuple(msgspec.structs.replace(each, **words) if each == field else each for each in CARD)


OTHERS = {
    "no such brand": changed(PAN, brands=("mastercard",)),
    "no such length": changed(PAN, lengths=(19,)),
    "another name": changed(PAN, name="card"),
}


@pytest.mark.parametrize("fields", OTHERS.values(), ids=OTHERS)
def test_a_card_that_the_agents_flow_does_not_take_is_wiped_with_all_that_belongs_to_it(
    fields: tuple[FieldSpec, ...],
) -> None:
    room = Handed("pan", "expiry", "cvv")

    assert room.take_over(fields).accepted == ()
    assert room.keyed(0) == room.keyed(1) == b""


def test_other_brands_that_hold_the_card_too_are_no_hindrance() -> None:
    room = Handed("pan", "expiry", "cvv", fields=changed(PAN, brands=("visa", "amex")))

    assert room.take_over(changed(PAN, brands=("visa", "maestro"))).accepted == ("pan", "expiry", "cvv")


@pytest.mark.parametrize(
    ("then", "now"),
    [
        (ACCOUNT_FIELD, {"length_max": 9, "length_min": 9}),
        (ACCOUNT_FIELD, {"check": FieldCheck.MOD97}),
        (ACCOUNT_FIELD, {"kind": FieldKind.BANK_ACCOUNT, "sensitive": True}),
        (ACCOUNT_FIELD, {"sensitive": True}),
        (FieldSpec(name="account", kind=FieldKind.DIGITS, length_min=8, length_max=8), {"sensitive": False}),
        (
            FieldSpec(name="amount", kind=FieldKind.AMOUNT, currency="GBP", sensitive=False),
            {"currency": "EUR"},
        ),
        (
            FieldSpec(name="amount", kind=FieldKind.AMOUNT, currency="GBP", sensitive=False),
            {"value_max": 1_000},
        ),
    ],
    ids=["length", "check", "kind", "sensitive", "secret then open", "currency", "largest amount"],
)
def test_a_field_of_another_specification_is_asked_for_again(then: FieldSpec, now: dict[str, object]) -> None:
    room = Handed(then.name, fields=(then, PAN))

    told = room.take_over((msgspec.structs.replace(then, **now), PAN))

    assert (told.accepted, told.values) == ((), ())
    assert room.keyed(0) == room.keyed(1) == b""


def test_the_same_specification_is_taken_over() -> None:
    """The control of the test above."""
    amount = FieldSpec(name="amount", kind=FieldKind.AMOUNT, currency="GBP", sensitive=False)
    room = Handed("account", "amount", fields=(ACCOUNT_FIELD, amount))

    told = room.take_over((ACCOUNT_FIELD, amount, PAN))

    assert told.accepted == ("account", "amount")
    assert {value.field: value.value for value in told.values} == {"account": ACCOUNT, "amount": "1250"}
