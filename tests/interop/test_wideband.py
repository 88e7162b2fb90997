"""G.722 from end to end between independent phones (RFC 3551 section 4.5.2): pjsua2 calls, keys a card, hears, records.

The caller keys in-band at 16 kHz while it talks, by WAV files that PJSIP codes itself; the agent's pjsua2 phone, or
a scripted one that knows only PCMA, is what must hear the voice and no key.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from scipy import signal

from dtmf_shield.phone.door import Door
from dtmf_shield.phone.tones import LEVEL_DBM0, ZERO_DBM0_PEAK, Press, frequencies_hz, presses
from dtmf_shield.phone.voices import Voice, voice
from dtmf_shield.service.demo.phones import Pjsua2Phone, pjsua2_is_here
from tests.interop.callers import VISA, card_fields
from tests.interop.ears import NOTHING, SAMPLE_RATE_HZ, channels_of, heard_by_all, speech_seconds
from tests.interop.phones import AgentCall, Phone, Phones
from tests.interop.running_service import RunningService

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(not pjsua2_is_here(), reason="pjsua2 has no wheel for this machine"),
]

WIDE_HZ = 16_000
FIELDS = ("pan", "expiry", "cvv")
SPEECH_MIN_S = 1.0
CLOSING_S = 5.0
RECORDED_SPEECH_MIN_S = 0.5
"""While keys sound back to back the other side is muted too."""
PCMA = 8
HISS_RMS = 250.0
HISS_FROM_HZ = 4_500
"""The caller's voice comes with a hiss that only a wideband leg can carry."""


class WidebandPhone(Pjsua2Phone):
    """A pjsua2 phone that speaks G.722 alone and keys by tones of 16 kHz."""

    def __init__(self) -> None:
        super().__init__(wideband=True)

    async def start(self, directory: Path, who: Voice) -> None:
        """Get ready, with a voice that has a hiss above what a narrowband leg carries."""
        await super().start(directory, who)
        spoken = signal.resample_poly(voice(who).astype(np.float64), WIDE_HZ, SAMPLE_RATE_HZ)
        high = signal.butter(6, HISS_FROM_HZ, "high", fs=WIDE_HZ, output="sos")
        hiss = signal.sosfilt(high, np.random.default_rng(1).normal(0, HISS_RMS, len(spoken)))
        speech = directory / f"{who}-wide-speech.wav"
        soundfile.write(speech, as_pcm(spoken + hiss), WIDE_HZ)
        await self._order("talk", file=str(speech))

    async def key(self, press: Press, door: Door) -> None:
        """Press one key by a tone file at 16 kHz."""
        assert door is Door.INBAND
        tone = self._directory / f"wide-key-{self.keys_sent}.wav"
        soundfile.write(tone, wide_tone(press.key, press.tone_ms), WIDE_HZ)
        await self._order("key", door=door, file=str(tone))
        self.keys_sent += 1
        await asyncio.sleep((press.tone_ms + press.gap_ms) / 1000)


def as_pcm(audio: NDArray[np.float64]) -> NDArray[np.int16]:
    """Return audio as int16."""
    return np.asarray(np.clip(np.rint(audio), -32_768, 32_767), np.int16)


def wide_tone(key: str, duration_ms: int) -> NDArray[np.int16]:
    """Return a press, int16 at 16 kHz."""
    time_s = np.arange(duration_ms * WIDE_HZ // 1000) / WIDE_HZ
    peak = ZERO_DBM0_PEAK * 10 ** (LEVEL_DBM0 / 20)
    row_hz, column_hz = frequencies_hz(key)
    return as_pcm(peak * (np.sin(2 * np.pi * row_hz * time_s) + np.sin(2 * np.pi * column_hz * time_s)))


@dataclass(frozen=True)
class WideCall:
    """What one call left behind."""

    outcome: dict[str, Any]
    recording: Path
    heard: NDArray[np.int16]
    """By the agent, 8 kHz."""
    sent: NDArray[np.int16]
    """By the caller, 8 kHz."""
    keys: str
    agent: AgentCall | None = None
    heard_file: Path | None = None


def at_8_khz(path: Path) -> NDArray[np.int16]:
    """Return a mono recording at 8 kHz."""
    pcm, rate_hz = soundfile.read(path, dtype="int16")
    return as_pcm(signal.resample_poly(pcm.astype(np.float64), SAMPLE_RATE_HZ, rate_hz))


def key_card(service: RunningService, phones: Phones, caller: WidebandPhone, dialled: str) -> str:
    """Take an answered call through a capture, key by key, to its outcome; return its id."""
    call = str(service.call_to(dialled)["id"])
    service.start_capture(call)
    for seed, (field, keys) in enumerate(zip(FIELDS, card_fields(VISA), strict=True)):
        service.wait_for_field(call, field, "waiting")
        time.sleep(0.3)  # a caller reads the next number before he keys it
        for press in presses(keys, seed):
            phones.run(caller.key(press, Door.INBAND))
    return call


@pytest.fixture(scope="module")
def narrow_agent(phones: Phones) -> Phone:
    """A phone that knows only PCMA."""
    return phones.open(payload_types=(PCMA,))


@pytest.fixture(scope="module")
def calls(
    phones: Phones, narrow_agent: Phone, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, WideCall]]:
    """Call an agent who speaks G.722, then one who speaks PCMA; each caller keys a card."""
    directory = tmp_path_factory.mktemp("wideband")
    agent = WidebandPhone()
    phones.run(agent.start(directory / "agent", Voice.AGENT))
    service = RunningService(
        directory / "service",
        {"wide": f"127.0.0.1:{agent.port}", "narrow": f"127.0.0.1:{narrow_agent.port}"},
    )
    done: dict[str, WideCall] = {}
    try:
        for dialled in ("wide", "narrow"):
            done[dialled] = place(service, phones, directory / dialled, dialled, narrow_agent)
        phones.run(agent.close())
        done["wide"] = WideCall(
            **{
                **vars(done["wide"]),
                "heard": at_8_khz(agent.heard_file),
                "heard_file": agent.heard_file,
            }
        )
        yield done
    finally:
        phones.run(agent.close())
        assert service.stop() == 0, service.log_tail()


def place(
    service: RunningService, phones: Phones, directory: Path, dialled: str, narrow_agent: Phone
) -> WideCall:
    """Place one call and take it to its end."""
    caller = WidebandPhone()
    phones.run(caller.start(directory, Voice.CALLER))
    try:
        host, port = service.sip
        phones.run(caller.call(f"sip:{dialled}@{host}:{port}"))
        agent = narrow_agent.incoming() if dialled == "narrow" else None
        call = key_card(service, phones, caller, dialled)
        outcome = service.wait_for_outcome(call)
        time.sleep(CLOSING_S)
        phones.run(caller.hang_up())
    finally:
        phones.run(caller.close())
    heard = agent.call.heard if agent is not None else np.zeros(0, np.int16)
    keys = "".join(card_fields(VISA))
    return WideCall(outcome, service.recording_of(call), heard, at_8_khz(caller.sent_file), keys, agent)


LINES = ("wide", "narrow")


@pytest.mark.parametrize("line", LINES)
def test_card_ends_with_a_token(calls: dict[str, WideCall], line: str) -> None:
    outcome = calls[line].outcome

    assert (outcome["result"], outcome["brand"], outcome["last4"]) == ("token", "visa", VISA[-4:])


@pytest.mark.parametrize("line", LINES)
def test_agent_hears_the_voice_and_no_key(calls: dict[str, WideCall], line: str, work: Path) -> None:
    heard = calls[line].heard

    assert heard_by_all(heard, work) == NOTHING
    assert speech_seconds(heard) > SPEECH_MIN_S


@pytest.mark.parametrize("line", LINES)
def test_recording_is_of_8_khz_and_holds_the_voice_and_no_key(
    calls: dict[str, WideCall], line: str, work: Path
) -> None:
    for channel in channels_of(calls[line].recording):
        assert heard_by_all(channel, work) == NOTHING
        assert speech_seconds(channel) > RECORDED_SPEECH_MIN_S


@pytest.mark.parametrize("line", LINES)
def test_the_same_ears_hear_the_keys_in_what_the_caller_sent(
    calls: dict[str, WideCall], line: str, work: Path
) -> None:
    """The caller talks on while it keys: an ear may miss one under its voice, and may not miss many."""
    for keys in heard_by_all(calls[line].sent, work).values():
        assert len(keys) > 0.8 * len(calls[line].keys)


def test_what_only_wideband_carries_reaches_the_wideband_agent(calls: dict[str, WideCall]) -> None:
    path = calls["wide"].heard_file
    assert path is not None
    pcm, rate_hz = soundfile.read(path, dtype="float64")

    hz, power = signal.welch(pcm * 32_768, rate_hz, nperseg=512)
    band = (hz > HISS_FROM_HZ + 300) & (hz < 6_500)
    hiss_rms = np.sqrt(np.sum(power[band]) * (hz[1] - hz[0]))
    assert rate_hz == WIDE_HZ
    assert hiss_rms > HISS_RMS / 4


def test_an_agent_of_pcma_gets_pcma_in_packets_of_the_callers_length(calls: dict[str, WideCall]) -> None:
    agent = calls["narrow"].agent
    assert agent is not None

    assert {packet.payload_type for packet in agent.packets} == {PCMA}
    assert {len(packet.payload) for packet in agent.packets} == {160}
