"""Draw the pictures of docs/reference/detector.md: ``python -m bench.draw_detector``. Seeded, no recording behind them.

Scores, verdicts and phases are those of the detector's twin in NumPy (`tests/unit/media/slow_detector.py`), what is
replaced is the masker's own work. Speech is `tests/vectors/speech_like.py`: sound with the build of speech.
"""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

from dtmf_shield.media.dsp import key_run, registration, screen, suspicion
from dtmf_shield.media.dsp.levels import mean_square
from dtmf_shield.media.dsp.suspicion_weights import CAPTURE_SCORE_MIN
from dtmf_shield.media.dsp.tables import (
    HOP_SAMPLES,
    RING_SAMPLES,
    SAMPLE_RATE_HZ,
    STEP_SAMPLES,
    TONE_HZ,
    WINDOW_SAMPLES,
)
from dtmf_shield.media.masker import HOLD_BACK_SAMPLES, MODE_CAPTURE, SHIELD_STATE_DTYPE
from tests.unit.media.slow_detector import Fits, halves_of, step_windows
from tests.vectors.dtmf_signal import P0, Recipe, tone_pair
from tests.vectors.masked_leg import HEARD_DTYPE, run_leg
from tests.vectors.speech_like import speech_like

mpl.use("Agg")
from matplotlib import pyplot as plt

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "reference" / "detector"
GREY, BLUE, ORANGE, GREEN, RED = "#7a8794", "#1f6f9f", "#e07b1a", "#3c8d5a", "#b5362f"
PACKET_SAMPLES = 160
SAMPLES_A_MS = SAMPLE_RATE_HZ // 1000
Samples = NDArray[np.float64]


def to_pcm(samples: Samples) -> NDArray[np.int16]:
    """Round to 16 bits."""
    return np.clip(np.round(samples), -32768, 32767).astype(np.int16)


def noise_under(level_dbm0: float, snr_db: float, n: int, rng: np.random.Generator) -> Samples:
    """Return white noise `snr_db` under a pair of tones of that level each."""
    return rng.standard_normal(n) * np.sqrt(2.0 * mean_square(level_dbm0 - snr_db))


def keep(figure: Any, name: str) -> None:
    """Write the figure to FOLDER."""
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8)
    FOLDER.mkdir(parents=True, exist_ok=True)
    figure.savefig(FOLDER / name, metadata={"Software": None})
    plt.close(figure)


# --- a key in speech ---------------------------------------------------------------------------------------------

KEY_FROM_MS, KEY_TO_MS, SHOWN_MS = 163, 233, 480
SPEECH_SEED = 49


def caller_audio() -> NDArray[np.int16]:
    """Return speech with a key of 70 ms at -10 dBm0 in it."""
    x = speech_like(SHOWN_MS * SAMPLES_A_MS, SPEECH_SEED)
    begin, end = KEY_FROM_MS * SAMPLES_A_MS, KEY_TO_MS * SAMPLES_A_MS
    x[begin:end] += tone_pair("5", end - begin, Recipe(), np.random.default_rng(3))
    return to_pcm(x)


def masked(pcm: NDArray[np.int16]) -> tuple[NDArray[np.int16], NDArray[np.bool_], int]:
    """Return what leaves in a capture, which of it was replaced, and after how many samples a key registered."""
    n_packets = len(pcm) // PACKET_SAMPLES
    out, replaced, heard = np.zeros_like(pcm), np.zeros(len(pcm), np.uint8), np.zeros(4, HEARD_DTYPE)
    run_leg(
        np.zeros(1, SHIELD_STATE_DTYPE), pcm, np.zeros(n_packets, np.bool_), np.zeros(n_packets, np.int64),
        PACKET_SAMPLES, False, MODE_CAPTURE, out, replaced, heard,
    )  # fmt: skip
    return out, replaced != 0, int(heard[0]["registered"])


def draw_key_in_speech() -> None:
    """Show what is heard, what leaves, and what the two tests say over time."""
    pcm = caller_audio()
    out, replaced, registered = masked(pcm)
    figure, (caller, agent, scores, verdicts) = plt.subplots(
        4, 1, figsize=(9, 7), dpi=100, sharex=True, height_ratios=(3, 3, 3, 1.3), layout="constrained"
    )
    ms = np.arange(len(pcm)) / SAMPLES_A_MS
    caller.plot(ms, pcm / 1000, color=GREY, linewidth=0.6)
    left = ms - HOLD_BACK_SAMPLES / SAMPLES_A_MS
    agent.plot(left, np.where(replaced, np.nan, out / 1000), color=GREY, linewidth=0.6)
    agent.plot(left, np.where(replaced, out / 1000, np.nan), color=ORANGE, linewidth=1.2, label="replaced")
    for axes, title in ((caller, "caller says"), (agent, "agent hears (drawn 5 ms early)")):
        axes.set(ylim=(-20, 20), ylabel="sample / 1000")
        axes.set_title(title, loc="left", fontsize=9)
    agent.legend(loc="upper right", fontsize=8, frameon=False)
    _draw_scores(scores, pcm)
    _draw_verdicts(verdicts, pcm)
    heard_ms = registered / SAMPLES_A_MS
    verdicts.axvline(heard_ms, color=BLUE, linewidth=1)
    verdicts.annotate(
        f"key registered, {heard_ms - KEY_FROM_MS:.0f} ms after its onset, with the packet that ends here",
        (heard_ms, 1.3),
        (KEY_TO_MS + 12, 1.3),
        fontsize=8,
        color=BLUE,
        va="center",
        arrowprops={"arrowstyle": "-", "color": BLUE, "linewidth": 0.8},
    )
    for axes in figure.axes:
        axes.axvspan(KEY_FROM_MS, KEY_TO_MS, color=BLUE, alpha=0.10, linewidth=0)
    caller.text((KEY_FROM_MS + KEY_TO_MS) / 2, 17, "key, 70 ms", ha="center", fontsize=8, color=BLUE)
    verdicts.set(xlabel="time, ms", xlim=(0, SHOWN_MS - HOLD_BACK_SAMPLES / SAMPLES_A_MS))
    keep(figure, "key_in_speech.png")


def _draw_scores(axes: Any, pcm: NDArray[np.int16]) -> None:
    fits = Fits(pcm)
    ms = np.arange(1, len(fits.energy) + 1) * HOP_SAMPLES / SAMPLES_A_MS
    suspect = fits.suspect(True)
    gated = (fits.explained > suspicion.EXPLAINED_MIN * fits.energy) & (
        np.minimum(fits.row_energy, fits.column_energy) > suspicion.TONE_SHARE_MIN * fits.energy
    )
    low, shown = -42.0, np.maximum(fits.score, -40.0)
    axes.plot(
        ms[~gated], np.full(np.count_nonzero(~gated), low), "|", color=GREY, markersize=5, label="not scored"
    )
    axes.plot(ms[gated & ~suspect], shown[gated & ~suspect], ".", color=GREY, markersize=5, label="scored")
    axes.plot(ms[suspect], shown[suspect], ".", color=ORANGE, markersize=6, label="suspect")
    axes.axhline(CAPTURE_SCORE_MIN, color=RED, linewidth=0.8, linestyle="--")
    axes.set(ylabel="log odds", ylim=(-46, max(14.0, float(shown.max()) + 3)))
    axes.set_title(
        "suspicion: score of the last 5 ms, every 1.25 ms (dashed: limit in a capture)",
        loc="left",
        fontsize=9,
    )
    axes.legend(loc="upper right", fontsize=8, frameon=False, ncols=3)


def _draw_verdicts(axes: Any, pcm: NDArray[np.int16]) -> None:
    found = step_windows(pcm)
    verdicts = np.array([window.judge(0) for window in found])
    pure = np.array([window.is_pure for window in found]) & (verdicts > 0)
    ms = np.arange(1, len(found) + 1) * STEP_SAMPLES / SAMPLES_A_MS
    for which, height, colour in (
        (pure, 2, GREEN),
        ((verdicts > 0) & ~pure, 1, ORANGE),
        (verdicts == 0, 0, GREY),
    ):
        axes.plot(ms[which], np.full(np.count_nonzero(which), height), "|", color=colour, markersize=6)
    axes.set(ylim=(-0.7, 2.7), yticks=(0, 1, 2), yticklabels=("no key", "impure", "pure"))
    axes.set_title("registration: verdict on the last 15 ms, every 2.5 ms", loc="left", fontsize=9)


# --- the phase slope ---------------------------------------------------------------------------------------------


def turns_of(tone: int, error: float, rng: np.random.Generator) -> Samples:
    """Return the turns in degrees between the halves of windows of a key at SNR 15 dB, its tones off by `error`."""
    key = "123A456B789C*0#D"[4 * tone if tone < 4 else tone - 4]
    recipe = Recipe(row_error=error, column_error=error)
    n = 30 * RING_SAMPLES
    pcm = to_pcm(tone_pair(key, n, recipe, rng) + noise_under(recipe.level_dbm0, 15.0, n, rng))
    halves = halves_of(pcm)[RING_SAMPLES // STEP_SAMPLES :: RING_SAMPLES // STEP_SAMPLES, :, tone]
    return np.asarray(np.degrees(np.angle(halves[:, 1] * np.conj(halves[:, 0]))))


def draw_phase_slope() -> None:
    """Show the turn between two halves of 7.5 ms against the frequency error, for a row and a column tone."""
    rng = np.random.default_rng(7)
    figure, both = plt.subplots(1, 2, figsize=(9, 4.2), dpi=100, layout="constrained")
    errors = np.arange(-0.05, 0.0501, 0.0025)
    for axes, tone, name in ((both[0], 1, "row tone"), (both[1], 6, "column tone")):
        hz = float(TONE_HZ[tone])
        a_hz = np.degrees(2.0 * np.pi * registration.HALF_S)
        for error in errors:
            turns = turns_of(tone, float(error), rng)
            near = turns + 360.0 * np.round((error * hz * a_hz - turns) / 360.0)
            axes.plot(np.full(len(near), 100 * error), near, ".", color=GREY, markersize=2.5, alpha=0.6)
        axes.plot(100 * errors, errors * hz * a_hz, color=BLUE, linewidth=1, label="without noise")
        limit = a_hz * (registration.FREQUENCY_SHARE_MAX * hz + registration.FREQUENCY_HZ_MAX)
        axes.axhspan(-limit, limit, color=GREEN, alpha=0.12, linewidth=0, label="accepted, a window")
        run = a_hz * (key_run.RUN_FREQUENCY_SHARE_MAX * hz + key_run.RUN_FREQUENCY_HZ_MAX)
        for side in (-run, run):
            axes.axhline(
                side, color=GREEN, linewidth=1, linestyle="--", label="mean of a run" if side > 0 else None
            )
        legal = 1.5 + 100 * 2.0 / hz
        for side in (-1, 1):
            axes.axvline(
                side * legal,
                color=BLUE,
                linewidth=0.8,
                linestyle=":",
                label="must accept: 1.5 % + 2 Hz" if side > 0 else None,
            )
            axes.axvline(
                side * 3.5,
                color=RED,
                linewidth=0.8,
                linestyle=":",
                label="must reject: 3.5 %" if side > 0 else None,
            )
        axes.set(xlabel="frequency error, %", ylabel="turn from half to half, degrees", xlim=(-5.2, 5.2))
        axes.set_title(f"{name}, {hz:.0f} Hz (dots: windows at SNR 15 dB)", loc="left", fontsize=9)
    figure.legend(
        *both[0].get_legend_handles_labels(), fontsize=8, frameon=False, loc="outside lower center", ncols=5
    )
    keep(figure, "phase_slope.png")


# --- the screen --------------------------------------------------------------------------------------------------


def draw_screen() -> None:
    """Show the lag-1 correlation of all pairs over twist, and that of 5 ms windows of speech-like sound."""
    figure, (pairs, speech) = plt.subplots(
        2, 1, figsize=(9, 5.2), dpi=100, sharex=True, height_ratios=(3, 2), layout="constrained"
    )
    cosines = np.cos(2.0 * np.pi * TONE_HZ / SAMPLE_RATE_HZ)
    twist_db = np.linspace(
        -registration.TWIST_ROW_OVER_COLUMN_DB_MAX, registration.TWIST_COLUMN_OVER_ROW_DB_MAX, 100
    )
    share = 1.0 / (1.0 + 10.0 ** (twist_db / 10.0))
    for row, colour in enumerate(("#0b3c5d", BLUE, "#5aa6cf", "#a9cfe3")):
        for column in range(4, 8):
            label = f"row {TONE_HZ[row]:.0f} Hz" if column == 4 else None
            pairs.plot(
                share * cosines[row] + (1 - share) * cosines[column], twist_db, color=colour, label=label
            )
    pairs.set(ylabel="twist, dB (column over row)")
    pairs.set_title("sixteen keys, each from twist -12 to +9 dB", loc="left", fontsize=9)
    for column in range(4, 8):
        at = share[-1] * cosines[:4].mean() + (1 - share[-1]) * cosines[column]
        pairs.text(at, twist_db[-1] + 0.6, f"{TONE_HZ[column]:.0f}", ha="center", fontsize=8)
    pairs.text(0.27, twist_db[-1] + 0.6, "column, Hz:", ha="right", fontsize=8)
    pairs.set(ylim=(-13, 11.5))
    pairs.legend(fontsize=8, frameon=False, loc="upper left")
    fits = Fits(to_pcm(speech_like(60 * SAMPLE_RATE_HZ, seed=11)))
    active = fits.energy > WINDOW_SAMPLES * mean_square(suspicion.CAPTURE_LEVEL_DBM0_MIN)
    correlation = fits.lag[active] / fits.energy[active]
    speech.hist(
        correlation,
        bins=np.linspace(-1, 1.0, 81),
        weights=np.full(len(correlation), 100 / len(correlation)),
        color=GREY,
    )
    passed = np.mean((correlation > screen.CORRELATION_MIN) & (correlation < screen.CORRELATION_MAX))
    speech.set(xlabel="lag-1 correlation of 5 ms", ylabel="% of windows", xlim=(-0.8, 1.02))
    speech.set_title(f"speech-like sound: {100 * passed:.0f} % of its windows pass", loc="left", fontsize=9)
    for axes in (pairs, speech):
        axes.axvspan(
            screen.CORRELATION_MIN, screen.CORRELATION_MAX, color=GREEN, alpha=0.10, linewidth=0, zorder=0
        )
        for limit in (screen.CORRELATION_MIN, screen.CORRELATION_MAX):
            axes.axvline(limit, color=GREEN, linewidth=1, linestyle="--")
    keep(figure, "screen.png")


# --- a break of 20 ms --------------------------------------------------------------------------------------------

FIRST_MS, BREAK_MS, SECOND_MS = 70, 20, 70


def broken_key(new_press: bool) -> NDArray[np.int16]:
    """Return a key 1 % sharp with a break of 20 ms; new_press: tones begin afresh after it."""
    rng = np.random.default_rng(21)
    recipe = Recipe(row_error=0.01, column_error=0.01)
    n = (FIRST_MS + BREAK_MS + SECOND_MS) * SAMPLES_A_MS
    x = tone_pair("6", n, recipe, rng)
    begin, end = FIRST_MS * SAMPLES_A_MS, (FIRST_MS + BREAK_MS) * SAMPLES_A_MS
    if new_press:
        x[end:] = tone_pair("6", n - end, recipe, rng)
    x[begin:end] = 0.0
    return to_pcm(x + noise_under(recipe.level_dbm0, 25.0, n, rng))


def phase_errors(pcm: NDArray[np.int16], tone: int) -> tuple[Samples, Samples]:
    """Return end times in ms of valid windows and their phase less the one foreseen before the break, radians."""
    valid = np.flatnonzero([window.judge(0) > 0 for window in step_windows(pcm)])
    halves = halves_of(pcm)[:, :, tone]
    ends = (np.arange(len(halves)) + 1) * STEP_SAMPLES
    before = valid[ends[valid] < (FIRST_MS + BREAK_MS) * SAMPLES_A_MS]
    turn = np.angle(np.sum(halves[before, 1] * np.conj(halves[before, 0]))) / (RING_SAMPLES // 2)
    elapsed = ends - ends[before[-1]]
    advance = (2.0 * np.pi * TONE_HZ[tone] / SAMPLE_RATE_HZ + turn) * elapsed
    whole = halves.sum(axis=1)
    error = np.angle(whole * np.conj(whole[before[-1]]) * np.exp(-1j * advance))
    return ends[valid] / SAMPLES_A_MS, np.asarray(error[valid])


def draw_break() -> None:
    """Show two breaks of 20 ms: one inside a press, one between two presses."""
    figure, grid = plt.subplots(
        2, 2, figsize=(9, 4.8), dpi=100, sharex=True, sharey="row", height_ratios=(1, 2), layout="constrained"
    )
    for column, title in (
        (0, "one press, cut for 20 ms: one key"),
        (1, "let go and pressed again after 20 ms: two keys"),
    ):
        wave, phase = grid[:, column]
        pcm = broken_key(new_press=column == 1)
        wave.plot(np.arange(len(pcm)) / SAMPLES_A_MS, pcm / P0, color=GREY, linewidth=0.6)
        wave.set_title(title, loc="left", fontsize=9)
        for tone, name, colour in ((1, "row tone", BLUE), (6, "column tone", ORANGE)):
            ms, error = phase_errors(pcm, tone)
            phase.plot(ms, error, "o", color=colour, markersize=3.5, label=name)
        limit = key_run.RESUME_PHASE_MAX
        phase.axhspan(-limit, limit, color=GREEN, alpha=0.12, linewidth=0, label="the same press")
        for axes in (wave, phase):
            axes.axvspan(FIRST_MS, FIRST_MS + BREAK_MS, color=GREY, alpha=0.15, linewidth=0)
        phase.set(xlabel="time, ms (a dot: the 15 ms that end there)", ylim=(-np.pi, np.pi))
    grid[0, 0].set(ylabel="amplitude")
    grid[1, 0].set(ylabel="phase less the one\nforeseen, radians")
    grid[1, 0].legend(fontsize=8, frameon=False, loc="upper left")
    keep(figure, "break.png")


def main() -> None:
    """Draw all four."""
    for draw in (draw_phase_slope, draw_screen, draw_break, draw_key_in_speech):
        draw()


if __name__ == "__main__":
    main()
