"""The evidence of a test call: it cries leak where there is one, and trusts no silence without its controls."""

from __future__ import annotations

import asyncio
import io

import numpy as np
import pytest
import soundfile
from matplotlib import image

from dtmf_shield.model.capture import FieldKind
from dtmf_shield.phone.door import Door
from dtmf_shield.phone.tones import key_tone, presses
from dtmf_shield.phone.voices import Voice, voice
from dtmf_shield.service.file_analysis import mask_file
from dtmf_shield.service.play import evidence as evidence_module
from dtmf_shield.service.play import shelf as shelf_module
from dtmf_shield.service.play import tape as tape_module
from dtmf_shield.service.play.caller import Fingers, Line
from dtmf_shield.service.play.evidence import COLUMNS_MAX, PEAKS_MAX, Verdict, evidence_of
from dtmf_shield.service.play.shelf import CallShelf, evidence_as_json
from dtmf_shield.service.play.tape import CallTape
from dtmf_shield.service.witness.spectrum import bins_hz

KEYS = "5555555555554444#1228123"
BEGIN, GAP, SECONDS, PACKET = 16_000, 960, 9, 160
LATE = 400
"""Samples by which the agent's side runs behind."""
SHORT = FieldKind.SECURITY_CODE


@pytest.fixture(scope="module")
def sides(tmp_path_factory):
    """A keyed call's audio at the caller's phone, and as the service masks it."""
    directory = tmp_path_factory.mktemp("sides")
    pcm = np.resize(voice(Voice.CALLER).astype(int), SECONDS * 8_000)
    at = BEGIN
    for press in presses(KEYS, 2):
        tone = key_tone(press.key, 100)
        pcm[at : at + len(tone)] += tone
        at += len(tone) + GAP
    caller = np.clip(pcm, -32768, 32767).astype(np.int16)
    soundfile.write(directory / "caller.wav", caller, 8_000)
    mask_file(directory / "caller.wav", directory / "agent.wav")
    masked, _ = soundfile.read(directory / "agent.wav", dtype="int16")
    return caller, masked


def late(pcm):
    return np.pad(pcm, (LATE, 0))


def recorded(caller, agent, door=Door.INBAND, keys=24):
    """A tape as the phones make it, packet by packet, with a mark for each press."""
    tape = CallTape()
    starts = [BEGIN + number * (800 + GAP) for number in range(keys)]
    for at in range(0, max(len(caller), len(agent)), PACKET):
        for start in starts:
            if at <= start < at + PACKET:
                tape.pressed(SHORT, door, 100)
        for pcm, take in ((caller, tape.sent), (agent, tape.heard)):
            if at + PACKET <= len(pcm):
                take(pcm[at : at + PACKET], at / 8_000)
    return tape


def judged(caller, agent, events=0, live=0, **more):
    return evidence_of(recorded(caller, agent, **more), events, live)


def pixels(side):
    return image.imread(io.BytesIO(side.picture), format="png")


def test_a_shielded_call_is_clean_and_its_controls_hold(sides):
    caller, masked = sides

    found = judged(caller, late(masked))

    assert found.verdict is Verdict.CLEAN
    assert (found.keys_sent, found.keys_caller, found.keys_agent) == (24, 24, 0)
    assert {name: found.caller.keys[name] for name in ("dtmf-shield", "FFT")} == {
        "dtmf-shield": 24,
        "FFT": 24,
    }
    assert set(found.agent.keys.values()) == {0}
    assert found.caller.attack.beats_luck
    assert not found.agent.attack.beats_luck
    assert all(one.at_caller and not one.at_agent for one in found.presses)
    assert abs(found.lag_ms - (LATE + 40) / 8) <= 6  # the service holds 5 ms back


def test_what_is_not_masked_at_the_agents_phone_is_a_leak(sides):
    caller, _ = sides

    found = judged(caller, late(caller))

    assert found.verdict is Verdict.LEAKED
    assert found.keys_agent == 24
    assert found.agent.attack.beats_luck
    assert all(one.at_agent for one in found.presses)


def test_one_key_that_comes_through_is_a_leak_and_its_press_is_named(sides):
    caller, masked = sides
    agent = masked.copy()
    place = slice(BEGIN + 5 * (800 + GAP), BEGIN + 5 * (800 + GAP) + 800)
    agent[place] = caller[place]

    found = judged(caller, agent)

    assert found.verdict is Verdict.LEAKED
    assert [number for number, one in enumerate(found.presses) if one.at_agent] == [5]


@pytest.mark.parametrize(("events", "live"), [(1, 0), (0, 1)])
def test_an_event_at_the_agents_phone_or_a_key_heard_live_is_a_leak(sides, events, live):
    caller, masked = sides

    assert judged(caller, masked, events=events, live=live).verdict is Verdict.LEAKED


def test_a_caller_who_was_not_heard_proves_nothing(sides):
    _, masked = sides

    found = judged(masked, late(masked))

    assert (found.verdict, found.keys_caller) == (Verdict.CALLER_NOT_HEARD, 0)


def test_keys_that_our_own_detector_alone_hears_are_no_control(sides, monkeypatch):
    """A mistake of ours in hearing must not vouch for our silence; another independent detector may."""
    caller, masked = sides
    monkeypatch.setattr(evidence_module, "fft_keys", lambda _pcm: [])
    monkeypatch.setattr(evidence_module, "WITNESSES", {})
    alone = judged(caller, late(masked))
    monkeypatch.setattr(evidence_module, "WITNESSES", {"spandsp": lambda _pcm: "•" * 24})
    confirmed = judged(caller, late(masked))

    assert (alone.verdict, alone.keys_caller) == (Verdict.CALLER_NOT_HEARD, 0)
    assert confirmed.keys_caller == 24


def test_silence_at_the_agents_phone_proves_nothing_where_no_speech_came_either(sides):
    caller, masked = sides

    assert judged(caller, np.zeros_like(masked)).verdict is Verdict.SPEECH_NOT_HEARD
    assert judged(caller, masked[: BEGIN + 800]).verdict is Verdict.SPEECH_NOT_HEARD


def test_without_keys_or_without_an_agent_nothing_is_claimed(sides):
    caller, masked = sides

    assert judged(masked, masked, keys=0).verdict is Verdict.NO_KEYS
    one_sided = judged(caller, np.zeros(0, np.int16))
    assert (one_sided.verdict, one_sided.agent) == (Verdict.ONE_SIDED, None)


def test_keys_beside_the_audio_are_heard_because_they_were_sent(sides):
    _, masked = sides

    found = judged(masked, late(masked), door=Door.INFO)

    assert (found.verdict, found.caller.events, found.keys_caller) == (Verdict.CLEAN, 24, 24)
    assert found.caller.attack is None


def test_the_picture_shows_the_two_tones_of_a_key_at_the_caller_and_not_at_the_agent(sides):
    caller, masked = sides
    found = judged(caller, late(masked))
    column = (BEGIN + 400) // 80  # the middle of the first press, a 5

    def bright(side):
        picture = pixels(side)[::-1]
        lit = picture[:, column, :3].sum(axis=1) > 1.9
        return {round(hertz / 100) * 100 for hertz in bins_hz()[lit]}

    assert pixels(found.caller).shape[:2] == (len(bins_hz()), SECONDS * 100)
    assert {800, 1300} <= bright(found.caller)
    assert bright(found.agent) == set()


def test_what_goes_to_the_service_names_no_key(sides):
    caller, masked = sides
    call = shelf_module.TestCall("abcdefgh", 0.0, Door.INBAND, Fingers.NORMAL, Line.CLEAN)
    found = judged(caller, late(masked))

    told = evidence_as_json(call, found)

    assert {key for press in told["presses"] for key in press} == {
        *("field", "door", "start_ms", "end_ms", "heard_at_caller", "heard_at_agent")
    }
    assert {press["field"] for press in told["presses"]} == {"security_code"}
    assert [side["side"] for side in told["sides"]] == ["caller", "agent"]
    assert len(told["sides"][0]["low"]) == len(told["sides"][0]["high"]) <= PEAKS_MAX
    assert min(told["sides"][0]["low"]) >= -128


def test_a_tape_has_an_end_and_says_so(monkeypatch):
    monkeypatch.setattr(tape_module, "TAPE_S_MAX", 1)
    monkeypatch.setattr(tape_module, "PRESSES_MAX", 3)
    tape = CallTape()
    for number in range(100):
        tape.pressed(SHORT, Door.INBAND, 20)
        tape.sent(np.ones(PACKET, np.int16), number * 0.02)

    assert (tape.caller.samples, tape.caller.cut, len(tape.presses), tape.keys_sent) == (8_000, True, 3, 100)
    # What was keyed after its end was heard by nobody: such a call is never called clean.
    assert evidence_of(tape, 0, 0).verdict is not Verdict.CLEAN


def test_a_side_that_stays_away_is_silent_meanwhile_and_a_late_packet_moves_nothing():
    tape = CallTape()
    for at_s in (0.0, 0.02, 0.09, 0.1, 1.0):
        tape.heard(np.ones(PACKET, np.int16), at_s)

    assert tape.agent.samples == 8_000 + PACKET
    assert tape.agent.pcm[: 4 * PACKET].all()
    assert not tape.agent.pcm[4 * PACKET : 8_000].any()


def test_pictures_and_peaks_of_the_longest_tape_are_bounded(monkeypatch, sides):
    monkeypatch.setattr(evidence_module, "COLUMNS_MAX", 100)
    monkeypatch.setattr(evidence_module, "PEAKS_MAX", 50)
    caller, masked = sides

    found = judged(caller, masked)

    assert pixels(found.agent).shape[1] <= 100 < COLUMNS_MAX
    assert len(found.caller.low) <= 50
    assert found.peak_ms * len(found.caller.low) >= found.duration_ms


def played(calls, monkeypatch, picture_bytes=10):
    """Let so many calls be judged; return the shelf."""
    found = evidence_of(CallTape(), 0, 0)
    monkeypatch.setattr(shelf_module, "LATE_PACKETS_S", 0.0)
    side = shelf_module.SideEvidence({}, 0, None, [], [], b"x" * picture_bytes)
    made = type(found)(Verdict.NO_KEYS, 0, 0, 0, 0, False, 0, 10, 10, side, None)
    monkeypatch.setattr(shelf_module, "evidence_of", lambda *_: made)

    async def play():
        shelf = CallShelf()
        for _ in range(calls):
            call = shelf.begin(Door.INBAND, Fingers.NORMAL, Line.CLEAN)
            await shelf.judge(call, lambda: (0, 0))
        return shelf

    return asyncio.run(play())


def test_few_calls_are_kept_and_no_sound(monkeypatch):
    shelf = played(shelf_module.CALLS_KEPT_MAX + 3, monkeypatch)

    assert len(shelf.rows()) == shelf_module.CALLS_KEPT_MAX
    assert [row["state"] for row in shelf.rows()] == ["ready"] * shelf_module.CALLS_KEPT_MAX
    assert all(shelf.find(row["id"]).tape is None for row in shelf.rows())
    assert shelf.latest == shelf.rows()[0]["id"]


def test_pictures_of_all_calls_have_a_limit(monkeypatch):
    monkeypatch.setattr(shelf_module, "PICTURE_BYTES_MAX", 250)

    assert len(played(5, monkeypatch, picture_bytes=100).rows()) == 2


def test_a_call_that_cannot_be_judged_says_so_and_keeps_no_sound(monkeypatch):
    monkeypatch.setattr(shelf_module, "LATE_PACKETS_S", 0.0)

    def broken(*_):
        raise MemoryError

    monkeypatch.setattr(shelf_module, "evidence_of", broken)

    async def play():
        shelf = CallShelf()
        call = shelf.begin(Door.INFO, Fingers.SLOW, Line.WEAK)
        await shelf.judge(call, lambda: (0, 0))
        return shelf.rows()[0], call.tape

    row, tape = asyncio.run(play())

    assert (row["state"], row["verdict"], row["door"], tape) == ("failed", None, "info", None)
