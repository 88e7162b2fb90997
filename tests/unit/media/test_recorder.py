"""Recordings: two sides in their places, complete files only under their own name, a slow disk counted."""

import numba
import numpy as np
import pytest
import soundfile

from dtmf_shield.media.frames import CallerFrame, MaskedFrame
from dtmf_shield.media.recorder import (
    SETTLE_SAMPLES,
    WINDOW_SAMPLES,
    RecordingWriter,
    WavRecording,
    make_tap_ring,
    tap_frame,
)


def frame(value: int, n: int = 160) -> MaskedFrame:
    return MaskedFrame(np.full(n, value, np.int16))


class Desk:
    """A writer worked by hand, and what it reported."""

    def __init__(self, n_cells: int = 64) -> None:
        self.ring = make_tap_ring(n_cells)
        self.finished = []
        self.writer = RecordingWriter(self.ring, self.finished.append)

    def tap(self, side: int, position: int, value: int, row: int = 3, generation: int = 1) -> bool:
        return tap_frame(self.ring, row, generation, side, position, frame(value))


def test_caller_is_left_agent_is_right_each_in_its_place(tmp_path):
    desk = Desk()
    desk.writer.start(3, 1, tmp_path / "call.wav")
    desk.tap(0, 0, 100)
    desk.tap(1, 400, 200)
    desk.tap(0, 160, 101)
    desk.writer.stop(3, 1, 0)

    desk.writer.work_once()

    audio, rate = soundfile.read(tmp_path / "call.wav", dtype="int16")
    assert (rate, audio.shape) == (8000, (560, 2))
    assert audio[:160, 0].tolist() == [100] * 160
    assert audio[160:320, 0].tolist() == [101] * 160
    assert not audio[320:, 0].any()
    assert not audio[:400, 1].any()
    assert audio[400:, 1].tolist() == [200] * 160
    assert [(each.duration_ms, each.frames_dropped, each.failed) for each in desk.finished] == [
        (70, 0, False)
    ]


def test_the_file_gets_its_name_only_when_it_is_complete(tmp_path):
    desk = Desk()
    desk.writer.start(3, 1, tmp_path / "call.wav")
    desk.tap(0, 0, 1)

    desk.writer.work_once()

    assert [path.name for path in tmp_path.iterdir()] == ["call.wav.part"]


def test_frames_of_another_call_on_the_same_row_stay_out(tmp_path):
    desk = Desk()
    desk.writer.start(3, 2, tmp_path / "call.wav")
    desk.tap(0, 0, 7, generation=1)
    desk.tap(0, 0, 7, row=4, generation=2)
    desk.writer.stop(3, 2, 0)

    desk.writer.work_once()

    assert soundfile.info(tmp_path / "call.wav").frames == 0


def test_a_full_ring_refuses_frames_and_the_count_is_reported(tmp_path):
    desk = Desk(n_cells=4)
    desk.writer.start(3, 1, tmp_path / "call.wav")

    taken = [desk.tap(0, 160 * n, 1) for n in range(6)]
    desk.writer.stop(3, 1, taken.count(False))
    desk.writer.work_once()

    assert taken == [True] * 4 + [False] * 2
    assert desk.finished[0].frames_dropped == 2
    assert soundfile.info(tmp_path / "call.wav").frames == 640


def test_a_disk_that_refuses_is_told_and_stops_nothing(tmp_path):
    desk = Desk()
    desk.writer.start(3, 1, tmp_path / "missing" / "call.wav")
    desk.tap(0, 0, 1)
    desk.writer.stop(3, 1, 0)

    desk.writer.work_once()

    assert [each.failed for each in desk.finished] == [True]


@pytest.mark.parametrize("step", [160, WINDOW_SAMPLES - 200, 3 * WINDOW_SAMPLES])
def test_long_recordings_and_long_pauses_keep_their_places(tmp_path, step):
    recording = WavRecording(tmp_path / "call.wav")
    for n in range(6):
        recording.add(n % 2, n * step, np.full(160, n + 1, np.int16))
        recording.settle()

    recording.finish()

    audio, _ = soundfile.read(tmp_path / "call.wav", dtype="int16")
    expected = np.zeros((5 * step + 160, 2), np.int16)
    for n in range(6):
        expected[n * step : n * step + 160, n % 2] = n + 1
    assert np.array_equal(audio, expected)


def test_audio_too_late_is_left_out_and_counted(tmp_path):
    recording = WavRecording(tmp_path / "call.wav")
    recording.add(0, 0, np.ones(160, np.int16))
    recording.add(0, 2 * SETTLE_SAMPLES, np.ones(160, np.int16))
    recording.settle()

    recording.add(1, 0, np.ones(160, np.int16))

    assert recording.frames_dropped == 1
    recording.finish()


@pytest.mark.parametrize("raw", [CallerFrame(np.ones(160, np.int16)), np.ones(160, np.int16)])
def test_the_tap_refuses_what_is_not_masked(raw):
    with pytest.raises(numba.TypingError):
        tap_frame(make_tap_ring(4), 0, 0, 0, 0, raw)


def test_the_thread_ends_with_its_orders_done(tmp_path):
    desk = Desk()
    desk.writer.start_thread()
    desk.writer.start(3, 1, tmp_path / "call.wav")
    desk.writer.stop(3, 1, 0)

    desk.writer.close()

    assert (tmp_path / "call.wav").exists()
