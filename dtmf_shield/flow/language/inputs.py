"""What a flow is told before its first step: by the agent's page, the API, a SIP header or the dialled number."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, Strict, model_validator

from dtmf_shield.flow.language.words import Currency, Flag, Model, Money


class Input(Model):
    """One input. Its value is data of the merchant: whatever looks like a card number is refused at the door."""

    type: Literal["money", "currency", "text", "digits"]
    """What it is: money is spoken and charged, text and digits are references and names."""
    required: Flag = False
    """Whether the flow refuses to start without it."""
    origin: Annotated[Literal["api", "header", "dialled", "caller"], Field(alias="from")] = "api"
    """api: the agent's page or a program; header: one of the INVITE; dialled: the number called; caller: who calls."""
    header: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9-]{0,39}$")] | None = None
    """Name of the SIP header, with from: header."""
    min: Money | None = None
    """Least money."""
    max: Money | None = None
    """Most money."""
    pattern: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    """Regular expression that the whole text must match."""
    allowed: Annotated[tuple[Annotated[str, Field(max_length=64)] | Currency, ...], Field(max_length=64)] = ()
    """The only values taken; empty: any."""
    length: Annotated[int, Strict(), Field(ge=1, le=64)] = 64
    """Longest text."""

    @model_validator(mode="after")
    def _fits_its_type(self) -> Input:
        if (self.min or self.max) and self.type != "money":
            raise ValueError("min and max go with type: money")
        if self.pattern and self.type not in ("text", "digits"):
            raise ValueError("pattern goes with type: text or digits")
        if (self.origin == "header") != (self.header is not None):
            raise ValueError("from: header and header: X-Name go together")
        return self
