"""What control tells of the service's own health."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from dtmf_shield.api import views
from dtmf_shield.base.config import Config
from dtmf_shield.model.gateway import GatewayFound
from dtmf_shield.model.ids import CallId, OperationId
from dtmf_shield.model.media_health import MediaHealth, MediaThread
from dtmf_shield.model.messages import PaymentChanged, PromptsLoaded
from dtmf_shield.model.payment import OperationKind, OperationState
from dtmf_shield.model.prompt import Recording
from dtmf_shield.model.stream import LegStatistics
from dtmf_shield.service.control.node import NodeMonitor
from dtmf_shield.service.dev_certificates import ensure_dev_certificates
from dtmf_shield.service.prompts.check import FlowPrompts

pytestmark = pytest.mark.anyio
START_S = 1_700_000_000.0


class HandClock:
    def __init__(self) -> None:
        self.seconds = START_S

    def now_s(self) -> float:
        return self.seconds

    def wall_s(self) -> float:
        return self.seconds


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def node(clock: HandClock, tmp_path: Path) -> NodeMonitor:
    node = NodeMonitor(Config(), tmp_path, clock, ("no_core: why",))
    calls = (a_call("c1", views.CallState.TALKING), a_call("c2", views.CallState.ENDED))
    service = views.ServiceView(shield=views.ShieldState.ON, gateway="down")
    node.look_at(
        lambda: views.Snapshot(service=service, flows=(), calls=calls),
        lambda: views.ReadersView(streams=3, streams_max=512, lag_events=2),
        lambda: 5,
    )
    return node


async def test_prompts_are_told_with_what_flows_would_say_and_nothing_has_built(
    node: NodeMonitor, tmp_path: Path
) -> None:
    before = (await node.nodes())[0].prompts
    speech = Recording("hello.wav")
    node.flow_prompts = lambda: [FlowPrompts("pay", ("en-GB",), {"hello": {"en-GB": (speech,)}})]
    node.prompts_loaded(PromptsLoaded(str(tmp_path), 0, "cannot be read"))

    after = (await node.nodes())[0].prompts

    assert before is None
    assert after is not None
    assert (after.pieces, after.missing[0]) == (0, "cannot be read")
    assert "pay" in after.missing[1]


def a_call(call_id: str, state: views.CallState) -> views.CallView:
    return views.CallView(
        id=CallId(call_id),
        trunk="loopback",
        dialled="100",
        caller_masked="••12",
        state=state,
        started_at=datetime.fromtimestamp(START_S + 7, UTC),
        shield=views.ShieldView(state=views.ShieldState.ON),
    )


async def shown(node: NodeMonitor) -> views.NodeView:
    (view,) = await node.nodes()
    return view


async def test_processes_are_up_since_and_count_their_restarts(node: NodeMonitor, clock: HandClock) -> None:
    for up in (True, False, True):
        clock.seconds += 10
        node.process("media", up=up)
    view = await shown(node)
    control, media, cde = view.processes

    assert (control.up, control.restarts, control.weaker) == (True, 0, ("no_core: why",))
    assert (media.up, media.restarts, media.since.timestamp()) == (True, 1, START_S + 30)
    assert (cde.up, cde.restarts) == (False, 0)
    assert view.uptime_s == 30


async def test_limits_in_use_count_what_goes_on_now(node: NodeMonitor) -> None:
    node.call_changed(a_call("c1", views.CallState.TALKING))
    view = await shown(node)

    assert (view.calls, view.calls_max, view.captures) == (1, Config().media.calls_max, 0)
    assert (view.trunks[0].calls, view.trunks[0].networks) == (1, ("127.0.0.0/8", "::1/128"))
    assert view.trunks[0].seen_at == datetime.fromtimestamp(START_S + 7, UTC)
    assert (view.readers.streams, view.readers.lag_events, view.webhooks_waiting) == (3, 2, 5)


def found(node: NodeMonitor, **reasons: str) -> None:
    node.gateways_found([GatewayFound(name, reason) for name, reason in reasons.items()])


async def test_each_gateway_is_timed_from_intent_to_outcome_and_the_unknown_is_not(
    node: NodeMonitor, clock: HandClock
) -> None:
    found(node, first="ok", second="ok")
    for number, (gateway, took_s, state) in enumerate(
        [
            ("first", 0.1, OperationState.APPROVED),
            ("second", 2.0, OperationState.APPROVED),
            ("first", 0.3, OperationState.DECLINED),
            ("first", 9.0, OperationState.UNKNOWN),
            ("gone", 1.0, OperationState.APPROVED),
        ]
    ):
        for told in (OperationState.INTENT, state):
            change = PaymentChanged(
                operation_id=OperationId(f"o{number}"),
                kind=OperationKind.CHARGE,
                state=told,
                gateway=gateway,
            )
            node.payment_changed(change)
            clock.seconds += took_s
    first, second = (await shown(node)).gateways

    assert (first.operations, first.latency_ms_p50, first.latency_ms_p99) == (2, 300, 300)
    assert (second.operations, second.latency_ms_p50) == (1, 2_000)
    assert (first.use, second.use) == ("primary", "fallback")


async def test_a_gateway_that_is_away_tells_why_and_since_when(node: NodeMonitor, clock: HandClock) -> None:
    node.process("cde", up=True)
    found(node, first="ok", second="ok")
    clock.seconds += 4
    for _ in range(2):
        found(node, first="ok", second="pin")
        clock.seconds += 1
    first, second = (await shown(node)).gateways

    assert (first.state, first.reason, first.since) == ("up", None, datetime.fromtimestamp(START_S, UTC))
    assert (second.state, second.reason) == ("down", "pin")
    assert second.since == datetime.fromtimestamp(START_S + 4, UTC)
    assert (second.latency_ms_p50, second.operations) == (None, 0)


async def test_nothing_is_known_of_gateways_while_cde_is_away(node: NodeMonitor) -> None:
    assert (await shown(node)).gateways == ()
    node.process("cde", up=True)
    found(node, first="refused")
    node.process("cde", up=False)
    (first,) = (await shown(node)).gateways

    assert (first.state, first.reason, first.since) == ("unknown", None, None)


async def test_counters_of_ended_calls_are_summed(node: NodeMonitor) -> None:
    for _ in range(2):
        node.call_closed((LegStatistics(received=5, lost=1), LegStatistics(received=7)))

    assert (await shown(node)).media == views.MediaView(received=24, lost=2)


async def test_certificates_tell_how_long_they_last(
    node: NodeMonitor, clock: HandClock, tmp_path: Path
) -> None:
    missing = (await shown(node)).certificates
    ensure_dev_certificates(tmp_path)
    clock.seconds = datetime.now(UTC).timestamp()
    fresh = (await shown(node)).certificates
    clock.seconds += 89 * 86_400
    late = (await shown(node)).certificates

    assert [item.findings for item in missing] == [("cannot be read (No such file or directory)",)] * 2
    assert [(item.kind, item.findings) for item in fresh] == [("authority", ()), ("server certificate", ())]
    assert all(item.days_left in (89, 90) for item in fresh)
    assert all("expires in" in item.findings[0] for item in late)


THREAD = MediaThread(
    name="rtp-0", packets=1_000, stay_us_p50=200, stay_us_p99=900, stay_us_max=4_000, busy_permille=31
)


async def test_media_tells_its_threads_and_its_sentinel(node: NodeMonitor) -> None:
    before = (await shown(node)).media
    node.media_health(MediaHealth(threads=(THREAD,), listened_legs=2, listened_s=60, events_lost=4))

    view = await shown(node)

    assert (before.threads, before.sentinel) == ((), None)
    assert view.media.threads[0].model_dump() == msgspec.to_builtins(THREAD)
    assert view.media.sentinel == views.SentinelView(listened_legs=2, listened_s=60, keys_after_mask=0)
    assert (view.media.events_lost, view.alerts) == (4, ())


async def test_what_was_heard_behind_the_mask_stays_heard_when_media_starts_anew(node: NodeMonitor) -> None:
    heard = [
        node.media_health(health)
        for health in (
            MediaHealth(listened_s=60),
            MediaHealth(listened_s=90, keys_after_mask=2),
            None,
            None,
            MediaHealth(listened_s=5, keys_after_mask=1),
        )
    ]

    view = await shown(node)

    assert heard == [0, 2, 2, 2, 3]
    assert view.media.sentinel == views.SentinelView(listened_legs=0, listened_s=95, keys_after_mask=3)
    assert view.alerts == ("keys_after_mask",)
