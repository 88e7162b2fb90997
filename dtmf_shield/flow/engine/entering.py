"""Entering steps: what each kind asks for when it begins. Steps that need no answer are passed in the same go."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from msgspec.structs import replace

from dtmf_shield.base.errors import InvariantError
from dtmf_shield.flow.engine.commands import (
    CallHook,
    Charge,
    Command,
    Exit,
    ExitCause,
    SetTimer,
    Transfer,
)
from dtmf_shield.flow.engine.events import Timers
from dtmf_shield.flow.engine.program import CompiledStep, Fields, Row
from dtmf_shield.flow.engine.speaking import currency_of, opening, say
from dtmf_shield.flow.engine.state import FlowState
from dtmf_shield.flow.language.references import sent_name
from dtmf_shield.flow.language.words import minor_units
from dtmf_shield.model.payment import AMOUNT_MINOR_MAX, OperationKind

VISITS_MAX: Final = 200
"""Steps one run may enter; a flow that goes round for longer ends as failed."""
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
    """Enter a step, and every one that follows without an answer: at most VISITS_MAX."""
    came_from, at = state.at, state.program.steps[name]
    if state.overdue and at.kind in _NEEDS_CALLER:
        state, at = _time_up(state, at)
    counts = state.counts
    if at.counted:
        at, counts = _counted(state, at)
    state = replace(
        state,
        at=at,
        visits=state.visits + 1,
        counts=counts,
        attempt=1,
        error="",
        keying=False,
        repeats=0,
        prompts=state.prompts + 1,
        calmed=state.slow,
    )
    if state.visits > VISITS_MAX and at.exit is None:
        return end(state, ExitCause.TOO_MANY_STEPS)
    return at.begin(state, came_from)


def without(state: FlowState, lost: Fields) -> FlowState:
    """Forget fields and what they told."""
    values = dict(state.values)
    for path in values.keys() & lost.paths:
        del values[path]
    brand = "" if lost.card else state.brand
    return replace(
        state,
        accepted=state.accepted - lost.names,
        taken=state.taken - lost.names,
        values=values,
        brand=brand,
    )


def emptied(state: FlowState) -> FlowState:
    """Return the state once a capture has ended: cde holds nothing more.

    What a released field told stays known, so that nobody keys an account and an amount twice; what may be said of the
    card stays as well, for a receipt or a refusal, until a card is keyed anew.
    """
    return replace(state, accepted=state.accepted & state.program.released, taken=frozenset(), outdated=True)


def begin_again(state: FlowState) -> Step:
    """Begin the present step anew without counting a visit."""
    fresh = replace(state, attempt=1, error="", keying=False, repeats=0)
    return (fresh, ()) if fresh.over else fresh.at.begin(fresh, fresh.at)


def end(state: FlowState, cause: ExitCause) -> Step:
    """End without a step that says so. What became of the money is said first: approved stays paid, unknown unknown."""
    at = state.program.implicit[cause]
    outcome, operation = state.values.get("result.outcome", ""), state.values.get("result.operation", "")
    if at.exit is not None and outcome == "unknown":
        at = replace_exit(at, replace(at.exit, result="unknown", alert="reconcile"), at.row)
    elif at.exit is not None and outcome == "approved" and operation:
        at = replace_exit(at, replace(at.exit, result=_DONE_RESULTS[OperationKind(operation)]), at.row)
    return replace(state, at=at), (at.exit,) if at.exit is not None else ()


def replace_exit(at: CompiledStep, way_out: Exit, row: Row) -> CompiledStep:
    """Return an exit of that step."""
    return CompiledStep(
        name=at.name, kind="exit", step=at.step, next={}, row=row, begin=_begin_exit, exit=way_out
    )


def _time_up(state: FlowState, at: CompiledStep) -> tuple[FlowState, CompiledStep]:
    """Go where the flow says once its time was up during a payment, but for one that took or may have taken money."""
    limit = state.program.flow.max_duration
    if limit is None or state.settled:
        return state, at
    return replace(state, overdue=False), state.program.steps[limit.then]


def _counted(state: FlowState, at: CompiledStep) -> tuple[CompiledStep, Mapping[str, int]]:
    """Return the step that the limits lead to, and the visits with this one."""
    counts = state.counts
    visits = counts.get(at.name, 0)
    if not at.limit_visits or visits < at.limit_visits:
        return at, {**counts, at.name: visits + 1}
    for _ in state.program.steps:  # a limit may lead to a limit, but not round and round
        at = state.program.steps[at.limit_then]
        visits = counts.get(at.name, 0)
        if not at.limit_visits or visits < at.limit_visits:
            break
    return at, {**counts, at.name: visits + 1} if at.counted else counts


def assigned(state: FlowState, sets: tuple[tuple[str, str], ...], language: str) -> FlowState:
    """Return the state with variables set from references, and the language where one is named."""
    values = dict(state.values)
    for name, reference in sets:
        values[f"vars.{name}"] = values.get(reference, "")
    return replace(state, values=values, language=language or state.language)


# --- what each kind begins with --------------------------------------------------------------------------------


def _begin_exit(state: FlowState, _came_from: CompiledStep) -> Step:
    return state, (state.at.exit,) if state.at.exit is not None else ()


def _begin_collect(state: FlowState, came_from: CompiledStep) -> Step:
    at = state.at
    if state.caller_gone:
        return end(state, ExitCause.CALLER_GONE)
    if at.field in state.accepted:
        # Held already: asked for out of order, or in the flow before. Who comes back to it wants it keyed anew.
        if at.field in state.taken:
            return enter(replace(state, taken=state.taken - {at.field}), at.next["ok"])
        if came_from.kind == "collect":
            return enter(state, at.next["ok"])
        # A menu or a refusal leads here: keyed anew.
        state = without(state, state.program.renewed[at.field])
    if not state.gateway_up and "gateway_down" in at.next:
        return enter(state, at.next["gateway_down"])
    if state.outdated and at.field in state.program.needed.names:
        state = replace(without(state, state.program.needed), outdated=False)
    if not state.asked:
        state = replace(state, asked=True)
    return state, opening(state)


def _begin_menu(state: FlowState, _came_from: CompiledStep) -> Step:
    if state.caller_gone:
        return end(state, ExitCause.CALLER_GONE)
    if not state.asked:
        state = replace(state, asked=True)
    return state, opening(state)


def _begin_play(state: FlowState, _came_from: CompiledStep) -> Step:
    commands = () if state.caller_gone else say(state)
    return (state, commands) if commands else enter(state, state.at.next["ok"])


def _begin_set(state: FlowState, _came_from: CompiledStep) -> Step:
    at = state.at
    return enter(assigned(state, tuple(at.data.set.items()), at.data.language or ""), at.next["ok"])


def _begin_repeat(state: FlowState, _came_from: CompiledStep) -> Step:
    at = state.at
    again = state.counts[at.name] <= at.data.times
    return enter(state, at.data.step if again else at.next["done"])


def _begin_http(state: FlowState, _came_from: CompiledStep) -> Step:
    at = state.at
    send = tuple((sent_name(path), state.values.get(path, "")) for path in at.data.request.send)
    call = CallHook(at.data.request.hook, send, at.data.timeout)
    return state, (call, SetTimer(_ANSWER, at.data.timeout, state.visits), *say(state))


def _begin_money(state: FlowState, _came_from: CompiledStep) -> Step:
    program, order = state.program, state.at.order
    if not program.needed.names <= state.accepted:
        # Lost since it was asked for: a new card number takes the old code with it.
        missing = program.needed.names - state.accepted
        return enter(state, min(program.collects[name] for name in missing))
    if order is None:
        raise InvariantError(f"step {state.at.name} orders nothing")
    values = state.values
    for path, field in order.keyed:
        if path not in values:  # told to a process that is gone
            return enter(without(state, program.told[field].alone), program.collects[field])
    amount, amount_minor, currency = order.amount, 0, ""
    if amount:
        currency = currency_of(state)
        amount_minor = _amount_minor(values.get(amount, amount), currency)
        if not amount_minor:
            return enter(state, state.at.next["gateway_down"])  # nothing to charge: nothing is sent
    reference = values.get(order.reference, "")
    charge = Charge(order.operation, order.gateway, amount_minor, currency, reference, state.cards)
    return state, (charge, SetTimer(_ANSWER, order.timeout_ms, state.visits), *say(state))


def _amount_minor(amount: str, currency: str) -> int:
    """Return minor units, 0 where the text is no amount of this currency."""
    try:
        value = minor_units(amount, currency)
    except (ValueError, ArithmeticError):
        return 0
    return value if len(currency) == 3 and 0 < value <= AMOUNT_MINOR_MAX else 0


def _begin_transfer(state: FlowState, _came_from: CompiledStep) -> Step:
    if state.caller_gone:
        return end(state, ExitCause.CALLER_GONE)
    at = state.at
    return state, (Transfer(at.data.to, at.data.target or ""),)


BEGIN: Final[dict[str, Callable[[FlowState, CompiledStep], Step]]] = {
    "exit": _begin_exit,
    "collect": _begin_collect,
    "menu": _begin_menu,
    "set": _begin_set,
    "repeat": _begin_repeat,
    "play": _begin_play,
    "http": _begin_http,
    "money": _begin_money,
    "transfer": _begin_transfer,
}
