"""The audit chain tells a changed, removed or foreign row from an intact file."""

import json

import pytest

from dtmf_shield.audit.chain import AuditLog, verify
from dtmf_shield.base.errors import OperatorError


def written(path, count=3):
    log = AuditLog(path)
    for number in range(count):
        log.append("mask_on", 1_800_000_000.0 + number, call="c1")
    log.close()
    return path


def test_an_intact_chain_verifies_and_goes_on_after_reopening(tmp_path):
    path = written(tmp_path / "audit.jsonl")
    log = AuditLog(path)
    log.append("mask_off", 1_800_000_009.0, call="c1")
    log.close()

    rows = [row for row, _ in verify(path)]

    assert [row["n"] for row in rows] == [0, 1, 2, 3]
    assert rows[-1]["event"] == "mask_off"


@pytest.mark.parametrize("change", ["edit", "remove", "garbage"])
def test_a_changed_file_is_refused_at_the_line_that_was_changed(tmp_path, change):
    path = written(tmp_path / "audit.jsonl")
    lines = path.read_text().splitlines()
    if change == "edit":
        lines[1] = json.dumps({**json.loads(lines[1]), "event": "mask_off"})
    elif change == "remove":
        del lines[1]
    else:
        lines[1] = "not json"
    path.write_text("\n".join(lines) + "\n")

    with pytest.raises(OperatorError, match=r"audit\.jsonl:2"):
        list(verify(path))


def test_card_numbers_are_scrubbed_from_rows(tmp_path):
    log = AuditLog(tmp_path / "audit.jsonl")
    log.append("note", 0.0, text="4242 4242 4242 4242")
    log.close()

    assert "4242" not in (tmp_path / "audit.jsonl").read_text().replace("hash", "").split('"event"')[1]
