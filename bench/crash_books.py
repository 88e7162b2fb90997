"""Two books compared: what the gateway did, and what the ledgers say was done."""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Effect = tuple[int, str, int]
"""One thing that may happen to money once: the payment's own amount, the method, the amount moved."""
MONEY = ("authorize", "charge", "capture", "refund", "void")
STARTS = ("authorize", "charge")
AGAIN = 1
"""A charge by stored token has the payment's amount and one more: an effect of its own."""


@dataclass
class Verdict:
    """What the comparison found. ``examples``: a few of each, for whoever has to look."""

    double: int = 0
    lost: int = 0
    unknown_left: int = 0
    kept: int = 0
    """Charges whose caller had gone and that were neither voided nor refunded; counted in ``lost``."""
    effects: int = 0
    taken_back: int = 0
    examples: list[str] = field(default_factory=list)


def gateway_effects(operations: Iterable[dict[str, Any]]) -> Counter[Effect]:
    """Return how often each thing was done at the gateway."""
    by_id = {each["charge_id"]: each for each in operations if each["charge_id"]}
    return Counter(
        (_root(each, by_id)["amount_minor"], each["method"], _moved(each["method"], each["amount_minor"]))
        for each in operations
        if each["state"] == "approved" and each["method"] in MONEY
    )


def _root(operation: dict[str, Any], by_id: dict[str, dict[str, Any]]) -> dict[str, Any]:
    while operation["parent"]:
        operation = by_id[operation["parent"]]
    return operation


def _moved(method: str, amount_minor: int) -> int:
    return 0 if method == "void" else amount_minor


_ROWS = """
WITH RECURSIVE up(id, at) AS (
  SELECT operation_id, operation_id FROM operations
  UNION ALL
  SELECT up.id, parent.operation_id FROM up JOIN operations AS child ON child.operation_id = up.at
    JOIN operations AS parent ON parent.operation_id = child.parent_id
    WHERE child.kind IN ('capture', 'refund', 'void')
)
SELECT root.amount_minor, operations.kind, operations.amount_minor, operations.state, operations.unwanted
FROM operations JOIN up ON up.id = operations.operation_id JOIN operations AS root ON root.operation_id = up.at
WHERE root.kind IN ('authorize', 'charge') AND operations.kind IN ('authorize','charge','capture','refund','void')
"""


def ledger_effects(ledgers: Iterable[Path]) -> tuple[dict[Effect, set[str]], set[int]]:
    """Return the states of each thing in the ledgers, and the payments whose caller had gone."""
    states: dict[Effect, set[str]] = defaultdict(set)
    unwanted = set()
    for path in ledgers:
        with closing(sqlite3.connect(path)) as database:
            for root, kind, amount_minor, state, is_unwanted in database.execute(_ROWS):
                states[root, kind, _moved(kind, amount_minor)].add(state)
                if is_unwanted:
                    unwanted.add(root)
    return states, unwanted


def compare(operations: list[dict[str, Any]], ledgers: Iterable[Path]) -> Verdict:
    """Compare. Lost: approved in one book alone, or money kept that nobody waited for."""
    done, (states, unwanted) = gateway_effects(operations), ledger_effects(ledgers)
    verdict = Verdict(effects=sum(done.values()))
    for effect, count in done.items():
        if count > 1:
            verdict.double += count - 1
            verdict.examples.append(f"{count} times: {effect}")
    for effect in done.keys() | states.keys():
        here = states.get(effect, set())
        if here & {"unknown", "intent"}:
            verdict.unknown_left += 1
            verdict.examples.append(f"unknown: {effect}")
        elif (effect in done) != ("approved" in here):
            verdict.lost += 1
            verdict.examples.append(
                f"gateway {'did' if effect in done else 'did not'}, ledger {here}: {effect}"
            )
    back = {root for root, method, _ in done if method in ("void", "refund")}
    for root in unwanted:
        started = any((root, method, root) in done for method in STARTS)
        verdict.taken_back += started and root in back
        if started and root not in back:
            verdict.kept += 1
            verdict.lost += 1
            verdict.examples.append(f"kept though the caller had gone: {root}")
    return verdict
