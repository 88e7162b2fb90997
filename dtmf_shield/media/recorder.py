"""Recording of the masked conversation: the shard taps frames into a ring, a writer thread makes stereo WAV files.

Caller left, agent right, PCM16 at 8 kHz, each leg placed by the arrival of its first packet and then by its own RTP
timeline. Takes MaskedFrame only. A slow disk costs recorded frames, which are counted, never audio. No encryption,
no compression.
"""

from __future__ import annotations

import struct
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dtmf_shield.base.log import get_logger
from dtmf_shield.media.frames import FRAME_MS_MAX, MaskedFrame
from dtmf_shield.media.rtp.clock import SAMPLE_RATE_HZ, SAMPLES_A_MS
from dtmf_shield.media.rtp.kernel import fence, kernel

TAP_SAMPLES_MAX: Final = FRAME_MS_MAX * SAMPLES_A_MS
"""Of one frame. Wideband legs are brought to 8 kHz before."""
TAP_CELLS: Final = 4096
"""Frames on their way to disk: 40 s of one call, 0.4 s of a hundred."""
WINDOW_SAMPLES: Final = 4 * SAMPLE_RATE_HZ
"""How far the two sides of a recording may lie apart before the earlier part is written as it is."""
SETTLE_SAMPLES: Final = SAMPLE_RATE_HZ
"""One second: audio later than that behind the newest is left out."""
RECORDING_SAMPLES_MAX: Final = 12 * 3600 * SAMPLE_RATE_HZ
"""Twelve hours, 1.4 GB: beyond it frames are left out, well below the 4 GiB a WAV header can tell."""
WRITER_PAUSE_S: Final = 0.05
"""How often the ring is emptied: an eighth of what it holds of a hundred calls."""
PART_SUFFIX: Final = ".part"
_WAV_HEADER_BYTES: Final = 44

TAP_DTYPE: Final = np.dtype(
    [
        ("row", np.int32),
        ("generation", np.int32),
        ("side", np.int32),  # 0 caller, 1 agent
        ("n_samples", np.int32),
        ("position_samples", np.int64),  # since the start of the recording
        ("samples", np.int16, (TAP_SAMPLES_MAX,)),
    ],
    align=True,
)

_log = get_logger("recorder")


class TapRing(NamedTuple):
    """One producer (the shard), one consumer (the writer thread)."""

    cells: NDArray[Any]
    """Records of TAP_DTYPE, shape (n_cells,)."""
    heads: NDArray[np.int64]
    """Shape (2,): cells written since the start, cells read since the start."""


def make_tap_ring(n_cells: int = TAP_CELLS) -> TapRing:
    """Return an empty ring. Ordinary memory: it holds masked audio only."""
    return TapRing(np.zeros(n_cells, TAP_DTYPE), np.zeros(2, np.int64))


@kernel
def tap_frame(
    ring: TapRing, row: int, generation: int, side: int, position_samples: int, frame: MaskedFrame
) -> bool:
    """Copy a masked frame into the ring; False where the ring is full or the frame too long."""
    n = len(frame.samples)
    head = ring.heads[0]
    if head - ring.heads[1] >= len(ring.cells) or n > TAP_SAMPLES_MAX:
        return False
    cell = ring.cells[head % len(ring.cells)]
    cell.row = row
    cell.generation = generation
    cell.side = side
    cell.n_samples = n
    cell.position_samples = position_samples
    samples = cell.samples
    for index in range(n):
        samples[index] = frame.samples[index]
    fence()
    ring.heads[0] = head + 1
    return True


@dataclass(frozen=True, slots=True)
class RecordingFinished:
    """The file at `path` is complete. `failed`: the disk refused, what there is stays beside it as `.part`."""

    row: int
    generation: int
    path: str
    duration_ms: int
    frames_dropped: int
    failed: bool


class WavRecording:
    """One file being written. Raises OSError where the disk does."""

    def __init__(self, path: Path) -> None:
        """Create `path`.part; `path` itself appears when the recording is complete."""
        self.path = path
        self.samples_written = 0
        self.frames_dropped = 0
        self._end_samples = 0
        self._window = np.zeros((WINDOW_SAMPLES, 2), dtype="<i2")
        self._file: IO[bytes] = self._part.open("wb")
        self._file.write(bytes(_WAV_HEADER_BYTES))

    @property
    def _part(self) -> Path:
        return self.path.with_name(self.path.name + PART_SUFFIX)

    def add(self, side: int, position_samples: int, samples: NDArray[np.int16]) -> None:
        """Place `samples`, shape (n,), on `side`. What lies before the part already written is left out."""
        end = position_samples + len(samples)
        if position_samples < self.samples_written or end > RECORDING_SAMPLES_MAX:
            self.frames_dropped += 1
            return
        if end - self.samples_written > WINDOW_SAMPLES:
            self._write_until(end - WINDOW_SAMPLES + SETTLE_SAMPLES)
        start = position_samples - self.samples_written
        self._window[start : start + len(samples), side] = samples
        self._end_samples = max(self._end_samples, end)

    def settle(self) -> None:
        """Write what no late frame may change any more."""
        settled = self._end_samples - SETTLE_SAMPLES
        if settled - self.samples_written >= SETTLE_SAMPLES // 2:
            self._write_until(settled)

    def finish(self) -> int:
        """Write the rest and the header, give the file its name; return its length in samples."""
        self._write_until(self._end_samples)
        self._file.seek(0)
        self._file.write(_wav_header(self.samples_written))
        self._file.close()
        self._part.rename(self.path)
        return self.samples_written

    def abandon(self) -> None:
        """Close what can be closed; the `.part` stays."""
        try:
            self._file.close()
        except OSError as error:
            _log.error("recording_close_failed", error=error.strerror)

    def _write_until(self, end_samples: int) -> None:
        while self.samples_written < end_samples:
            n = min(end_samples - self.samples_written, WINDOW_SAMPLES)
            self._file.write(self._window[:n].tobytes())
            self._window[:-n] = self._window[n:] if n < WINDOW_SAMPLES else 0
            self._window[-n:] = 0
            self.samples_written += n


def _wav_header(n_samples: int) -> bytes:
    """Return the RIFF header of a two-channel PCM16 file at 8 kHz."""
    size = 4 * n_samples
    form = struct.pack("<4sI4s", b"RIFF", _WAV_HEADER_BYTES - 8 + size, b"WAVE")
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 2, SAMPLE_RATE_HZ, 4 * SAMPLE_RATE_HZ, 4, 16)
    return form + fmt + struct.pack("<4sI", b"data", size)


@dataclass(frozen=True, slots=True)
class _Start:
    row: int
    generation: int
    path: Path


@dataclass(frozen=True, slots=True)
class _Stop:
    row: int
    generation: int
    frames_dropped: int


class RecordingWriter:
    """The writer thread. `on_finished` is called in it, once for each started recording that is stopped."""

    def __init__(self, ring: TapRing, on_finished: Callable[[RecordingFinished], None]) -> None:
        """Make the writer; `start_thread` lets it run."""
        self._ring = ring
        self._on_finished = on_finished
        self._orders: deque[_Start | _Stop] = deque()
        self._recordings: dict[tuple[int, int], WavRecording] = {}
        self._failed: dict[tuple[int, int], WavRecording | Path] = {}
        self._wake = threading.Event()
        self._leaving = False
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)

    def start_thread(self) -> None:
        """Start writing."""
        self._thread.start()

    def start(self, row: int, generation: int, path: Path) -> None:
        """Open a recording. Frames that come before the order is read are dropped: order first, then tap."""
        self._orders.append(_Start(row, generation, path))
        self._wake.set()

    def stop(self, row: int, generation: int, frames_dropped: int) -> None:
        """Close it after what lies in the ring; `frames_dropped` is the shard's count of a full ring."""
        self._orders.append(_Stop(row, generation, frames_dropped))
        self._wake.set()

    def close(self, timeout_s: float = 5.0) -> None:
        """Finish every order and end the thread."""
        self._leaving = True
        self._wake.set()
        self._thread.join(timeout_s)

    def work_once(self) -> None:
        """Do what there is to do: orders, frames, orders that wait for frames."""
        n_orders = len(self._orders)
        orders = [self._orders.popleft() for _ in range(n_orders)]
        for order in orders:
            if isinstance(order, _Start):
                self._open(order)
        self._drain()
        for order in orders:
            if isinstance(order, _Stop):
                self._finish(order)
        for key, recording in list(self._recordings.items()):
            self._guarded(key, recording, recording.settle)

    def _run(self) -> None:
        while not (self._leaving and not self._orders):
            self._wake.wait(WRITER_PAUSE_S)
            self._wake.clear()
            self.work_once()

    def _open(self, order: _Start) -> None:
        key = (order.row, order.generation)
        try:
            self._recordings[key] = WavRecording(order.path)
        except OSError as error:
            _log.error("recording_not_opened", error=error.strerror)
            self._failed[key] = order.path

    def _drain(self) -> None:
        cells, heads = self._ring
        head = int(heads[0])
        for at in range(int(heads[1]), head):
            cell = cells[at % len(cells)]
            key = (int(cell["row"]), int(cell["generation"]))
            recording = self._recordings.get(key)
            if recording is not None:
                side, position = int(cell["side"]), int(cell["position_samples"])
                samples = cell["samples"][: int(cell["n_samples"])]
                self._guarded(key, recording, recording.add, side, position, samples)
            heads[1] = at + 1

    def _guarded(
        self, key: tuple[int, int], recording: WavRecording, write: Callable[..., None], *arguments: Any
    ) -> None:
        try:
            write(*arguments)
        except OSError as error:
            _log.error("recording_failed", error=error.strerror)
            recording.abandon()
            del self._recordings[key]
            self._failed[key] = recording

    def _finish(self, order: _Stop) -> None:
        key = (order.row, order.generation)
        recording = self._recordings.pop(key, None)
        failed = self._failed.pop(key, None)
        if recording is not None:
            try:
                recording.finish()
            except OSError as error:
                _log.error("recording_failed", error=error.strerror)
                recording.abandon()
                recording, failed = None, recording
        if recording is None and failed is None:
            return
        file = recording or failed
        path = file.path if isinstance(file, WavRecording) else file
        dropped = order.frames_dropped + (file.frames_dropped if isinstance(file, WavRecording) else 0)
        written = file.samples_written if isinstance(file, WavRecording) else 0
        self._on_finished(
            RecordingFinished(
                order.row, order.generation, str(path), written // SAMPLES_A_MS, dropped, failed is not None
            )
        )
