"""The ringing tone: what a caller hears while the phone of whom the call is handed to rings (ITU-T E.180).

Tones and cadences by country as ITU-T E.180 Supplement 2 lists them; elsewhere the tone that E.180 recommends.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Cadence:
    """``frequencies_hz``: sound together. ``on_off_ms``: tone, silence, tone ...; multiples of 20 ms."""

    frequencies_hz: tuple[int, ...]
    on_off_ms: tuple[int, ...]


_RECOMMENDED: Final = ""
CADENCES: Final = {
    _RECOMMENDED: Cadence((425,), (1_000, 4_000)),
    "DE": Cadence((425,), (1_000, 4_000)),
    "ES": Cadence((425,), (1_500, 3_000)),
    "FR": Cadence((440,), (1_500, 3_500)),
    "GB": Cadence((400, 450), (400, 200, 400, 2_000)),
    "US": Cadence((440, 480), (2_000, 4_000)),
}
"""By country, ISO 3166-1."""
RINGBACK_DBM0: Final = -15.0
"""The lower end of what E.180 allows (-15 to -5 dBm0): most callers hold the phone at their ear while they wait."""


def ringback_name(language: str) -> str:
    """Return the piece of the pool for callers who are spoken to in ``language`` (a tag as en-GB; empty: unknown)."""
    country = language.rpartition("-")[2]
    return f"tone/ringback-{country if country in CADENCES else _RECOMMENDED}"
