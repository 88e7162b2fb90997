"""G.722 legs (RFC 3551 section 4.5.2): ticks of 8000 Hz, samples at 16 kHz; change-over to G.711; keys; memory."""

import struct

import numpy as np
import pytest
from scipy import signal

from dtmf_shield.media.codecs.g722 import G722_STATE_DTYPE, decode_g722, encode_g722
from dtmf_shield.media.masker import (
    HOLD_BACK_SAMPLES,
    MODE_CAPTURE,
    MODE_GUARD,
    MODE_MUTE,
    masked_segments,
)
from dtmf_shield.media.session.commands import COMMAND_CLOSE, COMMAND_RECORD
from dtmf_shield.phone.voices import Voice, voice
from tests.unit.media.call_on_tables import (
    AGENT,
    CALLER,
    TONES,
    Call,
    assert_unbroken,
    decoded,
    talk,
    tone,
    tone_share,
)

WIDE_HZ = 16_000
PAIRS = [("G722", "G722"), ("G722", "PCMU"), ("G722", "PCMA"), ("PCMU", "G722"), ("PCMA", "G722")]
CODEC_DELAY = 22  # samples at 16 kHz: both mirror filters
RESAMPLING_DELAY = 23


def rate_hz(codec: str) -> int:
    return WIDE_HZ if codec == "G722" else 8000


def at_8_khz(pcm: np.ndarray, codec: str) -> np.ndarray:
    """Return audio as a narrowband ear hears it, brought there by scipy."""
    if codec != "G722":
        return pcm
    return np.clip(np.rint(signal.resample_poly(pcm.astype(float), 1, 2)), -32_768, 32_767).astype(np.int16)


def speech(n: int, codec: str) -> np.ndarray:
    """Return the chord that is no key, n ticks long."""
    return talk(n * rate_hz(codec) // 8000, rate_hz=rate_hz(codec))


def keyed(keys: str, codec: str, tone_ms: int = 100, gap_ms: int = 100) -> np.ndarray:
    """Return silence, then each key and a gap."""
    rate = rate_hz(codec)
    gap = np.zeros(rate * gap_ms // 1000, np.int16)
    return np.concatenate(
        [gap, *(part for key in keys for part in (tone(key, rate * tone_ms // 1000, rate_hz=rate), gap))]
    )


def best_match(heard: np.ndarray, spoken: np.ndarray) -> tuple[int, float]:
    """Return by how many samples `heard` is late, and their correlation there, 0..1."""
    span = slice(1000, len(spoken) - 1000)
    scores = []
    for late in range(300):
        a = heard[span.start + late : span.stop + late].astype(float)
        b = spoken[span].astype(float)[: len(a)]
        scores.append(float(a @ b) / (np.linalg.norm(a) * np.linalg.norm(b) + 1e-9))
    return int(np.argmax(scores)), max(scores)


# --- packets ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [80, 160, 240, 320, 400, 480])
@pytest.mark.parametrize("codecs", PAIRS)
def test_audio_passes_at_any_packet_time_on_a_clock_of_8000(codecs, n):
    call = Call(codecs=codecs)

    sent = call.caller.say(speech(10 * n, codecs[0]), n)

    assert [packet.n for packet in sent] == [n] * 10
    assert_unbroken(sent)
    assert (sent[-1].timestamp - sent[0].timestamp) % 2**32 == 9 * n
    assert {packet.payload_type for packet in sent} == {call.agent.payload_type}


@pytest.mark.parametrize("octets", [0, 481])
def test_packets_longer_than_60_ms_are_malformed(octets):
    call = Call(codecs=("G722", "G722"))

    assert call.receive(CALLER, struct.pack("!BBHII", 0x80, 9, 1, 1, 1) + bytes(octets)) == []
    assert call.statistics(CALLER).malformed == 1


def test_odd_sizes_are_masked_whole():
    call = Call(codecs=("G722", "G722"))

    heard = decoded(call.caller.say(speech(1500, "G722"), 150), "G722")

    assert len(heard) == 3000
    assert np.max(np.abs(heard)) < 400


@pytest.mark.parametrize(
    ("codecs", "late"),
    [
        (("G722", "G722"), 2 * HOLD_BACK_SAMPLES + 2 * CODEC_DELAY),
        (("G722", "PCMU"), HOLD_BACK_SAMPLES + (CODEC_DELAY + RESAMPLING_DELAY) // 2),
        (("PCMA", "G722"), 2 * HOLD_BACK_SAMPLES + CODEC_DELAY + RESAMPLING_DELAY),
    ],
)
def test_the_voice_comes_out_whole_and_no_later_than_codec_filter_and_hold_back(codecs, late):
    call = Call(codecs=codecs)
    rng = np.random.default_rng(2)
    voice = signal.lfilter([1], [1, -0.9], rng.normal(0, 500, rate_hz(codecs[0])))
    voice = signal.lfilter(*signal.butter(4, 3000, fs=rate_hz(codecs[0])), voice).astype(np.int16)

    heard = decoded(call.caller.say(voice), codecs[1])

    spoken = signal.resample_poly(voice.astype(float), rate_hz(codecs[1]), rate_hz(codecs[0]))
    found, likeness = best_match(heard, spoken)
    assert abs(found - late) <= 1
    assert likeness > 0.97


def test_wideband_stays_wideband_and_is_no_more_in_g711():
    high = np.rint(5000 * np.sin(2 * np.pi * 6000 * np.arange(WIDE_HZ) / WIDE_HZ)).astype(np.int16)

    wide = decoded(Call(codecs=("G722", "G722")).caller.say(high), "G722")[2000:]
    narrow = decoded(Call(codecs=("G722", "PCMU")).caller.say(high), "PCMU")[1000:]

    assert np.sqrt(np.mean(wide.astype(float) ** 2)) > 2500
    # Nor folded to 2 kHz.
    assert np.sqrt(np.mean(narrow.astype(float) ** 2)) < 60


def test_a_call_is_born_mute():
    heard = decoded(Call(mode=MODE_MUTE, codecs=("G722", "G722")).caller.say(speech(1600, "G722")), "G722")

    assert np.max(np.abs(heard)) < 400


# --- keys ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [MODE_GUARD, MODE_CAPTURE])
@pytest.mark.parametrize("codecs", PAIRS)
def test_a_keyed_number_goes_to_the_slot_and_not_to_the_agent(codecs, mode):
    call = Call(mode=mode, codecs=codecs)
    call.arm()
    number = "4159*0#7"
    spoken = keyed(number, codecs[0])

    heard = decoded(call.caller.say(spoken), codecs[1])

    assert call.keys() == number
    # The same codecs alone keep every key.
    control = at_8_khz(decoded_alone(spoken, codecs[0]), codecs[0])
    assert min(tone_share(control, key) for key in number) > 0.9
    assert max(tone_share(at_8_khz(heard, codecs[1]), key) for key in number) < 0.5


def decoded_alone(pcm: np.ndarray, codec: str) -> np.ndarray:
    """Return audio that went through a codec and nothing else."""
    if codec != "G722":
        return pcm
    codes, heard = np.zeros(len(pcm) // 2, np.uint8), np.zeros(len(pcm), np.int16)
    encode_g722(np.zeros(1, G722_STATE_DTYPE), 0, pcm, codes)
    decode_g722(np.zeros(1, G722_STATE_DTYPE), 0, codes, heard)
    return heard


@pytest.mark.parametrize("n", [80, 160, 480])
@pytest.mark.parametrize(
    ("level_dbm0", "twist_db", "deviation", "snr_db", "tone_ms"),
    [(-3, 0, 0.0, None, 80), (-6, 0, 0.0, None, 80), (-10, 6, 0.015, None, 50), (-10, 0, 0.0, 35, 80),
     (-25, -6, 0.015, 15, 40), (-10, 6, 0.015, 20, 50), (-40, 0, 0.0, 25, 50), (-20, 0, 0.0, 30, 6)],
)  # fmt: skip
def test_the_coders_own_distortion_opens_no_mask(level_dbm0, twist_db, deviation, snr_db, tone_ms, n):
    """Loud tones out of digital silence come out bent for some ms: no tone to the detector, but to an attacker."""
    rng = np.random.default_rng(11)
    pcm, places = battery(rng, level_dbm0, twist_db, deviation, snr_db, tone_ms)
    call = Call(mode=MODE_CAPTURE, codecs=("G722", "G722"))
    masked = np.zeros(len(pcm) + 2 * n, bool)

    for at in range(0, len(pcm), 2 * n):
        call.caller.say(pcm[at : at + 2 * n], n)
        for begin, end in masked_segments(call.tables.shields, 2 + CALLER):
            late = at - 2 * HOLD_BACK_SAMPLES
            masked[max(0, late + begin) : max(0, late + end)] = True

    leaked = [int(np.sum(~masked[begin + CODEC_DELAY : end + CODEC_DELAY])) for begin, end in places]
    assert max(leaked) == 0
    assert np.mean(masked) < 0.75  # what lies between the keys is not simply all muted


def test_a_leap_is_told_of_a_loud_tone_out_of_silence_and_not_of_speech():
    pcm = np.concatenate([np.zeros(3200, np.int16), tone("5", 1600, peak=20_000, rate_hz=WIDE_HZ)])
    voiced = np.clip(
        np.rint(signal.resample_poly(voice(Voice.CALLER).astype(float), 2, 1)), -32_768, 32_767
    ).astype(np.int16)

    assert [at for at, leaping in leaps(pcm) if leaping] == [10]
    assert sum(leaping > 0 for _, leaping in leaps(voiced)) <= 1


def leaps(pcm: np.ndarray) -> list[tuple[int, int]]:
    """Return for each packet of 20 ms what the decoder tells of it."""
    encoder, decoder = np.zeros(1, G722_STATE_DTYPE), np.zeros(1, G722_STATE_DTYPE)
    codes, heard = np.zeros(160, np.uint8), np.zeros(320, np.int16)
    told = []
    for at in range(0, len(pcm) - 319, 320):
        encode_g722(encoder, 0, pcm[at : at + 320], codes)
        told.append((at // 320, int(decode_g722(decoder, 0, codes, heard))))
    return told


def battery(rng, level_dbm0, twist_db, deviation, snr_db, tone_ms, reps=4):
    """Return each key `reps` times in noise, 16 kHz, and where each tone lies."""
    full = 32_767 * 10 ** (-3.14 / 20)
    parts, places, at = [np.zeros(4000)], [], 4000
    for key in rng.permutation(list(TONES) * reps):
        row, column = TONES[key]
        t = np.arange(16 * tone_ms) / WIDE_HZ
        phases = rng.uniform(0, 2 * np.pi, 2)
        parts.append(
            full * 10 ** ((level_dbm0 - twist_db / 2) / 20)
            * np.sin(2 * np.pi * row * (1 + deviation) * t + phases[0])
            + full * 10 ** ((level_dbm0 + twist_db / 2) / 20)
            * np.sin(2 * np.pi * column * (1 - deviation) * t + phases[1])
        )  # fmt: skip
        places.append((at, at + len(t)))
        parts.append(np.zeros(16 * (2 * tone_ms + 150) + int(rng.uniform(0, 200))))
        at += len(t) + len(parts[-1])
    clean = np.concatenate([*parts, np.zeros(-at % 960)])
    noise = 0.0 if snr_db is None else full * 10 ** ((level_dbm0 - snr_db) / 20)
    pcm = np.rint(clean + rng.normal(0, 1, len(clean)) * noise)
    return np.clip(pcm, -32_768, 32_767).astype(np.int16), places


@pytest.mark.parametrize("codecs", [("G722", "G722"), ("G722", "PCMA"), ("PCMU", "G722")])
def test_events_of_8000_hz_take_the_place_of_audio_and_reach_the_slot(codecs):
    call = Call(mode=MODE_CAPTURE, codecs=codecs)
    call.arm()
    sent = call.caller.say(speech(800, codecs[0]))

    sent += call.caller.press(7)
    sent += call.caller.say(speech(800, codecs[0]))

    assert call.keys() == "7"
    assert_unbroken(sent)
    assert {packet.payload_type for packet in sent} == {call.agent.payload_type}
    assert len(sent) == 15


# --- loss, sources and codec changes ------------------------------------------------------------------------


def test_a_loss_outside_a_capture_is_seen_as_a_loss_and_in_one_it_is_filled():
    guarded, captured = (Call(mode=mode, codecs=("G722", "G722")) for mode in (MODE_GUARD, MODE_CAPTURE))

    seen = guarded.caller.say(speech(1600, "G722"), lose=(4, 5))
    filled = captured.caller.say(speech(1600, "G722"), lose=(4, 5))

    assert len(seen) == 8
    assert (seen[4].timestamp - seen[3].timestamp) % 2**32 == 480
    assert len(filled) == 10
    assert_unbroken(filled)
    noise = decoded(filled, "G722")[4 * 320 + 100 : 6 * 320]
    assert np.max(np.abs(noise)) < 500


def test_a_new_source_starts_with_a_fresh_decoder():
    call = Call(codecs=("G722", "G722"))
    call.caller.say(speech(1600, "G722"))
    call.caller.ssrc, call.caller.encoder[:] = 0xCCCC, np.zeros(1, G722_STATE_DTYPE)

    call.caller.say(speech(160, "G722"))

    fresh = np.zeros(1, G722_STATE_DTYPE)
    encoder = np.zeros(1, G722_STATE_DTYPE)
    codes = np.zeros(160, np.uint8)
    encode_g722(encoder, 0, speech(160, "G722"), codes)
    decode_g722(fresh, 0, codes, np.zeros(320, np.int16))
    assert call.tables.decoders[2 + CALLER].tobytes() == fresh[0].tobytes()


@pytest.mark.parametrize("change", [("G722", "PCMU"), ("PCMU", "G722"), ("G722", "PCMA")])
def test_a_codec_change_in_the_middle_of_a_key_leaks_nothing_and_keeps_the_timeline(change):
    before, after = change
    call = Call(mode=MODE_CAPTURE, codecs=(before, before))
    sent = call.caller.say(speech(1600, before))
    sent += call.caller.say(tone("5", 160 * call.caller.samples_a_tick, rate_hz=rate_hz(before)))

    for phone in (call.caller, call.agent):
        call.stream(phone, codec=after)
    sent_after = call.caller.say(tone("5", 320 * call.caller.samples_a_tick, rate_hz=rate_hz(after)))
    sent_after += call.caller.say(speech(1600, after))

    assert_unbroken(sent + sent_after)
    assert {packet.payload_type for packet in sent_after} == {call.agent.payload_type}
    heard = at_8_khz(decoded(sent_after, after), after)
    assert tone_share(heard, "5") < 0.5
    assert np.sqrt(np.mean(heard[-800:].astype(float) ** 2)) > 1000  # and then the voice is back


@pytest.mark.parametrize("new_source", [False, True])
@pytest.mark.parametrize(("pause_ms", "keys"), [(0, "5"), (60, "55")])
@pytest.mark.parametrize("change", [("G722", "PCMU"), ("PCMU", "G722")])
def test_a_key_cut_by_a_codec_change_is_one_key(change, pause_ms, keys, new_source):
    """A new codec may come with a new source (RFC 3550 section 8) or without; after a pause it is another press."""
    before, after = change
    call = Call(mode=MODE_CAPTURE, codecs=(before, before))
    call.arm()
    phone = call.caller
    phone.say(speech(1600, before))
    phone.say(tone("5", rate_hz(before) // 10, rate_hz=rate_hz(before)))

    for side in (phone, call.agent):
        call.stream(side, codec=after)
    if new_source:
        phone.ssrc, phone.sequence, phone.timestamp = 0xCCCC, 7, 123_456
    silence = np.zeros(rate_hz(after) * pause_ms // 1000, np.int16)
    rest = tone("5", rate_hz(after) // 5, rate_hz(after) // 10, rate_hz=rate_hz(after))
    phone.say(np.concatenate([silence, rest, np.zeros(rate_hz(after) // 10, np.int16)]))

    assert call.keys() == keys


def test_a_repeated_agreement_on_the_same_codec_interrupts_nothing():
    spoken = speech(1600, "G722")
    undisturbed = Call(codecs=("G722", "G722")).caller.say(spoken)
    call = Call(codecs=("G722", "G722"))

    sent = call.caller.say(spoken[:1600])
    for phone in (call.caller, call.agent):
        call.stream(phone)
    sent += call.caller.say(spoken[1600:])

    assert [packet.payload for packet in sent] == [packet.payload for packet in undisturbed]


# --- what is kept -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("codecs", PAIRS)
def test_closing_wipes_what_codecs_and_filters_remember(codecs):
    call = Call(codecs=codecs)
    call.caller.say(speech(1600, codecs[0]))
    call.agent.say(speech(1600, codecs[1]))
    tables = (call.tables.decoders, call.tables.encoders, call.tables.halvings, call.tables.doublings)
    assert any(table[2:4].tobytes().strip(b"\0") for table in tables)

    call.command(COMMAND_CLOSE)

    for table in tables:
        assert not table.tobytes().strip(b"\0")
    assert not call.tables.raw.any()


@pytest.mark.parametrize("agent", ["G722", "PCMU"])
def test_a_recording_of_a_wideband_leg_is_of_8_khz_and_in_its_place(agent):
    call = Call(codecs=("G722", agent))
    call.wait(160)
    call.command(COMMAND_RECORD)

    call.caller.say(speech(4800, "G722"))
    call.agent.say(speech(320, agent))

    cells = call.tables.taps.cells[: call.tables.taps.heads[0]]
    places = [(cell["side"], cell["position_samples"], cell["n_samples"]) for cell in cells]
    assert places[:3] == [(CALLER, 160, 160), (CALLER, 320, 160), (CALLER, 480, 160)]
    assert places[-1] == (AGENT, 5120, 160)
    voice = np.concatenate([cell["samples"][: cell["n_samples"]] for cell in cells if cell["side"] == CALLER])
    _, likeness = best_match(np.concatenate([voice, np.zeros(300)]), speech(4800, "PCMU"))
    assert likeness > 0.97


def test_masked_samples_are_counted_in_the_same_measure_for_every_codec():
    counts = []
    for codec in ("PCMU", "G722"):
        call = Call(mode=MODE_MUTE, codecs=(codec, codec))
        call.caller.say(speech(1600, codec))
        counts.append(int(call.statistics(CALLER).masked_samples))

    assert counts == [1600, 1600]
