"""The table of states that the pages are walked through: every one an agent can meet, made by the product's own views.

A scene is what the desk holds and what ails the connection. ``sees`` and ``misses`` are selectors of what must be, and
must not be, on the screen: without them a walk over a page that shows nothing would pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from dtmf_shield.api.views import (
    CallState,
    CallView,
    CaptureView,
    Door,
    FlowView,
    InputView,
    LegLineView,
    LineQuality,
    LineView,
    ServiceView,
    ShieldState,
    ShieldView,
    capture_after_outcome,
    capture_after_progress,
    capture_in_flow,
    new_capture,
)
from dtmf_shield.model.capture import (
    CaptureOutcome,
    CaptureProgress,
    CaptureResult,
    CaptureState,
    Hint,
    RejectReason,
)
from dtmf_shield.model.ids import CallId, CaptureId, OperationId, Token
from dtmf_shield.model.payment import NO_MONEY, Money
from dtmf_shield.model.stream import Codec, ShieldMode
from tests.unit.api.api_desk import FIELDS, a_call

WELL = ServiceView(shield=ShieldState.ON, gateway="up")
PRICE = Money(4250, "GBP")
SAY = "Please key in the long number across your card, then press hash. If you slip, press star."
HELD_LABEL = "A label as long as a telephone engineer may well write it for a field of a flow"
SHIELDED = ShieldView(state=ShieldState.ON, caller=ShieldMode.CAPTURE, agent=ShieldMode.CAPTURE)
WITHHELD = SHIELDED.model_copy(update={"caller_withheld": True, "agent_withheld": True, "unrecorded": True})
PAN, EXPIRY, CVV = "pan", "expiry", "cvv"
LABELS = {PAN: "Card number", EXPIRY: "Expiry date", CVV: "Security code"}

_GIVEN: dict[CaptureResult, dict[str, Any]] = {
    CaptureResult.TOKEN: {"token": Token("tok_TEST_9f3a")},
    CaptureResult.APPROVED: {"token": Token("tok_TEST_9f3a"), "operation_id": OperationId("op_TEST_1")},
    CaptureResult.DECLINED: {"gateway_code": "card_declined"},
}


@dataclass(frozen=True)
class Scene:
    """One state of one page. ``connection``: live, lost or signed-out."""

    name: str
    calls: tuple[CallView, ...] = ()
    service: ServiceView = WELL
    connection: str = "live"
    flows: tuple[FlowView, ...] | None = None
    later: CallView | None = None
    """What becomes of a call once the page shows it."""
    badge: str = "on"
    sees: tuple[str, ...] = ()
    misses: tuple[str, ...] = ()
    page: str = "agent"

    def __str__(self) -> str:
        return f"{self.page}-{self.name}"


def a_leg(quality: LineQuality = LineQuality.GOOD, *doors: Door, **changed: Any) -> LegLineView:
    """Return a leg's line of that quality, with figures that make it so."""
    figures = {
        LineQuality.GOOD: {"recent_loss_permille": 0, "loss_permille": 1, "jitter_ms": 3, "late": 2},
        LineQuality.FAIR: {"recent_loss_permille": 16, "loss_permille": 6, "jitter_ms": 24, "late": 31},
        LineQuality.POOR: {"recent_loss_permille": 58, "loss_permille": 21, "jitter_ms": 61, "late": 140},
    }[quality]
    return LegLineView(
        **{
            "codec": Codec.PCMU,
            "telephone_event": True,
            "doors": doors,
            "quality": quality,
            **figures,
            **changed,
        }
    )


def a_line(quality: LineQuality = LineQuality.GOOD, *doors: Door, **changed: Any) -> LineView:
    """Return a call's line whose caller's leg is so; the agent's is good."""
    return LineView(caller=a_leg(quality, *doors, **changed), agent=a_leg())


LINE = a_line(LineQuality.GOOD, Door.TONES, Door.EVENTS)


def talking(capture: CaptureView | None = None, **changed: Any) -> CallView:
    """Return a connected call, with a capture that shields it."""
    shield = {} if capture is None else {"shield": SHIELDED}
    begun = datetime.now(UTC)
    shown = {"agent": "desk", "started_at": begun, "line": LINE, "capture": capture, **shield, **changed}
    return a_call(**({**shown, "line": None} if shown.get("state") is CallState.RINGING else shown))


def begun(amount: Money = NO_MONEY, labels: dict[str, str] | None = None) -> CaptureView:
    """Return a capture that has just begun."""
    view = new_capture(
        capture_id=CaptureId("cap1"),
        call_id=CallId("c1"),
        flow_id="card-payment",
        fields=FIELDS,
        labels=labels or LABELS,
        title="Card payment",
        say=SAY,
        amount=amount,
    )
    return capture_in_flow(view, "card", None, can_pay=False)


def progressed(view: CaptureView, **said: Any) -> CaptureView:
    """Apply one message of cde."""
    told = {"capture_id": view.id, "state": CaptureState.KEYING, "field": PAN, "brand": "", **said}
    return capture_after_progress(view, CaptureProgress(**told))


def keying(count: int, of: int = 0, brand: str = "visa", **said: Any) -> CaptureView:
    """Return a card number being keyed."""
    return progressed(begun(), count=count, length=of, usual=16, brand=brand, **said)


def hinted(hint: Hint) -> CaptureView:
    """Return a card number whose keys arrive badly."""
    return capture_in_flow(keying(6), "card", hint, can_pay=False)


def card_valid() -> CaptureView:
    """Return a capture whose card is accepted and whose expiry is being keyed."""
    view = progressed(
        begun(PRICE),
        state=CaptureState.HELD,
        count=16,
        length=16,
        brand="visa",
        last4="4242",
        accepted=(PAN,),
    )
    return progressed(view, field=EXPIRY, count=2, accepted=(PAN,))


def all_valid() -> CaptureView:
    """Return a capture with every field accepted."""
    view = progressed(card_valid(), field=EXPIRY, state=CaptureState.HELD, count=4, accepted=(PAN, EXPIRY))
    return progressed(
        view, field=CVV, state=CaptureState.HELD, count=3, length=3, accepted=(PAN, EXPIRY, CVV)
    )


def confirming() -> CaptureView:
    """Return a capture at the point where the agent may take the payment."""
    view = all_valid().model_copy(update={"state": CaptureState.CHOOSING, "current": None})
    return capture_in_flow(view, "confirm", None, can_pay=True)


def at_gateway(state: CaptureState) -> CaptureView:
    """Return a capture whose card is on its way."""
    return all_valid().model_copy(update={"state": state, "current": None})


def refused(reason: RejectReason) -> CaptureView:
    """Return a card number that was not accepted."""
    return progressed(begun(), state=CaptureState.WAITING, count=0, reason=reason, attempt=2)


def ended(result: CaptureResult, **changed: Any) -> CallView:
    """Return a call whose capture ended so."""
    said = {"brand": "visa", "last4": "4242", "test": True, **_GIVEN.get(result, {})}
    outcome = CaptureOutcome(capture_id=CaptureId("cap1"), result=result, **said)
    view = capture_after_outcome(all_valid(), outcome)
    return talking(capture_in_flow(view, "", None, can_pay=False), **changed)


def crowd(count: int) -> tuple[CallView, ...]:
    """Return many calls, the numbers as long as they come."""
    states = (CallState.TALKING, CallState.RINGING, CallState.HELD, CallState.ENDED)
    return tuple(
        talking(
            id=CallId(f"c{place}"),
            state=states[place % len(states)],
            trunk="a-carrier-with-a-long-name",
            dialled="+4416329600015550123",
            agent="desk",
        )
        for place in range(1, count + 1)
    )


_ASKING = FlowView(
    id="card-asking",
    title="Card payment with a customer",
    inputs=(
        InputView(name="customer", type="text", required=True, pattern="[A-Z]{3}", length=32),
        InputView(name="plan", type="text", required=True, allowed=("monthly", "yearly"), length=32),
    ),
)
_LAST = (CaptureResult.UNKNOWN, CaptureResult.VELOCITY)
"""After these no further card is taken in the call."""
_FAULT = ShieldView(state=ShieldState.FAULT, caller=ShieldMode.MUTE, agent=ShieldMode.MUTE)

SCENES: tuple[Scene, ...] = (
    Scene("no-call", sees=("#calls-none", "#desk-none"), misses=("#work",)),
    Scene("crowd", crowd(16), sees=("#calls li >> nth=15",)),
    Scene("ringing", (talking(state=CallState.RINGING),), misses=("#fields li",)),
    Scene("talking", (talking(),), sees=("#start", "#start-button"), misses=("#actions",)),
    Scene("on-hold", (talking(state=CallState.HELD),)),
    Scene("flow-with-inputs", (talking(),), flows=(_ASKING,), sees=("#start [data-input] >> nth=1",)),
    Scene("two-flows", (talking(),), flows=(FlowView(id="card-payment", title="Card"), _ASKING), sees=("#flow",)),
    Scene("capture-begun", (talking(begun()),), sees=("#say", "#fields li >> nth=2", "#cancel")),
    Scene("waiting", (talking(progressed(begun(), state=CaptureState.WAITING)),), sees=("#fields li",)),
    Scene("keying", (talking(keying(6)),), sees=("#fields button", "#pause")),
    Scene("keying-open-length", (talking(keying(17, brand="")),), sees=("#fields li",)),
    Scene("keying-amex", (talking(keying(9, of=15, brand="amex")),), sees=("#fields li",)),
    Scene("card-valid", (talking(card_valid()),), sees=("#fields li",)),
    *(
        Scene(f"invalid-{reason.value.replace('_', '-')}", (talking(refused(reason)),), sees=("#alert",))
        for reason in RejectReason
    ),
    Scene("long-label", (talking(begun(labels={PAN: HELD_LABEL, EXPIRY: HELD_LABEL, CVV: HELD_LABEL})),)),
    Scene(
        "paused",
        (talking(keying(6).model_copy(update={"state": CaptureState.PAUSED})),),
        sees=("#pause", "#cancel"),
    ),
    *(
        Scene(f"hint-{hint.value.replace('_', '-')}", (talking(hinted(hint)),), sees=("#hint",))
        for hint in Hint
    ),
    Scene("line-poor", (talking(keying(6), line=a_line(LineQuality.POOR, Door.TONES)),), sees=("#facts .line .bad",)),
    Scene("line-unmeasured", (talking(line=LineView(caller=LegLineView(codec=Codec.G722))),),
          sees=("#facts .line .plain",)),
    Scene("withheld", (talking(keying(6), shield=WITHHELD),), sees=("#notices li >> nth=2",)),
    Scene("confirming", (talking(confirming()),), sees=("#pay",)),
    *(
        Scene(
            state.value,
            (talking(at_gateway(state)),),
            sees=("#cancel[aria-disabled='true']",),
            misses=("#pay",),
        )
        for state in (CaptureState.SENDING, CaptureState.PAYING, CaptureState.SETTLING)
    ),
    *(
        Scene(
            f"ended-{result.value.replace('_', '-')}",
            (ended(result),),
            sees=("#outcome",) if result in _LAST else ("#outcome", "#again"),
            misses=("#again", "#start") if result in _LAST else (),
        )
        for result in CaptureResult
    ),
    Scene("call-over", (ended(CaptureResult.APPROVED),), badge="off", sees=("#outcome",), later=ended(
        CaptureResult.APPROVED, state=CallState.ENDED, shield=ShieldView(state=ShieldState.OFF))),
    Scene("gateway-down", (talking(),), ServiceView(shield=ShieldState.ON, gateway="down"), sees=("#alert",)),
    Scene("gateway-of-flow-down", (talking(keying(6).model_copy(update={"gateway_down": True})),),
          ServiceView(shield=ShieldState.ON, gateway="partly"), sees=("#alert",)),
    Scene("other-gateway-down", (talking(keying(6)),), ServiceView(shield=ShieldState.ON, gateway="partly"),
          misses=("#alert",)),
    Scene("shield-fault", (talking(keying(6)),), ServiceView(shield=ShieldState.FAULT, gateway="up"),
          badge="fault", sees=("#alert",)),
    Scene("shield-fault-of-call", (talking(keying(6), shield=_FAULT),), badge="fault", sees=("#alert",)),
    Scene("connection-lost", (talking(keying(6)),), connection="lost", badge="unknown", sees=("#alert",)),
    Scene("signed-out", (talking(keying(6)),), connection="signed-out", badge="fault", sees=("#alert",)),
)  # fmt: skip

MAIN = ("no-call", "talking", "keying", "card-valid", "invalid-luhn", "withheld", "confirming", "ended-approved",
        "ended-unknown", "shield-fault", "connection-lost")  # fmt: skip
"""Scenes whose accessible tree is kept as a golden file."""


def scene(name: str) -> Scene:
    """Return the scene of that name. Raises StopIteration."""
    return next(one for one in SCENES if one.name == name)
