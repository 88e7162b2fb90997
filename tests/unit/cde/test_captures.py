"""All running captures together: slots given out and taken back, generations, batched progress, peers that die."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

import dtmf_shield.cde.captures as captures_module
from dtmf_shield.account_data import slots
from dtmf_shield.account_data.mailbox import Mailbox
from dtmf_shield.account_data.slots import Region, create_region
from dtmf_shield.cde.captures import ARM_TIMEOUT_S, OUTCOMES_KEPT, PROGRESS_INTERVAL_S, SLOT_REST_S, Captures
from dtmf_shield.cde.card import IinTable
from dtmf_shield.cde.gateways.base import GatewayResult, GatewayResultKind, SlotField
from dtmf_shield.cde.submission import Submission
from dtmf_shield.model.capture import (
    CaptureOutcome,
    CaptureProgress,
    CaptureResult,
    CaptureSpec,
    CaptureState,
    ChoiceFault,
    ControlKey,
    FieldKind,
    FieldSpec,
    Hint,
    Patience,
    RejectReason,
)
from dtmf_shield.model.ids import CallId, CaptureId, LegRole, OperationId
from dtmf_shield.model.messages import (
    MAILBOX_BYTES,
    ArmSlot,
    AskChoice,
    CancelCapture,
    CaptureArmed,
    CdeToControl,
    CdeToMedia,
    CellFreed,
    ChoiceMade,
    ChoiceRefused,
    CollectField,
    ControlKeyed,
    DisarmSlot,
    FieldGivenUp,
    InfoMailed,
    KeysHinted,
    KeysWritten,
    PauseCapture,
    PromptSaid,
    ResumeCapture,
    SlotArmed,
    StarCodeKeyed,
    StartCapture,
    StopAsking,
    SubmitCapture,
)
from dtmf_shield.model.payment import OperationKind

CALL = CallId("call-1")
SPEC = CaptureSpec(fields=(FieldSpec(name="pan", kind=FieldKind.CARD_NUMBER),))
TABLE = IinTable((Path(captures_module.__file__).parent / "iin.toml").read_text())


class Room:
    """Captures with everything they say, in order."""

    def __init__(self, slot_count: int = 2, earlier: tuple[CaptureOutcome, ...] = ()) -> None:
        size = slot_count * slots.SLOT_BYTES
        self.region = Region(create_region(size, allow_secret=False)[0], size)
        self.mailbox_fd = create_region(MAILBOX_BYTES, allow_secret=False)[0]
        self.mailbox = Region(self.mailbox_fd, MAILBOX_BYTES)
        self.media_there = True
        self.control: list[CdeToControl] = []
        self.media: list[CdeToMedia] = []
        self.sent: list[Submission] = []
        self.stopped_at_gateway: list[tuple[CaptureId, bool]] = []
        self.last_fields: list[CaptureId] = []
        self.captures = Captures(
            self.region,
            Mailbox(self.mailbox_fd),
            TABLE,
            self,
            star_codes=("*1",),
            first_generation=7,
            test=True,
            earlier=earlier,
        )

    def to_control(self, message: CdeToControl) -> None:
        self.control.append(message)

    def to_media(self, message: CdeToMedia) -> bool:
        self.media.append(message)
        return self.media_there

    def started(self, start: StartCapture) -> None:
        pass

    def last_field(self, capture_id: CaptureId, call_id: CallId) -> None:
        self.last_fields.append(capture_id)

    def ended(self, outcome: CaptureOutcome) -> None:
        pass

    def send(self, submission: Submission) -> None:
        self.sent.append(submission)

    def stopped(self, capture_id: CaptureId, *, caller_gone: bool) -> None:
        self.stopped_at_gateway.append((capture_id, caller_gone))

    def today(self) -> tuple[int, int]:
        return 2026, 11

    # --- driving ---

    def start(self, name: str = "c1", row: int = 0, now_s: float = 0.0) -> ArmSlot:
        self.captures.control_message(StartCapture(CaptureId(name), CALL, row, SPEC), now_s)
        arm = self.media[-1]
        assert isinstance(arm, ArmSlot)
        return arm

    def armed(self, name: str = "c1", row: int = 0) -> ArmSlot:
        arm = self.start(name, row)
        self.captures.media_message(SlotArmed(arm.slot, arm.generation, ok=True), 0.0)
        self.captures.control_message(CollectField(CaptureId(name), "pan"), 0.0)
        return arm

    def key(self, arm: ArmSlot, keys: str, now_s: float) -> None:
        base = arm.slot * slots.SLOT_BYTES
        for key in keys:
            head = self.region.view[base + slots.HEAD_AT]
            self.region.view[base + slots.RING_AT + head] = ord(key)
            self.region.view[base + slots.HEAD_AT] = (head + 1) % slots.RING_KEYS
            self.captures.media_message(KeysWritten(arm.slot, arm.generation, head + 1), now_s)

    def outcomes(self) -> list[CaptureResult]:
        return [message.result for message in self.control if isinstance(message, CaptureOutcome)]

    def progress(self) -> list[CaptureProgress]:
        return [message for message in self.control if isinstance(message, CaptureProgress)]


def test_last_field_is_announced_for_what_can_be_done_before_the_card_is_complete() -> None:
    room = Room()

    room.start()
    assert room.last_fields == []
    room.captures.media_message(SlotArmed(room.media[-1].slot, room.media[-1].generation, ok=True), 0.0)
    room.captures.control_message(CollectField(CaptureId("c1"), "pan"), 1.0)

    assert room.last_fields == ["c1"]


def test_capture_is_armed_when_media_says_so() -> None:
    room = Room()
    arm = room.start()
    assert room.control == []

    room.captures.media_message(SlotArmed(arm.slot, arm.generation, ok=True), 0.1)

    assert room.control[0] == CaptureArmed(CaptureId("c1"))


def test_row_that_media_does_not_know_refuses_the_capture() -> None:
    room = Room()
    arm = room.start()

    room.captures.media_message(SlotArmed(arm.slot, arm.generation, ok=False), 0.1)

    assert room.outcomes() == [CaptureResult.REFUSED]


def test_media_that_does_not_answer_ends_the_capture() -> None:
    room = Room()
    room.start()

    room.captures.handle_timer(ARM_TIMEOUT_S)

    assert room.outcomes() == [CaptureResult.INTERRUPTED]


def test_media_that_is_away_ends_the_capture_at_once() -> None:
    room = Room()
    room.media_there = False

    room.captures.control_message(StartCapture(CaptureId("c1"), CALL, 0, SPEC), 0.0)

    assert room.outcomes() == [CaptureResult.INTERRUPTED]


def test_second_capture_of_a_row_is_refused() -> None:
    room = Room()
    room.armed()

    room.captures.control_message(StartCapture(CaptureId("c2"), CALL, 0, SPEC), 0.0)

    assert room.outcomes() == [CaptureResult.REFUSED]


def test_no_free_slot_refuses_and_a_rested_slot_is_used_again() -> None:
    room = Room(slot_count=1)
    room.armed("c1", 0)
    room.captures.control_message(StartCapture(CaptureId("c2"), CALL, 1, SPEC), 0.0)
    room.captures.control_message(CancelCapture(CaptureId("c1")), 1.0)
    assert room.outcomes() == [CaptureResult.REFUSED, CaptureResult.CANCELLED]

    room.captures.handle_timer(1.0 + SLOT_REST_S)
    room.start("c3", 0, 3.0)

    assert room.outcomes() == [CaptureResult.REFUSED, CaptureResult.CANCELLED]


def test_key_written_after_the_end_is_wiped_when_the_slot_has_rested() -> None:
    room = Room()
    arm = room.armed()
    room.captures.control_message(CancelCapture(CaptureId("c1")), 1.0)
    assert isinstance(room.media[-1], DisarmSlot)
    room.region.view[arm.slot * slots.SLOT_BYTES + slots.RING_AT] = ord("7")

    room.captures.handle_timer(1.0 + SLOT_REST_S)

    assert bytes(room.region.view) == bytes(len(room.region.view))


def test_keys_of_another_generation_are_dropped() -> None:
    room = Room()
    arm = room.armed()
    old = ArmSlot(arm.slot, arm.generation - 1, CALL, 0)

    room.key(old, "42", 0.1)

    room.captures.handle_timer(1.0)
    assert room.progress()[-1].count == 0


def test_counts_are_batched_and_edges_are_not() -> None:
    room = Room()
    arm = room.armed()
    told = len(room.progress())

    room.key(arm, "555", 1.0)
    assert len(room.progress()) == told
    assert room.captures.next_timer_s == 1.0 + PROGRESS_INTERVAL_S

    room.captures.handle_timer(1.0 + PROGRESS_INTERVAL_S)
    assert [each.count for each in room.progress()[told:]] == [3]

    room.key(arm, "5555555554444", 2.0)
    assert room.progress()[-1].accepted == ("pan",)


def test_refusal_and_the_keys_behind_it_in_one_message_are_both_told() -> None:
    room = Room()
    arm = room.armed()
    base, keys = arm.slot * slots.SLOT_BYTES, "5555555555554445" + "55"
    for at, key in enumerate(keys):
        room.region.view[base + slots.RING_AT + at] = ord(key)
    room.control.clear()

    room.captures.media_message(KeysWritten(arm.slot, arm.generation, len(keys)), 1.0)
    room.captures.handle_timer(1.0 + PROGRESS_INTERVAL_S)

    told = [message for message in room.control if isinstance(message, CaptureProgress)]
    assert [(each.attempt, each.reason, each.count) for each in told] == [
        (2, RejectReason.LUHN, 0),
        (2, None, 2),
    ]


def test_submitted_card_is_sealed_sent_and_settled() -> None:
    room = Room()
    arm = room.armed()
    room.key(arm, "5555555555554444", 1.0)

    room.captures.control_message(SubmitCapture(CaptureId("c1"), "order"), 2.0)
    assert [each.capture_id for each in room.sent] == ["c1"]
    assert room.region.view[arm.slot * slots.SLOT_BYTES + slots.STATE_AT] == slots.STATE_SEALED

    room.captures.gateway_answered(
        CaptureId("c1"), GatewayResult(GatewayResultKind.APPROVED, token="tok"), 3.0
    )
    assert room.outcomes() == [CaptureResult.TOKEN]
    assert bytes(room.region.view) == bytes(len(room.region.view))


def test_a_submit_that_cannot_be_carried_out_ends_the_capture_and_keeps_nothing() -> None:
    room = Room()
    arm = room.armed()
    room.key(arm, "555555", 1.0)

    room.captures.control_message(SubmitCapture(CaptureId("c1"), "order"), 2.0)

    assert room.sent == []
    assert room.outcomes() == [CaptureResult.REFUSED]
    assert bytes(room.region.view) == bytes(len(room.region.view))


def at_gateway(operation: OperationKind = OperationKind.CHARGE) -> tuple[Room, ArmSlot]:
    room = Room()
    start = StartCapture(CaptureId("c1"), CALL, 0, SPEC, flow="card", caller="hash", agent="anna")
    room.captures.control_message(start, 0.0)
    arm = room.media[-1]
    assert isinstance(arm, ArmSlot)
    room.captures.media_message(SlotArmed(arm.slot, arm.generation, ok=True), 0.0)
    room.captures.control_message(CollectField(CaptureId("c1"), "pan"), 0.0)
    room.key(arm, "5555555555554444", 1.0)
    order = SubmitCapture(CaptureId("c1"), "order", operation, amount_minor=1050, currency="EUR")
    room.captures.control_message(order, 2.0)
    return room, arm


def digits_left(room: Room, arm: ArmSlot) -> bool:
    """Whether the slot holds anything beside its head."""
    base = arm.slot * slots.SLOT_BYTES
    return any(room.region.view[base + slots.RING_AT : base + slots.SLOT_BYTES])


# --- menus, patience and what is told beside the progress ---------------------------------------------------

HASTY = Patience(
    attempts=1,
    first_digit_timeout_ms=4_000,
    inter_digit_timeout_ms=2_000,
    settle_timeout_ms=1_000,
    total_timeout_ms=60_000,
    agent="0",
)
ID = CaptureId("c1")


def test_choice_is_told_by_its_place_after_the_menu_is_shown_closed() -> None:
    room = Room()
    arm = room.armed()
    room.captures.control_message(AskChoice(ID, ("4", "9"), HASTY), 1.0)
    assert room.progress()[-1].state is CaptureState.CHOOSING

    room.key(arm, "9", 1.5)

    told = room.control[-2:]
    assert isinstance(told[0], CaptureProgress)
    assert (told[0].state, told[1]) == (CaptureState.HELD, ChoiceMade(ID, 1))


def test_menu_that_gets_no_key_is_told_when_its_time_is_up() -> None:
    room = Room()
    room.armed()
    room.captures.control_message(AskChoice(ID, ("4", "9"), HASTY), 1.0)
    assert room.captures.next_timer_s == 5.0

    room.captures.handle_timer(5.0)

    assert room.control[-1] == ChoiceRefused(ID, ChoiceFault.TIMEOUT)


def test_field_given_up_is_told_and_ends_nothing() -> None:
    room = Room()
    arm = room.armed()
    room.captures.control_message(CollectField(ID, "pan", HASTY), 1.0)

    room.key(arm, "5555555555554445", 2.0)

    assert room.control[-1] == FieldGivenUp(ID, "pan", RejectReason.LUHN)
    assert room.outcomes() == []
    assert not digits_left(room, arm)
    room.captures.control_message(CancelCapture(ID, CaptureResult.ATTEMPTS_USED), 3.0)
    assert room.outcomes() == [CaptureResult.ATTEMPTS_USED]


def test_agent_key_repeat_key_and_hints_are_told_as_they_are() -> None:
    room = Room()
    arm = room.armed()
    room.captures.control_message(CollectField(ID, "pan", HASTY), 1.0)

    room.key(arm, "*", 2.0)
    for second, key in enumerate("4271"):
        room.key(arm, key * 2, 3.0 + second)
    room.captures.control_message(StopAsking(ID), 8.0)
    room.captures.control_message(CollectField(ID, "pan", HASTY), 8.0)
    room.key(arm, "0#", 9.0)

    told = [each for each in room.control if isinstance(each, ControlKeyed | KeysHinted)]
    assert told == [
        ControlKeyed(ID, ControlKey.REPEAT),
        KeysHinted(ID, Hint.DUPLICATE_KEYS),
        ControlKeyed(ID, ControlKey.AGENT),
    ]


def test_prompt_holds_up_the_silence_of_a_running_capture() -> None:
    room = Room()
    room.armed()
    room.captures.control_message(CollectField(ID, "pan", HASTY), 1.0)
    room.captures.control_message(PromptSaid(ID, over=False), 1.0)
    room.captures.handle_timer(20.0)
    assert room.outcomes() == [] and room.progress()[-1].state is CaptureState.WAITING

    room.captures.control_message(PromptSaid(ID, over=True), 20.0)
    room.captures.handle_timer(24.0)

    assert room.control[-1] == FieldGivenUp(ID, "pan", RejectReason.TIMEOUT)


def test_asking_that_cannot_be_changes_nothing_and_ends_nothing() -> None:
    room = Room()
    arm = room.armed()
    room.key(arm, "42", 1.0)
    told = list(room.control)

    room.captures.control_message(AskChoice(ID, ("1", "1"), HASTY), 2.0)
    room.captures.control_message(CollectField(ID, "pan", replace(HASTY, submit="pound")), 2.0)
    room.captures.control_message(AskChoice(CaptureId("gone"), ("1",), HASTY), 2.0)
    room.captures.control_message(StopAsking(CaptureId("gone")), 2.0)
    room.captures.control_message(PromptSaid(CaptureId("gone"), over=True), 2.0)

    assert room.control == told


def last_fields(fields: tuple[FieldSpec, ...], *asked: str) -> list[CaptureId]:
    room = Room()
    room.captures.control_message(StartCapture(ID, CALL, 0, CaptureSpec(fields=fields)), 0.0)
    arm = room.media[-1]
    assert isinstance(arm, ArmSlot)
    room.captures.media_message(SlotArmed(arm.slot, arm.generation, ok=True), 0.0)
    for name in asked:
        room.captures.control_message(CollectField(ID, name), 0.0)
    return room.last_fields


def test_payment_is_prepared_for_the_last_field_of_the_card_and_not_for_what_is_no_card() -> None:
    policy = FieldSpec(name="policy", kind=FieldKind.DIGITS)
    expiry = FieldSpec(name="expiry", kind=FieldKind.EXPIRY)
    assert last_fields((*SPEC.fields, policy), "policy") == []
    assert last_fields((*SPEC.fields, policy), "pan") == [ID]
    assert last_fields((*SPEC.fields, expiry), "pan") == []
    assert last_fields((policy,), "policy") == []


def test_engine_is_given_the_whole_order_and_whom_attempts_count_for() -> None:
    room, _ = at_gateway()

    (submission,) = room.sent

    assert (submission.capture_id, submission.call_id, submission.expiry) == ("c1", CALL, (0, 0))
    assert (submission.flow, submission.caller, submission.agent) == ("card", "hash", "anna")
    assert (submission.order.operation, submission.order.amount_minor) == (OperationKind.CHARGE, 1050)
    assert bytes(submission.card.part(SlotField.NUMBER)) == b"5555555555554444"
    assert "4444" not in repr(submission.card)


@pytest.mark.parametrize(
    ("tell", "state"), [("tokenized", CaptureState.PAYING), ("settling", CaptureState.SETTLING)]
)
def test_engine_moves_the_capture_and_its_digits_go(tell: str, state: CaptureState) -> None:
    room, arm = at_gateway()
    assert digits_left(room, arm)

    getattr(room.captures, tell)(CaptureId("c1"), 3.0)

    assert not digits_left(room, arm)
    assert room.progress()[-1].state is state
    room.captures.gateway_answered(
        CaptureId("c1"), GatewayResult(GatewayResultKind.APPROVED, token="tok"), 4.0, OperationId("op-1")
    )
    outcome = room.control[-1]
    assert isinstance(outcome, CaptureOutcome)
    assert (outcome.result, outcome.operation_id) == (CaptureResult.APPROVED, "op-1")


def test_rule_against_card_testing_ends_the_capture_and_wipes() -> None:
    room, arm = at_gateway()

    room.captures.velocity_stopped(CaptureId("c1"), 3.0)

    assert room.outcomes() == [CaptureResult.VELOCITY]
    assert not digits_left(room, arm)


@pytest.mark.parametrize("tell", [None, "tokenized", "settling"])
@pytest.mark.parametrize("caller_gone", [True, False])
def test_stop_at_the_gateway_is_told_to_the_engine_and_ends_nothing(
    tell: str | None, caller_gone: bool
) -> None:
    room, _ = at_gateway()
    if tell:
        getattr(room.captures, tell)(CaptureId("c1"), 3.0)

    room.captures.control_message(
        CancelCapture(CaptureId("c1"), CaptureResult.CALLER_GONE if caller_gone else CaptureResult.CANCELLED),
        4.0,
    )

    assert room.stopped_at_gateway == [("c1", caller_gone)]
    assert room.outcomes() == []


def test_stop_before_the_gateway_is_none_of_the_engines() -> None:
    room = Room()
    room.armed()
    room.captures.control_message(CancelCapture(CaptureId("c1")), 4.0)
    assert room.stopped_at_gateway == []


def test_engine_that_speaks_of_a_capture_that_is_no_more_changes_nothing() -> None:
    room, _ = at_gateway()
    room.captures.velocity_stopped(CaptureId("c1"), 3.0)
    told = list(room.control)

    room.captures.tokenized(CaptureId("c1"), 4.0)
    room.captures.gateway_answered(CaptureId("c1"), GatewayResult(GatewayResultKind.APPROVED), 4.0)

    assert room.control == told


def test_pause_and_resume_come_from_control() -> None:
    room = Room()
    arm = room.armed()
    room.key(arm, "5555", 1.0)

    room.captures.control_message(PauseCapture(CaptureId("c1")), 2.0)
    assert room.progress()[-1].state is CaptureState.PAUSED
    room.key(arm, "999", 3.0)
    room.captures.control_message(ResumeCapture(CaptureId("c1")), 4.0)

    assert (room.progress()[-1].state, room.progress()[-1].count) == (CaptureState.KEYING, 4)


def test_media_lost_spares_what_is_already_sending() -> None:
    room = Room()
    room.key(room.armed("c1", 0), "5555555555554444", 1.0)
    room.captures.control_message(SubmitCapture(CaptureId("c1")), 2.0)
    room.armed("c2", 1)

    room.captures.media_lost(3.0)

    assert room.outcomes() == [CaptureResult.INTERRUPTED]


def test_as_many_outcomes_are_told_again_as_captures_can_end_by_one_restart() -> None:
    earlier = tuple(
        CaptureOutcome(capture_id=CaptureId(f"c{number}"), result=CaptureResult.APPROVED)
        for number in range(slots.SLOTS_MAX)
    )
    room = Room(earlier=earlier)

    room.captures.control_connected()

    assert tuple(room.control) == earlier


def test_fresh_control_is_told_the_last_outcomes_and_what_runs() -> None:
    room = Room()
    for number in range(OUTCOMES_KEPT + 5):
        room.start(f"c{number}")
        room.captures.control_message(CancelCapture(CaptureId(f"c{number}")), float(number))
        room.captures.handle_timer(number + SLOT_REST_S)
    room.armed("running")
    room.control.clear()

    room.captures.control_connected()

    assert len(room.outcomes()) == OUTCOMES_KEPT
    assert [each.capture_id for each in room.progress()] == ["running"]


def test_info_key_counts_once_beside_media_and_its_cell_is_wiped() -> None:
    room = Room()
    arm = room.armed()
    room.mailbox.view[0:8] = b"Signal=5"

    room.key(arm, "5", 1.0)
    room.captures.control_message(InfoMailed(CALL, 0, LegRole.CALLER, 0, 8), 1.1)

    assert room.control[-1] == CellFreed(0)
    assert bytes(room.mailbox.view[0:8]) == bytes(8)
    room.captures.handle_timer(1.3)
    assert room.progress()[-1].count == 1


def test_agents_info_keys_make_star_codes_and_nothing_else() -> None:
    room = Room()
    room.armed()
    for key in (b"*", b"1"):
        room.mailbox.view[0:1] = key
        room.captures.control_message(InfoMailed(CALL, 0, LegRole.AGENT, 0, 1), 1.0)

    assert StarCodeKeyed(CALL, LegRole.AGENT, 0) in room.control
    assert room.progress()[-1].count == 0


def test_cell_outside_the_mailbox_is_ignored() -> None:
    room = Room()

    room.captures.control_message(InfoMailed(CALL, 0, LegRole.CALLER, 99, 8), 1.0)

    assert room.control == []


def test_row_whose_last_caller_is_still_sending_takes_a_new_capture() -> None:
    room = Room()
    arm = room.armed()
    room.key(arm, "4242424242424242#", 1.0)
    room.captures.control_message(SubmitCapture(CaptureId("c1"), ""), 1.0)
    room.captures.control_message(CancelCapture(CaptureId("c1"), result=CaptureResult.CALLER_GONE), 1.0)

    later = StartCapture(CaptureId("c2"), CallId("call-2"), 0, SPEC)
    room.captures.control_message(later, 8.0)

    assert isinstance(room.media[-1], ArmSlot)
    assert room.media[-1].slot != arm.slot
    assert room.outcomes() == []


def test_capture_that_outlived_its_call_makes_way_for_the_rows_next_call() -> None:
    room = Room()
    arm = room.armed()
    room.key(arm, "4242", 1.0)

    room.captures.control_message(StartCapture(CaptureId("c2"), CallId("call-2"), 0, SPEC), 2.0)

    assert room.outcomes() == [CaptureResult.CALLER_GONE]
    assert isinstance(room.media[-1], ArmSlot)
    start = arm.slot * slots.SLOT_BYTES
    assert not any(room.region.view[start : start + slots.SLOT_BYTES])


@pytest.mark.parametrize(("body", "count"), [(b"Signal=5\r\nDuration=4000\r\n", 1), (b"Signal=5", 2)])
def test_info_at_the_release_of_a_long_press_is_no_second_key(body: bytes, count: int) -> None:
    """The tone came four seconds before; an INFO that tells of no hold so long is a press of its own."""
    room = Room()
    arm = room.armed()
    room.mailbox.view[0 : len(body)] = body
    room.key(arm, "5", 1.0)

    room.captures.control_message(InfoMailed(CALL, 0, LegRole.CALLER, 0, len(body)), 5.1)

    room.captures.handle_timer(5.5)
    assert room.progress()[-1].count == count
