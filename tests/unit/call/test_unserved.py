"""Flows that a call cannot carry out yet are not begun: shipped ones are told apart by their steps."""

from pathlib import Path

import pytest

from dtmf_shield.call.unserved import unserved_reason
from dtmf_shield.flow.loader import load_flow

FLOWS = Path(__file__).parents[3] / "ivr_flows"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("card-tokenize-agent", ""),
        ("card-charge-agent", ""),
        ("card-payment-agent", "confirm"),
        ("card-payment-self-service", "to_queue"),
    ],
)
def test_flow_is_begun_only_where_every_step_is_served(name: str, reason: str) -> None:
    path = FLOWS / f"{name}.yaml"
    told = unserved_reason(load_flow(path.read_text("utf-8"), file=str(path)))

    assert reason in told
    assert bool(told) == bool(reason)
