"""What the steps and prompts of a flow refer to: values by their path, with the place in the file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from dtmf_shield.flow.finding import Path
from dtmf_shield.flow.language.flow import Flow
from dtmf_shield.flow.language.steps import HttpStep, MenuStep, MoneyStep, SetStep
from dtmf_shield.model.prompt import ValueReference

KEPT_VALUES_MAX: Final = 64
"""Values of one run that are kept against a crash, each of at most 64 characters as answers and inputs are: 4 kB."""
_TOLD_AGAIN: Final = frozenset({"inputs", "result", "fields"})
"""Kept with the call, or told by cde."""


def step_references(flow: Flow) -> Iterator[tuple[Path, str]]:
    """Return every reference that a step makes, with its path."""
    for name, step in flow.steps.items():
        match step:
            case HttpStep():
                for at, reference in enumerate(step.request.send):
                    yield ("steps", name, "request", "send", at), reference
            case MoneyStep():
                for key in ("amount", "currency", "reference"):
                    value = getattr(step, key)
                    if value is not None and not value.isupper() and not value[0].isdigit():
                        yield ("steps", name, key), value
            case SetStep():
                for variable, reference in step.set.items():
                    yield ("steps", name, "set", variable), reference
            case MenuStep():
                for key, sets in step.set.items():
                    for variable, reference in sets.items():
                        yield ("steps", name, "set", key, variable), reference


def prompt_references(flow: Flow) -> Iterator[tuple[Path, ValueReference]]:
    """Return every value that a prompt speaks, with the path of its text."""
    for name, prompt in flow.prompts.items():
        for language, spoken in prompt.root.items():
            for piece in spoken.pieces():
                if isinstance(piece, ValueReference):
                    yield ("prompts", name, language, "say"), piece


def sent_name(reference: str) -> str:
    """Return the name under which a look-up sends a value."""
    return reference.partition(".")[2] or reference


def variables_set(flow: Flow) -> frozenset[str]:
    """Return the references to variables that a menu or a set step sets."""
    named: set[str] = set()
    for step in flow.steps.values():
        if isinstance(step, MenuStep):
            named |= {name for sets in step.set.values() for name in sets}
        if isinstance(step, SetStep):
            named |= step.set.keys()
    return frozenset(f"vars.{name}" for name in named)


def kept_references(flow: Flow) -> frozenset[str]:
    """Return the variables and answers of look-ups that something refers to: what a run needs to go on after a crash.

    What only a field gives is not among them: cde tells it again, or it is keyed again.
    """
    named = {reference for _, reference in step_references(flow)}
    named |= {piece.reference for _, piece in prompt_references(flow)}
    elsewhere = _TOLD_AGAIN | flow.fields.keys()
    of_fields = {f"vars.{name}" for name in flow.fields} - variables_set(flow)
    return frozenset(path for path in named - of_fields if path.partition(".")[0] not in elsewhere)
