"""What a look at the progress of a capture means to a flow."""

from dtmf_shield.flow.engine.events import Accepted, FieldLost, Progressed, Rejected, Undone
from dtmf_shield.flow.engine.telling import events_between
from dtmf_shield.model.capture import CaptureProgress, CaptureState, RejectReason
from dtmf_shield.model.ids import CaptureId
from tests.unit.flow.shipped import FLOWS

PAY = FLOWS["card-payment-agent"]


def look(capture="first", state=CaptureState.KEYING, **how):
    return CaptureProgress(capture_id=CaptureId(capture), state=state, **how)


def test_keys_and_keys_taken_back():
    before, after = look(field="pan", count=4), look(field="pan", count=6, brand="visa")

    assert events_between(PAY, before, after) == (Progressed("pan", 6, "visa"),)
    assert events_between(PAY, after, look(field="pan", count=5, usual=16)) == (Undone("pan", 5, 16),)


def test_a_refused_entry():
    after = look(field="pan", attempt=2, reason=RejectReason.LUHN)

    assert events_between(PAY, look(field="pan", count=16), after) == (Rejected("pan", RejectReason.LUHN),)


def test_a_new_card_number_takes_the_code_with_it():
    before = look(field="pan", count=16, accepted=("expiry", "cvv"))
    after = look(field="pan", count=16, accepted=("expiry", "pan"), brand="visa", last4="4242")

    assert events_between(PAY, before, after) == (FieldLost("cvv"), Accepted("pan", "visa", "4242"))


def test_the_first_look_at_a_new_capture_takes_nothing_away():
    """The end of the earlier one has told of it, and released values are the flow's."""
    before = look("first", field="cvv", accepted=("pan", "expiry", "cvv"))

    assert events_between(PAY, before, look("second", field="pan")) == ()
    after = look("second", field="pan", count=2)
    assert events_between(PAY, before, after) == (Progressed("pan", 2),)


def test_a_field_that_was_given_up_is_told_by_its_own_message():
    """The state of a capture that has failed says nothing of a field: CaptureEnded does."""
    before = look(field="pan", attempt=3)

    assert events_between(PAY, before, look(field="pan", attempt=3, state=CaptureState.FAILED)) == ()
    assert events_between(PAY, before, look(field="pan", attempt=3, state=CaptureState.HELD)) == ()


def test_an_entry_typed_ahead_that_was_refused_before_its_field_was_first_told_of_is_no_secret():
    before = look(accepted=("pan",), field="pan", count=16)
    after = look(accepted=("pan",), field="expiry", attempt=2, reason=RejectReason.FORMAT)

    assert events_between(PAY, before, after) == (Rejected("expiry", RejectReason.FORMAT),)


def test_a_field_that_was_given_up_leaves_nothing_to_tell():
    before = look(field="pan", count=4, attempt=3)

    assert events_between(PAY, before, look(attempt=3, reason=RejectReason.TIMEOUT)) == ()
