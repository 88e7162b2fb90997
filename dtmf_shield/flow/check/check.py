"""All checks of a flow, in the order they are told."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from dtmf_shield.flow.check import digits, duration, handover, keys, languages, money, names, paths
from dtmf_shield.flow.finding import Finding, Severity
from dtmf_shield.flow.language import Flow

Check = Callable[[Flow], Iterable[Finding]]

NAMES: Final[tuple[Check, ...]] = (names.targets, names.prompts, names.fields, names.references, names.inputs)
"""Whether everything named is there. The others rely on it and run only where it is."""
MEANING: Final[tuple[Check, ...]] = (
    paths.reached,
    paths.way_out,
    paths.loops,
    paths.cancel,
    paths.masked,
    languages.complete,
    languages.unspoken,
    languages.values_spoken,
    handover.targets,
    money.unknown_stays_unknown,
    money.results,
    money.menus_before_money,
    money.one_currency,
    money.confirmed,
    money.card_complete,
    money.paid_once,
    money.no_card_after_stopped,
    keys.meanings,
    keys.ways_out,
    keys.menus,
    digits.prompts_tell_nothing,
    digits.covert_collector,
    digits.auto_submit,
    digits.one_of_a_kind,
    digits.nothing_sensitive_leaves,
    duration.worst_case,
    names.kept_values,
    names.sent_names,
    names.unused,
)
RULES: Final[dict[str, str]] = {
    "size": "the file is too large",
    "depth": "the file is nested too deeply",
    "yaml": "the file is no YAML 1.2",
    "yaml-alias": "an anchor or alias",
    "yaml-tag": "a tag",
    "key-twice": "one key twice at one place",
    "key-quoted": "a key that YAML reads as a number",
    "unknown-key": "a key that the language does not have at this place",
    "missing-key": "a key that must be there",
    "value": "a value of the wrong form",
    "unknown-step": "a step that the flow does not have",
    "unknown-prompt": "a prompt that the flow does not have",
    "unknown-field": "a field that the flow does not have",
    "unknown-reference": "a reference to nothing, or to something not yet known there",
    "unknown-key-of-menu": "a setting for a key that is no option of the menu",
    "input": "an input whose rule cannot be met",
    "values": "more variables and answers of look-ups than are kept through a crash",
    "sent-twice": "two values of one look-up that would be sent under one name",
    "unreachable": "a step that no path leads to",
    "no-exit": "a step from which no path leads to an exit",
    "endless-loop": "a loop of the caller's or the network's making without a limit",
    "agent-cancel": "an agent on the line who cannot cancel",
    "mask-skipped": "keys that could be keyed while nothing masks them",
    "language": "a prompt that is missing in an offered language, or a language that is not offered",
    "grammar": "a value that would be spoken in a language whose numbers nobody has recorded",
    "silent": "a step that asks the caller for something and says nothing",
    "unknown-result": "a payment without an answer that does not end as unknown",
    "result": "an exit whose result is not what happened on the way",
    "type-ahead": "a menu before a payment that left-over keys could press",
    "currency": "two currencies in one flow",
    "unconfirmed": "a payment whose amount and card the caller never heard",
    "card-incomplete": "a payment that may come before all of the card",
    "paid-twice": "a payment, or a card asked for, behind a payment that was approved",
    "another-card": "another card asked for after a velocity rule has stopped one",
    "handover": "a hand-over of the caller to nobody",
    "two-meanings": "one key with two meanings",
    "agent-key": "a way to an agent without its key, or a key without its way",
    "sensitive-prompt": "a prompt that would speak what must not be spoken",
    "covert-digits": "menus in a row through which digits could be collected unprotected",
    "auto-submit": "submit: auto where no length is certain",
    "field-kind": "two fields of one kind, where cde holds one",
    "sensitive-reference": "a sensitive field in a look-up, a variable or a reference",
    "duration": "a worst case of more than a quarter of an hour without max_duration",
    "unused": "something that nothing uses",
    "not-built": "a prompt that is not built, with --prompts",
    "draft-voice": "prompts in a voice that is no more than a draft, with --prompts",
}
"""Every rule by its name, for the reference and for SARIF."""


def check_flow(flow: Flow) -> list[Finding]:
    """Return every finding, without places."""
    findings = [finding for check in NAMES for finding in check(flow)]
    if any(finding.severity is Severity.ERROR for finding in findings):
        return findings
    return findings + [finding for check in MEANING for finding in check(flow)]
