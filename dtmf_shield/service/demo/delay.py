"""The delay that the service adds to speech, measured packet by packet with two scripted phones around it.

A sample's delay is the arrival time of the packet that carries it, less the sending time of the packet that carried
it, plus how much later in its packet it now stands. So a hold-back counts in full, and a receiver's jitter buffer
not at all. What the two phones' own loop adds (well under a millisecond) is counted against the service.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import numpy as np

from dtmf_shield.base.errors import OperatorError
from dtmf_shield.phone.scripted import CallRefusedError, ScriptedCall, ScriptedPhone
from dtmf_shield.phone.stream import PACKET_SAMPLES, Passage
from dtmf_shield.phone.tones import SAMPLE_RATE_HZ
from dtmf_shield.phone.voices import Voice, voice
from dtmf_shield.service.witness.attacker import lag_between

PROBE_AGENT: Final = "delay-probe"
TALK_S: Final = 4.0
CORRELATION_MIN: Final = 0.5
"""Below it, what arrived is not what was said."""


class DelayProbe:
    """A caller and an agent for one measuring call."""

    def __init__(self) -> None:
        self.agent_port = 0
        self._caller: ScriptedPhone | None = None
        self._agent: ScriptedPhone | None = None

    async def start(self) -> None:
        """Open both phones; the agent's port goes into the service's configuration as `PROBE_AGENT`."""
        self._caller = await ScriptedPhone.start(speech=voice(Voice.CALLER))
        self._agent = await ScriptedPhone.start(speech=voice(Voice.AGENT))
        self.agent_port = self._agent.port

    async def measure(self, uri: str) -> float | None:
        """Call `uri`, which leads to this probe's agent, and talk: the median delay in ms, None where not known."""
        if self._caller is None or self._agent is None:
            raise OperatorError("the delay probe was not started")
        try:
            call = await self._caller.call(uri)
            answered = await self._agent.incoming()
        except (CallRefusedError, TimeoutError):
            return None
        await asyncio.sleep(TALK_S)
        await call.hang_up()
        return await asyncio.to_thread(added_delay_ms, call, answered)

    async def close(self) -> None:
        """Close both phones."""
        for phone in (self._caller, self._agent):
            if phone is not None:
                await phone.close()


def added_delay_ms(sender: ScriptedCall, receiver: ScriptedCall) -> float | None:
    """Return the median delay of what `receiver` heard of `sender`, in ms; None where nothing matches."""
    lag, correlation = lag_between(sender.sent, receiver.heard)
    if correlation < CORRELATION_MIN:
        return None
    return median_delay_ms(sender.stream.sent_log, receiver.stream.heard_log, lag)


def median_delay_ms(sent: Sequence[Passage], heard: Sequence[Passage], lag: int) -> float | None:
    """Return the median delay in ms of streams in which sample k was heard as sample k + `lag`; None for none."""
    arrivals = {passage.at_sample // PACKET_SAMPLES: passage for passage in heard}
    delays: list[float] = []
    for passage in sent:
        place = passage.at_sample + lag
        arrived = arrivals.get(place // PACKET_SAMPLES)
        if arrived is not None:
            shift_s = (place - arrived.at_sample) / SAMPLE_RATE_HZ
            delays.append(1000 * (arrived.at_s - passage.at_s + shift_s))
    return round(float(np.median(delays)), 2) if delays else None
