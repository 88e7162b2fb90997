"""Which audio codecs a leg is offered, and which two the legs of a call speak (RFC 3264 sections 5.1 and 6.1).

One codec on both legs wherever both know one; else media changes one into the other. Nothing here knows how.
"""

from __future__ import annotations

from collections.abc import Sequence

from dtmf_shield.model.stream import NARROWBAND_HZ, Codec
from dtmf_shield.sip.errors import SdpError


def codecs_taken(described: Sequence[Codec], taken: Sequence[Codec]) -> tuple[Codec, ...]:
    """Return those of a side's codecs that the configuration takes, in that side's order. Raises SdpError 488."""
    found = tuple(codec for codec in described if codec in taken)
    if not found:
        raise SdpError("no codec that we take", 488)
    return found


def codecs_to_offer(
    described: Sequence[Codec], taken: Sequence[Codec], current: Codec | None
) -> tuple[Codec, ...]:
    """Return what to offer one leg: the other side's codecs first, in its order, then what we can change over to.

    Wideband is not added for a side that did not offer it: a phone that prefers it would cost two conversions and
    hear nothing better. What the leg speaks now (`current`) is always among them, so that no re-offer fails by codec.
    """
    first = codecs_taken(described, taken)
    more = [
        codec
        for codec in taken
        if codec not in first and (codec.sample_rate_hz == NARROWBAND_HZ or codec is current)
    ]
    return (*first, *more)


def choose_codecs(offered: Sequence[Codec], answered: Sequence[Codec]) -> tuple[Codec, Codec]:
    """Return the codecs of the leg that offered and of the leg that answered; neither side's list is empty.

    The same one where the answer holds one of the offer. Else the answer's first, and of the offer the first of its
    sample rate, because a change of rate costs more than a change of companding law.
    """
    for codec in answered:
        if codec in offered:
            return codec, codec
    theirs = answered[0]
    alike = [codec for codec in offered if codec.sample_rate_hz == theirs.sample_rate_hz]
    return (alike or offered)[0], theirs
