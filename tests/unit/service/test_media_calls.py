"""The book of calls where an event of the shard was lost: no call and no recording stays open for ever."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np

from dtmf_shield.media.recorder import RecordingFinished
from dtmf_shield.media.session.legs import LEG_DTYPE
from dtmf_shield.model.ids import CallId
from dtmf_shield.model.messages import CallClosed, CloseCall, OpenCall, RecordingClosed, StartRecording
from dtmf_shield.service.media_calls import MediaCalls


class Shard:
    """Takes commands and tells nothing but how many events were lost."""

    n_rows = 2

    def __init__(self):
        self.commands = SimpleNamespace(post=lambda *_arguments: None)
        self.events = SimpleNamespace(read=list, lost=0)


class Writer:
    def __init__(self):
        self.stopped = []

    def start(self, *_arguments):
        pass

    def stop(self, row, generation, _dropped):
        self.stopped.append((row, generation))


def make_calls():
    shard, writer, told = Shard(), Writer(), []
    tables = SimpleNamespace(legs=np.zeros(4, LEG_DTYPE))
    return shard, tables, writer, told, MediaCalls(shard, tables, writer, told.append, told.append)


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
