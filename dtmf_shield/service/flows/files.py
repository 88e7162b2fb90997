"""Flow files on disk: the shipped ones, reading and checking several, a new one from a template."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Final

from dtmf_shield.base.config import Config
from dtmf_shield.base.errors import OperatorError
from dtmf_shield.flow.finding import Finding, Severity, closest, listing
from dtmf_shield.flow.language import Flow
from dtmf_shield.flow.language.words import ID_PATTERN
from dtmf_shield.flow.loader import load_flow, read_flow
from dtmf_shield.flow.schema import SCHEMA_FILE, json_schema_text

CHECKOUT_FLOWS: Final = Path(__file__).parents[3] / "ivr_flows"
FLOWS_MAX: Final = 200
INSTALLED_FLOWS: Final = Path(sys.prefix) / "share" / "dtmf-shield" / "ivr_flows"


def shipped_flows() -> Path:
    """Return the directory of the flows that ship with the service."""
    return CHECKOUT_FLOWS if CHECKOUT_FLOWS.is_dir() else INSTALLED_FLOWS


def served_files(config: Config, base: Path) -> list[Path]:
    """Return the flow files that this configuration serves. Raises OperatorError where there is none."""
    own = config.capture.flows_directory
    directory = base / own if own else shipped_flows()
    files = sorted(directory.glob("*.yaml"))
    if not files:
        raise OperatorError(f"capture.flows_directory: {directory} holds no flow (*.yaml)")
    if len(files) > FLOWS_MAX:
        raise OperatorError(
            f"capture.flows_directory: {directory} holds {len(files)} flows; {FLOWS_MAX} at most; move some away"
        )
    return files


def text_of(path: Path) -> str:
    """Return a file's text. Raises OperatorError that says why not."""
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise OperatorError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise OperatorError(f"{path}: not UTF-8 text") from None


def load(path: Path) -> Flow:
    """Return a checked flow. Raises OperatorError or a group of them."""
    return load_flow(text_of(path), file=str(path))


def check_files(paths: list[Path]) -> list[Finding]:
    """Return every finding of every file, and that of two flows with one id. A directory stands for its flows."""
    findings: list[Finding] = []
    by_id: dict[str, Path] = {}
    for path in files_of(paths):
        flow, found = read_flow(text_of(path), file=str(path))
        findings += found
        if flow is None:
            continue
        if flow.id in by_id:
            same = Finding(
                "value", ("id",), f"{flow.id}, as in {by_id[flow.id]}", "an id that no other flow has"
            )
            findings.append(same.at(str(path), 1, 1))
        by_id.setdefault(flow.id, path)
    return findings


def files_of(paths: list[Path]) -> list[Path]:
    """Return the flow files that paths name. Raises OperatorError for a directory without one."""
    files: list[Path] = []
    for path in paths:
        found = sorted(path.glob("*.yaml")) if path.is_dir() else [path]
        if not found:
            raise OperatorError(f"{path}: holds no flow (*.yaml)")
        files += found
    return files


def has_errors(findings: list[Finding]) -> bool:
    """Whether a flow with these findings would be refused."""
    return any(finding.severity is Severity.ERROR for finding in findings)


def templates() -> dict[str, str]:
    """Return the templates of `flow new`: id to title."""
    return {path.stem: load(path).title for path in sorted(shipped_flows().glob("*.yaml"))}


def write_new(template: str, path: Path, flow_id: str) -> list[Path]:
    """Write a new flow and, where it is missing, the schema for the editor. Returns the files written."""
    known = sorted(file.stem for file in shipped_flows().glob("*.yaml"))
    if template not in known:
        meant = closest(template, known)
        hint = f"; did you mean {meant}?" if meant else ""
        raise OperatorError(
            f"template {template!r}: there is no such template; allowed: {listing(known)}{hint}"
        )
    if re.fullmatch(ID_PATTERN, flow_id) is None:
        raise OperatorError(f"id {flow_id!r}: lower case letters, digits and -, at most 32; give one by --id")
    if path.exists():
        raise OperatorError(f"{path}: is there already; name another file")
    text = text_of(shipped_flows() / f"{template}.yaml")
    written = [path]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(re.sub(r"(?m)^id: .*$", f"id: {flow_id}", text, count=1), "utf-8")
        schema = path.parent / SCHEMA_FILE
        if not schema.exists():
            schema.write_text(json_schema_text(), "utf-8")
            written.append(schema)
    except OSError as error:
        raise OperatorError(f"{path}: {error.strerror}") from None
    return written
