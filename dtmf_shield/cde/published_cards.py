"""Published test card numbers, which no live gateway is sent.

Numbers as Stripe, Adyen, Braintree and PayPal print them in their public documentation; none was ever issued. They are
written in letters, a for 0 to j for 9: in clear they would lie in this process's memory, where nothing that looks like
a card may lie and tests look for these very numbers.
"""

from __future__ import annotations

from typing import Final

_LETTER_FOR_0: Final = ord("a") - ord("0")
_NUMBERS: Final = (
    # American Express, Diners Club
    b"dhiciccegdbaaaf dhbeejgdfdjiedb dhihdeejdghbaaa dhaaaaaaaaaaaac dafgjdajacfjae dafgjdaaajacaaae difcaaaaacdcdh "
    # Discover, JCB, UnionPay, Maestro
    b"gabbbbbbbbbbbbbh gabbaaajjabdjece dfdabbbddddaaaaa dfggaacacadgafaf gcaaaaaaaaaaaaaf ghfjgejicgediefd "
    # Mastercard
    b"ffffffffffffeeee fbafbafbafbafbaa fcaaicicicicicba cccdaadbccaadccc ffffdebceeeebbbf cccceaaahaaaaaaf "
    # Visa
    b"ecececececececec ebbbbbbbbbbbbbbb eabciiiiiiiibiib ecccccccccccc eaaaafggffggfffg eaaaaaaaaaaaaaac "
    b"eaaaaaaaaaaaaagj eaaaaaaaaaaaabbj eaaaaaaaaaaaabch eaaaaaaaaaaaadeb eaaaaaaaaaaajjjf eaaaaacfaaaadbff "
    b"eaaaaaaaaaaadcca eaaaaachgaaadbie eeeeddddccccbbbb ejbhgbaaaaaaaaaa ebggghggghgggheg"
).split()
_BY_LENGTH: Final = {len(number): tuple(n for n in _NUMBERS if len(n) == len(number)) for number in _NUMBERS}


def is_test_card(number: memoryview, count: int) -> bool:
    """Whether the ``count`` ASCII digits of ``number`` are a published test number. Copies none of them."""
    return any(
        all(number[place] + _LETTER_FOR_0 == letter for place, letter in enumerate(published))
        for published in _BY_LENGTH.get(count, ())
    )
