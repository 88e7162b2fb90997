"""The real application on a real socket over a desk held in memory: what a test shows, a browser sees at once.

The server runs in a thread with a loop of its own. It can be taken away and given back on the same port, as a
restart or a pulled cable would, while the application and its ring of events live on.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

from starlette.types import ASGIApp, Receive, Scope, Send

from dtmf_shield.api.app import create_app
from dtmf_shield.api.identity.identity import Identity
from dtmf_shield.api.identity.passwords import Passwords
from dtmf_shield.api.play import PlayPhones
from dtmf_shield.api.ports import NothingToPay
from dtmf_shield.api.ports.backing import Backing
from dtmf_shield.api.server import serve
from dtmf_shield.api.site import LOOPBACK, Site
from dtmf_shield.api.views import CallView, FlowView, ServiceView, ShieldState
from dtmf_shield.base.system_clock import SystemClock
from dtmf_shield.model.ids import CaptureId
from dtmf_shield.model.report import OutcomeLine, ReportCounts, ReportRange
from dtmf_shield.store.identity_rows import IdentityRows
from tests.unit.api.api_desk import MemoryDesk

LIMIT_S = 10.0
HEARTBEAT_S = 15.0
Result = TypeVar("Result")


class StageDesk(MemoryDesk):
    """A memory desk whose service and flows are set by the test, and that takes payments where a capture can."""

    def __init__(self) -> None:
        super().__init__()
        self.shown = ServiceView(shield=ShieldState.ON, gateway="up")
        self.offered: tuple[FlowView, ...] = tuple(super().flows())

    def flows(self) -> tuple[FlowView, ...]:
        return self.offered

    def service(self) -> ServiceView:
        return self.shown

    def take_payment(self, capture_id: CaptureId) -> None:
        if not self.capture(capture_id).can_pay:
            raise NothingToPay
        self.asked.append(("pay", capture_id))


class StageBook:
    """Reports that say what the test says."""

    def __init__(self) -> None:
        self.shown = ReportCounts()
        self.rows_lost = 0
        self.asked: list[ReportRange] = []

    def counts(self, wanted: ReportRange) -> ReportCounts:
        self.asked.append(wanted)
        return self.shown

    def lines(self, wanted: ReportRange) -> tuple[OutcomeLine, ...]:
        self.asked.append(wanted)
        return ()


class _Recorder:
    """Writes down every request's path and headers before the application sees it."""

    def __init__(self, app: ASGIApp, requests: list[tuple[str, Mapping[str, str]]]) -> None:
        self._app, self._requests = app, requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
            self._requests.append((scope["path"], headers))
        await self._app(scope, receive, send)


class DeskSite:
    """One site for a whole run; :meth:`reset` gives the next test an empty desk."""

    def __init__(
        self,
        *,
        tls: ssl.SSLContext | None = None,
        site: Site = LOOPBACK,
        play: PlayPhones | None = None,
        **ports: Any,
    ) -> None:
        """``tls``: of a server by the name localhost. ``ports``: what else stands behind the API."""
        self._tls = tls
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.desk = StageDesk()
        # Its rows belong to the thread that serves.
        self.identity = self.run(
            lambda: Identity(
                IdentityRows(None), SystemClock(), passwords=Passwords(memory_kib=8, time_cost=1)
            )
        )
        self.login = self.identity.login
        self.requests: list[tuple[str, Mapping[str, str]]] = []
        self.reports = StageBook()
        self.app = create_app(
            self.desk,
            self.identity,
            site=site,
            heartbeat_s=HEARTBEAT_S,
            backing=Backing(reports=self.reports, **ports),
            play=play,
        )
        self.app.add_middleware(_Recorder, requests=self.requests)
        self._port = 0
        self._stop: asyncio.Event | None = None
        self._serving: asyncio.Task[None] | None = None
        self.up()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"https://localhost:{self._port}" if self._tls else f"http://127.0.0.1:{self._port}"

    def login_url(self) -> str:
        """Return a fresh one-time link."""
        return f"{self.url}/login?ticket={self.run(self.login.issue)}"

    def run(self, act: Callable[..., Result], *arguments: Any) -> Result:
        """Call a function on the site's loop, where the desk and its listeners live."""

        async def call() -> Result:
            return act(*arguments)

        return asyncio.run_coroutine_threadsafe(call(), self._loop).result(LIMIT_S)

    def wait(self, act: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        """Run a coroutine on the site's loop."""
        return asyncio.run_coroutine_threadsafe(act(), self._loop).result(LIMIT_S)

    def reset(self) -> None:
        """Empty desk, everything well, nothing recorded."""

        def clear() -> None:
            self.desk.table.clear()
            self.desk.asked.clear()
            self.desk.shown = ServiceView(shield=ShieldState.ON, gateway="up")
            self.desk.offered = MemoryDesk.flows(self.desk)
            self.reports.shown, self.reports.rows_lost = ReportCounts(), 0
            self.reports.asked.clear()
            # The ring tells what differs from what it told last: of the test before, it must remember nothing.
            ring = self.app.state.context.ring
            ring.service_changed(self.desk.shown)
            ring.flows_changed(self.desk.offered)
            ring._last.clear()

        self.run(clear)
        self.requests.clear()

    def show(self, call: CallView) -> None:
        """Put a call on the desk and tell of it."""
        self.run(self.desk.change, call)

    def show_service(self, service: ServiceView) -> None:
        """Tell how shield and gateway stand."""

        def change() -> None:
            self.desk.shown = service
            if self.desk.listener is not None:
                self.desk.listener.service_changed(service)

        self.run(change)

    def offer(self, *flows: FlowView) -> None:
        """Set the flows an agent may start, and tell of it, as a reload does."""

        def change() -> None:
            self.desk.offered = flows
            if self.desk.listener is not None:
                self.desk.listener.flows_changed(flows)

        self.run(change)

    @property
    def is_down(self) -> bool:
        """Whether nobody is served."""
        return self._stop is None

    def cut_streams(self) -> None:
        """End every open stream; the server goes on."""
        self.run(self.app.state.context.ring.end_streams)

    def up(self) -> None:
        """Serve, on the same port as before."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self._port))
        listener.listen()
        self._port = listener.getsockname()[1]

        async def begin() -> None:
            self._stop = asyncio.Event()
            self._serving = asyncio.create_task(serve(self.app, listener, self._stop, tls=self._tls))

        asyncio.run_coroutine_threadsafe(begin(), self._loop).result(LIMIT_S)

    def down(self) -> None:
        """Stop serving: connections end, new ones are refused."""

        async def end() -> None:
            if self._stop is not None and self._serving is not None:
                self._stop.set()
                await self._serving

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(LIMIT_S)
        self._stop = None

    def close(self) -> None:
        """End everything."""
        with contextlib.suppress(TimeoutError):
            if self._stop is not None:
                self.down()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(LIMIT_S)
        self._loop.close()
