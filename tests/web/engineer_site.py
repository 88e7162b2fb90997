"""The engineer's page over the shipped flows: a real workbench process, and a node held in memory."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Sequence
from pathlib import Path

from dtmf_shield.api import views
from dtmf_shield.base.config import Config
from dtmf_shield.flow.language import Flow
from dtmf_shield.service.control.flow_bench import FlowBench
from dtmf_shield.service.flows import findings
from dtmf_shield.service.flows.files import shipped_flows
from dtmf_shield.service.flows.versions import FlowShelf, take_over
from tests.web.desk_site import LIMIT_S, DeskSite
from tests.web.played_calls import PlayedCalls

NOW = datetime.datetime(2026, 3, 29, 9, 12, tzinfo=datetime.UTC)


THREADS = (
    views.MediaThreadView(
        name="shard-0", packets=4_812_330, stay_us_p50=180, stay_us_p99=720, stay_us_max=9_100,
        deadline_misses=0, busy_permille=214,
    ),
    views.MediaThreadView(
        name="shard-1", packets=3_990_114, stay_us_p50=210, stay_us_p99=24_000, stay_us_max=61_000,
        deadline_misses=8_114, busy_permille=871,
    ),
)  # fmt: skip


def a_node() -> views.NodeView:
    """Return a node with something well, something to be looked at, and something wrong in each part."""
    certificate = views.CertificateView(file="ca.pem", kind="authority", subject="CN=Test CA", days_left=340)
    return views.NodeView(
        name="media-1",
        version="0.1.0",
        started_at=NOW,
        uptime_s=3_600,
        processes=(
            views.ProcessView(
                name="control", up=True, since=NOW, weaker=("memfd_secret: not in this kernel",)
            ),
            views.ProcessView(name="media", up=True, since=NOW, restarts=2),
            views.ProcessView(name="cde", up=False, since=NOW),
        ),
        calls=12,
        calls_max=500,
        captures=3,
        media=views.MediaView(
            received=1_204_332,
            sent=1_203_998,
            lost=41,
            late=7,
            threads=THREADS,
            sentinel=views.SentinelView(listened_legs=3, listened_s=5_204, keys_after_mask=0),
        ),
        gateways=(
            views.GatewayHealthView(
                name="acquirer",
                use="primary",
                state="up",
                since=NOW,
                operations=73,
                latency_ms_p50=212,
                latency_ms_p99=960,
            ),
            views.GatewayHealthView(name="second", use="fallback", state="down", reason="tls", since=NOW),
        ),
        certificates=(
            certificate,
            certificate.model_copy(update={"file": "client.pem", "kind": "client", "days_left": 9}),
            certificate.model_copy(
                update={"file": "old.pem", "days_left": -3, "findings": ("it has expired",)}
            ),
        ),
        readers=views.ReadersView(streams=14, streams_max=512, lag_events=2),
        trunks=(
            views.TrunkView(name="carrier-a", networks=("192.0.2.0/24",), calls=12, seen_at=NOW),
            views.TrunkView(name="carrier-b", networks=("198.51.100.0/24", "2001:db8::/32"), calls=0),
        ),
        webhooks_waiting=0,
        prompts=views.PromptsView(
            pieces=212, missing=("flow card-on-file, language de-DE: 3 pieces are not built",)
        ),
    )


def leaking(keys: int) -> views.NodeView:
    """Return a node whose sentinel has heard keys."""
    node = a_node()
    sentinel = views.SentinelView(listened_legs=3, listened_s=5_204, keys_after_mask=keys)
    media = node.media.model_copy(update={"sentinel": sentinel, "events_lost": 2})
    return node.model_copy(update={"media": media, "alerts": ("keys_after_mask",)})


def deaf() -> views.NodeView:
    """Return a node whose media has just started: no thread has told anything, and nobody was listened to."""
    node = a_node()
    sentinel = views.SentinelView(listened_legs=0, listened_s=0, keys_after_mask=0)
    return node.model_copy(update={"media": views.MediaView(sentinel=sentinel)})


class Nodes:
    """One node."""

    def __init__(self) -> None:
        self.shown = a_node()

    async def nodes(self) -> Sequence[views.NodeView]:
        return (self.shown,)


class EngineerSite(DeskSite):
    """A site with flows and nodes behind it. ``directory``: where copies of the flows may lie."""

    def __init__(self, directory: Path) -> None:
        def lacking(flow: Flow) -> list[str]:
            return findings.findings(flow, Config())

        shelf = FlowShelf(directory, lacking)
        shelf.serve(shelf.read(take_over(directory, sorted(shipped_flows().glob("*.yaml")))))
        self.bench = FlowBench(shelf, lacking)
        self.played = PlayedCalls()
        self.nodes = Nodes()
        super().__init__(flow_bench=self.bench, nodes=self.nodes, test_calls=self.played)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self.bench.close(), self._loop).result(LIMIT_S)
        super().close()
