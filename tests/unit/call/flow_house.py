"""A call with a flow, and a script for what cde would say: fields, menus, outcomes. Nothing here knows a key."""

from dataclasses import replace

from dtmf_shield.flow.loader import load_flow
from dtmf_shield.model.capture import (
    CaptureOutcome,
    CaptureProgress,
    CaptureResult,
    CaptureState,
    ChoiceFault,
    ControlKey,
    RejectReason,
)
from dtmf_shield.model.ids import LegRole
from dtmf_shield.model.messages import (
    AskChoice,
    CancelCapture,
    CaptureArmed,
    ChoiceMade,
    ChoiceRefused,
    CollectField,
    ControlKeyed,
    FieldGivenUp,
    PromptEnd,
    PromptEnded,
    PromptSaid,
    StartCapture,
    StopAsking,
    SubmitCapture,
)
from dtmf_shield.model.payment import Money
from dtmf_shield.model.prompt import Text
from dtmf_shield.model.stream import ShieldMode
from tests.unit.call.call_house import FLOW_FILE, CallHouse

PAYMENT = "card-payment-agent"
PRICE = Money(1_250, "GBP")
SHIPPED = load_flow(FLOW_FILE.with_name(f"{PAYMENT}.yaml").read_text("utf-8"), file=PAYMENT)


class Hooks:
    def __init__(self):
        self.asked = []

    def ask(self, call_id, mark, request):
        self.asked.append((call_id, mark, request))


class FlowHouse(CallHouse):
    """A talking call; ``speaks``: prompts are played until the test ends them."""

    def __init__(self, *flows, speaks=True, **options):
        super().__init__(**options)
        self.core._ctx.hooks = self.hooks = Hooks()
        self.media.speaks = speaks
        known = flows or (SHIPPED,)
        self.flow = known[0]
        self.settings = replace(self.settings, flows={flow.id: flow for flow in known})
        self.core.flows_changed(self.settings.flows)
        self.call_id = self.talk()

    def start(self, amount=PRICE, reference="A-1"):
        self.core.start_capture(self.now_s, self.call_id, self.flow.id, reference, amount)
        return self

    def begin(self, **inputs):
        """Start, mask and arm."""
        self.start(**inputs)
        self.confirm_shield(self.call_id, ShieldMode.CAPTURE)
        self.arm()
        return self

    def arm(self):
        self.tell(CaptureArmed(self.capture_id))

    # --- what is seen -------------------------------------------------------------------------------------

    @property
    def shown(self):
        return self.core.snapshot(self.call_id).capture

    @property
    def capture_id(self):
        return self.shown.capture_id

    @property
    def step(self):
        return self.shown.step

    @property
    def result(self):
        return self.shown.outcome and self.shown.outcome.result

    def asked(self):
        """What cde was told, in short."""
        return [short(message) for message in self.capture.sent]

    def said(self):
        """The text of each prompt that the caller hears, values as they are."""
        return [
            " ".join(
                piece.text if isinstance(piece, Text) else getattr(piece, "value", "*") for piece in pieces
            )
            for role, _, pieces, *_ in self.media.said
            if role == "caller"
        ]

    # --- what happens -------------------------------------------------------------------------------------

    def tell(self, message):
        self.core.capture_message(self.now_s, message)

    def progress(self, state, *accepted, **more):
        self.tell(CaptureProgress(capture_id=self.capture_id, state=state, accepted=accepted, **more))

    def hold(self, *accepted, **more):
        self.progress(CaptureState.HELD, *accepted, **more)

    def hold_card(self):
        """All three fields of a card, one after the other, as cde tells it."""
        self.hold("pan", field="pan", brand="visa", last4="4242")
        self.hold("pan", "expiry", field="expiry", brand="visa")
        self.hold("pan", "expiry", "cvv", field="cvv", brand="visa")

    def choose(self, ordinal):
        self.tell(ChoiceMade(self.capture_id, ordinal))

    def choose_nothing(self, reason=ChoiceFault.TIMEOUT):
        self.tell(ChoiceRefused(self.capture_id, reason))

    def give_up(self, field, reason=RejectReason.LUHN):
        self.tell(FieldGivenUp(self.capture_id, field, reason))

    def press(self, key=ControlKey.AGENT):
        self.tell(ControlKeyed(self.capture_id, key))

    def outcome(self, result=CaptureResult.APPROVED):
        self.tell(CaptureOutcome(capture_id=self.capture_id, result=result))

    def prompt_over(self, reason=PromptEnd.DONE, play_id=None, role=LegRole.CALLER):
        last = [play for who, play, *_ in self.media.said if who == role.value][-1]
        self.core.prompt_ended(self.now_s, PromptEnded(self.call_id, role, play_id or last, reason))


def short(message):
    match message:
        case CollectField():
            return f"collect {message.field}"
        case AskChoice():
            return "menu " + "".join("x" for _ in message.keys)
        case SubmitCapture():
            return f"submit {message.operation.value}"
        case CancelCapture():
            return f"cancel {message.result.value}"
        case PromptSaid():
            return "said" if message.over else "saying"
        case StopAsking():
            return "stop asking"
        case StartCapture():
            return "start"
    return type(message).__name__


def flow(text):
    """A flow of a test: steps and the rest under one head."""
    head = "flow: v1\nid: test\ntitle: Test\nmode: agent_assisted\nlanguages: {default: en-GB, offered: [en-GB]}\n"
    return load_flow(head + text, file="test")
