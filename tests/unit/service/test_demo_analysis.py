"""The demonstration's judgement: it cries leak when there is one, and trusts no silence without its control."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile

from dtmf_shield.base.errors import OperatorError
from dtmf_shield.phone.door import Door
from dtmf_shield.phone.tones import key_tone, presses
from dtmf_shield.phone.voices import Voice, voice
from dtmf_shield.service.demo.analysis import CallFiles, analyse, listen
from dtmf_shield.service.demo.evidence import Picture, draw_evidence
from dtmf_shield.service.demo.scenario import CallProgress, SentKey
from dtmf_shield.service.demo.summary import CallReport, summary, why_not
from dtmf_shield.service.file_analysis import mask_file

KEYS = "4242424242424242#1228123"
SENT = [SentKey("card number", 1.0 + 0.2 * number, 0.1) for number in range(len(KEYS))]
SUMMARY_KEYS = {
    "door",
    "token",
    "last4",
    "digits_sent",
    "digits_heard_caller_side",
    "digits_heard_agent_side",
    "digits_in_recording",
    "added_delay_ms",
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A keyed call: the caller's audio; the same as the service masks it; a recording of both sides."""
    directory = tmp_path_factory.mktemp("call")
    pcm = voice(Voice.CALLER).astype(int)[:80_000]
    at = 8000
    for press in presses(KEYS, 2):
        tone = key_tone(press.key, press.tone_ms)
        pcm[at : at + len(tone)] += tone
        at += len(tone) + 8 * press.gap_ms
    made = CallFiles(directory / "caller.wav", directory / "agent.wav", directory / "recording.wav")
    soundfile.write(made.caller, np.clip(pcm, -32768, 32767).astype(np.int16), 8000)
    mask_file(made.caller, made.agent)
    shielded, _ = soundfile.read(made.agent, dtype="int16")
    agent = voice(Voice.AGENT)[: len(shielded)]
    soundfile.write(made.recording, np.stack([shielded, agent], axis=1), 8000)
    return made


def report(evidence, **changes):
    progress = CallProgress(evidence.door, sent=list(SENT))
    progress.token = "tok_test"
    progress.outcome = {"token_reference": "tok_…9f3a", "last4": "4242"}
    for name, value in changes.items():
        setattr(progress, name, value)
    return CallReport(progress, evidence, 5.1)


def test_a_shielded_call_is_clean_and_its_control_holds(files):
    evidence = analyse(Door.INBAND, files, SENT, len(KEYS), 0)
    assert evidence.heard_caller_side == len(KEYS)
    assert (evidence.heard_agent_side, evidence.recording.most, evidence.leak) == (0, 0, False)
    assert evidence.control_holds
    assert why_not([report(evidence)]) == ""
    assert summary([report(evidence)])["leak"] is False


def test_unshielded_audio_at_the_agent_is_a_leak(files):
    evidence = analyse(Door.INBAND, replace(files, agent=files.caller), SENT, len(KEYS), 0)
    assert evidence.leak
    assert evidence.heard_agent_side == len(KEYS)
    assert evidence.attacks["agent"].beats_luck
    assert why_not([report(evidence)]).startswith("LEAK on the inband call")
    assert summary([report(evidence)])["leak"] is True


def test_unshielded_audio_in_the_recording_is_a_leak(files):
    evidence = analyse(Door.INBAND, replace(files, recording=files.caller), SENT, len(KEYS), 0)
    assert evidence.leak
    assert evidence.recording.most == len(KEYS)
    assert "recording" in why_not([report(evidence)])


def test_an_event_at_the_agents_phone_is_a_leak(files):
    evidence = analyse(Door.RFC4733, replace(files, caller=files.agent), SENT, len(KEYS), 1)
    assert evidence.leak
    assert evidence.heard_agent_side == 1


def test_keys_beside_the_audio_are_counted_as_sent(files):
    evidence = analyse(Door.INFO, replace(files, caller=files.agent), SENT, len(KEYS), 0)
    assert evidence.heard_caller_side == len(KEYS)
    assert not evidence.leak
    assert [mark.start for mark in evidence.marks[:2]] == [8000, 9600]


def test_a_caller_who_was_not_heard_proves_nothing(files):
    evidence = analyse(Door.INBAND, replace(files, caller=files.agent), SENT, len(KEYS), 0)
    assert not evidence.control_holds
    assert "positive control" in why_not([report(evidence)])


def test_every_installed_detector_hears_the_caller(files):
    heard = listen(files.caller)
    assert set(heard.by_detector.values()) == {len(KEYS)}
    assert {"dtmf-shield", "FFT"} <= set(heard.by_detector)


def test_the_summary_has_exactly_the_agreed_keys(files):
    content = summary([report(analyse(Door.INBAND, files, SENT, len(KEYS), 0))])
    assert set(content) == {"calls", "leak"}
    assert set(content["calls"][0]) == SUMMARY_KEYS
    assert content["calls"][0]["door"] == "inband"
    assert content["calls"][0]["last4"] == "4242"


def test_a_failed_call_is_told_in_one_sentence(files):
    evidence = analyse(Door.INBAND, files, SENT, len(KEYS), 0)
    assert why_not([report(evidence, failure="the gateway gave no result")]) == "the gateway gave no result."
    lost = CallReport(CallProgress(Door.INFO), None, None)
    assert why_not([lost]) == "The info call left no evidence."
    assert summary([lost])["calls"][0]["digits_heard_agent_side"] is None


def test_a_missing_recording_is_an_operators_error(files, tmp_path):
    with pytest.raises(OperatorError, match="missing"):
        analyse(Door.INBAND, replace(files, recording=tmp_path / "none.wav"), SENT, len(KEYS), 0)


def test_the_picture_is_drawn(files, tmp_path):
    evidence = analyse(Door.INBAND, files, SENT, len(KEYS), 0)
    caller, agent = (soundfile.read(path, dtype="int16")[0] for path in (files.caller, files.agent))
    picture = Picture(caller, agent, evidence.lag, evidence.marks, "t", "v", True, "a", "b")
    draw_evidence(picture, tmp_path / "evidence.png")
    assert (tmp_path / "evidence.png").read_bytes().startswith(b"\x89PNG")
