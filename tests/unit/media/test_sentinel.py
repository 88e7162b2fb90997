"""The sentinel hears keys behind the mask where there are any, hears none where the mask works, and closes the leg."""

import numpy as np
import pytest

from dtmf_shield.media import masker
from dtmf_shield.media.masker import MODE_CAPTURE, MODE_GUARD, masked_frame
from dtmf_shield.media.rtp.packet import write_header
from dtmf_shield.media.session.commands import (
    COMMAND_CLOSE,
    COMMAND_PLAY,
    COMMAND_RECORD,
    COMMAND_SHIELD,
)
from dtmf_shield.media.session.ears import EARS_MAX, HEARD_KEYS, HEARD_TICKS, make_ears
from dtmf_shield.media.session.legs import (
    DIRECTION_INACTIVE,
    EVENT_KEY_AFTER_MASK,
    PACKETS_OUT_MAX,
    make_tables,
)
from dtmf_shield.media.session.output import send_frame
from dtmf_shield.media.session.playing import PLAY_FIRST, PLAY_LAST
from dtmf_shield.media.session.receive import tick
from dtmf_shield.media.session.sentinel import CLOSED_NS, TURN_NS, listen_behind_mask
from tests.unit.media.call_on_tables import (
    AGENT,
    CALLER,
    CODECS,
    MS,
    Call,
    Sent,
    assert_unbroken,
    decoded,
    talk,
    tone,
)

KEYS = "0123456789*#ABCD"
LEG = 2 + CALLER
TICK_NS = 50 * MS
PAIRS = [(codec, codec) for codec in CODECS] + [("G722", "PCMU"), ("PCMA", "G722")]


def rate_hz(codec: str) -> int:
    return 16_000 if codec == "G722" else 8_000


def keyed(keys: str, rate: int) -> np.ndarray:
    """Return keys of 80 ms with pauses of 80 ms."""
    n = rate * 80 // 1_000
    pieces = [part for key in keys for part in (np.zeros(n), tone(key, n, rate_hz=rate))]
    return np.concatenate([*pieces, np.zeros(n)]).astype(np.int16)


class LeakyCall(Call):
    """A call whose agent hears a prompt that is mixed in behind the mask: where it has keys, packets have keys."""

    def leak(self, keys: str) -> list[Sent]:
        """Let keys sound in what leaves of a caller who says something; return the packets."""
        codec = self.caller.codec
        wide = keyed(keys, 16_000)
        self.tables = self.tables._replace(prompts=keyed(keys, 8_000), prompts_wide=wide)
        self.command(COMMAND_PLAY, AGENT, [1, 0, len(wide) // 2, PLAY_FIRST | PLAY_LAST])
        return self.caller.say(np.zeros(len(wide) * rate_hz(codec) // 16_000, np.int16))


def listened(codecs=("PCMU", "PCMU"), mode=MODE_CAPTURE) -> LeakyCall:
    """Return a call that the sentinel listens to."""
    call = LeakyCall(mode, codecs)
    call.caller.say(talk(1_600, rate_hz=rate_hz(codecs[0])))
    tick(call.tables, call.ears, call.now_ns)
    assert call.statistics(CALLER).ear == 1
    assert call.statistics(AGENT).ear == 0
    return call


def heard_keys(call: Call) -> int:
    return int(call.ears.totals[HEARD_KEYS])


@pytest.mark.parametrize("codecs", PAIRS)
@pytest.mark.parametrize("mode", [MODE_GUARD, MODE_CAPTURE])
def test_every_key_behind_the_mask_is_heard(codecs, mode):
    """The positive control of all that follows: each key alone, as the first one closes the leg."""
    call = listened(codecs, mode)

    for number, key in enumerate(KEYS, 1):
        call.leak(key)
        assert heard_keys(call) == number
        assert not call.tables.keys.any()
        call.tables.legs["closed_until_ns"] = 0


@pytest.mark.parametrize("codecs", PAIRS)
def test_a_key_behind_the_mask_is_told_and_the_leg_closed_at_once(codecs):
    call = listened(codecs)
    call.events()

    sent = call.leak("4")
    heard = decoded(sent, codecs[1])

    (event,) = [event for event in call.events() if event[0] == EVENT_KEY_AFTER_MASK]
    assert event[:4] == (EVENT_KEY_AFTER_MASK, 1, 9, CALLER)
    assert not any(event[4:])
    assert call.statistics(CALLER).closed_until_ns > call.now_ns
    # A key is told when some 35 ms of it have sounded; what completes it leaves as silence, and so does all after it.
    n = rate_hz(codecs[1]) // 50
    packets = np.abs(heard[: len(heard) // n * n].astype(int)).reshape(-1, n)[:, n // 2 :].max(axis=1)
    assert packets[4] > 1_000
    assert packets[5:].max() < 100


@pytest.mark.parametrize("codec", CODECS)
def test_a_closed_leg_sends_an_unbroken_stream_of_silence_and_is_opened_again(codec):
    call = listened((codec, codec), MODE_GUARD)
    call.leak("4")
    rate = rate_hz(codec)
    said = talk(20 * rate // 50, rate_hz=rate)

    silent = call.caller.say(said)
    call.now_ns += CLOSED_NS
    call.caller.timestamp += CLOSED_NS // 125_000
    spoken = call.caller.say(said)

    assert len(silent) == len(spoken) == 20
    assert_unbroken(silent)
    assert np.max(np.abs(decoded(silent, codec)[rate // 50 :].astype(int))) < 50
    assert np.max(np.abs(decoded(spoken, codec)[rate // 10 :].astype(int))) > 1_000


def test_the_agents_side_is_not_closed():
    call = listened()
    call.leak("4")

    assert np.max(np.abs(decoded(call.agent.say(talk(3_200)))[1_600:].astype(int))) > 1_000


@pytest.mark.parametrize("codecs", PAIRS)
@pytest.mark.parametrize("mode", [MODE_GUARD, MODE_CAPTURE])
def test_behind_a_mask_that_works_no_key_is_heard(codecs, mode):
    call = listened(codecs, mode)
    call.arm()
    before = int(call.ears.totals[HEARD_TICKS])

    sent = call.caller.say(keyed(KEYS, rate_hz(codecs[0])))

    assert call.keys() == KEYS  # there were keys to be heard
    assert int(call.ears.totals[HEARD_TICKS]) - before >= 160 * len(sent)
    assert heard_keys(call) == 0
    assert call.statistics(CALLER).closed_until_ns == 0


@pytest.mark.parametrize("style", masker.STYLES)
def test_what_stands_in_the_place_of_keys_is_not_taken_for_one(style):
    call = listened(mode=MODE_GUARD)
    masker.set_style(call.tables.shields, style)

    call.caller.say(keyed(KEYS, 8_000))
    call.command(COMMAND_SHIELD, CALLER, [MODE_CAPTURE])
    call.caller.say(keyed(KEYS, 8_000))

    assert call.statistics(CALLER).keys_tones == 2 * len(KEYS)
    assert heard_keys(call) == 0


def test_keys_by_events_and_lost_packets_leave_nothing_to_hear():
    call = listened()
    call.arm()
    for code in range(10):
        call.caller.press(code)
        call.caller.say(talk(1_600))
    call.caller.say(keyed("4242", 8_000), lose=range(3, 40, 5))

    assert call.keys()[:10] == "0123456789"
    assert heard_keys(call) == 0


def test_a_recording_before_any_agent_has_come_is_listened_to():
    call = listened()
    call.command(COMMAND_RECORD, CALLER, [0, 0])
    call.stream(call.agent, direction=DIRECTION_INACTIVE)
    before = int(call.ears.totals[HEARD_TICKS])
    assert call.caller.say(talk(800)) == []
    assert int(call.ears.totals[HEARD_TICKS]) - before == 800

    # As if the mask had passed a key: the frame goes to the recorder alone.
    before_taps = int(call.tables.taps.heads[0])
    sounds = tone("4", 640)
    for at in range(0, 640, 160):
        call.tables.masked[:160] = sounds[at : at + 160]
        call.tables.out_bytes[PACKETS_OUT_MAX] = 0
        first = int(call.tables.taps.heads[0])
        timestamp = int(call.statistics(AGENT).send_timestamp)
        send_frame(call.tables, LEG, masked_frame(call.tables.masked[:160]), timestamp, call.now_ns)
        listen_behind_mask(call.tables, call.ears, LEG, first, call.now_ns)
        call.wait(160)

    assert heard_keys(call) == 1
    cells = call.tables.taps.cells["samples"][before_taps : int(call.tables.taps.heads[0]), :160]
    assert cells[0].any()
    assert not cells[-1].any()  # closed


@pytest.mark.parametrize("gap_ms", [0, 400])
def test_a_key_is_heard_whole_or_cut_by_a_loss(gap_ms):
    call = listened()
    codes = np.frombuffer(call.agent.encoded(tone("5", 400)), np.uint8)
    packet, timestamp = call.tables.out[0], int(call.statistics(AGENT).send_timestamp)

    for piece in (codes[:200], codes[200:]):
        write_header(packet, 0, 0, 0, timestamp, 1)
        packet[12:212] = piece
        call.tables.out_bytes[0], call.tables.out_bytes[PACKETS_OUT_MAX] = 212, 1
        listen_behind_mask(call.tables, call.ears, LEG, 0, call.now_ns)
        timestamp = (timestamp + 200 + 8 * gap_ms) % 2**32

    assert heard_keys(call) == 1  # what is lost of a tone may have been tone


def test_what_was_heard_of_a_leg_is_wiped_when_it_is_let_go():
    call = listened(("G722", "G722"))
    call.caller.say(keyed("42", 16_000))
    ears = call.ears
    assert ears.detectors[0]["samples"].any()
    assert ears.decoders[:1].view(np.uint8).any()

    call.command(COMMAND_CLOSE)

    for table in (ears.posts, ears.detectors, ears.decoders):
        assert not table.view(np.uint8).any()
    assert call.statistics(CALLER).ear == 0


def house(n_rows: int):
    """Return tables of calls that all talk, and a function that lets time pass and returns the rows listened to."""
    call = Call()
    tables = make_tables(n_rows, (), call.slots, call.tables.taps, np.zeros)
    ears = make_ears(np.zeros)
    tables.legs["active"] = tables.legs["started"] = 1
    tables.legs["mode"] = MODE_GUARD
    now_ns = [10**12]

    def after(passed_ns: int) -> set[int]:
        now_ns[0] += passed_ns
        tick(tables, ears, now_ns[0])
        assert_consistent(tables, ears)
        return {int(leg - 1) // 2 for leg in ears.posts["leg"] if leg > 0}

    return tables, after


def assert_consistent(tables, ears) -> None:
    for at, leg in enumerate(ears.posts["leg"]):
        if leg > 0:
            assert tables.legs[leg - 1]["ear"] == at + 1
    assert np.count_nonzero(tables.legs["ear"]) == np.count_nonzero(ears.posts["leg"])


def test_a_leg_in_a_capture_is_listened_to_at_the_next_tick():
    tables, after = house(40)
    assert after(0) == set(range(EARS_MAX))
    tables.legs["mode"][2 * 33] = MODE_CAPTURE

    assert 33 in after(TICK_NS)
    assert all(33 in after(TURN_NS) for _ in range(5))


def test_the_others_are_listened_to_in_turn():
    _, after = house(40)

    turns = [after(TURN_NS) for _ in range(5)]

    assert all(len(rows) == EARS_MAX for rows in turns)
    assert set().union(*turns[:3]) == set(range(40))
    assert after(TURN_NS // 2) == turns[-1]


def test_more_captures_than_ears_are_listened_to_in_turn_and_nobody_else():
    tables, after = house(40)
    tables.legs["mode"][: 2 * 2 * EARS_MAX : 2] = MODE_CAPTURE

    first, second = after(TURN_NS), after(TURN_NS)

    assert first | second == set(range(2 * EARS_MAX))
    assert len(first) == len(second) == EARS_MAX


def test_a_house_with_few_calls_has_all_of_them_listened_to_and_free_rows_never():
    tables, after = house(EARS_MAX)
    tables.legs["active"][6:] = 0

    assert after(0) == {0, 1, 2}
    assert after(TURN_NS) == {0, 1, 2}
    tables.legs["active"][:] = 0
    assert after(TURN_NS) == set()
