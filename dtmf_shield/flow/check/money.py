"""Whether money is asked for clearly and told truly: unknown stays unknown, nothing is pressed by accident."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from dtmf_shield.flow.check.routes import PASSES_ALONE, reached, ways, ways_through
from dtmf_shield.flow.finding import Finding, Severity
from dtmf_shield.flow.language import Flow
from dtmf_shield.flow.language.fields import CARD_TYPES, AmountField
from dtmf_shield.flow.language.steps import (
    CollectStep,
    ExitStep,
    MenuStep,
    MoneyStep,
    PlayStep,
    TransferStep,
    targets_of,
)
from dtmf_shield.model.prompt import Formatter, ValueReference

_RESULT_OF: Final = {
    "charge": "paid",
    "authorise": "authorised",
    "authorize": "authorised",
    "tokenize": "tokenized",
    "verify": "verified",
}
_INSTRUMENTS: Final = frozenset({"card_number", "bank_account", "iban"})


def _money(flow: Flow) -> dict[str, MoneyStep]:
    return {name: step for name, step in flow.steps.items() if isinstance(step, MoneyStep)}


def unknown_stays_unknown(flow: Flow) -> Iterator[Finding]:
    """No answer leads, through plays only, to an exit with result: unknown. Another card there may charge twice."""
    graph = ways_through(flow, (PlayStep,))
    for name, step in flow.steps.items():
        if isinstance(step, TransferStep):
            graph[name] = {step.next["failed"]}  # nobody took the call: it goes on
    for name, money in _money(flow).items():
        for target in sorted(reached(graph, [money.next["unknown"]])):
            step = flow.steps[target]
            says = getattr(step, "result", "")
            if not isinstance(step, PlayStep) and says != "unknown":
                found = f"{target}, a step with do: {step.do}" + (f" and result: {says}" if says else "")
                allowed = "plays, then an exit with result: unknown: no answer is not declined"
                yield Finding("unknown-result", ("steps", name, "next", "unknown"), found, allowed)


def results(flow: Flow) -> Iterator[Finding]:
    """An exit says what happened: paid only after approved, unknown only after unknown, failed after no payment."""
    for name, step in flow.steps.items():
        if not isinstance(step, ExitStep | TransferStep):
            continue
        outcome = "unknown" if step.result == "unknown" else "approved"
        doers = [
            m
            for m, money in _money(flow).items()
            if outcome == "unknown" or _RESULT_OF[money.do] == step.result
        ]
        if step.result not in {"unknown", *_RESULT_OF.values()}:
            continue
        if name in reached(_without_outcome(flow, doers, outcome), _starts(flow)):
            found = f"{step.result}, on a path without that outcome"
            allowed = f"{step.result} only behind next.{outcome} of a step that does it"
            yield Finding("result", ("steps", name, "result"), found, allowed)
    yield from _paid_is_not_failed(flow)


def _starts(flow: Flow) -> list[str]:
    return [flow.start] + ([flow.max_duration.then] if flow.max_duration is not None else [])


def _without_outcome(flow: Flow, doers: Iterable[str], outcome: str) -> dict[str, set[str]]:
    graph = ways(flow)
    for name in doers:
        others = {
            way: target for way, target in targets_of(flow.steps[name]).items() if way != f"next.{outcome}"
        }
        graph[name] = set(others.values())
    return graph


def _paid_is_not_failed(flow: Flow) -> Iterator[Finding]:
    moving = {name: money for name, money in _money(flow).items() if money.moves_money}
    for name, money in moving.items():
        behind = reached(ways(flow), [money.next["approved"]], avoid=_money(flow))
        for exit_name in sorted(behind):
            step = flow.steps[exit_name]
            if isinstance(step, ExitStep | TransferStep) and step.result in ("failed", "cancelled"):
                found = f"a way to {exit_name}, which says {step.result}"
                allowed = f"exits that say {_RESULT_OF[money.do]}: the money has moved"
                yield Finding("result", ("steps", name, "next", "approved"), found, allowed)


def menus_before_money(flow: Flow) -> Iterator[Finding]:
    """A menu that leads to money without another question drops keys typed before it: left-over card keys."""
    for name, step in flow.steps.items():
        if not isinstance(step, MenuStep) or step.type_ahead == "drop":
            continue
        behind = reached(ways_through(flow, PASSES_ALONE), step.keys.values())
        for target in sorted(name for name in behind if isinstance(flow.steps[name], MoneyStep))[:1]:
            found = f"type_ahead: keep before {target}"
            allowed = "type_ahead: drop, so that left-over keys pay nothing"
            yield Finding("type-ahead", ("steps", name), found, allowed)


def one_currency(flow: Flow) -> Iterator[Finding]:
    """A flow has one currency: amounts are spoken and confirmed in it."""
    named = {
        ("steps", name, "currency"): money.currency for name, money in _money(flow).items() if money.currency
    }
    named |= {
        ("fields", name, "currency"): field.currency
        for name, field in flow.fields.items()
        if isinstance(field, AmountField)
    }
    first = next(iter(named.values()), "")
    for path, currency in named.items():
        if currency != first:
            yield Finding("currency", path, f"{currency} beside {first}", "one currency in a flow")


def confirmed(flow: Flow) -> Iterator[Finding]:
    """Before money moves every path goes through a menu that says the amount and the card's last four digits.

    Where the agent reads every question, the agent confirms.
    """
    if flow.mode == "agent_assisted" and not flow.prompts:
        return
    confirming = [
        name for name, step in flow.steps.items() if isinstance(step, MenuStep) and _confirms(flow, step)
    ]
    behind = reached(ways(flow), [flow.start], avoid=confirming)
    for name, money in _money(flow).items():
        if money.moves_money and name in behind:
            found = "a path on which nobody confirms the amount and the card"
            allowed = "a menu that says {...|money} and {....last4|digits} on every path"
            yield Finding("unconfirmed", ("steps", name), found, allowed, severity=Severity.WARNING)


def _confirms(flow: Flow, step: MenuStep) -> bool:
    for rule in step.prompts:
        spoken = flow.prompts[rule.play].root.values()
        pieces = [piece for said in spoken for piece in said.pieces() if isinstance(piece, ValueReference)]
        says_card = any(piece.reference.endswith(".last4") for piece in pieces)
        if any(piece.formatter is Formatter.MONEY for piece in pieces) and (says_card or not _has_card(flow)):
            return True
    return False


def _has_card(flow: Flow) -> bool:
    return any(field.type == "card_number" for field in flow.fields.values())


def card_complete(flow: Flow) -> Iterator[Finding]:
    """On every path to the gateway the card or account is collected, and the expiry of a card; after an answer anew."""
    starts = [flow.start] + [
        target
        for step in _money(flow).values()
        for outcome, target in step.next.items()
        if outcome != "unknown"  # told by unknown_stays_unknown
    ]
    kinds_held = {field.type for field in flow.fields.values()}
    # A verification of who somebody is needs no card; all else does.
    needed = (
        [_INSTRUMENTS]
        if kinds_held & _INSTRUMENTS or any(m.do != "verify" for m in _money(flow).values())
        else []
    )
    needed += [frozenset({"expiry"})] if _has_card(flow) else []
    for kinds in needed:
        collecting = [
            name
            for name, step in flow.steps.items()
            if isinstance(step, CollectStep) and flow.fields[step.field].type in kinds
        ]
        behind = reached(_forward(flow), starts, avoid=collecting)
        for name in (name for name in _money(flow) if name in behind):
            found = f"a path on which no {' or '.join(sorted(kinds))} is collected before it"
            allowed = "a collect step on every path; after an answer cde holds nothing, and all is keyed anew"
            yield Finding("card-incomplete", ("steps", name), found, allowed)


def _forward(flow: Flow) -> dict[str, set[str]]:
    """Return ways behind a payment only for those that go on with what cde holds: after approved nothing is held."""
    graph = ways(flow)
    for name in _money(flow):
        graph[name] = set()
    return graph


def paid_once(flow: Flow) -> Iterator[Finding]:
    """Behind a payment that was approved no other one lies, and no card is asked for."""
    for name, money in _money(flow).items():
        if not money.moves_money:
            continue
        for target in sorted(reached(ways(flow), [money.next["approved"]])):
            step = flow.steps[target]
            if isinstance(step, MoneyStep):
                found, allowed = f"a way to {target}, which pays again", "one payment in a call"
            elif isinstance(step, CollectStep) and flow.fields[step.field].type in CARD_TYPES:
                found, allowed = f"a way to {target}, which asks for a card", "no card behind a payment"
            else:
                continue
            yield Finding("paid-twice", ("steps", name, "next", "approved"), found, allowed)
            break


def no_card_after_stopped(flow: Flow) -> Iterator[Finding]:
    """A velocity rule has stopped a card, and would stop the next: nothing behind that asks for another by itself."""
    for name, money in _money(flow).items():
        said = money.next.get("stopped")
        by = "" if said else ", as after declined"
        for target in sorted(reached(ways(flow), [said or money.next["declined"]])):
            step = flow.steps[target]
            if isinstance(step, CollectStep) and flow.fields[step.field].type in _INSTRUMENTS:
                found = f"a way to {target}, which asks for another card{by}"
                allowed = "stopped: to an agent or to an exit; the next card would be stopped as well"
                path = ("steps", name, "next", *(["stopped"] if said else []))
                yield Finding("another-card", path, found, allowed, severity=Severity.WARNING)
                break
