"""summary.json of the demonstration, and the one sentence that says why it did not succeed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dtmf_shield.service.demo.analysis import CallEvidence
from dtmf_shield.service.demo.scenario import CallProgress


@dataclass(frozen=True, slots=True)
class CallReport:
    """One call: how it went, what its recordings prove (None: it never came to that), and the delay we add."""

    progress: CallProgress
    evidence: CallEvidence | None
    added_delay_ms: float | None


def summary(reports: Sequence[CallReport]) -> dict[str, Any]:
    """Return what summary.json holds. `leak` speaks of every call that has evidence."""
    return {
        "calls": [_call(report) for report in reports],
        "leak": any(report.evidence is not None and report.evidence.leak for report in reports),
    }


def _call(report: CallReport) -> dict[str, Any]:
    evidence, progress = report.evidence, report.progress
    return {
        "door": str(progress.door),
        "token": progress.token or None,
        "last4": progress.last4 or None,
        "digits_sent": len(progress.sent),
        "digits_heard_caller_side": evidence.heard_caller_side if evidence else None,
        "digits_heard_agent_side": evidence.heard_agent_side if evidence else None,
        "digits_in_recording": evidence.recording.most if evidence else None,
        "added_delay_ms": report.added_delay_ms,
    }


def why_not(reports: Sequence[CallReport]) -> str:
    """Return one sentence on what went wrong, the worst first; empty where all is well."""
    for report in reports:
        evidence = report.evidence
        if evidence is not None and evidence.leak:
            return f"LEAK on the {report.progress.door} call: {leak_sentence(evidence)}."
    for report in reports:
        if report.progress.failure:
            return report.progress.failure.rstrip(".") + "."
        if report.evidence is None:
            return f"The {report.progress.door} call left no evidence."
        if not report.evidence.control_holds:
            heard, sent = report.evidence.heard_caller_side, report.evidence.keys_sent
            return (
                f"The positive control of the {report.progress.door} call failed: only {heard} of {sent} keys were "
                "heard on the caller's own side, so silence on the agent's side proves nothing."
            )
    return ""


def leak_sentence(evidence: CallEvidence) -> str:
    """Say in words what reached the agent's phone or the recording."""
    found: list[str] = []
    if evidence.agent.most:
        found.append(f"{evidence.agent.most} keys were heard on the agent's phone")
    if evidence.events_at_agent:
        found.append(f"{evidence.events_at_agent} events or INFO reached the agent's phone")
    if evidence.recording.most:
        found.append(f"{evidence.recording.most} keys were heard in the recording")
    for place, result in evidence.attacks.items():
        if place != "caller" and result.beats_luck:
            found.append(f"an attacker guessed {result.guessed} of {result.of} keys from the {place}'s audio")
    return ", and ".join(found)


def write_summary(content: dict[str, Any], path: Path) -> None:
    """Write `content` as JSON, readable by people."""
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
