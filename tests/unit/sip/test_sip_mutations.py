"""Twenty thousand mutated messages, from seeds: no exception leaves the core, every table drains, it still answers."""

import random

import pytest

from dtmf_shield.sip.errors import Drop, Reject
from dtmf_shield.sip.parser import parse_message
from tests.spec.torture_messages import ACCEPTED, DROPPED, REFUSED, message
from tests.unit.call.call_house import AGENT, CALLER, CallHouse, sdp

MUTATIONS_PER_SEED = 2_500
SOURCES = [*ACCEPTED.values(), *(data for _, data in REFUSED.values()), *DROPPED.values()]
TOKENS = [
    b"\r\n",
    b":",
    b";",
    b"<",
    b">",
    b'"',
    b"@",
    b"%00",
    b",",
    b" ",
    b"\x00",
    b"\xff",
    b"SIP/2.0",
    b"9" * 30,
]


def mutated(rng, data):
    data = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(5)
        if kind == 0 and data:
            data[at % len(data)] = rng.randrange(256)
        elif kind == 1:
            data[at:at] = rng.choice(TOKENS)
        elif kind == 2:
            del data[at : at + rng.randint(1, 40)]
        elif kind == 3:
            data[at:at] = data[max(0, at - rng.randint(1, 60)) : at]
        else:
            other = rng.choice(SOURCES)
            data[at:] = other[rng.randrange(len(other) + 1) :]
    return bytes(data)


@pytest.mark.parametrize("seed", range(4))
def test_mutated_messages_cause_only_the_parsers_own_errors(seed):
    rng = random.Random(seed)

    for _ in range(MUTATIONS_PER_SEED):
        data = mutated(rng, rng.choice(SOURCES))
        try:
            parsed = parse_message(data)
        except (Drop, Reject):
            continue
        assert parsed.call_id


@pytest.mark.parametrize("seed", range(4))
def test_mutated_messages_leave_nothing_behind_in_the_core(seed):
    rng = random.Random(100 + seed)
    house = CallHouse(rows=8)
    house.talk()
    recorded = [data for _, _, _, data in house.net.sent]

    for _ in range(MUTATIONS_PER_SEED):
        data = mutated(rng, rng.choice(SOURCES + recorded))
        house.core.receive_datagram(house.now_s, data, rng.choice((CALLER, AGENT)), 0)
        house.core.take_refusals()
        house.run(rng.random() * 0.05)
    house.agent.direction = "sendrecv"
    house.run(200)
    for snapshot in house.core.snapshots():
        house.core.hang_up(house.now_s, snapshot.call_id)
    house.run(200)

    assert set(house.core.table_sizes()) == {0}
    assert sorted(house.media.free) == list(range(8))
    house.core.receive_datagram(house.now_s, message("OPTIONS", Call_ID="alive"), CALLER, 0)
    assert house.core.datagrams_to_send()[0].data.startswith(b"SIP/2.0 200")


def test_the_call_house_notices_a_call_that_is_left():
    house = CallHouse()
    house.caller.call(body=sdp(CALLER.host))
    house.run()

    assert set(house.core.table_sizes()) != {0}
