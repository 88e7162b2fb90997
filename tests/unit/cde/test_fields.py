"""Kinds of fields beside the card's three: keyed through a whole capture, each with its lengths and checks."""

from __future__ import annotations

import pytest

from dtmf_shield.account_data import slots
from dtmf_shield.base.errors import InvariantError
from dtmf_shield.cde.capture_table import ENDED
from dtmf_shield.cde.gateways.base import SlotField
from dtmf_shield.model.capture import (
    CaptureSpec,
    CaptureState,
    DateFormat,
    FieldCheck,
    FieldKind,
    FieldSpec,
    KeyedValue,
    RejectReason,
)
from tests.unit.cde.capture_line import FIELDS, PAN, VISA, Line

ROUTING, IBAN_KEYS = "021000021", "89370400440532013000"
"""Published examples: a routing number of New York; DE89 3704 0044 0532 0130 00 of the ISO 13616 registry."""
ZIP = FieldSpec(name="zip", kind=FieldKind.POSTAL_CODE, length_min=5, length_max=5)
ACCOUNT = FieldSpec(name="account", kind=FieldKind.BANK_ACCOUNT)
BANK = FieldSpec(name="bank", kind=FieldKind.ROUTING_NUMBER)
IBAN = FieldSpec(name="iban", kind=FieldKind.IBAN, country="DE")
BORN = FieldSpec(name="born", kind=FieldKind.DATE_OF_BIRTH)
POLICY = FieldSpec(name="policy", kind=FieldKind.DIGITS, length_min=6, length_max=8)
AMOUNT = FieldSpec(name="amount", kind=FieldKind.AMOUNT, value_min=100, value_max=5000, currency="EUR")


def keyed(spec: FieldSpec, keys: str) -> Line:
    """Key one field of a capture that has no other."""
    return Line(CaptureSpec(fields=(spec,))).armed().collect(spec.name).key(keys)


@pytest.mark.parametrize(
    ("spec", "keys"),
    [
        (ZIP, "94103"),
        (FieldSpec(name="zip", kind=FieldKind.POSTAL_CODE), "941#"),
        (ACCOUNT, "12345678#"),
        (BANK, ROUTING),
        (IBAN, IBAN_KEYS),
        (BORN, "29022000"),
        (FieldSpec(name="born", kind=FieldKind.DATE_OF_BIRTH, format=DateFormat.MMDDYYYY), "02292000"),
        (FieldSpec(name="born", kind=FieldKind.DATE_OF_BIRTH, format=DateFormat.YYYYMMDD), "20000229"),
        (POLICY, "123456#"),
        (POLICY, "12345678"),
        (AMOUNT, "1050#"),
        (AMOUNT, "0100"),
    ],
)
def test_good_entry_is_held(spec: FieldSpec, keys: str) -> None:
    line = keyed(spec, keys)
    assert (line.state, line.reason) == (CaptureState.HELD, None)


@pytest.mark.parametrize(
    ("spec", "keys", "reason"),
    [
        (ZIP, "9410#", RejectReason.TOO_SHORT),
        (ACCOUNT, "123#", RejectReason.TOO_SHORT),
        (BANK, "021000022", RejectReason.CHECK),
        (BANK, "02100002#", RejectReason.TOO_SHORT),
        (BANK, "000000000", RejectReason.CHECK),
        (IBAN, "88370400440532013000", RejectReason.CHECK),
        (BORN, "29022001", RejectReason.FORMAT),
        (BORN, "01012027", RejectReason.RANGE),
        (BORN, "31121899", RejectReason.RANGE),
        (BORN, "01010000", RejectReason.RANGE),
        (AMOUNT, "99#", RejectReason.RANGE),
        (AMOUNT, "5001", RejectReason.RANGE),
        (AMOUNT, "0000", RejectReason.RANGE),
    ],
)
def test_faulty_entry_is_asked_for_again_and_wiped(spec: FieldSpec, keys: str, reason: RejectReason) -> None:
    line = keyed(spec, keys)
    assert (line.state, line.reason) == (CaptureState.WAITING, reason)
    assert line.empty() or line.unpaired()


def test_each_field_has_its_own_place_and_the_gateway_finds_it() -> None:
    fields = (*FIELDS, ZIP, ACCOUNT, BANK, IBAN, BORN)
    line = Line(CaptureSpec(fields=fields)).armed()
    for name, keys in (
        *((PAN, VISA + "#"), ("expiry", "1230"), ("code", "123"), ("zip", "94103")),
        *(("account", "12345678#"), ("bank", ROUTING), ("iban", IBAN_KEYS), ("born", "29022000")),
    ):
        line.collect(name).key(keys)

    card = line.capture.submit(line.now_s)

    parts = {
        SlotField.NUMBER: VISA,
        SlotField.EXPIRY_MONTH: "12",
        SlotField.EXPIRY_YEAR: "30",
        SlotField.EXPIRY_YEAR_LONG: "2030",
        SlotField.SECURITY_CODE: "123",
        SlotField.POSTAL_CODE: "94103",
        SlotField.BANK_ACCOUNT: "12345678",
        SlotField.ROUTING_NUMBER: ROUTING,
        SlotField.IBAN: "DE" + IBAN_KEYS,
        SlotField.DATE_OF_BIRTH: "29022000",
    }
    assert {part: bytes(card.part(part)).decode() for part in parts} == parts
    line.capture.tokenized()
    assert line.empty()


def test_several_fields_of_digits_are_held_side_by_side() -> None:
    names = [f"d{index}" for index in range(8)]
    fields = tuple(
        FieldSpec(name=name, kind=FieldKind.DIGITS, length_min=32, length_max=32) for name in names
    )
    line = Line(CaptureSpec(fields=fields)).armed()
    for index, name in enumerate(names):
        line.collect(name).key(str(index) * 32)

    assert line.capture.progress().accepted == tuple(names)
    others = bytes(line.slot[slots.OTHER_FIELDS_AT :]).decode()
    assert others == "".join(str(index) * slots.OTHER_FIELD_BYTES for index in range(8))
    line.collect("d3")
    assert bytes(line.slot[slots.OTHER_FIELDS_AT :]).decode().replace("\0", "") == others.replace("3", "")


def test_optional_field_is_left_empty_by_the_submit_key() -> None:
    spec = FieldSpec(name="zip", kind=FieldKind.POSTAL_CODE, length_min=5, length_max=5, optional=True)
    line = keyed(spec, "#")
    assert (line.state, line.capture.progress().accepted) == (CaptureState.HELD, ("zip",))
    assert bytes(line.capture.submit(line.now_s).part(SlotField.POSTAL_CODE)) == b""

    assert keyed(ZIP, "#").reason is RejectReason.TOO_SHORT


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (FieldCheck.LUHN, "79927398713", "79927398714"),
        (FieldCheck.MOD97, "79444", "79445"),
        (FieldCheck.MOD11, "123456789", "123456788"),
    ],
)
def test_checked_digits_settle_by_a_short_silence_once_they_are_right(
    check: FieldCheck, good: str, bad: str
) -> None:
    """79927398713: ISO/IEC 7812-1 annex B; 79444: ISO/IEC 7064; 123456789: 165 by falling weights, 15 times 11."""
    spec = FieldSpec(name="d", kind=FieldKind.DIGITS, length_min=4, length_max=20, check=check)
    assert keyed(spec, good).wait(2.1).state is CaptureState.HELD

    line = keyed(spec, bad).wait(2.1)
    assert line.state is CaptureState.KEYING
    line.wait(4)
    assert (line.state, line.reason) == (CaptureState.WAITING, RejectReason.CHECK)


def test_digits_in_a_range() -> None:
    spec = FieldSpec(
        name="d", kind=FieldKind.DIGITS, length_max=4, check=FieldCheck.RANGE, value_min=10, value_max=20
    )
    reasons = {keys: keyed(spec, keys + "#").reason for keys in ("9", "10", "020", "21", "100")}
    assert reasons == {
        "9": RejectReason.RANGE,
        "10": None,
        "020": None,
        "21": RejectReason.RANGE,
        "100": RejectReason.RANGE,
    }


def test_value_is_told_only_where_the_flow_calls_the_field_not_sensitive() -> None:
    open_field = FieldSpec(name="floor", kind=FieldKind.DIGITS, length_max=4, sensitive=False)
    line = Line(CaptureSpec(fields=(open_field, POLICY))).armed().collect("floor").key("0042")
    line.collect("policy").key("12345678")
    assert line.capture.progress().values == (KeyedValue("floor", "0042"),)

    line.collect("floor")
    assert line.capture.progress().values == ()


def test_empty_optional_field_has_no_value() -> None:
    spec = FieldSpec(name="n", kind=FieldKind.DIGITS, length_max=4, sensitive=False, optional=True)
    assert keyed(spec, "#").capture.progress().values == ()


@pytest.mark.parametrize(
    "spec",
    [
        FieldSpec(name="x", kind=FieldKind.CARD_NUMBER, sensitive=False),
        FieldSpec(name="x", kind=FieldKind.SECURITY_CODE, sensitive=False),
        FieldSpec(name="x", kind=FieldKind.BANK_ACCOUNT, sensitive=False),
        FieldSpec(name="x", kind=FieldKind.DIGITS, sensitive=False),
        FieldSpec(name="x", kind=FieldKind.DIGITS, length_min=12, length_max=12, sensitive=False),
        FieldSpec(name="x", kind=FieldKind.CARD_NUMBER, optional=True),
        FieldSpec(name="x", kind=FieldKind.EXPIRY, length_max=4),
        FieldSpec(name="x", kind=FieldKind.DIGITS, length_min=5, length_max=4),
        FieldSpec(name="x", kind=FieldKind.DIGITS, length_max=33),
        FieldSpec(name="x", kind=FieldKind.DIGITS, value_max=4),
        FieldSpec(name="x", kind=FieldKind.AMOUNT, value_min=5, value_max=4),
        FieldSpec(name="x", kind=FieldKind.BANK_ACCOUNT, check=FieldCheck.RANGE),
        FieldSpec(name="x", kind=FieldKind.IBAN),
        FieldSpec(name="x", kind=FieldKind.IBAN, country="GB"),
    ],
)
def test_field_that_cannot_be_is_refused(spec: FieldSpec) -> None:
    with pytest.raises(InvariantError):
        Line(CaptureSpec(fields=(spec,)))


@pytest.mark.parametrize("spec", [ZIP, ACCOUNT, BANK, IBAN, BORN, POLICY, AMOUNT])
def test_any_keys_end_within_their_place_and_wiped(spec: FieldSpec) -> None:
    line = keyed(spec, "1" * 70)
    if line.state not in ENDED:
        line.collect(spec.name).key("9876543210" * 4)
    place = slots.OTHER_FIELDS_AT + slots.OTHER_FIELD_BYTES
    assert bytes(line.slot[place:]) == bytes(slots.SLOT_BYTES - place)
