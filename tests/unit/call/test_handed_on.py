"""What a caller has entered goes on to the agent's flow: not asked again, once, and never longer than the call."""

from dataclasses import replace
from pathlib import Path

import pytest

from dtmf_shield.call.errors import AmountNeeded
from dtmf_shield.flow.loader import load_flow
from dtmf_shield.model.capture import (
    HANDOVER_KEPT_S_MAX,
    CaptureOutcome,
    CaptureProgress,
    CaptureResult,
    CaptureState,
    ControlKey,
    KeyedValue,
)
from dtmf_shield.model.ids import NO_CAPTURE
from dtmf_shield.model.messages import (
    CancelCapture,
    CaptureArmed,
    ChoiceMade,
    CollectField,
    ControlKeyed,
    StartCapture,
)
from dtmf_shield.model.payment import NO_MONEY, Money
from dtmf_shield.model.stream import ShieldMode
from tests.unit.call.call_house import CHARGE, FLOW, HELP, CallHouse, drained, sdp
from tests.unit.call.flow_house import short

FLOW_FILES = [Path(__file__).with_name(f"{name}.yaml") for name in ("hands-on", "round-about")]
"""The first takes the place of the flow that the route names."""
VALUES = (KeyedValue("account", "12345674"), KeyedValue("amount", "1250"))
ALL = ("account", "amount", "pan", "expiry", "cvv")


class Handed(CallHouse):
    """A caller who has keyed up to ``accepted`` alone and then wants an agent."""

    def __init__(self, *accepted, german=False, answers=True):
        super().__init__()
        flows = {
            flow.id: flow for flow in (load_flow(path.read_text("utf-8"), file="test") for path in FLOW_FILES)
        }
        self.settings = replace(self.settings, flows={**self.settings.flows, **flows})
        self.core.flows_changed(self.settings.flows)
        self.call_id = self.dial_alone()
        self.first = self.capture_id
        self.arm()
        self.tell(ChoiceMade(self.first, 1 if german else 0))
        for count in range(len(accepted)):
            self.hold(*accepted[: count + 1], field=accepted[count])
        self.accepted = accepted
        if answers:
            self.want_agent()
            self.answer()

    def want_agent(self):
        self.tell(ControlKeyed(self.first, ControlKey.AGENT))
        self.run()

    def answer(self):
        self.tell(CaptureOutcome(capture_id=self.first, result=CaptureResult.HANDED_OVER))
        self.run()
        self.help.answer(200, sdp(HELP.host, 5000))
        self.run()
        self.run(5)  # the mask's tail
        self.capture.sent.clear()
        self.media.speaks = True

    def tell(self, message):
        self.core.capture_message(self.now_s, message)

    def arm(self):
        self.confirm_shield(self.call_id, ShieldMode.CAPTURE)
        self.tell(CaptureArmed(self.capture_id))

    def hold(self, *accepted, state=CaptureState.HELD, **more):
        values = tuple(value for value in VALUES if value.field in accepted)
        self.tell(
            CaptureProgress(capture_id=self.capture_id, state=state, accepted=accepted, values=values, **more)
        )

    def start(self, flow=FLOW, *accepted, amount=NO_MONEY, **given):
        """The agent starts a flow; cde says what it has taken over."""
        self.core.start_capture(self.now_s, self.call_id, flow, "A-1", amount, given)
        self.confirm_shield(self.call_id, ShieldMode.CAPTURE)
        if accepted:
            card = {"field": "pan", "brand": "visa", "last4": "4242"} if "pan" in accepted else {}
            self.hold(*accepted, state=CaptureState.IDLE, **card)
        self.tell(CaptureArmed(self.capture_id))
        return self

    @property
    def shown(self):
        return self.core.snapshot(self.call_id).capture

    @property
    def capture_id(self):
        return self.shown.capture_id

    def asked(self):
        return [short(message) for message in self.capture.sent if not short(message).startswith("sa")]

    def started(self):
        return [message.takes_over for message in self.capture.sent if isinstance(message, StartCapture)]

    def cancelled(self):
        return [message for message in self.capture.sent if isinstance(message, CancelCapture)]


# --- kept -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["exit", "transfer"])
def test_a_caller_handed_on_is_kept_for_the_agents_flow_and_for_no_other(way):
    if way == "exit":
        house = Handed("account", "amount", "pan", answers=False)
        house.want_agent()
        assert house.cancelled() == [CancelCapture(house.first, CaptureResult.HANDED_OVER, keeps=True)]
        house.answer()
    else:
        house = Handed(answers=False)
        house.hand_over(house.call_id)
        house.help.answer(200, sdp(HELP.host, 5000))
        house.run()
        house.want_agent()
        house.run(5)
        assert house.cancelled() == [CancelCapture(house.first, CaptureResult.HANDED_OVER, keeps=True)]
        house.capture.sent.clear()

    house.start()
    house.core.cancel_capture(house.now_s, house.capture_id)
    house.run(5)
    house.start()

    assert house.started() == [house.first, NO_CAPTURE]
    assert [message.keeps for message in house.cancelled()] == [False]
    house.caller.send("BYE")
    assert drained(house)


def test_who_hangs_up_while_the_agent_rings_is_forgotten_by_cde():
    house = Handed("account", answers=False)
    house.want_agent()

    house.caller.send("BYE")
    house.run()

    assert house.cancelled()[-1] == CancelCapture(house.first, CaptureResult.CALLER_GONE)
    assert drained(house)


def test_who_hangs_up_with_the_agent_is_forgotten_by_cde():
    house = Handed("account")

    house.caller.send("BYE")
    house.run()

    assert house.cancelled() == [CancelCapture(house.first, CaptureResult.CALLER_GONE)]
    assert drained(house)


def test_where_nobody_takes_the_caller_nothing_is_left():
    house = Handed("account", answers=False)
    house.want_agent()

    house.help.answer(486)
    house.run()

    assert house.cancelled()[-1] == CancelCapture(house.first, CaptureResult.CALLER_GONE)
    assert drained(house)


def test_the_end_is_told_to_a_cde_that_was_away():
    house = Handed("account")
    house.capture.there = False

    house.caller.send("BYE")
    house.run()
    house.capture.there = True
    house.core.cde_restarted(house.now_s)

    assert house.cancelled()[-1] == CancelCapture(house.first, CaptureResult.CALLER_GONE)


def test_who_cancelled_on_the_way_leaves_nothing():
    house = Handed("account", "amount", "pan", "expiry", answers=False)

    house.want_agent()  # at the security code the flow calls that cancelled
    house.answer()
    house.start()

    assert house.started() == [NO_CAPTURE]


def test_a_crash_of_control_loses_nothing_of_what_cde_keeps():
    house = Handed("account", "amount", "pan", german=True)

    assert house.crash() == 1
    house.capture.sent.clear()
    house.start("round-about", "account", "pan")

    assert house.started() == [house.first]
    assert house.media.said[-1][3] == "de-DE"


def test_no_value_of_the_caller_is_in_the_record():
    house = Handed("account", "amount", "pan")

    [record] = house.store.records.values()

    assert record.kept == house.first
    assert "12345674" not in repr(record)
    assert "12345674" in repr(house.core._ctx.calls), "the control: it is known"


# --- taken over -----------------------------------------------------------------------------------------------


def test_what_was_keyed_is_not_asked_again_and_the_rest_is():
    house = Handed("account", "amount", "pan").start(FLOW, "pan")

    assert (house.shown.step, house.asked()) == ("expiry", ["start", "collect expiry"])
    assert house.shown.progress.last4 == "4242"
    house.hold("pan", "expiry", field="expiry")
    assert house.shown.step == "cvv"


def test_a_whole_card_goes_straight_to_the_gateway():
    house = Handed(*ALL[:-1]).start(FLOW, "pan", "expiry", "cvv")

    assert house.asked() == ["start", "submit tokenize"]


def test_where_cde_kept_nothing_everything_is_asked():
    house = Handed("account", "amount", "pan").start(FLOW)

    assert house.asked() == ["start", "collect pan"]


def test_the_first_question_is_a_menu_and_nothing_behind_it_is_asked_again():
    house = Handed("account", "amount", "pan").start("round-about", "account", "pan")
    assert (house.shown.step, house.asked()) == ("which", ["start", "menu x"])

    house.tell(ChoiceMade(house.capture_id, 0))
    house.hold("account", "pan")

    assert house.shown.step == "expiry"
    assert house.asked()[-1] == "collect expiry"


def confirming():
    house = Handed("account", "amount", "pan").start("round-about", "account", "pan")
    house.tell(ChoiceMade(house.capture_id, 0))
    house.hold("account", "pan", "expiry", field="expiry")
    house.hold("account", "pan", "expiry", "cvv", field="cvv")
    return house


def test_what_was_taken_over_is_said_like_anything_keyed():
    house = confirming()

    assert house.shown.step == "confirm"
    said = "".join(
        getattr(piece, "value", "") or getattr(piece, "text", "") for piece in house.media.said[-1][2]
    )
    assert "4242" in said
    assert "12345674" in said


def test_who_goes_back_to_change_the_card_keys_it_anew():
    house = confirming()

    house.tell(ChoiceMade(house.capture_id, 1))

    assert (house.shown.step, house.asked()[-1]) == ("card", "collect pan")


def test_an_agent_has_a_field_that_was_taken_over_keyed_again():
    house = Handed("account", "amount", "pan").start(FLOW, "pan")

    house.core.request_field(house.now_s, house.capture_id, "pan")

    assert (house.shown.step, house.asked()[-1]) == ("card", "collect pan")


def test_a_crash_of_control_after_the_takeover_asks_for_nothing_twice():
    house = Handed("account", "amount", "pan").start("round-about", "account", "pan")

    house.crash()
    house.hold("account", "pan", state=CaptureState.CHOOSING)
    house.tell(ChoiceMade(house.capture_id, 0))

    assert [message.field for message in house.capture.sent if isinstance(message, CollectField)] == [
        "expiry"
    ]


def test_a_crash_of_control_before_cde_listens_asks_for_nothing_twice():
    house = Handed("account", "amount", "pan")
    house.core.start_capture(house.now_s, house.call_id, "round-about")
    house.confirm_shield(house.call_id, ShieldMode.CAPTURE)

    house.crash()
    house.hold("account", "pan", state=CaptureState.IDLE)
    house.tell(CaptureArmed(house.capture_id))
    house.tell(ChoiceMade(house.capture_id, 0))

    assert [message.field for message in house.capture.sent if isinstance(message, CollectField)] == [
        "expiry"
    ]


# --- values ---------------------------------------------------------------------------------------------------


def test_the_amount_that_the_caller_has_chosen_is_not_asked_of_the_agent():
    house = Handed("account", "amount", "pan")

    house.start(CHARGE, "pan", currency="GBP")

    assert house.shown.amount == Money(1_250, "GBP")


def test_what_the_agent_says_counts():
    house = Handed("account", "amount", "pan").start(CHARGE, "pan", amount=Money(900, "EUR"))

    assert house.shown.amount == Money(900, "EUR")


def test_an_amount_serves_one_flow():
    house = Handed("account", "amount", "pan").start(CHARGE, "pan", currency="GBP")
    house.core.cancel_capture(house.now_s, house.capture_id)
    house.run(5)

    with pytest.raises(AmountNeeded):
        house.start(CHARGE, currency="GBP")


def test_an_amount_serves_no_later_flow():
    house = Handed("account", "amount", "pan")
    house.run(HANDOVER_KEPT_S_MAX)

    with pytest.raises(AmountNeeded):
        house.start(CHARGE, currency="GBP")


@pytest.mark.parametrize("result", [CaptureResult.APPROVED, CaptureResult.UNKNOWN])
def test_an_amount_that_was_paid_or_may_have_been_is_not_paid_again_by_itself(result):
    house = Handed(*ALL, answers=False)
    house.tell(CaptureOutcome(capture_id=house.first, result=result))
    house.answer()

    with pytest.raises(AmountNeeded):
        house.start(CHARGE, currency="GBP")


def test_an_amount_that_was_declined_is_known_and_its_card_is_not():
    house = Handed(*ALL, answers=False)
    house.tell(CaptureOutcome(capture_id=house.first, result=CaptureResult.DECLINED))
    house.answer()

    house.start(CHARGE, currency="GBP")

    assert house.shown.amount == Money(1_250, "GBP")
    assert house.started() == [NO_CAPTURE]


def test_the_agents_flow_speaks_the_callers_language():
    house = Handed("account", german=True).start("round-about")

    assert house.media.said[-1][3] == "de-DE"
