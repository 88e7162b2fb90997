"""What the tape of a test call proves: keys heard on either side, by detectors that share nothing, and an attacker.

The caller's side is the control. "Clean" is said only where every key was heard there, the caller's speech was heard at
the agent's phone, and nothing of any key was. Keys are counted and timed, never named.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dtmf_shield.phone.door import Door
from dtmf_shield.phone.tones import SAMPLE_RATE_HZ
from dtmf_shield.service.file_analysis import key_spans
from dtmf_shield.service.play.png import COLOURS, png_of
from dtmf_shield.service.play.tape import CallTape, Press
from dtmf_shield.service.witness.attacker import AttackResult, attack, lag_between
from dtmf_shield.service.witness.independent import WITNESSES, HeardKey, fft_keys
from dtmf_shield.service.witness.spectrum import DB_RANGE, DB_TOP, WINDOW_SAMPLES, levels_db

OWN: Final = "dtmf-shield"
FFT: Final = "FFT"
COLUMN_SAMPLES: Final = 80
"""10 ms; on a long tape a column is several of them, by the loudest."""
COLUMNS_MAX: Final = 12_000
PEAKS_MAX: Final = 6_000
NEAR_SAMPLES: Final = 320
"""40 ms to each side of a press a key is still that press."""
SPEECH_S_MAX: Final = 120
"""So much of the beginning tells by how much the agent's side runs behind."""
_SPEECH_SAMPLES: Final = SPEECH_S_MAX * SAMPLE_RATE_HZ
COMMON_SPEECH_MIN: Final = 0.1
ATTACKED_MAX: Final = 64
"""Presses that the attacker tries: two to three whole cards in a call."""
BEHIND_SAMPLES_MAX: Final = SAMPLE_RATE_HZ

Pcm = NDArray[np.int16]
Span = tuple[int, int]


class Verdict(enum.StrEnum):
    """What may be said of the call, the worst first."""

    LEAKED = "leaked"
    NO_KEYS = "no_keys"
    ONE_SIDED = "one_sided"
    """No phone of ours answered for an agent."""
    CALLER_NOT_HEARD = "caller_not_heard"
    """Not every key was heard where it was sent: silence elsewhere proves nothing."""
    SPEECH_NOT_HEARD = "speech_not_heard"
    """The caller's speech did not come to the agent's phone: that no key did proves nothing."""
    CLEAN = "clean"


@dataclass(frozen=True, slots=True)
class SideEvidence:
    """One side. ``keys``: by detector. ``low``, ``high``: peaks of the audio, -128 to 127, one a column."""

    keys: dict[str, int]
    events: int
    """Telephone events and INFO: sent by the caller's phone, or received by the agent's."""
    attack: AttackResult | None
    low: list[int]
    high: list[int]
    picture: bytes


@dataclass(frozen=True, slots=True)
class HeardPress:
    """One press, in ms, and whether it was heard on either side."""

    press: Press
    start_ms: int
    end_ms: int
    at_caller: bool
    at_agent: bool


@dataclass(frozen=True, slots=True)
class Evidence:
    """The whole of it. ``agent`` is None where no phone of ours answered; ``lag_ms``: its side ran so much behind."""

    verdict: Verdict
    keys_sent: int
    keys_caller: int
    keys_agent: int
    duration_ms: int
    cut: bool
    lag_ms: int
    peak_ms: int
    column_ms: int
    caller: SideEvidence
    agent: SideEvidence | None
    presses: list[HeardPress] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Listened:
    """What the detectors make of one side: stretches of two of them, counts of all that are installed."""

    own: list[Span]
    fft: list[HeardKey]
    counts: dict[str, int]

    @property
    def independent(self) -> list[Span]:
        """Where the FFT, which shares nothing with ours, hears keys."""
        return [(key.start, key.end) for key in self.fft]

    def confirms(self, tones: int) -> bool:
        """Whether another independent detector, which tells no places, hears as many keys as there were tones."""
        return any(count >= tones for name, count in self.counts.items() if name not in (OWN, FFT))


def evidence_of(tape: CallTape, events_at_agent: int, keys_at_agent: int) -> Evidence:
    """Judge a call. Takes seconds of computing: call it in a thread, when nothing is added to the tape any more.

    ``keys_at_agent``: heard live at the agent's phone, whatever of the call is on the tape.
    """
    caller = tape.caller.pcm
    sent = _listen(caller)
    tones = sum(press.door is Door.INBAND for press in tape.presses)
    truths = sent.fft[:ATTACKED_MAX] if tones else []
    lag, speech = lag_between(caller[:_SPEECH_SAMPLES], tape.agent.pcm[:_SPEECH_SAMPLES], truths)
    lag = lag if speech >= COMMON_SPEECH_MIN and abs(lag) <= BEHIND_SAMPLES_MAX else 0
    agent = _moved(tape.agent.pcm, lag)
    came = _listen(agent)
    presses = [_heard(press, tones, sent, came) for press in tape.presses]
    size = max(len(caller), len(agent), 1)
    tried = attack(caller, truths, 0) if truths else None
    # Where even the sent audio beats luck by too little, there are too few keys to judge by.
    tried = tried if tried is not None and tried.beats_luck else None
    shown = _side(caller, size, sent, len(tape.presses) - tones, tried)
    shown_agent = None
    if tape.agent.samples:
        guessed = attack(agent, truths, 0) if tried is not None else None
        shown_agent = _side(agent, size, came, events_at_agent, guessed)
    keys_caller = sum(one.at_caller for one in presses)
    keys_agent = max(keys_at_agent, events_at_agent, *came.counts.values())
    return Evidence(
        verdict=_verdict(tape, shown_agent, keys_caller, keys_agent, speech, len(agent)),
        keys_sent=tape.keys_sent,
        keys_caller=keys_caller,
        keys_agent=keys_agent,
        duration_ms=_ms(size),
        cut=tape.caller.cut or tape.agent.cut,
        lag_ms=_ms(lag),
        peak_ms=_ms(_peak_samples(size)),
        column_ms=_ms(_column_samples(size)),
        caller=shown,
        agent=shown_agent,
        presses=presses,
    )


def _listen(pcm: Pcm) -> _Listened:
    own, fft = key_spans(pcm), fft_keys(pcm)
    counts = {OWN: len(own), FFT: len(fft)}
    for name, witness in WITNESSES.items():
        heard = witness(pcm) if name not in counts else None
        if heard is not None:
            counts[name] = len(heard)
    return _Listened(own, fft, counts)


def _verdict(
    tape: CallTape, agent: SideEvidence | None, keys_caller: int, keys_agent: int, speech: float, heard: int
) -> Verdict:
    if keys_agent or (agent is not None and agent.attack is not None and agent.attack.beats_luck):
        return Verdict.LEAKED
    if not tape.keys_sent:
        return Verdict.NO_KEYS
    if agent is None:
        return Verdict.ONE_SIDED
    if keys_caller < tape.keys_sent:
        return Verdict.CALLER_NOT_HEARD
    if speech < COMMON_SPEECH_MIN or heard < tape.presses[-1].end:
        return Verdict.SPEECH_NOT_HEARD
    return Verdict.CLEAN


def _heard(press: Press, tones: int, caller: _Listened, agent: _Listened) -> HeardPress:
    """A tone counts at the caller's side where our detector and an independent one hear it, at the agent's where any.

    ``tones``: presses of the call that sound. The FFT tells 40 ms taps that follow each other closely from one another
    less well than the other two do.
    """
    told = press.door is not Door.INBAND
    agreed = caller.confirms(tones) or _within(press, caller.independent)
    return HeardPress(
        press,
        _ms(press.start),
        _ms(press.end),
        at_caller=told or (agreed and _within(press, caller.own)),
        at_agent=_within(press, agent.own) or _within(press, agent.independent),
    )


def _within(press: Press, spans: Sequence[Span]) -> bool:
    return any(start < press.end + NEAR_SAMPLES and end > press.start - NEAR_SAMPLES for start, end in spans)


def _moved(pcm: Pcm, lag: int) -> Pcm:
    """Return ``pcm`` earlier by ``lag`` samples, so that both sides share the caller's time."""
    return pcm[lag:] if lag >= 0 else np.pad(pcm, (-lag, 0))


def _side(pcm: Pcm, size: int, heard: _Listened, events: int, tried: AttackResult | None) -> SideEvidence:
    """Draw one side on an axis of ``size`` samples."""
    low, high = _peaks(pcm, size, _peak_samples(size))
    picture = _picture(pcm, size, _column_samples(size))
    return SideEvidence(heard.counts, events, tried, low, high, picture)


def _column_samples(size: int) -> int:
    return COLUMN_SAMPLES * -(-size // (COLUMN_SAMPLES * COLUMNS_MAX))


def _peak_samples(size: int) -> int:
    return COLUMN_SAMPLES * -(-size // (COLUMN_SAMPLES * PEAKS_MAX))


def _peaks(pcm: Pcm, size: int, step: int) -> tuple[list[int], list[int]]:
    columns = np.pad(pcm, (0, -(-size // step) * step - len(pcm))).reshape(-1, step) >> 8
    return columns.min(axis=1).tolist(), columns.max(axis=1).tolist()


def _picture(pcm: Pcm, size: int, step: int) -> bytes:
    """Return the spectrum as PNG: high frequencies above, one column each ``step`` samples."""
    before = (WINDOW_SAMPLES - COLUMN_SAMPLES) // 2
    columns = -(-size // step)
    after = columns * step - len(pcm) + WINDOW_SAMPLES - COLUMN_SAMPLES - before
    levels = levels_db(np.pad(pcm, (before, after)), COLUMN_SAMPLES)
    loudest = levels.reshape(levels.shape[0], columns, step // COLUMN_SAMPLES).max(axis=2)
    shares = (loudest - (DB_TOP - DB_RANGE)) / DB_RANGE
    return png_of(np.clip(shares * COLOURS, 0, COLOURS - 1).astype(np.uint8)[::-1])


def _ms(samples: int) -> int:
    return round(samples * 1000 / SAMPLE_RATE_HZ)
