"""Ended calls: a few are listed, many are found by their id, all are forgotten in the end."""

from unittest.mock import Mock

import pytest
from test_control_limits import make_desk

from dtmf_shield.api import ports
from dtmf_shield.model.capture import CaptureOutcome, CaptureResult
from dtmf_shield.model.ids import CallId, CaptureId, Token
from dtmf_shield.service.control import desk as desk_module
from dtmf_shield.service.control.desk import ENDED_SHOWN_MAX


def let_calls_end(core, desk, count, captures=3, name="call"):
    """Calls with so many captures each, one after the other."""
    for number in range(count):
        call_id = f"{name}{number}"
        core.put(call_id)
        desk.call_changed(CallId(call_id))
        for attempt in range(captures):
            core.put(call_id, f"{call_id}-{attempt}")
            desk.call_changed(CallId(call_id))
        del core.calls[call_id]
        desk.ended(CallId(call_id), None)


def token_of(capture):
    return CaptureOutcome(capture_id=CaptureId(capture), result=CaptureResult.APPROVED, token=Token("tok"))


def test_calls_are_found_for_longer_than_they_are_listed_and_forgotten_whole(monkeypatch):
    monkeypatch.setattr(desk_module, "ENDED_KEPT_MAX", ENDED_SHOWN_MAX + 10)
    core, desk = make_desk()

    let_calls_end(core, desk, ENDED_SHOWN_MAX + 15)

    assert len(desk._captures) == 3 * (ENDED_SHOWN_MAX + 10)
    assert (len(desk._ended), len(desk.calls())) == (ENDED_SHOWN_MAX, ENDED_SHOWN_MAX)
    assert set(desk._sees) == set(desk._captures)
    assert desk.call(CallId("call5")).capture == desk.capture(CaptureId("call5-2"))
    for forgotten in (lambda: desk.call(CallId("call4")), lambda: desk.capture(CaptureId("call4-0"))):
        with pytest.raises(ports.DeskRefusal):
            forgotten()


def test_a_token_is_there_for_a_program_that_was_away_while_others_ended():
    core, desk = make_desk()
    let_calls_end(core, desk, 1, captures=1)
    desk.finished(token_of("call0-0"))

    let_calls_end(core, desk, 3 * ENDED_SHOWN_MAX, captures=1, name="later")
    let_calls_end(core, desk, desk_module.ENDED_KEPT_MAX, captures=0, name="without")

    assert "call0" not in [call.id for call in desk.calls()]
    assert desk.call(desk.capture(CaptureId("call0-0")).call).id == "call0"
    assert desk.token(CaptureId("call0-0")) == "tok"


def test_what_cde_says_of_money_long_after_the_call_is_told():
    core, desk = make_desk()
    let_calls_end(core, desk, 1, captures=1)
    let_calls_end(core, desk, 3 * ENDED_SHOWN_MAX, name="later")
    told = Mock()
    desk.subscribe(told)

    desk.finished(token_of("call0-0"))

    (call,) = told.call_changed.call_args.args
    assert (call.id, call.capture.outcome.result) == ("call0", CaptureResult.APPROVED)
    assert desk.call(CallId("call0")) == call
    assert "call0" not in [call.id for call in desk.calls()]


def test_captures_that_run_are_kept_rather_than_those_of_ended_calls(monkeypatch):
    monkeypatch.setattr(desk_module, "CAPTURES_KEPT_MAX", ENDED_SHOWN_MAX + 30)
    core, desk = make_desk()
    core.put("long", "runs")
    desk.call_changed(CallId("long"))

    let_calls_end(core, desk, 4 * ENDED_SHOWN_MAX, captures=1)

    assert len(desk._captures) == ENDED_SHOWN_MAX + 30
    assert "runs" in desk._captures
