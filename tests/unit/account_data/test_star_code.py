"""Star codes: recognised wherever they stand, forgotten after a pause, no key kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtmf_shield.account_data.star_code import KEY_GAP_MAX_S, StarCodes


def completions(codes: tuple[str, ...], keys: str, gap_s: float = 0.2) -> list[int]:
    matcher = StarCodes(codes)
    found = [matcher.key(ord(key), index * gap_s) for index, key in enumerate(keys)]
    return [index for index in found if index is not None]


def test_code_is_recognised() -> None:
    assert completions(("*1",), "*1") == [0]


def test_code_is_recognised_within_other_keys() -> None:
    assert completions(("*1", "*9#"), "7**122*9#") == [0, 1]


def test_code_that_repeats_its_own_start_is_recognised() -> None:
    assert completions(("**1",), "***1") == [0]


def test_slow_keys_are_no_code() -> None:
    assert completions(("*1",), "*1", gap_s=KEY_GAP_MAX_S + 0.1) == []


def test_keys_are_not_shown() -> None:
    matcher = StarCodes(("*1",))
    matcher.key(ord("*"), 0.0)
    assert "*" not in repr(matcher)


def test_too_long_code_is_refused() -> None:
    with pytest.raises(ValueError, match="limits"):
        StarCodes(("*12345678",))


@given(st.text("*12", min_size=1, max_size=3), st.text("*12", max_size=30))
def test_same_as_the_slow_obvious_search(code: str, keys: str) -> None:
    expected, since = 0, ""
    for key in keys:
        since += key
        if since.endswith(code):
            expected, since = expected + 1, ""

    assert len(completions((code,), keys)) == expected
