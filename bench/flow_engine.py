"""Claim: the flow interpreter keeps up with every call of a machine. Prints events a second of a core, and the peer's.

Usage: python -m bench.flow_engine [--n 7] [--calls 2000] ; n = rounds. One call is the shipped card payment with a slip
and a declined first card: every event that cde, media and the agent's page send, progress batched at 250 ms, and
entering the flow. The peer, transitions (a state machine library, MIT), has the same steps and is told the same
outcomes; it looks up no prompt, checks no amount and keeps no attempt. Turns alternate, the best of each is kept.
Processor time is counted: what else runs on the machine is nobody's claim. How the Python that runs it was built makes
a difference of a quarter: the result names its version.
"""

import argparse
import logging
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

from transitions import Machine

from bench.result import keep, parser
from dtmf_shield.flow.engine import Program, advance, begin, compile_flow
from dtmf_shield.flow.engine import events as ev
from dtmf_shield.flow.loader import load_flow
from dtmf_shield.model.capture import RejectReason

FLOW = Path(__file__).parents[1] / "ivr_flows" / "card-payment-agent.yaml"
INPUTS = {"amount": "12.50", "currency": "GBP", "reference": "ORDER-7"}
PROGRESS_RUN = 80
STEP_MS, BATCH_MS = 250, 250


def keyed(field: str, keys: int) -> list[ev.Event]:
    """Return what cde tells while a field is keyed: one progress a batch."""
    count = keys * STEP_MS // BATCH_MS
    return [ev.Progressed(field, at + 1) for at in range(count)]


def card(first: str) -> list[ev.Event]:
    """Return the events of one card, with a slip in its number."""
    pan = [ev.Armed(), *keyed("pan", 16)]
    slip = [ev.Rejected("pan", RejectReason.LUHN), ev.PromptDone(), *keyed("pan", 16)] if first else []
    return [
        *pan, *slip, ev.PromptDone(), ev.Accepted("pan", "visa", "4242"),
        *keyed("expiry", 4), ev.PromptDone(), ev.Accepted("expiry"),
        *keyed("cvv", 3), ev.PromptDone(), ev.Accepted("cvv"), ev.PromptDone(), ev.Chosen(0),
    ]  # fmt: skip


def one_call() -> list[ev.Event]:
    """Return every event of one call."""
    declined = [ev.ChargeAnswered(ev.ChargeOutcome.DECLINED), ev.PromptDone()]
    approved = [ev.ChargeAnswered(ev.ChargeOutcome.APPROVED, "A7B2"), ev.PromptDone(), ev.PromptDone()]
    return [*card("slip"), *declined, *card(""), *approved]


def run_ours(program: Program, events: list[ev.Event], calls: int) -> None:
    """Run whole calls. Raises RuntimeError where one does not end as paid."""
    for _ in range(calls):
        state, _ = begin(program, INPUTS)
        for event in events:
            state, _ = advance(state, event)
        if state.step != "finished":
            raise RuntimeError(f"the call ended in {state.step}")


def run_progress(program: Program, calls: int) -> None:
    """Tell of keys alone: most of what a flow hears, and all of it changes nothing."""
    state, _ = begin(program, INPUTS)
    state, _ = advance(state, ev.Progressed("pan", 1))
    event = ev.Progressed("pan", 2)
    for _ in range(calls * PROGRESS_RUN):
        state, _ = advance(state, event)


WORDS: dict[type, str] = {
    ev.Accepted: "accepted",
    ev.Chosen: "chosen",
    ev.PromptDone: "prompt_done",
    ev.Progressed: "progressed",
    ev.Rejected: "rejected",
    ev.Armed: "armed",
}


class Peer:
    """The same steps in `transitions`."""

    def __init__(self) -> None:
        """Build the machine once; a call begins by going back to the first step."""
        steps = ["card", "expiry", "cvv", "confirm", "pay", "declined", "done", "receipt", "finished"]
        logging.getLogger("transitions").setLevel(logging.ERROR)
        self.machine = Machine(
            model=self, states=steps, initial="card", auto_transitions=False, send_event=False
        )
        asking = ["card", "expiry", "cvv", "confirm"]
        for trigger in ("progressed", "rejected", "armed", "prompt_done"):
            self.machine.add_transition(trigger, asking, None)
        for source, target in (("card", "expiry"), ("expiry", "cvv"), ("cvv", "confirm")):
            self.machine.add_transition("accepted", source, target)
        self.machine.add_transition("chosen", "confirm", "pay")
        self.machine.add_transition("approved", "pay", "done")
        self.machine.add_transition("declined_", "pay", "declined")
        for source, target in (("declined", "card"), ("done", "receipt"), ("receipt", "finished")):
            self.machine.add_transition("prompt_done", source, target)

    def run(self, triggers: list[str], calls: int) -> None:
        """Run whole calls. Raises RuntimeError where one does not end as paid."""
        for _ in range(calls):
            self.machine.set_state("card")
            for trigger in triggers:
                self.trigger(trigger)
            if self.state != "finished":
                raise RuntimeError(f"the peer's call ended in {self.state}")


def trigger_of(event: ev.Event) -> str:
    """Return the peer's word for an event."""
    if isinstance(event, ev.ChargeAnswered):
        return "approved" if event.outcome is ev.ChargeOutcome.APPROVED else "declined_"
    return WORDS[type(event)]


def best_s(works: dict[str, Callable[[], None]], rounds: int) -> dict[str, float]:
    """Return seconds of each work: the best of `rounds`, by turns."""
    best = dict.fromkeys(works, float("inf"))
    for _ in range(rounds):
        for name, work in works.items():
            began_s = time.process_time()
            work()
            best[name] = min(best[name], time.process_time() - began_s)
    return best


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    found = parser("flow_engine", __doc__ or "", n=7)
    found.add_argument("--calls", type=int, default=2_000)
    return found.parse_args()


def main() -> int:
    """Measure and keep."""
    given = arguments()
    program = compile_flow(load_flow(FLOW.read_text("utf-8"), file=FLOW.name))
    events, peer = one_call(), Peer()
    triggers = [trigger_of(event) for event in events]
    # A peer is fifty times slower: it runs fewer calls, timed each.
    peer_calls = max(given.calls // 20, 1)
    seconds = best_s(
        {
            "ours": lambda: run_ours(program, events, given.calls),
            "progress": lambda: run_progress(program, given.calls),
            "transitions": lambda: peer.run(triggers, peer_calls),
        },
        given.n,
    )
    ours = given.calls * len(events) / seconds["ours"]
    theirs = peer_calls * len(events) / seconds["transitions"]
    progress = given.calls * PROGRESS_RUN / seconds["progress"]
    lines = [
        "# The flow interpreter beside transitions",
        "",
        "| | events a second, one core | ratio |",
        "|---|---|---|",
        f"| ours, whole calls with prompts, amounts and limits | {ours:,.0f} | {ours / theirs:.1f} |",
        f"| ours, progress alone | {progress:,.0f} | |",
        f"| transitions, the bare steps | {theirs:,.0f} | 1 |",
        "",
        f"A call has {len(events)} events: {1e6 * seconds['ours'] / given.calls:.0f} us for all of it, with Python "
        f"{platform.python_version()}.",
    ]
    keep(
        "flow_engine",
        lines,
        f"python -m bench.flow_engine --n {given.n} --calls {given.calls}",
        given.out,
        package="flow",
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
