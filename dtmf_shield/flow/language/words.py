"""The small words of the language: names, durations, money, keys, languages. Each says what it allows."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Strict, WithJsonSchema

from dtmf_shield.model.payment import currency_exponent

DURATION_MS_MAX: Final = 900_000
"""No single patience is longer than a quarter of an hour."""
FLOW_DURATION_MS_MAX: Final = 3_600_000
NAME_PATTERN: Final = r"^[a-z][a-z0-9_]{0,31}$"
ID_PATTERN: Final = r"^[a-z][a-z0-9-]{0,31}$"
FIELD_NAME_PATTERN: Final = r"^[a-z][a-z_]{0,31}$"
LANGUAGE_PATTERN: Final = r"^[a-z]{2,3}(-[A-Z]{2})?$"
REFERENCE_PATTERN: Final = r"^[a-z][a-z0-9_]{0,31}(\.[a-z][a-z0-9_]{0,31})?$"
MONEY_PATTERN: Final = r"^\d{1,8}(\.\d{1,3})?$"
KEY_ORDER: Final = "1234567890"
"""Keys of a menu in the order they lie on a keypad."""

Name = Annotated[str, Field(pattern=NAME_PATTERN, description="lower case letters, digits and _, at most 32")]
StepName = Annotated[str, Field(pattern=NAME_PATTERN, description="the name of a step")]
FieldName = Annotated[
    str,
    Field(
        pattern=FIELD_NAME_PATTERN,
        description="the name of a field, without a digit: it is shown and logged where no digit may be",
    ),
]
PromptName = Annotated[str, Field(pattern=NAME_PATTERN, description="the name of a prompt")]
Flag = Annotated[bool, Strict()]
Key = Annotated[str, Field(pattern=r"^[0-9]$", description='one key in quotes, as "1"')]
LanguageTag = Annotated[
    str, Field(pattern=LANGUAGE_PATTERN, description="a language tag such as en-GB (BCP 47)")
]
Money = Annotated[
    str,
    Field(pattern=MONEY_PATTERN, description='money in quotes, a point before the minor units, as "0.50"'),
]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$", description="three capitals (ISO 4217)")]
ReferencePath = Annotated[
    str,
    Field(
        pattern=REFERENCE_PATTERN,
        description="a reference: inputs., fields., vars., result. or the save name of an http step, then a name",
    ),
]


def duration_ms(value: Any) -> int:
    """Return milliseconds of ``500ms``, ``15s``, ``2m``. Raises ValueError that says so."""
    match = re.fullmatch(r"(\d{1,6})(ms|s|m)", value) if isinstance(value, str) else None
    if match is None:
        raise ValueError('a duration such as "500ms", "15s" or "2m"')
    result_ms = int(match[1]) * {"ms": 1, "s": 1_000, "m": 60_000}[match[2]]
    if result_ms == 0:
        raise ValueError("a duration above zero")
    return result_ms


def _short_ms(value: Any) -> int:
    result_ms = duration_ms(value)
    if result_ms > DURATION_MS_MAX:
        raise ValueError(f"a duration of at most {DURATION_MS_MAX // 60_000}m")
    return result_ms


def _long_ms(value: Any) -> int:
    result_ms = duration_ms(value)
    if result_ms > FLOW_DURATION_MS_MAX:
        raise ValueError(f"a duration of at most {FLOW_DURATION_MS_MAX // 60_000}m")
    return result_ms


DURATION_PATTERN: Final = r"^\d{1,6}(ms|s|m)$"
DURATION_SCHEMA: Final = {
    "type": "string",
    "pattern": DURATION_PATTERN,
    "description": 'a duration such as "500ms", "15s" or "2m"',
}
DurationMs = Annotated[int, BeforeValidator(_short_ms), WithJsonSchema(DURATION_SCHEMA)]
LongDurationMs = Annotated[int, BeforeValidator(_long_ms), WithJsonSchema(DURATION_SCHEMA)]


def _star_or_hash(value: Any) -> Any:
    if value is None:
        raise ValueError("the word hash: a bare # begins a comment in YAML")
    return {"#": "hash", "*": "star"}.get(value, value) if isinstance(value, str) else value


KeyWord = Annotated[
    Literal["hash", "star", "none"] | None,
    BeforeValidator(_star_or_hash),
    WithJsonSchema({"enum": ["hash", "star", "none"]}),
]
"""Words, because a bare # is a comment in YAML and a bare * an alias; "#" and "*" in quotes are taken too."""
StarWord = Annotated[
    Literal["star", "none"] | None, BeforeValidator(_star_or_hash), WithJsonSchema({"enum": ["star", "none"]})
]


def minor_units(text: str, currency: str) -> int:
    """Return a Money word in minor units of ``currency``. Raises ValueError for more digits than it has."""
    exponent = currency_exponent(currency)
    whole, _, minor = text.partition(".")
    if not whole or not (whole + minor).isdecimal():
        raise ValueError('money as "12.50"')
    if len(minor) != exponent:
        minor = minor.rstrip("0").ljust(exponent, "0")
        if len(minor) > exponent:
            raise ValueError(f"{currency} has {exponent} digits after the point")
    return int(whole + minor)


class Model(BaseModel):
    """Base of every model: unknown keys refused, never changed after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
