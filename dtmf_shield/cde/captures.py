"""All running captures: slots given out and taken back, messages of control and media, batched progress.

It owns no socket and reads no clock: messages come in with ``now_s``, go out through ``Outlets``. The machine of one
capture is capture.py; what is sent to a gateway, and how, is not known here.
"""

from __future__ import annotations

import functools
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final, Protocol

from dtmf_shield.account_data import slots
from dtmf_shield.account_data.mailbox import Mailbox
from dtmf_shield.account_data.slots import Region
from dtmf_shield.account_data.star_code import StarCodes
from dtmf_shield.base.errors import InvariantError
from dtmf_shield.base.log import get_logger
from dtmf_shield.cde.capture import Capture
from dtmf_shield.cde.capture_news import Change
from dtmf_shield.cde.capture_table import AT_GATEWAY, ENDED
from dtmf_shield.cde.card import IinTable
from dtmf_shield.cde.gateways.base import GatewayResult
from dtmf_shield.cde.held import HeldFields
from dtmf_shield.cde.info_dtmf import NO_KEY, parse_held_ms, parse_info_body
from dtmf_shield.cde.kept import Kept, KeptFields
from dtmf_shield.cde.submission import Submission
from dtmf_shield.model.capture import HANDOVER_KEPT_S_MAX, CaptureOutcome, CaptureResult, CaptureState
from dtmf_shield.model.ids import NO_OPERATION, CallId, CaptureId, LegRole, OperationId
from dtmf_shield.model.messages import (
    ArmSlot,
    AskChoice,
    CancelCapture,
    CaptureArmed,
    CdeToControl,
    CdeToMedia,
    CellFreed,
    CollectField,
    ControlToCde,
    DisarmSlot,
    InfoMailed,
    KeysWritten,
    MediaToCde,
    OrderPayment,
    PauseCapture,
    PromptSaid,
    ResumeCapture,
    SlotArmed,
    StarCodeKeyed,
    StartCapture,
    StopAsking,
    SubmitCapture,
)

PROGRESS_INTERVAL_S: Final = 0.1
"""Key counts go to control that often at most: the rhythm of keys is information about them."""
OUTCOMES_KEPT: Final = slots.SLOTS_MAX
"""Outcomes told again to a control that has just started: as many as captures can have run when a cde died."""
ARM_TIMEOUT_S: Final = 2.0
"""Media answers within milliseconds; shorter than control's own limit, so that the end is told from here."""
SLOT_REST_S: Final = 1.0
"""A slot given back is wiped a second time after this: media may have been writing one last key."""
AGENT_LEGS_MAX: Final = 4_096
"""Agent legs whose star codes by INFO are followed; the one quiet longest is forgotten first."""
_GENERATIONS: Final = 2**32

_log = get_logger("captures")


class Outlets(Protocol):
    """Where captures send what they have to say."""

    def to_control(self, message: CdeToControl) -> None:
        """Send, or drop where control is away: it is told again when it comes back."""

    def to_media(self, message: CdeToMedia) -> bool:
        """Send. False where media is away."""

    def started(self, start: StartCapture) -> None:
        """A capture begins."""

    def last_field(self, capture_id: CaptureId, call_id: CallId) -> None:
        """The last field is being keyed: what does not need the card can be done now. May come more than once."""

    def ended(self, outcome: CaptureOutcome) -> None:
        """A capture has ended and its slot is wiped."""

    def send(self, submission: Submission) -> None:
        """Do what the submission asks for; answered by Captures.gateway_answered, after any of the calls beside it."""

    def stopped(self, capture_id: CaptureId, *, caller_gone: bool) -> None:
        """A stop has come for a capture that is at the gateway: money not yet asked for is not to be asked for."""

    def today(self) -> tuple[int, int]:
        """Return (year, month) at UTC-12."""


class _Running:
    """One capture with its place."""

    __slots__ = ("arm_by_s", "capture", "generation", "left", "progress_at_s", "slot", "start")

    def __init__(
        self, capture: Capture, message: StartCapture, slot: int, generation: int, now_s: float
    ) -> None:
        self.capture, self.start = capture, message
        self.slot, self.generation = slot, generation
        self.arm_by_s: float | None = now_s + ARM_TIMEOUT_S
        self.progress_at_s: float | None = None
        self.left: HeldFields | None = None
        """What stays in the slot after the end, for another capture of this call."""


class Captures:
    """The running captures of one cde process."""

    def __init__(
        self,
        region: Region,
        mailbox: Mailbox,
        table: IinTable,
        outlets: Outlets,
        *,
        star_codes: tuple[str, ...],
        first_generation: int,
        test: bool,
        earlier: tuple[CaptureOutcome, ...] = (),
    ) -> None:
        """``first_generation``: random, so that a slot armed by a cde that died is never taken for one of ours.

        ``earlier``: how the captures of a cde that died have ended; told to control like our own.
        """
        self._region, self._mailbox, self._table, self._outlets = region, mailbox, table, outlets
        self._star_codes, self._test = star_codes, test
        self._generation = first_generation % _GENERATIONS
        self._running: dict[CaptureId, _Running] = {}
        self._free_slots = deque(range(len(region.view) // slots.SLOT_BYTES))
        self._resting: deque[tuple[float, int]] = deque()
        self._kept = KeptFields(region, self._rest)
        self._outcomes: deque[CaptureOutcome] = deque(earlier, maxlen=OUTCOMES_KEPT)
        self._agent_codes: OrderedDict[CallId, StarCodes] = OrderedDict()
        self.draining = False
        """True: no new capture is taken, for another process is to take our place."""

    @property
    def idle(self) -> bool:
        """Whether no capture runs."""
        return not self._running

    # --- messages in ------------------------------------------------------------------------------------

    def control_message(self, message: ControlToCde, now_s: float) -> None:
        """Take one message of control."""
        match message:
            case StartCapture():
                self._start(message, now_s)
            case InfoMailed():
                self._take_info(message, now_s)
            case CollectField():
                self._step(message.capture_id, lambda running: self._collect(running, message, now_s), now_s)
            case SubmitCapture():
                self._step(message.capture_id, lambda running: self._submit(running, message, now_s), now_s)
            case PauseCapture():
                self._step(message.capture_id, lambda running: running.capture.pause(now_s), now_s)
            case ResumeCapture():
                self._step(message.capture_id, lambda running: running.capture.resume(now_s), now_s)
            case CancelCapture():
                if not message.keeps:
                    self._kept.forget(message.capture_id, now_s)
                self._step(message.capture_id, lambda running: self._cancel(running, message), now_s)
            case AskChoice():
                self._step(
                    message.capture_id, lambda running: self._ask_choice(running, message, now_s), now_s
                )
            case StopAsking():
                self._step(message.capture_id, lambda running: running.capture.stop_asking(), now_s)
            case PromptSaid():
                self._step(
                    message.capture_id,
                    lambda running: running.capture.prompt_said(message.over, now_s),
                    now_s,
                )
            case OrderPayment():
                pass  # the payment engine's, which has no capture

    def media_message(self, message: MediaToCde, now_s: float) -> None:
        """Take one message of media. What belongs to another generation is dropped."""
        running = next((each for each in self._running.values() if each.slot == message.slot), None)
        if running is None or running.generation != message.generation:
            return
        if isinstance(message, SlotArmed):
            self._slot_armed(running, message.ok, now_s)
        elif running.capture.state is not CaptureState.IDLE:
            self._take_keys(running, message, now_s)

    def media_lost(self, now_s: float) -> None:
        """Media died: what was keyed may be incomplete. Captures not yet at the gateway end INTERRUPTED."""
        for running in tuple(self._running.values()):
            if running.capture.state not in AT_GATEWAY:
                running.capture.stop(CaptureResult.INTERRUPTED)
                self._tell(running, now_s)

    def control_connected(self) -> None:
        """Tell a fresh control what runs and what has ended lately."""
        for outcome in self._outcomes:
            self._outlets.to_control(outcome)
        for running in self._running.values():
            self._outlets.to_control(running.capture.progress())

    # --- what the payment engine tells of what Outlets.send began ------------------------------------------

    def tokenized(self, capture_id: CaptureId, now_s: float) -> None:
        """The gateway has the card as a token: SENDING to PAYING, and the digits are wiped at once."""
        self._step(capture_id, lambda running: running.capture.tokenized(), now_s)

    def settling(self, capture_id: CaptureId, now_s: float) -> None:
        """No believable answer: SENDING or PAYING to SETTLING, and no digit is kept."""
        self._step(capture_id, lambda running: running.capture.settling(), now_s)

    def velocity_stopped(self, capture_id: CaptureId, now_s: float) -> None:
        """A rule against card testing stopped it before a byte was sent: the end."""
        self._step(capture_id, lambda running: running.capture.velocity_stopped(), now_s)

    def gateway_answered(
        self,
        capture_id: CaptureId,
        result: GatewayResult,
        now_s: float,
        operation_id: OperationId = NO_OPERATION,
    ) -> None:
        """Take the end at the gateway. ``operation_id``: of the authorization or charge."""
        self._step(capture_id, lambda running: running.capture.settle(result, operation_id), now_s)

    # --- time -------------------------------------------------------------------------------------------

    @property
    def next_timer_s(self) -> float | None:
        """When ``handle_timer`` has something to do, None: never."""
        times = [self._resting[0][0] if self._resting else None, self._kept.next_timer_s]
        for running in self._running.values():
            times += (running.arm_by_s, running.progress_at_s, running.capture.next_timer_s)
        return min((time_s for time_s in times if time_s is not None), default=None)

    def handle_timer(self, now_s: float) -> None:
        """Do what is due."""
        while self._resting and self._resting[0][0] <= now_s:
            self._end_rest(self._resting.popleft()[1])
        self._kept.handle_timer(now_s)
        for running in tuple(self._running.values()):
            self._guard(running, functools.partial(self._due, running, now_s), now_s)

    def wipe(self) -> None:
        """Zero every slot. For the end of the process."""
        self._region.wipe()

    # --- within -----------------------------------------------------------------------------------------

    def _due(self, running: _Running, now_s: float) -> None:
        if running.arm_by_s is not None and now_s >= running.arm_by_s:
            running.arm_by_s = None
            running.capture.stop(CaptureResult.INTERRUPTED)
            return
        running.capture.handle_timer(now_s)
        if running.progress_at_s is not None and now_s >= running.progress_at_s:
            running.progress_at_s = None
            self._outlets.to_control(running.capture.progress())

    def _start(self, message: StartCapture, now_s: float) -> None:
        if message.capture_id in self._running:
            return
        kept = self._kept.take(message, now_s)
        self._begin(message, kept, now_s)
        if kept is not None:
            self._rest(kept.slot, now_s)

    def _begin(self, message: StartCapture, kept: Kept | None, now_s: float) -> None:
        slot = self._slot_for(message, now_s)
        if slot is None:
            _log.warning("capture_refused", capture_id=message.capture_id, running=len(self._running))
            self._finish(self._outcome(message.capture_id, CaptureResult.REFUSED))
            return
        try:
            capture = Capture(
                message.capture_id,
                message.spec,
                self._page(slot),
                self._table,
                now_s=now_s,
                today=self._outlets.today(),
                test=self._test,
            )
        except InvariantError as error:
            _log.error("capture_refused", capture_id=message.capture_id, error=str(error))
            self._free_slots.append(slot)
            self._finish(self._outcome(message.capture_id, CaptureResult.REFUSED))
            return
        self._outlets.started(message)
        running = _Running(capture, message, slot, self._arm(slot), now_s)
        self._running[message.capture_id] = running
        if not self._outlets.to_media(ArmSlot(slot, running.generation, message.call_id, message.row)):
            capture.stop(CaptureResult.INTERRUPTED)
            self._tell(running, now_s)
        elif kept is not None:
            self._take_over(running, kept.held)

    def _slot_for(self, message: StartCapture, now_s: float) -> int | None:
        """Return a free slot. New captures come before what is kept of earlier ones."""
        if self.draining or not self._clear_row(message, now_s):
            return None
        return self._free_slots.popleft() if self._free_slots else self._kept.give_up_slot(now_s)

    def _take_over(self, running: _Running, earlier: HeldFields) -> None:
        capture = running.capture
        capture.take_over(earlier)
        _log.info("fields_taken_over", capture_id=capture.capture_id, fields=len(capture.held.accepted))
        if capture.held.accepted:
            self._outlets.to_control(capture.progress())
        if capture.nearly_whole:
            self._outlets.last_field(capture.capture_id, running.start.call_id)

    def _clear_row(self, message: StartCapture, now_s: float) -> bool:
        """Make way for a new capture on its row: False where this very call has one that still takes keys.

        One at the gateway takes none; one of another call has outlived it, for a row has one call at a time.
        """
        for running in tuple(self._running.values()):
            if running.start.row != message.row or running.capture.state in AT_GATEWAY:
                continue
            if running.start.call_id == message.call_id:
                return False
            _log.warning("capture_outlived_its_call", capture_id=running.capture.capture_id)
            running.capture.stop(CaptureResult.CALLER_GONE)
            self._tell(running, now_s)
        return True

    def _arm(self, slot: int) -> int:
        self._generation = (self._generation + 1) % _GENERATIONS
        page = self._page(slot)
        self._region.wipe_range(slot * slots.SLOT_BYTES, slots.SLOT_BYTES)
        page[slots.GENERATION_AT : slots.GENERATION_AT + 4] = self._generation.to_bytes(4, "little")
        page[slots.STATE_AT] = slots.STATE_ARMED
        return self._generation

    def _slot_armed(self, running: _Running, ok: bool, now_s: float) -> None:
        if running.arm_by_s is None:
            return
        running.arm_by_s = None
        if ok:
            running.capture.armed()
            self._outlets.to_control(CaptureArmed(running.capture.capture_id))
        else:
            running.capture.stop(CaptureResult.REFUSED)
        self._tell(running, now_s)

    def _take_keys(self, running: _Running, message: KeysWritten, now_s: float) -> None:
        take = functools.partial(
            running.capture.take_media_keys,
            message.head,
            message.overrun,
            now_s,
            message.heard_s,
            # What a key leads to is told by itself: the next one may hide it.
            tell=functools.partial(self._tell, running, now_s),
        )
        self._guard(running, take, now_s)

    def _guard(self, running: _Running, act: Callable[[], None], now_s: float) -> None:
        """Let ``act`` move a capture; a broken promise of our own ends this capture and no other."""
        try:
            act()
        except InvariantError as error:
            _log.error("capture_broken", capture_id=running.capture.capture_id, error=str(error))
            if running.capture.state not in ENDED:
                running.capture.stop(CaptureResult.INTERRUPTED)
        self._tell(running, now_s)

    def _take_info(self, message: InfoMailed, now_s: float) -> None:
        try:
            body = self._mailbox.body(message.cell, message.length)
        except ValueError:
            _log.error("info_outside_mailbox", call_id=message.call_id)
            return
        code, held_s = parse_info_body(body), parse_held_ms(body) / 1000
        self._mailbox.wipe(message.cell)
        self._outlets.to_control(CellFreed(message.cell))
        if code == NO_KEY:
            return
        if message.role is LegRole.AGENT:
            self._agent_key(message.call_id, code, now_s)
            return
        for running in tuple(self._running.values()):
            if running.start.call_id == message.call_id:
                act = functools.partial(running.capture.take_info_key, code, held_s, now_s)
                self._guard(running, act, now_s)

    def _agent_key(self, call_id: CallId, code: int, now_s: float) -> None:
        codes = self._agent_codes.setdefault(call_id, StarCodes(self._star_codes))
        self._agent_codes.move_to_end(call_id)
        if len(self._agent_codes) > AGENT_LEGS_MAX:
            self._agent_codes.popitem(last=False)
        completed = codes.key(code, now_s)
        if completed is not None:
            self._outlets.to_control(StarCodeKeyed(call_id, LegRole.AGENT, completed))

    def _collect(self, running: _Running, message: CollectField, now_s: float) -> None:
        if message.patience_only and message.patience is not None:
            running.capture.wait_on(message.field, message.patience, message.attempt, now_s)
            return
        running.capture.collect(message.field, now_s, message.patience, message.attempt)
        if running.capture.nearly_whole:
            self._outlets.last_field(message.capture_id, running.start.call_id)

    def _ask_choice(self, running: _Running, message: AskChoice, now_s: float) -> None:
        running.capture.ask_choice(message.keys, message.patience, now_s)

    def _submit(self, running: _Running, order: SubmitCapture, now_s: float) -> None:
        capture, start = running.capture, running.start
        expiry = capture.held.expiry_month_year()
        try:
            card = capture.submit(now_s, order.operation)
        except InvariantError:
            if capture.state not in AT_GATEWAY and capture.state not in ENDED:
                # Control waits for the gateway's answer, and none will come: nothing was sent, and nothing is kept.
                capture.stop(CaptureResult.REFUSED)
            raise
        self._page(running.slot)[slots.STATE_AT] = slots.STATE_SEALED
        submission = Submission(
            capture_id=capture.capture_id,
            call_id=start.call_id,
            card=card,
            expiry=expiry,
            order=order,
            flow=start.flow,
            caller=start.caller,
            agent=start.agent,
        )
        self._outlets.send(submission)

    def _cancel(self, running: _Running, order: CancelCapture) -> None:
        running.left = running.capture.stop(order.result, keeps=order.keeps)
        if running.capture.state in AT_GATEWAY:
            caller_gone = order.result is CaptureResult.CALLER_GONE
            self._outlets.stopped(running.capture.capture_id, caller_gone=caller_gone)

    def _step(self, capture_id: CaptureId, act: Callable[[_Running], None], now_s: float) -> None:
        """Let ``act`` move a capture. An input its state does not take changes nothing and is told in the log."""
        running = self._running.get(capture_id)
        if running is None:
            return
        try:
            act(running)
        except InvariantError as error:
            _log.error("capture_input_refused", capture_id=capture_id, error=str(error))
        self._tell(running, now_s)

    def _tell(self, running: _Running, now_s: float) -> None:
        """Send what changed: edges now, counts in batches, the end with everything given back."""
        change, messages = running.capture.take_change(), running.capture.take_messages()
        if running.capture.state in ENDED:
            if running.capture.capture_id in self._running:
                self._give_back(running, now_s)
                self._finish(running.capture.outcome)
            return
        if change is Change.NOW:
            running.progress_at_s = None
            self._outlets.to_control(running.capture.progress())
        elif change is Change.LATER and running.progress_at_s is None:
            running.progress_at_s = now_s + PROGRESS_INTERVAL_S
        for told in messages:
            self._outlets.to_control(told)

    def _give_back(self, running: _Running, now_s: float) -> None:
        del self._running[running.capture.capture_id]
        # State free first: media writes nothing more, but for a key it is writing at this instant.
        self._page(running.slot)[slots.STATE_AT] = slots.STATE_FREE
        self._outlets.to_media(DisarmSlot(running.slot, running.generation))
        if running.left is None:
            self._rest(running.slot, now_s)
        else:
            self._keep(running, running.left, now_s)

    def _keep(self, running: _Running, held: HeldFields, now_s: float) -> None:
        kept = Kept(running.start, running.slot, held, now_s + SLOT_REST_S, now_s + HANDOVER_KEPT_S_MAX)
        self._kept.keep(kept, now_s)
        _log.info("fields_kept", capture_id=running.capture.capture_id, fields=len(held.accepted))

    def _rest(self, slot: int, now_s: float) -> None:
        self._region.wipe_range(slot * slots.SLOT_BYTES, slots.SLOT_BYTES)
        self._resting.append((now_s + SLOT_REST_S, slot))

    def _end_rest(self, slot: int) -> None:
        self._region.wipe_range(slot * slots.SLOT_BYTES, slots.SLOT_BYTES)
        self._free_slots.append(slot)

    def _finish(self, outcome: CaptureOutcome) -> None:
        self._outcomes.append(outcome)
        self._outlets.ended(outcome)
        self._outlets.to_control(outcome)

    def _outcome(self, capture_id: CaptureId, result: CaptureResult) -> CaptureOutcome:
        return CaptureOutcome(capture_id=capture_id, result=result, test=self._test)

    def _page(self, slot: int) -> memoryview:
        return self._region.view[slot * slots.SLOT_BYTES : (slot + 1) * slots.SLOT_BYTES]
