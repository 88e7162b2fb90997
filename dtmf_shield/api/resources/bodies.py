"""Forms that request bodies share: nothing extra, nothing echoed, no card number in any text."""

from __future__ import annotations

import datetime
import re
from typing import Annotated, Final

from fastapi import Path
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, StringConstraints

from dtmf_shield.api.identity.factors import CODE_CHARACTERS_MAX
from dtmf_shield.api.identity.passwords import PASSWORD_CHARACTERS_MAX
from dtmf_shield.base.log import holds_card_number

DIGITS_IN_A_ROW_MAX: Final = 11
"""One less than the shortest card number still issued (Maestro, 12)."""
_LONG_RUN: Final = re.compile(rf"[0-9]{{{DIGITS_IN_A_ROW_MAX + 1}}}")

_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def no_card_number(text: str) -> str:
    """Return ``text``. Raises ValueError where it may hold a card number."""
    if _LONG_RUN.search(text) or holds_card_number(text) or holds_card_number(text.replace("-", "")):
        raise ValueError("looks like a card number")
    return text


def _whole_date(text: object) -> object:
    if not isinstance(text, str) or _DATE.fullmatch(text) is None:
        raise ValueError("a day such as 2026-03-29")
    return text


Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{1,32}$"), AfterValidator(no_card_number)]
InputName = Annotated[
    str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,31}$"), AfterValidator(no_card_number)
]
InputText = Annotated[
    str, StringConstraints(strict=True, min_length=1, max_length=64), AfterValidator(no_card_number)
]
TypedPassword = Annotated[str, StringConstraints(min_length=1, max_length=PASSWORD_CHARACTERS_MAX)]
TypedCode = Annotated[str, StringConstraints(max_length=CODE_CHARACTERS_MAX)]
"""Of a second factor, as somebody types it: with spaces, dashes, capitals."""
Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Z]{2})?$")]
Day = Annotated[datetime.date, BeforeValidator(_whole_date)]
"""As RFC 3339 writes a full-date; pydantic alone would take a number of seconds as well."""
Identifier = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class RequestBody(BaseModel):
    """A request body: nothing extra, and its values stay out of error texts."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True
    )


class NoMembers(RequestBody):
    """A command that needs no more words."""
