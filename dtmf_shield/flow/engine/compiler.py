"""From a checked flow to a program: patience with the slow mode, what cde is asked, prompts split, options in order."""

from __future__ import annotations

import hashlib
from typing import Any, Final

from msgspec.structs import replace

from dtmf_shield.flow.engine.commands import Collect, Exit, ExitCause, OpenMenu, SetTimer
from dtmf_shield.flow.engine.entering import BEGIN
from dtmf_shield.flow.engine.events import Timers
from dtmf_shield.flow.engine.interpreter import ROWS
from dtmf_shield.flow.engine.program import CompiledStep, Fields, Option, Order, Program, Prompted, Told
from dtmf_shield.flow.language.fields import ACCOUNT_TYPES, CARD_TYPES, is_released
from dtmf_shield.flow.language.flow import Flow
from dtmf_shield.flow.language.head import DEFAULT_KEYS, Keys, Languages
from dtmf_shield.flow.language.references import kept_references
from dtmf_shield.flow.language.steps import (
    CollectStep,
    ExitStep,
    HttpStep,
    MenuStep,
    MoneyStep,
    PlayStep,
    RepeatStep,
    Step,
)
from dtmf_shield.model.capture import Patience
from dtmf_shield.model.payment import OperationKind

SLOW_FACTOR: Final = 2
"""Key timeouts of the slow mode, as a multiple."""
SLOW_DEBOUNCE_MS: Final = 250
"""In the slow mode the same key again within it counts once: fingers that tremble, phones that bounce.

A deliberate second press of the same key takes longer; a quick caller is never in this mode.
"""
PATIENCE_MS_MAX: Final = 120_000
OPERATIONS: Final = {
    "charge": OperationKind.CHARGE,
    "authorise": OperationKind.AUTHORIZE,
    "authorize": OperationKind.AUTHORIZE,
    "tokenize": OperationKind.TOKENIZE,
    "verify": OperationKind.VERIFY,
}
IMPLICIT: Final = {
    ExitCause.CALLER_GONE: "cancelled",
    ExitCause.AGENT_CANCELLED: "cancelled",
    ExitCause.TOO_MANY_STEPS: "failed",
    ExitCause.TIME_UP: "failed",
}
"""Exits that no step says, and their results."""
_SLOWER: Final = ("first_digit_timeout_ms", "inter_digit_timeout_ms", "settle_timeout_ms")


def fingerprint(flow: Flow) -> str:
    """Return the SHA-256 over the flow's canonical form: what the audit log names beside the flow's id."""
    return hashlib.sha256(flow.model_dump_json(by_alias=True).encode()).hexdigest()


def compile_flow(flow: Flow) -> Program:
    """Make a checked flow ready to run."""
    defaults = flow.defaults.keys.over(DEFAULT_KEYS)
    steps = {name: _compiled(flow, name, step, defaults) for name, step in flow.steps.items()}
    prompts = {
        (name, language): _prompted(spoken)
        for name, prompt in flow.prompts.items()
        for language, spoken in prompt.root.items()
    }
    collects: dict[str, str] = {}
    for name, step in flow.steps.items():
        if isinstance(step, CollectStep):
            collects.setdefault(step.field, name)
    currency = next((step.currency for step in flow.money_steps if step.currency), "")
    limit = flow.max_duration
    return Program(
        flow=flow,
        fingerprint=fingerprint(flow),
        start=steps[flow.start],
        steps=steps,
        prompts=prompts,
        collects=collects,
        voided={name: _fields(flow, _voided(flow, name)) for name in flow.fields},
        renewed={name: _fields(flow, _renewed(flow, name)) for name in flow.fields},
        released=frozenset(name for name, field in flow.fields.items() if is_released(field)),
        kept=kept_references(flow),
        needed=_fields(flow, _needed(flow) & collects.keys()),
        told={name: Told(*_paths(name), _fields(flow, frozenset({name}))) for name in flow.fields},
        spoken=_spoken(flow.languages),
        currency=currency if currency.isupper() else "",
        currency_from="" if currency.isupper() else currency,
        implicit={cause: _implicit(flow, cause, result) for cause, result in IMPLICIT.items()},
        time_limit=(SetTimer(Timers.MAX_DURATION, limit.time, 0),) if limit is not None else (),
    )


def _spoken(languages: Languages) -> dict[str, str]:
    told = ("", *languages.offered) if languages.choose_by != "did" else ()
    return {tag: languages.resolve(tag) for tag in told}


def _paths(name: str) -> tuple[str, str, str, str]:
    return f"{name}.last4", f"{name}.brand", f"vars.{name}", f"fields.{name}"


def _fields(flow: Flow, names: frozenset[str]) -> Fields:
    paths = frozenset(path for name in names for path in _paths(name))
    return Fields(names, paths, any(flow.fields[name].type == "card_number" for name in names))


def _of_types(flow: Flow, types: frozenset[str]) -> frozenset[str]:
    return frozenset(name for name, field in flow.fields.items() if field.type in types)


def _needed(flow: Flow) -> frozenset[str]:
    """Return the fields of the card and the account; of a verification by other things, those that stay in cde."""
    instrument = _of_types(flow, CARD_TYPES | ACCOUNT_TYPES)
    return instrument or frozenset(name for name, field in flow.fields.items() if not is_released(field))


def _renewed(flow: Flow, field: str) -> frozenset[str]:
    """Another card has another expiry and another code; another account may be with another bank."""
    kind = flow.fields[field].type
    if kind == "card_number":
        return _of_types(flow, CARD_TYPES)
    return _of_types(flow, ACCOUNT_TYPES) if kind in ACCOUNT_TYPES else frozenset({field})


def _implicit(flow: Flow, cause: ExitCause, result: str) -> CompiledStep:
    nobody = cause is ExitCause.CALLER_GONE or flow.mode == "self_service"
    to = "hangup" if nobody else "agent"
    way_out = Exit(result, to=to, cause=cause)
    return CompiledStep(
        name=f"({cause.value})",
        kind="exit",
        step=None,
        next={},
        row=ROWS["exit"],
        begin=BEGIN["exit"],
        exit=way_out,
    )


def _voided(flow: Flow, field: str) -> frozenset[str]:
    """A new card number makes the old security code worthless (PCI DSS 3.3.1)."""
    if flow.fields[field].type != "card_number":
        return frozenset({field})
    codes = {name for name, other in flow.fields.items() if other.type == "security_code"}
    return frozenset({field} | codes)


def _prompted(spoken: Any) -> Prompted:
    return Prompted(spoken.pieces(), spoken.loop)


def _compiled(flow: Flow, name: str, step: Step, keys: Keys) -> CompiledStep:
    kind = "money" if step.do in OPERATIONS else step.do
    common: dict[str, Any] = {
        "name": name,
        "kind": kind,
        "step": step,
        "row": ROWS[kind],
        "begin": BEGIN[kind],
    }
    if isinstance(step, ExitStep):
        way_out = Exit(step.result, step.to, step.target or "", step.alert or "")
        return CompiledStep(**common, next={}, exit=way_out)
    common["next"] = dict(step.next)
    common["counted"] = step.limit is not None or isinstance(step, RepeatStep)
    if step.limit is not None:
        common |= {"limit_visits": step.limit.visits, "limit_then": step.limit.then}
    if isinstance(step, CollectStep | MenuStep) and "agent_key" not in step.next:
        keys = keys.model_copy(update={"agent": "none"})  # nowhere to go: the key is a key like any other
    if isinstance(step, CollectStep):
        return CompiledStep(**common, **_collect(flow, step, keys))
    if isinstance(step, MenuStep):
        return CompiledStep(**common, **_menu(flow, step, keys))
    if isinstance(step, MoneyStep):
        order, prompt = _order(flow, step), step.while_waiting or ""
        return CompiledStep(**common, order=order, operation=str(order.operation), prompt=prompt)
    if isinstance(step, HttpStep):
        return CompiledStep(**common, prompt=step.while_waiting or "")
    if isinstance(step, PlayStep):
        return CompiledStep(**common, prompt=step.prompt, barge_in=_barge_in(flow, step.barge_in))
    return CompiledStep(**common)


def _order(flow: Flow, step: MoneyStep) -> Order:
    collected = {other.field for other in flow.steps.values() if isinstance(other, CollectStep)}
    amount, reference = step.amount or "", step.reference or ""
    fields = [(path, path.partition(".")) for path in (amount, reference)]
    keyed = tuple(
        (path, name)
        for path, (group, _, name) in fields
        if group in ("vars", "fields") and name in collected and is_released(flow.fields[name])
    )
    return Order(OPERATIONS[step.do], step.gateway, amount, reference, step.timeout, keyed)


def _barge_in(flow: Flow, said: bool | None) -> bool:
    return flow.defaults.barge_in if said is None else said


def _errors(step: CollectStep | MenuStep) -> dict[str, str]:
    return {str(reason): prompt for reason, prompt in step.errors.items()}


def _collect(flow: Flow, step: CollectStep, keys: Keys) -> dict[str, Any]:
    patience, slow = _patience(flow, step, step.keys.over(keys) if step.keys is not None else keys)
    return {
        **_asking(flow, step, patience, slow),
        "field": step.field,
        "question": Collect(step.field, patience),
        "slow_question": Collect(step.field, slow),
    }


def _menu(flow: Flow, step: MenuStep, keys: Keys) -> dict[str, Any]:
    own = keys.model_copy(update={"agent": step.agent}) if step.agent is not None else keys
    patience, slow = _patience(flow, step, own)
    options = tuple(
        Option(target, tuple(step.set.get(key, {}).items()), step.set_language.get(key, ""))
        for key, target in step.keys.items()
    )
    places = tuple(step.keys)
    return {
        **_asking(flow, step, patience, slow),
        "options": options,
        "question": OpenMenu(places, patience),
        "slow_question": OpenMenu(places, slow),
        "agent_option": places.index(step.agent_choice) if step.agent_choice in places else -1,
    }


def _asking(flow: Flow, step: CollectStep | MenuStep, patience: Patience, slow: Patience) -> dict[str, Any]:
    after = flow.defaults.repeat_after if step.repeat_after == "default" else step.repeat_after
    return {
        "patience": patience,
        "slow": slow,
        "rules": step.prompts,
        "errors": _errors(step),
        "barge_in": _barge_in(flow, step.barge_in),
        "repeat_after_ms": after if after and after < patience.first_digit_timeout_ms else 0,
    }


def _patience(flow: Flow, step: CollectStep | MenuStep, keys: Keys) -> tuple[Patience, Patience]:
    """Return the patience of a step, and of its slow mode."""
    defaults = flow.defaults
    settle = step.settle_timeout if isinstance(step, CollectStep) else None
    patience = Patience(
        attempts=step.attempts or defaults.attempts,
        first_digit_timeout_ms=step.first_digit_timeout or defaults.first_digit_timeout,
        inter_digit_timeout_ms=step.inter_digit_timeout or defaults.inter_digit_timeout,
        settle_timeout_ms=settle or defaults.settle_timeout,
        total_timeout_ms=step.total_timeout or defaults.total_timeout,
        type_ahead=step.type_ahead,
        **{name: str(word) for name, word in keys if word is not None},  # type: ignore[arg-type]  # keys are words
    )
    if defaults.patience == "fixed":
        return patience, patience
    slower = {name: min(SLOW_FACTOR * getattr(patience, name), PATIENCE_MS_MAX) for name in _SLOWER}
    return patience, replace(patience, **slower, debounce_ms=SLOW_DEBOUNCE_MS)
