"""Keys in SIP INFO bodies as gateways really write them, and what is no key."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtmf_shield.cde.info_dtmf import KEYS, NO_KEY, parse_held_ms, parse_info_body


@pytest.mark.parametrize(
    ("body", "key"),
    [
        (b"Signal=5\r\nDuration=160\r\n", "5"),
        (b"Signal= 5\nDuration= 250", "5"),
        (b"signal = *\r\n", "*"),
        (b"Duration=100\r\nSignal=#\r\n", "#"),
        (b"Signal=10\r\nDuration=160", "*"),
        (b"Signal=11\r\n", "#"),
        (b"Signal=a\r\n", "A"),
        (b"7", "7"),
        (b"7\r\n", "7"),
        (b"  *  ", "*"),
    ],
)
def test_key_is_read(body: bytes, key: str) -> None:
    assert parse_info_body(memoryview(body)) == ord(key)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"Signal=",
        b"Signal",
        b"Signal=42\r\n",
        b"Signal=17",
        b"42",
        b"x",
        b"Duration=5\r\n",
        b"Signal=x",
        b"\0" * 40,
    ],
)
def test_no_key_is_told_as_none(body: bytes) -> None:
    assert parse_info_body(memoryview(body)) == NO_KEY


@pytest.mark.parametrize(
    ("body", "held_ms"),
    [
        (b"Signal=5\r\nDuration=160\r\n", 160),
        (b"Signal= 5\nduration = 4000", 4000),
        (b"Duration=99999\r\nSignal=#\r\n", 99999),
        (b"Duration=100000\r\nSignal=#\r\n", 0),
        (b"Signal=5\r\nDuration=\r\n", 0),
        (b"Signal=5\r\nDuration=-4\r\n", 0),
        (b"Signal=5\r\nDuration", 0),
        (b"5", 0),
        (b"", 0),
    ],
)
def test_time_held_is_read_where_it_is_told(body: bytes, held_ms: int) -> None:
    assert parse_held_ms(memoryview(body)) == held_ms


@given(st.binary(max_size=64))
def test_any_bytes_give_a_key_or_none(body: bytes) -> None:
    assert parse_info_body(memoryview(body)) in KEYS | {NO_KEY}
    assert 0 <= parse_held_ms(memoryview(body)) <= 99999
