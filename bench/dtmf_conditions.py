"""The battery's conditions: what is synthesised, what the goal is, and corners of the legal range drawn at random.

Figures: ITU-T Q.24 (AT&T's column, NTT's ±1.8 %), ETSI's twist of ±6 dB, all quoted from secondary sources.
"""

from dataclasses import dataclass, field, replace

import numpy as np

ACCEPT, LOSS, SPEECH = ">= 99.9 %", ">= 99.5 %", ">= 99 %"
REJECT, BREAK, NO_GOAL = "<= 0.1 %", "extras <= 0.1 %", ""
LIMITS = {ACCEPT: 0.999, LOSS: 0.995, SPEECH: 0.99, REJECT: 0.001, BREAK: 0.001}
CORNERS = 24
_AT_LIMIT_SHARE = 0.7  # of a corner's figures; the others lie anywhere within the limits
_TWISTS_DB = ((-8.0, 4.0), (-6.0, 6.0))  # AT&T, ETSI: column - row
_LEVEL_DBM0 = (-25.0, 0.0)
_SNR_DB = (15.0, 30.0)


@dataclass(frozen=True, slots=True)
class Condition:
    """One row: changes to the recipe, the goal, and the share of 20 ms packets lost (repeated or silence)."""

    name: str
    changes: dict[str, object] = field(default_factory=dict)
    goal: str = ACCEPT
    loss: float = 0.0
    loss_repeats: bool = False


def _frequencies() -> list[Condition]:
    rows = [
        Condition(
            f"both {sign * percent:+g} %",
            {"row_error": sign * percent / 100, "column_error": sign * percent / 100},
            goal,
        )
        for percent, goal in ((1.5, ACCEPT), (1.8, ACCEPT), (2.2, NO_GOAL), (2.5, NO_GOAL))
        for sign in (-1, 1)
    ]
    rows += [
        Condition(
            f"both {sign * 1.5:+g} % and {sign * 2:+d} Hz",
            {"row_error": sign * 0.015, "column_error": sign * 0.015, "error_hz": 2 * sign},
        )
        for sign in (-1, 1)
    ]
    rows.append(Condition("row +1.75, column +1.65 %", {"row_error": 0.0175, "column_error": 0.0165}))
    rows += [
        Condition(f"{tone} only {sign * 1.8:+g} %", {f"{tone}_error": sign * 0.018})
        for tone in ("row", "column")
        for sign in (-1, 1)
    ]
    rows += [
        Condition(
            f"both {sign * percent:+g} % (reject)",
            {"row_error": sign * percent / 100, "column_error": sign * percent / 100},
            REJECT,
        )
        for percent in (3.0, 3.5, 4.0)
        for sign in (-1, 1)
    ]
    rows += [
        Condition(f"{tone} only {sign * 3.5:+g} % (reject)", {f"{tone}_error": sign * 0.035}, REJECT)
        for tone in ("row", "column")
        for sign in (-1, 1)
    ]
    return rows


def _levels() -> list[Condition]:
    legal = {-8, -6, -4, 3.5, 4, 6}
    rows = [
        Condition(f"twist {twist:+g} dB", {"twist_db": twist}, ACCEPT if twist in legal else NO_GOAL)
        for twist in (-10, -8, -6, -4, 3.5, 4, 6, 8, 10)
    ]
    rows += [
        Condition(f"level {level} dBm0", {"level_dbm0": level}, ACCEPT if level >= -40 else NO_GOAL)
        for level in (0, -4, -20, -30, -40, -42, -44, -48)
    ]
    rows.append(Condition("level -35 dBm0, A-law", {"level_dbm0": -35, "alaw": True}))
    rows += [
        Condition(f"SNR {snr} dB", {"snr_db": snr}, ACCEPT if snr >= 15 else NO_GOAL)
        for snr in (15, 12, 10, 8, 6, 4)
    ]
    rows += [
        Condition(f"speech {below} dB under", {"speech_below_db": below}, SPEECH if below >= 10 else NO_GOAL)
        for below in (15, 12, 10, 6)
    ]
    return rows


def _times() -> list[Condition]:
    goals = {20: REJECT, 23: REJECT, 40: ACCEPT}
    rows = [
        Condition(
            f"on {on} ms{' (reject)' if goals.get(on) == REJECT else ''}",
            {"on_ms": on},
            goals.get(on, NO_GOAL),
        )
        for on in (20, 23, 25, 30, 33, 35, 40)
    ]
    rows += [
        Condition(
            f"gap {gap} ms, mixed keys",
            {"gap_ms": gap, "gap_spread_ms": 0.125},
            ACCEPT if gap >= 40 else NO_GOAL,
        )
        for gap in (10, 15, 20, 40)
    ]
    rows += [
        Condition(
            f"gap {gap} ms, same key",
            {"gap_ms": gap, "gap_spread_ms": 0.125, "same_key_twice": True},
            ACCEPT if gap >= 40 else NO_GOAL,
        )
        for gap in (20, 30, 40)
    ]
    rows += [
        Condition(
            f"100 ms cut by {cut} ms (want 1)", {"on_ms": 100, "cut_ms": cut}, BREAK if cut <= 15 else NO_GOAL
        )
        for cut in (10, 15, 20)
    ]
    return rows


def _lines() -> list[Condition]:
    rows = [
        Condition(f"dial tone at {dial:+d} dB, keys -15", {"level_dbm0": -15, "dial_tone_db": dial})
        for dial in (-15, -10, -5, 0, 5)
    ]
    rows += [
        Condition(f"echo {ms} ms {db} dB", {"echo_ms": ms, "echo_db": db}, NO_GOAL)
        for ms, db in ((20, -10), (20, -6), (30, -10), (60, -6))
    ]
    rows += [
        Condition(
            f"clip {gain:+d} dB", {"level_dbm0": -6, "clip_gain_db": gain}, ACCEPT if gain <= 6 else NO_GOAL
        )
        for gain in (6, 12, 20)
    ]
    rows += [
        Condition(
            f"{100 * loss:g} % loss, {'repeated' if repeats else 'silence'}",
            {"gap_ms": 60},
            LOSS if loss <= 0.03 else NO_GOAL,
            loss,
            repeats,
        )
        for repeats in (False, True)
        for loss in (0.01, 0.03, 0.05)
    ]
    return rows


def _wideband(rows: list[Condition]) -> list[Condition]:
    """Return some of the rows at 16 kHz; peers hear them at 8 kHz."""
    chosen = {
        "clean", "both +1.5 % and +2 Hz", "both -3.5 % (reject)", "row only -3.5 % (reject)", "twist -8 dB",
        "twist +6 dB", "SNR 15 dB", "on 23 ms (reject)", "on 40 ms", "gap 40 ms, same key",
        "100 ms cut by 10 ms (want 1)", "worst-legal A",
    }  # fmt: skip
    return [
        replace(row, name=f"16 kHz: {row.name}", changes={**row.changes, "sample_rate_hz": 16_000})
        for row in rows
        if row.name in chosen
    ]


def conditions() -> list[Condition]:
    """Return every named condition, the legal worst case A and the rows at 16 kHz last."""
    worst = {"level_dbm0": -25, "snr_db": 15, "on_ms": 40, "gap_ms": 40}
    a = Condition("worst-legal A", {"row_error": 0.015, "column_error": -0.015, "twist_db": -6, **worst})
    narrow = [Condition("clean"), *_frequencies(), *_levels(), *_times(), *_lines(), a]
    return [*narrow, *_wideband(narrow)]


def _drawn(rng: np.random.Generator, low: float, high: float) -> float:
    """Return a limit, or now and then something between the limits."""
    if rng.random() < _AT_LIMIT_SHARE:
        return float(rng.choice([low, high]))
    return float(rng.uniform(low, high))


def random_corner(rng: np.random.Generator, number: int = 1) -> Condition:
    """Return a corner of the legal range: each tone within ±(1.5 % + 2 Hz), twist, level, SNR, 40 ms on and off.

    Neither tone is over 0 dBm0. The name tells the per cent; the hertz go with them (1.5 % and 2 Hz).
    """
    errors = {tone: _drawn(rng, -1.0, 1.0) for tone in ("row", "column")}
    twist = _drawn(rng, *_TWISTS_DB[rng.integers(len(_TWISTS_DB))])
    level = min(_drawn(rng, *_LEVEL_DBM0), -abs(twist) / 2)
    snr = _SNR_DB[0] if rng.random() < _AT_LIMIT_SHARE else float(rng.uniform(*_SNR_DB))
    changes: dict[str, object] = {
        "twist_db": twist,
        "level_dbm0": level,
        "snr_db": snr,
        "on_ms": 40,
        "gap_ms": 40,
    }
    for tone, share in errors.items():
        changes[f"{tone}_error"] = 0.015 * share
        changes[f"{tone}_error_hz"] = 2.0 * share
    offsets = ", ".join(f"{tone} {1.5 * share:+.2f} %" for tone, share in errors.items())
    return Condition(
        f"corner {number}: {offsets}, twist {twist:+.1f}, {level:.1f} dBm0, SNR {snr:.0f}", changes
    )


def corners(seed: int, n: int = CORNERS) -> list[Condition]:
    """Return n random corners of `seed`."""
    rng = np.random.default_rng(seed)
    return [random_corner(rng, number) for number in range(1, n + 1)]
