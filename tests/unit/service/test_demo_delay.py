"""Added delay is measured by the packets that carry a sample, with its place in them counted."""

import numpy as np

from dtmf_shield.phone.stream import Passage
from dtmf_shield.phone.voices import Voice, voice
from dtmf_shield.service.demo.delay import median_delay_ms
from dtmf_shield.service.demo.service_process import configuration
from dtmf_shield.service.witness.attacker import lag_between


def passages(first_s, packets=50):
    return [Passage(160 * number, first_s + 0.02 * number) for number in range(packets)]


def test_a_hold_back_of_forty_samples_is_five_milliseconds_and_transit_comes_on_top():
    assert median_delay_ms(passages(10.0), passages(10.0002), lag=40) == 5.2


def test_a_wrap_into_the_next_packet_counts_no_more_than_the_shift():
    assert median_delay_ms(passages(10.0), passages(10.0), lag=40 + 160) == 25.0


def test_a_receiver_that_began_later_measures_the_same():
    # It missed two packets: its first sample is the sender's sample 320 - 40.
    assert median_delay_ms(passages(10.0), passages(10.04), lag=40 - 320) == 5.0


def test_without_a_packet_in_common_there_is_no_delay_to_tell():
    assert median_delay_ms(passages(10.0), [], lag=40) is None


def test_the_lag_of_held_back_speech_is_the_hold_back():
    speech = voice(Voice.CALLER)[:24_000]
    held = np.concatenate([np.zeros(40, np.int16), speech])
    assert lag_between(speech, held)[0] == 40


def test_the_services_configuration_is_one_that_it_reads(tmp_path):
    from dtmf_shield.base.config import load_config

    path = tmp_path / "demo.toml"
    path.write_text(configuration({"inband": 5070, "delay-probe": 5071}), encoding="utf-8")
    config = load_config(path)
    assert [(agent.name, agent.address) for agent in config.agents] == [
        ("inband", "127.0.0.1:5070"),
        ("delay-probe", "127.0.0.1:5071"),
    ]
    assert [route.agent for route in config.routes] == ["inband", "delay-probe"]
