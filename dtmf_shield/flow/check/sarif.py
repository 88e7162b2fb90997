"""Findings as SARIF 2.1.0 (OASIS), which code hosts show beside the line."""

from __future__ import annotations

from typing import Any

from dtmf_shield.flow.check.check import RULES
from dtmf_shield.flow.finding import Finding


def as_sarif(findings: list[Finding]) -> dict[str, Any]:
    """Return one SARIF log with one run."""
    rules = [{"id": rule, "shortDescription": {"text": text}} for rule, text in RULES.items()]
    return {
        "version": "2.1.0",
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "runs": [
            {
                "tool": {"driver": {"name": "dtmf-shield flow check", "rules": rules}},
                "results": [_result(finding) for finding in findings],
            }
        ],
    }


def _result(finding: Finding) -> dict[str, Any]:
    region = {"startLine": finding.line, "startColumn": finding.column}
    place = {"physicalLocation": {"artifactLocation": {"uri": finding.file}, "region": region}}
    return {
        "ruleId": finding.rule,
        "level": finding.severity.value,
        "message": {"text": finding.message},
        "locations": [place],
    }
