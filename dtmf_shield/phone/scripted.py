"""The scripted test phone: sockets, clock and pacing around `user_agent` and `stream`. TEST cards only.

One phone has one SIP port and any number of calls; each call has its own RTP port and sends a packet every 20 ms from
its answer to its end. For demonstrations, tests and drills; not a telephone for people.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from dtmf_shield.base.errors import PeerError
from dtmf_shield.phone.door import Door
from dtmf_shield.phone.offer import Media, read_sdp, write_sdp
from dtmf_shield.phone.stream import PACKET_S, PhoneStream
from dtmf_shield.phone.test_cards import KeyGuard
from dtmf_shield.phone.tones import Press, presses
from dtmf_shield.phone.user_agent import (
    Address,
    CallAnswered,
    CallConfirmed,
    CallEnded,
    CallIncoming,
    CallProgressing,
    CallRefused,
    Event,
    InfoReceived,
    PhoneUserAgent,
    RequestAnswered,
)

CALL_LIMIT_S: Final = 15.0
END_LIMIT_S: Final = 5.0
SILENCE: Final[NDArray[np.int16]] = np.zeros(0, np.int16)
TONE_MS: Final = 100
GAP_MS: Final = 100
CATCH_UP_PACKETS_MAX: Final = 10
"""After a stall, at most so many packets are sent at once; the rest of the lost time is skipped."""


class CallRefusedError(PeerError):
    """The call was not answered: `status` is the other side's SIP status, 408 for silence."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the call was refused with SIP status {status}", status)


class _Datagrams(asyncio.DatagramProtocol):
    """Hands datagrams to a function."""

    def __init__(self, receive: Callable[[bytes, Address], None]) -> None:
        self._receive = receive

    def datagram_received(self, data: bytes, addr: tuple[str | int, int]) -> None:
        """Pass on; an IPv6 source has two fields more that nobody needs."""
        self._receive(data, (str(addr[0]), int(addr[1])))


class ScriptedCall:
    """One call of a scripted phone."""

    def __init__(self, phone: ScriptedPhone, rtp: asyncio.DatagramTransport, stream: PhoneStream) -> None:
        self.call_id = ""
        self.stream = stream
        self.dialled = ""
        self.caller = ""
        """Of a call that came in: the user part of its From."""
        self.keys_sent = 0
        self.infos_received = 0
        self.info_statuses: list[int] = []
        """Final status of each INFO that this phone sent, in order of answer."""
        self.statuses: list[int] = []
        """Provisional statuses of this phone's own INVITE."""
        self.confirmed = asyncio.Event()
        self.ended = asyncio.Event()
        self.refused_status = 0
        self.loses: Callable[[], bool] = lambda: False
        """Asked for each RTP packet sent: true, and a bad line has lost it."""
        self._phone = phone
        self._rtp = rtp
        self._guard = KeyGuard()
        self._remote: Address | None = None
        self._pacing: asyncio.Task[None] | None = None
        self._version = 1

    @property
    def heard(self) -> NDArray[np.int16]:
        """Audio received so far, int16 at 8 kHz."""
        return self.stream.heard

    @property
    def sent(self) -> NDArray[np.int16]:
        """Audio sent so far, int16 at 8 kHz."""
        return self.stream.sent

    @property
    def events_received(self) -> list[int]:
        """Event codes of telephone events received."""
        return self.stream.events_received

    @property
    def rtp_port(self) -> int:
        """Local RTP port."""
        return int(self._rtp.get_extra_info("sockname")[1])

    def talk(self, speech: NDArray[np.int16], *, loop: bool = True) -> None:
        """Speak from now on."""
        self.stream.talk(speech, loop=loop)

    async def key(
        self, key: str, door: Door = Door.INBAND, *, tone_ms: int = TONE_MS, gap_ms: int = GAP_MS
    ) -> None:
        """Press one key; returns when the next may follow. Raises CardNotPublishedError."""
        self._guard.admit(key)
        self.keys_sent += 1
        if door is Door.INBAND:
            self.stream.press_as_tone(key, tone_ms)
        elif door is Door.RFC4733:
            self.stream.press_as_event(key, tone_ms)
        else:
            body = f"Signal={key}\r\nDuration={tone_ms}\r\n".encode("ascii")
            self._phone.info(self, "application/dtmf-relay", body)
        await asyncio.sleep((tone_ms + gap_ms) / 1000)

    async def keys(self, keys: str, door: Door = Door.INBAND, *, seed: int = 0) -> list[Press]:
        """Press several keys with human timing drawn from `seed`; returns them with their timing."""
        self._guard.new_entry()
        pressed = presses(keys, seed)
        for press in pressed:
            await self.key(press.key, door, tone_ms=press.tone_ms, gap_ms=press.gap_ms)
        return pressed

    async def hold(self, direction: str = "sendonly") -> None:
        """Re-offer with `direction`; `sendrecv` resumes."""
        self.confirmed.clear()
        self._version += 1
        self._phone.reoffer(self, direction, self._version)
        await asyncio.wait_for(self.confirmed.wait(), CALL_LIMIT_S)

    async def hang_up(self) -> None:
        """End the call and wait for its end (at most END_LIMIT_S)."""
        if not self.ended.is_set():
            self._phone.end(self)
        self.stop()
        try:
            await asyncio.wait_for(self.ended.wait(), END_LIMIT_S)
        except TimeoutError:
            self.ended.set()

    def connect(self, media: Media, own: Media) -> None:
        """Send to `media` from now on. Raises ValueError where no codec is common."""
        self.stream.payload_type, self.stream.event_payload_type = own.common(media)
        self._remote = (media.address, media.port)
        if self._pacing is None and not self.ended.is_set():
            self._pacing = asyncio.get_running_loop().create_task(self._pace())

    def stop(self) -> None:
        """Send and receive no more RTP."""
        if self._pacing is not None:
            self._pacing.cancel()
        self._rtp.close()

    async def _pace(self) -> None:
        """Send a packet every 20 ms of the clock, whatever the loop was busy with."""
        loop = asyncio.get_running_loop()
        next_s = loop.time()
        while True:
            now_s = loop.time()
            if now_s - next_s > CATCH_UP_PACKETS_MAX * PACKET_S:
                next_s = now_s
            while next_s <= now_s:
                packet = self.stream.next_packet(loop.time())
                if self._remote is not None and not self.loses():
                    self._rtp.sendto(packet, self._remote)
                next_s += PACKET_S
            await asyncio.sleep(max(next_s - loop.time(), 0))


class ScriptedPhone:
    """A phone on the running asyncio loop. Make one with `start`."""

    def __init__(
        self,
        *,
        media: Media,
        auto_answer: bool,
        refuse_with: int,
        speech: NDArray[np.int16],
        keeps_audio: bool = True,
    ) -> None:
        self.calls: list[ScriptedCall] = []
        self.port = 0
        self._media = media
        self._auto_answer = auto_answer
        self._refuse_with = refuse_with
        self._speech = speech
        self._keeps_audio = keeps_audio
        self._by_id: dict[str, ScriptedCall] = {}
        self._arrived: asyncio.Queue[ScriptedCall] = asyncio.Queue()
        self._sip: asyncio.DatagramTransport | None = None
        self._agent: PhoneUserAgent | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._answering: set[asyncio.Task[None]] = set()

    @classmethod
    async def start(
        cls,
        address: str = "127.0.0.1",
        *,
        port: int = 0,
        payload_types: tuple[int, ...] = (0, 8),
        events: bool = True,
        auto_answer: bool = True,
        refuse_with: int = 0,
        speech: NDArray[np.int16] = SILENCE,
        keeps_audio: bool = True,
    ) -> Self:
        """Open the SIP port.

        `refuse_with`: answer every call with that status; else `auto_answer` takes it. `speech`: what each call says
        from its first packet on, int16 at 8 kHz, over and over. `keeps_audio`: see PhoneStream.
        """
        media = Media(address, 0, payload_types, 101 if events else None)
        phone = cls(
            media=media,
            auto_answer=auto_answer,
            refuse_with=refuse_with,
            speech=speech,
            keeps_audio=keeps_audio,
        )
        loop = asyncio.get_running_loop()
        phone._sip, _ = await loop.create_datagram_endpoint(
            lambda: _Datagrams(phone._receive), local_addr=(address, port)
        )
        phone.port = int(phone._sip.get_extra_info("sockname")[1])
        phone._agent = PhoneUserAgent((address, phone.port), lambda: secrets.token_hex(8))
        return phone

    async def call(
        self, uri: str, *, user: str = "caller", headers: Mapping[str, str] | None = None
    ) -> ScriptedCall:
        """Place a call with more `headers` in its INVITE; returns once it is answered. Raises CallRefusedError."""
        call = await self._new_call()
        agent = self._ready()
        call.call_id = agent.invite(uri, self._description(call), self._now_s(), user=user, headers=headers)
        self._by_id[call.call_id] = call
        self._flush()
        try:
            await asyncio.wait_for(call.confirmed.wait(), CALL_LIMIT_S)
        except TimeoutError:
            await call.hang_up()
            raise CallRefusedError(408) from None
        if call.refused_status:
            raise CallRefusedError(call.refused_status)
        return call

    async def incoming(self, limit_s: float = CALL_LIMIT_S) -> ScriptedCall:
        """Return the next call that came in (ringing still, without `auto_answer`). Raises TimeoutError."""
        return await asyncio.wait_for(self._arrived.get(), limit_s)

    def answer(self, call: ScriptedCall) -> None:
        """Answer a ringing call."""
        self._ready().answer(call.call_id, self._description(call), self._now_s())
        self._flush()

    def info(self, call: ScriptedCall, content_type: str, body: bytes) -> None:
        """Send an INFO within `call`."""
        self._ready().info(call.call_id, content_type, body, self._now_s())
        self._flush()

    def reoffer(self, call: ScriptedCall, direction: str, version: int) -> None:
        """Send a re-INVITE within `call`."""
        sdp = self._description(call, direction, version)
        self._ready().reinvite(call.call_id, sdp, self._now_s())
        self._flush()

    def end(self, call: ScriptedCall) -> None:
        """Send BYE, CANCEL or a refusal, as the call's state asks."""
        self._ready().hang_up(call.call_id, self._now_s())
        self._flush()

    def farewell(self, call: ScriptedCall) -> tuple[bytes, Address]:
        """Return a BYE and where to, for who ends `call` when this phone has died."""
        return self._ready().farewell(call.call_id)

    def forget(self, call: ScriptedCall) -> None:
        """Keep nothing of a call that has ended: a phone that runs for days has room for the next one."""
        call.stop()
        if call in self.calls:
            self.calls.remove(call)
        self._by_id.pop(call.call_id, None)
        self._ready().forget(call.call_id)

    async def close(self) -> None:
        """Hang up everything and close the sockets."""
        await asyncio.gather(*(call.hang_up() for call in self.calls))
        if self._timer is not None:
            self._timer.cancel()
        if self._sip is not None:
            self._sip.close()

    # Around the signalling

    def _ready(self) -> PhoneUserAgent:
        if self._agent is None:
            raise RuntimeError("the phone was not started")
        return self._agent

    def _now_s(self) -> float:
        return asyncio.get_running_loop().time()

    async def _new_call(self) -> ScriptedCall:
        stream = PhoneStream(
            ssrc=secrets.randbits(32), sequence=secrets.randbits(15), timestamp=secrets.randbits(32)
        )
        stream.talk(self._speech)
        stream.keeps_audio = self._keeps_audio
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            lambda: _Datagrams(lambda data, _source: stream.receive(data, loop.time())),
            local_addr=(self._media.address, 0),
        )
        call = ScriptedCall(self, transport, stream)
        self.calls.append(call)
        return call

    def _own(self, call: ScriptedCall, direction: str = "sendrecv") -> Media:
        own = self._media
        return Media(own.address, call.rtp_port, own.payload_types, own.event_payload_type, direction)

    def _description(self, call: ScriptedCall, direction: str = "sendrecv", version: int = 1) -> bytes:
        return write_sdp(self._own(call, direction), session=call.rtp_port, version=version)

    def _receive(self, data: bytes, source: Address) -> None:
        self._ready().receive_datagram(data, source, self._now_s())
        self._flush()

    def _flush(self) -> None:
        """Send, tell, and set the timer anew."""
        agent = self._ready()
        while (event := agent.next_event()) is not None:
            self._take(event)
        for data, peer in agent.datagrams_to_send():
            if self._sip is not None and not self._sip.is_closing():
                self._sip.sendto(data, peer)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if (at_s := agent.next_timer_s()) is not None:
            self._timer = asyncio.get_running_loop().call_at(at_s, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._ready().handle_timer(self._now_s())
        self._flush()

    def _take(self, event: Event) -> None:
        if isinstance(event, CallIncoming):
            task = asyncio.get_running_loop().create_task(self._take_call(event))
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)
            return
        call = self._by_id.get(event.call_id)
        if call is not None:
            self._tell(call, event)

    def _tell(self, call: ScriptedCall, event: Event) -> None:
        """Note on `call` what happened to it."""
        sdp = getattr(event, "sdp", b"")
        if sdp:
            call.connect(read_sdp(sdp), self._own(call))
        match event:
            case CallProgressing(status=status):
                call.statuses.append(status)
            case CallAnswered() | CallConfirmed():
                call.confirmed.set()
            case CallRefused(status=status):
                call.refused_status = status
                call.confirmed.set()
            case CallEnded():
                call.ended.set()
                call.stop()
            case InfoReceived():
                call.infos_received += 1
            case RequestAnswered(method="INFO", status=status):
                call.info_statuses.append(status)

    async def _take_call(self, event: CallIncoming) -> None:
        """Ring, then answer or refuse as this phone was told to."""
        call = await self._new_call()
        call.call_id, call.dialled, call.caller = event.call_id, event.dialled, event.caller
        self._by_id[call.call_id] = call
        agent = self._ready()
        if self._refuse_with:
            agent.refuse(call.call_id, self._refuse_with)
            call.ended.set()
            call.stop()
        else:
            agent.ring(call.call_id)
            if event.sdp:
                call.connect(read_sdp(event.sdp), self._own(call))
            if self._auto_answer:
                agent.answer(call.call_id, self._description(call), self._now_s())
            self._arrived.put_nowait(call)
        self._flush()
