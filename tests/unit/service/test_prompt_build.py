"""Prompts as they are really built: Debian's engines, our detector listening."""

import fcntl
import os

import numpy as np
import pytest
import soundfile

from dtmf_shield.base.errors import OperatorError
from dtmf_shield.media.codecs.g711 import ULAW_DECODE
from dtmf_shield.model.prompt import Formatter, Recording, Text, ValueReference
from dtmf_shield.prompts import wanted
from dtmf_shield.prompts.build import BuildOptions, build_language
from dtmf_shield.prompts.names import literal_name
from dtmf_shield.prompts.sound.shaping import Sound, shaped
from dtmf_shield.prompts.store import PromptStore, StoredForm
from dtmf_shield.prompts.store_writer import packets_of
from dtmf_shield.prompts.wanted import flow_pieces, standard_pieces
from dtmf_shield.service.file_analysis import detect_file, keys_heard
from dtmf_shield.service.prompts import build as prompt_build
from dtmf_shield.service.prompts.build import build_prompts, keys_heard_in
from dtmf_shield.service.prompts.check import FlowPrompts
from tests.vectors.dtmf_signal import Recipe, key_stream

SPOKEN = {"ask": {"en-GB": (Text("Press 1 to pay."),), "de-DE": (Text("Zum Zahlen drücken Sie die Eins."),)}}
FLOW = FlowPrompts("pay", ("en-GB", "de-DE"), SPOKEN)
KEYS = key_stream(Recipe(repetitions=1, keys="42", snr_db=35), 31)


def quiet(*_):
    pass


@pytest.fixture
def few_words(monkeypatch):
    """A language of three words: a whole one takes half a minute."""
    monkeypatch.setattr(prompt_build, "standard_pieces", lambda language: standard_pieces(language)[:3])


def test_flows_are_built_by_the_engines_of_the_machine_and_no_key_is_heard(tmp_path, few_words):
    english, german = build_prompts([FLOW], ("en-GB", "de-DE"), BuildOptions(tmp_path / "out"), quiet)

    assert (english.findings, german.findings) == ([], [])
    assert (english.built, english.draft, german.built, german.draft) == (4, 0, 4, 4)
    store = PromptStore.open(tmp_path / "out")
    ask = store.language("de-DE").piece(literal_name("Zum Zahlen drücken Sie die Eins."))
    assert (ask.engine, ask.draft, ask.wav) == ("espeak-ng", True, "ask")
    assert 1_000 < ask.duration_ms < 5_000
    wav = tmp_path / "out" / "de-DE" / "wav" / "ask.wav"
    assert detect_file(wav)["digits"] == []
    codes = np.frombuffer(store.language("de-DE").packets(literal_name(ask.text), StoredForm.PCMU), np.uint8)
    assert (soundfile.read(wav, dtype="int16")[0] == ULAW_DECODE[codes]).all()


def test_without_a_choice_the_default_languages_and_those_of_flows_are_built(
    tmp_path, few_words, monkeypatch
):
    monkeypatch.setattr(prompt_build, "standard_pieces", lambda language: [])
    monkeypatch.setattr(prompt_build, "DEFAULT_LANGUAGES", ("fr-FR",))

    reports = build_prompts([FLOW], (), BuildOptions(tmp_path / "out", engine="espeak-ng"), quiet)

    assert [report.language for report in reports] == ["fr-FR", "en-GB", "de-DE"]


def test_the_detector_hears_a_key_in_a_prompt_that_has_one():
    """The positive control of every "no key is heard"."""
    assert keys_heard(KEYS.pcm, 8_000) == 2
    assert keys_heard_in(packets_of(shaped(Sound(KEYS.pcm / 32_768, 8_000)))) == 4  # two narrow, two wide


def test_a_recording_with_a_key_in_it_is_refused(tmp_path):
    folder = tmp_path / "prompts" / "en-GB"
    folder.mkdir(parents=True)
    soundfile.write(folder / "ask.wav", KEYS.pcm, 8_000)
    options = BuildOptions(tmp_path / "out", tmp_path / "prompts")

    report = build_language("en-GB", flow_pieces("pay", SPOKEN, "en-GB"), options, keys_heard_in, quiet)

    assert len(report.findings) == 1
    assert "ask.wav: a keypad tone is heard in it; record it again, or without music" in report.findings[0]


@pytest.mark.parametrize("language", ["en-GB", "fr-FR"])
def test_digits_and_long_prompts_hold_no_key(tmp_path, language):
    """The pieces that are played most, said by the engine that is taken by default."""
    digits = [piece for piece in standard_pieces(language) if piece.name in {f"n-{n}" for n in range(10)}]
    asked = [piece for piece in standard_pieces(language) if piece.name == "r-ask_card"]

    report = build_language(language, [*digits, *asked], BuildOptions(tmp_path), keys_heard_in, quiet)

    assert (report.built, report.findings) == (11, [])
    pieces = PromptStore.open(tmp_path).language(language)
    joined = [
        np.frombuffer(pieces.packets(f"n-{digit}", StoredForm.PCMU), np.uint8)
        for digit in (4, 2, 9, 0, 7, 1, 8, 3, 6, 5)
    ]
    assert keys_heard(ULAW_DECODE[np.concatenate(joined)], 8_000) == 0


def test_a_place_that_cannot_be_made_is_said_so(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(OperatorError, match=r"out cannot be made .*name another directory \(--out\)"):
        build_prompts([], ("en-GB",), BuildOptions(tmp_path / "file" / "out"), quiet)


def test_a_recording_that_would_speak_two_texts_is_a_finding(tmp_path, few_words):
    other = FlowPrompts("save", ("en-GB",), {"ask": {"en-GB": (Text("Press 1 to save your card."),)}})
    folder = tmp_path / "prompts" / "en-GB"
    folder.mkdir(parents=True)
    soundfile.write(folder / "ask.wav", 0.2 * np.sin(np.arange(8_000) / 2), 8_000)
    options = BuildOptions(tmp_path / "out", tmp_path / "prompts")

    (report,) = build_prompts([FLOW, other], ("en-GB",), options, quiet)

    assert report.findings == [
        f"language en-GB: {folder / 'ask.wav'} would be heard for two texts "
        "(flow pay, prompt ask; flow save, prompt ask); give one of the prompts another name"
    ]
    assert build_prompts([FLOW], ("en-GB",), options, quiet)[0].findings == []


def test_two_builds_in_one_place_do_not_mix(tmp_path):
    holder = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(holder, fcntl.LOCK_EX)

    with pytest.raises(OperatorError, match="another build is running there; wait for it"):
        build_prompts([], ("en-GB",), BuildOptions(tmp_path), quiet)
    os.close(holder)


def test_a_flow_may_play_a_default_prompt_by_its_name(tmp_path):
    prompts = {"wait": {"de-DE": (Recording("hold.wav"), ValueReference("inputs.amount", Formatter.MONEY))}}

    report = build_language(
        "de-DE", flow_pieces("pay", prompts, "de-DE"), BuildOptions(tmp_path), keys_heard_in, quiet
    )

    assert report.built == 1
    text = PromptStore.open(tmp_path).language("de-DE").piece("r-hold").text
    assert text == wanted.default_texts("de-DE")["hold"]
