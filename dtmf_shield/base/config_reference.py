"""The configuration's reference page, written from its definition: ``python -m dtmf_shield.base.config_reference``."""

from __future__ import annotations

import inspect
import json
import sys
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from dtmf_shield.base.config import Config

HEADER = """# Configuration

Written from `dtmf_shield/base/config.py` by `python -m dtmf_shield.base.config_reference`; a test compares them.

One TOML file, given by `--config`. Without it every key has its default: loopback and the TEST gateway. Unknown keys
are refused. `dtmf-shield check --config FILE` checks a file and all it points at.
"""


def render() -> str:
    """Return the whole page as Markdown."""
    parts = [HEADER]
    shown: set[type[BaseModel]] = set()
    for name, field in Config.model_fields.items():
        section, many = _section(field)
        title = f"[[{name}]]" if many else f"[{name}]"
        if section in shown:
            parts.append(f"## `{title}`\n\n{' '.join((field.description or '').split())}\n")
            continue
        shown.add(section)
        text = (inspect.getdoc(section) or "").partition(": ")[2].replace("``", "`")
        parts.append(f"## `{title}`\n\n{text[:1].upper()}{text[1:]}\n")
        parts.append("| key | default | meaning |\n|---|---|---|")
        parts += [_row(key, each) for key, each in section.model_fields.items()]
        parts.append("")
    return "\n".join(parts)


def _section(field: FieldInfo) -> tuple[type[BaseModel], bool]:
    annotation: Any = field.annotation
    if get_origin(annotation) is list:
        return get_args(annotation)[0], True
    if get_args(annotation):  # a section or None
        return get_args(annotation)[0], False
    return annotation, False


def _row(key: str, field: FieldInfo) -> str:
    default = field.default
    shown = (
        "required"
        if default is PydanticUndefined
        else "none"
        if default is None
        else f"`{json.dumps(default)}`"
    )
    meaning = " ".join((field.description or "").replace("``", "`").replace("|", "\\|").split())
    return f"| `{key}` | {shown} | {meaning} |"


if __name__ == "__main__":
    sys.stdout.write(render())
