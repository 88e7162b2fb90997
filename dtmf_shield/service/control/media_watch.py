"""Asks media, again and again while it is there, how its threads and calls' lines do; keeps what is shown of that.

A reader of events is told of a call's line only where a figure has changed noticeably, and once a round at most.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Protocol

from dtmf_shield.api.views import LineView
from dtmf_shield.base.log import get_logger
from dtmf_shield.call.events import CallPhase, CallSnapshot
from dtmf_shield.model.ids import CallId
from dtmf_shield.model.media_health import MediaHealth
from dtmf_shield.model.messages import CallStatistics
from dtmf_shield.model.stream import LegStatistics
from dtmf_shield.service.control.line_figures import (
    NO_FIGURES,
    LegFigures,
    is_noticeable,
    leg_figures,
    leg_view,
)

ROUND_INTERVAL_S: Final = 5.0
CALLS_ASKED_MAX: Final = 200
"""A round. Of more calls each has its turn: 500 take three rounds, and their last seconds are then fifteen."""

_log = get_logger("media")


class AskedMedia(Protocol):
    """Media, as far as it is asked here."""

    @property
    def connected(self) -> bool:
        """Whether it is there."""
        ...

    def ask_health(self) -> None:
        """Ask how the packet threads do."""
        ...

    def ask_statistics(self, call_id: CallId, row: int) -> None:
        """Ask for the counters of a call's legs."""
        ...


@dataclass(slots=True)
class _Watched:
    """One call: the round it was asked in last, media's last answer, and what is shown of it."""

    asked: int = 0
    last: tuple[LegStatistics, LegStatistics] = (LegStatistics(), LegStatistics())
    shown: tuple[LegFigures, LegFigures] = (NO_FIGURES, NO_FIGURES)
    info: tuple[bool, bool] = (False, False)


class MediaWatch:
    """Watches media for the desk and the node. ``changed`` is told a call whose line is to be shown anew."""

    def __init__(
        self,
        media: AskedMedia,
        calls: Callable[[], Iterable[CallSnapshot]],
        changed: Callable[[CallId], None],
        health: Callable[[MediaHealth | None], int],
        leaked: Callable[[int], None],
    ) -> None:
        """``health`` takes each answer, None where media is away, and returns the keys heard behind the mask in all;
        ``leaked`` is told that number where it has grown.
        """
        self._media, self._calls, self._changed = media, calls, changed
        self._health, self._leaked = health, leaked
        self._watched: dict[CallId, _Watched] = {}
        self._round = 0
        self._keys_after_mask = 0

    async def run(self) -> None:
        """Ask for ever."""
        while True:
            self.ask()
            await asyncio.sleep(ROUND_INTERVAL_S)

    def ask(self) -> None:
        """Ask one round; tell of INFO that has brought keys since the last one."""
        self._round += 1
        calls = {call.call_id: call for call in self._calls() if call.phase is not CallPhase.RINGING}
        self._watched = {call_id: self._watched.get(call_id, _Watched()) for call_id in calls}
        for call_id, watched in self._watched.items():
            call = calls[call_id]
            info = (call.line_caller.info, call.line_agent.info)
            if watched.info != info:
                watched.info = info
                self._changed(call_id)
        if not self._media.connected:
            return
        self._media.ask_health()
        for call_id in sorted(self._watched, key=lambda one: self._watched[one].asked)[:CALLS_ASKED_MAX]:
            self._watched[call_id].asked = self._round
            self._media.ask_statistics(call_id, calls[call_id].row)

    def statistics_told(self, answer: CallStatistics) -> None:
        """Take what media counted in a call; a late answer of a call that is over is nothing any more."""
        watched = self._watched.get(answer.call_id)
        if watched is None:
            return
        legs = (answer.caller, answer.agent)
        now = tuple(map(leg_figures, watched.last, legs))
        watched.last = legs
        if any(map(is_noticeable, watched.shown, now)):
            watched.shown = (now[0], now[1])
            self._changed(answer.call_id)

    def health_told(self, answer: MediaHealth) -> None:
        """Take how the threads do. A key behind the mask is an error, told once for each time that there are more."""
        heard = self._health(answer)
        if heard > self._keys_after_mask:
            _log.error(
                "keys_after_mask",
                count=heard,
                new=heard - self._keys_after_mask,
                next="stop taking card details; docs/operating/running.md",
            )
            self._leaked(heard)
        self._keys_after_mask = heard

    def media_lost(self) -> None:
        """Media is away, and its counters with it: nothing is known of any line until it answers again."""
        self._watched.clear()
        self._health(None)

    def line(self, call: CallSnapshot) -> LineView | None:
        """Return what is shown of a call's line; None before its caller's codec is agreed on."""
        watched = self._watched.get(call.call_id)
        shown = watched.shown if watched is not None else (NO_FIGURES, NO_FIGURES)
        caller = leg_view(call.line_caller, shown[0])
        return None if caller is None else LineView(caller=caller, agent=leg_view(call.line_agent, shown[1]))
