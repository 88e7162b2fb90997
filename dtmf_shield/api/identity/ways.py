"""People on their way to the provider and back: bounded, good once, and for a time (RFC 9700 section 4.7). No I/O."""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass
from typing import Final

WAYS_MAX: Final = 4_096
WAY_LIFETIME_S: Final = 600.0


@dataclass(frozen=True, slots=True, repr=False)
class Way:
    """What one browser was sent away with. ``asker``: what its address is counted as."""

    browser: bytes
    nonce: str
    verifier: str
    redirect_uri: str
    ends_s: float
    asker: str


class Ways:
    """All of them, by digest of the state. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._ways: OrderedDict[bytes, Way] = OrderedDict()

    def __len__(self) -> int:
        return len(self._ways)

    def put(self, state: bytes, way: Way, now_s: float) -> None:
        """Remember one more. Where there are too many, whoever has most loses the oldest: nobody pushes others out."""
        while self._ways and now_s >= next(iter(self._ways.values())).ends_s:
            self._ways.popitem(last=False)  # each lasts as long as the next: the oldest ends first
        if len(self._ways) >= WAYS_MAX:
            ((most, _),) = Counter(one.asker for one in self._ways.values()).most_common(1)
            del self._ways[next(state for state, one in self._ways.items() if one.asker == most)]
        self._ways[state] = way

    def take(self, state: bytes, now_s: float) -> Way | None:
        """Return and forget one; None where it is spent, unknown or too old."""
        way = self._ways.pop(state, None)
        return None if way is None or now_s >= way.ends_s else way
