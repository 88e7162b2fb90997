"""The supervisor joins processes, takes spares into service, joins again two that live and lost each other, reloads."""

import asyncio
import threading

import pytest

from dtmf_shield.base.config import Config
from dtmf_shield.base.errors import OperatorError
from dtmf_shield.model.gateway import GatewaySettings
from dtmf_shield.model.messages import (
    ConfigureCde,
    ConfigureControl,
    ConfigureMedia,
    Drain,
    Drained,
    FlowsServed,
    GatewayResolved,
    PeerConnected,
    PeerLost,
    ProcessName,
    ProcessReady,
    SocketsPassed,
    StopService,
)
from dtmf_shield.service import supervisor as supervising
from dtmf_shield.service.cde_configuration import Reloaded
from dtmf_shield.service.sockets import HeldSockets
from dtmf_shield.service.supervisor import REJOIN_QUIET_S, Supervisor

CDE = ConfigureCde(state_directory="", gateways=())
CONTROL = ConfigureControl(
    config_json=b"{}", state_directory="", login_ticket="once", api_key="", caller_key=b""
)


class HandClock:
    """A clock moved by hand."""

    def __init__(self) -> None:
        self.at_s = 100.0

    def now_s(self) -> float:
        return self.at_s

    def wall_s(self) -> float:
        return self.at_s


class PaperProcess:
    """What the supervisor needs of a finished subprocess."""

    returncode = -9


class PaperChild:
    """A child that writes down what it is told."""

    def __init__(self, name: ProcessName) -> None:
        self.name, self.ready, self.last_heard_s, self.pid = name, False, 0.0, 1
        self.process = PaperProcess()
        self.told: list[object] = []
        self.drained, self.leaving, self.ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    def send(self, message, fds=()):
        self.told.append(message)

    def describe(self):
        return {"pid": self.pid, "ready": self.ready}

    def kinds(self):
        return [type(message) for message in self.told]

    def peers(self):
        return [message.peer for message in self.told if isinstance(message, PeerConnected)]


class House:
    """A supervisor whose processes are paper."""

    def __init__(self, directory, monkeypatch, configure_cde=CDE) -> None:
        self.clock, self.spawned, self.statuses = HandClock(), [], []
        self.supervisor = Supervisor(
            config=Config(),
            state_directory=directory,
            sockets=HeldSockets(),
            configure_cde=configure_cde,
            configure_control=CONTROL,
            flow_files=("a.1.yaml",),
            clock=self.clock,
            on_status=lambda name, _details: self.statuses.append(name),
        )
        monkeypatch.setattr(self.supervisor, "_spawn", self.spawn)
        for name in (ProcessName.MEDIA, ProcessName.CDE, ProcessName.CONTROL):
            self.supervisor._start(name)

    def spawn(self, name):
        self.spawned.append(PaperChild(name))
        return self.spawned[-1]

    def child(self, name):
        return self.supervisor._children[name]

    def ready(self):
        for child in list(self.supervisor._children.values()):
            self.supervisor._receive(child, ProcessReady(child.name))


@pytest.fixture
def house(tmp_path, monkeypatch):
    return House(tmp_path, monkeypatch)


def test_each_process_is_configured_first_and_joined_to_both_others(house):
    assert house.child(ProcessName.MEDIA).kinds()[0] is ConfigureMedia
    assert house.child(ProcessName.CONTROL).kinds()[0] is ConfigureControl
    for name in (ProcessName.MEDIA, ProcessName.CDE, ProcessName.CONTROL):
        others = {ProcessName.MEDIA, ProcessName.CDE, ProcessName.CONTROL} - {name}
        assert set(house.child(name).peers()) == others
    assert SocketsPassed not in house.child(ProcessName.CDE).kinds()


def test_ready_is_told_when_all_are_and_the_link_is_for_one_start(house):
    assert house.statuses.count("ready") == 0

    house.ready()
    house.supervisor._exited(house.child(ProcessName.CONTROL))

    assert house.statuses.count("ready") == 1
    assert house.child(ProcessName.CONTROL).told[0].login_ticket == ""


def test_a_dead_process_is_replaced_by_its_spare(house):
    house.ready()
    spare = PaperChild(ProcessName.MEDIA)
    house.supervisor._spares[ProcessName.MEDIA] = spare

    house.supervisor._exited(house.child(ProcessName.MEDIA))

    assert house.child(ProcessName.MEDIA) is spare
    assert set(spare.peers()) == {ProcessName.CONTROL, ProcessName.CDE}
    house.ready()
    assert house.statuses[-1] == "recovered"


def test_a_dead_spare_is_forgotten(house):
    house.ready()
    spare = PaperChild(ProcessName.MEDIA)
    house.supervisor._spares[ProcessName.MEDIA] = spare
    before = house.child(ProcessName.MEDIA)

    house.supervisor._exited(spare)

    assert house.supervisor._spares == {}
    assert house.child(ProcessName.MEDIA) is before


def test_a_process_that_never_was_ready_ends_the_service(house):
    house.supervisor._exited(house.child(ProcessName.CDE))

    assert house.supervisor._failure is not None
    assert "before it was ready" in house.supervisor._failure


def lost(house, reporter, peer):
    async def run():
        house.supervisor._receive(house.child(reporter), PeerLost(peer))
        await asyncio.sleep(0.01)

    asyncio.run(run())


def test_two_that_live_and_lost_each_other_are_joined_again(house, monkeypatch):
    monkeypatch.setattr(supervising, "REJOIN_S", 0.0)
    house.ready()
    house.clock.at_s += REJOIN_QUIET_S + 1

    lost(house, ProcessName.MEDIA, ProcessName.CDE)

    assert house.child(ProcessName.MEDIA).peers().count(ProcessName.CDE) == 2
    assert house.child(ProcessName.CDE).peers().count(ProcessName.MEDIA) == 2


def test_a_loss_told_late_parts_nobody_who_was_just_joined(house, monkeypatch):
    monkeypatch.setattr(supervising, "REJOIN_S", 0.0)
    house.ready()
    house.clock.at_s += REJOIN_QUIET_S + 1
    house.supervisor._exited(house.child(ProcessName.CDE))

    lost(house, ProcessName.CONTROL, ProcessName.CDE)

    assert house.child(ProcessName.CDE).peers().count(ProcessName.CONTROL) == 1


def test_too_many_deaths_end_the_service(house):
    house.ready()
    for _ in range(supervising.RESTARTS_MAX + 1):
        house.supervisor._exited(house.child(ProcessName.CDE))

    assert house.supervisor._failure is not None


def bank(*, host="bank.example", address="192.0.2.1", on_hang_up="void"):
    settings = GatewaySettings(
        name="bank",
        template="generic",
        addresses=(address,),
        port=443,
        server_name="x",
        ca_file="",
        credentials_file="",
        host=host,
    )
    return ConfigureCde(state_directory="", gateways=(settings,), on_hang_up=on_hang_up)


def addresses(house):
    return [each.addresses for each in house.supervisor.gateways]


MOVED = GatewayResolved(gateway="bank", addresses=("192.0.2.9",))


def test_a_gateway_that_moved_is_told_to_cde_and_to_every_cde_after_it(tmp_path, monkeypatch):
    house = House(tmp_path, monkeypatch, bank())

    house.supervisor.gateway_resolved(MOVED)
    house.supervisor.gateway_resolved(GatewayResolved(gateway="another", addresses=("192.0.2.7",)))

    assert MOVED in house.child(ProcessName.CDE).told
    assert addresses(house) == [("192.0.2.9",)]


# --- reload -----------------------------------------------------------------------------------------------------


async def passes(_configure, _log):
    return ""


@pytest.fixture
def reloading(tmp_path, monkeypatch):
    """A house that is ready, with its own gateway; every rehearsal passes."""
    monkeypatch.setattr(supervising, "rehearse", passes)
    house = House(tmp_path, monkeypatch, bank())
    house.ready()
    return house


async def reload(house, reread):
    house.supervisor._reread = reread
    house.supervisor.reload()
    await asyncio.sleep(0)
    return house.supervisor._reloading


def flows_told(house):
    told = house.child(ProcessName.CONTROL).told
    return [message.flow_files for message in told if isinstance(message, FlowsServed)]


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


async def drained(house, old):
    """Let the old cde have nothing left and leave: the new one is started in its place."""
    await until(lambda: Drain in old.kinds())
    house.supervisor._receive(old, Drained())
    await until(old.leaving.is_set)
    old.ended.set()
    house.supervisor._exited(old)


def test_the_configuration_is_read_anew_beside_the_loop(reloading):
    """A name in it is looked up, which blocks for as long as a resolver is away: heartbeats must go on."""
    threads = []

    def reread():
        threads.append(threading.current_thread())
        raise OperatorError("no")

    async def run():
        await (await reload(reloading, reread))

    asyncio.run(run())

    assert threads != [threading.main_thread()]
    assert len(threads) == 1


@pytest.mark.parametrize("error", [OperatorError("a"), ExceptionGroup("g", [OperatorError("a")])])
def test_what_an_operator_can_mend_refuses_a_reload_with_its_reason(reloading, error):
    reasons = []
    reloading.supervisor._on_status = lambda name, details: reasons.append((name, details["reason"]))

    def reread():
        raise error

    async def run():
        await (await reload(reloading, reread))

    asyncio.run(run())

    assert reasons == [("reload_refused", "a")]
    assert Drain not in reloading.child(ProcessName.CDE).kinds()


def test_a_reload_that_breaks_by_our_own_mistake_is_told_and_changes_nothing(reloading):
    def reread():
        raise ValueError("our own mistake")

    async def run():
        task = await reload(reloading, reread)
        await asyncio.wait([task])
        await asyncio.sleep(0)

    asyncio.run(run())

    assert reloading.statuses[-1] == "reload_refused"
    assert Drain not in reloading.child(ProcessName.CDE).kinds()


def test_a_reload_drains_the_old_cde_and_starts_one_with_the_new_configuration(reloading):
    old, new = reloading.child(ProcessName.CDE), bank(on_hang_up="keep")

    async def run():
        task = await reload(reloading, lambda: Reloaded(new, ("a.2.yaml",)))
        await drained(reloading, old)
        await task

    asyncio.run(run())

    assert reloading.child(ProcessName.CDE).told[0] == new
    assert "reloaded" not in reloading.statuses
    assert flows_told(reloading) == [("a.1.yaml",)]
    reloading.ready()
    assert "reloaded" in reloading.statuses
    assert flows_told(reloading) == [("a.1.yaml",), ("a.2.yaml",)]
    reloading.supervisor._exited(reloading.child(ProcessName.CONTROL))
    assert flows_told(reloading) == [("a.2.yaml",)]


def test_a_second_reload_waits_until_the_first_has_come_to_its_end(reloading):
    """Until the new cde serves, what is gone back to is what served before, and not what was never tried."""
    old, served = reloading.child(ProcessName.CDE), reloading.supervisor._cde.now

    async def run():
        task = await reload(reloading, lambda: Reloaded(bank(on_hang_up="keep"), ("a.2.yaml",)))
        await drained(reloading, old)
        await task
        assert await reload(reloading, lambda: Reloaded(bank(host="third.example"), ())) is task
        reloading.supervisor._receive(reloading.child(ProcessName.CDE), StopService("it cannot"))

    asyncio.run(run())

    assert reloading.supervisor._cde.now == served


def test_the_cde_that_drains_is_told_where_its_own_gateway_went_and_not_where_another_is(reloading):
    """The new configuration names another host: its address is nothing to a process with the old certificates."""
    old = reloading.child(ProcessName.CDE)

    async def run():
        await reload(reloading, lambda: Reloaded(bank(host="other.example", address="198.51.100.1"), ()))
        await until(lambda: Drain in old.kinds())
        reloading.supervisor.gateway_resolved(MOVED)
        await drained(reloading, old)

    asyncio.run(run())

    assert MOVED not in old.told
    assert reloading.child(ProcessName.CDE).told[0].gateways[0].addresses == ("192.0.2.9",)


def test_going_back_to_what_served_keeps_where_its_gateway_is_by_now(reloading):
    old = reloading.child(ProcessName.CDE)

    async def run():
        await reload(reloading, lambda: Reloaded(bank(on_hang_up="keep"), ("a.2.yaml",)))
        await until(lambda: Drain in old.kinds())
        reloading.supervisor.gateway_resolved(MOVED)
        await drained(reloading, old)
        reloading.supervisor._receive(reloading.child(ProcessName.CDE), StopService("it cannot"))

    asyncio.run(run())

    assert MOVED in old.told
    assert reloading.supervisor._cde.now.on_hang_up == "void"
    assert flows_told(reloading) == [("a.1.yaml",)]
    assert addresses(reloading) == [("192.0.2.9",)]
