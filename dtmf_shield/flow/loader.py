"""Flow files: YAML 1.2 text to a Flow. Anchors, aliases and tags are refused: a flow says what it means."""

from __future__ import annotations

import io
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent, NodeEvent

from dtmf_shield.base.errors import ConfigurationError, OperatorError
from dtmf_shield.flow.language import Flow

FLOW_BYTES_MAX = 100_000


def load_flow(text: str, *, file: str) -> Flow:
    """Parse and check one flow. ``file`` is only for messages.

    Raises OperatorError (no YAML, too large) or an ExceptionGroup of ConfigurationError, one a finding.
    """
    if len(text) > FLOW_BYTES_MAX:
        raise OperatorError(f"{file}: larger than {FLOW_BYTES_MAX} characters; split the flow")
    try:
        _refuse_anchors(text, file)
        data: Any = YAML(typ="rt").load(io.StringIO(text))
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise OperatorError(f"{file}:{line}: not YAML: {error.problem}") from None
    except YAMLError as error:
        raise OperatorError(f"{file}: not YAML: {error}") from None
    try:
        return Flow.model_validate(data)
    except ValidationError as error:
        findings = [_finding(file, data, dict(item)) for item in error.errors()]
        raise ExceptionGroup(f"{file}: {len(findings)} finding(s)", findings) from None


def _refuse_anchors(text: str, file: str) -> None:
    for event in YAML(typ="rt").parse(io.StringIO(text)):
        line = event.start_mark.line + 1
        if isinstance(event, AliasEvent) or (isinstance(event, NodeEvent) and event.anchor):
            raise OperatorError(
                f"{file}:{line}: anchors and aliases are refused; for the star key write: star"
            )
        if getattr(event, "ctag", None):
            raise OperatorError(f"{file}:{line}: tags are refused; write the value plainly")


def _finding(file: str, data: Any, error: dict[str, Any]) -> ConfigurationError:
    location: tuple[str | int, ...] = error["loc"]
    line, node = 1, data
    for part in location:
        marks = getattr(node, "lc", None)
        if marks is None:
            break
        try:
            line = (marks.key(part) if isinstance(node, dict) else marks.item(part))[0] + 1
            node = node[part]
        except (KeyError, IndexError, TypeError):
            continue  # pydantic names the step kind in the path too; the file has no such level
    found = "nothing" if error["type"] == "missing" else repr(error["input"])[:80]
    if error["type"] == "extra_forbidden":
        found = "an unknown key"
    if isinstance(error["input"], dict) and error["type"] == "value_error":
        found = "this"
    allowed = error["msg"].removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        # Which keys belong here depends on the step: a shipped flow shows them all.
        allowed = "the keys of a shipped flow at this place; correct the spelling or remove it"
    key = ".".join(str(part) for part in location) or "(whole file)"
    return ConfigurationError(file=file, line=line, key=key, found=found, allowed=allowed)
