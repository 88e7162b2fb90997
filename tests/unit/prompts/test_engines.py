"""Engines as separate processes: the real ones that Debian has, and stubs for what real ones do rarely."""

import numpy as np
import pytest
import soundfile

from dtmf_shield.prompts.engines import engine, espeak_ng, flite, piper, recorded
from dtmf_shield.prompts.engines.choice import choose
from dtmf_shield.prompts.engines.engine import Voice
from dtmf_shield.prompts.errors import EngineError, MissingEngineError, PromptError
from dtmf_shield.prompts.script import Segment

PIPER_STUB = """#!/bin/sh
# Like piper's command line: --model M --length-scale L --output_file F, text on standard input.
printf '%s\\n' "$@" > "$0.arguments"
cat > "$0.text"
cp "$0.wav" "$6"
"""


@pytest.fixture
def only_path(tmp_path, monkeypatch):
    """An empty folder that is the whole PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def install(folder, name, script):
    path = folder / name
    path.write_text(script)
    path.chmod(0o755)
    return path


def seconds(sound):
    return len(sound.samples) / sound.sample_rate_hz


@pytest.mark.parametrize(
    ("language", "voice"),
    [
        ("en-GB", "en-gb"),
        ("en-US", "en-us"),
        ("de-DE", "de"),
        ("fr-FR", "fr-fr"),
        ("es-ES", "es"),
        ("de-CH", "de"),
    ],
)
def test_espeak_ng_speaks_every_language_in_a_draft_voice(language, voice):
    speaker = espeak_ng.installed()

    found = speaker.voice(language)
    sound = speaker.speak(Segment("1 2 3"), found)

    assert (found.name, found.draft, found.engine) == (voice, True, "espeak-ng")
    assert found.version[0].isdigit()
    assert seconds(sound) > 0.5
    assert np.abs(sound.samples).max() > 0.05


def test_espeak_ng_says_none_for_a_language_it_does_not_have():
    assert espeak_ng.installed().voice("xx-XX") is None


def test_flite_speaks_english_only():
    speaker = flite.installed()

    voice = speaker.voice("en-GB")

    assert (voice.engine, voice.name, voice.draft) == ("flite", "slt", False)
    assert seconds(speaker.speak(Segment("twenty-one"), voice)) > 0.4
    assert speaker.voice("de-DE") is None


@pytest.mark.parametrize("speaker", [espeak_ng.installed(), flite.installed()], ids=["espeak-ng", "flite"])
def test_a_rate_makes_speech_longer_and_text_is_never_read_as_an_option(speaker):
    voice = speaker.voice("en-GB")
    text = "-v --help is what he said"

    assert seconds(speaker.speak(Segment(text, 60), voice)) > 1.3 * seconds(
        speaker.speak(Segment(text), voice)
    )


def test_piper_is_given_model_rate_and_text_and_its_model_is_its_version(only_path, tmp_path, monkeypatch):
    stub = install(only_path, "piper", PIPER_STUB)
    monkeypatch.setenv("PATH", f"{only_path}:/usr/bin:/bin")
    soundfile.write(f"{stub}.wav", np.full(2_205, 0.5), 22_050)
    voices = tmp_path / "voices"
    voices.mkdir()
    (voices / "fr_FR-siwis-medium.onnx").write_bytes(b"model")

    speaker, voice = choose("auto", "fr-CA", voices)
    sound = speaker.speak(Segment("Bonjour\n à tous", 80), voice)

    assert (voice.engine, voice.name, voice.draft) == ("piper", "fr_FR-siwis-medium.onnx", False)
    assert seconds(sound) == pytest.approx(0.1)
    assert (only_path / "piper.text").read_text() == "Bonjour à tous\n"
    arguments = (only_path / "piper.arguments").read_text().split("\n")
    assert arguments[:4] == ["--model", str(voices / voice.name), "--length-scale", "1.250"]
    (voices / "fr_FR-siwis-medium.onnx").write_bytes(b"another model")
    assert choose("piper", "fr-FR", voices)[1].version != voice.version


def test_auto_takes_flite_for_english_and_espeak_ng_for_others():
    assert choose("auto", "en-GB")[1].engine == "flite"
    assert choose("auto", "de-DE")[1].engine == "espeak-ng"
    assert choose("recorded", "de-DE") is None


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("espeak-ng", "language de-DE: no installed engine speaks it; apt-get install espeak-ng"),
        ("flite", "apt-get install flite"),
        ("piper", "pip install piper-tts"),
        ("auto", "pip install piper-tts.*; or apt-get install flite; or apt-get install espeak-ng"),
    ],
)
def test_a_missing_engine_is_named_with_how_to_install_it(only_path, name, sentence):
    with pytest.raises(MissingEngineError, match=sentence):
        choose(name, "de-DE")


def test_a_missing_voice_is_named_with_what_else_to_do():
    with pytest.raises(
        MissingEngineError, match="language de-DE: flite has no voice for it; use --engine auto"
    ):
        choose("flite", "de-DE")


def test_an_engine_that_fails_says_why(only_path):
    install(only_path, "espeak-ng", "#!/bin/sh\necho no such data >&2\nexit 3\n")

    with pytest.raises(EngineError, match="espeak-ng failed with status 3: no such data"):
        espeak_ng.EspeakNg().speak(Segment("a"), Voice("espeak-ng", "1", "en"))


def test_an_engine_that_hangs_is_ended(only_path):
    install(only_path, "slow", "#!/bin/sh\nexec /bin/sleep 60\n")

    with pytest.raises(EngineError, match=r"slow did not answer within 0\.2 s"):
        engine.run(["slow"], timeout_s=0.2)


def test_an_engine_that_writes_no_sound_is_said_so(only_path):
    install(only_path, "espeak-ng", "#!/bin/sh\necho hello\n")

    with pytest.raises(EngineError, match="espeak-ng wrote no WAV file"):
        espeak_ng.EspeakNg().speak(Segment("a"), Voice("espeak-ng", "1", "en"))


def test_a_program_that_is_gone_is_said_so(only_path):
    with pytest.raises(EngineError, match="the program flite is not installed"):
        engine.run(["flite"])


def test_recordings_are_found_by_language_and_by_any_of_their_names(tmp_path):
    folder = tmp_path / "prompts"
    (folder / "en-GB").mkdir(parents=True)
    soundfile.write(folder / "en-GB" / "sorry.wav", np.full(4_410, 0.25), 44_100)

    path = recorded.find(folder, "en-GB", ("pardon", "sorry"))

    assert path == folder / "en-GB" / "sorry.wav"
    assert seconds(recorded.read(path)) == pytest.approx(0.1)
    assert recorded.find(folder, "fr-FR", ("sorry",)) is None
    assert recorded.find(None, "en-GB", ("sorry",)) is None


def test_a_recording_is_mixed_to_mono_and_headerless_ones_are_read(tmp_path):
    stereo, headerless = tmp_path / "a.wav", tmp_path / "b.ul"
    soundfile.write(stereo, np.stack((np.full(800, 0.5), np.zeros(800)), axis=1), 8_000)
    headerless.write_bytes(bytes([0x80]) * 800)

    assert recorded.read(stereo).samples == pytest.approx(np.full(800, 0.25), abs=1e-3)
    assert recorded.read(headerless).samples == pytest.approx(np.full(800, 32_124 / 32_768), abs=1e-3)


def test_a_recordings_content_is_its_version(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(b"one")
    first = recorded.voice_of(path)
    path.write_bytes(b"two")

    assert recorded.voice_of(path).version != first.version


@pytest.mark.parametrize(
    ("octets", "sentence"),
    [(b"not audio at all", "is not audio that is read here; save it as WAV, PCM16"), (b"", "is not audio")],
)
def test_what_is_no_audio_is_refused(tmp_path, octets, sentence):
    path = tmp_path / "a.wav"
    path.write_bytes(octets)

    with pytest.raises(PromptError, match=sentence):
        recorded.read(path)


def test_a_rate_that_no_telephone_can_use_is_refused(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(100), 4_000)

    with pytest.raises(PromptError, match="sampled at 4000 Hz; allowed: 8000 to 96000 Hz"):
        recorded.read(tmp_path / "a.wav")


def test_no_voices_no_piper(only_path):
    install(only_path, "piper", PIPER_STUB)

    assert piper.installed(None) is None
