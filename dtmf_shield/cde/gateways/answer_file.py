"""Reads the answers of a template: ``[answers.NAME]``, its rules and its extractions, ``[decline_codes]``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from dtmf_shield.cde.gateways.answers import (
    AUTH_CODE,
    FAIL,
    NETWORK_TRANSACTION_ID,
    PASS,
    REFERENCE,
    TOKEN,
    AnswerSet,
    CheckExtract,
    Condition,
    Extract,
    Rule,
)
from dtmf_shield.cde.gateways.base import GatewayResultKind
from dtmf_shield.cde.gateways.json_reader import Path
from dtmf_shield.cde.gateways.toml_table import TomlTable, one_of
from dtmf_shield.model.payment import DeclineCode, OperationKind

RULES_MAX: Final = 64
PATH_DEPTH_MAX: Final = 12
RESULTS: Final = [
    each.value for each in GatewayResultKind if each is not GatewayResultKind.FAILED_BEFORE_SEND
]
_STATUS: Final = re.compile(r"[1-5](xx|[0-9]{2})")
_WORD: Final = r"[a-z][a-z0-9_]{0,31}"
_DECLINE_CODES: Final = [each.value for each in DeclineCode]


def read_answers(root: TomlTable) -> dict[str, AnswerSet]:
    """Return every set of answers by its name."""
    codes = _decline_codes(root.table("decline_codes"))
    return {
        name: _answer_set(table, codes) for name, table in root.table("answers", required=True).named_tables()
    }


def _decline_codes(table: TomlTable) -> dict[str, DeclineCode]:
    codes = {code: table.choice(code, _DECLINE_CODES) for code in table.data}
    return {code: DeclineCode(word) for code, word in codes.items()}


def _answer_set(table: TomlTable, codes: Mapping[str, DeclineCode]) -> AnswerSet:
    rules = tuple(_rule(each) for each in table.tables("rule"))
    if len(rules) > RULES_MAX:
        table.finding("rule", f"{len(rules)} rules", f"at most {RULES_MAX}")
    if not any(rule.result is GatewayResultKind.APPROVED for rule in rules):
        table.finding("rule", "no rule with result approved", "a [[rule]] that says how success looks")
    answers = AnswerSet(
        rules=rules,
        token=_extract(table, "token", TOKEN),
        reference=_extract(table, "reference", REFERENCE),
        auth_code=_extract(table, "auth_code", AUTH_CODE),
        network_transaction_id=_extract(
            table, "network_transaction_id", NETWORK_TRANSACTION_ID, long_digits=True
        ),
        avs=_check(table, "avs"),
        cvc_check=_check(table, "cvc_check"),
        decline_paths=_paths(table, "decline_code"),
        decline_codes=codes,
    )
    table.finish()
    return answers


def _rule(table: TomlTable) -> Rule:
    result = GatewayResultKind(table.choice("result", RESULTS))
    rule = Rule(
        statuses=_statuses(table),
        result=result,
        equals=_conditions(table.table("equals")),
        present=_paths(table, "present"),
        absent=_paths(table, "absent"),
        kinds=_kinds(table),
        code=_code(table, result),
        voided=table.boolean("voided", default=False),
    )
    if result is GatewayResultKind.APPROVED and not (rule.equals or rule.present):
        table.finding(
            "result", "approved for any body", "approved with equals or present: success is read, not assumed"
        )
    if rule.voided and result is not GatewayResultKind.APPROVED:
        table.finding("voided", "true", "voided beside result approved: it was done, and taken back since")
    table.finish()
    return rule


def _statuses(table: TomlTable) -> tuple[tuple[int, int], ...]:
    allowed = 'a status such as 402, a class such as "5xx", or a list of both'
    ranges = []
    for value in table.scalars("status", (int, str), allowed):
        word = str(value)
        if _STATUS.fullmatch(word) is None:
            table.finding("status", repr(value), allowed)
        elif word.endswith("xx"):
            ranges.append((int(word[0]) * 100, int(word[0]) * 100 + 99))
        else:
            ranges.append((int(word), int(word)))
    if not table.has("status"):
        table.finding("status", "nothing", allowed)
    return tuple(ranges)


def _conditions(table: TomlTable) -> tuple[Condition, ...]:
    allowed = "text, a whole number, true or false, or a list of such"
    return tuple(
        Condition(_path(table, key, key), tuple(table.scalars(key, (str, int, bool), allowed)))
        for key in table.data
    )


def _kinds(table: TomlTable) -> frozenset[OperationKind]:
    allowed = [each.value for each in OperationKind]
    words = table.texts("for")
    for word in words:
        if word not in allowed:
            table.finding("for", repr(word), one_of(word, allowed))
    return frozenset(OperationKind(word) for word in words if word in allowed)


def _code(table: TomlTable, result: GatewayResultKind) -> str:
    if result is GatewayResultKind.DECLINED and table.has("code"):
        return table.choice("code", _DECLINE_CODES)
    return table.text("code", "", _WORD, "a word of small letters, digits and _")


def _paths(table: TomlTable, key: str) -> tuple[Path, ...]:
    return tuple(_path(table, key, path) for path in table.texts(key))


def _path(table: TomlTable, key: str, dotted: str) -> Path:
    path = tuple(dotted.split("."))
    if not all(path) or len(path) > PATH_DEPTH_MAX:
        table.finding(key, repr(dotted), f"at most {PATH_DEPTH_MAX} JSON names joined by dots")
    return path


def _extract(table: TomlTable, key: str, default: re.Pattern[str], *, long_digits: bool = False) -> Extract:
    """A path, paths, or a table with path and more. ``default``: the form a value has in any case."""
    if not isinstance(table.data.get(key), dict):
        return Extract(_paths(table, key), default, long_digits)
    inner = table.table(key)
    extract = Extract(
        _paths(inner, "path"), default, inner.boolean("long_digits", default=long_digits), _pattern(inner)
    )
    if not extract.paths:
        inner.finding("path", "nothing", "a path or a list of paths")
    if key == "token" and extract.long_digits:
        inner.finding("long_digits", "true", "false: a token never looks like a card")
    inner.finish()
    return extract


def _pattern(table: TomlTable) -> re.Pattern[str] | None:
    if not table.has("pattern"):
        return None
    allowed = "a regular expression with one group, which is taken, or none"
    try:
        pattern = re.compile(table.text("pattern"), re.ASCII)
    except re.error as error:
        table.finding("pattern", f"no pattern: {error}", allowed)
        return None
    if pattern.groups > 1:
        table.finding("pattern", f"{pattern.groups} groups", allowed)
    return pattern


def _check(table: TomlTable, key: str) -> CheckExtract:
    if not table.has(key):
        return CheckExtract()
    inner = table.table(key)
    words = {
        value: word
        for word in (PASS, FAIL)
        for value in inner.scalars(word, (str, int, bool), "a value of the gateway's, or a list of such")
    }
    check = CheckExtract(_paths(inner, "path"), words)
    if not check.paths:
        inner.finding("path", "nothing", "a path or a list of paths")
    inner.finish()
    return check
