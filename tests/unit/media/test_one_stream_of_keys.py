"""One stream of keys from three doors: what was pressed is what is told, in order, each press once (DTMF rules 5.4).

Seeded scripts through the session's own kernels and cde's joiner. A failure names door and seed:
``pytest "tests/unit/media/test_one_stream_of_keys.py::test_...[seed]"`` repeats it.
"""

from dataclasses import replace

import numpy as np
import pytest

from dtmf_shield.media.masker import MODE_CAPTURE, MODE_GUARD
from tests.unit.media.call_on_tables import Call, assert_unbroken, decoded, talk
from tests.unit.media.keystrokes import (
    FRAME,
    LOUD,
    Line,
    Outcome,
    Press,
    Trunk,
    info_arrivals,
    joined,
    make_script,
    play,
    raw_audio,
)

SEEDS = range(40)
TONE_MS_MIN = 50
"""The detector's own limit of 40 ms is the battery's; here each tone is comfortable."""


def random_trunk(rng: np.random.Generator, base: Trunk) -> Trunk:
    """Draw how a trunk treats its event packets."""
    moving, end_step = bool(rng.random() < 0.25), int(rng.choice([0, 0, 1, 80, 160]))
    # RFC 4733's redundancy is its timestamp: without it a lone packet of a press cannot be told from a repeat.
    loss_max = 0.05 if moving or end_step else 0.2
    return replace(
        base,
        audio_beside=base.tones or bool(rng.random() < 0.5),
        detection_ms=0 if moving else int(rng.choice([0, 20, 40])),
        update_ms=int(rng.choice([20, 50])),
        moving=moving,
        end_step=end_step,
        end_marker=bool(rng.random() < 0.3),
        marker=bool(rng.random() < 0.7),
        loss=float(rng.choice([0.0, 0.05, loss_max])),
        reorder=float(rng.choice([0.0, 0.2])),
        jitter_ms=int(rng.choice([0, 5, 30])),
    )


def run(presses: list[Press], trunk: Trunk, rng: np.random.Generator, mode: int = MODE_CAPTURE) -> Outcome:
    return play(Call(mode=mode), Line(presses, trunk, rng))


def pressed(presses: list[Press]) -> str:
    return "".join(press.key for press in presses)


@pytest.mark.parametrize("seed", SEEDS)
def test_tones_alone(seed):
    rng = np.random.default_rng([seed, 1])
    presses = make_script(rng, 5, TONE_MS_MIN)

    outcome = run(presses, Trunk(tones=True), rng)

    assert outcome.keys == pressed(presses), f"seed {seed}"
    assert outcome.loud_samples == 0, f"seed {seed}"


@pytest.mark.parametrize("seed", SEEDS)
def test_events_alone(seed):
    rng = np.random.default_rng([seed, 2])
    trunk = random_trunk(rng, Trunk(events=True))
    presses = make_script(rng, 6, 40, breaks=not trunk.moving)

    outcome = run(presses, trunk, rng)

    assert outcome.keys == pressed(presses), f"seed {seed}: {trunk}"
    assert outcome.loud_samples == 0, f"seed {seed}"
    assert {packet.n for packet in outcome.sent} == {FRAME}
    assert_unbroken(outcome.sent)


@pytest.mark.parametrize("seed", SEEDS)
def test_tones_and_events_of_the_same_presses(seed):
    rng = np.random.default_rng([seed, 3])
    base = Trunk(tones=True, events=True, offset_ms=int(rng.integers(-80, 81)))
    trunk = random_trunk(rng, base)
    presses = make_script(rng, 5, TONE_MS_MIN, breaks=not trunk.moving)

    outcome = run(presses, trunk, rng)

    assert outcome.keys == pressed(presses), f"seed {seed}: {trunk}"
    assert outcome.loud_samples == 0, f"seed {seed}"
    assert_unbroken(outcome.sent)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("at_release", [False, True])
def test_info_beside_the_other_doors(seed, at_release):
    rng = np.random.default_rng([seed, 4, at_release])
    presses = make_script(rng, 5, TONE_MS_MIN)
    doors = {"tones": bool(rng.random() < 0.6)}
    doors["events"] = not doors["tones"] or bool(rng.random() < 0.3)
    trunk = Trunk(
        info=True, info_late_s=float(rng.choice([0.0, 0.3, 2.0])), info_at_release=at_release, **doors
    )

    outcome = run(presses, trunk, rng)

    assert joined(outcome, info_arrivals(presses, trunk, rng)) == pressed(presses), f"seed {seed}: {trunk}"


@pytest.mark.parametrize("seed", SEEDS)
def test_info_alone(seed):
    rng = np.random.default_rng([seed, 5])
    presses = make_script(rng, 12, 40)

    infos = info_arrivals(presses, Trunk(info=True, info_late_s=2.0), rng)

    assert joined(Outcome("", [], []), infos) == pressed(presses), f"seed {seed}"


def test_the_measure_hears_a_tone_that_leaks():
    """The control: of the same audio unmasked nine samples in ten are loud, and of speech that passes most."""
    presses = make_script(np.random.default_rng(1), 5, TONE_MS_MIN, breaks=False)
    raw = raw_audio(presses, Trunk(tones=True)).astype(int)
    sounding = 8 * sum(press.held_ms for press in presses)

    assert np.sum(np.abs(raw) > LOUD) > 0.8 * sounding
    passed = Outcome("", [], Call(mode=MODE_GUARD).caller.say(talk(8000)))
    assert passed.loud_samples > 0.7 * 8000


# --- long presses --------------------------------------------------------------------------------------------

LONG = [Press("7", 400, 4000), Press("7", 4460, 100), Press("2", 4700, 4000)]
LONG_TRUNKS = {
    "tones": Trunk(tones=True),
    "events": Trunk(events=True, audio_beside=False),
    "slow_events": Trunk(events=True, audio_beside=False, update_ms=50),
    "events_beside_silence": Trunk(events=True),
    "moving_events": Trunk(events=True, audio_beside=False, moving=True),
    "start_and_end": Trunk(events=True, update_ms=3000),
    "tones_and_events": Trunk(tones=True, events=True, offset_ms=-40, detection_ms=40),
    "tones_and_start_and_end": Trunk(tones=True, events=True, update_ms=3000),
}


@pytest.mark.parametrize("mode", [MODE_CAPTURE, MODE_GUARD])
@pytest.mark.parametrize("name", LONG_TRUNKS)
def test_a_key_held_for_four_seconds_is_one_key_and_masked_to_its_end(name, mode):
    outcome = run(LONG, LONG_TRUNKS[name], np.random.default_rng(1), mode)

    assert outcome.keys == pressed(LONG)
    assert outcome.loud_samples == 0
    assert_unbroken(outcome.sent)
    n_frames = (LONG[-1].end_ms + 600) // 20
    assert n_frames - 2 <= len(outcome.sent) <= n_frames


@pytest.mark.parametrize("at_release", [False, True])
def test_a_key_held_for_four_seconds_is_one_key_by_info_too(at_release):
    rng = np.random.default_rng(1)
    trunk = Trunk(tones=True, info=True, info_at_release=at_release, info_late_s=1.5)

    outcome = run(LONG, trunk, rng)

    assert joined(outcome, info_arrivals(LONG, trunk, rng)) == pressed(LONG)


def test_masked_events_sound_like_noise_and_not_like_nothing():
    outcome = run(LONG, LONG_TRUNKS["events"], np.random.default_rng(1))

    heard = decoded(outcome.sent)[8 * 500 : 8 * 4300].astype(int)
    quietest = min(np.abs(heard[at : at + 80]).max() for at in range(0, len(heard) - 80, 80))
    assert quietest > 20
