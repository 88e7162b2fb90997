"""docs/reference/payments.md says what the code does: the table of re-sends, limits, codes of refused orders."""

from __future__ import annotations

from pathlib import Path

import pytest

from dtmf_shield.base.config import Config
from dtmf_shield.cde import delivery, payments, reconcile, retry, take_back
from dtmf_shield.cde.gateways.base import Idempotency
from dtmf_shield.cde.order_rules import OrderRefusal
from dtmf_shield.cde.retry import VERDICTS, Ending, Verdict

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "payments.md").read_text()
WORDS = {
    Verdict.SETTLED: "stands",
    Verdict.AGAIN: "again",
    Verdict.AGAIN_IN_DOUBT: "again",
    Verdict.UNKNOWN: "unknown",
}


def table() -> str:
    """The table of the page, written from the code's."""
    lines = [
        "| what came back | in doubt before | " + " | ".join(f"`{each}`" for each in Idempotency) + " |",
        "|---|---|---|---|---|",
    ]
    for ending in Ending:
        for in_doubt in (False, True):
            cells = [WORDS[VERDICTS[ending, each, in_doubt]] for each in Idempotency]
            lines.append(f"| {ending.value} | {'yes' if in_doubt else 'no'} | {' | '.join(cells)} |")
    return "\n".join(lines)


def test_table_of_re_sends_is_the_codes() -> None:
    assert table() in PAGE


@pytest.mark.parametrize("code", OrderRefusal)
def test_every_code_of_a_refused_order_is_explained(code: OrderRefusal) -> None:
    assert f"| `{code.value}` |" in PAGE


@pytest.mark.parametrize(
    "words",
    [
        f"{retry.SENDS_MAX} sends",
        f"{payments.PAYMENT_TIME_MAX_S:.0f} s after the card was submitted",
        f"{payments.CARD_SENDS_S_MAX:.0f} s",
        f"{payments.DIRECT_SENDS_S_MAX:.0f} s",
        f"{reconcile.NOT_FOUND_BELIEVED_S / 60:.0f} minutes",
        f"{reconcile.WAIT_S_MAX / 60:.0f} minutes",
        f"{reconcile.ALARM_AFTER_S / 60:.0f} minutes",
        f"{retry.KEY_LIFE_SHARE * 100:.0f} %",
        f"{take_back.TRIES_MAX} tries",
    ],
)
def test_limits_are_the_codes(words: str) -> None:
    assert words in PAGE
    assert delivery.SENDS_MAX == retry.SENDS_MAX


def test_default_rules_are_the_configurations() -> None:
    for rule in Config().velocity:
        assert f"| `{rule.name}` | {rule.limit} {rule.counted} | {rule.per} |" in PAGE
