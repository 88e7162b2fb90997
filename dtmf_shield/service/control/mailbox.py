"""Control's side of the mailbox page: an unparsed SIP INFO body goes in, a cell number comes out.

Control copies bytes it does not look at into locked memory; only cde reads them.
"""

from __future__ import annotations

import mmap
from typing import Final

from dtmf_shield.model.messages import MAILBOX_BYTES, MAILBOX_CELL_BYTES, MAILBOX_CELLS

CELL_LOST_S: Final = 5.0
"""A cell that cde has not given back by then is taken back: cde died with it, and wipes the page at its start."""


class MailboxWriter:
    """The cells of the page. A body that finds none free is refused: the caller presses the key again."""

    def __init__(self, fd: int) -> None:
        self._page = mmap.mmap(fd, MAILBOX_BYTES, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
        self._view = memoryview(self._page)
        self._free = list(range(MAILBOX_CELLS))
        self._taken: dict[int, float] = {}

    def put(self, body: memoryview, now_s: float) -> tuple[int, int] | None:
        """Copy ``body`` into a free cell; returns (cell, length), or None where it does not fit."""
        for cell, taken_s in list(self._taken.items()):
            if now_s - taken_s > CELL_LOST_S:
                self.free(cell)
        if len(body) > MAILBOX_CELL_BYTES or not self._free:
            return None
        cell = self._free.pop(0)
        self._taken[cell] = now_s
        start = cell * MAILBOX_CELL_BYTES
        self._view[start : start + len(body)] = body
        return cell, len(body)

    def free_all(self) -> None:
        """A new cde wipes the page at its start: nothing in it is waited for."""
        for cell in list(self._taken):
            self.free(cell)

    def free(self, cell: int) -> None:
        """Cde has wiped the cell."""
        if self._taken.pop(cell, None) is not None:
            self._free.append(cell)
