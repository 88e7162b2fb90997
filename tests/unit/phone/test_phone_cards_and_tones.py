"""A test phone keys published TEST cards only, and its tones are what ITU-T Q.23 says."""

import numpy as np
import pytest

from dtmf_shield.phone.test_cards import TEST_CARDS, CardNotPublishedError, KeyGuard, passes_check_digit
from dtmf_shield.phone.tones import COLUMNS_HZ, KEYPAD, ROWS_HZ, frequencies_hz, key_tone, presses


def test_every_published_card_passes_its_check_digit():
    assert all(passes_check_digit(card) for card in TEST_CARDS)


@pytest.mark.parametrize("card", sorted(TEST_CARDS))
def test_a_published_card_may_be_keyed_with_what_follows_it(card):
    KeyGuard().admit(card + "#1228#123#")


def test_a_published_card_and_expiry_may_be_keyed_without_a_hash():
    KeyGuard().admit("42424242424242421228123")


def test_an_unpublished_card_is_refused_at_the_key_that_completes_it():
    # Made from a published one: two digits changed, check digit still right.
    invented = "42424242424242" + "59"
    assert passes_check_digit(invented)
    guard = KeyGuard()
    guard.admit(invented[:-1])
    with pytest.raises(CardNotPublishedError) as refused:
        guard.admit(invented[-1])
    assert invented[-4:] not in str(refused.value)


def test_a_mistyped_card_may_be_keyed_for_it_is_no_card():
    KeyGuard().admit("4242424242424241#")


def test_a_new_entry_starts_a_new_run_of_digits():
    guard = KeyGuard()
    guard.admit("4242424242")
    guard.new_entry()
    guard.admit("123")


def test_what_is_no_key_is_refused():
    with pytest.raises(ValueError, match="keys are"):
        KeyGuard().admit("x")


@pytest.mark.parametrize("key", KEYPAD)
def test_a_tone_holds_its_two_frequencies_and_no_other(key):
    spectrum = np.abs(np.fft.rfft(key_tone(key, 1000).astype(float)))
    row, column = frequencies_hz(key)
    heard = {int(np.argmax(spectrum[low:high])) + low for low, high in ((600, 1050), (1100, 1750))}
    assert heard == {row, column}
    rest = [hz for hz in ROWS_HZ + COLUMNS_HZ if hz not in (row, column)]
    assert max(spectrum[hz] for hz in rest) < 0.02 * spectrum[row]


def test_key_timing_is_human_and_repeats_with_its_seed():
    pressed = presses("4242424242424242", seed=3)
    assert pressed == presses("4242424242424242", seed=3)
    assert pressed != presses("4242424242424242", seed=4)
    assert all(90 <= press.tone_ms <= 120 and 80 <= press.gap_ms <= 150 for press in pressed)
