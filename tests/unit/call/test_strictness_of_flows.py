"""What a flow asks for beyond the server's policy: told to media with its mask, and told again after any crash."""

import msgspec
import pytest

from dtmf_shield.call.record import CallRecord
from dtmf_shield.model.stream import AS_THE_SERVER_SAYS, MaskStyle, Strictness
from tests.unit.call.flow_house import PRICE, SHIPPED, FlowHouse, flow

LOOSE = {"caller": AS_THE_SERVER_SAYS, "agent": AS_THE_SERVER_SAYS}
WORDS = {
    "agent_hears": "silence",
    "agent_hears_caller": False,
    "caller_hears_agent": False,
    "recording": "pause",
}
STRICT = {
    "caller": Strictness(style=MaskStyle.SILENCE, withheld=True, unrecorded=True),
    "agent": Strictness(withheld=True, unrecorded=True),
}
LATE_MASK = """
masking: {scope: collect_steps, agent_hears_caller: false}
fields: {zip: {type: digits, length: 5}}
prompts: {hello: {en-GB: {say: "Hello."}}, zip: {en-GB: {say: "Your postcode."}}}
start: hello
steps:
  hello: {do: play, prompt: hello, next: {ok: zip}}
  zip:
    {do: collect, field: zip, prompts: [{play: zip}], type_ahead: drop,
     next: {ok: out, failed: out, agent_cancel: out}}
  out: {do: exit, to: agent, result: completed}
"""


def masked(**words):
    masking = SHIPPED.masking.model_copy(update={"agent_hears": None, **words})
    return SHIPPED.model_copy(update={"masking": masking})


def strict_house(**words):
    house = FlowHouse(masked(**(words or WORDS)))
    assert house.media.strictness == LOOSE
    return house


@pytest.mark.parametrize(
    ("words", "caller", "agent"),
    [
        ({}, Strictness(), Strictness()),
        ({"agent_hears": "silence"}, Strictness(style=MaskStyle.SILENCE), Strictness()),
        ({"agent_hears": "comfort_noise"}, Strictness(style=MaskStyle.NOISE), Strictness()),
        ({"agent_hears": "flat_tone"}, Strictness(style=MaskStyle.TONE), Strictness()),
        ({"agent_hears_caller": False}, Strictness(withheld=True), Strictness()),
        ({"caller_hears_agent": False}, Strictness(), Strictness(withheld=True)),
        ({"recording": "pause"}, Strictness(unrecorded=True), Strictness(unrecorded=True)),
        (WORDS, STRICT["caller"], STRICT["agent"]),
    ],
)
def test_each_word_of_the_flow_is_told_for_the_leg_it_concerns(words, caller, agent):
    house = strict_house(**words) if words else FlowHouse(masked())

    house.begin()

    assert house.media.strictness == {"caller": caller, "agent": agent}


def test_it_holds_to_the_end_of_the_tail_and_no_longer():
    house = strict_house().begin()
    house.core.cancel_capture(house.now_s, house.capture_id)
    house.run(house.settings.mask_tail_s - 0.5)
    assert (house.media.shields["caller"], house.media.strictness) == ("capture", STRICT)

    house.run(1.0)

    assert (house.media.shields["caller"], house.media.strictness) == ("guard", LOOSE)


def test_a_flow_that_masks_from_its_first_question_is_strict_from_there():
    house = FlowHouse(flow(LATE_MASK))
    house.core.start_capture(house.now_s, house.call_id, "test")
    assert (house.step, house.media.shields["caller"], house.media.strictness) == ("hello", "guard", LOOSE)

    house.prompt_over()

    assert (house.step, house.media.shields["caller"]) == ("zip", "capture")
    assert house.media.strictness == {"caller": Strictness(withheld=True), "agent": Strictness()}


def test_a_flow_in_the_tail_of_a_looser_one_brings_its_own_strictness():
    house = FlowHouse(masked(), flow(LATE_MASK)).begin()
    house.core.cancel_capture(house.now_s, house.capture_id)
    assert house.media.shields["caller"] == "capture"
    house.core.start_capture(house.now_s, house.call_id, "test")
    assert house.media.strictness == LOOSE

    house.prompt_over()

    assert house.step == "zip"
    assert house.media.strictness["caller"] == Strictness(withheld=True)


@pytest.mark.parametrize("words", [{"recording": "pause"}, WORDS])
def test_control_that_comes_back_is_as_strict_before_anything_else(words):
    house = strict_house(**words).begin()
    before, house.media.strictness = dict(house.media.strictness), {}

    house.crash()

    assert (house.media.shields["caller"], house.media.strictness) == ("capture", before)
    house.media.strictness = {}
    house.core.media_joined(house.now_s)
    assert house.media.strictness == before


def test_control_that_comes_back_in_the_tail_of_a_flow_is_as_strict_too():
    house = strict_house().begin()
    house.core.cancel_capture(house.now_s, house.capture_id)
    house.media.strictness = {}

    house.crash()
    house.core.media_joined(house.now_s)

    assert (house.media.shields["caller"], house.media.strictness) == ("capture", STRICT)
    house.run(house.settings.mask_tail_s + 0.5)
    assert (house.media.shields["caller"], house.media.strictness) == ("guard", LOOSE)


def test_where_the_version_of_the_flow_is_lost_its_strictness_is_not():
    house = strict_house().begin()
    house.settings.flows.clear()
    house.media.strictness = {}

    house.crash()

    assert (house.media.shields["caller"], house.media.strictness) == ("capture", STRICT)


def test_media_that_comes_back_is_told_anew():
    house = strict_house().begin()
    house.media.strictness = {}

    house.core.media_restarted(house.now_s)

    assert (house.media.shields["caller"], house.media.strictness) == ("capture", STRICT)


def test_a_record_of_before_this_was_kept_is_read():
    house = strict_house().begin()
    (record,) = house.store.records.values()
    assert record.strictness == (STRICT["caller"], STRICT["agent"])
    plain = msgspec.to_builtins(record)
    del plain["strictness"]

    read = msgspec.convert(plain, CallRecord, strict=False)

    assert read.strictness == (AS_THE_SERVER_SAYS, AS_THE_SERVER_SAYS)


def test_a_restored_call_without_a_mask_is_not_strict():
    house = strict_house().begin()
    house.core.cancel_capture(house.now_s, house.capture_id)
    house.run(house.settings.mask_tail_s + 0.5)

    house.crash()

    assert (house.media.shields["caller"], house.media.strictness) == ("guard", LOOSE)


@pytest.mark.parametrize(("named", "told"), [("default", ""), ("second", "second")])
def test_the_gateway_that_a_step_names_is_told_with_the_order(named, told):
    steps = {
        name: step.model_copy(update={"gateway": named}) if step.do == "charge" else step
        for name, step in SHIPPED.steps.items()
    }
    house = FlowHouse(SHIPPED.model_copy(update={"steps": steps})).begin(amount=PRICE)
    house.hold_card()

    house.choose(0)

    assert [order.gateway for order in house.capture.sent if type(order).__name__ == "SubmitCapture"] == [
        told
    ]
