"""Checks counted digit by digit, against slow obvious twins that build the number."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtmf_shield.cde.checks import (
    fault_of_birth,
    fault_of_routing_number,
    iban_valid,
    in_range,
    mod11_valid,
    remainder,
)
from dtmf_shield.model.capture import DateFormat, FieldKind, FieldSpec, RejectReason
from dtmf_shield.model.field_rules import IBAN_LENGTHS, fault_of_field, length_range

DIGITS = st.text("0123456789", min_size=1, max_size=32)


def view(text: str) -> memoryview:
    return memoryview(text.encode())


@given(DIGITS, st.sampled_from([11, 97]))
def test_remainder_is_that_of_the_whole_number(text: str, modulus: int) -> None:
    assert remainder(view(text), 0, len(text), modulus) == int(text) % modulus


@given(DIGITS, st.integers(0, 10**10), st.integers(0, 10**10))
def test_range_is_that_of_the_whole_number(text: str, low: int, high: int) -> None:
    assert in_range(view(text), len(text), low, high) == (low <= int(text) <= high)


@given(DIGITS)
def test_mod11_weighs_from_the_right(text: str) -> None:
    total = sum(weight * int(digit) for weight, digit in enumerate(reversed(text), start=1))
    assert mod11_valid(view(text), len(text)) == (total % 11 == 0)


@pytest.mark.parametrize(
    ("iban"),
    [
        "DE89370400440532013000",
        "AT611904300234573201",
        "BE68539007547034",
        "ES9121000418450200051332",
        "NO9386011117947",
        "PL61109010140000071219812874",
        "SE4550000000058398257466",
    ],
)
def test_examples_of_the_iban_registry_are_good_and_every_slip_of_one_digit_is_not(iban: str) -> None:
    country, keys = iban[:2], iban[2:]
    assert len(iban) == IBAN_LENGTHS[country]
    assert iban_valid(view(keys), len(keys), country)
    for place in range(len(keys)):
        slipped = keys[:place] + str((int(keys[place]) + 1) % 10) + keys[place + 1 :]
        assert not iban_valid(view(slipped), len(keys), country)


@given(st.sampled_from(sorted(IBAN_LENGTHS)), st.integers(0, 10**30 - 1))
def test_iban_check_digits_are_those_of_the_rule(country: str, seed: int) -> None:
    account = str(seed).zfill(30)[: IBAN_LENGTHS[country] - 4]
    letters = "".join(str(ord(letter) - 55) for letter in country)
    check = 98 - int(account + letters + "00") % 97

    keys = f"{check:02d}{account}"

    assert iban_valid(view(keys), len(keys), country)
    assert not iban_valid(view(f"{(check + 1) % 100:02d}{account}"), len(keys), country)


def test_country_with_letters_is_refused_with_the_countries_that_can_be_keyed() -> None:
    fault = fault_of_field(FieldSpec(name="iban", kind=FieldKind.IBAN, country="GB"))
    assert "GB" in fault
    assert "letters" in fault
    assert "DE" in fault
    assert length_range(FieldSpec(name="iban", kind=FieldKind.IBAN, country="DE")) == (20, 20)


@pytest.mark.parametrize("number", ["021000021", "011401533", "091000019", "322271627", "122105155"])
def test_published_routing_numbers_are_good_and_every_slip_of_one_digit_is_not(number: str) -> None:
    assert fault_of_routing_number(view(number)) is None
    for place in range(9):
        slipped = number[:place] + str((int(number[place]) + 1) % 10) + number[place + 1 :]
        assert fault_of_routing_number(view(slipped)) is RejectReason.CHECK


def test_routing_number_of_no_district_is_refused() -> None:
    assert fault_of_routing_number(view("990000068")) is RejectReason.FORMAT


@given(st.dates(datetime.date(1900, 1, 1), datetime.date(2026, 11, 30)), st.sampled_from(DateFormat))
def test_every_day_of_a_life_is_good_in_each_order(day: datetime.date, form: DateFormat) -> None:
    pattern = {"ddmmyyyy": "%d%m%Y", "mmddyyyy": "%m%d%Y", "yyyymmdd": "%Y%m%d"}[form.value]
    assert fault_of_birth(view(day.strftime(pattern)), form, (2026, 11)) is None


@given(st.text("0123456789", min_size=8, max_size=8))
def test_eight_digits_that_are_no_day_are_refused(text: str) -> None:
    try:
        day = datetime.date(int(text[4:]), int(text[2:4]), int(text[:2]))
    except ValueError:
        day = None
    found = fault_of_birth(view(text), DateFormat.DDMMYYYY, (2026, 11))
    good = day is not None and datetime.date(1900, 1, 1) <= day < datetime.date(2026, 12, 1)
    assert (found is None) == good
