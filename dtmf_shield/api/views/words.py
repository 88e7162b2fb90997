"""Closed forms of what views may say: no keyed digit fits into any of them, but for what a flow calls not sensitive."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints

from dtmf_shield.base.log import holds_card_number
from dtmf_shield.model.capture import (
    VALUE_KEYS_MAX,
)

FILLED: Final = "•"
NAME_CHARACTERS_MAX: Final = 64


def _dialled_shown(dialled: str) -> str:
    """A number long enough to be a card, with a right check digit, is not shown: it may be one."""
    return FILLED * 4 if holds_card_number(dialled) else dialled[:NAME_CHARACTERS_MAX]


Word = Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,40}$")]
"""From a closed list: no digit fits."""
Step = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
"""A name of the flow file."""
Last4 = Annotated[str, StringConstraints(pattern=r"^[0-9]{4}$")]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
OperationReference = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Value = Annotated[str, StringConstraints(pattern=rf"^[0-9]{{1,{VALUE_KEYS_MAX}}}$")]
"""What was keyed into a field that the flow calls not sensitive: too short for a card number."""
Mask = Annotated[str, StringConstraints(pattern=r"^[•○ /]{0,40}$")]
CallerMasked = Annotated[str, StringConstraints(pattern=r"^(••[0-9]{0,2}|anonymous)$")]
TokenReference = Annotated[str, StringConstraints(pattern=r"^([A-Za-z]{1,8}_)?….{0,4}$")]
Dialled = Annotated[str, AfterValidator(_dialled_shown)]
Reference = Annotated[str, AfterValidator(_dialled_shown)]
"""The merchant's own; from a SIP header it may be anything, so it is held to the same rule as a dialled number."""
WholeSecond = Annotated[datetime, AfterValidator(lambda moment: moment.replace(microsecond=0))]


class View(BaseModel):
    """A response model: immutable, nothing extra."""

    model_config = ConfigDict(frozen=True, extra="forbid")
