"""The first step of a flow: its language, what it is told, and the timer of its longest duration."""

from __future__ import annotations

from collections.abc import Mapping

from dtmf_shield.flow.engine.compiler import compile_flow
from dtmf_shield.flow.engine.entering import Step, enter
from dtmf_shield.flow.engine.program import Program
from dtmf_shield.flow.engine.state import FlowState
from dtmf_shield.flow.language.flow import Flow


def begin(
    flow: Flow | Program, inputs: Mapping[str, str] | None = None, *, language: str = "", dialled: str = ""
) -> Step:
    """Enter the first step. ``inputs`` have been accepted by ``flow.inputs``. ``language``: told with the call."""
    program = flow if isinstance(flow, Program) else compile_flow(flow)
    if not program.spoken:
        chosen = program.flow.languages.of_dialled(dialled)
    else:
        chosen = program.spoken.get(language) or program.flow.languages.resolve(language)
    values = {f"inputs.{name}": value for name, value in inputs.items()} if inputs else {}
    start = program.start
    state, commands = enter(FlowState(program, start, chosen, values), start.name)
    return state, commands if state.over else program.time_limit + commands
