"""Versions of flows that calls may run: copies in the state directory, so that a flow file can be edited at any time.

The supervisor takes checked files over at the start and at each reload and names the copies; control loads what it is
told by name. A control that comes back, or a capture that began before a reload, finds the very text it ran.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dtmf_shield.base.errors import OperatorError
from dtmf_shield.base.log import get_logger
from dtmf_shield.flow.engine.compiler import fingerprint
from dtmf_shield.flow.language import Flow
from dtmf_shield.flow.loader import load_flow
from dtmf_shield.service.flows.files import load, text_of

VERSIONS_FOLDER: Final = "flows"
VERSION_CHARACTERS: Final = 12
"""Of the fingerprint, in names of files and rows of the audit log. No more: 13 digits could be taken for a card's."""
VERSIONS_KEPT_MAX: Final = 1_000
"""Copies in the folder; of those that no call begins with any more the oldest leave first."""

_log = get_logger("flows")


def version_of(flow: Flow) -> str:
    """Return the short name of a flow's version, of its fingerprint."""
    return fingerprint(flow)[:VERSION_CHARACTERS]


def file_name(flow_id: str, flow_fingerprint: str) -> str:
    """Return the name of a version's copy."""
    return f"{flow_id}.{flow_fingerprint[:VERSION_CHARACTERS]}.yaml"


def take_over(directory: Path, files: Iterable[Path]) -> tuple[str, ...]:
    """Copy the present version of each flow file and return the copies' names. Raises OperatorError or a group.

    Nothing is removed: a reload may yet be refused, and what is served then is what was served before.
    """
    names = []
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
        for path in files:
            # The text that is checked is the text that is kept: the file may change meanwhile.
            text = text_of(path)
            flow = load_flow(text, file=str(path))
            names.append(file_name(flow.id, fingerprint(flow)))
            _write(directory / names[-1], text)
    except OSError as error:
        raise OperatorError(
            f"{directory}: flows cannot be kept there ({error.strerror}); make room"
        ) from error
    return tuple(names)


def _write(path: Path, text: str) -> None:
    if path.exists() and path.read_bytes() == text.encode():
        os.utime(path)  # the oldest leave first, and this one is wanted again
        return
    part = path.with_suffix(".part")
    with part.open("w", encoding="utf-8", newline="") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def make_room(directory: Path, served: Collection[str], before: Collection[str] = ()) -> None:
    """Remove the oldest copies beyond VERSIONS_KEPT_MAX, once ``served`` are. Never one of these, or of ``before``.

    ``before``: what was served until now. Calls may run it for hours yet, so its age counts from now on.
    """
    kept = {*served, *before}
    try:
        for name in before:
            os.utime(directory / name)
        old = [path for path in directory.glob("*.yaml") if path.name not in kept]
        old.sort(key=lambda path: path.stat().st_mtime, reverse=True)
        for path in old[max(0, VERSIONS_KEPT_MAX - len(kept)) :]:
            path.unlink(missing_ok=True)
    except OSError as error:
        _log.warning("flow_versions_not_pruned", reason=f"{directory}: {error.strerror}")


@dataclass(frozen=True, slots=True)
class FlowChanges:
    """What a reload has brought: counts of flows by id."""

    served: int
    new: int
    changed: int
    gone: int


class FlowShelf:
    """Control's side: the versions that captures begin with, and any other by name."""

    def __init__(self, directory: Path, unfit: Callable[[Flow], Sequence[str]] = lambda _flow: ()) -> None:
        """``directory``: of the copies. ``unfit``: says why a call cannot run a flow here, nothing where it can."""
        self._directory, self._unfit = directory, unfit
        self._loaded: dict[str, Flow] = {}
        self.flows: dict[str, Flow] = {}
        """What a call can begin with now, by id. Replaced whole, never changed."""

    def read(self, names: Sequence[str]) -> dict[str, Flow]:
        """Return versions by name. About 50 ms for each that is not served yet: beside a loop. Raises OperatorError."""
        known = self._loaded
        return {name: known.get(name) or _read(self._directory / name) for name in names}

    def serve(self, loaded: Mapping[str, Flow]) -> FlowChanges:
        """Begin captures with these versions from now on. ``loaded``: as ``read`` returns them."""
        flows = {flow.id: flow for flow in loaded.values() if self._fits(flow)}
        changes = FlowChanges(
            served=len(flows),
            new=len(flows.keys() - self.flows.keys()),
            changed=sum(flow != self.flows.get(name, flow) for name, flow in flows.items()),
            gone=len(self.flows.keys() - flows.keys()),
        )
        self._loaded, self.flows = dict(loaded), flows
        return changes

    def _fits(self, flow: Flow) -> bool:
        reasons = self._unfit(flow)
        if reasons:
            _log.info("flow_not_offered", flow=flow.id, reason="; ".join(reasons))
        return not reasons

    def version(self, flow_id: str, flow_fingerprint: str) -> Flow | None:
        """Return one version, None where its copy is gone or is not what its name says."""
        name = file_name(flow_id, flow_fingerprint)
        try:
            flow = self._loaded.get(name) or _read(self._directory / name)
        except OperatorError as error:
            _log.error("flow_version_lost", flow=flow_id, reason=str(error))
            return None
        return flow if fingerprint(flow) == flow_fingerprint else None


def _read(path: Path) -> Flow:
    reasons: list[str] = []
    try:
        return load(path)
    except* OperatorError as group:
        reasons += [str(error) for error in group.exceptions]
    raise OperatorError("; ".join(reasons))
