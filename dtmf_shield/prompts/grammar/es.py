"""Spanish numbers: "veintiún euros", "veintiuna libras", "ciento un euros", "cien", "un millón de euros".

After the DPD of the RAE, "cardinales": before a noun "uno" is "un" or "una" and hundreds agree with it, hundreds before
"mil" too ("doscientas mil libras"), where "un" may stay masculine ("veintiún mil libras") and does here; "millón" is
masculine by itself and takes "de" before the noun when nothing stands between them.
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
    "cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince dieciséis diecisiete "
    "dieciocho diecinueve veinte veintiuno veintidós veintitrés veinticuatro veinticinco veintiséis veintisiete "
    "veintiocho veintinueve"
)
_TENS: Final = words("treinta cuarenta cincuenta sesenta setenta ochenta noventa")
_HUNDREDS: Final = words(
    "doscientos trescientos cuatrocientos quinientos seiscientos setecientos ochocientos novecientos"
)
_MONTHS: Final = words(
    "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre"
)
_ALONE: Final = ""
_UN: Final = "m"
_UNA: Final = "f"
_ENDS_IN_ONE: Final = (1, *range(21, 100, 10))
_DE: Final = PieceName("of")
_CIENTO: Final = number_piece(100, "stem")
_CENTIMO: Final = Noun("centimo", "céntimo", "céntimos")
_CENTAVO: Final = Noun("centavo", "centavo", "centavos")
_ORE: Final = Noun("ore", "öre", "öre")


def _unit(name: str, one: str, many: str, feminine: bool = False) -> Noun:
    return Noun(name, one, many, feminine=feminine, of_many=f"de {many}")


_CURRENCIES: Final = {
    "EUR": Currency(_unit("eur", "euro", "euros"), _CENTIMO),
    "GBP": Currency(_unit("gbp", "libra", "libras", feminine=True), Noun("penny", "penique", "peniques")),
    "USD": Currency(_unit("usd", "dólar", "dólares"), _CENTAVO),
    "CAD": Currency(_unit("cad", "dólar canadiense", "dólares canadienses"), _CENTAVO),
    "AUD": Currency(_unit("aud", "dólar australiano", "dólares australianos"), _CENTAVO),
    "NZD": Currency(_unit("nzd", "dólar neozelandés", "dólares neozelandeses"), _CENTAVO),
    "CHF": Currency(_unit("chf", "franco suizo", "francos suizos"), _CENTIMO),
    "SEK": Currency(_unit("sek", "corona sueca", "coronas suecas", feminine=True), _ORE),
    "NOK": Currency(_unit("nok", "corona noruega", "coronas noruegas", feminine=True), _ORE),
    "DKK": Currency(_unit("dkk", "corona danesa", "coronas danesas", feminine=True), _ORE),
    "PLN": Currency(_unit("pln", "zloty", "zlotys"), Noun("grosz", "grosz", "groszy")),
    "JPY": Currency(_unit("jpy", "yen", "yenes"), None),
    "MXN": Currency(_unit("mxn", "peso mexicano", "pesos mexicanos"), _CENTAVO),
}
_KEY: Final = Noun("key", "dígito", "dígitos")
_HOUR: Final = Noun("hour", "hora", "horas", feminine=True)
_MINUTE: Final = Noun("minute", "minuto", "minutos")
_SECOND: Final = Noun("second", "segundo", "segundos")


def _below_hundred(number: int) -> str:
    if number < 30:
        return _SMALL[number]
    tens, ones = divmod(number, 10)
    return f"{_TENS[tens - 3]} y {_SMALL[ones]}" if ones else _TENS[tens - 3]


def _before_noun(number: int, feminine: bool) -> str:
    alone = _below_hundred(number)
    if feminine:
        return f"{alone[:-1]}a"
    return "veintiún" if number == 21 else alone[:-1]


def _below_thousand(number: int, one: str, feminine_hundreds: bool) -> Pieces:
    hundreds, rest = divmod(number, 100)
    tail = (number_piece(rest, one if rest in _ENDS_IN_ONE else ""),)
    if not hundreds:
        return tail
    if hundreds == 1:
        return (_CIENTO, *tail) if rest else (number_piece(100),)
    first = number_piece(100 * hundreds, _UNA if feminine_hundreds else "")
    return (first, *tail) if rest else (first,)


def _joined(number: int, one: str) -> Pieces:
    millions, thousand, rest = thousands(number)
    feminine = one == _UNA
    pieces: Pieces = ()
    if millions:
        pieces += _below_thousand(millions, _UN, feminine_hundreds=False)
        pieces += (PieceName("million-one" if millions == 1 else "million-many"),)
    if thousand > 1:
        pieces += _below_thousand(thousand, _UN, feminine)
    if thousand:
        pieces += (PieceName("thousand"),)
    return pieces + _below_thousand(rest, one, feminine) if rest or not pieces else pieces


def _cardinal(number: int) -> Pieces:
    return _joined(number, _ALONE)


def _counted(number: int, noun: Noun) -> Pieces:
    whole_millions = number > 0 and number % 1_000_000 == 0
    last = noun.after_millions() if whole_millions else noun.after(one=number == 1)
    return (*_joined(number, _UNA if noun.feminine else _UN), last)


def _date(year: int, month: int, day: int | None) -> Pieces:
    first = () if day is None else (day_piece(day), _DE)
    return (*first, month_piece(month), _DE, *_cardinal(year))


def _inventory() -> dict[PieceName, str]:
    texts = {number_piece(each): _below_hundred(each) for each in range(100)}
    for each in _ENDS_IN_ONE:
        texts |= {number_piece(each, _UN): _before_noun(each, feminine=False)}
        texts |= {number_piece(each, _UNA): _before_noun(each, feminine=True)}
    texts |= {number_piece(100): "cien", _CIENTO: "ciento"}
    for each, masculine in zip(range(200, 1000, 100), _HUNDREDS, strict=True):
        texts |= {number_piece(each): masculine, number_piece(each, _UNA): f"{masculine[:-2]}as"}
    texts |= {day_piece(each): _below_hundred(each) for each in DAYS}
    joints = {
        "and": "y",
        "of": "de",
        "with": "con",
        "point": "coma",
        "thousand": "mil",
        "million-one": "millón",
        "million-many": "millones",
    }
    nouns = (_KEY, _HOUR, _MINUTE, _SECOND, *nouns_of(_CURRENCIES))
    signs = {"-": "guion", "/": "barra", ".": "punto"}
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
    minor_joint=PieceName("with"),
    last_joint=PieceName("and"),
    position_joint=_DE,
    inventory=_inventory(),
)
