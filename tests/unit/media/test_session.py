"""A call's two legs without a socket: RFC 3550 continuity, RFC 4733 events, joined doors, slots, and no key outside."""

import struct
from dataclasses import dataclass
from itertools import pairwise

import numba
import numpy as np
import pytest

from dtmf_shield.account_data import slots as slot_layout
from dtmf_shield.media.codecs.g711 import decode_alaw, decode_ulaw, encode_alaw, encode_ulaw
from dtmf_shield.media.frames import CallerFrame
from dtmf_shield.media.masker import MODE_CAPTURE, MODE_GUARD, MODE_MUTE
from dtmf_shield.media.recorder import make_tap_ring
from dtmf_shield.media.session.commands import (
    COMMAND_ARM,
    COMMAND_CLOSE,
    COMMAND_DISARM,
    COMMAND_DISARM_ALL,
    COMMAND_DTYPE,
    COMMAND_OPEN,
    COMMAND_RECORD,
    COMMAND_SHIELD,
    COMMAND_STREAM,
    apply_command,
)
from dtmf_shield.media.session.legs import (
    DIRECTION_INACTIVE,
    DIRECTION_RECVONLY,
    DIRECTION_SENDONLY,
    DIRECTION_SENDRECV,
    EVENT_CALL_CLOSED,
    EVENT_CELLS,
    EVENT_KEYS_WRITTEN,
    EVENT_SHIELD_CHANGED,
    EVENT_SLOT_ARMED,
    EVENT_STAR_CODE,
    make_tables,
    post_event,
)
from dtmf_shield.media.session.output import encode_masked
from dtmf_shield.media.session.receive import receive_packet, tick

MS = 1_000_000
CALLER, AGENT = 0, 1
EVENT_TYPE = 101
TONES = dict(
    zip(
        "123A456B789C*0#D",
        [(r, c) for r in (697, 770, 852, 941) for c in (1209, 1336, 1477, 1633)],
        strict=True,
    )
)
SPEECH_HZ = (310.0, 440.0, 620.0)


def tone(key: str, n: int, start: int = 0, peak: float = 6000.0) -> np.ndarray:
    """Return n samples of a key's two tones at -10 dBm0 or so."""
    row, column = TONES[key]
    t = (start + np.arange(n)) / 8000
    return (peak * (np.sin(2 * np.pi * row * t) + np.sin(2 * np.pi * column * t)) / 2).astype(np.int16)


def talk(n: int, start: int = 0) -> np.ndarray:
    """Return n samples of a chord that is no key."""
    t = (start + np.arange(n)) / 8000
    return (2000 * sum(np.sin(2 * np.pi * hz * t) for hz in SPEECH_HZ)).astype(np.int16)


def tone_share(samples: np.ndarray, key: str) -> float:
    """Return the largest share of energy at a key's two tones in any 5 ms, 0..1, over -50 dBm0."""
    worst = 0.0
    basis = np.exp(-2j * np.pi * np.outer(np.arange(40) / 8000, TONES[key]))
    for at in range(0, len(samples) - 40, 20):
        part = samples[at : at + 40].astype(float)
        energy = float(part @ part)
        if energy > 40 * 200.0**2:
            worst = max(worst, float(np.sum(np.abs(part @ basis) ** 2)) / (20 * energy))
    return worst


@dataclass
class Sent:
    marker: int
    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes

    @property
    def n(self) -> int:
        return len(self.payload)


class Phone:
    """One side's sender: its own sequence, timestamp and source."""

    def __init__(self, call: "Call", leg: int, ssrc: int) -> None:
        self.call, self.leg, self.ssrc = call, leg, ssrc
        self.sequence, self.timestamp = 65_533, 2**32 - 400
        self.codec, self.payload_type = "PCMU", 0

    def packet(
        self, payload: bytes, *, payload_type=None, timestamp=None, sequence=None, marker=0, first=0x80
    ) -> bytes:
        if sequence is None:
            sequence, self.sequence = self.sequence, (self.sequence + 1) % 65536
        payload_type = self.payload_type if payload_type is None else payload_type
        timestamp = self.timestamp if timestamp is None else timestamp
        return (
            struct.pack("!BBHII", first, marker << 7 | payload_type, sequence, timestamp % 2**32, self.ssrc)
            + payload
        )

    def encoded(self, samples: np.ndarray) -> bytes:
        codes = np.zeros(len(samples), np.uint8)
        (encode_ulaw if self.codec == "PCMU" else encode_alaw)(samples.astype(np.int16), codes)
        return codes.tobytes()

    def say(self, samples: np.ndarray, n: int = 160, *, lose=()) -> list[Sent]:
        """Send samples as packets of n, one every n samples; leave out those whose place is in `lose`."""
        sent = []
        for place, at in enumerate(range(0, len(samples), n)):
            data = self.packet(self.encoded(samples[at : at + n]))
            self.timestamp += n
            self.call.wait(n)
            if place not in lose:
                sent += self.call.receive(self.leg, data)
        return sent

    def event(self, code: int, start: int, duration: int, *, end=False, **fields) -> list[Sent]:
        payload = struct.pack("!BBH", code, 0x80 * end | 10, duration)
        data = self.packet(payload, payload_type=EVENT_TYPE, timestamp=start, **fields)
        return self.call.receive(self.leg, data)

    def press(self, code: int, frames: int = 5) -> list[Sent]:
        """Press a key by events in place of audio, ends sent three times in a burst."""
        sent, start = [], self.timestamp
        for frame in range(frames):
            self.call.wait(160)
            sent += self.event(code, start, 160 * (frame + 1), marker=int(frame == 0))
        for _ in range(3):
            sent += self.event(code, start, 160 * frames, end=True)
        self.timestamp += 160 * frames
        return sent


class Call:
    """Row 1 of a small table, opened, with both streams agreed."""

    def __init__(self, mode: int = MODE_GUARD, codecs=("PCMU", "PCMU"), star_codes=("*1",)) -> None:
        self.slots = np.zeros(slot_layout.REGION_BYTES, np.uint8)
        self.tables = make_tables(2, star_codes, self.slots, make_tap_ring(64), np.zeros)
        self.now_ns = 10**12
        self.caller, self.agent = Phone(self, CALLER, 0xAAAA), Phone(self, AGENT, 0xBBBB)
        self.command(COMMAND_OPEN, CALLER, [0x11111111, 100, 5000, 0x22222222, 65_530, 2**32 - 320])
        for phone, codec in zip((self.caller, self.agent), codecs, strict=True):
            phone.codec, phone.payload_type = codec, 0 if codec == "PCMU" else 8
            self.stream(phone)
            self.command(COMMAND_SHIELD, phone.leg, [mode])
        self.events()

    def command(self, kind: int, leg: int = CALLER, numbers=(), generation: int = 9) -> None:
        record = np.zeros(1, COMMAND_DTYPE)
        record[0]["kind"], record[0]["leg"], record[0]["generation"] = kind, 2 + leg, generation
        record[0]["numbers"][: len(numbers)] = numbers
        apply_command(self.tables, record[0], self.now_ns)

    def stream(self, phone: Phone, direction: int = DIRECTION_SENDRECV) -> None:
        numbers = [4, 16, phone.codec == "PCMA", phone.payload_type, EVENT_TYPE, 160, direction]
        self.command(COMMAND_STREAM, phone.leg, numbers)

    def wait(self, n_samples: int) -> None:
        self.now_ns += n_samples * 125_000

    def receive(self, leg: int, data: bytes) -> list[Sent]:
        self.tables.packet[: len(data)] = np.frombuffer(data, np.uint8)
        count = receive_packet(self.tables, 2 + leg, len(data), self.now_ns)
        sent = []
        for k in range(count):
            packet = self.tables.out[k, : self.tables.out_bytes[k]].tobytes()
            _, second, *numbers = struct.unpack("!BBHII", packet[:12])
            sent.append(Sent(second >> 7, second & 127, *numbers, packet[12:]))
        return sent

    def events(self) -> list[tuple[int, ...]]:
        """Return (kind, row, generation, side, numbers...) of the records posted since last asked."""
        heads = self.tables.event_heads
        records = [self.tables.events[at % EVENT_CELLS].tolist() for at in range(heads[1], heads[0])]
        heads[1] = heads[0]
        return [(r[0], r[1], r[2], r[7], *r[3:7]) for r in records]

    def arm(self, slot: int = 5, generation: int = 77, leg: int = CALLER) -> None:
        base = slot * slot_layout.SLOT_BYTES
        self.slots[base : base + 4] = np.frombuffer(struct.pack("<I", generation), np.uint8)
        self.slots[base + slot_layout.STATE_AT] = slot_layout.STATE_ARMED
        self.command(COMMAND_ARM, leg, [slot, generation])

    def keys(self, slot: int = 5) -> str:
        base = slot * slot_layout.SLOT_BYTES
        head = int(self.slots[base + slot_layout.HEAD_AT])
        ring = self.slots[base + slot_layout.RING_AT : base + slot_layout.RING_AT + head]
        return ring.tobytes().decode()

    def statistics(self, leg: int) -> np.record:
        return self.tables.legs.view(np.recarray)[2 + leg]


def decoded(sent: list[Sent], codec: str = "PCMU") -> np.ndarray:
    codes = np.frombuffer(b"".join(packet.payload for packet in sent), np.uint8)
    samples = np.zeros(len(codes), np.int16)
    (decode_ulaw if codec == "PCMU" else decode_alaw)(codes, samples)
    return samples


def assert_unbroken(sent: list[Sent]) -> None:
    for before, after in pairwise(sent):
        assert after.sequence == (before.sequence + 1) % 65536
        assert after.timestamp == (before.timestamp + before.n) % 2**32
        assert after.ssrc == before.ssrc


# --- continuity ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [80, 160, 240, 320, 400, 480])
def test_audio_passes_with_our_own_numbers_at_any_packet_time(n):
    call = Call()

    sent = call.caller.say(talk(10 * n), n)

    assert len(sent) == 10
    assert_unbroken(sent)
    assert [packet.marker for packet in sent] == [1] + [0] * 9
    assert (sent[0].sequence, sent[0].timestamp, sent[0].ssrc) == (65_530, 2**32 - 320, 0x22222222)


def test_audio_comes_out_five_milliseconds_later():
    call = Call()
    spoken = talk(1600)

    heard = decoded(call.caller.say(spoken))

    # The first samples lie under the noise that every call begins with.
    assert np.max(np.abs(heard[240:].astype(int) - spoken[200:-40])) < 300


def test_codecs_are_changed_over():
    call = Call(codecs=("PCMA", "PCMU"))
    spoken = talk(1600)

    sent = call.caller.say(spoken)
    back = call.agent.say(spoken)

    assert {packet.payload_type for packet in sent} == {0}
    assert {packet.payload_type for packet in back} == {8}
    for heard in (decoded(sent, "PCMU"), decoded(back, "PCMA")):
        assert np.max(np.abs(heard[240:].astype(int) - spoken[200:-40])) < 500


def test_a_call_is_born_mute():
    call = Call(mode=MODE_MUTE)

    heard = decoded(call.caller.say(talk(1600)))

    assert len(heard) == 1600
    assert np.max(np.abs(heard)) < 300


def test_a_loss_outside_a_capture_is_seen_as_a_loss():
    call = Call()

    sent = call.caller.say(talk(1600), lose=(4, 5))

    assert len(sent) == 8
    assert (sent[4].sequence - sent[3].sequence) % 65536 == 3
    assert (sent[4].timestamp - sent[3].timestamp) % 2**32 == 480
    assert call.statistics(CALLER).lost == 2


def test_a_loss_in_a_capture_is_filled():
    call = Call(mode=MODE_CAPTURE)

    sent = call.caller.say(talk(1600), lose=(4, 5))

    assert len(sent) == 10
    assert_unbroken(sent)


def test_fillers_have_a_limit():
    call = Call(mode=MODE_CAPTURE)
    call.caller.say(talk(160))

    sent = call.caller.say(talk(160 * 60), lose=range(59))

    assert len(sent) == 11
    assert_unbroken(sent[:10])


def test_silence_is_no_loss_and_ends_with_a_marker():
    call = Call()
    first = call.caller.say(talk(480))
    call.wait(8000)
    call.caller.timestamp += 8000

    second = call.caller.say(talk(480))

    assert second[0].sequence == (first[-1].sequence + 1) % 65536
    assert (second[0].timestamp - first[-1].timestamp) % 2**32 == 8160
    assert second[0].marker == 1
    assert call.statistics(CALLER).lost == 0


def test_a_new_source_goes_on_where_the_old_one_ended():
    call = Call()
    first = call.caller.say(talk(800))
    call.wait(4000)
    call.caller.ssrc, call.caller.sequence, call.caller.timestamp = 0xCCCC, 7, 123_456

    second = call.caller.say(talk(800))

    assert second[0].sequence == (first[-1].sequence + 1) % 65536
    assert (second[0].timestamp - first[-1].timestamp) % 2**32 == 4160
    assert second[0].marker == 1
    assert second[0].ssrc == first[0].ssrc


@pytest.mark.parametrize("jump", [-1_000_000, 1_000_000, -8000])
def test_a_jumping_timestamp_does_not_silence_the_call(jump):
    call = Call()
    first = call.caller.say(talk(800))
    call.caller.timestamp += jump

    second = call.caller.say(talk(800))

    assert len(second) == 5
    assert_unbroken(first + second)


def test_a_sequence_that_starts_afresh_is_no_great_loss():
    call = Call()
    call.caller.say(talk(800))
    call.caller.sequence = 40_000

    assert len(call.caller.say(talk(800))) == 5
    assert call.statistics(CALLER).lost == 0


def test_late_packets_do_not_pass_and_duplicates_do_not_either():
    call = Call()
    phone = call.caller
    phone.say(talk(320))
    early = phone.packet(phone.encoded(talk(160)))
    phone.timestamp += 160
    on_time = phone.packet(phone.encoded(talk(160)))

    sent = [len(call.receive(CALLER, data)) for data in (on_time, on_time, early)]

    assert sent == [1, 0, 0]
    assert (call.statistics(CALLER).late, call.statistics(CALLER).lost) == (1, 0)


@pytest.mark.parametrize(
    "data",
    [b"", b"\x80" * 11, struct.pack("!BBHII", 0x40, 0, 1, 1, 1) + bytes(160), struct.pack("!BBHII", 0x80, 96, 1, 1, 1),
     struct.pack("!BBHII", 0x80, 0, 1, 1, 1), struct.pack("!BBHII", 0x80, 0, 1, 1, 1) + bytes(481),
     struct.pack("!BBHII", 0x80, EVENT_TYPE, 1, 1, 1) + b"\5\n\0"],
    ids=["empty", "short", "version", "payload_type", "no_audio", "too_long", "short_event"],
)  # fmt: skip
def test_malformed_packets_are_counted_and_give_nothing(data):
    call = Call()

    assert call.receive(CALLER, data) == []
    assert call.statistics(CALLER).malformed == 1


def test_odd_sizes_are_masked_whole():
    call = Call()

    heard = decoded(call.caller.say(talk(10 * 150), 150))

    assert len(heard) == 1500
    assert np.max(np.abs(heard)) < 300


def test_comfort_noise_packets_do_not_pass():
    call = Call(mode=MODE_CAPTURE)
    call.caller.say(talk(320))

    assert call.receive(CALLER, call.caller.packet(b"\x40", payload_type=13)) == []
    assert call.statistics(CALLER).lost == 0


# --- hold ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("held", "direction"),
    [
        (AGENT, DIRECTION_INACTIVE),
        (AGENT, DIRECTION_RECVONLY),
        (CALLER, DIRECTION_INACTIVE),
        (CALLER, DIRECTION_SENDONLY),
    ],
)
def test_a_held_side_gets_nothing_and_the_timeline_goes_on_after(held, direction):
    call = Call()
    phone = (call.caller, call.agent)[held]
    first = call.caller.say(talk(800))
    call.stream(phone, direction)

    during = call.caller.say(talk(800))
    call.stream(phone)
    after = call.caller.say(talk(800))

    assert during == []
    assert after[0].sequence == (first[-1].sequence + 1) % 65536
    assert (after[0].timestamp - first[-1].timestamp) % 2**32 == 960
    assert after[0].marker == 1


def test_keys_of_a_held_caller_still_count():
    call = Call(mode=MODE_CAPTURE)
    call.arm()
    call.stream(call.agent, DIRECTION_INACTIVE)

    call.caller.say(np.concatenate([talk(1600), tone("7", 960), talk(1600)]))

    assert call.keys() == "7"


# --- keys ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [MODE_GUARD, MODE_CAPTURE, MODE_MUTE])
def test_a_keyed_number_reaches_its_slot_and_nobody_else(mode):
    number = "4242"
    call = Call(mode=mode)
    call.arm()
    pieces = [np.concatenate([tone(key, 800, peak=8000), np.zeros(800, np.int16)]) for key in number]
    spoken = np.concatenate([np.zeros(800, np.int16), *pieces])

    heard = decoded(call.caller.say(spoken))

    assert call.keys() == number
    assert min(tone_share(spoken, key) for key in number) > 0.9  # the measure sees the tones where they are
    assert max(tone_share(heard, key) for key in number) < 0.5
    written = [event for event in call.events() if event[0] == EVENT_KEYS_WRITTEN]
    assert [event[4:] for event in written] == [(5, 77, head, 0) for head in (1, 2, 3, 4)]


def test_all_keys_by_events_reach_the_slot_and_no_event_leaves():
    call = Call(mode=MODE_CAPTURE)
    call.arm()
    sent = call.caller.say(talk(800))

    for code in range(16):
        sent += call.caller.press(code)
        sent += call.caller.say(talk(800))

    assert call.keys() == "0123456789*#ABCD"
    assert {packet.payload_type for packet in sent} == {0}
    assert {packet.n for packet in sent} == {160}
    assert_unbroken(sent)
    assert len(sent) == 5 + 16 * 10
    assert call.statistics(CALLER).events_removed == 16 * 8


def test_events_are_replaced_outside_a_capture_too():
    call = Call(mode=MODE_GUARD)
    sent = call.caller.say(talk(800))

    sent += call.caller.press(5)
    sent += call.caller.say(talk(800))

    assert_unbroken(sent)
    assert len(sent) == 15
    assert call.statistics(CALLER).lost == 0


def test_audio_beside_events_fills_its_own_slots():
    call = Call(mode=MODE_CAPTURE)
    call.arm()
    phone = call.caller
    sent = phone.say(talk(800))
    for code in (4, 2):
        start = phone.timestamp
        for frame in range(5):
            sent += phone.event(code, start, 160 * (frame + 1), marker=int(frame == 0))
            sent += phone.say(tone(str(code), 160, 160 * frame))
        for _ in range(3):
            sent += phone.event(code, start, 960, end=True)
        sent += phone.say(talk(1600))

    assert call.keys() == "42"
    assert len(sent) == 5 + 2 * 15
    assert_unbroken(sent)
    assert tone_share(decoded(sent), "4") < 0.5
    assert tone_share(decoded(sent), "2") < 0.5


@pytest.mark.parametrize("event_first", [True, False])
def test_one_press_through_two_doors_is_one_key(event_first):
    call = Call(mode=MODE_CAPTURE)
    call.arm()
    phone = call.caller
    phone.say(talk(1600))
    for _ in range(2):
        start = phone.timestamp
        if event_first:
            phone.event(5, start, 160)
        phone.say(tone("5", 800))
        if not event_first:
            phone.event(5, start + 240, 160)
        phone.event(5, start if event_first else start + 240, 800, end=True)
        phone.say(np.zeros(640, np.int16))

    assert call.keys() == "55"


def test_two_presses_through_one_door_are_two_keys():
    call = Call(mode=MODE_CAPTURE)
    call.arm()
    press = np.concatenate([tone("5", 400), np.zeros(400, np.int16)])

    call.caller.say(np.concatenate([np.zeros(1600, np.int16), press, press, np.zeros(800, np.int16)]))

    assert call.keys() == "55"


def test_a_late_event_is_still_read():
    call = Call(mode=MODE_CAPTURE)
    call.arm()
    phone = call.caller
    phone.say(talk(800))
    late_sequence, start = phone.sequence, phone.timestamp
    phone.sequence += 1
    phone.say(talk(800))

    assert phone.event(8, start, 160, sequence=late_sequence) == []
    assert call.keys() == "8"


def test_without_a_slot_keys_go_nowhere():
    call = Call(mode=MODE_CAPTURE)

    call.caller.press(5)

    assert call.events() == []
    assert not call.slots.any()


@pytest.mark.parametrize("spoil", ["state", "generation", "disarmed", "cde_gone"])
def test_a_slot_no_longer_ours_is_left_alone(spoil):
    call = Call(mode=MODE_CAPTURE)
    call.arm()
    base = 5 * slot_layout.SLOT_BYTES
    if spoil == "state":
        call.slots[base + slot_layout.STATE_AT] = slot_layout.STATE_SEALED
    elif spoil == "generation":
        call.slots[base] += 1
    elif spoil == "disarmed":
        call.command(COMMAND_DISARM, numbers=[5, 77])
    else:
        call.command(COMMAND_DISARM_ALL)
    before = call.slots.copy()
    call.events()

    sent = call.caller.press(5)

    assert np.array_equal(call.slots, before)
    assert call.events() == []
    assert len(sent) == 5


def test_keys_not_taken_are_wiped_when_cde_is_gone():
    call = Call(mode=MODE_CAPTURE)
    call.arm()
    call.caller.press(5)

    call.command(COMMAND_DISARM_ALL)

    base = 5 * slot_layout.SLOT_BYTES
    assert not call.slots[base + slot_layout.RING_AT : base + slot_layout.RING_AT + 64].any()
    assert call.statistics(CALLER).mode == MODE_CAPTURE


def test_an_overrun_is_flagged_and_told():
    call = Call(mode=MODE_CAPTURE)
    call.arm()

    for n in range(64):
        call.caller.press(n % 10, frames=3)

    base = 5 * slot_layout.SLOT_BYTES
    assert call.slots[base + slot_layout.HEAD_AT] == 63
    assert call.slots[base + slot_layout.FLAGS_AT] == slot_layout.FLAG_OVERRUN
    assert call.events()[-1][4:] == (5, 77, 63, 1)


def test_arming_another_call_is_refused():
    call = Call()

    call.command(COMMAND_ARM, numbers=[5, 77], generation=8)

    assert call.events() == [(EVENT_SLOT_ARMED, 1, 9, 0, 5, 77, 0, 0)]
    assert call.statistics(CALLER).slot == 0


# --- star codes ---------------------------------------------------------------------------------------------


def test_a_star_code_of_the_agent_is_told_and_not_passed_on():
    call = Call(star_codes=("*1", "*22"))
    spoken = np.concatenate(
        [tone("*", 800), np.zeros(800, np.int16), tone("1", 800), np.zeros(800, np.int16)]
    )

    heard = decoded(call.agent.say(np.concatenate([np.zeros(800, np.int16), spoken])))

    assert call.events() == [(EVENT_STAR_CODE, 1, 9, 1, 0, 0, 0, 0)]
    assert max(tone_share(heard, "*"), tone_share(heard, "1")) < 0.5


def test_star_codes_are_found_among_other_keys_by_events():
    call = Call(star_codes=("*1", "*22"))

    for code in (10, 10, 2, 2, 1, 10, 2, 1, 10, 1):
        call.agent.press(code)

    assert [event[4] for event in call.events()] == [1, 0]


def test_a_pause_breaks_a_star_code():
    call = Call()
    call.agent.press(10)
    call.wait(25_000)
    call.agent.timestamp += 25_000
    call.agent.press(1)

    assert call.events() == []


def test_star_codes_of_the_caller_mean_nothing():
    call = Call()
    call.caller.press(10)
    call.caller.press(1)

    assert call.events() == []


# --- books --------------------------------------------------------------------------------------------------


def test_heard_keys_are_forgotten_in_time():
    call = Call(mode=MODE_CAPTURE)
    call.arm()
    call.caller.press(5)
    call.agent.press(10)
    call.wait(40_000)

    tick(call.tables, call.now_ns)

    for leg in (CALLER, AGENT):
        assert not call.statistics(leg)["key_codes"].any()
        assert not call.statistics(leg)["star_keys"].any()
    assert not call.tables.presses[2:4].any()


def test_closing_wipes_all_but_the_counters():
    call = Call(mode=MODE_CAPTURE)
    call.arm()
    call.caller.say(talk(800))
    call.caller.press(5)
    call.events()

    call.command(COMMAND_CLOSE)

    assert call.events() == [(EVENT_CALL_CLOSED, 1, 9, 0, 0, 0, 0, 0)]
    assert not call.tables.shields[2:4].view(np.uint8).any()
    assert not call.tables.presses[2:4].any()
    assert not call.tables.raw.any()
    assert not call.tables.keys.any()
    assert not call.statistics(CALLER)["key_codes"].any()
    assert call.statistics(CALLER).received == 13
    assert call.statistics(AGENT).sent == 0  # counted where the packet is handed to the kernel


def test_commands_for_another_call_change_nothing():
    call = Call(mode=MODE_GUARD)

    for kind in (COMMAND_SHIELD, COMMAND_STREAM, COMMAND_RECORD, COMMAND_CLOSE):
        call.command(kind, numbers=[2], generation=8)

    assert call.statistics(CALLER).mode == MODE_GUARD
    assert call.statistics(CALLER).active == 1
    assert call.events() == []


def test_a_change_of_shield_is_told():
    call = Call(mode=MODE_GUARD)

    call.command(COMMAND_SHIELD, AGENT, [MODE_CAPTURE])

    assert call.events() == [(EVENT_SHIELD_CHANGED, 1, 9, 1, MODE_CAPTURE, 0, 0, 0)]


def test_a_full_event_ring_counts_and_keeps_what_it_has():
    call = Call()
    for n in range(EVENT_CELLS + 3):
        post_event(call.tables, EVENT_STAR_CODE, 2, n, 0, 0, 0)

    assert call.tables.event_heads[2] == 3
    assert len(call.events()) == EVENT_CELLS


def test_both_sides_are_tapped_where_they_belong():
    call = Call(mode=MODE_GUARD)
    call.caller.say(talk(800))
    call.command(COMMAND_RECORD)
    call.caller.say(talk(480))
    call.agent.say(talk(320))

    cells = call.tables.taps.cells[: call.tables.taps.heads[0]]

    assert [(cell["side"], cell["position_samples"]) for cell in cells] == [
        (0, 160), (0, 320), (0, 480), (1, 640), (1, 800),
    ]  # fmt: skip


@pytest.mark.parametrize("raw", [CallerFrame(np.zeros(160, np.int16)), np.zeros(160, np.int16)])
def test_the_encoder_refuses_what_is_not_masked(raw):
    with pytest.raises(numba.TypingError):
        encode_masked(raw, 0, np.zeros(160, np.uint8))
