"""Inputs of a flow by their source: the API, headers of the INVITE, the dialled and the calling number; languages."""

from dataclasses import replace

import msgspec
import pytest

from dtmf_shield.call.errors import AmountNeeded, AmountNotTaken, InputRefused
from dtmf_shield.call.events import CaptureNotStarted
from dtmf_shield.call.onward import HEADER_CHARACTERS_MAX
from dtmf_shield.call.record import CallRecord
from dtmf_shield.call.settings import Route
from dtmf_shield.flow.loader import load_flow
from dtmf_shield.model.capture import CaptureProgress, CaptureState
from dtmf_shield.model.messages import CaptureArmed
from dtmf_shield.model.payment import NO_MONEY, Money
from dtmf_shield.model.stream import ShieldMode
from tests.unit.call.call_house import CallHouse

HEAD = """
flow: v1
id: told
title: Told by the call
mode: agent_assisted
%s
%s
fields:
  pan:    {type: card_number, submit: auto_or_key}
  expiry: {type: expiry}
start: card
steps:
  card:
    do: collect
    field: pan
    next: {ok: date, failed: out, agent_cancel: out}
  date:
    do: collect
    field: expiry
    next: {ok: pay, failed: out, agent_cancel: out}
  pay:
    do: %s
    next: {approved: done, declined: out, unknown: lost, gateway_down: out}
  out:  {do: exit, result: failed}
  lost: {do: exit, result: unknown, alert: reconcile}
  done: {do: exit, result: %s}
"""
TEST_CARD = "4242424242424242"


def told(*inputs, head="", do="tokenize", result="tokenized"):
    lines = "".join(f"\n  {line}" for line in inputs) or " {}"
    return load_flow(HEAD % (head, f"inputs:{lines}", do, result), file="told.yaml")


CHARGE = "charge\n    amount: inputs.amount\n    currency: inputs.currency\n    reference: inputs.order"
MONEY = (
    'amount: {type: money, min: "0.50", max: "100.00", required: true}',
    "currency: {type: currency, allowed: [GBP, JPY], required: true}",
    'order: {type: text, pattern: "[A-Z0-9-]{1,16}"}',
)


def charged():
    return told(*MONEY, do=CHARGE, result="paid")


class House(CallHouse):
    """A house whose only flow is the one given."""

    def __init__(self, flow, **route):
        self.flow = flow
        super().__init__(routes=(Route("44*", "desk", **route),))

    def new_core(self, prefix):
        self.settings = replace(self.settings, flows={"told": self.flow}, default_flow="told")
        return super().new_core(prefix)

    def start(self, call_id, **said):
        return self.core.start_capture(self.now_s, call_id, "told", **said)

    def inputs(self, call_id):
        return dict(self.core._ctx.calls[call_id].engagement.inputs)

    def language(self, call_id):
        return self.core._ctx.calls[call_id].engagement.state.language


def faults_of(house, call_id, **said):
    with pytest.raises(InputRefused) as caught:
        house.start(call_id, **said)
    assert house.core.snapshot(call_id).capture is None, "nothing has begun"
    return caught.value.faults


# --- headers --------------------------------------------------------------------------------------------------


def test_a_header_that_a_flow_names_is_an_input_and_no_other_is_kept():
    house = House(told("account: {type: text, from: header, header: x-account, required: true}"))
    call_id = house.talk(X_Account="ACC-7", X_Other="private", Subject="private")

    house.start(call_id)

    assert house.inputs(call_id) == {"account": "ACC-7"}
    assert house.core._ctx.calls[call_id].headers == {"X-Account": "ACC-7"}


def test_nothing_of_an_invite_is_kept_where_no_flow_wants_it():
    house = CallHouse()
    call_id = house.talk(X_Account="ACC-7")

    assert house.core._ctx.calls[call_id].headers == {}


@pytest.mark.parametrize(
    "value",
    [
        TEST_CARD,
        "4242 4242 4242 4242",
        "x4242-4242-4242-4242",
        "123456789012",
        "x" * (HEADER_CHARACTERS_MAX + 1),
    ],
)
def test_a_header_that_may_be_a_card_or_is_too_long_is_not_even_kept(value):
    house = House(told("account: {type: text, from: header, header: X-Account, required: true}"))
    call_id = house.talk(X_Account=value)

    assert house.core._ctx.calls[call_id].headers == {}
    (fault,) = faults_of(house, call_id)
    assert fault == "input account: is needed by the flow told and comes with SIP header X-Account"
    assert value not in repr(house.store.records)


def test_a_needed_header_that_does_not_fit_is_refused_by_its_name_and_rule_without_its_value():
    house = House(
        told('account: {type: text, from: header, header: X-Account, pattern: "[A-Z]{3}", required: true}')
    )
    call_id = house.talk(X_Account="secret")

    assert faults_of(house, call_id) == ("input account: text that matches [A-Z]{3}",)


def test_a_header_that_is_not_needed_and_does_not_fit_is_left_out():
    house = House(told('account: {type: text, from: header, header: X-Account, pattern: "[A-Z]{3}"}'))
    call_id = house.talk(X_Account="secret")

    house.start(call_id)

    assert house.inputs(call_id) == {}


# --- numbers --------------------------------------------------------------------------------------------------


def test_the_dialled_and_the_calling_number_are_inputs():
    house = House(
        told(
            "did: {type: text, from: dialled, required: true}",
            "who: {type: text, from: caller, required: true}",
        )
    )
    call_id = house.talk(user="442071234567")

    house.start(call_id)

    # Twelve digits each: a telephone number is no card number.
    assert house.inputs(call_id) == {"did": "442071234567", "who": "+441234567890"}


def test_a_card_number_in_place_of_a_dialled_number_is_refused():
    house = House(told("did: {type: text, from: dialled, required: true}"))
    call_id = house.talk(user="4444333322221111")

    (fault,) = faults_of(house, call_id)

    assert "might be a card number" in fault
    assert "4444" not in fault


def test_who_withholds_his_number_is_nobody():
    house = House(told("who: {type: text, from: caller, required: true}"))
    call_id = house.talk()
    house.core._ctx.calls[call_id].caller_user = "Anonymous"

    assert "caller's number" in faults_of(house, call_id)[0]


# --- the API --------------------------------------------------------------------------------------------------


def test_the_api_says_its_own_inputs_and_no_others():
    house = House(
        told("customer: {type: text, required: true}", "did: {type: text, from: dialled, required: true}")
    )
    call_id = house.talk()

    faults = faults_of(house, call_id, given={"did": "forged", "customer": "C1"})
    assert faults == ("input did: comes with the call (from: dialled) and is not said",)
    house.start(call_id, given={"customer": "C1"})

    assert house.inputs(call_id) == {"did": "4420", "customer": "C1"}


def test_each_unfit_input_is_told_and_a_name_of_the_clients_own_is_not_repeated():
    house = House(
        told(
            "kind: {type: text, allowed: [old, new], required: true}",
            'code: {type: digits, pattern: "[0-9]{4}", required: true}',
            "needed: {type: text, required: true}",
        )
    )
    call_id = house.talk()

    (unknown,) = faults_of(house, call_id, given={"secret": "x"})
    assert unknown == "an input that the flow told does not have; it has: kind, code, needed"
    faults = faults_of(house, call_id, given={"kind": "mine", "code": "77777"})
    assert faults == (
        "input kind: one of old, new",
        "input code: text that matches [0-9]{4}",
        "input needed: is needed by the flow told",
    )


def test_reference_and_amount_are_short_for_the_flows_own_names():
    house = House(charged())
    call_id = house.talk()

    house.start(call_id, reference="ORDER-1", amount=Money(1050, "GBP"))

    assert house.inputs(call_id) == {"amount": "10.50", "currency": "GBP", "order": "ORDER-1"}
    assert house.core.snapshot(call_id).capture.amount == Money(1050, "GBP")
    assert house.core.snapshot(call_id).capture.reference == "ORDER-1"


def test_the_page_is_shown_a_reference_that_came_under_the_flows_own_name():
    house = House(charged())
    call_id = house.talk()

    house.start(call_id, given={"amount": "10.5", "currency": "GBP", "order": "ORDER-2"})

    assert house.core.snapshot(call_id).capture.reference == "ORDER-2"


def test_the_flows_own_names_do_the_same():
    house = House(charged())
    call_id = house.talk()

    house.start(call_id, given={"amount": "10.5", "currency": "GBP", "order": "ORDER-1"})

    assert house.core.snapshot(call_id).capture.amount == Money(1050, "GBP")


def test_half_an_amount_is_none():
    house = House(charged())
    call_id = house.talk()

    with pytest.raises(AmountNeeded):
        house.start(call_id, given={"amount": "10.50"})


@pytest.mark.parametrize(
    ("amount", "currency"),
    [("10.50", "JPY"), ("10.505", "GBP"), ("0.49", "GBP"), ("101", "GBP"), ("10", "EUR")],
)
def test_an_amount_that_cannot_be_charged_is_refused_by_its_name(amount, currency):
    house = House(charged())
    call_id = house.talk()

    (fault,) = faults_of(house, call_id, given={"amount": amount, "currency": currency})

    assert fault.startswith(("input amount: ", "input currency: "))


def test_a_reference_without_a_payment_step_that_takes_it_reaches_an_input_of_that_name():
    house = House(told("reference: {type: text, required: true}"))
    call_id = house.talk()

    house.start(call_id, reference="R1")

    assert house.inputs(call_id) == {"reference": "R1"}


def test_a_flow_without_an_amount_takes_none():
    house = House(told())
    call_id = house.talk()

    with pytest.raises(AmountNotTaken):
        house.start(call_id, amount=Money(1, "EUR"))


def test_a_fixed_price_is_shown_without_being_said():
    house = House(told(do='charge\n    amount: "12.00"\n    currency: GBP', result="paid"))
    call_id = house.talk()

    house.start(call_id)

    assert house.core.snapshot(call_id).capture.amount == Money(1200, "GBP")


def test_an_amount_may_come_with_the_call():
    house = House(
        told(
            "amount: {type: money, from: header, header: X-Amount, required: true}",
            do="charge\n    amount: inputs.amount\n    currency: EUR",
            result="paid",
        )
    )
    call_id = house.talk(X_Amount="7.25")

    house.start(call_id)

    assert house.core.snapshot(call_id).capture.amount == Money(725, "EUR")


# --- routes ---------------------------------------------------------------------------------------------------


def test_a_route_starts_a_flow_with_what_the_call_brings():
    flow = told("account: {type: text, from: header, header: X-Account, required: true}")
    house = House(flow, engage_flow="told")

    call_id = house.talk(X_Account="ACC-7")

    assert house.inputs(call_id) == {"account": "ACC-7"}


def test_a_route_whose_call_lacks_what_is_needed_starts_nothing_and_says_so():
    flow = told("account: {type: text, from: header, header: X-Account, required: true}")
    house = House(flow, engage_flow="told")

    call_id = house.talk()

    assert house.core.snapshot(call_id).capture is None
    (event,) = [event for event in house.events if isinstance(event, CaptureNotStarted)]
    assert (event.call_id, event.flow_id) == (call_id, "told")
    assert event.faults == ("input account: is needed by the flow told and comes with SIP header X-Account",)


# --- languages ------------------------------------------------------------------------------------------------

LANGUAGES = "languages: {default: en-GB, offered: [en-GB, fr-FR, de-DE], fallback: {nl: de-DE}}"


@pytest.mark.parametrize(
    ("of_route", "of_api", "spoken"),
    [
        ("", "", "en-GB"),
        ("fr-FR", "", "fr-FR"),
        ("fr-FR", "de-DE", "de-DE"),
        ("", "fr-CA", "fr-FR"),
        ("nl", "", "de-DE"),
        ("", "es-ES", "en-GB"),
    ],
)
def test_the_capture_names_its_language_before_the_route_does(of_route, of_api, spoken):
    house = House(told(head=LANGUAGES), language=of_route)
    call_id = house.talk()

    house.start(call_id, language=of_api)
    assert house.language(call_id) == spoken
    house.confirm_shield(call_id, ShieldMode.CAPTURE)
    capture_id = house.core.snapshot(call_id).capture.capture_id
    house.core.capture_message(house.now_s, CaptureArmed(capture_id))

    assert house.language(call_id) == spoken


def test_the_dialled_number_chooses_where_the_flow_says_so():
    head = 'languages: {default: en-GB, offered: [en-GB, fr-FR], choose_by: did, did: {"4433*": fr-FR}}'
    house = House(told(head=head), language="en-GB")
    call_id = house.talk(user="443312")

    house.start(call_id)

    assert house.language(call_id) == "fr-FR"


# --- a crash --------------------------------------------------------------------------------------------------


def test_what_a_running_flow_was_told_outlives_a_crash():
    house = House(
        told(
            "account: {type: text, from: header, header: X-Account}", "customer: {type: text}", head=LANGUAGES
        )
    )
    call_id = house.talk(X_Account="ACC-7")
    capture_id = house.start(call_id, given={"customer": "C1"}, language="fr-FR")
    house.confirm_shield(call_id, ShieldMode.CAPTURE)
    house.core.capture_message(house.now_s, CaptureArmed(capture_id))

    assert house.crash() == 1
    waiting = CaptureProgress(capture_id=capture_id, state=CaptureState.WAITING, field="pan")
    house.core.capture_message(house.now_s, waiting)

    assert house.inputs(call_id) == {"account": "ACC-7", "customer": "C1"}
    assert house.language(call_id) == "fr-FR"


def test_a_capture_after_a_crash_is_still_told_what_the_invite_said():
    house = House(
        told("account: {type: text, from: header, header: X-Account, required: true}", head=LANGUAGES),
        language="de-DE",
    )
    call_id = house.talk(X_Account="ACC-7")

    house.crash()
    house.start(call_id)

    assert house.inputs(call_id) == {"account": "ACC-7"}
    assert house.language(call_id) == "de-DE"


def test_a_record_of_an_earlier_release_is_read():
    house = House(told())
    house.talk()
    (record,) = house.store.records.values()
    raw = msgspec.msgpack.decode(msgspec.msgpack.encode(record))
    for name in ("inputs", "headers", "language"):
        del raw[name]

    again = msgspec.msgpack.decode(msgspec.msgpack.encode(raw), type=CallRecord)

    assert (again.inputs, again.headers, again.language, again.amount) == ({}, {}, "", NO_MONEY)
