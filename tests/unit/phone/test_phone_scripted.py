"""Two scripted phones over loopback: a call, keys by each door, refusal."""

import asyncio

import numpy as np
import pytest

from dtmf_shield.phone.door import Door
from dtmf_shield.phone.scripted import CallRefusedError, ScriptedPhone
from dtmf_shield.phone.test_cards import CardNotPublishedError
from dtmf_shield.phone.voices import Voice, voice


async def _connected():
    caller = await ScriptedPhone.start(speech=voice(Voice.CALLER))
    agent = await ScriptedPhone.start(speech=voice(Voice.AGENT))
    call = await caller.call(f"sip:bob@127.0.0.1:{agent.port}")
    return caller, agent, call, await agent.incoming()


def test_keys_by_each_door_arrive_where_nothing_shields_them():
    async def scenario():
        caller, agent, call, answered = await _connected()
        await call.keys("42", Door.INBAND)
        await call.keys("42", Door.RFC4733)
        await call.keys("42", Door.INFO)
        await call.hang_up()
        await asyncio.wait_for(answered.ended.wait(), 5)
        await caller.close()
        await agent.close()
        return call, answered

    call, answered = asyncio.run(scenario())
    assert answered.dialled == "bob"
    assert answered.events_received == [4, 2]
    assert answered.infos_received == 2
    assert call.info_statuses == [200, 200]
    assert call.keys_sent == 6
    heard = min(len(answered.heard), len(call.sent))
    assert heard > 4000
    assert np.corrcoef(answered.heard[:heard], call.sent[:heard])[0, 1] > 0.9


def test_a_refused_call_says_with_which_status():
    async def scenario():
        caller, busy = await ScriptedPhone.start(), await ScriptedPhone.start(refuse_with=486)
        try:
            with pytest.raises(CallRefusedError) as refused:
                await caller.call(f"sip:x@127.0.0.1:{busy.port}")
        finally:
            await caller.close()
            await busy.close()
        return refused.value.status

    assert asyncio.run(scenario()) == 486


def test_an_unpublished_card_is_not_keyed():
    async def scenario():
        caller, agent, call, _ = await _connected()
        try:
            with pytest.raises(CardNotPublishedError):
                for key in "4242424242424259":
                    await call.key(key, Door.INFO, tone_ms=0, gap_ms=0)
        finally:
            await caller.close()
            await agent.close()
        return call.keys_sent

    assert asyncio.run(scenario()) == 15
