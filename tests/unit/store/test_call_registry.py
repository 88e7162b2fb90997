"""The call registry: records come back after the process died; a broken file costs records, not the service."""

import pytest

from dtmf_shield.model.ids import CallId
from dtmf_shield.store.calls import RECORD_BYTES_MAX, CallRegistry


def test_records_come_back_in_order_after_reopening(tmp_path):
    registry = CallRegistry(tmp_path / "calls.sqlite3")
    for name in ("a", "b", "c"):
        registry.put(CallId(name), name.encode())
    registry.remove(CallId("b"))

    assert CallRegistry(tmp_path / "calls.sqlite3").records() == [b"a", b"c"]


def test_a_record_replaces_the_older_one(tmp_path):
    registry = CallRegistry(tmp_path / "calls.sqlite3")
    registry.put(CallId("a"), b"old")
    registry.put(CallId("a"), b"new")

    assert registry.records() == [b"new"]


def test_a_record_over_the_limit_is_refused(tmp_path):
    registry = CallRegistry(tmp_path / "calls.sqlite3")

    with pytest.raises(ValueError, match=str(RECORD_BYTES_MAX)):
        registry.put(CallId("a"), bytes(RECORD_BYTES_MAX + 1))
    assert registry.records() == []


def test_a_file_that_is_no_database_is_moved_aside(tmp_path):
    path = tmp_path / "calls.sqlite3"
    path.write_bytes(b"no database at all, but long enough to be looked at" * 40)

    registry = CallRegistry(path)
    registry.put(CallId("a"), b"x")

    assert registry.records() == [b"x"]
    assert path.with_suffix(".broken").exists()
