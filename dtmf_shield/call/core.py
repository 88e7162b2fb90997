"""CallCore: the whole B2BUA behind the verbs of a sans-IO core. It sorts what comes in to setup, midcall and
engagement, keeps one deadline table, and tells its consumers what happened.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from dtmf_shield.call import capture_news, flow_run, handover, midcall, recovery, setup
from dtmf_shield.call import engagement as capturing
from dtmf_shield.call.admission import answer_options, refusal_of
from dtmf_shield.call.call import Call, Engagement, Stage, Timer
from dtmf_shield.call.capture_news import CaptureMessage
from dtmf_shield.call.context import Context, Purpose
from dtmf_shield.call.errors import CallUnknown
from dtmf_shield.call.events import (
    CallEvent,
    CallSnapshot,
    CaptureSnapshot,
    ShieldStateChanged,
    masked_user,
)
from dtmf_shield.call.flow_start import NOTHING_GIVEN
from dtmf_shield.call.ports import CapturePort, HookPort, MediaPort, StorePort
from dtmf_shield.call.record import CallRecord
from dtmf_shield.call.settings import Admission, CallSettings
from dtmf_shield.flow.engine.events import HookAnswered, QualityHinted
from dtmf_shield.flow.language import Flow as IvrFlow
from dtmf_shield.model.capture import CaptureResult, CaptureState
from dtmf_shield.model.ids import CallId, CaptureId, LegRole
from dtmf_shield.model.messages import LineHinted, PromptEnded, ShieldChanged, StarCodeKeyed
from dtmf_shield.model.payment import NO_MONEY, Money
from dtmf_shield.sip.endpoint import Endpoint
from dtmf_shield.sip.events import (
    AckMissing,
    AckReceived,
    Address,
    CancelReceived,
    Event,
    Flow,
    MessageRefused,
    Outgoing,
    RequestReceived,
    RequestTimedOut,
    ResponseReceived,
)
from dtmf_shield.sip.message import OpaqueBody, TokenSource
from dtmf_shield.sip.transaction import Timers

NO_VERSIONS: Final[Mapping[str, IvrFlow]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class SipRefused:
    """A malformed SIP message, for one log line without a body."""

    source: str
    reason: str
    status: int


class CallCore:
    """All calls of one process."""

    def __init__(
        self,
        *,
        settings: CallSettings,
        local: Sequence[Address],
        media: MediaPort,
        capture: CapturePort,
        store: StorePort,
        tokens: TokenSource,
        hooks: HookPort | None = None,
        wall_offset_s: float = 0.0,
        timers: Timers | None = None,
    ) -> None:
        """``local``: the SIP addresses to advertise, one a flow. ``wall_offset_s``: seconds since 1970 minus now_s."""
        admission = Admission(settings)
        endpoint = Endpoint(tokens=tokens, local=local, admit=admission, timers=timers)
        self._endpoint = endpoint
        self._wall_offset_s = wall_offset_s
        self._ctx = Context(endpoint, settings, admission, media, capture, store, tokens, hooks)
        self._refusals: list[SipRefused] = []
        self.ready = True
        """False: OPTIONS and new INVITEs get 503, calls go on (not ready yet, or draining)."""

    # --- the verbs of the shell ---------------------------------------------------------------------------

    def receive_datagram(
        self, now_s: float, data: bytes | bytearray | memoryview, source: Address, flow: Flow = 0
    ) -> None:
        """Take one datagram."""
        self._endpoint.receive_datagram(now_s, data, source, flow)
        self._settle(now_s)

    def datagrams_to_send(self) -> list[Outgoing]:
        """Return and forget what is to be sent now."""
        return self._endpoint.datagrams_to_send()

    def transport_failed(self, now_s: float, outgoing: Outgoing) -> None:
        """Say that a datagram could not be sent."""
        self._endpoint.transport_failed(now_s, outgoing)
        self._settle(now_s)

    def next_timer_s(self, now_s: float) -> float | None:
        """Return seconds until handle_timer wants to be called; None: nothing pending."""
        due = [at_s - now_s for call in self._ctx.calls.values() for at_s in call.deadlines.values()]
        sip_s = self._endpoint.next_timer_s(now_s)
        if sip_s is not None:
            due.append(sip_s)
        return max(0.0, min(due)) if due else None

    def handle_timer(self, now_s: float) -> None:
        """Fire what is due."""
        self._endpoint.handle_timer(now_s)
        for call in list(self._ctx.calls.values()):
            for timer, at_s in list(call.deadlines.items()):
                if at_s <= now_s and call.deadlines.pop(timer, None) is not None:
                    self._timer_fired(now_s, call, timer)
        self._settle(now_s)

    def next_event(self) -> CallEvent | None:
        """Return the oldest event for consumers, None when there is none."""
        return self._ctx.events.popleft() if self._ctx.events else None

    def take_refusals(self) -> list[SipRefused]:
        """Return and forget the malformed messages since the last call."""
        refusals, self._refusals = self._refusals, []
        return refusals

    # --- media and cde ------------------------------------------------------------------------------------

    def shield_changed(self, now_s: float, message: ShieldChanged) -> None:
        """Media treats a leg's audio in this way from now on."""
        call = self._ctx.calls.get(message.call_id)
        if call is None:
            return
        call.leg(message.role).shield_confirmed = message.mode
        self._ctx.events.append(ShieldStateChanged(message.call_id, message.role, message.mode))
        capturing.shield_changed(self._ctx, now_s, call, message.role, message.mode)
        self._settle(now_s)

    def star_code_keyed(self, now_s: float, message: StarCodeKeyed) -> None:
        """The agent keyed a star code: the default flow starts, unless a capture runs. A caller's is nothing."""
        if message.role is LegRole.AGENT:
            capturing.engage(self._ctx, now_s, message.call_id, self._ctx.settings.default_flow)
            self._settle(now_s)

    def capture_message(self, now_s: float, message: CaptureMessage) -> None:
        """Take what cde tells of a capture."""
        capture_news.take(self._ctx, now_s, message)
        self._settle(now_s)

    def prompt_ended(self, now_s: float, message: PromptEnded) -> None:
        """A prompt is over. That of the caller's phone counts; the agent's follows it."""
        call = self._ctx.calls.get(message.call_id)
        if call is not None and message.role is LegRole.CALLER:
            flow_run.prompt_ended(self._ctx, now_s, call, message.play_id)
            handover.ring(self._ctx, now_s, call)
            self._settle(now_s)

    def line_hinted(self, now_s: float, message: LineHinted) -> None:
        """Media judges how the tones of a leg arrive; those of the caller are keys of a capture."""
        call = self._ctx.calls.get(message.call_id)
        engagement = call.engagement if call is not None else None
        if (
            call is not None
            and engagement is not None
            and engagement.begun
            and message.role is LegRole.CALLER
        ):
            flow_run.happen(self._ctx, now_s, call, QualityHinted(message.hint))
            self._settle(now_s)

    def gateways_changed(self, now_s: float, answers: Mapping[str, bool]) -> None:
        """Which gateways answer, by name."""
        capturing.gateways_changed(self._ctx, now_s, answers)
        self._settle(now_s)

    def hook_answered(self, now_s: float, call_id: CallId, mark: int, answer: HookAnswered) -> None:
        """A look-up has ended; one that nobody waits for any more means nothing."""
        call = self._ctx.calls.get(call_id)
        if call is not None:
            flow_run.hook_answered(self._ctx, now_s, call, mark, answer)
            self._settle(now_s)

    def media_restarted(self, now_s: float) -> None:
        """A fresh media process serves: open every row again, mask on."""
        recovery.media_restarted(self._ctx, now_s)
        self._settle(now_s)

    def media_joined(self, now_s: float) -> None:
        """This process has just started and reaches media, which may have died with it: tell it every call."""
        recovery.media_joined(self._ctx, now_s)
        self._settle(now_s)

    def cde_restarted(self, now_s: float) -> None:
        """A fresh cde process serves: running captures are interrupted."""
        recovery.cde_restarted(self._ctx, now_s)
        self._settle(now_s)

    def flows_changed(self, flows: Mapping[str, IvrFlow]) -> None:
        """Captures begin with these flows from now on; those that run keep their own."""
        self._ctx.settings = replace(self._ctx.settings, flows=flows)

    def restore(
        self, now_s: float, records: Iterable[CallRecord], versions: Mapping[str, IvrFlow] = NO_VERSIONS
    ) -> int:
        """Take up the confirmed calls of a former process; returns how many.

        ``versions``: flows by fingerprint that captures have begun with and that have changed since.
        """
        count = recovery.restore(self._ctx, now_s, records, versions)
        self._settle(now_s)
        return count

    # --- commands -----------------------------------------------------------------------------------------

    def start_capture(
        self,
        now_s: float,
        call_id: CallId,
        flow_id: str,
        reference: str = "",
        amount: Money = NO_MONEY,
        given: Mapping[str, str] = NOTHING_GIVEN,
        language: str = "",
    ) -> CaptureId:
        """Engage a capture. ``given``: inputs as the flow names them. Raises CallUnknown, CallNotTalking,
        CaptureRunning, FlowUnknown, AmountNeeded, AmountNotTaken, InputRefused.
        """
        capture_id = capturing.start_capture(
            self._ctx, now_s, call_id, flow_id, reference, amount, given, language
        )
        self._settle(now_s)
        return capture_id

    def request_field(self, now_s: float, capture_id: CaptureId, field: str) -> None:
        """Collect a field (again). Raises CaptureUnknown, CaptureOver, CaptureSending, FieldUnknown,
        CaptureUnavailable (not armed yet).
        """
        capturing.request_field(self._ctx, now_s, capture_id, field)
        self._settle(now_s)

    def take_payment(self, now_s: float, capture_id: CaptureId) -> None:
        """Choose what the flow's menu lets the agent choose. Raises CaptureUnknown, CaptureOver, CaptureSending,
        NothingToPay.
        """
        capturing.take_payment(self._ctx, now_s, capture_id)
        self._settle(now_s)

    def pause_capture(self, now_s: float, capture_id: CaptureId) -> None:
        """Drop keys, mask on, until resumed. Raises CaptureUnknown, CaptureOver, CaptureSending, CaptureUnavailable."""
        capturing.pause_capture(self._ctx, now_s, capture_id)
        self._settle(now_s)

    def resume_capture(self, now_s: float, capture_id: CaptureId) -> None:
        """Go on. Raises CaptureUnknown, CaptureOver, CaptureSending."""
        capturing.resume_capture(self._ctx, now_s, capture_id)
        self._settle(now_s)

    def cancel_capture(self, now_s: float, capture_id: CaptureId) -> None:
        """Wipe and end. Raises CaptureUnknown, CaptureOver, CaptureSending."""
        capturing.cancel_capture(self._ctx, now_s, capture_id)
        self._settle(now_s)

    def hang_up(self, now_s: float, call_id: CallId) -> None:
        """End a call on both sides. Raises CallUnknown."""
        call = self._ctx.calls.get(call_id)
        if call is None or call.over:
            raise CallUnknown
        self._end(now_s, call, "operator")
        self._settle(now_s)

    def hang_up_all(self, now_s: float) -> None:
        """End every call: the last step of a shutdown."""
        for call in list(self._ctx.calls.values()):
            if not call.over:
                self._end(now_s, call, "shutdown")
        self._settle(now_s)

    # --- views --------------------------------------------------------------------------------------------

    def snapshots(self) -> list[CallSnapshot]:
        """Return calls in progress, oldest first."""
        return [self._snapshot(call) for call in self._ctx.calls.values() if not call.over]

    def snapshot(self, call_id: CallId) -> CallSnapshot:
        """Return one call. Raises CallUnknown."""
        call = self._ctx.calls.get(call_id)
        if call is None or call.over:
            raise CallUnknown
        return self._snapshot(call)

    def table_sizes(self) -> tuple[int, ...]:
        """Return how many entries each table holds: all zero when nothing is going on."""
        ctx = self._ctx
        sizes = (ctx.calls, ctx.dialogs, ctx.servers, ctx.clients, ctx.captures)
        return (*self._endpoint.table_sizes(), *(len(table) for table in sizes))

    @property
    def unknown_sources(self) -> int:
        """Datagrams of unknown sources, which got silence."""
        return self._endpoint.unknown_sources

    def _snapshot(self, call: Call) -> CallSnapshot:
        return CallSnapshot(
            call_id=call.call_id,
            row=call.row,
            trunk=call.trunk.name,
            agent_name=call.agent_name,
            dialled=call.dialled,
            caller_masked=masked_user(call.caller_user),
            phase=call.phase,
            started_at_s=call.started_s + self._wall_offset_s,
            shield_caller=call.caller.shield_confirmed,
            shield_agent=call.agent.shield_confirmed,
            capture=_capture_snapshot(call.engagement),
            line_caller=call.caller.line,
            line_agent=call.agent.line,
            strictness=call.strictness,
        )

    # --- events of the endpoint ---------------------------------------------------------------------------

    def _settle(self, now_s: float) -> None:
        while (event := self._endpoint.next_event()) is not None:
            self._take(now_s, event)
        self._tell_flows(now_s)
        self._ctx.save_changed()

    def _tell_flows(self, now_s: float) -> None:
        """Hand-overs that ended go to the flows that asked; a caller whom nothing serves any more is hung up."""
        while self._ctx.handed_over:
            call_id, ok = self._ctx.handed_over.popleft()
            call = self._ctx.calls.get(call_id)
            if call is not None and not call.over:
                flow_run.transferred(self._ctx, now_s, call, ok=ok)
        for call_id in sorted(self._ctx.changed):
            call = self._ctx.calls.get(call_id)
            if call is not None and not call.over and handover.is_forsaken(call):
                self._end(now_s, call, "flow_over")

    def _take(self, now_s: float, event: Event) -> None:
        match event:
            case RequestReceived(request=request):
                try:
                    self._request(now_s, event)
                finally:
                    # Also where our own mistake ends the handling: the body may hold a key.
                    if isinstance(request.body, OpaqueBody):
                        request.body.wipe()
            case ResponseReceived():
                self._response(now_s, event)
            case RequestTimedOut():
                self._timed_out(now_s, event)
            case AckReceived() | AckMissing():
                self._acknowledged(now_s, event)
            case CancelReceived():
                self._cancelled(now_s, event)
            case MessageRefused():
                self._refusals.append(SipRefused(event.source.host, event.reason, event.status))

    def _request(self, now_s: float, event: RequestReceived) -> None:
        request, ctx = event.request, self._ctx
        refused = refusal_of(request)
        found = (
            ctx.dialogs.get((request.call_id, request.to_tag, request.from_tag)) if request.to_tag else None
        )
        call = ctx.calls.get(found[0]) if found is not None else None
        if refused is not None:
            ctx.answer(now_s, event.transaction, request, refused[0], headers=refused[1])
        elif call is not None and found is not None:
            before = call.over
            midcall.receive_request(ctx, now_s, call, call.leg(found[1]), event)
            if call.over and before:
                ctx.forget_if_done(call)
        elif request.to_tag:
            ctx.answer(now_s, event.transaction, request, 481)
        elif request.method == "OPTIONS":
            answer_options(ctx, now_s, event, ready=self.ready)
        elif request.method == "INVITE":
            setup.receive_invite(ctx, now_s, event, ready=self.ready)
        else:
            ctx.answer(now_s, event.transaction, request, 481)

    def _response(self, now_s: float, event: ResponseReceived) -> None:
        ctx, response = self._ctx, event.response
        known = ctx.clients.get(event.transaction)
        call = ctx.calls.get(known[0]) if known is not None else None
        if known is None or call is None:
            if event.request.method == "INVITE" and 200 <= response.status < 300:
                ctx.refuse_fork(now_s, event)
            return
        if response.status >= 200:
            del ctx.clients[event.transaction]
        if known[2] is Purpose.SETUP:
            setup.receive_response(ctx, now_s, call, event)
        elif known[2] is Purpose.HANDOVER:
            handover.receive_response(ctx, now_s, call, event)
        elif known[2] is Purpose.EXCHANGE:
            midcall.receive_response(ctx, now_s, call, event)

    def _timed_out(self, now_s: float, event: RequestTimedOut) -> None:
        ctx = self._ctx
        known = ctx.clients.pop(event.transaction, None)
        call = ctx.calls.get(known[0]) if known is not None else None
        if known is None or call is None:
            return
        if known[2] is Purpose.SETUP:
            setup.refuse_caller(ctx, now_s, call, 408)
        elif known[2] is Purpose.HANDOVER:
            handover.no_answer(ctx, now_s, call)
        elif known[2] is Purpose.EXCHANGE:
            midcall.fail_exchange(ctx, now_s, call, 408)

    def _acknowledged(self, now_s: float, event: AckReceived | AckMissing) -> None:
        ctx = self._ctx
        found = ctx.servers.pop(event.transaction, None)
        call = ctx.calls.get(found[0]) if found is not None else None
        if found is None or call is None:
            return
        leg = call.leg(found[1])
        leg.unacknowledged = None
        if call.over:
            if leg.bye_wanted:
                leg.bye_wanted = False
                ctx.hang_up_leg(now_s, call, leg)
            ctx.forget_if_done(call)
            return
        going_on = False
        if isinstance(event, AckReceived):
            first = setup.receive_ack(ctx, now_s, call, event.request)
            going_on = first and midcall.receive_ack(ctx, now_s, call, event.request)
        if not going_on:
            self._end(now_s, call, "no_ack" if isinstance(event, AckMissing) else "no_answer")

    def _cancelled(self, now_s: float, event: CancelReceived) -> None:
        ctx = self._ctx
        found = ctx.servers.get(event.transaction)
        call = ctx.calls.get(found[0]) if found is not None else None
        if call is None:
            return
        if call.confirmed:
            midcall.cancel_exchange(ctx, now_s, call, event.transaction)
        else:
            setup.cancel_agent(ctx, now_s, call, event.reason)
            setup.refuse_caller(ctx, now_s, call, 487)

    def _timer_fired(self, now_s: float, call: Call, timer: Timer) -> None:
        if timer is Timer.RING:
            setup.cancel_agent(self._ctx, now_s, call)
            setup.refuse_caller(self._ctx, now_s, call, 408)
        elif timer is Timer.HANDOVER:
            handover.no_answer(self._ctx, now_s, call)
        else:
            capturing.timer_fired(self._ctx, now_s, call, timer)

    def _end(self, now_s: float, call: Call, reason: str) -> None:
        midcall.hang_up(self._ctx, now_s, call, reason)


def _capture_snapshot(engagement: Engagement | None) -> CaptureSnapshot | None:
    if engagement is None:
        return None
    progress = engagement.progress
    state = progress.state if progress is not None else CaptureState.WAITING
    if engagement.outcome is not None:
        good = engagement.outcome.result in (CaptureResult.TOKEN, CaptureResult.APPROVED)
        state = CaptureState.DONE if good else CaptureState.FAILED
    return CaptureSnapshot(
        capture_id=engagement.capture_id,
        flow_id=engagement.flow.id,
        state=state,
        say=engagement.state.say if engagement.outcome is None else "",
        progress=progress,
        outcome=engagement.outcome,
        amount=engagement.amount,
        step="" if engagement.stage is Stage.OVER else engagement.state.step,
        can_pay=capturing.can_pay(engagement),
        hint=engagement.hint,
        flow=engagement.flow,
        flow_fingerprint=engagement.state.program.fingerprint,
        reference=_reference(engagement),
        gateway_down=not engagement.state.gateway_up,
    )


def _reference(engagement: Engagement) -> str:
    """Return the merchant's own name for the payment, as told by itself or by the flow's name for it."""
    told = (engagement.inputs.get(name, "") for name in sorted(engagement.flow.reference_inputs))
    return engagement.reference or next(filter(None, told), "")
