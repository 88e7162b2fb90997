"""The evidence picture: what the caller's phone sent above what the agent's phone received, on one time axis.

Matplotlib without a display. It draws synthetic test calls only; a real caller's spectrogram would be the card number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dtmf_shield.service.witness.independent import COLUMNS_HZ, ROWS_HZ, SAMPLE_RATE_HZ
from dtmf_shield.service.witness.spectrum import (
    DB_RANGE,
    DB_TOP,
    HZ_MAX,
    HZ_MIN,
    WINDOW_SAMPLES,
    bins_hz,
    levels_db,
)

_STEP_SAMPLES: Final = 48
_FIELD_COLOURS: Final = ("#ffb454", "#5ccfe6", "#c3a6ff", "#bae67e")
_BACKGROUND: Final = "#0f1419"
_PANEL: Final = "#0b0e13"
_TEXT: Final = "#e6e1cf"
_FAINT: Final = "#8a9199"
_GOOD, _BAD = "#7fd962", "#ff6666"
_SIZE_INCHES: Final = (13.6, 8.2)
_DPI: Final = 110


@dataclass(frozen=True, slots=True)
class KeyMark:
    """One key press in the caller's recording: the field it belonged to, and its samples."""

    field: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Picture:
    """What to draw. `lag`: samples by which the agent's recording runs behind the caller's."""

    caller: NDArray[np.int16]
    agent: NDArray[np.int16]
    lag: int
    marks: Sequence[KeyMark]
    title: str
    verdict: str
    clean: bool
    caller_note: str
    agent_note: str


def draw_evidence(picture: Picture, path: Path) -> None:
    """Draw `picture` into the PNG file `path`."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=_SIZE_INCHES, dpi=_DPI, facecolor=_BACKGROUND)
    upper, lower = figure.subplots(2, 1, sharex=True, gridspec_kw={"hspace": 0.24})
    figure.subplots_adjust(left=0.07, right=0.925, top=0.815, bottom=0.07)
    _spectrogram(upper, picture.caller, 0)
    _spectrogram(lower, picture.agent, picture.lag)
    _headline(upper, "Caller's phone, sent", picture.caller_note)
    _headline(lower, "Agent's phone, received", picture.agent_note)
    _mark_keys(upper, lower, picture.marks)
    lower.set_xlabel("seconds", color=_FAINT, fontsize=9)
    end_s = min(len(picture.caller), len(picture.agent) - picture.lag) / SAMPLE_RATE_HZ
    upper.set_xlim(0, max(end_s, 1.0))
    figure.text(0.07, 0.945, picture.title, color=_TEXT, fontsize=17, fontweight="bold", va="center")
    colour = _GOOD if picture.clean else _BAD
    figure.text(0.07, 0.905, picture.verdict, color=colour, fontsize=12.5, va="center")
    _legend(figure, picture.marks)
    figure.savefig(path, facecolor=_BACKGROUND)


def _spectrogram(axes: Any, pcm: NDArray[np.int16], lag: int) -> None:
    """Draw one panel; both share their colour scale, so that levels compare."""
    axes.set_facecolor(_PANEL)
    levels, hertz = levels_db(pcm, _STEP_SAMPLES), bins_hz()
    first_s = WINDOW_SAMPLES / 2 / SAMPLE_RATE_HZ - lag / SAMPLE_RATE_HZ
    axes.imshow(
        levels,
        origin="lower",
        aspect="auto",
        cmap="magma",
        vmin=DB_TOP - DB_RANGE,
        vmax=DB_TOP,
        interpolation="bilinear",
        extent=(
            first_s,
            first_s + (levels.shape[1] - 1) * _STEP_SAMPLES / SAMPLE_RATE_HZ,
            hertz[0],
            hertz[-1],
        ),
    )
    for tone_hz in (*ROWS_HZ, *COLUMNS_HZ[:3]):
        axes.axhline(tone_hz, color=_TEXT, alpha=0.13, linewidth=0.7)
    axes.set_ylim(HZ_MIN, HZ_MAX)
    axes.set_yticks([500, 1000, 1500, 2000])
    axes.set_ylabel("Hz", color=_FAINT, fontsize=9)
    axes.tick_params(colors=_FAINT, labelsize=8.5, length=3)
    tones = axes.secondary_yaxis("right")
    tones.set_yticks([*ROWS_HZ, *COLUMNS_HZ[:3]])
    tones.set_yticklabels([f"{tone:.0f} Hz" for tone in (*ROWS_HZ, *COLUMNS_HZ[:3])])
    tones.tick_params(colors=_FAINT, labelsize=7.5, length=3)
    for spine in (*axes.spines.values(), *tones.spines.values()):
        spine.set_color("#2a313a")


def _headline(axes: Any, who: str, note: str) -> None:
    axes.text(
        0.0, 1.085, who, transform=axes.transAxes, color=_TEXT, fontsize=11.5, fontweight="bold", va="center"
    )
    axes.text(1.0, 1.085, note, transform=axes.transAxes, color=_FAINT, fontsize=10, ha="right", va="center")


def _mark_keys(upper: Any, lower: Any, marks: Sequence[KeyMark]) -> None:
    """Put a tick above the caller's panel for each press, and a faint band over the same moment on the agent's."""
    colours = _colours(marks)
    for mark in marks:
        start, end = mark.start / SAMPLE_RATE_HZ, mark.end / SAMPLE_RATE_HZ
        upper.plot(
            [(start + end) / 2],
            [1.025],
            marker="v",
            markersize=5.5,
            color=colours[mark.field],
            transform=upper.get_xaxis_transform(),
            clip_on=False,
        )
        lower.axvspan(start, end, ymin=0.965, ymax=1.0, color=colours[mark.field], alpha=0.85, linewidth=0)


def _colours(marks: Sequence[KeyMark]) -> dict[str, str]:
    names = list(dict.fromkeys(mark.field for mark in marks))
    return {name: _FIELD_COLOURS[index % len(_FIELD_COLOURS)] for index, name in enumerate(names)}


def _legend(figure: Any, marks: Sequence[KeyMark]) -> None:
    """Name the fields by colour, at the top right."""
    right = 0.925
    for row, (field, colour) in enumerate(_colours(marks).items()):
        count = sum(mark.field == field for mark in marks)
        figure.text(
            right,
            0.962 - 0.027 * row,
            f"▼ {field}: {count} keys",
            color=colour,
            fontsize=9.5,
            ha="right",
            va="center",
        )
