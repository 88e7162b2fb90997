"""What a gateway's answer means: ordered rules on status and JSON decide, a few named places are extracted.

Nothing of an answer is kept but through a closed list or a pattern with a length. What no rule knows is UNKNOWN.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from dtmf_shield.base.log import luhn_valid
from dtmf_shield.cde.gateways.base import (
    TOKEN_CHARACTERS_MAX,
    Answer,
    CardInSlot,
    GatewayResult,
    GatewayResultKind,
    Order,
    SlotField,
)
from dtmf_shield.cde.gateways.json_reader import JsonReader, Path, Scalar
from dtmf_shield.model.payment import DeclineCode, OperationKind

REFERENCE_CHARACTERS_MAX: Final = 512
"""Some gateways name an operation by a link."""
EXTRACTED_CHARACTERS_MAX: Final = 2_048
"""A longer value is not even matched."""
DIGIT_RUN_MIN: Final = 12
"""The shortest card number."""
ECHO_DIGITS: Final = 8
"""So many digits of the card in a row are its echo, not chance."""
TOKEN: Final = re.compile(rf"[A-Za-z0-9][A-Za-z0-9_.:~+/=-]{{0,{TOKEN_CHARACTERS_MAX - 1}}}")
REFERENCE: Final = re.compile(rf"[A-Za-z0-9][A-Za-z0-9_.:~+/=-]{{0,{REFERENCE_CHARACTERS_MAX - 1}}}")
AUTH_CODE: Final = re.compile(r"[A-Za-z0-9]{1,16}")
NETWORK_TRANSACTION_ID: Final = re.compile(r"[A-Za-z0-9]{1,64}")

PASS, FAIL, UNCHECKED = "pass", "fail", "unchecked"
_STATUS_BUSY: Final = 429
_NO_CARD: Final = CardInSlot(memoryview(b""))
_DIGITS: Final = re.compile(rf"[0-9]{{{DIGIT_RUN_MIN},}}")
_UNKNOWN: Final = GatewayResult(GatewayResultKind.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Extract:
    """One value of an answer, of the form ``within``.

    ``pattern``: a template's own, which matches all of what the gateway sends; its group, where it has one, is taken.
    ``long_digits``: twelve and more digits in a row may stand in it, if they are no card number by form.
    """

    paths: tuple[Path, ...] = ()
    within: re.Pattern[str] = REFERENCE
    long_digits: bool = False
    pattern: re.Pattern[str] | None = None

    def of(self, found: Mapping[Path, Any], card: CardInSlot) -> tuple[str, bool]:
        """Return the value, empty where there is none that fits, and whether it was refused as card-like."""
        for path in self.paths:
            value = found.get(path)
            if isinstance(value, str | int) and not isinstance(value, bool):
                return self._taken(str(value) if _is_short(value) else "", card)
        return "", False

    def _taken(self, text: str, card: CardInSlot) -> tuple[str, bool]:
        match = (self.pattern or self.within).fullmatch(text)
        value = (match[match.re.groups] or "") if match else ""
        if self.within.fullmatch(value) is None:
            return "", False
        if is_card_like(value, strict=not self.long_digits) or echoes(value, card):
            return "", True
        return value, False


def _is_short(value: str | int) -> bool:
    return len(value) <= EXTRACTED_CHARACTERS_MAX if isinstance(value, str) else abs(value) < 10**18


@dataclass(frozen=True, slots=True)
class CheckExtract:
    """The gateway's word on a check of the address or the security code, in ours."""

    paths: tuple[Path, ...] = ()
    words: Mapping[Scalar, str] = field(default_factory=dict)

    def of(self, found: Mapping[Path, Any]) -> str:
        """Return pass, fail, unchecked, or nothing where the answer says nothing."""
        value = next((found[path] for path in self.paths if path in found), None)
        if value is None:
            return ""
        return self.words.get(value, UNCHECKED) if isinstance(value, str | int) else UNCHECKED


@dataclass(frozen=True, slots=True)
class Condition:
    """``path`` holds one of ``values``."""

    path: Path
    values: tuple[Scalar, ...]

    def holds(self, found: Mapping[Path, Any]) -> bool:
        """Whether it does; 1, true and "1" are three values."""
        value = found.get(self.path)
        return any(type(value) is type(each) and value == each for each in self.values)


@dataclass(frozen=True, slots=True)
class Rule:
    """An answer and its meaning. ``statuses``: ranges, both ends included. ``kinds`` empty: of any operation."""

    statuses: tuple[tuple[int, int], ...]
    result: GatewayResultKind
    equals: tuple[Condition, ...] = ()
    present: tuple[Path, ...] = ()
    absent: tuple[Path, ...] = ()
    kinds: frozenset[OperationKind] = frozenset()
    code: str = ""
    voided: bool = False

    @property
    def reads_json(self) -> bool:
        """Whether it needs an answer that could be read."""
        return bool(self.equals or self.present or self.absent)

    def holds(self, status: int, found: Mapping[Path, Any] | None, kinds: frozenset[OperationKind]) -> bool:
        """Whether the answer is this one. ``found`` None: it was no JSON. ``kinds``: asked, and asked about."""
        if not any(low <= status <= high for low, high in self.statuses):
            return False
        if self.kinds and not self.kinds & kinds:
            return False
        if not self.reads_json:
            return True
        return (
            found is not None
            and all(condition.holds(found) for condition in self.equals)
            and all(path in found for path in self.present)
            and not any(path in found for path in self.absent)
        )


@dataclass(frozen=True, slots=True)
class AnswerSet:
    """How the answers to some operations are read."""

    rules: tuple[Rule, ...]
    token: Extract = Extract(within=TOKEN)
    reference: Extract = Extract()
    auth_code: Extract = Extract(within=AUTH_CODE)
    network_transaction_id: Extract = Extract(within=NETWORK_TRANSACTION_ID, long_digits=True)
    avs: CheckExtract = CheckExtract()
    cvc_check: CheckExtract = CheckExtract()
    decline_paths: tuple[Path, ...] = ()
    decline_codes: Mapping[str, DeclineCode] = field(default_factory=dict)
    reader: JsonReader = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "reader", JsonReader(self._paths()))

    def _paths(self) -> list[Path]:
        paths = list(self.decline_paths)
        for rule in self.rules:
            paths += [*(condition.path for condition in rule.equals), *rule.present, *rule.absent]
        extracts = (
            self.token,
            self.reference,
            self.auth_code,
            self.network_transaction_id,
            self.avs,
            self.cvc_check,
        )
        return paths + [path for extract in extracts for path in extract.paths]

    def read(self, order: Order, answer: Answer) -> GatewayResult:
        """Return what ``answer`` says of ``order``. Never raises."""
        found = self.reader.read(answer.body)
        kind = order.of if order.kind is OperationKind.LOOKUP and order.of else order.kind
        kinds = frozenset({kind, order.kind})
        rule = next((each for each in self.rules if each.holds(answer.status, found, kinds)), None)
        if rule is None:
            if answer.status == _STATUS_BUSY:
                return GatewayResult(GatewayResultKind.BUSY, retry_after_s=answer.retry_after_s)
            return _UNKNOWN
        return self._result(rule, kind, order.card or _NO_CARD, answer, found or {})

    def _result(
        self, rule: Rule, kind: OperationKind, card: CardInSlot, answer: Answer, found: Mapping[Path, Any]
    ) -> GatewayResult:
        reference, _ = self.reference.of(found, card)
        match rule.result:
            case GatewayResultKind.APPROVED:
                return self._approved(rule, kind, card, found)
            case GatewayResultKind.DECLINED:
                code = rule.code or self._decline_code(found)
                return GatewayResult(
                    rule.result,
                    code=code,
                    reference=reference,
                    avs=self.avs.of(found),
                    cvc_check=self.cvc_check.of(found),
                )
            case GatewayResultKind.REFUSED:
                return GatewayResult(rule.result, code=rule.code or f"http_{answer.status}")
            case GatewayResultKind.BUSY:
                return GatewayResult(rule.result, retry_after_s=answer.retry_after_s)
            case _:
                return GatewayResult(rule.result, code=rule.code, reference=reference)

    def _approved(
        self, rule: Rule, kind: OperationKind, card: CardInSlot, found: Mapping[Path, Any]
    ) -> GatewayResult:
        token, is_card_like = self.token.of(found, card)
        if kind is OperationKind.TOKENIZE and not token:
            # A "token" made of the card's digits would leave the red side: format-preserving tokens are refused.
            refused = GatewayResult(GatewayResultKind.REFUSED, code="token_like_card")
            return refused if is_card_like else _UNKNOWN
        return GatewayResult(
            GatewayResultKind.APPROVED,
            token=token,
            reference=self.reference.of(found, card)[0],
            auth_code=self.auth_code.of(found, card)[0],
            network_transaction_id=self.network_transaction_id.of(found, card)[0],
            avs=self.avs.of(found),
            cvc_check=self.cvc_check.of(found),
            voided=rule.voided,
        )

    def _decline_code(self, found: Mapping[Path, Any]) -> DeclineCode:
        for path in self.decline_paths:
            value = found.get(path)
            if isinstance(value, str | int) and _is_short(value) and str(value) in self.decline_codes:
                return self.decline_codes[str(value)]
        return DeclineCode.OTHER


def is_card_like(text: str, *, strict: bool) -> bool:
    """Whether ``text`` could be a card number by its form. ``strict``: twelve digits in a row are enough.

    Otherwise a whole run of 12 to 19 digits is, that starts as cards do and passes the Luhn check (or is UnionPay's,
    of whose cards some do not).
    """
    runs = _DIGITS.findall(text)
    return bool(runs) if strict else any(_starts_and_checks_as_a_card(run) for run in runs)


def _starts_and_checks_as_a_card(run: str) -> bool:
    if len(run) > 19 or run[0] not in "23456":
        return False
    return run.startswith("62") or luhn_valid(run)


def echoes(text: str, card: CardInSlot) -> bool:
    """Whether ECHO_DIGITS digits of ``card`` in a row stand in ``text``. Compares views: it copies no digit."""
    number = card.part(SlotField.NUMBER)
    data = text.encode("ascii", "replace")
    return any(
        number[at : at + ECHO_DIGITS] == data[start : start + ECHO_DIGITS]
        for at in range(len(number) - ECHO_DIGITS + 1)
        for start in range(len(data) - ECHO_DIGITS + 1)
    )
