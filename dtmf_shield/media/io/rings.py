"""Commands to a shard and event records from it: two rings, one writer and one reader each, woken by eventfd(2).

An eventfd counts exactly the records handed over, and the kernel orders memory around it: a reader never looks at a
record that is not complete. No record holds a key.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dtmf_shield.base.errors import InvariantError
from dtmf_shield.media.session.commands import COMMAND_DTYPE
from dtmf_shield.media.session.legs import Tables

COMMAND_CELLS: Final = 1024
"""Commands waiting for the shard. It takes them within a millisecond; a full ring means that it is gone."""
COMMAND_WAIT_S: Final = 1.0
_PAUSE_S: Final = 0.001
_UINT32: Final = 0xFFFFFFFF


class CommandRing:
    """The process's end of the command ring."""

    __slots__ = ("cells", "done", "fd", "posted")

    def __init__(self) -> None:
        self.cells: NDArray[Any] = np.zeros(COMMAND_CELLS, COMMAND_DTYPE)
        self.done = np.zeros(1, np.int64)
        """Shape (1,): commands the shard has applied."""
        self.posted = 0
        self.fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def post(
        self, kind: int, leg: int, generation: int, numbers: Sequence[int] = (), address: bytes = b""
    ) -> None:
        """Hand a command over. Raises InvariantError where the shard takes none any more."""
        deadline_s = time.monotonic() + COMMAND_WAIT_S
        while self.posted - int(self.done[0]) >= COMMAND_CELLS:
            if time.monotonic() > deadline_s:
                raise InvariantError("the media shard takes no commands")
            time.sleep(_PAUSE_S)
        cell = self.cells[self.posted % COMMAND_CELLS]
        cell["kind"], cell["leg"], cell["generation"] = kind, leg, generation
        cell["numbers"] = 0
        cell["numbers"][: len(numbers)] = numbers
        cell["address"] = 0
        cell["address"][: len(address)] = np.frombuffer(address, np.uint8)
        self.posted += 1
        os.eventfd_write(self.fd, 1)


@dataclass(frozen=True, slots=True)
class ShardEvent:
    """One event record: what happened (EVENT_* of session.legs) on which leg of which call, and four numbers."""

    kind: int
    row: int
    generation: int
    agent: bool
    numbers: tuple[int, int, int, int]


class EventReader:
    """The process's end of the event ring."""

    __slots__ = ("_tables", "fd")

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self.fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    @property
    def lost(self) -> int:
        """Records lost to a full ring since the start."""
        return int(self._tables.event_heads[2])

    def read(self) -> list[ShardEvent]:
        """Return the records handed over since the last call."""
        try:
            count = os.eventfd_read(self.fd)
        except BlockingIOError:
            return []
        heads, cells = self._tables.event_heads, self._tables.events
        events = []
        for _ in range(count):
            record = cells[int(heads[1]) % len(cells)].tolist()
            # Generations of slots are unsigned 32-bit numbers in a signed cell.
            numbers = (record[3], record[4] & _UINT32, record[5], record[6])
            events.append(ShardEvent(record[0], record[1], record[2], bool(record[7]), numbers))
            heads[1] += 1
        return events
