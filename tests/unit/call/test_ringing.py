"""What a caller who is handed over hears while a phone rings for them: what the flow says, else a ringing tone."""

from dtmf_shield.model.ids import LegRole
from dtmf_shield.model.messages import PromptEnd, PromptEnded
from tests.unit.call.call_house import HELP, CallHouse, sdp
from tests.unit.call.test_handover import alone


def ringing(**options):
    """Alone, nothing is said, and the queue's phone rings."""
    house, call_id = alone(**options)
    house.hand_over(call_id)
    assert house.media.rung == []
    house.help.answer(180)
    house.run()
    return house, call_id


def test_a_caller_who_is_told_nothing_hears_the_phone_ring_until_it_is_answered():
    house, _ = ringing()
    [tone] = house.media.rung
    house.help.answer(180)
    house.run()
    assert house.media.rung == [tone]

    house.help.answer(200, sdp(HELP.host, 5000))
    house.run()

    assert ("caller", tone) in house.media.stopped


def test_the_tone_ends_where_nobody_answers():
    house, _ = ringing()
    [tone] = house.media.rung

    house.help.answer(486)
    house.run()

    assert ("caller", tone) in house.media.stopped


def test_the_tone_waits_for_the_end_of_what_is_said():
    house, call_id = alone()
    house.media.speaks = True
    house.core._ctx.calls[call_id].engagement.speaking = 7
    house.hand_over(call_id)
    house.help.answer(183)
    house.run()
    assert house.media.rung == []

    house.core.prompt_ended(house.now_s, PromptEnded(call_id, LegRole.CALLER, 7, PromptEnd.DONE))

    assert len(house.media.rung) == 1


def test_who_is_answered_at_once_hears_no_tone():
    house, call_id = alone()
    house.hand_over(call_id)
    house.help.answer(100)
    house.help.answer(200, sdp(HELP.host, 5000))
    house.run()

    assert (house.media.rung, house.media.stopped) == ([], [])


def test_a_fresh_media_rings_again_and_a_crash_of_control_leaves_no_tone_behind():
    house, _ = ringing()
    house.core.media_restarted(house.now_s)
    first, second = house.media.rung
    assert first != second

    house.crash()
    house.run()
    house.help.answer(180)
    house.run()
    house.help.answer(200, sdp(HELP.host, 5000))
    house.run()

    assert house.media.rung == [first, second]
    assert ("caller", second) in house.media.stopped


def test_with_an_agent_on_the_line_nobody_hears_a_tone():
    house = CallHouse()
    call_id = house.talk()
    house.hand_over(call_id)
    house.help.answer(180)
    house.run()

    assert house.media.rung == []
