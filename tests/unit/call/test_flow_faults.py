"""What goes wrong around a running flow: cde silent after a crash, media anew, the tail of the flow before."""

from dtmf_shield.call.settings import ARM_TIMEOUT_S
from dtmf_shield.flow.engine.commands import CallHook
from dtmf_shield.flow.engine.events import HookAnswered, HookOutcome
from dtmf_shield.flow.loader import load_flow
from dtmf_shield.model.capture import CaptureResult, CaptureState
from dtmf_shield.model.messages import CancelCapture
from dtmf_shield.model.payment import NO_MONEY
from dtmf_shield.model.stream import ShieldMode
from tests.unit.call.call_house import FLOW_FILE
from tests.unit.call.flow_house import FlowHouse, flow


def paying():
    house = FlowHouse().begin()
    house.hold_card()
    house.choose(0)
    return house


def test_a_payment_under_way_is_unknown_and_not_called_back_where_cde_is_silent_after_a_crash():
    house = paying()
    house.crash()
    house.capture.sent.clear()
    house.core.media_joined(house.now_s)

    house.run(ARM_TIMEOUT_S + 0.1)

    assert house.result is CaptureResult.UNKNOWN
    assert not any(isinstance(message, CancelCapture) for message in house.capture.sent)


def test_a_flow_says_what_it_has_to_say_in_rows_that_a_fresh_media_has_open():
    house = FlowHouse().begin()
    house.media.log.clear()

    house.core.media_restarted(house.now_s)

    kinds = [entry[0] for entry in house.media.log]
    assert "open" in kinds
    assert "play" not in kinds[: kinds.index("open")]
    assert house.core.snapshot(house.call_id).shield_caller is ShieldMode.MUTE


CHECKING = load_flow(
    FLOW_FILE.with_name("card-payment-agent.yaml")
    .read_text("utf-8")
    .replace("unknown: unknown_result,", "unknown: checking,")
    .replace("\nsteps:", "\nsteps:\n  checking: {do: play, prompt: declined, next: {ok: unknown_result}}", 1),
    file="checking",
)


def test_what_the_flow_says_while_a_late_answer_is_awaited_is_said_again_after_a_crash():
    house = FlowHouse(CHECKING).begin()
    house.hold_card()
    house.choose(0)
    house.run(30.1)  # the step's own time is up: unknown, and cde still asks the gateway
    assert house.step == "checking"
    house.crash()
    house.media.said.clear()

    house.core.media_joined(house.now_s)
    house.progress(CaptureState.SETTLING, field="cvv", brand="visa")
    assert len(house.said()) == 1
    house.prompt_over()

    assert house.step == ""


def test_nobody_is_asked_for_another_card_behind_an_unknown_payment_through_a_crash():
    house = FlowHouse(CHECKING).begin()
    house.hold_card()
    house.choose(0)
    house.run(30.1)
    house.crash()

    assert house.core._ctx.calls[house.call_id].engagement.state.settled


LOOKS_UP = """
inputs: {reference: {type: text}}
fields: {account: {type: digits, length: {min: 4, max: 6}}}
prompts: {wait: {en-GB: {say: "One moment.", loop: true}}}
start: look
steps:
  look:
    do: http
    request: {hook: crm, send: [inputs.reference]}
    while_waiting: wait
    next: {ok: ask, error: back}
  ask: {do: collect, field: account, next: {ok: done, failed: back, agent_cancel: back}}
  done: {do: exit, result: completed}
  back: {do: exit, result: failed}
"""


def test_what_is_said_while_a_look_up_runs_stops_with_its_answer():
    house = FlowHouse(flow(LOOKS_UP)).start(amount=NO_MONEY)
    house.confirm_shield(house.call_id, ShieldMode.CAPTURE)
    ((call_id, mark, request),) = house.hooks.asked
    assert isinstance(request, CallHook)
    house.media.log.clear()

    house.core.hook_answered(house.now_s, call_id, mark, HookAnswered(HookOutcome.OK))

    assert [role for role, _ in house.media.stopped] == ["caller"]
    assert house.step == "ask"


def test_the_tail_of_the_flow_before_does_not_lower_the_mask_of_the_next_ones_question():
    quiet = LOOKS_UP.lstrip().replace("    while_waiting: wait\n", "")
    house = FlowHouse(flow("masking: {scope: collect_steps}\n" + quiet))
    for _ in range(2):
        house.start(amount=NO_MONEY)
        call_id, mark, _ = house.hooks.asked[-1]
        house.core.hook_answered(house.now_s, call_id, mark, HookAnswered(HookOutcome.OK))
        house.confirm_shield(house.call_id, ShieldMode.CAPTURE)
        house.arm()
        if house.hooks.asked[1:]:
            break
        house.core.cancel_capture(house.now_s, house.capture_id)

    house.run(house.settings.mask_tail_s + 0.1)

    assert house.step == "ask"
    assert house.media.shields["caller"] == "capture"


def test_the_end_of_a_capture_reaches_a_cde_that_was_only_out_of_reach():
    house = FlowHouse().begin()
    capture_id = house.capture_id
    house.capture.up = False
    house.hold("pan", field="pan", brand="visa", last4="4242")  # the next question finds nobody
    house.capture.sent.clear()
    house.capture.up = True

    house.core.cde_restarted(house.now_s)
    house.core.cde_restarted(house.now_s)

    assert house.capture.sent.count(CancelCapture(capture_id, CaptureResult.INTERRUPTED)) == 1
