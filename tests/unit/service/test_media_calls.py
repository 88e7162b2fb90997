"""The book of calls where an event of the shard was lost: no call and no recording stays open for ever."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from dtmf_shield.media.io.rings import ShardEvent
from dtmf_shield.media.masker import MODE_CAPTURE, SHIELD_STATE_DTYPE, STYLES, set_style
from dtmf_shield.media.recorder import RecordingFinished
from dtmf_shield.media.session.commands import COMMAND_PLAY, COMMAND_RECORD, COMMAND_SHIELD
from dtmf_shield.media.session.hints import HINT_NOISY_LINE, HINT_SHORT_TONES, HINT_WEAK_TONES
from dtmf_shield.media.session.legs import (
    EVENT_KEY_AFTER_MASK,
    EVENT_KEYS_WRITTEN,
    EVENT_LINE_HINT,
    LEG_DTYPE,
)
from dtmf_shield.media.session.playing import PLAY_BARGE_IN, PLAY_FIRST, PLAY_LAST
from dtmf_shield.model.capture import Hint
from dtmf_shield.model.ids import CallId, LegRole
from dtmf_shield.model.messages import (
    CallClosed,
    CloseCall,
    KeysWritten,
    LineHinted,
    OpenCall,
    PlayPrompt,
    PromptEnd,
    PromptEnded,
    RecordingClosed,
    SetShield,
    StartRecording,
)
from dtmf_shield.model.stream import MaskStyle, ShieldMode, Strictness
from dtmf_shield.service import media_calls
from dtmf_shield.service.media_calls import MediaCalls
from dtmf_shield.service.prompts.pool import PromptPool


class Shard:
    """Takes commands and tells nothing but how many events were lost."""

    n_rows = 2

    def __init__(self):
        self.posted = []
        self.commands = SimpleNamespace(post=lambda *arguments: self.posted.append(arguments))
        self.events = SimpleNamespace(read=list, lost=0)


class Writer:
    def __init__(self):
        self.stopped = []

    def start(self, *_arguments):
        pass

    def stop(self, row, generation, _dropped):
        self.stopped.append((row, generation))


def make_calls(style="noise"):
    shard, writer, told = Shard(), Writer(), []
    tables = SimpleNamespace(legs=np.zeros(4, LEG_DTYPE), shields=np.zeros(4, SHIELD_STATE_DTYPE))
    set_style(tables.shields, style)
    pool = PromptPool(np.zeros(800, np.int16), np.zeros(1_600, np.int16))
    calls = MediaCalls(
        shard, tables, writer, told.append, told.append, pool, SimpleNamespace(now_s=lambda: 7.5)
    )
    pool.add("hello", np.ones(320, np.int16), np.ones(640, np.int16))
    return shard, tables, writer, told, calls


def test_a_closed_call_whose_event_was_lost_is_noticed_and_its_recording_ended():
    shard, tables, writer, told, calls = make_calls()
    calls.control_message(OpenCall(CallId("a"), 1))
    calls.control_message(StartRecording(CallId("a"), 1, "/nowhere/a.wav"))
    calls.control_message(CloseCall(CallId("a"), 1))
    tables.legs["generation"][2:] = 1
    shard.events.lost = 1

    calls.shard_events()
    calls.shard_events()

    assert writer.stopped == [(1, 1)]
    calls.recording_finished(RecordingFinished(1, 1, str(Path("/nowhere/a.wav")), 20, 0, failed=False))
    assert [type(message) for message in told] == [RecordingClosed, CallClosed]
    assert calls._generations == {}


def test_open_calls_and_calls_not_closed_yet_are_left_alone():
    shard, tables, _writer, told, calls = make_calls()
    calls.control_message(OpenCall(CallId("a"), 0))
    calls.control_message(OpenCall(CallId("b"), 1))
    calls.control_message(CloseCall(CallId("b"), 1))
    tables.legs["active"] = 1
    tables.legs["generation"] = [1, 1, 2, 2]
    shard.events.lost = 1

    calls.shard_events()

    assert told == []
    assert len(calls._generations) == 2


def play(*pieces):
    return PlayPrompt(
        call_id=CallId("a"), row=1, role=LegRole.CALLER, play_id=4, pieces=pieces, barge_in=True
    )


def test_prompt_becomes_its_pieces_in_order():
    shard, _tables, _writer, _told, calls = make_calls()
    calls.control_message(OpenCall(CallId("a"), 1))

    calls.control_message(play("hello", "hello"))

    assert [(kind, leg, numbers) for kind, leg, _, numbers, _ in shard.posted if kind == COMMAND_PLAY] == [
        (COMMAND_PLAY, 2, (4, 0, 320, PLAY_BARGE_IN | PLAY_FIRST)),
        (COMMAND_PLAY, 2, (4, 0, 320, PLAY_BARGE_IN | PLAY_LAST)),
    ]


def test_prompt_with_a_piece_that_is_not_there_ends_at_once_and_says_why():
    shard, _tables, _writer, told, calls = make_calls()
    calls.control_message(OpenCall(CallId("a"), 1))

    calls.control_message(play("hello", "no such piece"))

    assert told == [PromptEnded(CallId("a"), LegRole.CALLER, 4, PromptEnd.MISSING)]
    assert all(kind != COMMAND_PLAY for kind, *_ in shard.posted)


def test_a_hint_of_the_shard_becomes_a_word_to_control():
    _shard, _tables, _writer, told, calls = make_calls()
    calls.control_message(OpenCall(CallId("a"), 1))

    for number in (HINT_SHORT_TONES, HINT_WEAK_TONES, HINT_NOISY_LINE):
        calls.shard_event(ShardEvent(EVENT_LINE_HINT, 1, 1, agent=False, numbers=(number, 0, 0, 0)))
    calls.shard_event(
        ShardEvent(EVENT_LINE_HINT, 1, 9, agent=False, numbers=(HINT_WEAK_TONES, 0, 0, 0))
    )  # of no call

    assert told == [
        LineHinted(CallId("a"), LegRole.CALLER, hint)
        for hint in (Hint.SHORT_TONES, Hint.WEAK_TONES, Hint.NOISY_LINE)
    ]


# --- how strictly a leg is masked ------------------------------------------------------------------------


def shielded(calls, role, **words):
    strictness = Strictness(**words)
    calls.control_message(SetShield(CallId("a"), 1, role, ShieldMode.CAPTURE, strictness))


def numbers_of(shard, kind):
    return [(leg, numbers) for posted, leg, _, numbers, _ in shard.posted if posted == kind]


@pytest.mark.parametrize(
    ("server", "asked", "holds"),
    [
        ("noise", None, "noise"),
        ("noise", MaskStyle.SILENCE, "silence"),
        ("tone", MaskStyle.NOISE, "noise"),
        ("beep", MaskStyle.SILENCE, "silence"),
        ("beep", MaskStyle.TONE, "beep"),
        ("noise", MaskStyle.TONE, "noise"),
        ("silence", MaskStyle.NOISE, "silence"),
        ("silence", MaskStyle.TONE, "silence"),
    ],
)
def test_of_the_servers_style_and_a_captures_the_one_that_tells_less_holds(server, asked, holds):
    shard, _tables, _writer, _told, calls = make_calls(server)
    calls.control_message(OpenCall(CallId("a"), 1))

    shielded(calls, LegRole.CALLER, style=asked)

    assert numbers_of(shard, COMMAND_SHIELD) == [(2, (MODE_CAPTURE, 1 + STYLES[holds], 0, 0))]


def test_each_leg_is_told_for_itself_and_the_next_word_ends_it():
    shard, _tables, _writer, _told, calls = make_calls()
    calls.control_message(OpenCall(CallId("a"), 1))

    shielded(calls, LegRole.CALLER, withheld=True)
    shielded(calls, LegRole.AGENT, unrecorded=True)
    shielded(calls, LegRole.CALLER)

    noise = 1 + STYLES["noise"]
    assert numbers_of(shard, COMMAND_SHIELD) == [
        (2, (MODE_CAPTURE, noise, 1, 0)),
        (3, (MODE_CAPTURE, noise, 0, 1)),
        (2, (MODE_CAPTURE, noise, 0, 0)),
    ]


def test_a_recording_that_begins_in_a_pause_begins_paused():
    shard, _tables, _writer, _told, calls = make_calls()
    for call, row in (("a", 1), ("b", 0)):
        calls.control_message(OpenCall(CallId(call), row))
    shielded(calls, LegRole.CALLER, unrecorded=True)
    shielded(calls, LegRole.AGENT, unrecorded=True)
    shielded(calls, LegRole.AGENT)

    for call, row in (("a", 1), ("b", 0)):
        calls.control_message(StartRecording(CallId(call), row, "/nowhere/a.wav"))

    assert numbers_of(shard, COMMAND_RECORD) == [(2, (1, 0)), (0, (0, 0))]


def test_keys_are_told_with_the_time_when_they_were_heard():
    _, _, _, told, calls = make_calls()

    calls.shard_event(ShardEvent(EVENT_KEYS_WRITTEN, 0, 0, False, (3, 9, 1, 0)))

    assert told == [KeysWritten(3, 9, 1, heard_s=7.5)]


def test_a_key_behind_the_mask_is_an_error_in_the_log_and_names_call_and_role(monkeypatch):
    _, _, _, told, calls = make_calls()
    calls.control_message(OpenCall(CallId("a"), 1))
    lines = []
    monkeypatch.setattr(
        media_calls, "_log", SimpleNamespace(error=lambda event, **fields: lines.append((event, fields)))
    )

    calls.shard_event(ShardEvent(EVENT_KEY_AFTER_MASK, 1, 1, False, (0, 0, 0, 0)))

    assert lines == [("key_after_mask", {"call_id": "a", "role": "caller"})]
    assert told == []
