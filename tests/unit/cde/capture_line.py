"""A capture, its slot, and a caller who keys into it as media would; and captures brought into any state."""

from __future__ import annotations

from pathlib import Path

import dtmf_shield.cde.capture as capture_module
from dtmf_shield.account_data import slots
from dtmf_shield.cde.capture import Capture
from dtmf_shield.cde.capture_news import CaptureMessage
from dtmf_shield.cde.card import IinTable
from dtmf_shield.cde.gateways.base import GatewayResult, GatewayResultKind
from dtmf_shield.model.capture import (
    CaptureResult,
    CaptureSpec,
    CaptureState,
    FieldKind,
    FieldSpec,
    Patience,
    RejectReason,
)
from dtmf_shield.model.ids import CaptureId
from dtmf_shield.model.payment import OperationKind

TABLE = IinTable((Path(capture_module.__file__).parent / "iin.toml").read_text())
VISA, MASTERCARD, AMEX = "4242424242424242", "5555555555554444", "378282246310005"
PAN, EXPIRY, CODE = "pan", "expiry", "code"
FIELDS = (
    FieldSpec(name=PAN, kind=FieldKind.CARD_NUMBER),
    FieldSpec(name=EXPIRY, kind=FieldKind.EXPIRY),
    FieldSpec(name=CODE, kind=FieldKind.SECURITY_CODE),
)
TODAY = (2026, 11)
PATIENCE = Patience(
    attempts=3,
    first_digit_timeout_ms=20_000,
    inter_digit_timeout_ms=6_000,
    settle_timeout_ms=2_000,
    total_timeout_ms=120_000,
)
"""As a flow file has it where it says nothing."""
OPTIONS = ("1", "2", "3")
APPROVED = GatewayResult(GatewayResultKind.APPROVED, token="tok_1")


class Line:
    """A capture, its slot, and a caller who keys into it as media would."""

    def __init__(self, spec: CaptureSpec | None = None) -> None:
        self.slot = bytearray(slots.SLOT_BYTES)
        self.now_s = 100.0
        self.head = 0
        self.capture = Capture(
            CaptureId("c1"),
            spec or CaptureSpec(fields=FIELDS),
            memoryview(self.slot),
            TABLE,
            now_s=self.now_s,
            today=TODAY,
        )

    def armed(self) -> Line:
        self.capture.armed()
        return self

    def collect(self, field: str, patience: Patience | None = None, attempt: int = 1) -> Line:
        self.capture.collect(field, self.now_s, patience, attempt)
        return self

    def calm(self, field: str, patience: Patience, attempt: int = 1) -> Line:
        """Only wait more patiently."""
        self.capture.wait_on(field, patience, attempt, self.now_s)
        return self

    def menu(self, patience: Patience = PATIENCE, keys: tuple[str, ...] = OPTIONS) -> Line:
        self.capture.ask_choice(keys, patience, self.now_s)
        return self

    def prompt(self, *, over: bool) -> Line:
        self.capture.prompt_said(over, self.now_s)
        return self

    def told(self) -> list[CaptureMessage]:
        """What it has told beside its progress since the last look."""
        return list(self.capture.take_messages())

    def key(self, keys: str, gap_s: float = 0.2) -> Line:
        for key in keys:
            self.now_s += gap_s
            self.write(key).read()
        return self

    def write(self, keys: str) -> Line:
        """Write keys as media does, without a word to cde."""
        for key in keys:
            self.slot[slots.RING_AT + self.head] = ord(key)
            self.head = (self.head + 1) % slots.RING_KEYS
            self.slot[slots.HEAD_AT] = self.head
        return self

    def read(self, heard_s: float | None = None) -> Line:
        self.capture.take_media_keys(self.head, False, self.now_s, heard_s)
        return self

    def wait(self, seconds: float) -> Line:
        end_s = self.now_s + seconds
        while (due_s := self.capture.next_timer_s) is not None and due_s <= end_s:
            self.now_s = due_s
            self.capture.handle_timer(self.now_s)
        self.now_s = end_s
        return self

    @property
    def state(self) -> CaptureState:
        return self.capture.state

    @property
    def reason(self) -> RejectReason | None:
        return self.capture.progress().reason

    def number(self) -> bytes:
        return bytes(self.slot[slots.CARD_NUMBER_AT : slots.CARD_NUMBER_AT + 19]).rstrip(b"\0")

    def unpaired(self) -> bytes:
        """The codes kept for joining doors."""
        return bytes(self.slot[slots.UNPAIRED_KEYS_AT :][: slots.UNPAIRED_KEYS_MAX]).rstrip(b"\0")

    def empty(self) -> bool:
        return bytes(self.slot[slots.RING_AT :]) == bytes(slots.SLOT_BYTES - slots.RING_AT)


def in_state(state: CaptureState, operation: OperationKind = OperationKind.TOKENIZE) -> Line:
    """Bring a capture into ``state`` by a caller's and a gateway's usual ways."""
    line = Line()
    if state is CaptureState.IDLE:
        return line
    line.armed()
    if state is CaptureState.HELD:
        return line
    if state is CaptureState.FAILED:
        line.capture.stop(CaptureResult.CANCELLED)
        return line
    if state is CaptureState.CHOOSING:
        return line.menu()
    if state in (CaptureState.WAITING, CaptureState.KEYING, CaptureState.PAUSED):
        line.collect(PAN)
        if state is not CaptureState.WAITING:
            line.key("4")
        if state is CaptureState.PAUSED:
            line.capture.pause(line.now_s)
        return line
    return at_gateway(state, operation)


def at_gateway(state: CaptureState, operation: OperationKind) -> Line:
    """Bring a whole card to the gateway, and there into ``state``."""
    line = held_card()
    line.capture.submit(line.now_s, operation)
    if state is CaptureState.PAYING:
        line.capture.tokenized()
    elif state is CaptureState.SETTLING:
        line.capture.settling()
    elif state is CaptureState.DONE:
        line.capture.settle(APPROVED)
    return line


def held_card(number: str = VISA, code: str = "123") -> Line:
    line = Line().armed().collect(PAN).key(number).key("#")
    line.collect(EXPIRY).key("1230").collect(CODE).key(code)
    assert line.state is CaptureState.HELD
    return line
