"""The mailbox page: unparsed SIP INFO bodies (RFC 6086) on their way from control to cde, in locked memory.

Control writes a body into a free cell and tells its number and length; cde parses it, wipes the cell and tells
that it is free. Only cde uses this file: control maps the page by the layout in :mod:`dtmf_shield.model.messages`.
"""

from __future__ import annotations

from dtmf_shield.account_data.slots import Region
from dtmf_shield.model.messages import MAILBOX_BYTES, MAILBOX_CELL_BYTES, MAILBOX_CELLS


class Mailbox:
    """cde's side of the mailbox page."""

    __slots__ = ("_region",)

    def __init__(self, fd: int) -> None:
        self._region = Region(fd, MAILBOX_BYTES)

    @property
    def locked(self) -> bool:
        """Whether the page cannot be swapped out."""
        return self._region.locked

    def body(self, cell: int, length: int) -> memoryview:
        """Return the body lying in ``cell``. Raises ValueError for a cell or length outside the layout."""
        if not (0 <= cell < MAILBOX_CELLS and 0 <= length <= MAILBOX_CELL_BYTES):
            raise ValueError("no such mailbox cell")
        start = cell * MAILBOX_CELL_BYTES
        return self._region.view[start : start + length]

    def wipe(self, cell: int) -> None:
        """Zero ``cell``. Raises ValueError outside the layout."""
        if not 0 <= cell < MAILBOX_CELLS:
            raise ValueError("no such mailbox cell")
        self._region.wipe_range(cell * MAILBOX_CELL_BYTES, MAILBOX_CELL_BYTES)

    def wipe_all(self) -> None:
        """Zero every cell."""
        self._region.wipe()

    def __repr__(self) -> str:
        return "<Mailbox>"
