"""The test phone's RTP: what one side sends is what the other hears."""

import numpy as np
import pytest

from dtmf_shield.phone.stream import PACKET_SAMPLES, PhoneStream

SPEECH = (3000 * np.sin(np.arange(8000) * 0.2)).astype(np.int16)


def stream(payload_type=0, events=101, timestamp=5):
    made = PhoneStream(ssrc=7, sequence=65_530, timestamp=timestamp)
    made.payload_type, made.event_payload_type = payload_type, events
    return made


def pass_on(sender, receiver, packets):
    for tick in range(packets):
        receiver.receive(sender.next_packet(tick * 0.02), tick * 0.02 + 0.001)


@pytest.mark.parametrize("payload_type", [0, 8])
def test_speech_is_heard_as_it_was_sent_but_for_the_codec(payload_type):
    sender, receiver = stream(payload_type), stream(payload_type)
    sender.talk(SPEECH)
    pass_on(sender, receiver, 20)
    assert len(receiver.heard) == 20 * PACKET_SAMPLES
    assert np.abs(receiver.heard.astype(int) - sender.sent).max() < 200


def test_speech_over_g722_is_heard_as_it_was_sent_a_little_later():
    sender, receiver = stream(9), stream(9)
    sender.talk(SPEECH)

    pass_on(sender, receiver, 20)

    assert len(receiver.heard) == 20 * PACKET_SAMPLES
    # Both filters between 8 and 16 kHz and both of the codec: 67 samples at 16 kHz, so 33 and a half.
    sent = sender.sent.astype(float)
    error = receiver.heard[400:] - (sent[367:-33] + sent[366:-34]) / 2
    assert np.sqrt(np.mean(error**2)) < 0.1 * np.sqrt(np.mean(sent**2))


def test_a_timestamp_that_wraps_round_breaks_nothing():
    sender, receiver = stream(timestamp=2**32 - 400), stream()
    sender.talk(SPEECH)
    pass_on(sender, receiver, 10)
    assert len(receiver.heard) == 10 * PACKET_SAMPLES


def test_a_lost_packet_leaves_its_place_silent():
    sender, receiver = stream(), stream()
    sender.talk(SPEECH)
    packets = [sender.next_packet(0.0) for _ in range(3)]
    receiver.receive(packets[0], 0.0)
    receiver.receive(packets[2], 0.0)
    assert not receiver.heard[PACKET_SAMPLES : 2 * PACKET_SAMPLES].any()
    assert len(receiver.heard) == 3 * PACKET_SAMPLES


def test_a_key_as_tone_is_mixed_into_the_speech():
    sender = stream()
    sender.talk(SPEECH)
    sender.press_as_tone("5", 100)
    for tick in range(10):
        sender.next_packet(tick * 0.02)
    spectrum = np.abs(np.fft.rfft(sender.sent[:800].astype(float)))
    assert spectrum[77] > 20 * np.median(spectrum)
    assert spectrum[134] > 20 * np.median(spectrum)


def test_a_key_as_event_is_one_event_to_the_other_side():
    sender, receiver = stream(), stream()
    sender.talk(SPEECH)
    for key in "47#":
        sender.press_as_event(key, 100)
    pass_on(sender, receiver, 40)
    assert receiver.events_received == [4, 7, 11]


def test_the_last_three_packets_of_an_event_say_that_it_ends():
    sender = stream()
    sender.press_as_event("4", 100)
    packets = [sender.next_packet(0.0) for _ in range(8)]
    events = [packet for packet in packets if packet[1] & 0x7F == 101]
    assert [packet[13] >> 7 for packet in events] == [0, 0, 0, 0, 1, 1, 1]
    assert len({packet[4:8] for packet in events}) == 1


def test_an_event_that_was_not_agreed_is_not_sent():
    with pytest.raises(ValueError, match="no telephone events"):
        stream(events=None).press_as_event("4", 100)


def test_what_is_no_rtp_is_counted_and_dropped():
    receiver = stream()
    receiver.receive(b"not rtp", 0.0)
    receiver.receive(b"", 0.0)
    assert receiver.packets_unread == 2
    assert not len(receiver.heard)


def test_stream_that_keeps_no_audio_tells_it_all_the_same():
    sender, receiver = stream(), stream()
    sent, heard = [], []
    for each in (sender, receiver):
        each.keeps_audio = False
    sender.on_sent, receiver.on_heard = sent.append, heard.append
    sender.press_as_tone("1", 40)

    for tick in range(4):
        receiver.receive(sender.next_packet(tick * 0.02), tick * 0.02)

    assert (
        [np.any(audio) for audio in sent] == [np.any(audio) for audio in heard] == [True, True, False, False]
    )
    assert (len(sender.sent), len(receiver.heard), sender.sent_log, receiver.heard_log) == (0, 0, [], [])
