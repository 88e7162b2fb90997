"""Whether digits stay where they belong: not spoken, not looked up, not collected by a side door."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from dtmf_shield.flow.check.routes import PASSES_ALONE, cycles, reached, ways_through
from dtmf_shield.flow.finding import Finding
from dtmf_shield.flow.language import Flow
from dtmf_shield.flow.language.fields import FIXED_LENGTH_BRANDS, CardNumberField, field_spec, is_released
from dtmf_shield.flow.language.references import prompt_references, step_references
from dtmf_shield.flow.language.steps import MenuStep, targets_of
from dtmf_shield.model.field_rules import fault_of_fields

COVERT_OPTIONS_MIN: Final = 5
"""A menu of so many options tells more than two bits of a key."""
COVERT_MENUS_MAX: Final = 3
"""Menus in a row a call may have; honest trees are no deeper, four give a PIN."""
_TOLD: Final = frozenset({"last4", "brand"})


def prompts_tell_nothing(flow: Flow) -> Iterator[Finding]:
    """A prompt speaks of a field its last4 and brand at most, or the value of a field that is not sensitive."""
    for path, piece in prompt_references(flow):
        head, _, tail = piece.reference.partition(".")
        name = tail if head == "fields" else head
        if name not in flow.fields or (head == "fields" and is_released(flow.fields[name])):
            continue
        if head == "fields" or flow.fields[name].type != "card_number" or tail not in _TOLD:
            allowed = (
                "NAME.last4 or NAME.brand of a card number, or vars.NAME of a field with sensitive: false"
            )
            yield Finding("sensitive-prompt", path, f"{{{piece.reference}}}", allowed)


def nothing_sensitive_leaves(flow: Flow) -> Iterator[Finding]:
    """No look-up, variable, amount or reference of a payment names a sensitive field or anything of a card."""
    for path, reference in step_references(flow):
        head, _, tail = reference.partition(".")
        name = tail if head == "fields" else head
        if name not in flow.fields or (head == "fields" and is_released(flow.fields[name])):
            continue
        allowed = "inputs, variables, answers, or fields with sensitive: false"
        yield Finding("sensitive-reference", path, repr(reference), allowed)


def covert_collector(flow: Flow) -> Iterator[Finding]:
    """Menus in a row are no keypad: through them digits would be collected in plain sight of the flow."""
    large = {
        name
        for name, step in flow.steps.items()
        if isinstance(step, MenuStep) and len(step.keys) >= COVERT_OPTIONS_MIN
    }
    graph = {name: _next_menus(flow, name) & large for name in flow.steps if name in large}
    looped = {name for cycle in cycles(graph) for name in cycle}
    for name in sorted(graph):
        if name in looped or _longest(graph, name) > COVERT_MENUS_MAX:
            found = f"{name} and the menus behind it, which could collect digits unprotected"
            allowed = f"at most {COVERT_MENUS_MAX} such menus in a row; digits by a collect step"
            yield Finding("covert-digits", ("steps", name), found, allowed)
            return


def _next_menus(flow: Flow, name: str) -> set[str]:
    behind = reached(ways_through(flow, PASSES_ALONE), targets_of(flow.steps[name]).values())
    return {target for target in behind if isinstance(flow.steps[target], MenuStep)}


def _longest(graph: dict[str, set[str]], name: str) -> int:
    return 1 + max((_longest(graph, target) for target in graph[name]), default=0)


def auto_submit(flow: Flow) -> Iterator[Finding]:
    """submit: auto needs lengths that are certain."""
    for name, field in flow.fields.items():
        if not isinstance(field, CardNumberField) or field.submit != "auto" or field.length != "by_brand":
            continue
        if not set(field.brands) & set(FIXED_LENGTH_BRANDS):
            found = "auto, where no brand has one length"
            allowed = f"auto_or_key, a length, or one of {', '.join(FIXED_LENGTH_BRANDS)}"
            yield Finding("auto-submit", ("fields", name, "submit"), found, allowed)


def one_of_a_kind(flow: Flow) -> Iterator[Finding]:
    """cde takes the fields: one of a kind, but for digits, each within what its kind allows."""
    fault = fault_of_fields([field_spec(name, field) for name, field in flow.fields.items()])
    counts: Counter[str] = Counter(field.type for field in flow.fields.values() if field.type != "digits")
    for name, field in flow.fields.items():
        if counts[field.type] > 1:
            yield Finding(
                "field-kind", ("fields", name, "type"), f"another {field.type}", "one field of this type"
            )
            return
    if fault:
        yield Finding("field-kind", ("fields",), fault, "fields as cde takes them")
