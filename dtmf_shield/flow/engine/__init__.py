"""The flow interpreter: ``advance(state, event) -> (state, commands)`` over a table of (step kind, event).

Sans-IO: no clock, socket or log. No event and no command can hold a key of the caller: fields are names, results are
words, menus answer by place. Values that are spoken are amounts, references and last4.
"""

from dtmf_shield.flow.engine.beginning import begin
from dtmf_shield.flow.engine.compiler import compile_flow
from dtmf_shield.flow.engine.interpreter import advance
from dtmf_shield.flow.engine.program import Program
from dtmf_shield.flow.engine.state import FlowState, SavedState, restore

__all__ = ["FlowState", "Program", "SavedState", "advance", "begin", "compile_flow", "restore"]
