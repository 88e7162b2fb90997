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


@pytest.mark.parametrize("rows", [0, 3])
def test_a_row_that_was_cut_is_removed_and_told(tmp_path, rows):
    path = written(tmp_path / "audit.jsonl", rows)
    with path.open("a") as file:
        file.write('{"at": 1.0, "event": "mas')

    log = AuditLog(path)
    log.append("mask_off", 1_800_000_009.0, call="c1")
    log.close()

    events = [row["event"] for row, _ in verify(path)]
    assert events == ["mask_on"] * rows + ["audit_row_cut", "mask_off"]


def test_a_file_that_is_no_chain_is_refused(tmp_path):
    path = tmp_path / "audit.jsonl"
    path.write_text("something else\n")

    with pytest.raises(OperatorError, match=r"audit\.jsonl"):
        AuditLog(path)


def test_card_numbers_are_scrubbed_from_rows(tmp_path):
    log = AuditLog(tmp_path / "audit.jsonl")
    log.append("note", 0.0, text="4242 4242 4242 4242")
    log.close()

    assert "4242" not in (tmp_path / "audit.jsonl").read_text().replace("hash", "").split('"event"')[1]
