"""Brand, length, check digit and expiry, counted on views. Table facts: dtmf_shield/cde/iin.toml."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import dtmf_shield.cde.card as card_module
from dtmf_shield.base.errors import InvariantError
from dtmf_shield.base.log import luhn_valid as luhn_valid_of_text
from dtmf_shield.cde.card import IinTable, check_card_number, check_expiry, digits_value, luhn_valid
from dtmf_shield.model.capture import RejectReason

TABLE = IinTable((Path(card_module.__file__).parent / "iin.toml").read_text())
TODAY = (2026, 11)


def brands(prefix: str, accepted: tuple[str, ...] = ()) -> set[str]:
    view = memoryview(prefix.encode())
    return {brand.name for brand in TABLE.candidates(view, len(prefix), accepted)}


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("424242", {"visa"}),
        ("40117812", {"elo"}),
        ("55", {"mastercard"}),
        ("2221", {"mastercard"}),
        ("2720", {"mastercard"}),
        ("2721", set()),
        ("34", {"amex"}),
        ("37", {"amex"}),
        ("3056", {"diners"}),
        ("36", {"diners"}),
        ("6011", {"discover"}),
        ("3530", {"jcb"}),
        ("2204", {"mir"}),
        ("62123456", {"unionpay"}),
        ("67123456", {"maestro"}),
        ("9792", {"troy"}),
        ("606282", {"hipercard"}),
        ("50700000", {"maestro"}),
        ("9", {"troy"}),
        ("1", {"jcb"}),
        ("0", set()),
    ],
)
def test_prefix_names_its_brands(prefix: str, expected: set[str]) -> None:
    assert brands(prefix) == expected


def test_short_prefix_has_many_candidates() -> None:
    assert {"maestro", "discover", "unionpay", "hiper", "hipercard", "elo"} <= brands("6")


def test_longer_prefix_inside_a_brand_keeps_both_until_it_is_certain() -> None:
    assert brands("4") == {"visa", "elo", "maestro", "naranja"}
    assert brands("4011") == {"visa", "elo"}


def test_brands_not_taken_are_left_out() -> None:
    assert brands("4", ("visa", "mastercard")) == {"visa"}
    assert brands("37", ("visa",)) == set()


@given(st.text("0123456789", min_size=1, max_size=19))
def test_candidates_only_shrink_as_digits_come(number: str) -> None:
    previous = set(TABLE.brands)
    for count in range(1, len(number) + 1):
        now = brands(number[:count])
        assert now <= previous
        previous = now


@given(st.text("0123456789", min_size=1, max_size=19))
def test_luhn_agrees_with_the_slow_obvious_one(number: str) -> None:
    assert luhn_valid(memoryview(number.encode()), len(number)) == luhn_valid_of_text(number)


@pytest.mark.parametrize(
    ("number", "brand"),
    [
        ("4242424242424242", "visa"),
        ("4111111111111111", "visa"),
        ("5555555555554444", "mastercard"),
        ("378282246310005", "amex"),
    ],
)
def test_published_test_numbers_are_accepted(number: str, brand: str) -> None:
    found = check_card_number(TABLE, memoryview(number.encode()), len(number), ())

    assert not isinstance(found, RejectReason)
    assert found.name == brand


@pytest.mark.parametrize(
    ("number", "accepted", "reason"),
    [
        ("42424242", (), RejectReason.TOO_SHORT),
        ("424242424242424", (), RejectReason.TOO_SHORT),
        ("4242424242424241", (), RejectReason.LUHN),
        ("378282246310005", ("visa",), RejectReason.BRAND),
        ("0000000000000000", (), RejectReason.BRAND),
        ("5555555555554444000", (), RejectReason.TOO_LONG),
    ],
)
def test_faulty_number_is_refused_with_its_reason(
    number: str, accepted: tuple[str, ...], reason: RejectReason
) -> None:
    assert check_card_number(TABLE, memoryview(number.encode()), len(number), accepted) is reason


@pytest.mark.parametrize(
    ("expiry", "reason"),
    [
        ("1126", None),
        ("1026", RejectReason.EXPIRED),
        ("1230", None),
        ("122030", None),
        ("1346", RejectReason.FORMAT),
        ("0030", RejectReason.FORMAT),
        ("1250", RejectReason.TOO_FAR),
        ("1246", None),
        ("12", RejectReason.TOO_SHORT),
        ("1220", RejectReason.EXPIRED),
    ],
)
def test_expiry(expiry: str, reason: RejectReason | None) -> None:
    assert check_expiry(memoryview(expiry.encode()), len(expiry), TODAY) is reason


def test_no_more_than_eight_digits_are_ever_put_together() -> None:
    with pytest.raises(InvariantError):
        digits_value(memoryview(b"424242424"), 0, 9)


@pytest.mark.parametrize(
    "text",
    [
        '[brands.x]\nprefixes = ["55-51"]\nlengths = [16]\nusual = 16\ncode_length = 3',
        '[brands.x]\nprefixes = ["4"]\nlengths = [16]\nusual = 15\ncode_length = 3',
        '[brands.x]\nprefixes = ["4"]\nlengths = [20]\nusual = 20\ncode_length = 3',
    ],
)
def test_table_out_of_order_is_refused(text: str) -> None:
    with pytest.raises(InvariantError):
        IinTable(text)
