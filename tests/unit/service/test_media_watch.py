"""Control asks media about its threads and about calls: in turn, bounded, and told on only where it matters."""

import asyncio

import pytest
from structlog.testing import capture_logs

from dtmf_shield.api.views import Door, LineQuality
from dtmf_shield.call.events import CallPhase, CallSnapshot, LegLine
from dtmf_shield.model.ids import CallId
from dtmf_shield.model.media_health import MediaHealth
from dtmf_shield.model.messages import CallStatistics
from dtmf_shield.model.stream import Codec, LegStatistics, ShieldMode
from dtmf_shield.service.control import media_watch
from dtmf_shield.service.control.media_watch import CALLS_ASKED_MAX, MediaWatch

CALL = CallId("c1")


def a_call(call_id=CALL, row=0, phase=CallPhase.TALKING, info=False):
    line = LegLine(Codec.PCMU, telephone_event=True, info=info)
    return CallSnapshot(
        CallId(call_id), row, "t", "desk", "1", "••12", phase, 0.0, ShieldMode.GUARD, ShieldMode.GUARD,
        line_caller=line, line_agent=LegLine(Codec.PCMA),
    )  # fmt: skip


class House:
    """A watch, media that writes down what it is asked, and everybody who is told."""

    def __init__(self, *calls):
        self.connected, self.asked, self.health_asked = True, [], 0
        self.calls, self.changed, self.leaked, self.healths = list(calls), [], [], []
        self.watch = MediaWatch(
            self, lambda: self.calls, self.changed.append, self._health, self.leaked.append
        )

    def _health(self, health):
        self.healths.append(health)
        return health.keys_after_mask if health else 0

    def ask_health(self):
        self.health_asked += 1

    def ask_statistics(self, call_id, row):
        self.asked.append((call_id, row))

    def tell(self, caller=None, agent=None, call_id=CALL):
        legs = (LegStatistics(**(caller or {})), LegStatistics(**(agent or {})))
        self.watch.statistics_told(CallStatistics(call_id, *legs))

    @property
    def line(self):
        return self.watch.line(self.calls[0])


def watched(*calls):
    house = House(*(calls or (a_call(),)))
    house.watch.ask()
    return house


def test_each_round_asks_for_the_threads_and_for_every_call_with_media():
    house = watched(a_call(row=7), a_call("c2", 3, CallPhase.HELD), a_call("c3", 4, CallPhase.RINGING))

    assert (house.health_asked, house.asked) == (1, [("c1", 7), ("c2", 3)])


def test_media_that_is_away_is_not_asked():
    house = House(a_call())
    house.connected = False

    house.watch.ask()

    assert (house.health_asked, house.asked) == (0, [])


def test_of_many_calls_each_has_its_turn_and_a_round_has_an_end():
    many = 2 * CALLS_ASKED_MAX + CALLS_ASKED_MAX // 2
    house = House(*(a_call(f"c{number}", number) for number in range(many)))

    rounds = []
    for _ in range(3):
        house.watch.ask()
        rounds.append([call_id for call_id, _row in house.asked])
        house.asked.clear()

    assert [len(asked) for asked in rounds] == [CALLS_ASKED_MAX] * 3
    assert {call_id for asked in rounds for call_id in asked} == {call.call_id for call in house.calls}


def test_rounds_go_on_until_they_are_cancelled(monkeypatch):
    monkeypatch.setattr(media_watch, "ROUND_INTERVAL_S", 0.001)
    house = House()

    async def some_rounds():
        task = asyncio.create_task(house.watch.run())
        while house.health_asked < 3:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(asyncio.wait_for(some_rounds(), 5))


def test_a_line_is_known_by_its_codec_before_anything_was_measured():
    line = watched().line

    assert (line.caller.codec, line.caller.telephone_event, line.agent.codec) == ("PCMU", True, "PCMA")
    assert (line.caller.quality, line.caller.loss_permille, line.caller.doors) == (None, None, ())


def test_a_call_without_a_codec_has_no_line():
    house = House(a_call())
    snapshot = CallSnapshot(
        CALL, 0, "t", "", "1", "••12", CallPhase.RINGING, 0.0, ShieldMode.MUTE, ShieldMode.MUTE
    )

    assert house.watch.line(snapshot) is None


def test_the_difference_of_two_answers_is_the_line_of_the_last_seconds():
    house = watched()
    house.tell({"received": 1_000, "jitter_us": 3_000}, {"received": 1_000})
    good = house.line
    house.tell({"received": 1_240, "lost": 10, "jitter_us": 22_000, "keys_events": 5}, {"received": 1_250})

    caller = house.line.caller
    assert (good.caller.quality, good.caller.recent_loss_permille) == (LineQuality.GOOD, 0)
    assert (caller.quality, caller.recent_loss_permille, caller.loss_permille) == (LineQuality.POOR, 40, 8)
    assert (caller.jitter_ms, caller.doors) == (22, (Door.EVENTS,))
    assert house.line.agent.quality is LineQuality.GOOD


def test_readers_are_told_once_for_each_noticeable_change_and_of_no_other():
    house = watched()
    packets = 0
    for _ in range(50):
        packets += 250
        house.tell({"received": packets, "jitter_us": 3_000 + packets % 7}, {"received": packets})

    assert house.changed == [CALL]
    house.tell({"received": packets + 200, "lost": 50}, {"received": packets + 250})
    assert house.changed == [CALL, CALL]


def test_keys_by_info_are_a_door_that_the_next_round_tells():
    house = watched()
    house.calls = [a_call(info=True)]

    house.watch.ask()
    house.watch.ask()

    assert house.changed == [CALL]
    assert house.line.caller.doors == (Door.INFO,)


def test_an_answer_about_a_call_that_is_over_is_nothing():
    house = watched()
    house.calls = []
    house.watch.ask()

    house.tell({"received": 900, "lost": 100})

    assert house.changed == []
    assert house.watch._watched == {}


def test_media_that_starts_anew_counts_anew():
    house = watched()
    house.tell({"received": 900, "lost": 100, "keys_tones": 1})

    house.watch.media_lost()
    lost = house.line
    house.watch.ask()
    house.tell({"received": 250})

    assert (lost.caller.quality, lost.caller.doors) == (None, ())
    assert house.line.caller.recent_loss_permille == 0
    assert house.healths == [None]


def test_keys_behind_the_mask_are_an_error_told_once_for_each_change():
    house = House()
    with capture_logs() as logged:
        for heard in (0, 2, 2, 2, 3):
            house.watch.health_told(MediaHealth(keys_after_mask=heard))

    assert [(line["log_level"], line["event"], line["count"], line["new"]) for line in logged] == [
        ("error", "keys_after_mask", 2, 2),
        ("error", "keys_after_mask", 3, 1),
    ]
    assert house.leaked == [2, 3]
