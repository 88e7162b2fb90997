"""What control asks the workbench, and what it answers: one line of JSON each, over its standard input and output."""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

MODULE: Final = "dtmf_shield.service.workbench.process"
LINE_BYTES_MAX: Final = 4 << 20
"""Longer than any drawing of a flow that the loader takes; an answer beyond it ends the workbench."""


class WorkOrder(msgspec.Struct, frozen=True):
    """One thing to do with a flow's text. ``script``: of a simulation, else empty."""

    do: Literal["check", "draw", "simulate"]
    text: str
    script: str = ""


class WorkDone(msgspec.Struct, frozen=True):
    """What came of it; members that the order does not ask for are empty.

    ``findings``: as ``Finding.as_data`` writes them. ``graph``: as ``flow.graph.as_data``, None where there are errors.
    ``lines``: of a transcript. ``refused``: why there is none, in sentences.
    """

    findings: tuple[dict[str, str | int], ...] = ()
    graph: dict[str, Any] | None = None
    svg: str = ""
    lines: tuple[dict[str, str | float], ...] = ()
    ended: bool = False
    refused: tuple[str, ...] = ()


class WorkbenchReady(msgspec.Struct, frozen=True):
    """Its first line. ``weaker``: protections that this kernel could not give, each as ``name: why``."""

    weaker: tuple[str, ...] = ()
