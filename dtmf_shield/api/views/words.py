"""Closed forms of what views may say: no keyed digit fits into any of them, but for what a flow calls not sensitive."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)

from dtmf_shield.base.log import holds_card_number
from dtmf_shield.model.capture import (
    VALUE_KEYS_MAX,
)

FILLED: Final = "•"
NAME_CHARACTERS_MAX: Final = 64
DIGITS_IN_A_ROW_MAX: Final = 11
"""One less than the shortest card number still issued (Maestro, 12)."""
PROSE_CHARACTERS_MAX: Final = 2_000
_LONG_RUN: Final = re.compile(rf"[0-9](?:[ -]?[0-9]){{{DIGITS_IN_A_ROW_MAX},}}")
NO_LONG_RUN: Final = rf"^(?![\s\S]*[0-9]([ -]?[0-9]){{{DIGITS_IN_A_ROW_MAX}}})[\s\S]*$"


def without_long_runs(text: str) -> str:
    """Return ``text`` with every run of more than DIGITS_IN_A_ROW_MAX digits drawn over."""
    return _LONG_RUN.sub(FILLED * 4, text)


def prose(text: str) -> str:
    """Return ``text`` with every run of digits that is long enough for a card drawn over, and cut to its limit."""
    return without_long_runs(text)[:PROSE_CHARACTERS_MAX]


def _dialled_shown(dialled: str) -> str:
    """A number long enough to be a card, with a right check digit, is not shown: it may be one."""
    return FILLED * 4 if holds_card_number(dialled) else dialled[:NAME_CHARACTERS_MAX]


Answering = Literal["up", "partly", "down", "unknown"]
"""Whether the payment services answer. ``partly``: one of two, which takes what is asked of neither by name."""
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
Prose = Annotated[
    str,
    # As it leaves, and not as it comes: copies of views are not validated.
    PlainSerializer(prose, return_type=str),
    WithJsonSchema({"type": "string", "pattern": NO_LONG_RUN, "maxLength": PROSE_CHARACTERS_MAX}),
]
"""Text of the configuration, of a flow or of the merchant: no run of digits in it is long enough for a card."""
Identifier = Annotated[str, WithJsonSchema({"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"})]
"""Random, or of a peer's choice: digits in it mean nothing."""
Secret = Annotated[str, WithJsonSchema({"type": "string", "pattern": "^[A-Za-z0-9_-]{1,128}$"})]
"""Random, made by the service and shown once."""
SecretLink = Annotated[str, WithJsonSchema({"type": "string", "pattern": "^/welcome#[A-Za-z0-9_-]{1,128}$"})]
"""A path of this service with a :data:`Secret` in it."""
LanguageTag = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Z]{2})?$")]
"""BCP 47: language, and region where it matters."""
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""SHA-256 of what is public to its reader: digits in it mean nothing."""
Cursor = Annotated[str, StringConstraints(pattern=rf"^[0-9]{{1,{DIGITS_IN_A_ROW_MAX}}}$")]
"""Where the next page begins."""
WholeSecond = Annotated[datetime, AfterValidator(lambda moment: moment.replace(microsecond=0))]


def moment_of(wall_s: float) -> datetime:
    """Return seconds since 1970 as views tell a time."""
    return datetime.fromtimestamp(wall_s, UTC)


class View(BaseModel):
    """A response model: immutable, nothing extra."""

    # The texts below the members are the reference page: reference.py writes it.
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class SecretOnceView(View):
    """A view with a secret in it that is shown once: the same request again is answered without it."""

    already_shown: bool = False
    """Whether this is a repeated answer: the secret was in the first one and is kept nowhere. Make another."""

    def again(self) -> Self:
        """Return what is kept to answer the same request again."""
        raise NotImplementedError
