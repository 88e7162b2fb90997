"""Views of the service's own health: processes, limits, gateway, certificates, readers, trunks. No customer data."""

from __future__ import annotations

from typing import Literal

from dtmf_shield.api.views.words import Prose, View, WholeSecond


class ProcessView(View):
    """One process as control sees it. ``since``: up or down; ``restarts``: since control itself has started."""

    name: Literal["control", "media", "cde"]
    up: bool
    since: WholeSecond
    restarts: int = 0
    weaker: tuple[Prose, ...] = ()
    """Protections this kernel could not give; told of control alone."""


class GatewayHealthView(View):
    """A gateway: whether it answers, and how long it takes (from the intent on disk to the outcome).

    ``use``: what is asked of no gateway by name goes to the primary, then to the fallback. ``state``: as the last
    exchange or probe found it (each 30 s); unknown while cde is away. ``reason``: why it does not answer.
    """

    name: Prose
    use: Literal["primary", "fallback"]
    state: Literal["up", "down", "unknown"]
    reason: Literal["refused", "timeout", "tls", "pin"] | None = None
    since: WholeSecond | None = None
    operations: int = 0
    """Timed lately; the two times are of these, null without any."""
    latency_ms_p50: int | None = None
    latency_ms_p99: int | None = None


class CertificateView(View):
    """A certificate that the service uses or offers. ``findings``: what is wrong with it, in words."""

    file: Prose
    kind: Prose
    subject: Prose = ""
    not_after: Prose = ""
    days_left: int | None = None
    findings: tuple[Prose, ...] = ()


class ReadersView(View):
    """Open event streams, and by how many events the slowest is behind."""

    streams: int
    streams_max: int
    lag_events: int


class TrunkView(View):
    """A trunk of the configuration. ``seen_at``: when it last brought a call, since control has started."""

    name: Prose
    networks: tuple[Prose, ...]
    calls: int
    seen_at: WholeSecond | None = None


class MediaCountersView(View):
    """Packets of calls that have ended since control started; the names are those of the log line ``call_media``."""

    received: int = 0
    sent: int = 0
    lost: int = 0
    late: int = 0
    bad_source: int = 0
    malformed: int = 0
    events_removed: int = 0
    masked_samples: int = 0


class MediaThreadView(View):
    """One packet thread of media since it has started.

    A packet's stay is the time from its arrival at the socket to the moment its successor has left.
    """

    name: Prose
    packets: int
    stay_us_p50: int
    stay_us_p99: int
    stay_us_max: int
    deadline_misses: int
    """Packets that stayed longer than 20 ms, the packet time of most calls."""
    busy_permille: int
    """Of the last seconds, how much was spent at work and not in waiting."""


class SentinelView(View):
    """The second ear behind the mask, since control has started: it listens to what leaves for agents."""

    listened_legs: int
    """Callers' legs it listens to now."""
    listened_s: int
    """Masked audio it has heard in all."""
    keys_after_mask: int
    """Keys it has heard there: must be 0."""


class MediaView(MediaCountersView):
    """Media: packets of calls that have ended, and how the process does. ``sentinel``: null until media has told it."""

    threads: tuple[MediaThreadView, ...] = ()
    sentinel: SentinelView | None = None
    events_lost: int = 0
    """Of the threads' news to the process, what a full ring had no room for."""


class PromptsView(View):
    """Prompts as media has them. ``missing``: what served flows would say and nothing has built, in words."""

    pieces: int
    missing: tuple[Prose, ...] = ()


class NodeView(View):
    """One node: this service on its host."""

    name: Prose
    version: Prose
    started_at: WholeSecond
    uptime_s: int
    processes: tuple[ProcessView, ...]
    calls: int
    calls_max: int
    captures: int
    media: MediaView
    gateways: tuple[GatewayHealthView, ...]
    """The primary first; empty until cde has told of them."""
    certificates: tuple[CertificateView, ...]
    readers: ReadersView
    trunks: tuple[TrunkView, ...]
    webhooks_waiting: int
    prompts: PromptsView | None = None
    """Null until media has loaded them."""
    alerts: tuple[Literal["keys_after_mask"], ...] = ()
    """What somebody must look at now. ``keys_after_mask``: the sentinel has heard keys behind the mask."""


class NodeList(View):
    """The nodes; one in this version."""

    nodes: tuple[NodeView, ...]
