"""The scrubber: card numbers, INFO signals and control characters never reach a log line."""

import io
import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtmf_shield.base.log import configure_log, get_logger, holds_card_number, scrub

CARDS = ["4242424242424242", "378282246310005", "5555555555554444", "4111111111111111"]


@given(st.sampled_from(CARDS), st.sampled_from(["", " ", "-"]), st.text(alphabet="abc =:,", max_size=10))
def test_a_card_number_is_removed_across_separators(card, separator, around):
    text = around + separator.join(card) + around

    assert holds_card_number(text)
    assert card not in scrub(text).replace(" ", "").replace("-", "")


def test_other_numbers_stay():
    assert scrub("call 1234567890123 took 42 ms") == "call 1234567890123 took 42 ms"


@pytest.mark.parametrize("body", ["Signal=5\r\nDuration=160", "signal = #"])
def test_an_info_signal_is_removed(body):
    cleaned = scrub(body)

    assert "=5" not in cleaned
    assert "#" not in cleaned


def test_a_newline_cannot_forge_a_line():
    assert "\n" not in scrub("a\nb")


def test_both_loggers_are_scrubbed_to_the_stream():
    stream = io.StringIO()
    configure_log(process="test", stream=stream)

    get_logger("t").info("event", value=CARDS[0], nested={"a": [CARDS[1]]})
    logging.getLogger("other").warning("plain %s", CARDS[2])

    text = stream.getvalue()
    assert not any(card in text for card in CARDS)
    assert json.loads(text.splitlines()[0])["event"] == "event"
