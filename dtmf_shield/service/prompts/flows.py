"""What flow files say, for the builder and the checker of prompts; where prompts and recordings lie."""

from __future__ import annotations

import contextlib
from pathlib import Path

from dtmf_shield.base.config import Config
from dtmf_shield.base.errors import OperatorError
from dtmf_shield.flow.finding import Finding, Severity
from dtmf_shield.flow.language import Flow
from dtmf_shield.flow.loader import load_flow
from dtmf_shield.service.flows.files import files_of as flow_files_of
from dtmf_shield.service.flows.files import served_files
from dtmf_shield.service.prompts.check import PROMPTS_FOLDER, FlowPrompts, prompt_findings
from dtmf_shield.service.state_directory import state_directory_of


def flows_of(config: Config, base: Path, directory: Path | None) -> list[Path]:
    """Return the flow files of a directory, else of the configuration. Raises OperatorError where there is none."""
    if directory is None:
        return served_files(config, base)
    files = sorted(directory.glob("*.yaml"))
    if not files:
        raise OperatorError(f"{directory} holds no flow (*.yaml); name the folder of your flows (--flows)")
    return files


def prompts_directory(config: Config, base: Path) -> Path:
    """Return where a configuration's prompts lie."""
    return base / config.state.directory / PROMPTS_FOLDER


def made_prompts_directory(config: Config, base: Path) -> Path:
    """Return where a configuration's prompts lie, in a state directory that is there. Raises OperatorError."""
    return state_directory_of(config, base, None) / PROMPTS_FOLDER


def check_prompts(config: Config, base: Path) -> list[str]:
    """Return one sentence for each flow and language that says what is not built. Flows that are wrong are left out."""
    flows = []
    for path in served_files(config, base):
        with contextlib.suppress(
            OperatorError, ExceptionGroup
        ):  # ``start.check`` says what is wrong with them
            flows.append(read_flow_prompts(path))
    return [finding.said for finding in prompt_findings(prompts_directory(config, base), flows)]


def unbuilt_prompts(directory: Path, paths: list[Path]) -> list[Finding]:
    """Return what flow files need of a folder of built prompts. Flows that are wrong are left out."""
    findings: list[Finding] = []
    for path in flow_files_of(paths):
        with contextlib.suppress(OperatorError, ExceptionGroup):
            for found in prompt_findings(directory, [read_flow_prompts(path)]):
                rule = "draft-voice" if found.draft else "not-built"
                severity = Severity.WARNING if found.draft else Severity.ERROR
                finding = Finding(
                    rule, ("prompts",), found.said, "every prompt built and recorded", severity=severity
                )
                findings.append(finding.at(str(path), 1, 1))
    return findings


def read_flow_prompts(path: Path) -> FlowPrompts:
    """Return what a flow file says. Raises OperatorError or a group of them."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise OperatorError(f"{path} cannot be read ({reason})") from None
    return flow_prompts(load_flow(text, file=str(path)))


def flow_prompts(flow: Flow) -> FlowPrompts:
    """Return what a loaded flow says; a language without prompts of its own says nothing."""
    return FlowPrompts(
        flow=flow.id,
        languages=tuple(flow.languages.offered),
        prompts={
            name: {language: tuple(spoken.pieces()) for language, spoken in prompt.root.items()}
            for name, prompt in flow.prompts.items()
        },
    )
