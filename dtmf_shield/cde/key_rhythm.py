"""How keys arrive, judged without naming one: presses that come twice, bounces, and pauses near the patience.

The code of the last key lies in the slot and is only compared with the next one. What is kept beside it are times and
counts. A press that arrives as two is told from honest keys by its rhythm: presses of a hand are 200 ms apart and more
(a tone and a pause of a DTMF receiver alone are 80 ms by ITU-T Q.24; a finger must also come up and go down again),
their doubles follow within DOUBLE_GAP_S (the detector tells two tones of 40 ms with pauses of 20 to 50 ms as keys 60 to
100 ms apart, of 80 ms as 120: measured). A line that stalls delivers honest keys at once too, but rarely just two and
rarely equal ones, so a doubled press is a run of exactly two equal digits, and such runs must be most of what comes.
"""

from __future__ import annotations

from typing import Final

from dtmf_shield.cde.patience import DIGITS

DOUBLE_GAP_S: Final = 0.15
"""The double of a press comes before this. Media tells keys every 20 ms: honest ones seem 180 ms apart at least."""
DOUBLED_MIN: Final = 3
"""So many doubled presses of one field are no chance."""
SLOW_SHARE: Final = 0.75
"""A pause that used up so much of the patience was near its end."""
SLOW_PAUSES_MIN: Final = 2
"""Once is somebody who looks at his card."""
CELLS: Final = 1
_NO_CODE: Final = 0
_LONG_AGO: Final = float("-inf")


class KeyRhythm:
    """The rhythm of one capture. ``cells``: its byte of the slot."""

    __slots__ = ("_cells", "_doubled", "_equal", "_last_s", "_others", "_run", "_slow")

    def __init__(self, cells: memoryview) -> None:
        self._cells = cells
        self.begin()
        self.break_off()

    def begin(self) -> None:
        """Another field: what was counted counts no more. The last key stays, its bounce may be on the way."""
        self._doubled = self._others = self._slow = self._run = 0
        self._equal = True

    def break_off(self) -> None:
        """Forget the last key."""
        self._cells[0] = _NO_CODE
        self._last_s = _LONG_AGO
        self._run = 0

    def wipe(self) -> None:
        """Zero the last key's code. A key of any code that follows at once is still taken for its double."""
        self._cells[0] = _NO_CODE

    def counts(self, code: int, now_s: float, debounce_s: float) -> bool:
        """Take a key. False where it is the key before once more within ``debounce_s``: a bounce."""
        gap_s, equal = now_s - self._last_s, self._cells[0] in (code, _NO_CODE)
        self._cells[0], self._last_s = code, now_s
        self._follow(code, gap_s, equal)
        return not (equal and gap_s < debounce_s)

    def _follow(self, code: int, gap_s: float, equal: bool) -> None:
        if gap_s < DOUBLE_GAP_S and self._run:
            self._run += 1
            self._equal = self._equal and equal
            return
        if self._run == 2 and self._equal:
            self._doubled += 1
        elif self._run:
            self._others += 1
        # Star and hash are pressed twice on purpose.
        self._run, self._equal = int(code in DIGITS), True

    def paused(self, share_waited: float) -> None:
        """Take the pause before a digit, as a share of the patience."""
        self._slow += share_waited >= SLOW_SHARE

    @property
    def doubled(self) -> bool:
        """Whether presses arrive as two."""
        return self._doubled >= DOUBLED_MIN and self._doubled >= self._others

    @property
    def slow(self) -> bool:
        """Whether pauses come near the patience again and again."""
        return self._slow >= SLOW_PAUSES_MIN

    def __repr__(self) -> str:
        return f"<KeyRhythm: {self._doubled} doubled, {self._slow} slow>"
