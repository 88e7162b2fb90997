"""Versions of flows: copies that outlive edits of their files, and what control serves of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dtmf_shield.base.errors import OperatorError
from dtmf_shield.flow.engine.compiler import fingerprint
from dtmf_shield.service.flows import versions as flow_versions
from dtmf_shield.service.flows.versions import FlowChanges, FlowShelf, make_room, take_over, version_of

FLOWS = Path(__file__).parents[3] / "ivr_flows"
TOKENIZE = (FLOWS / "card-tokenize-agent.yaml").read_text("utf-8")
CHARGE = (FLOWS / "card-charge-agent.yaml").read_text("utf-8")
SELF_SERVICE = (FLOWS / "card-payment-self-service.yaml").read_text("utf-8")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with two flows."""
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "a.yaml").write_text(TOKENIZE, "utf-8")
    (folder / "b.yaml").write_text(CHARGE, "utf-8")
    return folder


def titled(text: str, title: str) -> str:
    return "\n".join(f"title: {title}" if line.startswith("title:") else line for line in text.splitlines())


def taken(tmp_path: Path, files: Path) -> tuple[str, ...]:
    return take_over(tmp_path / "kept", sorted(files.glob("*.yaml")))


def test_a_version_is_named_by_flow_and_content_and_keeps_its_text(tmp_path: Path, files: Path) -> None:
    first = taken(tmp_path, files)
    (files / "a.yaml").write_text(titled(TOKENIZE, "Another title"), "utf-8")
    second = taken(tmp_path, files)

    assert [name.partition(".")[0] for name in first] == ["card-tokenize-agent", "card-charge-agent"]
    assert first[0] != second[0]
    assert first[1] == second[1]
    assert (tmp_path / "kept" / first[0]).read_text("utf-8") == TOKENIZE
    assert taken(tmp_path, files) == second


def test_a_copy_that_somebody_changed_is_written_anew(tmp_path: Path, files: Path) -> None:
    name = taken(tmp_path, files)[0]
    (tmp_path / "kept" / name).write_text("changed")

    taken(tmp_path, files)

    assert (tmp_path / "kept" / name).read_text("utf-8") == TOKENIZE


@pytest.mark.parametrize("content", [b"title: no flow\n", b"id: caf\xe9\n"], ids=["wrong", "latin-1"])
def test_a_bad_file_is_refused_with_its_name(tmp_path: Path, files: Path, content: bytes) -> None:
    (files / "b.yaml").write_bytes(content)

    with pytest.raises((OperatorError, ExceptionGroup)) as refused:
        taken(tmp_path, files)

    assert "b.yaml" in str(refused.value)


def aged(tmp_path: Path, names: tuple[str, ...], at_s: int) -> tuple[str, ...]:
    for name in names:
        os.utime(tmp_path / "kept" / name, (at_s, at_s))
    return names


def kept(tmp_path: Path) -> set[str]:
    return {path.name for path in (tmp_path / "kept").iterdir()}


def title(tmp_path: Path, files: Path, text: str, at_s: int) -> tuple[str, ...]:
    (files / "a.yaml").write_text(titled(TOKENIZE, text), "utf-8")
    return aged(tmp_path, taken(tmp_path, files), at_s)


def test_old_versions_have_an_end_and_present_ones_stay(
    tmp_path: Path, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow_versions, "VERSIONS_KEPT_MAX", 4)
    names: list[tuple[str, ...]] = []
    for number in range(6):
        names.append(title(tmp_path, files, f"Title {number}", at_s=number))
        make_room(tmp_path / "kept", names[-1])

    assert kept(tmp_path) == {*names[3], *names[4], *names[5]}


def test_a_version_that_came_back_is_no_old_one(
    tmp_path: Path, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow_versions, "VERSIONS_KEPT_MAX", 3)
    first, second = title(tmp_path, files, "First", at_s=1), title(tmp_path, files, "Second", at_s=2)
    (files / "a.yaml").write_text(titled(TOKENIZE, "First"), "utf-8")
    assert taken(tmp_path, files) == first
    third = title(tmp_path, files, "Third", at_s=3)

    make_room(tmp_path / "kept", third)

    assert kept(tmp_path) == {*first, *third}
    assert second[0] not in kept(tmp_path)


def test_nothing_leaves_before_a_reload_is_in_force_and_what_it_replaces_stays(
    tmp_path: Path, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow_versions, "VERSIONS_KEPT_MAX", 3)
    served, refused = title(tmp_path, files, "Served", at_s=1), title(tmp_path, files, "Refused", at_s=2)
    present = title(tmp_path, files, "Present", at_s=3)
    assert kept(tmp_path) == {*served, *refused, *present}

    make_room(tmp_path / "kept", present, before=served)

    assert kept(tmp_path) == {*served, *present}
    assert (tmp_path / "kept" / served[0]).stat().st_mtime > 3


def test_a_folder_that_is_gone_ends_no_reload(tmp_path: Path) -> None:
    make_room(tmp_path / "gone", ("a.1.yaml",), before=("a.0.yaml",))


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, files: Path) -> None:
    (tmp_path / "kept").write_text("")

    with pytest.raises(OperatorError, match="flows cannot be kept"):
        taken(tmp_path, files)


def test_what_is_served_changes_as_a_whole_and_is_counted(tmp_path: Path, files: Path) -> None:
    shelf = FlowShelf(tmp_path / "kept")
    shelf.serve(shelf.read(taken(tmp_path, files)))
    before = shelf.flows
    (files / "a.yaml").write_text(titled(TOKENIZE, "Another title"), "utf-8")
    (files / "b.yaml").write_text(CHARGE.replace("id: card-charge-agent", "id: another"), "utf-8")
    (files / "c.yaml").write_text(SELF_SERVICE, "utf-8")

    changes = shelf.serve(shelf.read(taken(tmp_path, files)))

    assert changes == FlowChanges(served=3, new=2, changed=1, gone=1)
    assert {name: flow.title for name, flow in shelf.flows.items()}["card-tokenize-agent"] == "Another title"
    assert set(before) == {"card-tokenize-agent", "card-charge-agent"}


def test_a_version_that_cannot_be_read_changes_nothing(tmp_path: Path, files: Path) -> None:
    shelf = FlowShelf(tmp_path / "kept")
    names = taken(tmp_path, files)
    shelf.serve(shelf.read(names))
    before = shelf.flows

    with pytest.raises(OperatorError):
        shelf.read((*names, "gone.0123456789ab.yaml"))

    assert shelf.flows is before


def test_a_version_that_began_before_is_found_by_its_fingerprint(tmp_path: Path, files: Path) -> None:
    shelf = FlowShelf(tmp_path / "kept")
    shelf.serve(shelf.read(taken(tmp_path, files)))
    old = shelf.flows["card-tokenize-agent"]
    (files / "a.yaml").write_text(titled(TOKENIZE, "Another title"), "utf-8")
    fresh = FlowShelf(tmp_path / "kept")
    fresh.serve(fresh.read(taken(tmp_path, files)))

    assert fresh.version(old.id, fingerprint(old)) == old
    assert fresh.flows[old.id] != old
    assert fresh.version(old.id, "0" * 64) is None


def test_a_copy_that_is_not_what_its_name_says_is_no_version(tmp_path: Path, files: Path) -> None:
    names = taken(tmp_path, files)
    shelf = FlowShelf(tmp_path / "kept")
    shelf.serve(shelf.read(names))
    old = shelf.flows["card-tokenize-agent"]
    (tmp_path / "kept" / names[0]).write_text(titled(TOKENIZE, "Another title"), "utf-8")

    assert version_of(old) in names[0]
    assert FlowShelf(tmp_path / "kept").version(old.id, fingerprint(old)) is None
