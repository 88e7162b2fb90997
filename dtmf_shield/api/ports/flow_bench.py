"""What the API needs for those who write flows: what is served, and a workbench for a text in hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn, Protocol

from dtmf_shield.api.ports.refusals import DeskRefusal
from dtmf_shield.api.views import (
    FlowCheckView,
    FlowDrawingView,
    FlowGraphView,
    FlowSourceView,
    FlowVersionView,
    TranscriptView,
)


class FlowBench(Protocol):
    """Flows of the service, and the workbench. ``source`` reads a file: call it in a thread."""

    def versions(self) -> Sequence[FlowVersionView]:
        """Return every flow of the service."""

    def source(self, flow_id: str) -> FlowSourceView:
        """Return its text. Raises FlowNotFound."""

    def graph(self, flow_id: str) -> FlowGraphView:
        """Return its steps and ways. Raises FlowNotFound."""

    def picture(self, flow_id: str) -> str:
        """Return its drawing, SVG. Raises FlowNotFound."""

    async def check(self, text: str) -> FlowCheckView:
        """Return what is wrong with a text. Raises WorkbenchBusy, WorkbenchFailed."""

    async def draw(self, text: str) -> FlowDrawingView:
        """Return its picture. Raises WorkbenchBusy, WorkbenchFailed."""

    async def simulate(self, text: str, script: str) -> TranscriptView:
        """Run it on virtual time. Raises SimulationRefused, WorkbenchBusy, WorkbenchFailed."""


class FlowNotFound(DeskRefusal):
    """None of that name."""

    status, slug, title = 404, "flow-not-found", "There is no such flow."


class SimulationRefused(DeskRefusal):
    """The text has mistakes, or a line of the script is none."""

    status, slug, title = 422, "simulation-refused", "This cannot be simulated."


class WorkbenchBusy(DeskRefusal):
    """Too many wait for it."""

    status, slug, title = 503, "workbench-busy", "Too many flows are being worked on. Try again in a moment."


class WorkbenchFailed(DeskRefusal):
    """It gave no answer in time, or ended."""

    status, slug, title = 503, "workbench-failed", "The workbench gave no answer. Calls go on as before."


class NoFlowBench:
    """There is none."""

    def versions(self) -> Sequence[FlowVersionView]:
        """None."""
        return ()

    def source(self, flow_id: str) -> FlowSourceView:
        """Refuse."""
        return self._refuse(flow_id)

    def graph(self, flow_id: str) -> FlowGraphView:
        """Refuse."""
        return self._refuse(flow_id)

    def picture(self, flow_id: str) -> str:
        """Refuse."""
        return self._refuse(flow_id)

    async def check(self, _text: str) -> FlowCheckView:
        """Refuse."""
        raise WorkbenchFailed

    async def draw(self, _text: str) -> FlowDrawingView:
        """Refuse."""
        raise WorkbenchFailed

    async def simulate(self, _text: str, _script: str) -> TranscriptView:
        """Refuse."""
        raise WorkbenchFailed

    def _refuse(self, _flow_id: str) -> NoReturn:
        raise FlowNotFound
