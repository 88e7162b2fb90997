"""What control knows of the service's own health, put into one view: nothing of any caller."""

from __future__ import annotations

import asyncio
import datetime
import platform
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final, Literal

import msgspec

from dtmf_shield.api import views
from dtmf_shield.base.clock import Clock
from dtmf_shield.base.config import Config
from dtmf_shield.model.gateway import GatewayFound
from dtmf_shield.model.media_health import MediaHealth
from dtmf_shield.model.messages import PaymentChanged, PromptsLoaded
from dtmf_shield.model.payment import OperationState
from dtmf_shield.model.stream import LegStatistics
from dtmf_shield.service.certificate_findings import Role, certificate_items
from dtmf_shield.service.dev_certificates import DIRECTORY
from dtmf_shield.service.prompts.check import FlowPrompts, prompt_findings

EXPIRES_SOON_DAYS: Final = 30
LATENCIES_KEPT: Final = 500
INTENTS_KEPT: Final = 1_024
PROMPT_FINDINGS_MAX: Final = 20
Process = Literal["control", "media", "cde"]


@dataclass(slots=True)
class _Course:
    """How one process goes. ``joins``: how often it came."""

    up: bool
    since_s: float
    joins: int = 0


@dataclass(frozen=True, slots=True)
class _Found:
    """How a gateway was found, and since when."""

    gateway: GatewayFound
    since_s: float


class NodeMonitor:
    """Implements ``api.ports.NodeDesk``; the process tells it what happens, and the desk, whose listener it is."""

    def __init__(self, config: Config, state: Path, clock: Clock, weaker: tuple[str, ...]) -> None:
        self._config, self._state, self._clock, self._weaker = config, state, clock, weaker
        now_s = clock.wall_s()
        self._started_s = now_s
        self._processes: dict[Process, _Course] = {
            "control": _Course(True, now_s, 1),
            "media": _Course(False, now_s),
            "cde": _Course(False, now_s),
        }
        self._gateways: tuple[_Found, ...] = ()
        self._intents: OrderedDict[str, float] = OrderedDict()
        self._latencies_ms: dict[str, deque[int]] = {}
        self._trunk_seen_s: dict[str, float] = {}
        self._media = views.MediaCountersView()
        self._health: MediaHealth | None = None
        self._sentinel_before = MediaHealth()
        """What the sentinels of media processes that are gone have told last, in all."""
        self._asks: Callable[[], views.Snapshot] | None = None
        self._readers: Callable[[], views.ReadersView] | None = None
        self._waiting: Callable[[], int] = lambda: 0
        self._prompts: PromptsLoaded | None = None
        self.flow_prompts: Callable[[], Sequence[FlowPrompts]] = lambda: ()
        """What the flows say that calls begin with now."""

    def look_at(
        self,
        snapshot: Callable[[], views.Snapshot],
        readers: Callable[[], views.ReadersView],
        webhooks_waiting: Callable[[], int],
    ) -> None:
        """Where calls, readers and webhooks are seen."""
        self._asks, self._readers, self._waiting = snapshot, readers, webhooks_waiting

    # --- what the process tells ----------------------------------------------------------------------

    def process(self, name: Process, *, up: bool) -> None:
        """A process is there, or away."""
        course = self._processes[name]
        course.up, course.since_s, course.joins = up, self._clock.wall_s(), course.joins + up

    def gateways_found(self, found: Sequence[GatewayFound]) -> None:
        """Cde has tried its gateways, the primary first."""
        now_s = self._clock.wall_s()
        before = {each.gateway: each for each in self._gateways}
        self._gateways = tuple(before.get(each) or _Found(each, now_s) for each in found)
        timed = self._latencies_ms
        self._latencies_ms = {each.name: timed.get(each.name, deque(maxlen=LATENCIES_KEPT)) for each in found}

    def service_changed(self, service: views.ServiceView) -> None:
        """Nothing: processes and gateways tell of themselves."""

    def flows_changed(self, flows: Sequence[views.FlowView]) -> None:
        """Nothing: what they say is asked for when it is shown."""

    def call_changed(self, call: views.CallView) -> None:
        """A trunk has brought a call."""
        began_s = call.started_at.timestamp()
        self._trunk_seen_s[call.trunk] = max(began_s, self._trunk_seen_s.get(call.trunk, 0.0))

    def payment_changed(self, change: PaymentChanged) -> None:
        """Time an operation from its intent to its outcome; one that is unknown has none."""
        if change.state is OperationState.INTENT:
            self._intents[change.operation_id] = self._clock.now_s()
            while len(self._intents) > INTENTS_KEPT:
                self._intents.popitem(last=False)
            return
        begun_s = self._intents.pop(change.operation_id, None)
        timed = self._latencies_ms.get(change.gateway)
        if begun_s is not None and timed is not None and change.state is not OperationState.UNKNOWN:
            timed.append(round(1_000 * (self._clock.now_s() - begun_s)))

    def prompts_loaded(self, loaded: PromptsLoaded) -> None:
        """Media has read the prompts, or could not."""
        self._prompts = loaded

    def media_health(self, health: MediaHealth | None) -> int:
        """Take how media's threads do; None where it is away. Returns the keys heard behind the mask in all."""
        before, last = self._sentinel_before, self._health
        if health is None and last is not None:
            # The next process counts anew, and what this one has heard stays heard.
            self._sentinel_before = MediaHealth(
                listened_s=before.listened_s + last.listened_s,
                keys_after_mask=before.keys_after_mask + last.keys_after_mask,
            )
        self._health = health
        return self._sentinel_view().keys_after_mask

    def _sentinel_view(self) -> views.SentinelView:
        before, now = self._sentinel_before, self._health or MediaHealth()
        return views.SentinelView(
            listened_legs=now.listened_legs,
            listened_s=before.listened_s + now.listened_s,
            keys_after_mask=before.keys_after_mask + now.keys_after_mask,
        )

    def call_closed(self, legs: Sequence[LegStatistics]) -> None:
        """Add the counters of a call that has ended."""
        counted = dict(self._media)
        for leg in legs:
            for name, value in msgspec.to_builtins(leg).items():
                if name in counted:
                    counted[name] += value
        self._media = views.MediaCountersView(**counted)

    # --- what the API asks ---------------------------------------------------------------------------

    async def nodes(self) -> Sequence[views.NodeView]:
        """Return this node."""
        certificates = await asyncio.to_thread(self._certificates)
        prompts = await asyncio.to_thread(self._prompts_view, self._prompts)
        if self._asks is None or self._readers is None:
            return ()
        return [self._view(self._asks(), self._readers(), certificates, prompts)]

    def _view(
        self,
        whole: views.Snapshot,
        readers: views.ReadersView,
        certificates: tuple[views.CertificateView, ...],
        prompts: views.PromptsView | None,
    ) -> views.NodeView:
        alive = [call for call in whole.calls if call.state is not views.CallState.ENDED]
        running = [
            call.capture for call in alive if call.capture is not None and call.capture.outcome is None
        ]
        return views.NodeView(
            name=platform.node(),
            version=metadata.version("dtmf-shield"),
            started_at=_moment(self._started_s),
            uptime_s=int(self._clock.wall_s() - self._started_s),
            processes=tuple(self._process_view(name) for name in self._processes),
            calls=len(alive),
            calls_max=self._config.media.calls_max,
            captures=len(running),
            media=self._media_view(),
            gateways=tuple(self._gateway_views()),
            certificates=certificates,
            readers=readers,
            trunks=tuple(
                views.TrunkView(
                    name=trunk.name,
                    networks=tuple(trunk.networks),
                    calls=sum(call.trunk == trunk.name for call in alive),
                    seen_at=_moment(seen_s) if (seen_s := self._trunk_seen_s.get(trunk.name)) else None,
                )
                for trunk in self._config.trunks
            ),
            webhooks_waiting=self._waiting(),
            prompts=prompts,
            alerts=("keys_after_mask",) if self._sentinel_view().keys_after_mask else (),
        )

    def _media_view(self) -> views.MediaView:
        health, sentinel = self._health, self._sentinel_view()
        return views.MediaView(
            **dict(self._media),
            threads=tuple(
                views.MediaThreadView(**msgspec.to_builtins(one))
                for one in (health.threads if health else ())
            ),
            sentinel=sentinel if health is not None or sentinel.keys_after_mask else None,
            events_lost=health.events_lost if health else 0,
        )

    def _process_view(self, name: Process) -> views.ProcessView:
        course = self._processes[name]
        return views.ProcessView(
            name=name,
            up=course.up,
            since=_moment(course.since_s),
            restarts=max(course.joins - 1, 0),
            weaker=self._weaker if name == "control" else (),
        )

    def _gateway_views(self) -> Iterator[views.GatewayHealthView]:
        sure = self._processes["cde"].up
        for place, found in enumerate(self._gateways):
            timed = sorted(self._latencies_ms[found.gateway.name])
            yield views.GatewayHealthView(
                name=found.gateway.name,
                use="fallback" if place else "primary",
                state="unknown" if not sure else "up" if found.gateway.up else "down",
                reason=found.gateway.reason if sure and not found.gateway.up else None,
                since=_moment(found.since_s) if sure else None,
                operations=len(timed),
                latency_ms_p50=timed[len(timed) // 2] if timed else None,
                latency_ms_p99=timed[min(len(timed) * 99 // 100, len(timed) - 1)] if timed else None,
            )

    def _prompts_view(self, loaded: PromptsLoaded | None) -> views.PromptsView | None:
        if loaded is None:
            return None
        found = [finding.said for finding in prompt_findings(Path(loaded.path), self.flow_prompts())]
        missing = [loaded.reason, *found] if loaded.reason else found
        return views.PromptsView(pieces=loaded.count, missing=tuple(missing[:PROMPT_FINDINGS_MAX]))

    def _certificates(self) -> tuple[views.CertificateView, ...]:
        """Read the certificates that the configuration names, or that were made for the embedded gateway."""
        now = datetime.datetime.fromtimestamp(self._clock.wall_s(), datetime.UTC)
        named = [
            (Path(file), role)
            for gateway in (self._config.gateway, self._config.fallback_gateway)
            if gateway is not None
            for file, role in (
                (gateway.ca_file, Role.AUTHORITY),
                (gateway.client_certificate_file, Role.CLIENT),
            )
            if file is not None
        ]
        made = self._state / DIRECTORY
        own = [(made / "ca.pem", Role.AUTHORITY), (made / "gateway.pem", Role.SERVER)]
        if self._config.gateway.kind != "embedded":
            own = []
        return tuple(
            _certificate(path, item)
            for path, role in (*named, *own)
            for item in certificate_items(path, role, now, EXPIRES_SOON_DAYS)
        )


def _certificate(path: Path, item: dict[str, object]) -> views.CertificateView:
    days = item.get("days_left")
    findings = item.get("findings")
    return views.CertificateView(
        file=path.name,
        kind=str(item["kind"]),
        subject=str(item.get("subject", "")),
        not_after=str(item.get("not_after", "")),
        days_left=days if isinstance(days, int) else None,
        findings=tuple(map(str, findings)) if isinstance(findings, list) else (),
    )


def _moment(wall_s: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(wall_s, datetime.UTC)
