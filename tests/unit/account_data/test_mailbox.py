"""The mailbox page: cells, bounds, wiping."""

from __future__ import annotations

import mmap

import pytest

from dtmf_shield.account_data.mailbox import Mailbox
from dtmf_shield.account_data.slots import create_region
from dtmf_shield.model.messages import MAILBOX_BYTES, MAILBOX_CELL_BYTES, MAILBOX_CELLS


def test_body_written_by_the_other_side_is_read_and_wiped() -> None:
    fd, _ = create_region(MAILBOX_BYTES)
    control_side = mmap.mmap(fd, MAILBOX_BYTES)
    mailbox = Mailbox(fd)
    control_side[3 * MAILBOX_CELL_BYTES : 3 * MAILBOX_CELL_BYTES + 8] = b"Signal=5"

    assert bytes(mailbox.body(3, 8)) == b"Signal=5"

    mailbox.wipe(3)
    assert bytes(mailbox.body(3, 8)) == bytes(8)


@pytest.mark.parametrize(
    ("cell", "length"), [(-1, 0), (MAILBOX_CELLS, 0), (0, -1), (0, MAILBOX_CELL_BYTES + 1)]
)
def test_cell_outside_the_layout_is_refused(cell: int, length: int) -> None:
    mailbox = Mailbox(create_region(MAILBOX_BYTES)[0])

    with pytest.raises(ValueError, match="no such"):
        mailbox.body(cell, length)
