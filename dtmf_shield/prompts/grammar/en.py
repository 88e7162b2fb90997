"""English numbers. British: "one hundred and five", "twenty-sixth of November"; American leaves out "and", month first.

Years: "twenty twenty-six", "two thousand and six", "nineteen oh five".
"""

from __future__ import annotations

from typing import Final

from dtmf_shield.prompts.grammar.parts import (
    DAYS,
    Currency,
    Grammar,
    Noun,
    PieceName,
    Pieces,
    common_inventory,
    day_piece,
    month_piece,
    nouns_of,
    number_piece,
    thousands,
    words,
)

_SMALL: Final = words(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TENS: Final = words("twenty thirty forty fifty sixty seventy eighty ninety")
_ORDINALS: Final = words(
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth "
    "sixteenth seventeenth eighteenth nineteenth"
)
_MONTHS: Final = words(
    "January February March April May June July August September October November December"
)
_AND: Final = PieceName("and")
_OF: Final = PieceName("of")
_OH: Final = PieceName("oh")
_CENT: Final = Noun("cent", "cent", "cents")
_CURRENCIES: Final = {
    "EUR": Currency(Noun("eur", "euro", "euros"), _CENT),
    "GBP": Currency(Noun("gbp", "pound", "pounds"), Noun("penny", "penny", "pence")),
    "USD": Currency(Noun("usd", "dollar", "dollars"), _CENT),
    "CAD": Currency(Noun("cad", "Canadian dollar", "Canadian dollars"), _CENT),
    "AUD": Currency(Noun("aud", "Australian dollar", "Australian dollars"), _CENT),
    "NZD": Currency(Noun("nzd", "New Zealand dollar", "New Zealand dollars"), _CENT),
    "CHF": Currency(Noun("chf", "Swiss franc", "Swiss francs"), Noun("rappen", "centime", "centimes")),
    "SEK": Currency(Noun("sek", "Swedish krona", "Swedish kronor"), Noun("ore", "öre", "öre")),
    "NOK": Currency(Noun("nok", "Norwegian krone", "Norwegian kroner"), Noun("ore", "öre", "öre")),
    "DKK": Currency(Noun("dkk", "Danish krone", "Danish kroner"), Noun("ore", "öre", "öre")),
    "PLN": Currency(Noun("pln", "zloty", "zloty"), Noun("grosz", "grosz", "groszy")),
    "JPY": Currency(Noun("jpy", "yen", "yen"), None),
    "MXN": Currency(Noun("mxn", "Mexican peso", "Mexican pesos"), Noun("centavo", "centavo", "centavos")),
}
_KEY: Final = Noun("key", "digit", "digits")
_HOUR, _MINUTE, _SECOND = (Noun(each, each, f"{each}s") for each in ("hour", "minute", "second"))


def _below_hundred(number: int) -> str:
    if number < 20:
        return _SMALL[number]
    tens, ones = divmod(number, 10)
    return f"{_TENS[tens - 2]}-{_SMALL[ones]}" if ones else _TENS[tens - 2]


def _ordinal(number: int) -> str:
    if number < 20:
        return _ORDINALS[number - 1]
    tens, ones = divmod(number, 10)
    return f"{_TENS[tens - 2]}-{_ORDINALS[ones - 1]}" if ones else f"{_TENS[tens - 2][:-1]}ieth"


def _below_thousand(number: int, joint: Pieces) -> Pieces:
    hundreds, rest = divmod(number, 100)
    if not hundreds:
        return (number_piece(rest),)
    return (number_piece(100 * hundreds), *((*joint, number_piece(rest)) if rest else ()))


def _cardinal(number: int, joint: Pieces) -> Pieces:
    millions, thousand, rest = thousands(number)
    pieces: Pieces = ()
    if millions:
        pieces += (number_piece(millions), PieceName("million"))
    if thousand:
        pieces += (*_below_thousand(thousand, joint), PieceName("thousand"))
    if rest or not pieces:
        pieces += (joint if pieces and rest < 100 else ()) + _below_thousand(rest, joint)
    return pieces


def _british(number: int) -> Pieces:
    return _cardinal(number, (_AND,))


def _american(number: int) -> Pieces:
    return _cardinal(number, ())


def _year(year: int, joint: Pieces) -> Pieces:
    century, rest = divmod(year, 100)
    if 2000 <= year < 2010:
        return _cardinal(year, joint)
    if rest < 10:
        second = (number_piece(rest),) if rest else ()
        return (number_piece(century), *((_OH, *second) if rest else (PieceName("hundred"),)))
    return number_piece(century), number_piece(rest)


def _british_date(year: int, month: int, day: int | None) -> Pieces:
    first = () if day is None else (day_piece(day), _OF)
    return (*first, month_piece(month), *_year(year, (_AND,)))


def _american_date(year: int, month: int, day: int | None) -> Pieces:
    second = () if day is None else (day_piece(day),)
    return (month_piece(month), *second, *_year(year, ()))


def _inventory(letter_z: str) -> dict[PieceName, str]:
    texts = {number_piece(each): _below_hundred(each) for each in range(100)}
    texts |= {number_piece(100 * each): f"{_SMALL[each]} hundred" for each in range(1, 10)}
    texts |= {day_piece(each): _ordinal(each) for each in DAYS}
    joints = {each: each for each in ("and", "of", "oh", "hundred", "thousand", "million", "point")}
    nouns = (_KEY, _HOUR, _MINUTE, _SECOND, *nouns_of(_CURRENCIES))
    signs = {"-": "dash", "/": "slash", ".": "dot"}
    return texts | common_inventory({"z": letter_z}, signs, _MONTHS, nouns, joints)


def _grammar(american: bool) -> Grammar:
    cardinal = _american if american else _british
    return Grammar(
        cardinal=cardinal,
        counted=lambda number, noun: (*cardinal(number), noun.after(one=number == 1)),
        date=_american_date if american else _british_date,
        currencies=_CURRENCIES,
        key=_KEY,
        hour=_HOUR,
        minute=_MINUTE,
        second=_SECOND,
        minor_joint=_AND,
        last_joint=_AND,
        position_joint=_OF,
        inventory=_inventory("zee" if american else "zed"),
    )


BRITISH: Final = _grammar(american=False)
AMERICAN: Final = _grammar(american=True)
