"""Whether every offered language is whole, and whether the caller hears what is wanted."""

from __future__ import annotations

from collections.abc import Iterator

from dtmf_shield.flow.finding import Finding, Path, Severity, listing
from dtmf_shield.flow.language import Flow
from dtmf_shield.flow.language.references import prompt_references
from dtmf_shield.flow.language.steps import CollectStep, MenuStep, SetStep, prompts_of
from dtmf_shield.prompts.errors import UnknownLanguageError
from dtmf_shield.prompts.grammar import LANGUAGES as GRAMMARS
from dtmf_shield.prompts.grammar import grammar_for


def complete(flow: Flow) -> Iterator[Finding]:
    """Every prompt that is used exists in every offered language; every language that is named is offered."""
    offered = flow.languages.offered
    for path, tag in _named(flow):
        if tag not in offered:
            yield Finding("language", path, f"{tag}, which is not offered", listing(offered))
    used = {prompt for step in flow.steps.values() for prompt in prompts_of(step).values()}
    for name in flow.prompts:
        if name in used:
            for tag in (tag for tag in offered if tag not in flow.prompts[name].root):
                yield Finding(
                    "language",
                    ("prompts", name),
                    f"nothing in {tag}",
                    f"{name} in each of {listing(offered)}",
                )
    menus = any(step.set_language for step in flow.steps.values() if isinstance(step, MenuStep))
    if flow.languages.choose_by == "menu" and not menus:
        yield Finding("language", ("languages", "choose_by"), "menu", "a menu with set_language in this flow")
    if (flow.languages.choose_by == "did") != bool(flow.languages.did):
        found = "did without a number" if flow.languages.choose_by == "did" else "numbers that choose nothing"
        yield Finding(
            "language", ("languages", "did"), found, "choose_by: did and did: {NUMBER: LANGUAGE} together"
        )


def _named(flow: Flow) -> Iterator[tuple[Path, str]]:
    yield ("languages", "default"), flow.languages.default
    for tag, target in flow.languages.fallback.items():
        yield ("languages", "fallback", tag), target
    for number, target in flow.languages.did.items():
        yield ("languages", "did", number), target
    for name, step in flow.steps.items():
        if isinstance(step, MenuStep):
            for key, tag in step.set_language.items():
                yield ("steps", name, "set_language", key), tag
        if isinstance(step, SetStep) and step.language is not None:
            yield ("steps", name, "language"), step.language
    for name, prompt in flow.prompts.items():
        for tag in prompt.root:
            yield ("prompts", name, tag), tag


def values_spoken(flow: Flow) -> Iterator[Finding]:
    """A value is joined at call time from recorded words: its language has a number grammar."""
    for path, piece in prompt_references(flow):
        language = str(path[2])
        try:
            grammar_for(language)
        except UnknownLanguageError:
            allowed = f"values in {listing(GRAMMARS)} only; elsewhere prompts without values"
            yield Finding("grammar", path, f"{{{piece.reference}}} in {language}", allowed)


def unspoken(flow: Flow) -> Iterator[Finding]:
    """A step that asks says what it asks for: spoken where nobody else is there, else at least to the agent."""
    for name, step in flow.steps.items():
        if not isinstance(step, CollectStep | MenuStep):
            continue
        speaks = any(rule.fits(1, "", "") for rule in step.prompts)
        if flow.mode == "self_service" and not speaks:
            found = "no prompt for a first attempt with any brand"
            yield Finding(
                "silent", ("steps", name), found, "prompts: [{play: PROMPT}], as nobody else speaks"
            )
        elif not speaks and not step.prompts and not step.say:
            allowed = "prompts, or say for the agent to read"
            yield Finding(
                "silent", ("steps", name), "neither prompts nor say", allowed, severity=Severity.WARNING
            )
