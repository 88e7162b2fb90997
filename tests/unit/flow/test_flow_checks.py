"""Each check has a flow that it catches: a shipped one with one mistake."""

import re

import pytest

from dtmf_shield.flow.check import RULES
from dtmf_shield.flow.check.duration import worst_case_ms
from dtmf_shield.flow.finding import Severity
from dtmf_shield.flow.loader import read_flow
from tests.unit.flow.shipped import FLOWS, TEXTS

PAY, BILL, FILE = "card-payment-agent", "card-payment-self-service", "card-on-file"
TEN = ", ".join(f'"{key}": NEXT' for key in "1234567890")


def menus(count, last):
    """So many menus of ten options in a row, as one types a PIN."""
    lines = []
    for at in range(count):
        target = f"pin_{at + 1}" if at + 1 < count else last
        options = TEN.replace("NEXT", target)
        prompt = "prompts: [{play: welcome}], type_ahead: drop"
        lines.append(f"  pin_{at}: {{do: menu, {prompt}, keys: {{{options}}}, next: {{failed: not_now}}}}\n")
    return "".join(lines)


ANSWERS = [" ".join(f"{{lookup.a{number}}}" for number in numbers) for numbers in (range(40), range(40, 65))]

MISTAKES = [
    ("unknown-step", PAY, "ok: expiry,", "ok: nope,"),
    ("unknown-step", PAY, "then: hand_back}", "then: nope}"),
    ("unknown-prompt", PAY, "while_waiting: wait", "while_waiting: music"),
    ("unknown-field", PAY, "field: cvv", "field: pin"),
    ("unknown-field", PAY, "agent_requests: any", "agent_requests: [pin]"),
    ("unknown-reference", PAY, "amount: inputs.amount", "amount: inputs.amout"),
    ("unknown-reference", PAY, "{inputs.amount|money} with", "{vars.amount|money} with"),
    ("unknown-key-of-menu", PAY, 'agent_choice: "1"', 'agent_choice: "7"'),
    ("input", PAY, 'pattern: "^[A-Z0-9-]{1,32}$"', 'pattern: "^[A-Z"'),
    ("input", PAY, 'min: "0.50"', 'min: "9000.00"'),
    ("unreachable", PAY, "  cancelled:  ", "  lost: {do: exit, result: failed}\n  cancelled:  "),
    ("endless-loop", BILL, "prompt: not_found, limit: {visits: 2, then: agent}, ", "prompt: not_found, "),
    ("endless-loop", PAY, "    limit: {visits: 3, then: hand_back}\n", ""),
    ("agent-cancel", PAY, "agent_redo: cvv, agent_cancel: cancelled", "agent_redo: cvv"),
    ("mask-skipped", BILL, "scope: whole_flow", "scope: collect_steps"),
    ("language", BILL, ", fr-FR: {say: \"Bienvenue.\"}", ""),
    ("language", BILL, "default: en-GB, offered", "default: de-DE, offered"),
    ("language", BILL, '"2": fr-FR}', '"2": de-DE}'),
    ("silent", FILE, "prompts: [{play: ask_cvv}]", "prompts: [{play: ask_cvv, attempt: 2+}]"),
    ("unknown-result", PAY, "unknown: unknown_result", "unknown: hand_back"),
    ("unknown-result", PAY, "unknown: unknown_result", "unknown: card"),
    ("unknown-result", BILL, "unknown: checking", "unknown: declined"),
    ("result", PAY, "result: cancelled", "result: paid"),
    ("result", PAY, "next: {ok: finished}", "next: {ok: hand_back}"),
    ("type-ahead", PAY, "    type_ahead: drop  ", "    type_ahead: keep  "),
    ("currency", BILL, "currency: GBP\n", "currency: EUR\n"),
    ("unconfirmed", PAY, " with the card ending {pan.last4|digits}", ""),
    ("card-incomplete", PAY, "next: {ok: expiry, failed", "next: {ok: cvv, failed"),
    ("two-meanings", PAY, "keys: {submit: hash, undo: star}", "keys: {submit: star, undo: star}"),
    ("two-meanings", BILL, "type_ahead: drop, limit: {visits: 3, then: agent}, next: {failed: agent}",
     'agent: "1", type_ahead: drop, limit: {visits: 3, then: agent}, next: {failed: agent, agent_key: agent}'),
    ("agent-key", BILL, ', agent: "0"}', "}"),
    ("agent-key", PAY, "undo: star}", 'undo: star, agent: "0"}'),
    ("agent-key", BILL, "length: {min: 8, max: 11}", "length: {min: 1, max: 11}"),
    ("sensitive-prompt", PAY, "{pan.last4|digits}", "{pan.number|digits}"),
    ("sensitive-prompt", PAY, "{pan.last4|digits}", "{fields.cvv|digits}"),
    ("covert-digits", FILE, "  welcome: {do: play, prompt: welcome, next: {ok: card}}\n",
     "  welcome: {do: play, prompt: welcome, next: {ok: pin_0}}\n" + menus(4, "card")),
    ("auto-submit", FILE, "[visa, mastercard, amex, discover], submit: auto_or_key", "[visa], submit: auto"),
    ("handover", BILL, "result: unknown, to: queue, target: payments-help", "result: unknown, to: queue"),
    ("handover", BILL, "to: queue, target: payments-help, next", "to: agent, next"),
    ("handover", FILE, "result: failed, to: hangup", "result: failed, to: agent"),
    ("handover", FILE, "result: failed, to: hangup", "result: failed"),
    ("handover", FILE, "result: failed, to: hangup", "result: failed, to: hangup, target: payments-help"),
    ("handover", PAY, "  hand_back:      {do: exit, result: failed, to: agent}",
     "  hand_back: {do: transfer, to: agent, next: {failed: cancelled}}"),
    ("paid-twice", PAY, "prompt: approved\n    next: {ok: receipt}", "prompt: approved\n    next: {ok: confirm}"),
    ("another-card", PAY, ", stopped: hand_back", ""),
    ("another-card", BILL, "stopped: no_card", "stopped: declined"),
    ("another-card", FILE, "prompt: no_card, next: {ok: failed}", "prompt: no_card, next: {ok: other_card}"),
    ("card-incomplete", FILE, "prompt: stored, next: {ok: registered}", "prompt: stored, next: {ok: store}"),
    ("field-kind", FILE, "  cvv:    {type", "  other:  {type: expiry}\n  cvv:    {type"),
    ("sensitive-reference", BILL, "send: [fields.account]", "send: [fields.pan]"),
    ("sensitive-reference", BILL, "send: [fields.account]", "send: [pan.last4]"),
    ("duration", PAY, "max_duration: {time: 15m, then: hand_back}", ""),
    ("values", BILL, "prompts:\n",
     "prompts:\n" f'  all: {{en-GB: {{say: "{ANSWERS[0]}"}}, fr-FR: {{say: "{ANSWERS[1]}"}}}}\n'),
    ("sent-twice", BILL, "send: [fields.account]", "send: [fields.account, vars.account]"),
    ("sent-twice", BILL, "send: [fields.account]", "send: [vars.amount, fields.amount]"),
    ("unused", PAY, "prompts:\n", "prompts:\n  never: {en-GB: {say: Never.}}\n"),
]  # fmt: skip
WARNINGS = {"unconfirmed", "another-card", "duration", "unused"}


@pytest.mark.parametrize(("rule", "name", "old", "new"), MISTAKES)
def test_a_check_catches_its_mistake(rule, name, old, new):
    assert old in TEXTS[name]

    _, found = read_flow(TEXTS[name].replace(old, new, 1), file="f.yaml")

    caught = [finding for finding in found if finding.rule == rule]
    assert caught, [str(finding) for finding in found]
    wanted = Severity.WARNING if rule in WARNINGS else Severity.ERROR
    assert {finding.severity for finding in caught} == {wanted}
    assert all(finding.line > 1 for finding in caught)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("{ok: cvv, failed: hand_back, agent_redo", "{ok: cvv, agent_redo", "where to go on: failed"),
        ("unknown: unknown_result, ", "", "where to go on: unknown"),
        ('{say: "We did not receive any digits."}', "{ssml: '<phoneme ph=\"x\">We</phoneme>'}", "as it sounds"),
        ("{say: \"We did not", "{say: \"<b>We</b> did not", "not spoken alike"),
    ],
)  # fmt: skip
def test_what_a_model_refuses_is_told_with_its_place(old, new, says):
    """Outcomes that must be there, and texts that `prompts build` would refuse."""
    assert old in TEXTS[PAY]

    flow, found = read_flow(TEXTS[PAY].replace(old, new, 1), file="f.yaml")

    assert flow is None
    assert [finding.rule for finding in found if says in finding.message] == ["value"]
    assert all(finding.line > 1 for finding in found)


def test_the_lone_key_to_an_agent_is_no_amount():
    """With "5" for an agent nobody could key five pence."""
    text = TEXTS[BILL].replace('agent: "0"', 'agent: "5"', 1)
    assert "agent-key" not in {finding.rule for finding in read_flow(text, file="f.yaml")[1]}

    _, found = read_flow(text.replace('min: "1.00"', 'min: "0.01"', 1), file="f.yaml")

    assert "steps.other_amount" in {finding.key for finding in found if finding.rule == "agent-key"}


def test_a_released_field_is_short():
    text = TEXTS[BILL].replace("length: {min: 8, max: 11}", "length: {min: 8, max: 13}", 1)

    _, found = read_flow(text, file="f.yaml")

    assert any("fields.account" in finding.key for finding in found), [str(finding) for finding in found]


def test_a_value_in_a_language_without_numbers_is_caught():
    text = TEXTS[FILE].replace("en-GB", "nl-NL")

    _, found = read_flow(text, file="f.yaml")

    assert {finding.rule for finding in found} == {"grammar"}
    assert {finding.key for finding in found} == {"prompts.confirm.nl-NL.say", "prompts.stored.nl-NL.say"}


def test_a_flow_without_a_way_out_is_caught():
    """Every exit is cut off: two steps that lead to each other."""
    text = TEXTS["card-tokenize-agent"]
    text = re.sub(r"(?s)steps:\n.*", "", text) + (
        "steps:\n"
        "  card: {do: collect, field: pan, say: x, limit: {visits: 3, then: cvv}, "
        "next: {ok: cvv, failed: cvv, agent_cancel: cvv}}\n"
        "  cvv: {do: collect, field: cvv, say: x, limit: {visits: 3, then: card}, "
        "next: {ok: card, failed: card, agent_cancel: card}}\n"
        "  hand_back: {do: exit, result: failed}\n"
    )

    _, found = read_flow(text, file="f.yaml")

    assert {finding.key for finding in found if finding.rule == "no-exit"} == {"steps.card", "steps.cvv"}


def test_three_menus_in_a_row_are_an_honest_tree():
    text = TEXTS[FILE].replace("next: {ok: card}}\n", "next: {ok: pin_0}}\n" + menus(3, "card"), 1)

    _, found = read_flow(text, file="f.yaml")

    assert "covert-digits" not in {finding.rule for finding in found}


def test_every_rule_of_the_checks_has_a_mistake_here():
    of_form = {"size", "depth", "yaml", "yaml-alias", "yaml-tag", "unknown-key", "missing-key", "value"}

    assert {rule for rule, *_ in MISTAKES} == set(RULES) - of_form - {
        "key-twice", "key-quoted", "no-exit", "grammar", "not-built", "draft-voice",
    }  # fmt: skip


def test_the_worst_case_is_that_of_the_design():
    """28 and 29 minutes at four seconds a prompt: the longest path over total timeouts and visit limits."""
    assert round(worst_case_ms(FLOWS[PAY]) / 60_000) == 28
    assert round(worst_case_ms(FLOWS[BILL]) / 60_000) == 29


def test_a_flow_with_too_many_places_still_has_a_bound():
    steps = FLOWS[PAY].steps
    limited = {
        name: step.model_copy(update={"limit": steps["confirm"].limit.model_copy(update={"visits": 20})})
        for name, step in steps.items()
        if step.do != "exit"
    }
    flow = FLOWS[PAY].model_copy(update={"steps": {**steps, **limited}})

    assert worst_case_ms(flow) > worst_case_ms(FLOWS[PAY])
