"""Agents' telephones for the tests: scripted phones on a loop of their own, each packet that reaches them kept.

The scripted phone answers, talks, presses keys and puts what it hears where timestamps say; here the raw packets with
their times are kept besides, so that a test can search payloads and see gaps.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from dtmf_shield.phone.scripted import ScriptedCall, ScriptedPhone
from dtmf_shield.phone.voices import Voice, voice

Result = TypeVar("Result")

RTP_HEADER_BYTES = 12
LIMIT_S = 30.0


@dataclass(frozen=True)
class Packet:
    """One datagram as it came, with the monotonic time of its arrival."""

    at_s: float
    data: bytes

    @property
    def payload_type(self) -> int:
        """RTP payload type (RFC 3550 section 5.1)."""
        return self.data[1] & 0x7F

    @property
    def sequence(self) -> int:
        """RTP sequence number."""
        return int.from_bytes(self.data[2:4], "big")

    @property
    def payload(self) -> bytes:
        """What follows the fixed header; the service sends no extensions."""
        return self.data[RTP_HEADER_BYTES:]


@dataclass
class AgentCall:
    """One call at an agent's phone."""

    call: ScriptedCall
    packets: list[Packet] = field(default_factory=list)

    @property
    def payload_bytes(self) -> bytes:
        """All payloads, one after the other: what a search for a number goes through."""
        return b"".join(packet.payload for packet in self.packets)


class TappedPhone(ScriptedPhone):
    """A scripted phone that keeps every datagram of its calls."""

    tapped: dict[int, AgentCall]
    signalling: list[bytes]

    def _receive(self, data: bytes, source: tuple[str, int]) -> None:
        self.signalling = [*getattr(self, "signalling", []), bytes(data)]
        super()._receive(data, source)

    async def _new_call(self) -> ScriptedCall:
        call = await super()._new_call()
        tapped = AgentCall(call)
        receive = call.stream.receive

        def tap(data: bytes, now_s: float) -> None:
            tapped.packets.append(Packet(time.monotonic(), bytes(data)))
            receive(data, now_s)

        call.stream.receive = tap
        self.tapped = {**getattr(self, "tapped", {}), id(call): tapped}
        return call

    def early_media(self, call: ScriptedCall) -> None:
        """Say 183 with a description: the call is heard before it is answered."""
        self._ready().ring(call.call_id, self._description(call))
        self._flush()


class Phones:
    """A thread with an event loop on which agents' phones live; methods are called from the test's thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._phones: list[TappedPhone] = []

    def open(self, **options: Any) -> Phone:
        """Open a phone that talks in the agent's voice; options as of ScriptedPhone.start."""
        options.setdefault("speech", voice(Voice.AGENT))
        phone = self.run(TappedPhone.start(**options))
        self._phones.append(phone)
        return Phone(self, phone)

    def run(self, work: Coroutine[Any, Any, Result], limit_s: float = LIMIT_S) -> Result:
        """Run a coroutine on the phones' loop and return its result."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(limit_s)

    def spawn(self, work: Coroutine[Any, Any, object]) -> None:
        """Start a coroutine on the phones' loop and forget its result."""
        asyncio.run_coroutine_threadsafe(work, self._loop)

    def do(self, function: Callable[..., Result], *arguments: object) -> Result:
        """Call a function on the phones' loop."""

        async def call() -> Result:
            return function(*arguments)

        return self.run(call())

    def close(self) -> None:
        """Hang up and end the thread."""
        for phone in self._phones:
            self.run(phone.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()


class Phone:
    """One agent's phone, seen from the test's thread."""

    def __init__(self, phones: Phones, phone: TappedPhone) -> None:
        self._phones, self._phone = phones, phone

    @property
    def port(self) -> int:
        """Its SIP port."""
        return self._phone.port

    @property
    def signalling(self) -> bytes:
        """Every SIP message that reached it."""
        return b"\n".join(self._phone.signalling)

    def incoming(self, limit_s: float = 10.0) -> AgentCall:
        """Return the next call that came in."""
        call = self._phones.run(self._phone.incoming(limit_s))
        return self._phone.tapped[id(call)]

    def call(self, uri: str, limit_s: float = 15.0, *, headers: Mapping[str, str] | None = None) -> AgentCall:
        """Call somebody, with more ``headers`` in the INVITE; returns once answered."""
        call = self._phones.run(self._phone.call(uri, headers=headers), limit_s)
        return self._phone.tapped[id(call)]

    def calling(self, uri: str) -> AgentCall:
        """Call somebody; returns at once, the call not answered yet."""
        known = len(self._phone.calls)
        self._phones.spawn(self._phone.call(uri))
        deadline_s = time.monotonic() + LIMIT_S
        while len(self._phone.calls) == known and time.monotonic() < deadline_s:
            time.sleep(0.01)
        return self._phone.tapped[id(self._phone.calls[-1])]

    def early_media(self, agent: AgentCall) -> None:
        """Answer 183 with audio."""
        self._phones.do(self._phone.early_media, agent.call)

    def hold(self, agent: AgentCall, direction: str = "sendonly") -> None:
        """Re-offer; ``sendrecv`` resumes."""
        self._phones.run(agent.call.hold(direction))

    def answer(self, agent: AgentCall) -> None:
        """Answer a call that rings."""
        self._phones.do(self._phone.answer, agent.call)

    def keys(self, agent: AgentCall, keys: str, door: Any) -> None:
        """Press keys; returns when they are sent."""
        self._phones.run(agent.call.keys(keys, door))

    def hang_up(self, agent: AgentCall) -> None:
        """Hang up."""
        self._phones.run(agent.call.hang_up())

    def wait_for_end(self, agent: AgentCall, limit_s: float = 15.0) -> None:
        """Wait until the other side has hung up."""
        self._phones.run(asyncio.wait_for(agent.call.ended.wait(), limit_s), limit_s + 5)
