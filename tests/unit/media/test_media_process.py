"""The real media process over loopback: sockets passed by descriptor, two phones, a slot read back, a kill."""

import contextlib
import os
import signal
import socket
import struct
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile

from dtmf_shield.account_data import slots as slot_layout
from dtmf_shield.media.codecs.g711 import decode_ulaw, encode_ulaw
from dtmf_shield.model.ids import CallId, LegRole
from dtmf_shield.model.media_health import AskMediaHealth, MediaHealth
from dtmf_shield.model.messages import (
    ArmSlot,
    AskStatistics,
    CallClosed,
    CallStatistics,
    CloseCall,
    ConfigureMedia,
    Heartbeat,
    KeysWritten,
    MediaToCde,
    MediaToControl,
    OpenCall,
    PeerConnected,
    ProcessName,
    ProcessReady,
    RecordingClosed,
    SetShield,
    SetStream,
    ShieldChanged,
    Shutdown,
    SlotArmed,
    SocketKind,
    SocketsPassed,
    StarCodeKeyed,
    StartRecording,
    StopService,
    ToSupervisor,
)
from dtmf_shield.model.stream import Codec, ShieldMode, StreamParameters
from dtmf_shield.service.channel import Channel, connect_pair
from dtmf_shield.service.child import CHANNEL_FD_VARIABLE
from dtmf_shield.service.sockets import SO_TIMESTAMPNS

ROWS = 16
EVENT_TYPE = 101
WAIT_S = 20.0
SLOT, GENERATION = 9, 0xFFFF_FFF7
KEY_HZ = dict(
    zip(
        "123A456B789C*0#D",
        [(row, column) for row in (697, 770, 852, 941) for column in (1209, 1336, 1477, 1633)],
        strict=True,
    )
)
EVENT_CODES = "0123456789*#ABCD"


def key_tones(keys: str, press: int = 800, pause: int = 800) -> np.ndarray:
    """Return keys of 100 ms, each followed by 100 ms of nothing, at -7 dBm0 a tone."""
    t = np.arange(press) / 8000
    pieces = [np.zeros(pause)]
    for key in keys:
        row, column = KEY_HZ[key]
        pieces += [6000 * (np.sin(2 * np.pi * row * t) + np.sin(2 * np.pi * column * t)), np.zeros(pause)]
    return np.concatenate(pieces).astype(np.int16)


def chord(n: int) -> np.ndarray:
    """Return n samples of a chord that is no key."""
    t = np.arange(n) / 8000
    return (2000 * sum(np.sin(2 * np.pi * hz * t) for hz in (310, 440, 620))).astype(np.int16)


def goertzel(samples: np.ndarray, hz: float) -> float:
    """Return the power of one frequency, as the mean square it contributes."""
    coefficient = 2 * np.cos(2 * np.pi * hz / 8000)
    before, last = 0.0, 0.0
    for sample in samples.astype(float):
        before, last = last, sample + coefficient * last - before
    power = last * last + before * before - coefficient * last * before
    return 2 * power / len(samples) ** 2


def hears_key(samples: np.ndarray, key: str) -> bool:
    """Tell whether any 10 ms hold both tones of `key` above -40 dBm0 and most of the energy in them."""
    for at in range(0, len(samples) - 80, 40):
        part = samples[at : at + 80].astype(float)
        energy = float(part @ part) / 80
        powers = [goertzel(part, hz) for hz in KEY_HZ[key]]
        if min(powers) > 200.0**2 / 2 and sum(powers) > 0.6 * energy:
            return True
    return False


class Phone:
    """One party: a UDP socket, sequence and timestamp."""

    def __init__(self, service: "Service", row: int, role: LegRole, family=socket.AF_INET) -> None:
        self.role = role
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
        self.socket.settimeout(WAIT_S)
        index = 4 * row + 2 * (role is LegRole.AGENT) + (family == socket.AF_INET6)
        self.target = service.rtp[index].getsockname()
        self.sequence, self.timestamp = 1, 1000

    @property
    def stream(self) -> StreamParameters:
        host, port = self.socket.getsockname()[:2]
        return StreamParameters(
            remote_host=host,
            remote_port=port,
            codec=Codec.PCMU,
            payload_type=0,
            telephone_event_payload_type=EVENT_TYPE,
        )

    def send(self, payload: bytes, payload_type: int = 0, timestamp: int | None = None) -> None:
        timestamp = self.timestamp if timestamp is None else timestamp
        header = struct.pack("!BBHII", 0x80, payload_type, self.sequence, timestamp, 7)
        self.sequence += 1
        self.socket.sendto(header + payload, self.target)

    def say(self, samples: np.ndarray, listener: "Phone | None" = None) -> np.ndarray:
        """Send `samples` in 20 ms packets, each after the one before has come out at `listener`."""
        heard = [np.zeros(0, np.int16)]
        for at in range(0, len(samples) - 159, 160):
            codes = np.zeros(160, np.uint8)
            encode_ulaw(samples[at : at + 160], codes)
            self.send(codes.tobytes())
            self.timestamp += 160
            if listener is not None:
                heard.append(listener.hear())
        return np.concatenate(heard)

    def press(self, keys: str) -> None:
        """Press keys by events, in real time: fillers are given by the clock."""
        for key in keys:
            start = self.timestamp
            for duration in (160, 320, 480, 640, 640, 640):
                end = 0x80 * (duration == 640)
                self.send(struct.pack("!BBH", EVENT_CODES.index(key), end | 10, duration), EVENT_TYPE, start)
                time.sleep(0.02 if duration < 640 else 0)  # updates come every 20 ms, ends in a burst
            self.timestamp += 640

    def hear(self) -> np.ndarray:
        """Return the audio of the next packet; it must be a whole frame of PCMU."""
        packet = self.socket.recv(2000)
        assert (len(packet), packet[1] & 127) == (172, 0)
        samples = np.zeros(160, np.int16)
        decode_ulaw(np.frombuffer(packet, np.uint8)[12:], samples)
        return samples

    def hears_nothing(self) -> bool:
        self.socket.settimeout(0.3)
        try:
            self.socket.recv(2000)
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(WAIT_S)
        return False


class Service:
    """What the supervisor holds, and the process under test."""

    def __init__(self, star_codes=("*1",)) -> None:
        self.star_codes = star_codes
        self.slots_fd, _ = slot_layout.create_region(allow_secret=False)
        self.slots = slot_layout.Region(self.slots_fd)
        self.rtp: dict[int, socket.socket] = {}
        for index in range(4 * ROWS):
            sock = socket.socket(socket.AF_INET6 if index % 2 else socket.AF_INET, socket.SOCK_DGRAM)
            if index % 2:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            with contextlib.suppress(OSError):  # a machine without IPv6
                sock.bind(("::1" if index % 2 else "127.0.0.1", 0))
                self.rtp[index] = sock
        self.start()

    def start(self) -> None:
        ours, theirs = connect_pair()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "dtmf_shield.service.media_process"],
            pass_fds=[theirs.fileno()],
            env={**os.environ, CHANNEL_FD_VARIABLE: str(theirs.fileno())},
        )
        theirs.close()
        self.channel = Channel(ours, ToSupervisor)
        self.channel.send(ConfigureMedia(ROWS, self.star_codes), (self.slots_fd,))
        indexes = tuple(self.rtp)
        self.channel.send(SocketsPassed(SocketKind.RTP, indexes), [self.rtp[i].fileno() for i in indexes])
        self.control = self.connect(ProcessName.CONTROL, MediaToControl)
        self.cde = self.connect(ProcessName.CDE, MediaToCde)

    def connect(self, peer: ProcessName, types) -> Channel:
        ours, theirs = connect_pair()
        self.channel.send(PeerConnected(peer), (theirs.fileno(),))
        theirs.close()
        return Channel(ours, types)

    def wait_ready(self) -> ProcessReady:
        # A cold cache compiles for a minute.
        message, _ = self.channel.receive(180.0)
        assert isinstance(message, ProcessReady)
        return message

    def tell(self, message: object) -> object:
        self.control.send(message)
        return self.control.receive(WAIT_S)[0]

    def set_shield(self, call_id: CallId, row: int, role: LegRole, mode: ShieldMode) -> None:
        assert self.tell(SetShield(call_id, row, role, mode)) == ShieldChanged(call_id, role, mode)

    def open(self, row: int, mode=ShieldMode.GUARD, family=socket.AF_INET) -> tuple[CallId, Phone, Phone]:
        call_id = CallId(f"call-{row}")
        caller = Phone(self, row, LegRole.CALLER, family)
        agent = Phone(self, row, LegRole.AGENT)
        self.reopen(call_id, row, mode, caller, agent)
        return call_id, caller, agent

    def reopen(self, call_id: CallId, row: int, mode: ShieldMode, *phones: Phone) -> None:
        self.control.send(OpenCall(call_id, row))
        for phone in phones:
            self.control.send(SetStream(call_id, row, phone.role, phone.stream))
        for phone in phones:
            self.set_shield(call_id, row, phone.role, mode)

    def arm(self, call_id: CallId, row: int, slot: int = SLOT) -> None:
        base = slot * slot_layout.SLOT_BYTES
        self.slots.wipe_range(base, slot_layout.SLOT_BYTES)
        self.slots.view[base : base + 4] = struct.pack("<I", GENERATION)
        self.slots.view[base + slot_layout.STATE_AT] = slot_layout.STATE_ARMED
        self.cde.send(ArmSlot(slot, GENERATION, call_id, row))
        assert self.cde.receive(WAIT_S)[0] == SlotArmed(slot, GENERATION, ok=True)

    def keys(self, n: int, slot: int = SLOT) -> bytes:
        """Wait for `n` keys to be told, and return them."""
        for head in range(1, n + 1):
            told = self.cde.receive(WAIT_S)[0]
            assert told == KeysWritten(slot, GENERATION, head, heard_s=told.heard_s)
            assert told.heard_s is not None
        start = slot * slot_layout.SLOT_BYTES + slot_layout.RING_AT
        return bytes(self.slots.view[start : start + n])

    def stop(self) -> int:
        self.channel.send(Shutdown())
        code = self.process.wait(WAIT_S)
        self.channel.close()
        return code

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for held in (self.channel, self.control, self.cde, *self.rtp.values()):
            held.close()


@pytest.fixture(scope="module")
def service():
    running = Service()
    running.wait_ready()
    yield running
    running.close()


@pytest.fixture
def own_service():
    running = Service()
    running.wait_ready()
    yield running
    running.close()


def test_it_beats_while_its_loop_turns(service):
    assert service.channel.receive(WAIT_S)[0] == Heartbeat(ProcessName.MEDIA)


def test_audio_passes_both_ways(service):
    _, caller, agent = service.open(0)
    spoken = chord(3200)

    for speaker, listener in ((caller, agent), (agent, caller)):
        heard = speaker.say(spoken, listener)
        assert np.max(np.abs(heard[400:].astype(int) - spoken[360:-40])) < 300


def test_nothing_but_noise_passes_before_the_shield_is_set(service):
    caller, agent = Phone(service, 1, LegRole.CALLER), Phone(service, 1, LegRole.AGENT)
    service.control.send(OpenCall(CallId("mute"), 1))
    for phone in (caller, agent):
        service.control.send(SetStream(CallId("mute"), 1, phone.role, phone.stream))
    assert isinstance(service.tell(AskStatistics(CallId("mute"), 1)), CallStatistics)

    heard = caller.say(chord(1600), agent)

    assert np.max(np.abs(heard)) < 300


@pytest.mark.parametrize(("row", "mode"), [(2, ShieldMode.CAPTURE), (3, ShieldMode.GUARD)])
def test_tones_reach_the_slot_and_not_the_agent(service, row, mode):
    call_id, caller, agent = service.open(row, mode)
    service.arm(call_id, row)
    keyed = key_tones("4242#")

    heard = caller.say(keyed, agent)

    assert service.keys(5) == b"4242#"
    assert all(hears_key(keyed, key) for key in "42#")
    assert not any(hears_key(heard, key) for key in KEY_HZ)


def test_events_reach_the_slot_and_not_the_agent(service):
    call_id, caller, agent = service.open(4, ShieldMode.CAPTURE)
    service.arm(call_id, 4)
    caller.say(chord(800), agent)

    caller.press("5105#")

    assert service.keys(5) == b"5105#"
    statistics = service.tell(AskStatistics(call_id, 4))
    assert statistics.caller.events_removed == 30
    # hear() refuses anything but whole frames of audio: as many as were told to be sent.
    assert len([agent.hear() for _ in range(statistics.agent.sent - 5)]) >= 15
    assert agent.hears_nothing()


def test_a_star_code_of_the_agent_is_told_to_control(service):
    call_id, caller, agent = service.open(5)

    heard = agent.say(key_tones("*1"), caller)

    assert service.control.receive(WAIT_S)[0] == StarCodeKeyed(call_id, LegRole.AGENT, 0)
    assert not any(hears_key(heard, key) for key in "*1")


def test_packets_of_a_stranger_are_dropped_and_counted(service):
    call_id, caller, agent = service.open(6, ShieldMode.CAPTURE)
    service.arm(call_id, 6)
    caller.say(chord(800), agent)
    stranger = Phone(service, 6, LegRole.CALLER)

    stranger.say(key_tones("1"))
    stranger.press("1")
    stranger.socket.sendto(b"\x81\xc8\0\0", stranger.target)

    assert agent.hears_nothing()
    statistics = service.tell(AskStatistics(call_id, 6))
    assert (statistics.caller.received, statistics.caller.bad_source) == (5, 22)
    assert not any(service.slots.view[SLOT * 256 + 16 : SLOT * 256 + 80])


def test_a_caller_on_ipv6_talks_to_an_agent_on_ipv4(service):
    _, caller, agent = service.open(7, family=socket.AF_INET6)

    assert np.max(np.abs(caller.say(chord(1600), agent)[400:])) > 1000
    assert np.max(np.abs(agent.say(chord(1600), caller)[400:])) > 1000


def test_a_recording_is_complete_before_the_call_is_closed(service, tmp_path):
    call_id, caller, agent = service.open(8)
    path = tmp_path / "call.wav"
    service.control.send(StartRecording(call_id, 8, str(path)))
    service.tell(AskStatistics(call_id, 8))

    caller.say(key_tones("77"), agent)
    agent.say(chord(1600), caller)
    closing = service.tell(CloseCall(call_id, 8))

    assert isinstance(closing, RecordingClosed)
    assert (closing.call_id, closing.path, closing.frames_dropped) == (call_id, str(path), 0)
    assert isinstance(service.control.receive(WAIT_S)[0], CallClosed)
    audio, _ = soundfile.read(path, dtype="int16")
    assert audio.shape[1] == 2
    assert not hears_key(audio[:, 0], "7")
    assert np.max(np.abs(audio[:, 0])) < 300
    assert np.max(np.abs(audio[:, 1])) > 1000


def test_a_closed_row_is_silent_and_carries_nothing_into_the_next_call(service):
    call_id, caller, agent = service.open(9)
    caller.say(chord(800), agent)
    closed = service.tell(CloseCall(call_id, 9))
    caller.say(chord(800))

    assert closed.caller.received == 5
    assert closed.agent.sent == 5
    assert agent.hears_nothing()
    _, new_caller, new_agent = service.open(9)
    assert np.max(np.abs(new_caller.say(chord(800), new_agent))) > 1000


def test_orders_for_unknown_calls_change_nothing(service):
    _, caller, agent = service.open(10)

    service.control.send(SetShield(CallId("other"), 10, LegRole.CALLER, ShieldMode.MUTE))
    service.control.send(OpenCall(CallId("other"), ROWS))
    service.control.send(CloseCall(CallId("other"), 10))
    service.cde.send(ArmSlot(SLOT, 1, CallId("other"), 10))

    assert service.cde.receive(WAIT_S)[0] == SlotArmed(SLOT, 1, ok=False)
    assert np.max(np.abs(caller.say(chord(1600), agent)[400:])) > 1000


def test_it_tells_how_its_thread_does_and_what_the_sentinel_has_heard(own_service):
    empty = own_service.tell(AskMediaHealth())
    assert isinstance(empty, MediaHealth)
    assert (empty.listened_legs, empty.listened_s, empty.keys_after_mask) == (0, 0, 0)
    assert [(thread.name, thread.packets, thread.stay_us_p99) for thread in empty.threads] == [
        ("shard-0", 0, 0)
    ]
    call_id, caller, agent = own_service.open(0, ShieldMode.CAPTURE)
    own_service.arm(call_id, 0)
    caller.say(chord(160), agent)
    time.sleep(0.2)  # a tick posts the sentinel

    caller.say(key_tones("4242#"), agent)
    agent.say(chord(1_600), caller)

    assert own_service.keys(5) == b"4242#"
    health = own_service.tell(AskMediaHealth())
    (thread,) = health.threads
    assert thread.packets == 1 + 55 + 10
    assert 0 < thread.stay_us_p50 <= thread.stay_us_p99
    assert 0 < thread.stay_us_max < 10_000_000
    assert 0 < thread.busy_permille < 1_000
    assert (health.listened_legs, health.listened_s) == (1, 1)
    assert (health.keys_after_mask, health.events_lost) == (0, 0)
    statistics = own_service.tell(AskStatistics(call_id, 0))
    assert (statistics.caller.keys_tones, statistics.caller.keys_events) == (5, 0)
    # Packets that follow each other at once have the jitter of packets that are 20 ms early.
    assert 10_000 < statistics.caller.jitter_us < 30_000


def test_losing_control_and_cde_changes_no_mask(own_service):
    call_id, caller, agent = own_service.open(0, ShieldMode.CAPTURE)
    own_service.arm(call_id, 0)
    caller.say(key_tones("42"), agent)
    assert own_service.keys(2) == b"42"

    own_service.control.close()
    own_service.cde.close()
    keyed = key_tones("4242")
    heard = caller.say(keyed, agent)

    assert hears_key(keyed, "4")
    assert not any(hears_key(heard, key) for key in KEY_HZ)
    assert not any(own_service.slots.view)
    own_service.control = own_service.connect(ProcessName.CONTROL, MediaToControl)
    own_service.reopen(call_id, 0, ShieldMode.GUARD, caller, agent)
    assert np.max(np.abs(caller.say(chord(1600), agent)[400:])) > 1000
    # The call was taken up, not begun anew.
    assert own_service.tell(AskStatistics(call_id, 0)).caller.received == 25 + 45 + 10


def test_killed_in_a_capture_it_starts_again_on_the_same_sockets(own_service):
    call_id, caller, agent = own_service.open(0, ShieldMode.CAPTURE)
    caller.say(chord(800), agent)
    own_service.process.send_signal(signal.SIGKILL)
    own_service.process.wait()
    keyed = key_tones("42")
    caller.say(keyed)
    assert agent.hears_nothing()

    own_service.start()
    own_service.wait_ready()
    # What waited in the sockets belongs to no call and is not passed on.
    own_service.reopen(call_id, 0, ShieldMode.CAPTURE, caller, agent)
    own_service.arm(call_id, 0)
    heard = caller.say(keyed, agent)

    assert own_service.keys(2) == b"42"
    assert not any(hears_key(heard, key) for key in KEY_HZ)
    assert np.max(np.abs(caller.say(chord(1600), agent)[800:])) > 1000


def test_told_to_leave_it_completes_recordings_and_exits(own_service, tmp_path):
    call_id, caller, agent = own_service.open(0)
    own_service.control.send(StartRecording(call_id, 0, str(tmp_path / "call.wav")))
    own_service.tell(AskStatistics(call_id, 0))
    caller.say(chord(1600), agent)

    assert own_service.stop() == 0
    assert soundfile.info(tmp_path / "call.wav").frames >= 1600


def test_a_configuration_it_cannot_serve_is_told():
    service = Service(star_codes=("*12345678",))

    message, _ = service.channel.receive(180.0)

    assert isinstance(message, StopService)
    assert "star codes" in message.reason
    assert service.process.wait(WAIT_S) == 2
    service.close()
