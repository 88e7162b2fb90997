"""The workbench process: ``python -m dtmf_shield.service.workbench.process``, orders on standard input.

It is sealed like cde before it reads its first order: no file, no connection, no other program. It keeps nothing from
one order to the next, and ends with its standard input. Test cards only: the script's guard refuses every other.
"""

from __future__ import annotations

import os
import resource
import sys
from typing import BinaryIO, Final

import msgspec

from dtmf_shield.base.errors import InvariantError, OperatorError
from dtmf_shield.flow.drawing import as_svg
from dtmf_shield.flow.finding import Severity
from dtmf_shield.flow.graph import as_data
from dtmf_shield.flow.loader import load_flow, read_flow
from dtmf_shield.service.flows.simulation import parse_script, simulate
from dtmf_shield.service.seal.doors import close_doors
from dtmf_shield.service.seal.process_rights import give_up_common_rights
from dtmf_shield.service.seal.step import told
from dtmf_shield.service.workbench.messages import LINE_BYTES_MAX, WorkbenchReady, WorkDone, WorkOrder

NICENESS: Final = 15
"""Calls come first."""
MEMORY_BYTES_MAX: Final = 1 << 29
"""Of address space; a draft of 44 KB needs 64 MB."""
FILE: Final = "flow.yaml"
"""What findings call the text."""

_REHEARSAL: Final = """flow: v1
id: rehearsal
title: Rehearsal
mode: self_service
languages: {default: en-GB, offered: [en-GB]}
prompts:
  ask: {en-GB: {say: "Card."}}
fields:
  pan: {type: card_number, brands: [visa]}
  expiry: {type: expiry}
start: card
steps:
  card: {do: collect, field: pan, prompts: [{play: ask}], next: {ok: expiry, failed: failed}}
  expiry: {do: collect, field: expiry, prompts: [{play: ask}], next: {ok: store, failed: failed}}
  store: {do: tokenize, next: {approved: stored, declined: failed, unknown: unknown, gateway_down: failed}}
  stored: {do: exit, result: tokenized, to: hangup}
  failed: {do: exit, result: failed, to: hangup}
  unknown: {do: exit, result: unknown, to: hangup}
"""
_MISTAKES: Final = (
    ("start: card", "start: cart"),
    ("title:", "titel:"),
    ("title: Rehearsal", "title: {a: 1}"),
    ("mode: self_service", "mode: none"),
    ("start: card", "start: card\nstart: card"),
    ("start: card", "start: card\nmax_duration: {time: long, then: 3}"),
    ("field: pan,", "feld: pan, attempts: many, patience: 1e3,"),
)
"""One of each kind: what tells of them must be loaded too."""
_SCRIPT: Final = "card visa\nkeys 1230\n"


def done(order: WorkOrder) -> WorkDone:
    """Carry out one order."""
    match order.do:
        case "check":
            _, findings = read_flow(order.text, file=FILE)
            return WorkDone(findings=tuple(finding.as_data() for finding in findings))
        case "draw":
            flow, findings = read_flow(order.text, file=FILE)
            # A flow with a lost target has no place where an arrow could end.
            if flow is None or any(finding.severity is Severity.ERROR for finding in findings):
                return WorkDone()
            return WorkDone(graph=as_data(flow), svg=as_svg(flow))
        case "simulate":
            return _simulated(order)


def _simulated(order: WorkOrder) -> WorkDone:
    refused: list[str] = []
    try:
        transcript = simulate(load_flow(order.text, file=FILE), parse_script(order.script))
        return WorkDone(lines=tuple(transcript.as_data()), ended=transcript.ended)
    except* OperatorError as group:
        refused += [str(error) for error in group.exceptions]
    return WorkDone(refused=tuple(refused))


def _rehearse() -> None:
    """Do everything once, well and with mistakes: nothing can be imported any more once the doors are closed."""
    if not done(WorkOrder("simulate", _REHEARSAL, _SCRIPT)).ended:
        raise InvariantError("the rehearsal of the workbench does not come to its end")
    for script in ("card visas", "keys x"):
        done(WorkOrder("simulate", _REHEARSAL, script))
    for text in (_REHEARSAL, *(_REHEARSAL.replace(*mistake) for mistake in _MISTAKES), "steps: [", "\t"):
        msgspec.json.encode(done(WorkOrder("check", text)))
    for text in (_REHEARSAL, "steps: ["):
        msgspec.json.encode(done(WorkOrder("draw", text)))
        msgspec.json.encode(done(WorkOrder("simulate", text)))


def serve(orders: BinaryIO, answers: BinaryIO) -> None:
    """Answer orders until there are none."""
    decoder = msgspec.json.Decoder(WorkOrder)
    while line := orders.readline(LINE_BYTES_MAX):
        answers.write(msgspec.json.encode(done(decoder.decode(line))) + b"\n")
        answers.flush()


def main() -> int:
    """Seal this process and serve."""
    steps = give_up_common_rights()
    _rehearse()
    os.nice(NICENESS)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
    steps += close_doors(frozenset())
    answers = sys.stdout.buffer
    answers.write(msgspec.json.encode(WorkbenchReady(told(steps))) + b"\n")
    answers.flush()
    serve(sys.stdin.buffer, answers)
    return 0


if __name__ == "__main__":
    sys.exit(main())
