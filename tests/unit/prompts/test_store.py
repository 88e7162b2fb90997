"""The store as calls read it: ready packets, typed errors, no engine anywhere near."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from dtmf_shield.media.codecs import g711
from dtmf_shield.prompts.errors import MissingPieceError, StoreError, UnknownLanguageError
from dtmf_shield.prompts.sound.shaping import Shaped, silence
from dtmf_shield.prompts.store import LANGUAGES_MAX, PIECES_MAX, PromptStore, StoredForm
from dtmf_shield.prompts.store_writer import StoredPiece, decoded, encoded, packets_of, write_language


def tone(packets, tone_hz):
    t = np.arange(packets * 160) / 8_000
    narrow = np.rint(8_000 * np.sin(2 * np.pi * tone_hz * t)).astype(np.int16)
    return Shaped(narrow, np.repeat(narrow, 2), -16.0)


def piece(name, shaped, **others):
    values = {
        "name": name,
        "text": name,
        "engine": "none",
        "voice": "",
        "version": "1",
        "draft": False,
        "sha256": f"hash of {name}",
        "loudness_lufs": -16.0,
        "wav": name,
        "packets": packets_of(shaped),
    }
    return StoredPiece(**{**values, **others})


ONE, TWO = tone(3, 440), tone(5, 880)
PIECES = [piece("one", ONE), piece("two", TWO), piece("uno", ONE, sha256="hash of one", draft=True)]


@pytest.fixture
def store(tmp_path):
    write_language(tmp_path, "en-GB", PIECES)
    opened = PromptStore.open(tmp_path)
    yield opened
    opened.close()


def test_packets_are_ready_for_every_codec(store):
    pieces = store.language("en-GB")

    assert bytes(pieces.packets("two", StoredForm.PCMU)) == encoded(TWO.narrow, StoredForm.PCMU)
    assert bytes(pieces.packets("two", StoredForm.PCMA)) == encoded(TWO.narrow, StoredForm.PCMA)
    assert bytes(pieces.packets("two", StoredForm.PCM16_WIDE)) == TWO.wide.tobytes()
    assert len(pieces.packets("one", StoredForm.PCMU)) == 3 * 160
    assert pieces.piece("two").duration_ms == 100
    assert "two" in pieces
    assert "three" not in pieces


def test_one_sound_under_two_names_is_stored_once(store, tmp_path):
    pieces = store.language("en-GB")

    assert bytes(pieces.packets("uno", StoredForm.PCMU)) == bytes(pieces.packets("one", StoredForm.PCMU))
    assert pieces.piece("uno").draft
    assert next((tmp_path / "en-GB").glob("ulaw-*.bin")).stat().st_size == 8 * 160


@pytest.mark.parametrize(
    ("form", "encode"), [(StoredForm.PCMU, g711.encode_ulaw), (StoredForm.PCMA, g711.encode_alaw)]
)
def test_codes_are_those_of_the_media_process(form, encode):
    """Two encoders, one law: never more than one step apart, and the same for what a leg sends."""
    pcm = np.arange(-32_768, 32_768, 7).astype(np.int16)
    ours = np.zeros(len(pcm), np.uint8)
    encode(pcm, ours)

    theirs = np.frombuffer(encoded(pcm, form), np.uint8)

    back = {StoredForm.PCMU: g711.ULAW_DECODE, StoredForm.PCMA: g711.ALAW_DECODE}[form]
    step = np.maximum(np.abs(pcm.astype(int)) / 16, 16)
    assert (np.abs(back[ours].astype(int) - back[theirs].astype(int)) <= step).all()
    assert (decoded(theirs.tobytes(), form) == back[theirs]).all()


def test_wav_files_are_what_a_caller_hears(store, tmp_path):
    pcm, rate = soundfile.read(tmp_path / "en-GB" / "wav" / "two.wav", dtype="int16")

    assert rate == 8_000
    assert soundfile.info(tmp_path / "en-GB" / "wav" / "two.wav").subtype == "PCM_16"
    assert (pcm == decoded(encoded(TWO.narrow, StoredForm.PCMU), StoredForm.PCMU)).all()


def test_a_missing_piece_is_named_with_its_language(store):
    with pytest.raises(
        MissingPieceError, match="language en-GB: the piece n-7 is not built; run: "
    ) as missing:
        store.language("en-GB").packets("n-7", StoredForm.PCMU)
    assert (missing.value.language, missing.value.piece) == ("en-GB", "n-7")


def test_a_missing_language_is_named_with_those_there_are(store):
    with pytest.raises(UnknownLanguageError, match=r"language it-IT: no prompts are built \(built: en-GB\)"):
        store.language("it-IT")


def test_where_nothing_was_built_there_is_no_language(tmp_path):
    assert PromptStore.open(tmp_path / "nowhere").languages == ()


def test_a_store_that_is_open_outlives_a_new_build(store, tmp_path):
    before = bytes(store.language("en-GB").packets("one", StoredForm.PCMU))

    write_language(tmp_path, "en-GB", [piece("one", silence(200), sha256="new")])

    assert bytes(store.language("en-GB").packets("one", StoredForm.PCMU)) == before
    renewed = PromptStore.open(tmp_path).language("en-GB")
    assert set(renewed.pieces) == {"one"}
    assert set(renewed.packets("one", StoredForm.PCMU)) == {0xFF}
    assert len(list((tmp_path / "en-GB").glob("*.bin"))) == 3
    assert [path.name for path in (tmp_path / "en-GB" / "wav").iterdir()] == ["one.wav"]


def spoil(folder, what):
    index = folder / "index.json"
    match what:
        case "cut index":
            index.write_bytes(index.read_bytes()[:50])
        case "other version":
            index.write_bytes(index.read_bytes().replace(b'"format": 1', b'"format": 9'))
        case "unknown key":
            index.write_bytes(index.read_bytes().replace(b'"format"', b'"speed": 1, "format"'))
        case "short packets":
            path = next(folder.glob("ulaw-*.bin"))
            path.write_bytes(path.read_bytes()[:-1])
        case "no packets":
            next(folder.glob("wide-*.bin")).unlink()


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        ("cut index", "index.json is no index of this version; delete .* and build again"),
        ("other version", "is no index of this version"),
        ("unknown key", "is no index of this version"),
        ("short packets", "has 1279 octets, its index says 1280; delete"),
        ("no packets", "cannot be mapped"),
    ],
)
def test_a_spoiled_store_is_refused_with_what_to_do(tmp_path, what, sentence):
    write_language(tmp_path, "en-GB", PIECES)
    spoil(tmp_path / "en-GB", what)

    with pytest.raises(StoreError, match=sentence):
        PromptStore.open(tmp_path)


def test_a_place_that_cannot_be_written_is_said_so(tmp_path):
    (tmp_path / "en-GB").write_text("a file in the way")

    with pytest.raises(StoreError, match=r"en-GB cannot be written .* name another directory \(--out\)"):
        write_language(tmp_path, "en-GB", PIECES)


def test_a_folder_that_is_no_store_is_refused(tmp_path):
    for number in range(LANGUAGES_MAX + 1):
        (tmp_path / str(number)).mkdir()

    with pytest.raises(StoreError, match="holds 65 folders, at most 64; is it a store of prompts"):
        PromptStore.open(tmp_path)


def test_a_language_of_too_many_pieces_is_refused(tmp_path):
    with pytest.raises(StoreError, match="language en-GB: 20001 pieces, at most 20000"):
        write_language(tmp_path, "en-GB", PIECES[:1] * (PIECES_MAX + 1))


def test_a_store_of_nothing_can_be_read(tmp_path):
    write_language(tmp_path, "en-GB", [])

    assert dict(PromptStore.open(tmp_path).language("en-GB").pieces) == {}


def test_what_calls_use_loads_no_engine_and_no_arrays():
    """Nothing is synthesized during a call: reader and grammars reach neither an engine nor a way to start one."""
    program = (
        "import sys, dtmf_shield.prompts.store, dtmf_shield.prompts.spoken;"
        "print(*[m for m in sys.modules if m.startswith(('dtmf_shield.prompts.engines', 'dtmf_shield.prompts.build',"
        "'dtmf_shield.prompts.sound', 'subprocess', 'scipy', 'numpy', 'soundfile'))])"
    )

    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert loaded.stdout.split() == []


def test_pieces_keep_their_order_and_places(tmp_path):
    index = write_language(tmp_path, "en-GB", [replace(each) for each in PIECES])

    assert [(row.first_packet, row.packets) for row in index.pieces.values()] == [(0, 3), (3, 5), (0, 3)]
    assert index.packets == 8
