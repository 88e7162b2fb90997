"""German numbers: "einundzwanzig", "ein Euro", "eine Krone", "einhunderteintausend", "eine Million".

Currencies are not inflected after numbers ("zwei Euro"), feminine ones are ("zwei Kronen"). Years: "neunzehnhundert…"
up to 1999, cardinal from 2000. Dates in the nominative: "sechsundzwanzigster November".
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
    "null eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn sechzehn siebzehn "
    "achtzehn neunzehn"
)
_TENS: Final = words("zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig")
_MONTHS: Final = words("Januar Februar März April Mai Juni Juli August September Oktober November Dezember")
_IRREGULAR_ORDINALS: Final = {1: "erster", 3: "dritter", 7: "siebter", 8: "achter"}
_ALONE: Final = ""
_EIN: Final = "m"
"""Before masculine and neuter nouns and inside a longer number."""
_EINE: Final = "f"
_UND: Final = PieceName("and")
_CENT: Final = Noun("cent", "Cent", "Cent")
_ORE: Final = Noun("ore", "Öre", "Öre")
_CURRENCIES: Final = {
    "EUR": Currency(Noun("eur", "Euro", "Euro"), _CENT),
    "GBP": Currency(Noun("gbp", "Pfund", "Pfund"), Noun("penny", "Penny", "Pence")),
    "USD": Currency(Noun("usd", "Dollar", "Dollar"), _CENT),
    "CAD": Currency(Noun("cad", "kanadischer Dollar", "kanadische Dollar"), _CENT),
    "AUD": Currency(Noun("aud", "australischer Dollar", "australische Dollar"), _CENT),
    "NZD": Currency(Noun("nzd", "neuseeländischer Dollar", "neuseeländische Dollar"), _CENT),
    "CHF": Currency(Noun("chf", "Franken", "Franken"), Noun("rappen", "Rappen", "Rappen")),
    "SEK": Currency(Noun("sek", "schwedische Krone", "schwedische Kronen", feminine=True), _ORE),
    "NOK": Currency(Noun("nok", "norwegische Krone", "norwegische Kronen", feminine=True), _ORE),
    "DKK": Currency(Noun("dkk", "dänische Krone", "dänische Kronen", feminine=True), _ORE),
    "PLN": Currency(Noun("pln", "Zloty", "Zloty"), Noun("grosz", "Groschen", "Groschen")),
    "JPY": Currency(Noun("jpy", "Yen", "Yen"), None),
    "MXN": Currency(
        Noun("mxn", "mexikanischer Peso", "mexikanische Peso"), Noun("centavo", "Centavo", "Centavos")
    ),
}
_KEY: Final = Noun("key", "Ziffer", "Ziffern", feminine=True)
_HOUR: Final = Noun("hour", "Stunde", "Stunden", feminine=True)
_MINUTE: Final = Noun("minute", "Minute", "Minuten", feminine=True)
_SECOND: Final = Noun("second", "Sekunde", "Sekunden", feminine=True)


def _below_hundred(number: int) -> str:
    if number < 20:
        return _SMALL[number]
    tens, ones = divmod(number, 10)
    ones_text = "ein" if ones == 1 else _SMALL[ones]
    return f"{ones_text}und{_TENS[tens - 2]}" if ones else _TENS[tens - 2]


def _ordinal(day: int) -> str:
    return _IRREGULAR_ORDINALS.get(day) or _below_hundred(day) + ("ter" if day < 20 else "ster")


def _below_thousand(number: int, one: str) -> Pieces:
    """Only a last 1 takes a form: 101 is "einhundertein Euro", 21 is "einundzwanzig Euro"."""
    hundreds, rest = divmod(number, 100)
    tail = (number_piece(1, one) if rest == 1 else number_piece(rest),) if rest or not hundreds else ()
    return (number_piece(100 * hundreds), *tail) if hundreds else tail


def _joined(number: int, one: str) -> Pieces:
    millions, thousand, rest = thousands(number)
    pieces: Pieces = ()
    if millions == 1:
        pieces += (PieceName("million-one"),)
    elif millions:
        pieces += (number_piece(millions), PieceName("million-many"))
    if thousand:
        pieces += (*_below_thousand(thousand, _EIN), PieceName("thousand"))
    return pieces + _below_thousand(rest, one) if rest or not pieces else pieces


def _cardinal(number: int) -> Pieces:
    return _joined(number, _ALONE)


def _counted(number: int, noun: Noun) -> Pieces:
    return (*_joined(number, _EINE if noun.feminine else _EIN), noun.after(one=number == 1))


def _date(year: int, month: int, day: int | None) -> Pieces:
    first = () if day is None else (day_piece(day),)
    century, rest = divmod(year, 100)
    tail = (number_piece(rest),) if rest else ()
    spoken = _cardinal(year) if year >= 2000 else (number_piece(century), PieceName("hundred"), *tail)
    return (*first, month_piece(month), *spoken)


def _inventory() -> dict[PieceName, str]:
    texts = {number_piece(each): _below_hundred(each) for each in range(100)}
    texts |= {number_piece(1, _EIN): "ein", number_piece(1, _EINE): "eine"}
    texts |= {number_piece(100): "einhundert"}
    texts |= {number_piece(100 * each): f"{_SMALL[each]}hundert" for each in range(2, 10)}
    texts |= {day_piece(each): _ordinal(each) for each in DAYS}
    joints = {
        "and": "und",
        "of": "von",
        "point": "Komma",
        "hundred": "hundert",
        "thousand": "tausend",
        "million-one": "eine Million",
        "million-many": "Millionen",
    }
    nouns = (_KEY, _HOUR, _MINUTE, _SECOND, *nouns_of(_CURRENCIES))
    signs = {"-": "Bindestrich", "/": "Schrägstrich", ".": "Punkt"}
    return texts | common_inventory({}, signs, _MONTHS, nouns, joints)


GRAMMAR: Final = Grammar(
    cardinal=_cardinal,
    counted=_counted,
    date=_date,
    currencies=_CURRENCIES,
    key=_KEY,
    hour=_HOUR,
    minute=_MINUTE,
    second=_SECOND,
    minor_joint=_UND,
    last_joint=_UND,
    position_joint=PieceName("of"),
    inventory=_inventory(),
)
