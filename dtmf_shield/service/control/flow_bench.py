"""The flows of this service for who writes them: what is served and why not, and the workbench for texts in hand."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

import msgspec

from dtmf_shield.api import views
from dtmf_shield.api.ports.flow_bench import FlowNotFound, SimulationRefused, WorkbenchBusy, WorkbenchFailed
from dtmf_shield.base.errors import OperatorError
from dtmf_shield.base.log import get_logger
from dtmf_shield.flow import graph as graphs
from dtmf_shield.flow.drawing import as_svg
from dtmf_shield.flow.language import Flow
from dtmf_shield.service.flows.versions import FlowShelf, version_of
from dtmf_shield.service.workbench.messages import (
    LINE_BYTES_MAX,
    MODULE,
    WorkbenchReady,
    WorkDone,
    WorkOrder,
)

START_TIME_MAX_S: Final = 60.0
"""Two seconds of imports and rehearsal, on a host that is busy with calls."""
ORDER_TIME_MAX_S: Final = 20.0
"""A text of 44 KB takes 3 s on a busy host of two cores; what takes longer is ended with its process."""
ORDERS_WAITING_MAX: Final = 8
"""One is worked on at a time; more engineers than these are asked to wait."""
IDLE_S: Final = 300.0
"""An unused workbench leaves: it holds 50 MB."""

_log = get_logger("flow_bench")
_Message = TypeVar("_Message", WorkbenchReady, WorkDone)


class FlowBench:
    """Implements ``api.ports.flow_bench.FlowBench``: served flows from the shelf, texts by the workbench process."""

    def __init__(self, shelf: FlowShelf, reasons: Callable[[Flow], Sequence[str]]) -> None:
        """``reasons``: why a call cannot run a flow here, nothing where it can."""
        self._shelf, self._reasons = shelf, reasons
        self._process: Process | None = None
        self._one = asyncio.Lock()
        self._waiting = 0
        self._leaves: asyncio.TimerHandle | None = None

    # --- what is served ------------------------------------------------------------------------------

    def versions(self) -> Sequence[views.FlowVersionView]:
        """Return every flow that was read, in the order of their names."""
        return [self._version(flow) for _, flow in sorted(self._shelf.known().items())]

    def _version(self, flow: Flow) -> views.FlowVersionView:
        return views.FlowVersionView(
            id=flow.id,
            title=flow.title,
            version=version_of(flow),
            mode=flow.mode,
            languages=tuple(flow.languages.offered),
            steps=len(flow.steps),
            served=flow.id in self._shelf.flows,
            reasons=tuple(self._reasons(flow)),
        )

    def source(self, flow_id: str) -> views.FlowSourceView:
        """Return the text that calls run. Reads a file. Raises FlowNotFound."""
        flow = self._flow(flow_id)
        try:
            text = self._shelf.text(flow)
        except OperatorError as error:
            _log.error("flow_text_lost", flow=flow_id, reason=str(error))
            raise FlowNotFound from None
        return views.flow_source(flow.id, version_of(flow), text)

    def graph(self, flow_id: str) -> views.FlowGraphView:
        """Return nodes and ways. Raises FlowNotFound."""
        return _graph(graphs.as_data(self._flow(flow_id)))

    def picture(self, flow_id: str) -> str:
        """Return the drawing, SVG. Raises FlowNotFound."""
        return as_svg(self._flow(flow_id))

    def _flow(self, flow_id: str) -> Flow:
        try:
            return self._shelf.known()[flow_id]
        except KeyError:
            raise FlowNotFound from None

    # --- texts in hand -------------------------------------------------------------------------------

    async def check(self, text: str) -> views.FlowCheckView:
        """Return what is wrong with a text."""
        done = await self._do(WorkOrder("check", text))
        return views.FlowCheckView(findings=tuple(map(views.FindingView.model_validate, done.findings)))

    async def draw(self, text: str) -> views.FlowDrawingView:
        """Return the picture of a text, and what it shows as data; neither where the text is no flow."""
        done = await self._do(WorkOrder("draw", text))
        return views.FlowDrawingView(
            graph=_graph(done.graph) if done.graph is not None else None, svg=done.svg
        )

    async def simulate(self, text: str, script: str) -> views.TranscriptView:
        """Return what happens. Raises SimulationRefused."""
        done = await self._do(WorkOrder("simulate", text, script))
        if done.refused:
            raise SimulationRefused(done.refused)
        lines = tuple(map(views.TranscriptLineView.model_validate, done.lines))
        return views.TranscriptView(lines=lines, ended=done.ended)

    async def _do(self, order: WorkOrder) -> WorkDone:
        if self._waiting >= ORDERS_WAITING_MAX:
            raise WorkbenchBusy
        self._waiting += 1
        try:
            async with self._one:
                return await self._asked(order)
        finally:
            self._waiting -= 1

    async def _asked(self, order: WorkOrder) -> WorkDone:
        """Ask the process. It ends with whoever stops waiting: its next line would be the answer to another order."""
        whole = False
        try:
            process = await self._present()
            if process.stdin is None:
                raise WorkbenchFailed
            process.stdin.write(msgspec.json.encode(order) + b"\n")
            done = await _line(process, WorkDone, ORDER_TIME_MAX_S)
            whole = True
        except (OSError, ValueError, TimeoutError, msgspec.DecodeError) as error:
            _log.warning("workbench_failed", order=order.do, reason=type(error).__name__)
            raise WorkbenchFailed from None
        finally:
            if not whole:
                await self._end()
        self._leaves = asyncio.get_running_loop().call_later(IDLE_S, self._leave)
        return done

    async def _present(self) -> Process:
        if self._leaves is not None:
            self._leaves.cancel()
        if self._process is not None and self._process.returncode is None:
            return self._process
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", MODULE, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, limit=LINE_BYTES_MAX
        )
        ready = await _line(self._process, WorkbenchReady, START_TIME_MAX_S)
        for protection, _, why in (each.partition(": ") for each in ready.weaker):
            _log.warning("protection_missing", name="workbench", protection=protection, why=why)
        _log.info("workbench_started", pid=self._process.pid)
        return self._process

    def _leave(self) -> None:
        if not self._one.locked() and self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()  # the end of its orders is its end
            self._process = None

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.kill()
            await process.wait()

    async def close(self) -> None:
        """End the workbench."""
        if self._leaves is not None:
            self._leaves.cancel()
        await self._end()


async def _line(process: Process, form: type[_Message], limit_s: float) -> _Message:
    if process.stdout is None:
        raise WorkbenchFailed
    async with asyncio.timeout(limit_s):
        line = await process.stdout.readline()
    return msgspec.json.decode(line, type=form)


def _graph(data: Mapping[str, Any]) -> views.FlowGraphView:
    ways = [{"source": way["from"], "target": way["to"], "label": way["label"]} for way in data["edges"]]
    return views.FlowGraphView.model_validate({**data, "edges": ways})
