"""Prompts on a leg: paced by the peer's packets or by the clock, on one unbroken timeline, ended and cut as asked."""

from itertools import pairwise

import numpy as np
import pytest

from dtmf_shield.media.masker import MODE_CAPTURE, MODE_GUARD
from dtmf_shield.media.session.commands import COMMAND_PLAY, COMMAND_STOP_PLAY
from dtmf_shield.media.session.legs import EVENT_PROMPT_ENDED, PIECES_MAX
from dtmf_shield.media.session.output import pace_prompt
from dtmf_shield.media.session.playing import (
    PLAY_BARGE_IN,
    PLAY_FIRST,
    PLAY_LAST,
    PLAY_LOOP,
    PROMPT_DONE,
    PROMPT_REPLACED,
    PROMPT_STOPPED,
    PROMPT_STOPPED_BY_KEY,
)
from tests.unit.media.call_on_tables import (
    AGENT,
    CALLER,
    Call,
    Sent,
    assert_unbroken,
    decoded,
    talk,
    tone,
)

POOL_SAMPLES = 16_000
FRAME = 160


class PromptCall(Call):
    """A call with a pool of prompts: a rising ramp of levels, so that every sample tells its place."""

    def __init__(self, mode: int = MODE_GUARD, codecs=("PCMU", "PCMU")) -> None:
        super().__init__(mode, codecs)
        t = np.arange(2 * POOL_SAMPLES) / 16_000
        wide = (6_000 * np.sin(2 * np.pi * 350 * t)).astype(np.int16)
        self.tables = self.tables._replace(prompts=np.ascontiguousarray(wide[::2]), prompts_wide=wide)

    def play(self, *pieces: tuple[int, int], leg: int = CALLER, play_id: int = 1, flags: int = 0) -> None:
        for place, (start, length) in enumerate(pieces):
            marks = flags | PLAY_FIRST * (place == 0) | PLAY_LAST * (place == len(pieces) - 1)
            self.command(COMMAND_PLAY, leg, [play_id, start, length, marks])

    def pace(self, n_frames: int, leg: int = CALLER) -> list[Sent]:
        """Let time pass in ticks of 4 ms, as the shard does while a prompt plays."""
        sent = []
        for _ in range(n_frames * 5):
            self.wait(FRAME // 5)
            sent += self._packets(pace_prompt(self.tables, 2 + leg, self.now_ns))
        return sent

    def _packets(self, count: int) -> list[Sent]:
        sent = []
        for k in range(count):
            data = self.tables.out[k, : self.tables.out_bytes[k]].tobytes()
            second = data[1]
            sequence = int.from_bytes(data[2:4], "big")
            timestamp, ssrc = int.from_bytes(data[4:8], "big"), int.from_bytes(data[8:12], "big")
            sent.append(Sent(second >> 7, second & 127, sequence, timestamp, ssrc, data[12:]))
        return sent

    def ended(self) -> list[tuple[int, int, int]]:
        """Return (side, play id, reason) of the prompts that ended since last asked."""
        return [(e[3], e[4], e[5]) for e in self.events() if e[0] == EVENT_PROMPT_ENDED]


def prompt_of(call: PromptCall, start: int, length: int) -> np.ndarray:
    return call.tables.prompts[start : start + length]


def likeness(heard: np.ndarray, wanted: np.ndarray) -> float:
    heard, wanted = heard.astype(float), wanted.astype(float)
    return float(heard @ wanted / np.sqrt((heard @ heard) * (wanted @ wanted)))


def test_without_an_agent_the_clock_paces_the_prompt() -> None:
    call = PromptCall()
    call.play((0, 800), (4_000, 800))

    sent = call.pace(12)

    assert len(sent) == 10
    assert_unbroken(sent)
    wanted = np.concatenate([prompt_of(call, 0, 800), prompt_of(call, 4_000, 800)])
    assert likeness(decoded(sent), wanted) > 0.999
    assert call.ended() == [(CALLER, 1, PROMPT_DONE)]


def test_frames_follow_the_clock_and_not_the_ticks() -> None:
    call = PromptCall()
    call.play((0, POOL_SAMPLES))

    assert 98 <= len(call.pace(100)) <= 100


@pytest.mark.parametrize(
    "codecs", [("PCMU", "PCMU"), ("PCMA", "G722"), ("G722", "PCMU"), ("G722", "G722")], ids="-".join
)
def test_agents_packets_pace_the_prompt_and_the_agent_is_heard_under_it(codecs: tuple[str, str]) -> None:
    call = PromptCall(codecs=codecs)
    factor = call.agent.samples_a_tick
    before = call.agent.say(talk(10 * FRAME * factor, rate_hz=8_000 * factor))
    call.play((0, 10 * FRAME))

    sent = call.agent.say(np.zeros(12 * FRAME * factor, np.int16))

    assert_unbroken(sent)
    assert len(sent) == 12
    # A G.722 decoder is right from the stream's beginning only.
    whole = decoded(before + sent, codecs[0]).astype(float)
    heard = whole[len(whole) * 10 // 22 :]
    wanted = call.tables.prompts_wide if codecs[0] == "G722" else call.tables.prompts
    best = max(likeness(heard[lag : lag + 1_000], wanted[:1_000]) for lag in range(200))
    assert best > 0.98
    assert call.ended() == [(CALLER, 1, PROMPT_DONE)]


def test_talk_is_ducked_while_the_prompt_plays_and_no_longer() -> None:
    call = PromptCall()
    call.tables.prompts[:] = 0
    call.agent.say(talk(20 * FRAME))
    call.play((0, 10 * FRAME))

    sent = call.agent.say(talk(20 * FRAME, 20 * FRAME))

    level = [float(np.std(decoded([packet]))) for packet in sent]
    assert 3.5 < np.mean(level[12:]) / np.mean(level[2:9]) < 4.5


def test_agent_who_falls_silent_leaves_the_rest_to_the_clock_and_comes_back() -> None:
    call = PromptCall()
    call.agent.say(talk(10 * FRAME))
    call.play((0, 8_000))
    sent = call.agent.say(talk(5 * FRAME, 10 * FRAME))
    paced = call.pace(20)
    call.agent.timestamp += 20 * FRAME  # the phone sent nothing, its clock went on
    back = call.agent.say(talk(20 * FRAME, 35 * FRAME))

    everything = sent + paced + back
    assert 14 <= len(paced) <= 20
    assert len(back) == 20
    for before, after in pairwise(everything):
        assert after.sequence == (before.sequence + 1) % 65_536
        assert (after.timestamp - before.timestamp) % 2**32 <= 5 * FRAME
        assert (after.timestamp - before.timestamp) % 2**32 >= FRAME


def test_key_of_the_caller_cuts_a_prompt_that_may_be_cut() -> None:
    call = PromptCall(MODE_CAPTURE)
    call.arm()
    call.play((0, POOL_SAMPLES), flags=PLAY_BARGE_IN)

    call.caller.say(np.concatenate([tone("5", 800), np.zeros(800, np.int16)]))

    assert call.ended() == [(CALLER, 1, PROMPT_STOPPED_BY_KEY)]
    assert call.keys() == "5"


def test_key_does_not_cut_one_that_may_not() -> None:
    call = PromptCall(MODE_CAPTURE)
    call.arm()
    call.play((0, POOL_SAMPLES))

    call.caller.say(np.concatenate([tone("5", 800), np.zeros(800, np.int16)]))

    assert call.ended() == []
    assert call.keys() == "5"


def test_event_of_the_caller_cuts_a_prompt_too() -> None:
    call = PromptCall(MODE_CAPTURE)
    call.caller.say(np.zeros(800, np.int16))
    call.play((0, POOL_SAMPLES), flags=PLAY_BARGE_IN)

    call.caller.press(5)

    assert call.ended() == [(CALLER, 1, PROMPT_STOPPED_BY_KEY)]


def test_loop_goes_on_until_stopped() -> None:
    call = PromptCall()
    call.play((0, 320), flags=PLAY_LOOP)
    sent = call.pace(30)
    call.command(COMMAND_STOP_PLAY, CALLER, [1])

    assert len(sent) >= 28
    assert call.ended() == [(CALLER, 1, PROMPT_STOPPED)]
    assert call.pace(5) == []


def test_next_prompt_replaces_the_one_before_and_a_late_stop_of_that_changes_nothing() -> None:
    call = PromptCall()
    call.play((0, POOL_SAMPLES), play_id=1)
    call.play((0, 320), play_id=2)
    call.command(COMMAND_STOP_PLAY, CALLER, [1])

    assert call.ended() == [(CALLER, 1, PROMPT_REPLACED)]
    call.pace(4)
    assert call.ended() == [(CALLER, 2, PROMPT_DONE)]


def test_both_legs_hear_their_own() -> None:
    call = PromptCall()
    call.play((0, 800), leg=CALLER)
    call.play((4_000, 1_600), leg=AGENT, play_id=2)

    to_caller = [packet for _ in range(12) for packet in call.pace(1, CALLER)]
    to_agent = call.pace(12, AGENT)

    assert len(to_caller) == 5
    assert len(to_agent) == 10


def test_pieces_outside_the_pool_are_left_out() -> None:
    call = PromptCall()
    call.play((POOL_SAMPLES - 10, 100), (-5, 100), (0, 0))

    assert call.ended() == [(CALLER, 1, PROMPT_DONE)]
    assert call.tables.play_count[0] == 0


def test_one_piece_too_many_is_left_out() -> None:
    call = PromptCall()
    call.play(*[(0, FRAME)] * (PIECES_MAX + 3))

    assert len(call.pace(PIECES_MAX + 10)) == PIECES_MAX


def test_recording_has_the_prompt_once_on_the_agents_side() -> None:
    call = PromptCall()
    call.tables.legs[2]["recording"] = call.tables.legs[3]["recording"] = 1
    call.play((0, 1_600), leg=CALLER)
    call.play((0, 1_600), leg=AGENT, play_id=2)
    silence = np.zeros(FRAME, np.int16)
    for _ in range(12):
        call.caller.say(silence)
        call.agent.say(silence)

    cells = call.tables.taps.cells[: int(call.tables.taps.heads[0])]
    power = {side: float(np.std(cells[cells["side"] == side]["samples"][:, :FRAME])) for side in (0, 1)}
    assert power[1] > 2_000
    assert power[0] < 100


def test_closing_the_call_ends_its_prompts() -> None:
    call = PromptCall()
    call.play((0, POOL_SAMPLES))
    call.command(5)  # COMMAND_CLOSE

    assert call.tables.play_count[0] == 0
