"""What the call core sees of media and cde: rows that rest, commands that go nowhere safely, a mailbox of cells."""

import os
import socket

from dtmf_shield.model.ids import CallId, CaptureId, LegRole
from dtmf_shield.model.messages import (
    MAILBOX_BYTES,
    MAILBOX_CELL_BYTES,
    MAILBOX_CELLS,
    CancelCapture,
    CdeToControl,
    CloseCall,
    ControlToCde,
    ControlToMedia,
    InfoMailed,
    MediaToControl,
    OpenCall,
)
from dtmf_shield.model.stream import MediaPorts
from dtmf_shield.service.channel import Channel, connect_pair
from dtmf_shield.service.control.capture_port import CdeCaptures
from dtmf_shield.service.control.mailbox import CELL_LOST_S, MailboxWriter
from dtmf_shield.service.control.media_port import ROW_REST_S, MediaRows
from dtmf_shield.sip.message import OpaqueBody

BODY = b"Signal=5\r\nDuration=160\r\n"


class HandClock:
    """A clock moved by hand."""

    def __init__(self) -> None:
        self.at_s = 100.0

    def now_s(self) -> float:
        return self.at_s

    def wall_s(self) -> float:
        return self.at_s


def rows(count=2):
    clock = HandClock()
    media = MediaRows(clock, "127.0.0.1", None)
    media.learn(MediaPorts(row, 10_000 + 4 * row, 10_002 + 4 * row) for row in range(count))
    ours, theirs = connect_pair()
    media.connect(Channel(ours, MediaToControl))
    return clock, media, Channel(theirs, ControlToMedia)


def test_each_call_gets_a_row_of_its_own_and_no_row_is_no_call():
    _clock, media, peer = rows()

    taken = {media.reserve(CallId(name)).row for name in ("a", "b")}

    assert taken == {0, 1}
    assert media.reserve(CallId("c")) is None
    assert {peer.receive()[0].call_id for _ in range(2)} == {"a", "b"}


def test_a_freed_row_rests_before_it_is_used_again():
    clock, media, peer = rows(1)
    media.reserve(CallId("a"))
    media.close(CallId("a"), 0)

    assert media.reserve(CallId("b")) is None
    clock.at_s += ROW_REST_S
    assert media.reserve(CallId("b")) is not None
    kinds = [type(peer.receive()[0]) for _ in range(3)]
    assert kinds == [OpenCall, CloseCall, OpenCall]


def test_without_media_there_is_no_call():
    _clock, media, _peer = rows()
    media.connect(None)

    assert media.reserve(CallId("a")) is None


def test_a_restored_call_keeps_its_row_from_others():
    _clock, media, _peer = rows(1)

    assert media.adopt(CallId("a"), 0)
    assert not media.adopt(CallId("b"), 0)
    assert media.reserve(CallId("c")) is None


def mailbox():
    fd = os.memfd_create("test-mailbox")
    os.ftruncate(fd, MAILBOX_BYTES)
    return fd, MailboxWriter(fd)


def test_a_body_goes_through_a_cell_and_the_message_says_where_not_what():
    fd, writer = mailbox()
    captures = CdeCaptures(HandClock(), writer)
    ours, theirs = connect_pair()
    captures.connect(Channel(ours, CdeToControl))

    assert captures.opaque_info(CallId("a"), 0, LegRole.CALLER, OpaqueBody(bytearray(BODY)))

    message, _ = Channel(theirs, ControlToCde).receive()
    assert isinstance(message, InfoMailed)
    assert os.pread(fd, message.length, message.cell * MAILBOX_CELL_BYTES) == BODY


def test_full_cells_refuse_until_one_comes_back_or_is_given_up():
    _fd, writer = mailbox()
    body = memoryview(BODY)
    cells = [writer.put(body, 0.0)[0] for _ in range(MAILBOX_CELLS)]

    assert writer.put(body, 1.0) is None
    writer.free(cells[3])
    assert writer.put(body, 1.0) == (cells[3], len(BODY))
    assert writer.put(body, 1.0 + CELL_LOST_S) is not None


def test_a_body_too_long_for_a_cell_is_dropped():
    _fd, writer = mailbox()

    assert writer.put(memoryview(bytes(MAILBOX_CELL_BYTES + 1)), 0.0) is None


def test_without_cde_commands_say_that_they_went_nowhere():
    _fd, writer = mailbox()
    captures = CdeCaptures(HandClock(), writer)

    assert not captures.send(CancelCapture(capture_id=CaptureId("c")))
    assert not captures.opaque_info(CallId("a"), 0, LegRole.CALLER, OpaqueBody(bytearray(BODY)))


def test_a_dead_cde_gives_the_cell_back():
    _fd, writer = mailbox()
    captures = CdeCaptures(HandClock(), writer)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    captures.connect(Channel(ours, CdeToControl))
    theirs.close()

    assert not captures.opaque_info(CallId("a"), 0, LegRole.CALLER, OpaqueBody(bytearray(BODY)))
    assert len({writer.put(memoryview(BODY), 0.0)[0] for _ in range(MAILBOX_CELLS)}) == MAILBOX_CELLS
