"""The shipped flows, and runs of them brought to a step."""

from pathlib import Path

from dtmf_shield.flow.engine import begin
from dtmf_shield.flow.engine.events import Accepted
from dtmf_shield.flow.engine.interpreter import advance
from dtmf_shield.flow.loader import load_flow

DIRECTORY = Path(__file__).parents[3] / "ivr_flows"
FILES = sorted(DIRECTORY.glob("*.yaml"))
TEXTS = {path.stem: path.read_text("utf-8") for path in FILES}
INPUTS = {"amount": "12.50", "currency": "GBP", "reference": "ORDER-7", "customer": "C-1"}


def flow(name):
    return load_flow(TEXTS[name], file=f"{name}.yaml")


FLOWS = {name: flow(name) for name in TEXTS}


def run(name, *events, inputs=INPUTS, **how):
    """Begin a shipped flow and let these happen. Returns the state and the commands of the last event."""
    state, commands = begin(FLOWS[name], inputs, **how)
    for event in events:
        state, commands = advance(state, event)
    return state, commands


CARD = (Accepted("pan", brand="visa", last4="4242"), Accepted("expiry"), Accepted("cvv"))
"""A card keyed at once, in flows that begin with one."""
