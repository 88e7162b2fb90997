"""French numbers, as in France: "soixante et onze", "quatre-vingts", "quatre-vingt mille", "deux cents".

Traditional spelling. The plural begins at two: "zéro euro", "deux euros". A whole number of millions takes "de": "un
million d'euros". Feminine nouns make "une": "vingt et une livres". Not done: septante and nonante (fr-BE, fr-CH).
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
    "zéro un deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize dix-sept dix-huit "
    "dix-neuf"
)
_TENS: Final = {
    20: "vingt",
    30: "trente",
    40: "quarante",
    50: "cinquante",
    60: "soixante",
    80: "quatre-vingt",
}
_MONTHS: Final = words("janvier février mars avril mai juin juillet août septembre octobre novembre décembre")
_STEM: Final = "stem"
"""Of 80 and of the hundreds where another number follows: without its s."""
_FEMININE: Final = "f"
_ENDS_IN_ONE: Final = (1, 21, 31, 41, 51, 61, 81)
_ET: Final = PieceName("and")
_CENTIME: Final = Noun("centime", "centime", "centimes")
_CENT: Final = Noun("cent", "cent", "cents")
_ORE: Final = Noun("ore", "öre", "öre")


def _dollar(name: str, adjective: str) -> Currency:
    one, many = f"dollar {adjective}".strip(), f"dollars {adjective}s" if adjective else "dollars"
    return Currency(Noun(name, one, many, of_many=f"de {many}"), _CENT)


def _krone(name: str, adjective: str) -> Currency:
    many = f"couronnes {adjective}s"
    return Currency(Noun(name, f"couronne {adjective}", many, feminine=True, of_many=f"de {many}"), _ORE)


_CURRENCIES: Final = {
    "EUR": Currency(Noun("eur", "euro", "euros", of_many="d'euros"), _CENTIME),
    "GBP": Currency(
        Noun("gbp", "livre", "livres", feminine=True, of_many="de livres"), Noun("penny", "penny", "pence")
    ),
    "USD": _dollar("usd", ""),
    "CAD": _dollar("cad", "canadien"),
    "AUD": _dollar("aud", "australien"),
    "NZD": _dollar("nzd", "néo-zélandais"),
    "CHF": Currency(Noun("chf", "franc suisse", "francs suisses", of_many="de francs suisses"), _CENTIME),
    "SEK": _krone("sek", "suédoise"),
    "NOK": _krone("nok", "norvégienne"),
    "DKK": _krone("dkk", "danoise"),
    "PLN": Currency(Noun("pln", "zloty", "zlotys", of_many="de zlotys"), Noun("grosz", "grosz", "groszy")),
    "JPY": Currency(Noun("jpy", "yen", "yens", of_many="de yens"), None),
    "MXN": Currency(
        Noun("mxn", "peso mexicain", "pesos mexicains", of_many="de pesos mexicains"),
        Noun("centavo", "centavo", "centavos"),
    ),
}
_KEY: Final = Noun("key", "chiffre", "chiffres")
_HOUR: Final = Noun("hour", "heure", "heures", feminine=True)
_MINUTE: Final = Noun("minute", "minute", "minutes", feminine=True)
_SECOND: Final = Noun("second", "seconde", "secondes", feminine=True)


def _below_hundred(number: int) -> str:
    if number < 20:
        return _SMALL[number]
    # 70 to 79 count on from 60, 90 to 99 from 80.
    tens = max(each for each in _TENS if each <= number)
    rest = number - tens
    if not rest:
        return "quatre-vingts" if tens == 80 else _TENS[tens]
    joint = " et " if rest in (1, 11) and tens != 80 else "-"
    return f"{_TENS[tens]}{joint}{_SMALL[rest]}"


def _tail(number: int, feminine: bool, followed: bool) -> PieceName:
    if feminine and number in _ENDS_IN_ONE:
        return number_piece(number, _FEMININE)
    return number_piece(number, _STEM if followed and number == 80 else "")


def _below_thousand(number: int, feminine: bool, followed: bool) -> Pieces:
    """``followed``: by "mille", before which hundreds and 80 have no s (before "millions", a noun, they have)."""
    hundreds, rest = divmod(number, 100)
    if not hundreds:
        return (_tail(rest, feminine, followed),)
    stem = hundreds > 1 and (rest > 0 or followed)
    first = number_piece(100 * hundreds, _STEM if stem else "")
    return (first, _tail(rest, feminine, followed)) if rest else (first,)


def _joined(number: int, feminine: bool) -> Pieces:
    millions, thousand, rest = thousands(number)
    pieces: Pieces = ()
    if millions:
        pieces += (number_piece(millions), PieceName("million-one" if millions == 1 else "million-many"))
    if thousand > 1:
        pieces += _below_thousand(thousand, feminine=False, followed=True)
    if thousand:
        pieces += (PieceName("thousand"),)
    if rest or not pieces:
        pieces += _below_thousand(rest, feminine, followed=False)
    return pieces


def _cardinal(number: int) -> Pieces:
    return _joined(number, feminine=False)


def _counted(number: int, noun: Noun) -> Pieces:
    whole_millions = number > 0 and number % 1_000_000 == 0
    last = noun.after_millions() if whole_millions else noun.after(one=number < 2)
    return (*_joined(number, noun.feminine), last)


def _date(year: int, month: int, day: int | None) -> Pieces:
    first = () if day is None else (day_piece(day),)
    return (*first, month_piece(month), *_cardinal(year))


def _inventory() -> dict[PieceName, str]:
    texts = {number_piece(each): _below_hundred(each) for each in range(100)}
    texts |= {number_piece(each, _FEMININE): f"{_below_hundred(each)}e" for each in _ENDS_IN_ONE}
    texts |= {number_piece(80, _STEM): "quatre-vingt", number_piece(100): "cent"}
    for each in range(2, 10):
        texts |= {number_piece(100 * each): f"{_SMALL[each]} cents"}
        texts |= {number_piece(100 * each, _STEM): f"{_SMALL[each]} cent"}
    texts |= {day_piece(each): "premier" if each == 1 else _below_hundred(each) for each in DAYS}
    joints = {
        "and": "et",
        "of": "sur",
        "point": "virgule",
        "thousand": "mille",
        "million-one": "million",
        "million-many": "millions",
    }
    nouns = (_KEY, _HOUR, _MINUTE, _SECOND, *nouns_of(_CURRENCIES))
    signs = {"-": "tiret", "/": "barre oblique", ".": "point"}
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
    minor_joint=_ET,
    last_joint=_ET,
    position_joint=PieceName("of"),
    inventory=_inventory(),
)
