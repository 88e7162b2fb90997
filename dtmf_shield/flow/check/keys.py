"""Whether every key has one meaning in every step, and the way to an agent has its key."""

from __future__ import annotations

from collections.abc import Iterator

from dtmf_shield.flow.finding import Finding, Path, listing
from dtmf_shield.flow.language import Flow
from dtmf_shield.flow.language.fields import AmountField, FlowField, lengths_of
from dtmf_shield.flow.language.head import DEFAULT_KEYS, Keys
from dtmf_shield.flow.language.steps import CollectStep, MenuStep
from dtmf_shield.flow.language.words import minor_units


def effective(flow: Flow, step: CollectStep | MenuStep) -> Keys:
    """Return the keys of a step: its own over the defaults, key by key."""
    keys = flow.defaults.keys.over(DEFAULT_KEYS)
    if isinstance(step, CollectStep):
        return step.keys.over(keys) if step.keys is not None else keys
    return keys if step.agent is None else keys.model_copy(update={"agent": step.agent})


def meanings(flow: Flow) -> Iterator[Finding]:
    """One key, one meaning: submit and undo differ; an option of a menu is not the way to an agent too."""
    for name, step in flow.steps.items():
        if not isinstance(step, CollectStep | MenuStep):
            continue
        keys = effective(flow, step)
        if (
            isinstance(step, CollectStep)
            and keys.submit != "none"
            and keys.submit in (keys.undo, keys.repeat)
        ):
            other = "undo" if keys.submit == keys.undo else "repeat"
            found = f"{keys.submit} for submit and for {other}"
            yield Finding("two-meanings", ("steps", name), found, "another key, or none, for one of them")
        leads = "agent_key" in step.next
        if isinstance(step, MenuStep) and leads and keys.agent in step.keys:
            found = f'"{keys.agent}" as an option and as the way to an agent'
            yield Finding("two-meanings", ("steps", name, "keys", str(keys.agent)), found, "one of the two")


def ways_out(flow: Flow) -> Iterator[Finding]:
    """A way to an agent has its key, the key its way, and a lone press of it is no entry."""
    leading = False
    for name, step in flow.steps.items():
        if not isinstance(step, CollectStep | MenuStep):
            continue
        keys, leads = effective(flow, step), "agent_key" in step.next
        leading = leading or leads
        if leads and keys.agent == "none":
            allowed = 'keys: {agent: "0"} in defaults or in the step'
            yield Finding(
                "agent-key", ("steps", name, "next", "agent_key"), "agent_key without a key", allowed
            )
        own = (
            step.agent if isinstance(step, MenuStep) else (step.keys.agent if step.keys is not None else None)
        )
        if own not in (None, "none") and not leads:
            yield Finding("agent-key", ("steps", name), "a key to an agent without a way", "next.agent_key")
        if leads and isinstance(step, CollectStep) and _is_entry(flow.fields[step.field], str(keys.agent)):
            found = f'"{keys.agent}" alone, which is a legal {step.field} too'
            allowed = "a field of at least two digits, or no agent key"
            yield Finding("agent-key", ("steps", name), found, allowed)
    if flow.defaults.keys.agent not in (None, "none") and not leading:
        found = "a key to an agent, and no step with next.agent_key"
        yield Finding(
            "agent-key", ("defaults", "keys", "agent"), found, "next.agent_key in the steps where it acts"
        )


def _is_entry(field: FlowField, key: str) -> bool:
    """Whether one press of a key and silence would be accepted as the field."""
    if isinstance(field, AmountField):
        low, high = minor_units(field.min, field.currency), minor_units(field.max, field.currency)
        return key.isdecimal() and low <= int(key) <= high
    return lengths_of(field)[0] == 1


def menus(flow: Flow) -> Iterator[Finding]:
    """What a menu sets belongs to one of its options."""
    for name, step in flow.steps.items():
        if not isinstance(step, MenuStep):
            continue
        named: list[tuple[Path, str]] = [(("steps", name, "set", key), key) for key in step.set]
        named += [(("steps", name, "set_language", key), key) for key in step.set_language]
        if step.agent_choice is not None:
            named.append((("steps", name, "agent_choice"), step.agent_choice))
        for path, key in named:
            if key not in step.keys:
                yield Finding("unknown-key-of-menu", path, f'"{key}", which is no option', listing(step.keys))
