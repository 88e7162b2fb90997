"""`detect` and `mask` over files: forms, formats and the errors an operator sees."""

import numpy as np
import pytest
import soundfile
from scipy.signal import resample_poly

from dtmf_shield.base.errors import OperatorError
from dtmf_shield.media.codecs import g711
from dtmf_shield.service.file_analysis import detect_file, mask_file
from tests.vectors.dtmf_signal import Recipe, key_stream

STREAM = key_stream(Recipe(repetitions=1, keys="4A0#", snr_db=35), 31)
FORMATS = [(8000, "PCM_16"), (8000, "ULAW"), (8000, "ALAW"), (16000, "PCM_16"), (16000, "ULAW")]


def at_rate(pcm, sample_rate_hz):
    if sample_rate_hz == 8000:
        return pcm
    return resample_poly(pcm.astype(float), sample_rate_hz, 8000).astype(np.int16)


@pytest.mark.parametrize(("sample_rate_hz", "subtype"), FORMATS)
def test_keys_are_found_in_every_format(tmp_path, sample_rate_hz, subtype):
    path = tmp_path / "keys.wav"
    soundfile.write(path, at_rate(STREAM.pcm, sample_rate_hz), sample_rate_hz, subtype=subtype)

    report = detect_file(path, reveal=True)

    assert set(report) == {"file", "sample_rate_hz", "digits"}
    assert report["sample_rate_hz"] == sample_rate_hz
    assert [digit["digit"] for digit in report["digits"]] == STREAM.keys
    for digit, onset, end in zip(report["digits"], STREAM.onsets, STREAM.ends, strict=True):
        assert set(digit) == {"digit", "start_ms", "end_ms", "registered_ms", "level_dbm0", "twist_db"}
        assert digit["start_ms"] == pytest.approx(onset / 8, abs=4)
        assert digit["end_ms"] == pytest.approx(end / 8, abs=4)
        assert digit["registered_ms"] % 20 == 0
        assert digit["level_dbm0"] == pytest.approx(-10, abs=0.7)
        assert digit["twist_db"] == pytest.approx(0, abs=0.7)


@pytest.mark.parametrize(("suffix", "encode"), [(".ul", g711.encode_ulaw), (".al", g711.encode_alaw)])
def test_headerless_files_are_read_and_written(tmp_path, suffix, encode):
    codes = np.zeros(len(STREAM.pcm), np.uint8)
    encode(STREAM.pcm, codes)
    path, masked = tmp_path / f"keys{suffix}", tmp_path / f"masked{suffix}"
    path.write_bytes(codes.tobytes())

    assert len(detect_file(path)["digits"]) == 4
    mask_file(path, masked)

    assert masked.stat().st_size == len(codes) + 40
    assert detect_file(masked)["digits"] == []


def test_digits_are_hidden_unless_revealed(tmp_path):
    path = tmp_path / "keys.wav"
    soundfile.write(path, STREAM.pcm, 8000)

    assert {digit["digit"] for digit in detect_file(path)["digits"]} == {"•"}


def test_stereo_channels_are_listened_to_by_themselves(tmp_path):
    path = tmp_path / "both.wav"
    soundfile.write(path, np.stack([np.zeros_like(STREAM.pcm), STREAM.pcm], axis=1), 8000)

    digits = detect_file(path)["digits"]

    assert [digit["channel"] for digit in digits] == [1, 1, 1, 1]


@pytest.mark.parametrize("mode", ["capture", "guard"])
@pytest.mark.parametrize(("sample_rate_hz", "subtype"), FORMATS)
def test_the_masked_file_keeps_rate_channels_and_coding_and_holds_no_key(
    tmp_path, sample_rate_hz, subtype, mode
):
    source, result = tmp_path / "keys.wav", tmp_path / "masked.wav"
    pcm = at_rate(STREAM.pcm, sample_rate_hz)
    soundfile.write(source, np.stack([pcm, pcm], axis=1), sample_rate_hz, subtype=subtype)

    report = mask_file(source, result, mode)

    info = soundfile.info(result)
    assert (info.samplerate, info.channels, info.subtype) == (sample_rate_hz, 2, subtype)
    assert info.frames == len(pcm) + sample_rate_hz * report["added_delay_ms"] / 1000
    assert detect_file(result)["digits"] == []
    assert set(report) == {"added_delay_ms", "masked_ms", "digits_registered"}
    assert report["digits_registered"] == 8
    samples, _ = soundfile.read(result, dtype="int16")
    for onset, end in zip(STREAM.onsets, STREAM.ends, strict=True):
        # One mask may span two keys: in a capture it outlasts each by the time its echo takes.
        assert any(begin <= onset / 8 + 5 and end / 8 + 5 <= until for begin, until in report["masked_ms"])
    for begin_ms, end_ms in report["masked_ms"]:
        inside = samples[int(begin_ms * sample_rate_hz / 1000) : int(end_ms * sample_rate_hz / 1000)]
        assert np.abs(inside).max() < 100


@pytest.mark.parametrize("sample_rate_hz", [8000, 16000])
def test_the_style_of_the_mask_is_chosen(tmp_path, sample_rate_hz):
    source, result = tmp_path / "keys.wav", tmp_path / "masked.wav"
    soundfile.write(source, at_rate(STREAM.pcm, sample_rate_hz), sample_rate_hz)

    report = mask_file(source, result, "capture", "silence")

    samples, _ = soundfile.read(result, dtype="int16")
    for begin_ms, end_ms in report["masked_ms"]:
        assert not samples[int(begin_ms * sample_rate_hz / 1000) : int(end_ms * sample_rate_hz / 1000)].any()
    with pytest.raises(OperatorError, match="Unknown style"):
        mask_file(source, result, "capture", "song")


def test_sound_outside_the_keys_is_kept_at_16_khz(tmp_path):
    source, result = tmp_path / "noise.wav", tmp_path / "masked.wav"
    noise = (np.random.default_rng(1).standard_normal(8000) * 3000).astype(np.int16)
    soundfile.write(source, noise, 16000)

    report = mask_file(source, result)

    kept, _ = soundfile.read(result, dtype="int16")
    assert report["masked_ms"] == []
    assert np.array_equal(kept[80:], noise)


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("missing.wav", None, "cannot be read"),
        ("text.wav", b"this is not audio at all", "not audio"),
        ("empty.wav", b"", "not audio"),
        ("cut.wav", b"RIFF\x24\x00\x00\x00WAVEfmt ", "not audio"),
    ],
)
def test_what_is_no_audio_is_named(tmp_path, name, content, complaint):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(OperatorError, match=complaint) as caught:
        detect_file(path)
    assert name in str(caught.value)


@pytest.mark.parametrize(
    ("shape", "sample_rate_hz", "subtype", "complaint"),
    [
        ((800,), 44100, "PCM_16", "44100 Hz"),
        ((800, 3), 8000, "PCM_16", "3 channels"),
        ((800,), 8000, "PCM_24", "PCM_24"),
    ],
)
def test_formats_that_are_not_read_are_named(tmp_path, shape, sample_rate_hz, subtype, complaint):
    path = tmp_path / "odd.wav"
    soundfile.write(path, np.zeros(shape, np.int16), sample_rate_hz, subtype=subtype)

    with pytest.raises(OperatorError, match=complaint):
        mask_file(path, tmp_path / "out.wav")


def test_results_that_cannot_be_written_are_named(tmp_path):
    source = tmp_path / "keys.wav"
    soundfile.write(source, np.zeros((1600, 2), np.int16), 8000)

    with pytest.raises(OperatorError, match="headerless"):
        mask_file(source, tmp_path / "out.ul")
    with pytest.raises(OperatorError, match="cannot be written"):
        mask_file(source, tmp_path / "no" / "such" / "folder" / "out.wav")
    with pytest.raises(OperatorError, match="Unknown mode"):
        mask_file(source, tmp_path / "out.wav", "loud")


def test_an_empty_recording_has_no_digits(tmp_path):
    path = tmp_path / "empty.wav"
    soundfile.write(path, np.zeros(0, np.int16), 8000)

    assert detect_file(path)["digits"] == []
    assert mask_file(path, tmp_path / "out.wav")["masked_ms"] == []
