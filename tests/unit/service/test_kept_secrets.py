"""Secrets in the state directory: made once, kept over restarts, readable by the service alone, never half written."""

from __future__ import annotations

from pathlib import Path

import pytest

from dtmf_shield.base.config import Config
from dtmf_shield.base.errors import OperatorError
from dtmf_shield.call.caller_name import caller_name
from dtmf_shield.service import start
from dtmf_shield.service.kept_secrets import kept_secret


def test_a_secret_is_made_once_for_each_service(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()

    first, again = kept_secret(tmp_path / "a" / "x.key"), kept_secret(tmp_path / "a" / "x.key")

    assert first == again
    assert len(first) >= 32
    assert kept_secret(tmp_path / "b" / "x.key") != first
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["x.key"]
    assert (tmp_path / "a" / "x.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"short\n", b"caf\xe9" * 20], ids=["empty", "blank", "short", "latin-1"]
)
def test_a_file_that_holds_no_secret_is_refused_and_not_taken_for_an_empty_one(
    tmp_path: Path, content: bytes
) -> None:
    """An empty bearer key would let everybody in; without a caller's key nobody would be counted."""
    (tmp_path / "x.key").write_bytes(content)

    with pytest.raises(OperatorError, match=r"x\.key: .*remove it"):
        kept_secret(tmp_path / "x.key")


def test_a_secret_that_cannot_be_kept_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(OperatorError, match=r"x\.key: "):
        kept_secret(tmp_path / "file" / "x.key")


def test_a_caller_has_the_same_name_after_a_restart(tmp_path: Path) -> None:
    """What the ledger remembers of a caller is counted again by that name."""
    before, after = (start._configure_control(Config(), tmp_path, tmp_path, "once", None) for _ in range(2))

    names = {caller_name(each.caller_key, "+441234567890") for each in (before, after)}

    assert len(names) == 1
    assert names != {""}
    assert before.api_key == after.api_key
    assert before.api_key.encode() != before.caller_key
