"""A build: recordings first, nothing twice, one bad piece spoils no other. The engine is a stub that counts."""

import numpy as np
import pytest
import soundfile

from dtmf_shield.prompts import build
from dtmf_shield.prompts.build import BuildOptions, build_language
from dtmf_shield.prompts.engines.engine import Voice
from dtmf_shield.prompts.errors import EngineError, MissingEngineError
from dtmf_shield.prompts.names import literal_name
from dtmf_shield.prompts.sound.shaping import Sound
from dtmf_shield.prompts.store import PromptStore, StoredForm
from dtmf_shield.prompts.wanted import WantedPiece


class StubEngine:
    """Says 100 ms a word; fails at "unspeakable"."""

    name = "stub"

    def __init__(self):
        self.said = []

    def speak(self, segment, voice):
        self.said.append((segment.text, segment.rate_percent))
        if "unspeakable" in segment.text:
            raise EngineError("stub failed with status 1: it cannot")
        t = np.arange(1_600 * len(segment.text.split())) / 16_000
        return Sound(0.1 * np.sin(2 * np.pi * (500 + 10 * len(segment.text)) * t), 16_000)


@pytest.fixture
def engine(monkeypatch):
    stub = StubEngine()
    voice = Voice("stub", "1", "voice", draft=True)
    monkeypatch.setattr(build, "choose", lambda name, language, voices: (stub, voice))
    return stub


def wanted(*texts):
    return [
        WantedPiece(literal_name(text), text, (f"p{i}", literal_name(text)), f"prompt p{i}")
        for i, text in enumerate(texts)
    ]


def run(tmp_path, pieces, hears=lambda packets: 0, recordings=None, engine="auto"):
    options = BuildOptions(tmp_path / "out", recordings, engine)
    return build_language("en-GB", pieces, options, hears, lambda *done: None)


def record(tmp_path, name, tone_hz=700.0):
    folder = tmp_path / "prompts" / "en-GB"
    folder.mkdir(parents=True, exist_ok=True)
    t = np.arange(22_050) / 44_100
    soundfile.write(folder / f"{name}.wav", 0.2 * np.sin(2 * np.pi * tone_hz * t), 44_100)
    return tmp_path / "prompts"


def pieces_of(tmp_path):
    return PromptStore.open(tmp_path / "out").language("en-GB")


def test_a_build_says_every_piece_once_and_marks_the_draft_voice(tmp_path, engine):
    report = run(tmp_path, wanted("One.", "One two."))

    assert [text for text, _ in engine.said] == ["One.", "One two."]
    assert (report.pieces, report.built, report.kept, report.draft) == (5, 2, 0, 2)
    assert report.findings == []
    row = pieces_of(tmp_path).piece(literal_name("One two."))
    assert (row.engine, row.voice, row.version, row.draft, row.wav) == ("stub", "voice", "1", True, "p1")
    assert row.duration_ms == pytest.approx(240, abs=60)
    assert -18 < row.loudness_lufs < -14


def test_pauses_are_there_in_every_language(tmp_path, engine):
    run(tmp_path, wanted("One."))

    assert pieces_of(tmp_path).piece("pause-200").duration_ms == 200
    assert set(pieces_of(tmp_path).packets("pause-400", StoredForm.PCMA)) <= {0xD5, 0x55}


def test_a_second_build_does_nothing(tmp_path, engine):
    run(tmp_path, wanted("One.", "Two."))
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*") if path.is_file()}
    engine.said.clear()

    report = run(tmp_path, wanted("One.", "Two."))

    assert (report.built, report.kept) == (0, 2)
    assert engine.said == []
    assert {
        path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*") if path.is_file()
    } == files


def test_only_what_changed_is_said_again_and_what_is_not_wanted_goes(tmp_path, engine):
    run(tmp_path, wanted("One.", "Two."))
    kept = bytes(pieces_of(tmp_path).packets(literal_name("One."), StoredForm.PCMU))
    engine.said.clear()

    report = run(tmp_path, wanted("One.", "Three."))

    assert [text for text, _ in engine.said] == ["Three."]
    assert (report.built, report.kept) == (1, 1)
    assert bytes(pieces_of(tmp_path).packets(literal_name("One."), StoredForm.PCMU)) == kept
    assert literal_name("Two.") not in pieces_of(tmp_path)


def test_a_lost_file_is_built_anew(tmp_path, engine):
    run(tmp_path, wanted("One."))
    next((tmp_path / "out" / "en-GB").glob("alaw-*.bin")).unlink()

    report = run(tmp_path, wanted("One."))

    assert report.built == 1
    assert literal_name("One.") in pieces_of(tmp_path)


def test_another_version_of_the_engine_is_another_voice(tmp_path, engine, monkeypatch):
    run(tmp_path, wanted("One."))
    monkeypatch.setattr(build, "choose", lambda *_: (engine, Voice("stub", "2", "voice")))

    report = run(tmp_path, wanted("One."))

    assert (report.built, report.draft) == (1, 0)


def test_a_recording_comes_before_every_engine(tmp_path, engine):
    recordings = record(tmp_path, "p0")

    report = run(tmp_path, wanted("One.", "Two."), recordings=recordings)

    assert [text for text, _ in engine.said] == ["Two."]
    row = pieces_of(tmp_path).piece(literal_name("One."))
    assert (row.engine, row.voice, row.draft, row.text) == ("recorded", "p0.wav", False, "One.")
    assert report.draft == 1


def test_a_new_recording_takes_the_place_of_an_old_one(tmp_path, engine):
    run(tmp_path, wanted("One."), recordings=record(tmp_path, "p0"))
    before = bytes(pieces_of(tmp_path).packets(literal_name("One."), StoredForm.PCMU))

    report = run(tmp_path, wanted("One."), recordings=record(tmp_path, "p0", tone_hz=900.0))

    assert report.built == 1
    assert bytes(pieces_of(tmp_path).packets(literal_name("One."), StoredForm.PCMU)) != before


def test_with_recordings_only_what_is_not_recorded_is_a_finding(tmp_path, monkeypatch):
    report = run(tmp_path, wanted("One.", "Two."), recordings=record(tmp_path, "p0"), engine="recorded")

    assert report.built == 1
    assert report.findings == [
        f"language en-GB: prompt p1 ({literal_name('Two.')}): no file prompts/en-GB/p1.wav; record it"
    ]


def test_a_recording_that_is_not_there_and_has_no_text_is_a_finding(tmp_path, engine):
    music = WantedPiece("r-music", "", ("music",), "flow pay, prompt wait")

    report = run(tmp_path, [music, *wanted("One.")])

    assert report.findings == [
        "language en-GB: flow pay, prompt wait (r-music): no file prompts/en-GB/music.wav; record it, or give its text"
    ]
    assert literal_name("One.") in pieces_of(tmp_path)


def test_one_bad_piece_spoils_no_other(tmp_path, engine):
    report = run(tmp_path, wanted("unspeakable", "One.", "<phoneme ph='x'>y</phoneme>", "a" * 1_300))

    assert len(report.findings) == 3
    assert report.built == 1
    assert any("stub failed with status 1: it cannot" in finding for finding in report.findings)
    assert any("1300 characters; at most 1200" in finding for finding in report.findings)


def test_a_finding_comes_again_at_every_build_until_it_is_mended(tmp_path, engine):
    run(tmp_path, wanted("unspeakable", "One."))

    assert len(run(tmp_path, wanted("unspeakable", "One.")).findings) == 1
    assert run(tmp_path, wanted("One.")).findings == []


def test_breaks_and_rates_reach_the_engine_and_the_sound(tmp_path, engine):
    run(tmp_path, wanted('One <break time="1s"/><prosody rate="80%">two</prosody>'))

    assert engine.said == [("One", 100), ("two", 80)]
    (row,) = [row for name, row in pieces_of(tmp_path).pieces.items() if name.startswith("t-")]
    assert row.duration_ms == pytest.approx(1_240, abs=80)


def test_a_piece_in_which_a_key_is_heard_is_said_slower_or_faster(tmp_path, engine):
    answers = iter([1, 1, 0])

    report = run(tmp_path, wanted("One."), hears=lambda packets: next(answers))

    assert engine.said == [("One.", 100), ("One.", 95), ("One.", 105)]
    assert report.findings == []


def test_a_piece_in_which_a_key_is_always_heard_is_refused(tmp_path, engine):
    report = run(tmp_path, wanted("One."), hears=lambda packets: 1)

    assert (
        "a keypad tone is heard in it as stub says it; word it otherwise, or record it" in report.findings[0]
    )
    assert literal_name("One.") not in pieces_of(tmp_path)


def test_a_recording_in_which_a_key_is_heard_is_refused(tmp_path, engine):
    report = run(tmp_path, wanted("One."), hears=lambda packets: 1, recordings=record(tmp_path, "p0"))

    assert "p0.wav: a keypad tone is heard in it; record it again" in report.findings[0]


def test_without_an_engine_nothing_is_built_and_the_old_store_stays(tmp_path, engine, monkeypatch):
    run(tmp_path, wanted("One."))

    def missing(*_):
        raise MissingEngineError("language en-GB: no installed engine speaks it; apt-get install espeak-ng")

    monkeypatch.setattr(build, "choose", missing)
    with pytest.raises(MissingEngineError):
        run(tmp_path, wanted("One.", "Two."))
    assert literal_name("One.") in pieces_of(tmp_path)


def test_two_pieces_that_want_one_wav_name_get_two(tmp_path, engine):
    same = [WantedPiece(literal_name(text), text, ("sorry",), "prompt") for text in ("One.", "Two.")]

    run(tmp_path, same)

    rows = pieces_of(tmp_path).pieces
    assert rows[literal_name("One.")].wav == "sorry"
    assert rows[literal_name("Two.")].wav == literal_name("Two.")


def test_progress_counts_up_to_what_is_built(tmp_path, engine):
    seen = []
    options = BuildOptions(tmp_path / "out")

    build_language(
        "en-GB", wanted("One.", "Two."), options, lambda packets: 0, lambda *done: seen.append(done)
    )

    assert seen == [("en-GB", 0, 2), ("en-GB", 1, 2), ("en-GB", 2, 2)]
