"""The play phones: one caller, keys while a call is up, nothing kept, and an end to every call."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager

import pytest

from dtmf_shield.model.capture import FieldKind
from dtmf_shield.phone.door import Door
from dtmf_shield.phone.scripted import ScriptedPhone
from dtmf_shield.phone.test_cards import CardNotPublishedError
from dtmf_shield.phone.voices import Voice, voice
from dtmf_shield.service.play import booth as booth_module
from dtmf_shield.service.play.booth import Booth, CallEnd, CallUpError, Choices, NoCallError, Phase
from dtmf_shield.service.play.caller import KEYS_WAITING_MAX, Fingers, KeysWaitError, Line

CARD = "4242424242424242"
LIMIT_S = 10.0


@asynccontextmanager
async def opened(**answering):
    """A booth whose calls an answering phone takes directly: nothing is masked, so everything must be heard."""
    answering = {"speech": voice(Voice.AGENT), **answering}
    other = await ScriptedPhone.start(**answering)
    booth = Booth(("127.0.0.1", other.port), ())
    await booth.open()
    try:
        yield booth, other
    finally:
        await booth.close()
        await other.close()


async def until(look, limit_s=LIMIT_S):
    async with asyncio.timeout(limit_s):
        while not look():
            await asyncio.sleep(0.02)


async def talking(booth, choices=None):
    booth.choose(choices or Choices())
    booth.call("pay")
    await until(lambda: booth.phase is Phase.TALKING)


def keyed(choices, keys, sent):
    """Key in a call, and return what the caller's side and the phone that answered got."""

    async def played():
        async with opened() as (booth, other):
            await talking(booth, choices)
            booth.press_all(keys)
            await until(lambda: booth.heard.sent == sent and booth.waiting == 0)
            await asyncio.sleep(0.3)
            return booth.heard, other.calls[0]

    return asyncio.run(played())


def test_tones_are_heard_at_the_callers_side():
    heard, _ = keyed(Choices(), "1234#", sent=5)

    assert (heard.sent, heard.caller_side) == (5, 5)


@pytest.mark.parametrize(
    ("door", "got"),
    [(Door.RFC4733, lambda call: len(call.events_received)), (Door.INFO, lambda call: call.infos_received)],
)
def test_keys_that_make_no_sound_are_counted_by_the_phone(door, got):
    heard, call = keyed(Choices(door=door), "123#", sent=4)

    assert (heard.sent, heard.caller_side, got(call)) == (4, 4, 4)


def test_doubled_fingers_send_each_key_twice():
    heard, call = keyed(Choices(Door.RFC4733, Fingers.DOUBLED), "12", sent=4)

    assert heard.caller_side == len(call.events_received) == 4


def test_lossy_line_loses_packets_and_a_clean_one_none():
    def missing(line):
        async def played():
            async with opened() as (booth, other):
                await talking(booth, Choices(line=line))
                await asyncio.sleep(2.0)
                heard = other.calls[0].stream.heard_log
                span = 1 + (heard[-1].at_sample - heard[0].at_sample) // 160
                return span - len(heard)

        return asyncio.run(played())

    assert missing(Line.CLEAN) == 0
    assert missing(Line.LOSSY) > 0


def test_nothing_is_pressed_without_a_call():
    async def played():
        async with opened() as (booth, _):
            with pytest.raises(NoCallError):
                booth.press("1")
            await talking(booth)
            await booth.hang_up()
            with pytest.raises(NoCallError):
                booth.press_all(CARD)
            return booth

    booth = asyncio.run(played())

    assert (booth.phase, booth.end, booth.heard.sent) == (Phase.ENDED, CallEnd.HUNG_UP, 0)


def test_one_caller_at_a_time():
    async def played():
        async with opened() as (booth, other):
            booth.call("pay")
            with pytest.raises(CallUpError):
                booth.call("pay")
            await until(lambda: booth.phase is Phase.TALKING)
            with pytest.raises(CallUpError):
                booth.call("pay")
            return len(other.calls)

    assert asyncio.run(played()) == 1


def test_card_that_nobody_published_is_not_keyed_to_its_end():
    async def played():
        async with opened() as (booth, _):
            await talking(booth)
            for key in "411111111111112":
                booth.press(key)
            with pytest.raises(CardNotPublishedError):
                booth.press("9")  # the right check digit of a number on no list

    asyncio.run(played())


def test_published_card_is_keyed_and_no_more_keys_wait_than_allowed():
    async def played():
        async with opened() as (booth, _):
            await talking(booth, Choices(Door.INFO, Fingers.SLOW))
            booth.press_all(f"{CARD}#")
            with pytest.raises(KeysWaitError):
                for _ in range(KEYS_WAITING_MAX + 1):
                    booth.press("#")
            return booth.waiting

    assert asyncio.run(played()) <= KEYS_WAITING_MAX


def test_what_is_no_key_is_refused():
    async def played():
        async with opened() as (booth, _):
            await talking(booth)
            with pytest.raises(ValueError, match="keys are"):
                booth.press("x")

    asyncio.run(played())


@pytest.mark.parametrize(("limit", "end"), [("IDLE_S_MAX", CallEnd.IDLE), ("CALL_S_MAX", CallEnd.TOO_LONG)])
def test_call_that_nobody_plays_with_or_that_is_too_long_ends(monkeypatch, limit, end):
    monkeypatch.setattr(booth_module, limit, 0.3)

    async def played():
        async with opened() as (booth, other):
            await talking(booth)
            await until(lambda: booth.phase is Phase.ENDED)
            await until(other.calls[0].ended.is_set)
            return booth.end

    assert asyncio.run(played()) is end


def test_call_can_be_ended_by_who_was_told_how():
    """What the service sends once the phones have died: a BYE that the other side takes from anybody's socket."""

    async def played():
        async with opened() as (booth, other):
            told = []
            booth.on_call = told.append
            await talking(booth, Choices(Door.INFO))
            booth.press_all("12")
            await until(lambda: other.calls[0].infos_received == 2)
            [farewell] = told
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as anybody:
                anybody.sendto(farewell.datagram, farewell.address)
            await until(other.calls[0].ended.is_set)
            await booth.hang_up()
            return farewell, told[1:]

    farewell, after = asyncio.run(played())

    assert farewell.datagram.startswith(b"BYE ")
    assert after == [None]


def test_end_by_the_other_side_and_a_refusal_are_told():
    async def played():
        async with opened() as (booth, other):
            await talking(booth)
            await other.calls[0].hang_up()
            await until(lambda: booth.phase is Phase.ENDED)
            ended = booth.end
        async with opened(refuse_with=486) as (booth, _):
            booth.call("pay")
            await until(lambda: booth.phase is Phase.ENDED)
            return ended, booth.end, booth.status, booth.shelf.rows()

    assert asyncio.run(played()) == (CallEnd.OTHER_SIDE, CallEnd.REFUSED, 486, [])


def test_ringing_call_can_be_given_up():
    async def played():
        async with opened(auto_answer=False) as (booth, other):
            booth.call("pay")
            await until(lambda: bool(other.calls))
            await booth.hang_up()
            return booth.phase, booth.end

    assert asyncio.run(played()) == (Phase.ENDED, CallEnd.HUNG_UP)


def test_nothing_of_a_call_is_kept():
    async def played():
        async with opened() as (booth, _):
            await talking(booth)
            booth.press("1")
            await until(lambda: booth.heard.caller_side == 1)
            caller = booth._caller
            [call] = caller.calls
            kept = (len(call.sent), len(call.heard), len(call.stream.sent_log))
            await booth.hang_up()
            return kept, caller.calls, caller._agent._calls, booth._keys

    assert asyncio.run(played()) == ((0, 0, 0), [], {}, None)


def test_agents_phone_answers_and_is_listened_to():
    """Called without the service between, it hears everything: the control of every nought the page shows."""

    async def played():
        booth = Booth(("127.0.0.1", 9), [("127.0.0.1", 0)])
        await booth.open()
        [agent] = booth._agents
        booth._sip = ("127.0.0.1", agent.port)
        try:
            await talking(booth)
            running = booth.shelf.rows()[0]["state"]
            booth.press_all("123", FieldKind.SECURITY_CODE)
            await until(lambda: booth.heard.agent_side == 3)
            await booth.hang_up()
            await until(lambda: agent.calls == [])
            await until(lambda: booth.shelf.rows()[0]["state"] == "ready", 30.0)
            return booth.has_agent, booth.heard, running, booth.shelf.find(booth.shelf.latest)
        finally:
            await booth.close()

    has_agent, heard, running, call = asyncio.run(played())
    evidence = call.evidence

    assert has_agent
    assert (heard.caller_side, heard.agent_side) == (3, 3)
    assert (running, evidence.verdict, evidence.keys_sent) == ("running", "leaked", 3)
    assert min(evidence.keys_caller, evidence.keys_agent) >= 3
    assert {one.press.field for one in evidence.presses} == {FieldKind.SECURITY_CODE}
    assert all(one.at_caller and one.at_agent for one in evidence.presses)
    assert call.tape is None


def test_somebody_elses_call_at_the_agents_phone_is_on_no_tape():
    """A softphone may call the service in demo mode too: what comes of it is no evidence of a call of ours."""

    async def played():
        booth = Booth(("127.0.0.1", 9), [("127.0.0.1", 0)])
        await booth.open()
        stranger = await ScriptedPhone.start(speech=voice(Voice.CALLER))
        [agent] = booth._agents
        async with opened() as (_, other):
            booth._sip = ("127.0.0.1", other.port)
            try:
                await talking(booth)
                await stranger.call(f"sip:pay@127.0.0.1:{agent.port}", user="+447700900999x")
                await until(lambda: len(booth._agent_calls) == 1)
                await asyncio.sleep(0.3)
                tape = booth._test_call.tape
                return tape.agent.samples, tape.caller.samples
            finally:
                await stranger.close()
                await booth.close()

    at_agent, at_caller = asyncio.run(played())

    assert at_agent == 0 < at_caller


def test_hash_belongs_to_the_entry_that_it_ends():
    async def played():
        async with opened() as (booth, _):
            await talking(booth, Choices(door=Door.INFO))
            booth.press("1", FieldKind.CARD_NUMBER)
            booth.press("#", FieldKind.EXPIRY)
            booth.press("2", FieldKind.EXPIRY)
            await until(lambda: booth.heard.sent == 3)
            return [press.field for press in booth._test_call.tape.presses]

    assert asyncio.run(played()) == [FieldKind.CARD_NUMBER, FieldKind.CARD_NUMBER, FieldKind.EXPIRY]


def test_address_where_somebodys_own_phone_listens_is_left_to_it():
    async def played():
        softphone = await ScriptedPhone.start()
        booth = Booth(("127.0.0.1", 9), [("127.0.0.1", softphone.port)])
        await booth.open()
        try:
            return booth.has_agent
        finally:
            await booth.close()
            await softphone.close()

    assert asyncio.run(played()) is False
