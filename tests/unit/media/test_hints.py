"""Hints about the line through the session's kernels: what six presses must be like, and when none is told."""

import numpy as np
import pytest

from dtmf_shield.media.masker import MODE_CAPTURE, MODE_GUARD
from dtmf_shield.media.session import hints
from dtmf_shield.media.session.commands import COMMAND_SHIELD
from dtmf_shield.media.session.legs import EVENT_LINE_HINT
from tests.unit.media.call_on_tables import CALLER, Call, talk
from tests.vectors.dtmf_signal import Recipe, key_stream, whole_packets
from tests.vectors.spandsp_gsm import SpandspGsm
from tests.vectors.speech_like import speech_like

SHORT, WEAK, NOISY = hints.HINT_SHORT_TONES, hints.HINT_WEAK_TONES, hints.HINT_NOISY_LINE
SIX = "424242"
QUIET = np.zeros(1600, np.int16)


def pressed(keys=SIX, seed=3, **changes):
    """Return audio of the keys in that order, 80 ms each with pauses of 120 ms unless the changes say otherwise."""
    parts = []
    for number, key in enumerate(keys):
        recipe = Recipe(**{"repetitions": 1, "keys": key, "on_ms": 80, "gap_ms": 120, **changes})
        parts.append(key_stream(recipe, seed + number).pcm)
    return whole_packets(np.concatenate(parts), 160)


def capture():
    call = Call(mode=MODE_CAPTURE)
    call.arm()
    call.caller.say(QUIET)
    return call


def told(call):
    return [event[4] for event in call.events() if event[0] == EVENT_LINE_HINT]


@pytest.mark.parametrize(
    ("changes", "hint"),
    [
        ({"on_ms": 42}, SHORT),
        ({"on_ms": 25}, SHORT),
        ({"level_dbm0": -40}, WEAK),
        ({"level_dbm0": -48}, WEAK),
        ({"snr_db": 8}, NOISY),
    ],
    ids=str,
)
def test_six_such_presses_are_told_once_a_capture(changes, hint):
    call = capture()

    call.caller.say(pressed(**changes))
    assert told(call) == [hint]

    call.caller.say(pressed(SIX + SIX, seed=40, **changes))
    assert told(call) == []

    call.arm(generation=78)
    call.caller.say(pressed(seed=80, **changes))
    assert told(call) == [hint]


@pytest.mark.parametrize(
    "changes",
    [{}, {"on_ms": 50}, {"level_dbm0": -30}, {"snr_db": 15}, {"twist_db": -8}],
    ids=str,
)
def test_ordinary_keys_are_told_of_by_no_hint(changes):
    call = capture()

    call.caller.say(pressed("4000056655665556", **changes))

    assert told(call) == []
    assert call.keys() == "4000056655665556"


def test_keys_through_a_mobile_codec_are_told_of_by_no_hint():
    call, codec = capture(), SpandspGsm()

    call.caller.say(codec.through(pressed("4000056655665556")))
    codec.close()

    assert told(call) == []
    assert len(call.keys()) >= 15


def test_speech_is_told_of_by_no_hint():
    call = capture()

    call.caller.say(whole_packets(np.round(speech_like(8000 * 60, 3)).astype(np.int16), 160))

    assert told(call) == []


def test_four_of_six_are_told_and_three_are_not():
    for n_short, wanted in ((3, []), (4, [SHORT])):
        call = capture()
        call.caller.say(pressed(SIX[n_short:]))
        call.caller.say(pressed(SIX[:n_short], on_ms=42))
        call.caller.say(QUIET)
        assert told(call) == wanted


def test_the_moment_of_a_hint_is_the_sixth_press_whichever_four_were_short():
    """Control of the moment: nothing is told before, though four short ones have been heard already."""
    call = capture()

    call.caller.say(pressed(SIX[:5], on_ms=42))
    assert told(call) == []

    call.caller.say(pressed(SIX[5:]))
    assert told(call) == [SHORT]


def test_only_presses_of_a_capture_with_a_slot_count():
    unarmed = Call(mode=MODE_CAPTURE)
    unarmed.caller.say(pressed(SIX + SIX, on_ms=42))
    assert told(unarmed) == []

    guarded = Call(mode=MODE_GUARD)
    guarded.arm()
    guarded.caller.say(pressed(SIX + SIX, on_ms=42))
    assert told(guarded) == []

    guarded.command(COMMAND_SHIELD, CALLER, [MODE_CAPTURE])
    guarded.caller.say(pressed(SIX[:5], on_ms=42))
    assert told(guarded) == []
    guarded.caller.say(pressed(SIX[5:], on_ms=42))
    assert told(guarded) == [SHORT]


def test_presses_minutes_apart_are_not_of_one_half_dozen():
    call = capture()
    call.caller.say(pressed(SIX[:5], on_ms=42))

    call.caller.say(np.zeros(8000 * 61, np.int16))
    call.caller.say(pressed(SIX[:5], on_ms=42))
    assert told(call) == []

    call.caller.say(pressed(SIX[5:], on_ms=42))
    assert told(call) == [SHORT]


def test_lost_packets_are_a_noisy_line():
    """One in twelve lost; and as many presses with none lost are not."""
    audio = pressed()
    for lose, wanted in ((range(5, len(audio) // 160, 12), [NOISY]), ((), [])):
        call = capture()
        call.caller.say(audio, lose=set(lose))
        call.caller.say(QUIET)
        call.caller.say(pressed(seed=50) if lose else QUIET)  # a key that a loss has spoilt may be missing
        assert told(call) == wanted


def test_remains_of_tones_beside_events_are_no_hint():
    """A gateway cuts 25 ms of each tone off before it tells the key as an event."""
    call = capture()
    for number in range(12):
        call.caller.say(pressed("5", seed=number, on_ms=25, gap_ms=40)[400 - 400 % 160 :])
        call.caller.press(5)
        call.caller.say(talk(800))

    assert told(call) == []
    assert call.keys() == "5" * 12


def test_another_source_begins_a_half_dozen_anew():
    call = capture()
    call.caller.say(pressed(SIX[:5], on_ms=42))

    call.caller.ssrc += 1
    call.caller.say(QUIET)
    call.caller.say(pressed(SIX[:5], on_ms=42))
    assert told(call) == []

    call.caller.say(pressed(SIX[5:], on_ms=42))
    assert told(call) == [SHORT]
