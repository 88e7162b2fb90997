"""Whether everything that is named is there, and everything that is there is used."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dtmf_shield.flow.finding import Finding, Path, Severity, closest, listing
from dtmf_shield.flow.language import Flow
from dtmf_shield.flow.language.fields import is_released
from dtmf_shield.flow.language.references import (
    KEPT_VALUES_MAX,
    kept_references,
    prompt_references,
    sent_name,
    step_references,
    variables_set,
)
from dtmf_shield.flow.language.steps import (
    CollectStep,
    HttpStep,
    prompts_of,
    targets_of,
)
from dtmf_shield.flow.language.words import minor_units

RESULTS = ("outcome", "auth_code", "code", "operation")


def path_of(dotted: str) -> Path:
    """Return a dotted path as keys; places in a list become numbers."""
    return tuple(int(part) if part.isdigit() and at else part for at, part in enumerate(dotted.split(".")))


def _of_step(name: str, dotted: str) -> Path:
    parts = dotted.split(".")
    if parts[0] == "prompts":
        return ("steps", name, "prompts", int(parts[1]), *parts[2:])
    return ("steps", name, *parts)


def targets(flow: Flow) -> Iterator[Finding]:
    """Every step that is named exists."""
    named: list[tuple[Path, str]] = [(("start",), flow.start)]
    if flow.max_duration is not None:
        named.append((("max_duration", "then"), flow.max_duration.then))
    for name, step in flow.steps.items():
        named += [(_of_step(name, way), target) for way, target in targets_of(step).items()]
    for path, target in named:
        if target not in flow.steps:
            found, meant = f"no step is named {target!r}", closest(target, flow.steps)
            yield Finding("unknown-step", path, found, listing(flow.steps), suggestion=meant)


def prompts(flow: Flow) -> Iterator[Finding]:
    """Every prompt that is named exists."""
    for name, step in flow.steps.items():
        for way, prompt in prompts_of(step).items():
            if prompt not in flow.prompts:
                found, meant = f"no prompt is named {prompt!r}", closest(prompt, flow.prompts)
                path = _of_step(name, way)
                yield Finding("unknown-prompt", path, found, listing(flow.prompts), suggestion=meant)


def fields(flow: Flow) -> Iterator[Finding]:
    """Every field that is named exists."""
    named: list[tuple[Path, str]] = [
        (("steps", name, "field"), step.field)
        for name, step in flow.steps.items()
        if isinstance(step, CollectStep)
    ]
    if isinstance(flow.agent_requests, tuple):
        named += [(("agent_requests", at), field) for at, field in enumerate(flow.agent_requests)]
    for path, field in named:
        if field not in flow.fields:
            found = f"no field is named {field!r}"
            yield Finding(
                "unknown-field", path, found, listing(flow.fields), suggestion=closest(field, flow.fields)
            )
    collected = {step.field for step in flow.steps.values() if isinstance(step, CollectStep)}
    for at, field in enumerate(flow.agent_requests if isinstance(flow.agent_requests, tuple) else ()):
        if field in flow.fields and field not in collected:
            yield Finding(
                "unknown-field",
                ("agent_requests", at),
                f"{field}, which no step collects",
                listing(collected),
            )


def known_references(flow: Flow) -> set[str]:
    """Return everything a reference may name."""
    known = {f"inputs.{name}" for name in flow.inputs} | {f"result.{name}" for name in RESULTS}
    for name, field in flow.fields.items():
        if is_released(field):
            known |= {f"vars.{name}", f"fields.{name}"}
        if field.type == "card_number":
            known |= {f"{name}.last4", f"{name}.brand"}
    return known | variables_set(flow)


def references(flow: Flow) -> Iterator[Finding]:
    """Every reference names an input, a released field, a variable, a result or an answer of a look-up."""
    known = known_references(flow)
    saves = {step.save for step in flow.steps.values() if isinstance(step, HttpStep)}
    every = [*step_references(flow), *((path, piece.reference) for path, piece in prompt_references(flow))]
    for path, reference in every:
        head, _, tail = reference.partition(".")
        if reference in known or (head in saves and tail):
            continue
        if head in flow.fields or reference in {f"fields.{name}" for name in flow.fields}:
            continue  # told by the checks of what is sensitive, in words that say why
        allowed = sorted(known) + [f"{save}.NAME" for save in sorted(saves)]
        yield Finding(
            "unknown-reference",
            path,
            repr(reference),
            listing(allowed),
            suggestion=closest(reference, allowed),
        )


def kept_values(flow: Flow) -> Iterator[Finding]:
    """As many variables and answers as are kept through a crash: a flow that went on without some would go astray."""
    named = len(kept_references(flow))
    if named > KEPT_VALUES_MAX:
        found = f"references to {named} variables and answers of look-ups"
        yield Finding(
            "values", ("steps",), found, f"at most {KEPT_VALUES_MAX}, which are kept through a crash"
        )


def sent_names(flow: Flow) -> Iterator[Finding]:
    """What a look-up sends has a name for each value: the last part of its reference."""
    for name, step in flow.steps.items():
        if not isinstance(step, HttpStep):
            continue
        taken: dict[str, str] = {}
        for at, reference in enumerate(step.request.send):
            other = taken.setdefault(sent_name(reference), reference)
            if other != reference:
                found = f"{reference} beside {other}, which would both be sent as {sent_name(reference)!r}"
                path: Path = ("steps", name, "request", "send", at)
                yield Finding("sent-twice", path, found, "one of them, or a variable of another name")


def inputs(flow: Flow) -> Iterator[Finding]:
    """Every rule of an input can be met; every amount field's range is one of its currency."""
    for name, given in flow.inputs.items():
        path: Path = ("inputs", name)
        if given.pattern is not None:
            try:
                re.compile(given.pattern)
            except re.error as error:
                yield Finding("input", (*path, "pattern"), str(error), "a regular expression (Python's re)")
        if given.min is not None and given.max is not None and float(given.min) > float(given.max):
            yield Finding("input", (*path, "min"), f"{given.min} above max {given.max}", "min not above max")
    for name, field in flow.fields.items():
        if field.type != "amount":
            continue
        try:
            low, high = minor_units(field.min, field.currency), minor_units(field.max, field.currency)
        except ValueError as error:
            yield Finding("input", ("fields", name, "max"), f"{field.min} to {field.max}", str(error))
            continue
        if not 0 < low <= high:
            yield Finding(
                "input", ("fields", name, "min"), f"{field.min} to {field.max}", "0 < min, not above max"
            )


def unused(flow: Flow) -> Iterator[Finding]:
    """Warn of prompts, fields and inputs that nothing uses."""
    said = {prompt for step in flow.steps.values() for prompt in prompts_of(step).values()}
    collected = {step.field for step in flow.steps.values() if isinstance(step, CollectStep)}
    used = {reference for _, reference in step_references(flow)}
    used |= {piece.reference for _, piece in prompt_references(flow)}
    listed: list[tuple[Path, str]] = [(("prompts", name), name) for name in flow.prompts if name not in said]
    listed += [(("fields", name), name) for name in flow.fields if name not in collected]
    listed += [(("inputs", name), name) for name in flow.inputs if f"inputs.{name}" not in used]
    for path, name in listed:
        found = f"{name}, which nothing uses"
        yield Finding("unused", path, found, "use it, or remove it", severity=Severity.WARNING)
