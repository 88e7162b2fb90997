"""From verdicts to keys, the obvious way: `media/dsp/key_run.py` as plain Python, to be read as its specification."""

from dataclasses import dataclass, field

import numpy as np

from dtmf_shield.media.dsp import key_run, press_quality
from dtmf_shield.media.dsp.levels import mean_square
from dtmf_shield.media.dsp.registration import HALF_S
from dtmf_shield.media.dsp.tables import (
    HOP_SAMPLES,
    KEY_CODES,
    RING_SAMPLES,
    SAMPLE_RATE_HZ,
    STEP_SAMPLES,
    TONE_HZ,
    WINDOW_HOPS,
    WINDOW_SAMPLES,
)
from tests.unit.media.slow_detector import Fits, Window, decibels, step_windows


def tones_of(key):
    """Return row and column tone of 1 + a key's index."""
    return (key - 1) // 4, 4 + (key - 1) % 4


def tone_samples(streak_hops):
    """Return how much tone that many 5 ms windows in a row have seen."""
    return WINDOW_SAMPLES + HOP_SAMPLES * (streak_hops - 1) if streak_hops > 0 else 0


@dataclass
class Heard:
    key: str
    onset: int
    registered: int  # the end of the step that made it a key


@dataclass
class Run:
    """Windows in a row of one key, with few misses between them."""

    key: int
    start: int  # end of the first pure window
    impure_start: int  # end of the first window of either kind
    lost: int = 0  # samples lost at its beginning
    before: int = 0  # samples of tone before that loss
    last: int = 0
    impure_last: int = 0
    pure: int = 0
    windows: int = 0
    misses: int = 0
    resumes: bool = False  # is this the held key going on, or pressed again?
    turns: np.ndarray = field(default_factory=lambda: np.zeros(2, complex))  # of row and column
    powers: list[tuple[float, float]] = field(default_factory=list)

    def pure_samples(self):
        return RING_SAMPLES + STEP_SAMPLES * (self.pure - 1) if self.pure else 0

    def is_heard(self, after):
        """At the edge of a gap a key needs less, for what was lost may have been tone."""
        return self.lost > 0 and self.before + after >= key_run.LOSSY_TONE_SAMPLES_MIN

    def onset(self):
        onset = self.start if self.pure >= key_run.RUN_STEPS_MIN else self.impure_start
        if self.before > 0:
            onset -= self.lost + self.before
        return max(0, onset - key_run.ONSET_BEFORE_FIRST_SAMPLES)

    def is_long(self):
        pure = self.last - self.start >= key_run.SPAN_SAMPLES_MIN and self.pure >= key_run.RUN_STEPS_MIN
        under_speech = (
            self.impure_last - self.impure_start >= key_run.IMPURE_SPAN_SAMPLES_MIN
            and self.windows >= key_run.IMPURE_WINDOWS_MIN
            and self.pure >= 1
            and all(np.abs(self.turns) > key_run.COHERENCE_MIN * self.windows)
        )
        return pure or under_speech or self.is_heard(self.pure_samples())

    def errors_hz(self):
        return np.angle(self.turns) / (2.0 * np.pi * HALF_S)

    def is_key(self, window):
        """Tell whether the run that `window` is the last of is a key."""
        tones = list(tones_of(self.key))
        limits_hz = key_run.RUN_FREQUENCY_SHARE_MAX * TONE_HZ[tones] + key_run.RUN_FREQUENCY_HZ_MAX
        row_hz, column_hz = TONE_HZ[tones] + self.errors_hz()
        return (
            self.is_long()
            and all(np.abs(self.errors_hz()) < limits_hz)
            and all(
                max(of) <= decibels(key_run.SWELL_DB_MAX) * min(of) for of in zip(*self.powers, strict=True)
            )
            and abs(column_hz - 2.0 * row_hz) >= key_run.OCTAVE_HZ_MAX
            and not has_overtone(window, column_hz)
        )


def has_overtone(window, column_hz):
    turns = np.exp(2j * np.pi * 2.0 * column_hz * np.arange(RING_SAMPLES) / SAMPLE_RATE_HZ)
    return abs(window.samples @ turns) ** 2 > decibels(key_run.OVERTONE_DB_MAX) * window.column_power


@dataclass
class Hold:
    """A key that was registered and has not ended."""

    key: int
    turns: np.ndarray
    last_hit: int = 0
    misses: int = 0
    phases: np.ndarray = field(default_factory=lambda: np.zeros(2, complex))
    power: float = 0.0
    onset: int = 0
    signs: frozenset[str] = frozenset()

    def hit(self, window, position):
        self.phases = window.halves.sum(axis=0)[list(tones_of(self.key))]
        self.power = window.row_power + window.column_power
        self.last_hit, self.misses = position, 0

    def goes_on(self, window, position):
        """Tell whether the same tones after a break are this press: an echo, or in the phase foreseen."""
        if window.row_power + window.column_power < key_run.RESUME_POWER_SHARE_MIN * self.power:
            return True
        tones = list(tones_of(self.key))
        elapsed = position - self.last_hit
        hz = TONE_HZ[tones] + np.angle(self.turns) / (2.0 * np.pi * HALF_S)
        foreseen = self.phases * np.exp(2j * np.pi * hz * elapsed / SAMPLE_RATE_HZ)
        errors = np.angle(window.halves.sum(axis=0)[tones] * np.conj(foreseen))
        return bool(np.all(np.abs(errors) < key_run.RESUME_PHASE_MAX))


def signs_of(run, window):
    """Return by which limits of level and noise the key falls that the run becomes in `window`."""
    tones = np.sinc(run.errors_hz() * HALF_S) ** 2  # what a tone off its frequency shows of its power
    power = window.row_power / tones[0] + window.column_power / tones[1]
    signal = 2.0 * power / (RING_SAMPLES * float(np.sum(window.samples**2)))
    snr = signal / max(1e-9, 1.0 - signal)
    level = np.sqrt(window.row_power * window.column_power) / (0.5 * RING_SAMPLES**2)
    signs = {"weak"} if level < mean_square(press_quality.WEAK_TONE_DBM0_MAX) else set()
    return frozenset(signs | ({"noisy"} if snr < decibels(press_quality.KEY_SNR_DB_MIN) else set()))


def unit_turns(window, key):
    turns = np.array([window.turn(tone) for tone in tones_of(key)])
    return turns / np.maximum(np.abs(turns), 1e-9)


@dataclass
class SlowKeys:
    """Takes one 15 ms window a step; `heard` and `ends` are what it has found."""

    heard: list[Heard] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    presses: list[frozenset[str]] = field(
        default_factory=list
    )  # of each press that has ended, what was wrong
    near: int = 0  # windows judged too close to a limit
    run: Run | None = None
    held: Hold | None = None

    def take(self, window: Window, position: int, gap: "Gap | None") -> None:
        """Judge the 15 ms that end at `position`; gap: what was lost right before them."""
        key = self.run.key if self.run else self.held.key if self.held else 0
        verdict = window.judge(key)
        self.near += window.near
        if verdict == 0 and key == 0:
            return
        if self._is_steady() and verdict == self.held.key and position % (2 * STEP_SAMPLES):
            return  # a held key is looked at every 5 ms
        if gap and self.run:
            self._cross(gap, window, verdict, position)
        self._count_run(window, verdict, position, gap)
        if self.held:
            self._count_held(window, verdict, position)
        run = self.run
        new = run and not (self.held and run.key == self.held.key)
        if new and verdict == run.key and run.is_key(window):
            self._register(window, position)

    def _is_steady(self):
        held, run = self.held, self.run
        return held and run and run.key == held.key and held.misses == 0 and run.misses == 0

    def _cross(self, gap, window, verdict, position):
        """Carry a run that sounded into the gap over it."""
        run = self.run
        if run.impure_last != gap.begin or gap.samples > key_run.LOST_SAMPLES_MAX:
            return
        run.before += max(run.pure_samples(), tone_samples(gap.streak_before))
        run.lost += gap.samples
        run.pure = 0
        if verdict != run.key or not window.is_pure:
            is_held = self.held and self.held.key == run.key
            if not is_held and run.is_heard(tone_samples(gap.streak_after)):
                self._register(window, position)
            self.run = None

    def _count_run(self, window, verdict, position, gap):
        if verdict <= 0:
            if self.run and verdict != -self.run.key:
                self.run.misses += 1
                if self.run.misses > key_run.RUN_MISSES_MAX:
                    self._give_up()
                    self.run = None
            return
        if not self.run or verdict != self.run.key:
            self.run = Run(verdict, position, position)
            if gap and gap.samples <= key_run.LOST_SAMPLES_MAX:
                self.run.lost, self.run.before = gap.samples, tone_samples(gap.streak_before)
        run = self.run
        run.windows, run.misses, run.impure_last = run.windows + 1, 0, position
        is_held = bool(self.held) and self.held.key == verdict
        if window.is_pure:
            if run.pure == 0 and run.before == 0:
                run.start = position
                run.resumes = is_held and position - self.held.last_hit >= key_run.RESUME_SAMPLES
            run.pure, run.last = run.pure + 1, position
            run.powers = run.powers if run.pure > 1 else []
            run.powers.append((window.row_power, window.column_power))
        if not is_held or run.resumes:
            run.turns = run.turns + unit_turns(window, verdict)

    def _count_held(self, window, verdict, position):
        held, run = self.held, self.run
        under_sound = verdict == -held.key or (verdict == held.key and not window.is_pure)
        if run and run.resumes:
            if run.pure >= key_run.RESUME_STEPS or run.windows > 2 * key_run.RESUME_STEPS:
                run.resumes = False
                if held.goes_on(window, position):
                    held.hit(window, position)
                else:
                    self._end()
        elif verdict == held.key and not under_sound:
            held.turns = held.turns + unit_turns(window, verdict)
            held.hit(window, position)
        elif under_sound:
            if position - held.last_hit < key_run.RESUME_SAMPLES:
                held.misses = 0
        else:
            held.misses += 1
            if held.misses >= key_run.STEPS_TO_END:
                self._end()

    def _register(self, window, position):
        if self.held:
            self._end()
        run = self.run
        self.held = Hold(run.key, run.turns, onset=run.onset(), signs=signs_of(run, window))
        self.held.hit(window, run.impure_last)
        run.resumes = False
        self.heard.append(Heard(chr(KEY_CODES[run.key - 1]), run.onset(), position))

    def _end(self):
        self.ends.append(self.held.last_hit - key_run.END_BEFORE_LAST_SAMPLES)
        length_ms = 1000.0 * (self.ends[-1] - self.held.onset) / SAMPLE_RATE_HZ
        signs = self.held.signs
        if length_ms <= press_quality.SHORT_TONE_MS_MAX and "noisy" not in signs:
            signs |= {"short"}
        self.presses.append(signs)
        self.held = None

    def _give_up(self):
        """Count a run that stopped before it was long enough, unless it is of the key that is held."""
        run = self.run
        too_short = run.last - run.start < key_run.SPAN_SAMPLES_MIN
        is_held = self.held and self.held.key == run.key
        if too_short and not is_held and run.lost == 0 and run.pure >= press_quality.FRAGMENT_WINDOWS_MIN:
            self.presses.append(frozenset({"short"}))


@dataclass
class Gap:
    """Samples that were not received, and how many 5 ms windows in a row held tone at either edge."""

    begin: int
    samples: int
    streak_before: int
    streak_after: int


def listen_slowly(pcm, lost=None, packet_samples=160, capture=False) -> SlowKeys:
    """Hear the keys of `pcm`, of which the packets whose place is True in `lost` were not received."""
    keys, slow_steps, fits = SlowKeys(), step_windows(pcm), Fits(pcm)
    tones = fits.looks_like_tones(capture)
    received = np.ones(len(pcm), bool)
    if lost is not None:
        received = ~np.repeat(lost, packet_samples)[: len(pcm)]
    known, gap_from, gap = 0, 0, None
    for step, window in enumerate(slow_steps):
        position = STEP_SAMPLES * (step + 1)
        if not received[position - 1]:
            gap_from, known = (position - STEP_SAMPLES, 0) if known else (gap_from, 0)
            gap = Gap(gap_from, position - gap_from, streak(tones, received, gap_from, -1, capture), 0)
            continue
        known += STEP_SAMPLES
        if known < RING_SAMPLES:
            continue
        if gap and known == RING_SAMPLES:
            gap.streak_after = streak(tones, received, position - RING_SAMPLES, 1, capture)
            keys.take(window, position, gap)
        else:
            keys.take(window, position, None)
    return keys


def streak(tones, received, edge, direction, capture):
    """Return for how many hops in a row the 5 ms windows before or after `edge` look like tones."""
    stride = 1 if capture else 2
    hop = edge // HOP_SAMPLES + (WINDOW_HOPS - 1 if direction > 0 else -1)
    count = 0
    while 0 <= hop < len(tones) and tones[hop]:
        begin, end = HOP_SAMPLES * (hop + 1 - WINDOW_HOPS), HOP_SAMPLES * (hop + 1)
        if begin < 0 or not received[begin:end].all() or (direction > 0 and end - edge > RING_SAMPLES):
            break
        count, hop = count + stride, hop + direction * stride
    return count
