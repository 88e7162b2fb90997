"""ITU-T G.722: bit for bit as libspandsp's coder, by a slow twin in the Recommendation's words, and at its edges."""

import numpy as np
import pytest
from scipy import signal

from dtmf_shield.media.codecs.g722 import G722_STATE_DTYPE, decode_g722, encode_g722, reset_g722
from tests.unit.media.g722_twin import TwinCoder
from tests.vectors.spandsp_g722 import SpandspG722

RATE_HZ = 16_000
SECONDS = 2
N = SECONDS * RATE_HZ
T = np.arange(N) / RATE_HZ


def speech_like() -> np.ndarray:
    """Return pulses of a gliding pitch through three formants, with pauses and hiss."""
    rng = np.random.default_rng(7)
    pitch_hz = 110 + 40 * np.sin(2 * np.pi * 1.3 * T)
    pulses = np.diff(np.floor(np.cumsum(pitch_hz) / RATE_HZ), prepend=0.0)
    voice = np.zeros(N)
    for formant_hz, width_hz in ((600, 80), (1700, 120), (5200, 300)):
        radius = np.exp(-np.pi * width_hz / RATE_HZ)
        poles = [1, -2 * radius * np.cos(2 * np.pi * formant_hz / RATE_HZ), radius**2]
        voice += signal.lfilter([1], poles, pulses + 0.02 * rng.normal(size=N))
    return 6000 * voice / np.max(np.abs(voice)) * (np.sin(2 * np.pi * 0.9 * T) > -0.4)


def inputs() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    made = {
        "speech": speech_like(),
        "tone": 8000 * np.sin(2 * np.pi * 1000 * T),
        "key": 4000 * (np.sin(2 * np.pi * 770 * T) + np.sin(2 * np.pi * 1336 * T)),
        "high tone": 20_000 * np.sin(2 * np.pi * 6100 * T),
        "sweep": 12_000 * signal.chirp(T, 20, SECONDS, 7990),
        "noise": rng.normal(0, 3000, N),
        "faint": rng.normal(0, 3, N),
        "silence": np.zeros(N),
        "full scale": 32_767 * np.sin(2 * np.pi * 440 * T),
        "square": np.where(np.sin(2 * np.pi * 440 * T) > 0, 32_767, -32_768),
        "alternating": np.where(np.arange(N) % 2, 32_767, -32_768),
        "random": rng.integers(-32_768, 32_768, N),
        "step": np.where(T > 1, -32_768, 0),
    }
    return {name: np.clip(np.rint(pcm), -32_768, 32_767).astype(np.int16) for name, pcm in made.items()}


INPUTS = inputs()
RANDOM_CODES = np.random.default_rng(5).integers(0, 256, N // 2).astype(np.uint8)


@pytest.fixture
def spandsp():
    try:
        coder = SpandspG722()
    except OSError:
        pytest.fail("libspandsp.so.2 is missing: apt-get install libspandsp2")
    yield coder
    coder.close()


def encoded(pcm: np.ndarray, state: np.ndarray | None = None) -> np.ndarray:
    codes = np.zeros(len(pcm) // 2, np.uint8)
    encode_g722(np.zeros(1, G722_STATE_DTYPE) if state is None else state, 0, pcm, codes)
    return codes


def decoded(codes: np.ndarray, state: np.ndarray | None = None) -> np.ndarray:
    pcm = np.zeros(2 * len(codes), np.int16)
    decode_g722(np.zeros(1, G722_STATE_DTYPE) if state is None else state, 0, codes, pcm)
    return pcm


# --- independent coders ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", INPUTS)
def test_every_octet_is_spandsps(spandsp, name):
    assert np.array_equal(encoded(INPUTS[name]), spandsp.encode(INPUTS[name]))


@pytest.mark.parametrize("name", [*INPUTS, "random codes"])
def test_every_sample_is_spandsps_where_it_does_not_overflow(spandsp, name):
    codes = RANDOM_CODES if name == "random codes" else spandsp.encode(INPUTS[name])

    ours, theirs = decoded(codes), spandsp.decode(codes)

    # Its output wraps around where clause 5 wants the nearest value; ours must then be that.
    differ = ours != theirs
    assert set(ours[differ].tolist()) <= {-32_768, 32_767}
    assert np.array_equal(theirs[differ] < 0, ours[differ] > 0)
    if name in ("speech", "tone", "key", "sweep", "noise", "faint", "silence"):
        assert not differ.any()


@pytest.mark.parametrize("name", ["speech", "random", "square"])
def test_kernels_agree_with_the_slow_twin(name):
    pcm = INPUTS[name][: RATE_HZ // 4]
    twin = TwinCoder()
    codes = [twin.encode(int(pcm[at]), int(pcm[at + 1])) for at in range(0, len(pcm), 2)]
    twin = TwinCoder()
    heard = [sample for code in codes for sample in twin.decode(code)]

    assert encoded(pcm).tolist() == codes
    assert decoded(np.array(codes, np.uint8)).tolist() == heard


def test_twin_agrees_on_random_octets():
    twin = TwinCoder()

    heard = [sample for code in RANDOM_CODES[:2000].tolist() for sample in twin.decode(code)]

    assert decoded(RANDOM_CODES[:2000]).tolist() == heard


# --- state ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("packet_octets", [80, 160, 240, 480, 7])
def test_cutting_into_packets_changes_nothing(packet_octets):
    pcm, sending, hearing = INPUTS["speech"], np.zeros(3, G722_STATE_DTYPE), np.zeros(3, G722_STATE_DTYPE)
    codes, heard = np.zeros(N // 2, np.uint8), np.zeros(N, np.int16)

    for at in range(0, N // 2, packet_octets):
        end = min(at + packet_octets, N // 2)
        encode_g722(sending, 1, pcm[2 * at : 2 * end], codes[at:end])
        decode_g722(hearing, 1, codes[at:end], heard[2 * at : 2 * end])

    assert np.array_equal(codes, encoded(pcm))
    assert np.array_equal(heard, decoded(codes))
    # Other rows are other legs.
    for state in (sending, hearing):
        assert not state[[0, 2]].tobytes().strip(b"\0")


def test_a_reset_leaves_nothing_behind():
    state = np.zeros(2, G722_STATE_DTYPE)
    encoded(INPUTS["speech"], state)
    assert state[0].tobytes().strip(b"\0")

    reset_g722(state, 0)

    assert not state.tobytes().strip(b"\0")
    assert np.array_equal(encoded(INPUTS["tone"], state), encoded(INPUTS["tone"]))


def test_the_memory_of_a_key_fades_from_a_decoder_that_goes_on_after_a_gap():
    codes = encoded(INPUTS["speech"])
    whole = decoded(codes).astype(float)
    gap = slice(8000, 8160)  # 20 ms

    after = decoded(np.delete(codes, np.r_[gap])).astype(float)[2 * gap.start :]

    error = after - whole[2 * gap.stop :]
    tail = slice(RATE_HZ // 5, None)  # from 200 ms on
    assert np.sum(error[tail] ** 2) < 0.001 * np.sum(whole[2 * gap.stop :][tail] ** 2)


# --- what it does to audio ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "ratio_db_min"), [("speech", 20), ("tone", 35), ("key", 30), ("noise", 10), ("sweep", 12)]
)
def test_a_round_trip_keeps_the_audio(name, ratio_db_min):
    pcm = INPUTS[name].astype(float)
    delay = 22  # both mirror filters

    heard = decoded(encoded(INPUTS[name])).astype(float)

    error = heard[delay:] - pcm[:-delay]
    assert 10 * np.log10(np.mean(pcm**2) / np.mean(error**2)) > ratio_db_min


def test_silence_stays_silence():
    assert np.max(np.abs(decoded(encoded(INPUTS["silence"])))) <= 8


def test_a_last_odd_sample_is_left_out():
    pcm = INPUTS["tone"][:321]
    codes = np.full(161, 0xEE, np.uint8)

    encode_g722(np.zeros(1, G722_STATE_DTYPE), 0, pcm, codes)

    assert np.array_equal(codes[:160], encoded(pcm[:320]))
    assert codes[160] == 0xEE
