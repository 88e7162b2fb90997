"""The transcript of a simulation: one line for each thing, with the virtual time. Keys are bullets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from dtmf_shield.flow.engine import events as ev
from dtmf_shield.flow.engine.commands import CallHook, Charge, Command, Exit, ShowHint, Transfer
from dtmf_shield.flow.engine.events import Event
from dtmf_shield.model.capture import FieldKind
from dtmf_shield.model.payment import currency_exponent
from dtmf_shield.model.prompt import Care, Recording, SpokenPiece, Text, Value

_MANY: Final = frozenset({FieldKind.DIGITS, FieldKind.AMOUNT})
"""Kinds that say less than the field's own name."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line. ``at_ms``: virtual time since the flow began."""

    at_ms: int
    verb: str
    text: str

    def __str__(self) -> str:
        return f"{self.at_ms / 1000:7.1f}  {self.verb:<9} {self.text}".rstrip()


@dataclass(slots=True)
class Transcript:
    """Everything that happened."""

    lines: list[Line] = field(default_factory=list)

    def add(self, at_ms: int, verb: str, text: str) -> None:
        """Note one thing. Keys in a row become one line."""
        last = self.lines[-1] if self.lines else None
        if verb == "keys" and last is not None and last.verb == "keys":
            self.lines[-1] = Line(last.at_ms, verb, last.text + text)
        else:
            self.lines.append(Line(at_ms, verb, text))

    @property
    def ended(self) -> bool:
        """Whether the flow came to an exit."""
        return any(line.verb == "exit" for line in self.lines)

    def as_data(self) -> list[dict[str, str | float]]:
        """Return the lines for a program."""
        return [{"at_s": line.at_ms / 1000, "verb": line.verb, "text": line.text} for line in self.lines]

    def __str__(self) -> str:
        return "".join(f"{line}\n" for line in self.lines)


def spoken(pieces: tuple[SpokenPiece, ...]) -> str:
    """Return what the caller hears, values in square brackets with their formatter."""
    return " ".join(_piece(piece) for piece in pieces)


def _piece(piece: SpokenPiece) -> str:
    match piece:
        case Text():
            return piece.text
        case Recording():
            return f"<{piece.file}>" + (f" {piece.text}" if piece.text else "")
        case Value():
            return f"[{' '.join(filter(None, (piece.currency, piece.value)))} as {piece.formatter.value}]"
        case Care():
            counted = f" {piece.count}" + (f" of {piece.of}" if piece.of else "") if piece.count else ""
            return f"({piece.phrase.value}{counted})"


def of_command(command: Command) -> tuple[str, str] | None:
    """Return verb and text of what a flow asks for; prompts and questions are told when they begin."""
    match command:
        case Charge():
            amount = _amount(command)
            named = f", reference {command.reference}" if command.reference else ""
            return command.operation.value, f"{amount}attempt {command.attempt}{named}"
        case CallHook():
            sent = ", ".join(f"{name}={value}" for name, value in command.send) or "nothing"
            return "hook", f"{command.hook} with {sent}"
        case Transfer():
            return "transfer", f"to {command.to} {command.target}".rstrip()
        case ShowHint():
            return "agent", f"is told: {command.hint.value}"
        case Exit():
            where = f"to {command.to} {command.target}".rstrip()
            alert = f", alert: {command.alert}" if command.alert else ""
            cause = "" if command.cause.value == "step" else f", {command.cause.value}"
            return "exit", f"{command.result}, {where}{alert}{cause}"
    return None


def of_kept(fields: Sequence[tuple[str, FieldKind]], values: Sequence[str]) -> tuple[str, str]:
    """Return verb and text of what goes on to the next flow: fields by their kind, values by name, never a digit."""
    named = [
        name.replace("_", " ") if kind in _MANY else kind.value.replace("_", " ") for name, kind in fields
    ]
    parts = [", ".join(named)] if named else []
    if values:
        parts.append(f"values {', '.join(values)}")
    return ("kept", f"for the next flow: {'; '.join(parts)}") if parts else nothing_kept()


def nothing_kept() -> tuple[str, str]:
    """Return verb and text where nothing goes on: nothing was entered, it was cancelled, or money may have moved."""
    return "kept", "nothing for the next flow"


def _amount(command: Charge) -> str:
    if not command.currency:
        return ""
    exponent = currency_exponent(command.currency)
    whole = command.amount_minor / 10**exponent
    return f"{command.currency} {whole:.{exponent}f}, "


_TOLD: Final[dict[type, Callable[[Any], tuple[str, str]]]] = {
    ev.Accepted: lambda event: ("accepted", " ".join([event.field, *_card(event), event.value]).rstrip()),
    ev.Rejected: lambda event: ("refused", f"{event.field}: {event.reason.value}"),
    ev.FieldFailed: lambda event: (
        "failed",
        event.field + (f": {event.reason.value}" if event.reason else ""),
    ),
    ev.Undone: lambda event: ("undone", f"{event.count} left"),
    ev.Chosen: lambda event: ("chosen", f"option {event.ordinal + 1}"),
    ev.ChoiceRejected: lambda event: ("refused", event.reason.value),
    ev.AgentKeyPressed: lambda _: ("caller", "wants an agent"),
    ev.RepeatAsked: lambda _: ("caller", "wants to hear it again"),
    ev.ChargeAnswered: lambda event: ("gateway", event.outcome.value),
    ev.HookAnswered: lambda event: ("answer", " ".join([event.outcome.value, *_pairs(event.values)])),
    ev.TransferDone: lambda _: ("transfer", "done"),
    ev.TransferFailed: lambda _: ("transfer", "failed"),
    ev.AgentRedo: lambda _: ("agent", "redo"),
    ev.FieldRequested: lambda event: ("agent", f"asks for {event.field}"),
    ev.AgentChose: lambda _: ("agent", "chooses"),
    ev.AgentCancelled: lambda _: ("agent", "cancels"),
    ev.CallerGone: lambda _: ("caller", "hangs up"),
    ev.QualityHinted: lambda event: ("line", event.hint.value),
    ev.Resumed: lambda _: ("resumed", "by another process, mask on"),
}
"""Progress, timers and the ends of prompts are no lines."""


def of_event(event: Event) -> tuple[str, str] | None:
    """Return verb and text of what happened, None where it is no line of its own."""
    told = _TOLD.get(type(event))
    return told(event) if told is not None else None


def _card(event: ev.Accepted) -> list[str]:
    return [event.brand, f"ending {event.last4}"] if event.last4 else []


def _pairs(values: tuple[tuple[str, str], ...]) -> list[str]:
    return [f"{name}={value}" for name, value in values]
