"""A live gateway is sent no published test card; everything that is TEST takes them."""

from __future__ import annotations

from importlib import resources

import pytest

from dtmf_shield.cde.card import IinTable, check_card_number
from dtmf_shield.cde.published_cards import _NUMBERS, is_test_card
from dtmf_shield.model.capture import RejectReason
from dtmf_shield.phone.test_cards import TEST_CARDS, passes_check_digit
from dtmf_shield.service.test_gateway.cards import CARDS

TEXT = resources.files("dtmf_shield.cde").joinpath("iin.toml").read_text("utf-8")
BRANDS = ("visa", "mastercard", "amex")


def known(number: str) -> bool:
    return is_test_card(memoryview(number.encode() + b"0000"), len(number))


@pytest.mark.parametrize("number", sorted(TEST_CARDS | set(CARDS)))
def test_every_card_that_our_phone_keys_or_the_test_gateway_takes_is_known(number: str) -> None:
    assert known(number)


def test_every_number_of_the_list_has_a_good_check_digit_and_stands_there_once() -> None:
    numbers = ["".join(chr(letter - 49) for letter in number) for number in _NUMBERS]

    assert all(passes_check_digit(number) for number in numbers)
    assert len(set(numbers)) == len(numbers)


@pytest.mark.parametrize(
    "number", ["4242424242424259", "424242424242424", "42424242424242424", "5555555555554445", ""]
)
def test_other_numbers_are_not(number: str) -> None:
    assert not known(number)


@pytest.mark.parametrize("number", [b"4242424242424242", b"378282246310005"])
def test_live_refuses_what_test_takes(number: bytes) -> None:
    live, test = IinTable(TEXT, refuses_test_cards=True), IinTable(TEXT)

    assert check_card_number(live, memoryview(number), len(number), BRANDS) is RejectReason.BRAND
    assert not isinstance(check_card_number(test, memoryview(number), len(number), BRANDS), RejectReason)


def test_live_takes_another_number_of_the_brand() -> None:
    live, number = IinTable(TEXT, refuses_test_cards=True), b"4242424242424200"

    found = check_card_number(live, memoryview(number), 16, BRANDS)

    assert not isinstance(found, RejectReason)
    assert found.name == "visa"
