"""Figures of a line: what was lost lately and in all, how good that is, and when a change is worth telling."""

import dataclasses

import pytest

from dtmf_shield.api.views import Door, LineQuality
from dtmf_shield.call.events import LegLine
from dtmf_shield.model.stream import Codec, LegStatistics
from dtmf_shield.service.control.line_figures import (
    JITTER_FAIR_MS,
    JITTER_POOR_MS,
    LOSS_FAIR_PERMILLE,
    LOSS_POOR_PERMILLE,
    NO_FIGURES,
    RECENT_PACKETS_MIN,
    LegFigures,
    is_noticeable,
    leg_figures,
    leg_view,
)

NOTHING = LegStatistics()


def test_recent_loss_is_of_what_came_between_two_answers_and_that_of_the_call_of_all():
    before = LegStatistics(received=1_000, lost=0)
    now = LegStatistics(received=1_225, lost=25)

    figures = leg_figures(before, now)

    assert (figures.recent_loss_permille, figures.loss_permille) == (100, 20)


def test_a_packet_that_came_too_late_is_as_lost_as_one_that_never_came():
    figures = leg_figures(NOTHING, LegStatistics(received=900, lost=100, late=50))

    assert (figures.loss_permille, figures.late) == (150, 50)


def test_packets_that_come_after_all_make_no_negative_loss():
    before = LegStatistics(received=1_000, lost=10)
    now = LegStatistics(received=1_100, lost=0)

    assert leg_figures(before, now).recent_loss_permille == 0


def test_of_less_than_a_second_of_audio_nothing_is_said():
    before = LegStatistics(received=1_000, lost=100)
    still = LegStatistics(received=1_000 + RECENT_PACKETS_MIN - 1, lost=100, jitter_us=90_000)

    figures = leg_figures(before, still)

    assert (figures.recent_loss_permille, figures.jitter_ms, figures.quality) == (None, None, None)
    assert figures.loss_permille == 87


@pytest.mark.parametrize(
    ("lost_permille", "jitter_ms", "quality"),
    [
        (0, 0, LineQuality.GOOD),
        (LOSS_FAIR_PERMILLE - 1, JITTER_FAIR_MS - 1, LineQuality.GOOD),
        (LOSS_FAIR_PERMILLE, 0, LineQuality.FAIR),
        (0, JITTER_FAIR_MS, LineQuality.FAIR),
        (LOSS_POOR_PERMILLE - 1, JITTER_POOR_MS - 1, LineQuality.FAIR),
        (LOSS_POOR_PERMILLE, 0, LineQuality.POOR),
        (0, JITTER_POOR_MS, LineQuality.POOR),
    ],
)
def test_quality_is_the_worse_of_loss_and_jitter(lost_permille, jitter_ms, quality):
    now = LegStatistics(received=1_000 - lost_permille, lost=lost_permille, jitter_us=1_000 * jitter_ms)

    assert leg_figures(NOTHING, now).quality is quality


SHOWN = LegFigures(
    quality=LineQuality.GOOD, recent_loss_permille=2, loss_permille=2, jitter_ms=5, late=1, events=True
)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, False),
        ({"recent_loss_permille": 6}, False),
        ({"recent_loss_permille": 7}, True),
        ({"loss_permille": 7}, True),
        ({"jitter_ms": 9}, False),
        ({"jitter_ms": 10}, True),
        ({"late": 25}, False),
        ({"late": 26}, True),
        ({"recent_loss_permille": None}, True),
        ({"quality": LineQuality.FAIR}, True),
        ({"tones": True}, True),
    ],
)
def test_small_changes_are_not_told(change, told):
    import msgspec

    assert is_noticeable(SHOWN, msgspec.structs.replace(SHOWN, **change)) is told


def test_how_many_keys_came_changes_nothing_that_is_shown():
    """The count of keys is not for the page: a second key by the same door makes no other view."""
    views = {
        str(leg_view(LegLine(Codec.PCMU, True), leg_figures(NOTHING, LegStatistics(keys_tones=keys))))
        for keys in (1, 2, 16)
    }

    assert len(views) == 1
    assert "tones" in views.pop()


def test_each_door_is_told_by_its_word():
    agreed = LegLine(Codec.G722, telephone_event=True, info=True)
    figures = leg_figures(NOTHING, LegStatistics(keys_tones=1, keys_events=2))

    view = leg_view(agreed, figures)

    assert view is not None
    assert (view.codec, view.telephone_event) == (Codec.G722, True)
    assert view.doors == (Door.TONES, Door.EVENTS, Door.INFO)
    assert leg_view(LegLine(Codec.PCMU), NO_FIGURES).doors == ()
    assert leg_view(dataclasses.replace(agreed, codec=None), figures) is None
