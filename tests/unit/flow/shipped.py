"""The shipped flows, and runs of them brought to a step."""

from pathlib import Path

from dtmf_shield.flow.engine import begin
from dtmf_shield.flow.engine.commands import Play
from dtmf_shield.flow.engine.events import Accepted, Chosen, HookAnswered, HookOutcome, PromptDone
from dtmf_shield.flow.engine.interpreter import advance
from dtmf_shield.flow.loader import load_flow
from dtmf_shield.model.prompt import Care, Text, Value

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


def only(kind, commands):
    """The commands of one kind."""
    return [command for command in commands if isinstance(command, kind)]


def spoken(commands):
    """What is said, as one text; values in angle brackets."""
    pieces = [piece for play in only(Play, commands) for piece in play.pieces]
    words = {
        Text: lambda p: p.text,
        Value: lambda p: f"<{p.value}>",
        Care: lambda p: f"({p.phrase} {p.count}/{p.of})",
    }
    return " ".join(words[type(piece)](piece) for piece in pieces if type(piece) in words)


def bill(*events):
    """The self-service flow behind its greeting, in English."""
    return run("card-payment-self-service", PromptDone(), Chosen(0), *events)


FOUND = HookAnswered(HookOutcome.OK, (("balance", "87.20"),))
