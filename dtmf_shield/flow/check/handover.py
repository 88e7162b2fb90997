"""Whether somebody is there where a flow hands the caller over."""

from __future__ import annotations

from collections.abc import Iterator

from dtmf_shield.flow.finding import Finding
from dtmf_shield.flow.language import Flow
from dtmf_shield.flow.language.steps import ExitStep, TransferStep


def targets(flow: Flow) -> Iterator[Finding]:
    """Name the queue, and without an agent on the line the agent; a call that hangs up goes to nobody.

    Whether the server's configuration has a target of that name is told by ``dtmf-shield check``.
    """
    for name, step in flow.steps.items():
        if not isinstance(step, ExitStep | TransferStep):
            continue
        path = ("steps", name)
        if step.to == "hangup":
            if step.target is not None:
                yield Finding(
                    "handover", (*path, "target"), "a target of a hang-up", "no target, or to: queue"
                )
        elif step.target is None and (step.to == "queue" or flow.mode == "self_service"):
            found = f"to: {step.to} without a target" + (
                "" if step.to == "queue" else ", and no agent on the line"
            )
            allowed = "target: NAME of a queue or agent of the server's configuration"
            yield Finding(
                "handover", path, found, allowed + (", or to: hangup" if isinstance(step, ExitStep) else "")
            )
        elif step.target is None and isinstance(step, TransferStep):
            found = "a transfer to the agent who has the call already"
            yield Finding("handover", path, found, "do: exit, or the target of another agent or a queue")
