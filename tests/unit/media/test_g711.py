"""ITU-T G.711: codes, companding error and the two laws' fixed points."""

import numpy as np
import pytest
import soundfile

from dtmf_shield.media.codecs import g711

LAWS = [
    ("ULAW", g711.encode_ulaw, g711.decode_ulaw, g711.PCMU_SILENCE),
    ("ALAW", g711.encode_alaw, g711.decode_alaw, g711.PCMA_SILENCE),
]
ALL_PCM = np.arange(-32768, 32768, dtype=np.int16)
ALL_CODES = np.arange(256, dtype=np.uint8)


@pytest.mark.parametrize(("subtype", "encode", "decode", "silence"), LAWS)
def test_decoding_agrees_with_libsndfile_for_every_code(tmp_path, subtype, encode, decode, silence):
    path = tmp_path / "codes.raw"
    path.write_bytes(ALL_CODES.tobytes())
    theirs, _ = soundfile.read(
        path, dtype="int16", samplerate=8000, channels=1, subtype=subtype, format="RAW"
    )

    ours = np.zeros(256, np.int16)
    decode(ALL_CODES, ours)

    assert np.array_equal(ours, theirs)


@pytest.mark.parametrize(("subtype", "encode", "decode", "silence"), LAWS)
def test_every_code_survives_a_round_trip(subtype, encode, decode, silence):
    pcm, codes = np.zeros(256, np.int16), np.zeros(256, np.uint8)

    decode(ALL_CODES, pcm)
    encode(pcm, codes)

    different = ALL_CODES[codes != ALL_CODES]
    # µ-law has two zeros; the negative one becomes the positive one.
    assert different.tolist() in ([], [0x7F])


@pytest.mark.parametrize(("subtype", "encode", "decode", "silence"), LAWS)
def test_companding_error_stays_within_half_a_step(subtype, encode, decode, silence):
    codes, back = np.zeros(65536, np.uint8), np.zeros(65536, np.int16)

    encode(ALL_PCM, codes)
    decode(codes, back)

    inside = np.abs(ALL_PCM.astype(int)) <= 32635 - 512
    error = np.abs(back.astype(int) - ALL_PCM.astype(int))[inside]
    magnitude = np.abs(ALL_PCM.astype(int))[inside]
    assert np.all(error <= np.maximum(8, (magnitude + 132) / 32))


@pytest.mark.parametrize(("subtype", "encode", "decode", "silence"), LAWS)
def test_a_zero_sample_has_the_silence_code(subtype, encode, decode, silence):
    codes = np.zeros(1, np.uint8)

    encode(np.zeros(1, np.int16), codes)

    assert codes[0] == silence
