"""Views of test calls: what the play phones sent and received, in counts, times and peaks. No key has a name here.

Only synthetic calls are here, placed by the play phones with published TEST cards, in demo mode.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from dtmf_shield.api.views.words import View, WholeSecond
from dtmf_shield.model.capture import FieldKind

CALLS_MAX = 8
PRESSES_MAX = 512
PEAKS_MAX = 6_000
DETECTORS_MAX = 8

TestCallId = Annotated[str, StringConstraints(pattern=r"^[a-z]{8}$")]
Count = Annotated[int, Field(ge=0, le=100_000)]
Milliseconds = Annotated[int, Field(ge=0, le=3_600_000)]
Peaks = Annotated[tuple[Annotated[int, Field(ge=-128, le=127)], ...], Field(max_length=PEAKS_MAX)]
Door = Literal["inband", "rfc4733", "info"]
Side = Literal["caller", "agent"]
Verdict = Literal["clean", "leaked", "no_keys", "one_sided", "caller_not_heard", "speech_not_heard"]


class TestCallView(View):
    """One call of the play phones."""

    __test__ = False  # no test, though it is called one

    id: TestCallId
    started_at: WholeSecond
    state: Literal["running", "judging", "ready", "failed"]
    """`judging`: the call is over, and its evidence is being made."""
    door: Door | Literal["mixed"]
    fingers: Literal["normal", "slow", "doubled", "mixed"]
    line: Literal["clean", "noisy", "lossy", "weak", "mixed"]
    duration_ms: Milliseconds
    keys_sent: Count
    keys_caller: Count | None = None
    """Keys heard where they were sent, by the service's own detector and an independent one: the control."""
    keys_agent: Count | None = None
    """Keys that came to the agent's phone in any form that any detector knows; null where its phone was not ours."""
    verdict: Verdict | None = None
    """`clean` only where every key was heard at the caller's side, the caller's speech at the agent's, and no key."""


class TestCallList(View):
    """Newest first."""

    __test__ = False

    calls: Annotated[tuple[TestCallView, ...], Field(max_length=CALLS_MAX)]


class DetectorView(View):
    """How many keys one detector hears on one side. One that is not installed is left out."""

    detector: Literal["dtmf-shield", "FFT", "spandsp", "multimon-ng"]
    keys: Count


class AttackView(View):
    """Guesses of an attacker who knows when each key was pressed."""

    guessed: Count
    of: Count
    beats_luck: bool
    """Whether the guesses are better than luck gives once in ten thousand."""


class TestCallSideView(View):
    """One phone's side on the common time axis."""

    __test__ = False

    side: Side
    keys: Annotated[tuple[DetectorView, ...], Field(max_length=DETECTORS_MAX)]
    events: Count
    """Telephone events and INFO: sent by the caller's phone, received by the agent's."""
    attack: AttackView | None = None
    """Null where there are too few tones to judge guesses by."""
    low: Peaks
    high: Peaks
    """Least and greatest sample in each `peak_ms`, of -128 to 127."""


class KeyPressView(View):
    """One press on the caller's phone: when, and for which field; never which key."""

    field: FieldKind | None
    door: Door
    start_ms: Milliseconds
    end_ms: Milliseconds
    heard_at_caller: bool
    heard_at_agent: bool


class PictureAxisView(View):
    """What the pictures show upwards: from and to, and the frequencies of a keypad's rows and columns (ITU-T Q.23)."""

    from_hz: float = 150.0
    to_hz: float = 2000.0
    rows_hz: tuple[int, int, int, int] = (697, 770, 852, 941)
    columns_hz: tuple[int, int, int, int] = (1209, 1336, 1477, 1633)


class TestCallEvidence(View):
    """What one test call proves. Both sides begin at the same moment, the agent's moved back by `lag_ms`."""

    __test__ = False

    call: TestCallView
    duration_ms: Milliseconds
    cut: bool
    """Whether the call went on after the tape was full."""
    lag_ms: Annotated[int, Field(ge=-10_000, le=10_000)]
    peak_ms: Annotated[int, Field(ge=1, le=10_000)]
    column_ms: Annotated[int, Field(ge=1, le=10_000)]
    """What a column of the pictures stands for."""
    sides: Annotated[tuple[TestCallSideView, ...], Field(min_length=1, max_length=2)]
    presses: Annotated[tuple[KeyPressView, ...], Field(max_length=PRESSES_MAX)]
    axis: PictureAxisView = PictureAxisView()
