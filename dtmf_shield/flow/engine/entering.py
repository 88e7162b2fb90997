"""Entering steps: what each kind asks for when it begins. Steps that need no answer are passed in the same go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from dtmf_shield.flow.engine.commands import (
    CallHook,
    Charge,
    Collect,
    Command,
    Exit,
    ExitCause,
    OpenMenu,
    SetTimer,
    Transfer,
)
from dtmf_shield.flow.engine.events import Timers
from dtmf_shield.flow.engine.program import CompiledStep
from dtmf_shield.flow.engine.speaking import ask, currency_of, say
from dtmf_shield.flow.engine.state import FlowState
from dtmf_shield.flow.language.words import minor_units
from dtmf_shield.model.payment import AMOUNT_MINOR_MAX, OperationKind

VISITS_MAX: Final = 200
"""Steps one run may enter; a flow that goes round for longer ends as failed."""
_OPERATIONS: Final = {
    "charge": OperationKind.CHARGE,
    "authorise": OperationKind.AUTHORIZE,
    "authorize": OperationKind.AUTHORIZE,
    "tokenize": OperationKind.TOKENIZE,
    "verify": OperationKind.VERIFY,
}
Step = tuple[FlowState, tuple[Command, ...]]
_ANSWER: Final = Timers.ANSWER
_NEEDS_CALLER: Final = frozenset({"collect", "menu", "transfer"})
_DONE_RESULTS: Final = {
    OperationKind.CHARGE: "paid",
    OperationKind.AUTHORIZE: "authorised",
    OperationKind.TOKENIZE: "tokenized",
    OperationKind.VERIFY: "verified",
}


def enter(state: FlowState, name: str) -> Step:
    """Enter a step and every one that follows without an answer."""
    while True:
        came_from = state.at.kind
        state, at = _arrive(state, name)
        if state.visits > VISITS_MAX:
            return end(state, ExitCause.TOO_MANY_STEPS)
        if at.kind == "exit":
            return state, (at.exit,) if at.exit is not None else ()
        if state.caller_gone and at.kind in _NEEDS_CALLER:
            return end(state, ExitCause.CALLER_GONE)
        if at.field in state.accepted and came_from != "collect":
            state = without(state, another(state, at.field))  # a menu or a refusal leads here: keyed anew
        passed = _passed(state, at)
        if passed is None:
            return BEGIN[at.kind](state, at)
        state, name = passed


def another(state: FlowState, field: str) -> frozenset[str]:
    """Return what goes with a field that is keyed anew: with a card number all of the card."""
    cards = state.program.card_fields
    return cards if state.program.flow.fields[field].type == "card_number" else frozenset({field})


def without(state: FlowState, lost: frozenset[str]) -> FlowState:
    """Forget fields and what they told."""
    values = {path: value for path, value in state.values.items() if not _tells_of(path, lost)}
    return replace(state, accepted=state.accepted - lost, values=values)


def _tells_of(path: str, fields: frozenset[str]) -> bool:
    group, _, name = path.partition(".")
    return group in fields or (name in fields and group in ("vars", "fields"))


def begin_again(state: FlowState) -> Step:
    """Begin the present step anew without counting a visit."""
    fresh = replace(state, attempt=1, error="", keying=False, repeats=0)
    if fresh.over:
        return fresh, ()
    passed = _passed(fresh, fresh.at)
    return enter(*passed) if passed is not None else BEGIN[fresh.at.kind](fresh, fresh.at)


def end(state: FlowState, cause: ExitCause) -> Step:
    """End without a step that says so. What became of the money is said first: approved stays paid, unknown unknown."""
    at = state.program.implicit[cause]
    outcome, operation = state.values.get("result.outcome", ""), state.values.get("result.operation", "")
    if at.exit is not None and outcome == "unknown":
        at = replace_exit(at, replace(at.exit, result="unknown", alert="reconcile"))
    elif at.exit is not None and outcome == "approved" and operation:
        at = replace_exit(at, replace(at.exit, result=_DONE_RESULTS[OperationKind(operation)]))
    return replace(state, at=at), (at.exit,) if at.exit is not None else ()


def replace_exit(at: CompiledStep, way_out: Exit) -> CompiledStep:
    """Return an exit of that step."""
    return CompiledStep(name=at.name, kind="exit", step=at.step, next={}, exit=way_out)


def _arrive(state: FlowState, name: str) -> tuple[FlowState, CompiledStep]:
    at = state.program.steps[name]
    limit = state.program.flow.max_duration
    if state.overdue and limit is not None and at.kind in _NEEDS_CALLER and not state.settled:
        state, at = replace(state, overdue=False), state.program.steps[limit.then]
    counts = state.counts
    for _ in state.program.steps:  # a limit may lead to a limit, but not round and round
        if not at.limit_visits or counts.get(at.name, 0) < at.limit_visits:
            break
        at = state.program.steps[at.limit_then]
    if at.limit_visits or at.kind == "repeat":
        counts = {**counts, at.name: counts.get(at.name, 0) + 1}
    arrived = replace(
        state,
        at=at,
        visits=state.visits + 1,
        counts=counts,
        attempt=1,
        error="",
        keying=False,
        repeats=0,
        prompts=state.prompts + 1,
    )
    return arrived, at


def _passed(state: FlowState, at: CompiledStep) -> tuple[FlowState, str] | None:
    """Return where to go on from a step that needs no answer, None where it does."""
    match at.kind:
        case "collect" if at.field in state.accepted:
            return state, at.next["ok"]  # held already: asked for out of order
        case "collect" if not state.gateway_up and "gateway_down" in at.next:
            return state, at.next["gateway_down"]
        case "play" if state.caller_gone:
            return state, at.next["ok"]
        case "set":
            return assigned(state, tuple(at.data.set.items()), at.data.language or ""), at.next["ok"]
        case "repeat":
            again = state.counts[at.name] <= at.data.times
            return state, at.data.step if again else at.next["done"]
    return None


def assigned(state: FlowState, sets: tuple[tuple[str, str], ...], language: str) -> FlowState:
    """Return the state with variables set from references, and the language where one is named."""
    values = dict(state.values)
    for name, reference in sets:
        values[f"vars.{name}"] = values.get(reference, "")
    return replace(state, values=values, language=language or state.language)


def _begin_collect(state: FlowState, at: CompiledStep) -> Step:
    if not state.asked:
        state = replace(state, asked=True)
    patience = at.slow if state.slow else at.patience
    # cde listens before anything is said: a fast caller's first key must find it armed.
    return state, (Collect(at.field, patience), *ask(state))  # type: ignore[arg-type]  # every collect has both


def _begin_menu(state: FlowState, at: CompiledStep) -> Step:
    state = replace(state, asked=True)
    patience = at.slow if state.slow else at.patience
    return state, (OpenMenu(at.keys, patience), *ask(state))  # type: ignore[arg-type]  # likewise


def _begin_play(state: FlowState, at: CompiledStep) -> Step:
    commands = say(state, at.data.prompt)
    return (state, commands) if commands else enter(state, at.next["ok"])


def _begin_http(state: FlowState, at: CompiledStep) -> Step:
    send = tuple(
        (path.partition(".")[2] or path, state.values.get(path, "")) for path in at.data.request.send
    )
    call = CallHook(at.data.request.hook, send, at.data.timeout)
    wait = say(state, at.data.while_waiting) if at.data.while_waiting else ()
    return state, (call, SetTimer(_ANSWER, at.data.timeout, state.visits), *wait)


def _begin_money(state: FlowState, at: CompiledStep) -> Step:
    missing = state.program.needed - state.accepted
    if missing:
        # Lost since it was asked for: a new card number takes the old code with it.
        return enter(state, min(state.program.collects[name] for name in missing))
    step = at.data
    currency = currency_of(state) if step.moves_money else ""
    amount = state.values.get(step.amount, step.amount) if step.moves_money else ""
    amount_minor = _amount_minor(amount, currency)
    if step.moves_money and not amount_minor:
        return enter(state, at.next["gateway_down"])  # nothing to charge: nothing is sent
    order = Charge(
        operation=_OPERATIONS[step.do],
        gateway=step.gateway,
        amount_minor=amount_minor,
        currency=currency,
        reference=state.values.get(step.reference or "", ""),
        attempt=state.cards,
    )
    state = replace(state, values={**state.values, "result.operation": str(order.operation)})
    wait = say(state, step.while_waiting) if step.while_waiting else ()
    return state, (order, SetTimer(_ANSWER, step.timeout, state.visits), *wait)


def _amount_minor(amount: str, currency: str) -> int:
    """Return minor units, 0 where the text is no amount of this currency."""
    try:
        value = minor_units(amount, currency)
    except (ValueError, ArithmeticError):
        return 0
    return value if len(currency) == 3 and 0 < value <= AMOUNT_MINOR_MAX else 0


def _begin_transfer(state: FlowState, at: CompiledStep) -> Step:
    return state, (Transfer(at.data.to, at.data.target or ""),)


BEGIN: Final[dict[str, Callable[[FlowState, CompiledStep], Step]]] = {
    "collect": _begin_collect,
    "menu": _begin_menu,
    "play": _begin_play,
    "http": _begin_http,
    "money": _begin_money,
    "transfer": _begin_transfer,
}
