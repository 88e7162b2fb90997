"""The call core as the API sees it: views of calls, commands of agents, refusals translated."""

from __future__ import annotations

import datetime
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from dtmf_shield.api import ports, views
from dtmf_shield.api.agent_sees import shown
from dtmf_shield.api.views.words import Answering
from dtmf_shield.base.clock import Clock
from dtmf_shield.call import errors
from dtmf_shield.call.core import CallCore
from dtmf_shield.call.events import CallPhase, CallSnapshot, CaptureSnapshot
from dtmf_shield.flow.language import Flow
from dtmf_shield.flow.language.steps import MenuStep
from dtmf_shield.model.capture import CaptureOutcome, CaptureProgress, CaptureResult
from dtmf_shield.model.ids import NO_TOKEN, CallId, CaptureId, Token
from dtmf_shield.model.payment import NO_MONEY, Money
from dtmf_shield.model.stream import ShieldMode

TOKENS_KEPT_MAX: Final = 1_000
"""Tokens that a program may still fetch; older ones are in the ledger."""
ENDED_KEPT_MAX: Final = TOKENS_KEPT_MAX
"""Ended calls with a capture that are found by their id: a program fetches its token, or gateways settle what was
unknown, long after others have pushed them out of the list. One costs 7 kB with one capture."""
CAPTURES_KEPT_MAX: Final = 4_096
"""Captures shown: every call's running one, and those of ended calls and earlier ones while there is room."""
ENDED_SHOWN_MAX: Final = 20
"""Calls that ended lately, kept in the list so that an agent still sees the outcome."""
AWAITED_SHOWN_MAX: Final = 64
"""Ended calls kept besides those: cde is still to say what became of their money. It does within a minute or so."""

_REFUSALS: Final[Mapping[type[errors.CommandRefused], type[ports.DeskRefusal]]] = {
    errors.CallUnknown: ports.CallNotFound,
    errors.CallNotTalking: ports.CallNotTalking,
    errors.CaptureUnknown: ports.CaptureNotFound,
    errors.CaptureRunning: ports.CaptureRunning,
    errors.CaptureSending: ports.CaptureSending,
    errors.CaptureOver: ports.CaptureOver,
    errors.FlowUnknown: ports.FlowUnknown,
    errors.FieldUnknown: ports.FieldUnknown,
    errors.AmountNeeded: ports.AmountNeeded,
    errors.AmountNotTaken: ports.AmountNotTaken,
    errors.InputRefused: ports.InputRefused,
    errors.CaptureUnavailable: ports.CapturesFull,
    errors.NothingToPay: ports.NothingToPay,
}


def _inputs_asked(flow: Flow) -> tuple[views.InputView, ...]:
    return tuple(
        views.InputView(
            name=name,
            type=wanted.type,
            required=wanted.required,
            min=wanted.min,
            max=wanted.max,
            allowed=wanted.allowed,
            pattern=wanted.pattern,
            length=wanted.length,
        )
        for name, wanted in flow.inputs.items()
        if wanted.origin == "api"
    )


def _shield_view(state: views.ShieldState, call: CallSnapshot) -> views.ShieldView:
    caller, agent = call.strictness
    return views.ShieldView(
        state=state,
        caller=call.shield_caller,
        agent=call.shield_agent,
        caller_withheld=caller.withheld,
        agent_withheld=agent.withheld,
        unrecorded=caller.unrecorded and agent.unrecorded,
    )


def _caller_shown(masked: str) -> str:
    """Numbers show two digits; what is no number (a name) shows nothing of itself."""
    return masked if masked == "anonymous" or masked.removeprefix("••").isdecimal() else "••"


def _awaits_truth(call: views.CallView) -> bool:
    """Whether ``unknown`` is a guess of this process: where cde says it, it names the operation."""
    outcome = call.capture.outcome if call.capture is not None else None
    return outcome is not None and outcome.result is CaptureResult.UNKNOWN and outcome.operation_id is None


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except errors.InputRefused as refusal:
        raise ports.InputRefused(refusal.faults) from None
    except errors.CommandRefused as refusal:
        raise _REFUSALS[type(refusal)]() from None


class Desk:
    """Implements ``api.ports.CallDesk`` over a CallCore. ``after`` runs the core's shell after each command."""

    def __init__(
        self, core: CallCore, flows: Mapping[str, Flow], clock: Clock, after: Callable[[], None]
    ) -> None:
        self._core, self._flows, self._clock, self._after = core, flows, clock, after
        self.line: Callable[[CallSnapshot], views.LineView | None] = lambda _call: None
        """What is known of a call's line."""
        self._listeners: list[ports.DeskListener] = []
        self._captures: OrderedDict[CaptureId, views.CaptureView] = OrderedDict()
        self._sees: dict[CaptureId, Collection[str]] = {}
        """What each capture that is kept shows its agent."""
        self._ended: OrderedDict[CallId, views.CallView] = OrderedDict()
        self._found: OrderedDict[CallId, views.CallView] = OrderedDict()
        """Ended calls with a capture, those in the list among them."""
        self._last: dict[CallId, views.CallView] = {}
        self._tokens: OrderedDict[CaptureId, Token] = OrderedDict()
        self._media_up = False
        self._paused = False
        self._gateway: Answering = "unknown"

    # --- what the API asks ---------------------------------------------------------------------------

    def calls(self) -> Sequence[views.CallView]:
        """Return calls in progress, newest first, then the last few that ended."""
        alive = sorted(self._core.snapshots(), key=lambda call: call.started_at_s, reverse=True)
        return [*map(self._view, alive), *reversed(self._ended.values())]

    def call(self, call_id: CallId) -> views.CallView:
        """Return one call."""
        ended = self._ended.get(call_id) or self._found.get(call_id)
        if ended is not None:
            return ended
        with _translated():
            return self._view(self._core.snapshot(call_id))

    def capture(self, capture_id: CaptureId) -> views.CaptureView:
        """Return one capture."""
        try:
            return self._captures[capture_id]
        except KeyError:
            raise ports.CaptureNotFound from None

    def token(self, capture_id: CaptureId) -> Token:
        """Return the token of a capture that ended with one."""
        self.capture(capture_id)
        try:
            return self._tokens[capture_id]
        except KeyError:
            raise ports.TokenNotThere from None

    def token_reference(self, capture_id: CaptureId) -> str | None:
        """Return what is shown of a capture's token, where it is still known here."""
        return views.token_reference(self._tokens.get(capture_id, NO_TOKEN))

    def start_capture(
        self,
        call_id: CallId,
        flow_id: str,
        reference: str,
        amount: Money = NO_MONEY,
        given: Mapping[str, str] = ports.NOTHING_GIVEN,
        language: str = "",
    ) -> CaptureId:
        """Begin a capture."""
        if self._paused:
            raise ports.CapturesFull
        with _translated():
            capture_id = self._core.start_capture(
                self._clock.now_s(), call_id, flow_id, reference, amount, given, language
            )
        self._after()
        return capture_id

    def request_field(self, capture_id: CaptureId, field: str) -> None:
        """Collect a field now."""
        with _translated():
            self._core.request_field(self._clock.now_s(), capture_id, field)
        self._after()

    def take_payment(self, capture_id: CaptureId) -> None:
        """Choose what the flow's menu lets the agent choose."""
        with _translated():
            self._core.take_payment(self._clock.now_s(), capture_id)
        self._after()

    def pause_capture(self, capture_id: CaptureId) -> None:
        """Drop keys until resumed."""
        with _translated():
            self._core.pause_capture(self._clock.now_s(), capture_id)
        self._after()

    def resume_capture(self, capture_id: CaptureId) -> None:
        """Go on."""
        with _translated():
            self._core.resume_capture(self._clock.now_s(), capture_id)
        self._after()

    def cancel_capture(self, capture_id: CaptureId) -> None:
        """Wipe and end."""
        with _translated():
            self._core.cancel_capture(self._clock.now_s(), capture_id)
        self._after()

    def flows(self) -> Sequence[views.FlowView]:
        """Return the flows an agent may start."""
        return [
            views.FlowView(
                id=flow.id,
                title=flow.title,
                needs_amount=flow.needs_amount,
                inputs=_inputs_asked(flow),
                agent_pays=any(
                    step.agent_choice for step in flow.steps.values() if isinstance(step, MenuStep)
                ),
            )
            for flow in self._flows.values()
            if flow.mode == "agent_assisted"
        ]

    def service(self) -> views.ServiceView:
        """Return what holds for every call."""
        shield = views.ShieldState.ON if self._media_up else views.ShieldState.FAULT
        return views.ServiceView(shield=shield, gateway=self._gateway)

    def subscribe(self, listener: ports.DeskListener) -> None:
        """Tell ``listener`` of every change."""
        self._listeners.append(listener)

    # --- what the process tells ----------------------------------------------------------------------

    def media_changed(self, *, up: bool) -> None:
        """Media is there, or away: no leg is shielded then, because none is heard."""
        if up != self._media_up:
            self._media_up = up
            self._tell_service()
            for snapshot in self._core.snapshots():
                self._tell_call(self._view(snapshot))

    def flows_changed(self, flows: Mapping[str, Flow]) -> None:
        """An agent may start these flows from now on."""
        before, self._flows = self.flows(), flows
        now = self.flows()
        if now != before:
            for listener in self._listeners:
                listener.flows_changed(now)

    def captures_paused(self, *, paused: bool) -> None:
        """Cde is being replaced and takes no new capture, or a fresh one is there."""
        self._paused = paused

    def gateways_changed(self, up: Sequence[bool]) -> None:
        """Which gateways answer."""
        state: Answering = "up" if all(up) else "partly" if any(up) else "down"
        if self._gateway != state:
            self._gateway = state
            self._tell_service()

    def call_changed(self, call_id: CallId) -> None:
        """Something about the call has changed."""
        try:
            snapshot = self._core.snapshot(call_id)
        except errors.CallUnknown:
            return
        self._tell_call(self._view(snapshot))

    def progressed(self, progress: CaptureProgress) -> None:
        """Apply each progress in order: it speaks of one field, the view keeps the others."""
        if view := self._captures.get(progress.capture_id):
            self._keep(views.capture_after_progress(view, progress))
            self.call_changed(view.call)

    def finished(self, outcome: CaptureOutcome) -> None:
        """A capture has ended; its call may be over already."""
        if outcome.token:
            self._tokens[outcome.capture_id] = outcome.token
            while len(self._tokens) > TOKENS_KEPT_MAX:
                self._tokens.popitem(last=False)
        view = self._captures.get(outcome.capture_id)
        if view is not None:
            after = self._keep(views.capture_after_outcome(view, outcome))
            call = self._found.get(view.call)
            if call is not None and call.capture is not None and call.capture.id == view.id:
                call = call.model_copy(update={"capture": after})
                if view.call in self._ended:
                    self._ended[view.call] = call
                self._tell(call)

    def ended(self, call_id: CallId, outcome: CaptureOutcome | None) -> None:
        """The call is over; it stays in the list for a while. ``outcome``: of its last capture, as the call knows it;
        what cde has told is not changed by it.
        """
        last = self._last.pop(call_id, None)
        if last is None:
            self._forget_captures(call_id)
            return
        off = views.ShieldView(state=views.ShieldState.OFF)
        capture = self._captures.get(last.capture.id) if last.capture else None
        if capture is not None and capture.outcome is None and outcome is not None:
            capture = self._keep(views.capture_after_outcome(capture, outcome))
        view = last.model_copy(update={"state": views.CallState.ENDED, "shield": off, "capture": capture})
        self._ended[call_id] = view
        self._forget_oldest()
        self._tell(view)

    def _forget_oldest(self) -> None:
        awaited = [call_id for call_id, call in self._ended.items() if _awaits_truth(call)]
        told = [call_id for call_id in self._ended if call_id not in awaited]
        for call_id in (*told[:-ENDED_SHOWN_MAX], *awaited[:-AWAITED_SHOWN_MAX]):
            del self._ended[call_id]
            self._forget_captures(call_id)

    def _forget_captures(self, call_id: CallId) -> None:
        """Forget all captures of a call, not its last alone: an agent may have tried again.

        One that is still found by its id keeps them.
        """
        if call_id in self._found:
            return
        for capture_id in [view.id for view in self._captures.values() if view.call == call_id]:
            del self._captures[capture_id]
            self._sees.pop(capture_id, None)

    def _find_later(self, call: views.CallView) -> None:
        self._found[call.id] = call
        if len(self._found) > ENDED_KEPT_MAX:
            self._find_no_more()

    def _find_no_more(self) -> None:
        call_id, _ = self._found.popitem(last=False)
        if call_id not in self._ended:
            self._forget_captures(call_id)

    # --- views ---------------------------------------------------------------------------------------

    def _view(self, snapshot: CallSnapshot) -> views.CallView:
        confirmed = ShieldMode.MUTE not in (snapshot.shield_caller, snapshot.shield_agent)
        settled = confirmed or snapshot.phase in (CallPhase.RINGING, CallPhase.EARLY)
        shield = views.ShieldState.ON if self._media_up and settled else views.ShieldState.FAULT
        return views.CallView(
            id=snapshot.call_id,
            trunk=snapshot.trunk,
            dialled=snapshot.dialled,
            agent=snapshot.agent_name,
            caller_masked=_caller_shown(snapshot.caller_masked),
            state=views.CallState(snapshot.phase.value),
            started_at=datetime.datetime.fromtimestamp(snapshot.started_at_s, datetime.UTC),
            shield=_shield_view(shield, snapshot),
            line=self.line(snapshot),
            capture=self._capture_view(snapshot.call_id, snapshot.capture) if snapshot.capture else None,
        )

    def _capture_view(self, call_id: CallId, capture: CaptureSnapshot) -> views.CaptureView:
        view = self._captures.get(capture.capture_id)
        if view is None:
            # The version that runs: since it began a reload may have changed or removed it.
            flow = capture.flow or self._flows[capture.flow_id]
            self._sees[capture.capture_id] = flow.masking.agent_sees
            view = views.new_capture(
                capture_id=capture.capture_id,
                call_id=call_id,
                flow_id=flow.id,
                fields=flow.capture_spec().fields,
                labels={name: field.label for name, field in flow.fields.items() if field.label},
                title=flow.title,
                say=capture.say,
                amount=capture.amount,
                reference=capture.reference,
            )
        if capture.say and capture.say != view.say and view.outcome is None:
            view = view.model_copy(update={"say": capture.say})
        if capture.progress is not None and view.state != capture.progress.state:
            view = views.capture_after_progress(view, capture.progress)
        if isinstance(capture.outcome, CaptureOutcome):
            view = views.capture_after_outcome(view, capture.outcome)
        view = views.capture_in_flow(
            view, capture.step, capture.hint, can_pay=capture.can_pay, gateway_down=capture.gateway_down
        )
        view = self._keep(view)
        while len(self._captures) > CAPTURES_KEPT_MAX:
            if self._found:
                self._find_no_more()
            else:
                self._sees.pop(self._captures.popitem(last=False)[0], None)
        return view

    def _keep(self, view: views.CaptureView) -> views.CaptureView:
        """Keep a capture as the flow that it began with shows it; nothing else is kept here."""
        view = shown(view, self._sees.get(view.id, ()))
        self._captures[view.id] = view
        return view

    def _tell_call(self, view: views.CallView) -> None:
        self._last[view.id] = view
        self._tell(view)

    def _tell(self, view: views.CallView) -> None:
        if view.state is views.CallState.ENDED and view.capture is not None:
            self._find_later(view)
        for listener in self._listeners:
            listener.call_changed(view)

    def _tell_service(self) -> None:
        for listener in self._listeners:
            listener.service_changed(self.service())
