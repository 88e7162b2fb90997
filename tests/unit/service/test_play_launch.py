"""Play phones that die: their call is ended, they are started again at the same place, ever more seldom if need be."""

from __future__ import annotations

import asyncio
import socket

import pytest

from dtmf_shield.base.errors import OperatorError
from dtmf_shield.service.play import launch
from dtmf_shield.service.play.launch import RESTART_FIRST_S, RESTART_MAX_S, PlayKeeper
from dtmf_shield.service.play.settings import Farewell, PlaySettings

SETTINGS = PlaySettings(
    key="k" * 43,
    origins=(),
    sip=("127.0.0.1", 9),
    agents=(),
    dialled=(),
    gateway_port=1,
    gateway_ca_file="",
    gateway_user_file="",
)
LIMIT_S = 5.0


class Phones:
    """A process that dies when the test says so."""

    def __init__(self, pid, farewell=None):
        self.pid, self.farewell = pid, farewell
        self.code = asyncio.get_running_loop().create_future()
        self.stopped = False

    async def ended(self):
        return await self.code

    async def stop(self):
        self.stopped = True


class Stage:
    """Starts phones as the test has them; pauses take no time and are written down."""

    def __init__(self, monkeypatch, *, refuses=0, farewell=None):
        self.started, self.listeners, self.pauses, self.told = [], [], [], []
        self.refuses, self.farewell = refuses, farewell
        monkeypatch.setattr(launch.PlayProcess, "start", self.start)
        self._sleep = asyncio.sleep
        monkeypatch.setattr(launch.asyncio, "sleep", self.sleep)

    async def start(self, settings, listener, *, log=None):
        if self.started and self.refuses:
            self.refuses -= 1
            raise OperatorError("no memory")
        assert settings is SETTINGS
        self.listeners.append(listener.getsockname())
        self.started.append(Phones(100 + len(self.started), self.farewell))
        return self.started[-1]

    async def sleep(self, wait_s):
        if wait_s >= RESTART_FIRST_S:
            self.pauses.append(wait_s)
        await self._sleep(0)

    async def until(self, look):
        async with asyncio.timeout(LIMIT_S):
            while not look():
                await self._sleep(0)


def watched(monkeypatch, act, **more):
    async def play():
        stage = Stage(monkeypatch, **more)
        keeper = await PlayKeeper.start(SETTINGS)
        task = asyncio.create_task(keeper.watch(lambda name, details: stage.told.append((name, details))))
        try:
            await act(stage, keeper)
        finally:
            task.cancel()
            await keeper.stop()
        return stage

    return asyncio.run(play())


def test_phones_that_died_are_started_again_at_the_same_place_and_it_is_told(monkeypatch):
    async def act(stage, keeper):
        url = keeper.url
        stage.started[0].code.set_result(-9)
        await stage.until(lambda: len(stage.started) == 2)
        await stage.until(lambda: keeper.pid == 101)
        assert keeper.url == url

    stage = watched(monkeypatch, act)

    assert stage.listeners[0] == stage.listeners[1]
    assert stage.told == [
        ("died", {"process": "play", "code": -9}),
        ("started", {"process": "play", "pid": 101}),
    ]
    assert [phones.stopped for phones in stage.started] == [False, True]


def test_page_that_asks_meanwhile_is_heard_by_the_next(monkeypatch):
    """The listening socket is the keeper's: who connects to no phones waits, and is not refused."""

    async def act(stage, keeper):
        stage.refuses = 1_000_000
        stage.started[0].code.set_result(1)
        await stage.until(lambda: keeper.pid == 0)
        port = int(keeper.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S):
            pass

    watched(monkeypatch, act)


def test_pauses_double_up_to_a_limit_and_begin_anew_after_a_steady_life(monkeypatch):
    async def act(stage, keeper):
        stage.refuses = 9
        stage.started[0].code.set_result(1)
        await stage.until(lambda: len(stage.started) == 2)
        monkeypatch.setattr(launch, "STEADY_S", -1.0)
        stage.started[1].code.set_result(1)
        await stage.until(lambda: len(stage.started) == 3)

    stage = watched(monkeypatch, act)

    assert stage.pauses[:3] == [RESTART_FIRST_S, 2 * RESTART_FIRST_S, 4 * RESTART_FIRST_S]
    assert max(stage.pauses) == RESTART_MAX_S
    assert stage.pauses[-1] == RESTART_FIRST_S


@pytest.mark.parametrize("up", [True, False])
def test_call_of_dead_phones_is_ended(monkeypatch, up):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as service:
        service.bind(("127.0.0.1", 0))
        service.settimeout(LIMIT_S if up else 0.1)
        farewell = Farewell(b"BYE", service.getsockname()) if up else None

        async def act(stage, keeper):
            stage.started[0].code.set_result(-9)
            await stage.until(lambda: len(stage.started) == 2)

        watched(monkeypatch, act, farewell=farewell)

        if up:
            assert service.recv(100) == b"BYE"
        else:
            with pytest.raises(TimeoutError):
                service.recv(100)


def test_phones_that_never_start_end_the_start(monkeypatch):
    async def refused(*_settings, **_more):
        raise OperatorError("no")

    monkeypatch.setattr(launch.PlayProcess, "start", refused)

    with pytest.raises(OperatorError):
        asyncio.run(PlayKeeper.start(SETTINGS))
