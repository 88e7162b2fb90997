"""What a caller keys: card number, expiry, security code, bank data, dates, digits, amounts. All checked inside cde."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, Strict, WithJsonSchema, model_validator

from dtmf_shield.flow.language.words import Currency, Flag, Model, Money, minor_units
from dtmf_shield.model.capture import KEYS_MAX, VALUE_KEYS_MAX, DateFormat, FieldCheck, FieldKind, FieldSpec
from dtmf_shield.model.field_rules import IBAN_LENGTHS, ROUTING_NUMBER_LENGTH
from dtmf_shield.model.payment import currency_exponent

CARD_LENGTH_MIN, CARD_LENGTH_MAX = 12, 19
BRANDS: Final = (
    "visa", "mastercard", "amex", "diners", "discover", "jcb", "mir", "unionpay", "maestro", "verve",
    "elo", "troy", "hiper", "hipercard", "naranja", "rupay", "dankort",
)  # fmt: skip
"""Names of cde's table of brands, in its order."""
FIXED_LENGTH_BRANDS: Final = (
    "mastercard",
    "amex",
    "elo",
    "troy",
    "hiper",
    "hipercard",
    "naranja",
    "rupay",
    "dankort",
)
"""Brands whose numbers have one length in cde's table, so that the last digit submits."""

Brand = Literal[
    "visa", "mastercard", "amex", "diners", "discover", "jcb", "mir", "unionpay", "maestro", "verve",
    "elo", "troy", "hiper", "hipercard", "naranja", "rupay", "dankort",
]  # fmt: skip
DigitCount = Annotated[int, Strict(), Field(ge=1, le=KEYS_MAX)]
CardLength = Annotated[int, Strict(), Field(ge=CARD_LENGTH_MIN, le=CARD_LENGTH_MAX)]


def _one_or_more(value: Any) -> Any:
    return (value,) if isinstance(value, int) and not isinstance(value, bool) else value


class LengthRange(Model):
    """From ``min`` to ``max`` digits."""

    min: DigitCount = 1
    max: DigitCount

    @model_validator(mode="after")
    def _ordered(self) -> LengthRange:
        if self.min > self.max:
            raise ValueError("min not above max")
        return self


def _fixed_length(value: Any) -> Any:
    return {"min": value, "max": value} if isinstance(value, int) and not isinstance(value, bool) else value


Length = Annotated[
    LengthRange, BeforeValidator(_fixed_length, json_schema_input_type=DigitCount | LengthRange)
]


class KeyedField(Model):
    """What every field has."""

    label: Annotated[str, Field(min_length=1, max_length=40)] | None = None
    """What the agent's page calls it."""
    optional: Flag = False
    """Whether the submit key on an empty entry skips it."""


class CardNumberField(KeyedField):
    """A card number (PAN), 12 to 19 digits, checked by brand, length and check digit."""

    type: Literal["card_number"]
    brands: Annotated[tuple[Brand, ...], Field(max_length=len(BRANDS))] = ()
    """The brands taken; empty: every brand known."""
    length: (
        Literal["by_brand"]
        | Annotated[
            tuple[CardLength, ...],
            BeforeValidator(_one_or_more, json_schema_input_type=CardLength | tuple[CardLength, ...]),
        ]
    ) = "by_brand"
    """by_brand, or the only lengths taken: 16 makes a Visa submit itself at the sixteenth digit."""
    luhn: Literal[True] = True
    """The check digit is always checked (ISO/IEC 7812-1)."""
    submit: Literal["auto_or_key", "auto"] = "auto_or_key"
    """At the last digit where the brand has one length, else by the submit key or silence; auto: checked to be so."""
    optional: Literal[False] = False
    """A card number cannot be skipped."""


class ExpiryField(KeyedField):
    """An expiry date, month then year. Every value is the only one: what is checked can be read in the file."""

    type: Literal["expiry"]
    format: Literal["MMYY"] = "MMYY"
    """A year of four digits is understood too."""
    not_before: Literal["this_month"] = "this_month"
    """A card is good to the end of its month."""
    not_after: Literal["+20y"] = "+20y"
    """Further ahead is a slip."""


def _keep(value: Any) -> Any:
    return "until_authorised" if value == "until_authorized" else value


class SecurityCodeField(KeyedField):
    """The security code of a card (CVC, CVV), three or four digits."""

    type: Literal["security_code"]
    length: Literal["by_brand"] = "by_brand"
    """Four for American Express, else three."""
    keep: Annotated[Literal["until_authorised"], BeforeValidator(_keep)] = "until_authorised"
    """The only value: wiped after the gateway's first answer, never written (PCI DSS 3.3.1)."""


class DigitsField(KeyedField):
    """Any run of digits: an account with the merchant, a policy, an order."""

    type: Literal["digits"]
    length: Length
    """How many digits: a number, or min and max."""
    check: Literal["none", "luhn", "mod97", "mod11"] = "none"
    """Check digit: luhn (ISO/IEC 7812-1), mod97 (ISO 7064 MOD 97-10), mod11 (weights 2, 3, ... from the right)."""
    sensitive: Flag = True
    """false: released to the flow as vars.NAME once accepted, at most 12 digits, where the server allows it."""

    @model_validator(mode="after")
    def _short_if_released(self) -> DigitsField:
        if not self.sensitive and self.length.max > VALUE_KEYS_MAX:
            raise ValueError(
                f"at most {VALUE_KEYS_MAX} digits where sensitive is false: longer could be a card"
            )
        return self


class AmountField(KeyedField):
    """An amount of money, keyed in minor units (10.50 is 1 0 5 0), released to the flow as vars.NAME."""

    type: Literal["amount"]
    currency: Currency
    """What the amount is in (ISO 4217); says how many minor digits there are."""
    min: Money = "0.01"
    max: Money
    sensitive: Literal[False] = False
    """Always false: an amount is no account data, and a charge needs it."""


class PostalCodeField(KeyedField):
    """The digits of a postal code, for the check of the cardholder's address."""

    type: Literal["postal_code"]
    length: Length = LengthRange(min=3, max=10)


class BankAccountField(KeyedField):
    """A bank account number."""

    type: Literal["bank_account"]
    length: Length = LengthRange(min=4, max=17)
    check: Literal["none", "luhn", "mod97", "mod11"] = "none"


class RoutingNumberField(KeyedField):
    """A bank in the United States: nine digits with a check digit (ABA). Others key theirs as digits."""

    type: Literal["routing_number"]


def _iban_country(value: str) -> str:
    if value not in IBAN_LENGTHS:
        raise ValueError(
            f"one of {', '.join(sorted(IBAN_LENGTHS))}: elsewhere an IBAN has letters, which no key has"
        )
    return value


class IbanField(KeyedField):
    """The digits of an IBAN after its country code (ISO 13616), for countries whose IBAN has digits only."""

    type: Literal["iban"]
    country: Annotated[str, AfterValidator(_iban_country), WithJsonSchema({"enum": sorted(IBAN_LENGTHS)})]
    """The country code is not keyed: it is fixed here."""


class DateOfBirthField(KeyedField):
    """A date of birth, a valid day of the calendar, in the past."""

    type: Literal["date_of_birth"]
    format: Literal["DDMMYYYY", "MMDDYYYY", "YYYYMMDD"] = "DDMMYYYY"


FlowField = Annotated[
    CardNumberField
    | ExpiryField
    | SecurityCodeField
    | DigitsField
    | AmountField
    | PostalCodeField
    | BankAccountField
    | RoutingNumberField
    | IbanField
    | DateOfBirthField,
    Field(discriminator="type"),
]

CARD_TYPES: Final = frozenset({"card_number", "expiry", "security_code"})
ACCOUNT_TYPES: Final = frozenset({"bank_account", "routing_number", "iban"})


def is_released(field: FlowField) -> bool:
    """Whether the field's value leaves cde, once, whole and accepted."""
    return isinstance(field, AmountField) or (isinstance(field, DigitsField) and not field.sensitive)


def lengths_of(field: FlowField) -> tuple[int, int]:
    """Return the fewest and most digits that the caller may key."""
    match field:
        case CardNumberField():
            return (CARD_LENGTH_MIN, CARD_LENGTH_MAX) if field.length == "by_brand" else _ends(field.length)
        case ExpiryField():
            return len(field.format), len(field.format)
        case SecurityCodeField():
            return 3, 4
        case AmountField():
            return 1, len(str(minor_units(field.max, field.currency)))
        case RoutingNumberField():
            return ROUTING_NUMBER_LENGTH, ROUTING_NUMBER_LENGTH
        case IbanField():
            return IBAN_LENGTHS[field.country] - 2, IBAN_LENGTHS[field.country] - 2
        case DateOfBirthField():
            return len(field.format), len(field.format)
        case _:
            return field.length.min, field.length.max


def _ends(lengths: tuple[int, ...]) -> tuple[int, int]:
    return min(lengths), max(lengths)


def field_spec(name: str, field: FlowField) -> FieldSpec:
    """Return one field as cde needs it."""
    common: dict[str, Any] = {"name": name, "kind": FieldKind(field.type), "optional": field.optional}
    match field:
        case CardNumberField():
            lengths = () if field.length == "by_brand" else field.length
            return FieldSpec(**common, brands=field.brands, lengths=lengths)
        case DigitsField() | BankAccountField():
            sensitive = field.sensitive if isinstance(field, DigitsField) else True
            check = FieldCheck(field.check)
            return FieldSpec(**common, **_length_of(field.length), check=check, sensitive=sensitive)
        case PostalCodeField():
            return FieldSpec(**common, **_length_of(field.length))
        case AmountField():
            low, high = minor_units(field.min, field.currency), minor_units(field.max, field.currency)
            return FieldSpec(
                **common, value_min=low, value_max=high, currency=field.currency, sensitive=False
            )
        case IbanField():
            return FieldSpec(**common, country=field.country)
        case DateOfBirthField():
            return FieldSpec(**common, format=DateFormat(field.format.lower()))
        case _:
            return FieldSpec(**common)


def _length_of(length: LengthRange) -> dict[str, Any]:
    return {"length_min": length.min, "length_max": length.max}


def released_text(field: FlowField, keyed: str) -> str:
    """Return a released value as the flow speaks and charges it: digits as keyed, an amount as "12.50"."""
    if not isinstance(field, AmountField):
        return keyed
    exponent = currency_exponent(field.currency)
    return f"{Decimal(keyed or '0').scaleb(-exponent):.{exponent}f}"
