"""The channel between processes: order, descriptors, the death of a peer, malformed messages."""

from __future__ import annotations

import asyncio
import os
import socket

import msgspec
import pytest

from dtmf_shield.base.errors import InvariantError
from dtmf_shield.model.messages import Heartbeat, PeerConnected, ProcessName, Shutdown, StopService
from dtmf_shield.service import channel as channel_module
from dtmf_shield.service.channel import Channel, connect_pair

Message = PeerConnected | Shutdown | Heartbeat | StopService


def channel_pair() -> tuple[Channel[Message], Channel[Message]]:
    left, right = connect_pair()
    return Channel(left, Message), Channel(right, Message)


def test_message_arrives_as_it_was_sent() -> None:
    left, right = channel_pair()

    left.send(PeerConnected(ProcessName.MEDIA))

    assert right.receive() == (PeerConnected(ProcessName.MEDIA), ())
    assert right.receive_now() is None


def test_descriptors_come_with_their_message_and_close_on_exec() -> None:
    left, right = channel_pair()
    reader, writer = os.pipe()

    left.send(PeerConnected(ProcessName.CDE), fds=(writer,))
    os.close(writer)
    _, (received,) = right.receive()

    assert not os.get_inheritable(received)
    os.write(received, b"x")
    assert os.read(reader, 1) == b"x"
    os.close(received)
    os.close(reader)


def test_end_of_peer_is_end_of_file() -> None:
    left, right = channel_pair()
    left.close()

    with pytest.raises(EOFError):
        right.receive()
    assert right.closed
    assert right.send(Shutdown()) is False


def test_last_words_of_a_peer_that_left_messages_unread_are_heard() -> None:
    left, right = channel_pair()
    left.send(Shutdown())
    right.send(StopService("last words"))
    right.close()

    assert left.receive() == (StopService("last words"), ())
    with pytest.raises(EOFError):
        left.receive()


def test_malformed_message_closes_the_channel() -> None:
    left, right = connect_pair()
    channel: Channel[Message] = Channel(right, Message)
    left.send(b"\xc1 no message")

    with pytest.raises(EOFError):
        channel.receive()
    assert channel.closed


def test_message_of_another_union_closes_the_channel() -> None:
    left, right = connect_pair()
    channel: Channel[Shutdown] = Channel(right, Shutdown)
    left.send(msgspec.msgpack.encode(Heartbeat(ProcessName.CDE)))

    with pytest.raises(EOFError):
        channel.receive()


def test_too_long_message_is_our_own_mistake() -> None:
    left, _right = channel_pair()

    with pytest.raises(InvariantError):
        left.send(StopService("x" * 70_000))


def test_attached_channel_queues_for_a_slow_peer_and_keeps_order() -> None:
    async def scenario() -> list[str]:
        left, right = channel_pair()
        loop = asyncio.get_running_loop()
        left.attach(loop, lambda _message, _fds: None, lambda: None)
        for number in range(1_500):
            assert left.send(StopService(str(number)))
        seen: list[str] = []
        done = asyncio.Event()

        def on_message(message: Message, _fds: tuple[int, ...]) -> None:
            assert isinstance(message, StopService)
            seen.append(message.reason)
            if len(seen) == 1_500:
                done.set()

        right.attach(loop, on_message, lambda: None)
        await asyncio.wait_for(done.wait(), 10)
        left.close()
        right.close()
        return seen

    assert asyncio.run(scenario()) == [str(number) for number in range(1_500)]


def test_peer_that_never_reads_is_taken_for_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel_module, "CHANNEL_QUEUE_MAX", 4)

    async def scenario() -> int:
        left, _right = channel_pair()
        closed = asyncio.Event()
        count = 0

        def on_closed() -> None:
            nonlocal count
            count += 1
            closed.set()

        left.attach(asyncio.get_running_loop(), lambda _message, _fds: None, on_closed)
        while left.send(StopService("x" * 10_000)):
            pass
        await asyncio.wait_for(closed.wait(), 5)
        await asyncio.sleep(0)
        return count

    assert asyncio.run(scenario()) == 1


def test_closed_peer_is_told_once() -> None:
    async def scenario() -> int:
        left, right = channel_pair()
        told = asyncio.Event()
        count = 0

        def on_closed() -> None:
            nonlocal count
            count += 1
            told.set()

        left.attach(asyncio.get_running_loop(), lambda _message, _fds: None, on_closed)
        right.close()
        await asyncio.wait_for(told.wait(), 5)
        left.send(Shutdown())
        await asyncio.sleep(0)
        return count

    assert asyncio.run(scenario()) == 1


def test_sockets_are_seqpacket() -> None:
    left, right = connect_pair()
    assert left.type == right.type == socket.SOCK_SEQPACKET
    left.close()
    right.close()
