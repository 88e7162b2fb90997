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
    """The gateway: whether it answers, and how long it takes (from the intent on disk to the outcome)."""

    name: Prose
    state: Literal["up", "down", "unknown"]
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
    media: MediaCountersView
    gateway: GatewayHealthView
    certificates: tuple[CertificateView, ...]
    readers: ReadersView
    trunks: tuple[TrunkView, ...]
    webhooks_waiting: int


class NodeList(View):
    """The nodes; one in this version."""

    nodes: tuple[NodeView, ...]
