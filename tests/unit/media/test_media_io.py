"""The shard's surroundings: locked memory, rings, addresses, and where compiled kernels are kept."""

import socket

import numpy as np
import pytest

from dtmf_shield.account_data.slots import REGION_BYTES
from dtmf_shield.base.errors import InvariantError
from dtmf_shield.media import KERNEL_FOLDER, source_digest
from dtmf_shield.media.io import rings
from dtmf_shield.media.io.arena import Arena, ArenaMeasure
from dtmf_shield.media.io.rings import CommandRing, EventReader
from dtmf_shield.media.io.shard import Shard, pack_address
from dtmf_shield.media.recorder import make_tap_ring
from dtmf_shield.media.session.ears import make_ears
from dtmf_shield.media.session.legs import EVENT_CELLS, EVENT_SLOT_ARMED, make_tables, post_event


def tables(take=np.zeros, n_rows=2):
    return make_tables(n_rows, ("*1",), np.zeros(REGION_BYTES, np.uint8), make_tap_ring(4), take)


def test_an_arena_of_the_measured_size_holds_the_tables_and_is_wiped():
    measure = ArenaMeasure()
    tables(measure.take, 50)
    arena = Arena(measure.size_bytes)
    laid_out = tables(arena.take, 50)
    laid_out.raw[:] = 7
    laid_out.legs["sent"] = 7

    arena.wipe()

    assert arena.locked
    assert not laid_out.raw.any()
    assert not laid_out.legs["sent"].any()


def test_arrays_of_an_arena_do_not_overlap_and_are_aligned():
    arena = Arena(4096)
    first, second = arena.take((3,), np.uint8), arena.take((5,), np.int64)

    second[:] = -1

    assert not first.any()
    assert second.ctypes.data % 64 == 0


def test_an_arena_used_up_says_so():
    arena = Arena(4096)

    with pytest.raises(MemoryError):
        arena.take((4097,), np.uint8)


def test_an_arena_tells_nothing_of_its_content():
    assert repr(Arena(4096)) == "<Arena of 4096 bytes>"


def test_a_shard_that_takes_no_commands_is_noticed(monkeypatch):
    monkeypatch.setattr(rings, "COMMAND_CELLS", 2)
    monkeypatch.setattr(rings, "COMMAND_WAIT_S", 0.0)
    ring = CommandRing()
    ring.post(1, 0, 0)
    ring.post(1, 0, 0)

    with pytest.raises(InvariantError):
        ring.post(1, 0, 0)


def test_events_are_read_as_far_as_they_are_counted():
    laid_out = tables()
    reader = EventReader(laid_out)
    post_event(laid_out, EVENT_SLOT_ARMED, 3, 5, 0xFFFF_FFF7, 1, 0)
    post_event(laid_out, EVENT_SLOT_ARMED, 2, 6, 7, 0, 0)

    assert reader.read() == []
    rings.os.eventfd_write(reader.fd, 1)
    (event,) = reader.read()

    assert (event.row, event.agent, event.numbers) == (1, True, (5, 0xFFFF_FFF7, 1, 0))
    assert reader.read() == []


def test_lost_events_are_counted():
    laid_out = tables()
    laid_out.event_heads[0] = EVENT_CELLS

    post_event(laid_out, EVENT_SLOT_ARMED, 0, 0, 0, 0, 0)

    assert EventReader(laid_out).lost == 1


def test_addresses_are_laid_out_as_the_kernel_does():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        packed = pack_address("127.0.0.1", port)

    assert packed == socket.AF_INET.to_bytes(2, "little") + port.to_bytes(2, "big") + b"\x7f\0\0\1" + bytes(8)
    assert len(pack_address("2001:db8::1", 5004)) == 28


@pytest.mark.parametrize(
    ("host", "port"), [("host.example", 5004), ("127.0.0.1", 0), ("127.0.0.1", 65536), ("", 1)]
)
def test_what_is_no_address_is_refused(host, port):
    with pytest.raises(ValueError, match=r"."):
        pack_address(host, port)


def test_a_socket_outside_the_tables_is_refused_and_closed():
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    fd = sock.detach()

    with pytest.raises(InvariantError):
        Shard(tables(), make_ears(np.zeros)).add_socket(8, fd)

    with pytest.raises(OSError, match="Bad file descriptor"):
        rings.os.fstat(fd)


def test_kernels_of_other_sources_are_never_used(tmp_path):
    package, other = tmp_path / "package", tmp_path / "other.py"
    package.mkdir()
    source = package / "kernel.py"
    source.write_text("THRESHOLD = 1\n")
    other.write_text("AT = 1\n")
    digests = [source_digest(package, (other,))]

    source.write_text("THRESHOLD = 2\n")
    digests.append(source_digest(package, (other,)))
    other.write_text("AT = 2\n")
    digests.append(source_digest(package, (other,)))
    source.rename(package / "kernels.py")
    digests.append(source_digest(package, (other,)))

    assert len(set(digests)) == 4
    assert KERNEL_FOLDER.name.startswith("kernels-")
