"""Where one run of a flow is, and the part of it that is kept against a crash."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from dtmf_shield.base.errors import InvariantError
from dtmf_shield.flow.engine.program import CompiledStep, Program
from dtmf_shield.model.payment import MOVES_MONEY

_ASKS: Final = frozenset({"collect", "menu", "money"})


class EventRefusedError(InvariantError):
    """An event that the present step does not take. The state is as it was."""


class FlowState(msgspec.Struct, frozen=True, gc=False):
    """Where one run is. Values are of the merchant, or last4; accepted holds names of fields that cde holds."""

    program: Program
    at: CompiledStep
    language: str
    values: Mapping[str, str]
    accepted: frozenset[str] = frozenset()
    taken: frozenset[str] = frozenset()
    """Of these, what was keyed in an earlier flow and has not come up in this one yet."""
    visits: int = 0
    counts: Mapping[str, int] = {}
    """Visits of each step that counts them: with a limit, or a repeat."""
    attempt: int = 1
    """Of the present collect step or menu."""
    error: str = ""
    """Why the last entry was refused."""
    keying: bool = False
    """Whether keys of the present entry have come."""
    prompts: int = 0
    """Prompts of this run so far: marks the silence after each."""
    repeats: int = 0
    """How often the present prompt was said again."""
    brand: str = ""
    cards: int = 1
    """Cards that were sent to the gateway, and the one being collected."""
    slow: bool = False
    """Whether the caller's fingers are slow or keys come twice: patience and debounce of the slow mode."""
    calmed: bool = False
    """Whether the present question was asked with the patience of the slow mode."""
    tip_given: bool = False
    gateway_up: bool = True
    caller_gone: bool = False
    overdue: bool = False
    return_to: str = ""
    """The collect step that an agent's request for another field interrupted."""
    asked: bool = False
    """Whether keys were asked for at all."""
    outdated: bool = False
    """Whether what is told of the card belongs to a capture that has ended: forgotten once another is asked for."""

    @property
    def step(self) -> str:
        """Name of the present step."""
        return self.at.name

    @property
    def over(self) -> bool:
        """Whether the flow has ended."""
        return self.at.kind == "exit"

    @property
    def in_flight(self) -> bool:
        """Whether something was sent to the gateway whose answer is awaited: nothing may cut it."""
        return self.at.kind == "money"

    @property
    def moving_money(self) -> bool:
        """Whether the gateway may be moving money just now."""
        return self.at.order is not None and self.at.order.operation in MOVES_MONEY

    @property
    def settled(self) -> bool:
        """Whether money has moved or may have: from here on nothing leads to another card."""
        outcome, operation = self.values.get("result.outcome", ""), self.values.get("result.operation", "")
        return outcome == "unknown" or (outcome == "approved" and operation in MOVES_MONEY)

    @property
    def masking(self) -> bool:
        """Whether the caller's keys must be masked now. Once a key was asked for, to the end of the flow."""
        if self.over:
            return False
        return self.program.flow.masking.scope == "whole_flow" or self.asked or self.at.kind in _ASKS

    @property
    def say(self) -> str:
        """What the agent tells the caller now."""
        return self.at.step.say if self.at.step is not None else ""

    def saved(self) -> SavedState:
        """Return what is kept: names, counts and words, and of the values those that nobody tells again."""
        return SavedState(
            flow=self.program.flow.id,
            fingerprint=self.program.fingerprint,
            step=self.at.name,
            language=self.language,
            visits=self.visits,
            counts=tuple(sorted(self.counts.items())),
            cards=self.cards,
            slow=self.slow,
            tip_given=self.tip_given,
            taken=tuple(sorted(self.taken)),
            outcome=self.values.get("result.outcome", ""),
            operation=self.values.get("result.operation", ""),
            values=tuple(
                (path, self.values[path]) for path in sorted(self.program.kept) if self._is_kept(path)
            ),
        )

    def _is_kept(self, path: str) -> bool:
        """Whether a value is known and was not keyed: what was keyed cde tells again."""
        group, _, name = path.partition(".")
        keyed = self.values.get(f"fields.{name}") if group == "vars" else None
        return path in self.values and self.values[path] != keyed


class SavedState(msgspec.Struct, frozen=True, gc=False):
    """A run as it is stored: nothing of a sensitive field, not even encrypted."""

    flow: str
    fingerprint: str
    step: str
    language: str
    visits: int
    counts: tuple[tuple[str, int], ...]
    cards: int
    slow: bool
    tip_given: bool
    taken: tuple[str, ...] = ()
    outcome: str = ""
    """What the gateway said last, and of which operation: words of closed sets. Nobody pays twice by a crash."""
    operation: str = ""
    values: tuple[tuple[str, str], ...] = ()
    """Variables and answers of look-ups, by reference: at most KEPT_VALUES_MAX, which the check of a flow sees to."""


def restore(program: Program, saved: SavedState, inputs: Mapping[str, str]) -> FlowState:
    """Return the run to go on with by a Resumed event. Raises InvariantError for another version or step."""
    step = program.steps.get(saved.step)
    if program.fingerprint != saved.fingerprint or step is None:
        raise InvariantError(f"flow {saved.flow}: the stored run is of another version")
    values = {f"inputs.{name}": value for name, value in inputs.items()}
    values |= {"result.outcome": saved.outcome} if saved.outcome else {}
    values |= {"result.operation": saved.operation} if saved.operation else {}
    values |= {path: value for path, value in saved.values if path in program.kept}
    return FlowState(
        program=program,
        at=step,
        language=saved.language,
        values=values,
        visits=saved.visits,
        counts=dict(saved.counts),
        cards=saved.cards,
        slow=saved.slow,
        tip_given=saved.tip_given,
        taken=frozenset(saved.taken),
        asked=True,  # when in doubt: mask
    )
