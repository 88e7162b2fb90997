"""The tables of all calls and the few things done to them from everywhere: send in a dialog, shield, end, save."""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from msgspec.structs import replace

from dtmf_shield.base.errors import InvariantError
from dtmf_shield.call.call import Call, Leg, Stage, Timer
from dtmf_shield.call.events import CallEnded, CallEvent, CallPhase, CallPhaseChanged
from dtmf_shield.call.ports import CapturePort, HookPort, MediaPort, StorePort
from dtmf_shield.call.record import CallRecord, LegRecord
from dtmf_shield.call.settings import Admission, CallSettings
from dtmf_shield.call.strictness import strictness_under
from dtmf_shield.flow.engine import Program, compile_flow
from dtmf_shield.flow.language import Flow
from dtmf_shield.model.capture import CaptureResult
from dtmf_shield.model.ids import CallId, CaptureId, LegRole
from dtmf_shield.model.messages import CancelCapture
from dtmf_shield.model.stream import Direction, ShieldMode
from dtmf_shield.sip.dialog import Dialog, dialog_of_sent_invite
from dtmf_shield.sip.endpoint import Endpoint
from dtmf_shield.sip.events import ResponseReceived, TransactionId
from dtmf_shield.sip.message import Request, TokenSource, respond_to

ALLOW: Final = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE"
ACCEPT: Final = "application/sdp, application/dtmf-relay, application/dtmf"
UNTOLD_MAX: Final = 1_024
"""More captures than cde has slots have not run when its channel broke."""
DialogKey = tuple[str, str, str]


class Purpose(enum.Enum):
    """Why we sent a request."""

    SETUP = "initial INVITE to the agent"
    HANDOVER = "initial INVITE to whom a call is handed to"
    EXCHANGE = "re-INVITE or UPDATE passed on"
    BYE = "end of a leg"


@dataclass(slots=True)
class Context:
    """Everything the modules of this package share."""

    endpoint: Endpoint
    settings: CallSettings
    admission: Admission
    media: MediaPort
    capture: CapturePort
    store: StorePort
    tokens: TokenSource
    hooks: HookPort | None = None
    """None: every look-up ends as an error."""
    gateways: Mapping[str, bool] = field(default_factory=dict)
    """Whether each gateway answers, by name, as far as cde has told."""
    calls: dict[CallId, Call] = field(default_factory=dict)
    dialogs: dict[DialogKey, tuple[CallId, LegRole]] = field(default_factory=dict)
    servers: dict[TransactionId, tuple[CallId, LegRole]] = field(default_factory=dict)
    """INVITEs received: until their ACK, or their failure."""
    clients: dict[TransactionId, tuple[CallId, LegRole, Purpose]] = field(default_factory=dict)
    captures: dict[CaptureId, CallId] = field(default_factory=dict)
    events: deque[CallEvent] = field(default_factory=deque)
    untold: list[CancelCapture] = field(default_factory=list)
    """Ends of captures that cde was away for."""
    changed: set[CallId] = field(default_factory=set)
    """Calls to be saved before the present input is done with."""
    handed_over: deque[tuple[CallId, bool]] = field(default_factory=deque)
    """Hand-overs that are done (True) or have failed, for the flow that asked."""
    programs: dict[str, Program] = field(default_factory=dict)
    """Flows made ready to run, by id: those that new captures begin with."""

    def program_of(self, flow: Flow) -> Program:
        """Return a flow ready to run."""
        program = self.programs.get(flow.id)
        if program is None or program.flow is not flow:
            program = self.programs[flow.id] = compile_flow(flow)
        return program

    # --- dialogs ------------------------------------------------------------------------------------------

    def keep_dialog(self, call: Call, leg: Leg, dialog: Dialog) -> None:
        """Make requests of this dialog find their leg."""
        leg.dialog = dialog
        self.dialogs[dialog.key] = (call.call_id, leg.role)

    def answer(
        self,
        now_s: float,
        transaction: TransactionId,
        request: Request,
        status: int,
        *,
        reason: str = "",
        to_tag: str = "",
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        """Answer a request without a body."""
        tag = to_tag or (self.tokens() if status > 100 else "")
        response = respond_to(request, status, to_tag=tag, reason=reason, headers=headers)
        self.endpoint.respond(now_s, transaction, response)

    def send(self, now_s: float, call: Call, leg: Leg, request: Request, purpose: Purpose) -> TransactionId:
        """Send a request in a leg's dialog."""
        dialog = dialog_of(leg)
        hop = dialog.next_hop(self.admission)
        transaction = self.endpoint.send_request(now_s, request, hop, dialog.flow)
        self.clients[transaction] = (call.call_id, leg.role, purpose)
        self.changed.add(call.call_id)
        return transaction

    def acknowledge(
        self, leg: Leg, transaction: TransactionId, to_tag: str, cseq: int, body: bytes = b""
    ) -> None:
        """Send the ACK of a 2xx in a leg's dialog."""
        dialog = dialog_of(leg)
        ack = dialog.ack(cseq, content_type="application/sdp", body=body)
        self.endpoint.send_ack(transaction, to_tag, ack, dialog.next_hop(self.admission), dialog.flow)

    def refuse_fork(self, now_s: float, event: ResponseReceived) -> None:
        """ACK and BYE a 2xx that nobody wants: a second fork, or one that crossed our CANCEL."""
        flow = self.endpoint.flow_to(event.source.host)
        dialog = dialog_of_sent_invite(
            event.request, event.response, contact="", source=event.source, flow=flow
        )
        hop = dialog.next_hop(self.admission)
        tag, number = event.response.to_tag, event.request.cseq.number
        self.endpoint.send_ack(event.transaction, tag, dialog.ack(number), hop, flow)
        self.endpoint.send_request(now_s, dialog.request("BYE"), hop, flow)

    # --- cde ----------------------------------------------------------------------------------------------

    def end_capture(self, capture_id: CaptureId, result: CaptureResult, *, keeps: bool = False) -> None:
        """Let cde end a capture. Where it is away it is told when it is joined again, should it have lived on.

        ``keeps``: another flow of this call may take over what the caller has entered.
        """
        message = CancelCapture(capture_id, result, keeps)
        if not self.capture.send(message) and len(self.untold) < UNTOLD_MAX:
            self.untold.append(message)

    def tell_untold(self) -> None:
        """Tell cde, joined anew, of ends that it has not heard of."""
        untold, self.untold = self.untold, []
        for message in untold:
            self.capture.send(message)

    # --- media --------------------------------------------------------------------------------------------

    def set_streams(self, call: Call) -> None:
        """Tell media what both legs have agreed, as far as they have."""
        for leg in call.legs:
            if leg.negotiation.remote is not None and leg.codec is not None:
                stream = leg.negotiation.stream(leg.codec)
                self.media.set_stream(call.call_id, call.row, leg.role, stream)

    def shield(self, call: Call, mode: ShieldMode) -> None:
        """Set both legs, as strictly as the flow says. A mask that is on for a capture or its tail is loosened by
        engagement only.
        """
        call.strictness = strictness_under(call, mode)
        for leg, strictness in zip(call.legs, call.strictness, strict=True):
            leg.shield = mode
            self.media.set_shield(call.call_id, call.row, leg.role, mode, strictness)
        self.changed.add(call.call_id)

    def media_port(self, call: Call, leg: Leg) -> int:
        """Return our RTP port of a leg, of the family of its media address."""
        v6 = ":" in leg.media_host
        if leg.role is LegRole.CALLER:
            return call.ports.caller_port_v6 if v6 else call.ports.caller_port
        return call.ports.agent_port_v6 if v6 else call.ports.agent_port

    # --- life ---------------------------------------------------------------------------------------------

    def set_phase(self, call: Call) -> None:
        """Talking or held, by what the two legs have agreed."""
        remotes = [leg.negotiation.remote for leg in call.legs]
        held = any(remote is not None and remote.direction is not Direction.SENDRECV for remote in remotes)
        call.phase = CallPhase.HELD if held else CallPhase.TALKING

    def agreed(self, call: Call) -> None:
        """A leg has agreed on something new: streams, phase, record."""
        before = call.phase
        self.set_streams(call)
        self.set_phase(call)
        self.changed.add(call.call_id)
        if call.phase is not before:
            self.events.append(CallPhaseChanged(call.call_id, call.phase))

    def hang_up_leg(self, now_s: float, call: Call, leg: Leg) -> None:
        """BYE a confirmed dialog; at once, or as soon as the ACK we wait for is here."""
        if leg.dialog is None:
            return
        if leg.unacknowledged is not None:
            leg.bye_wanted = True
            return
        self.send(now_s, call, leg, leg.dialog.request("BYE"), Purpose.BYE)
        self.drop_dialog(leg)

    def drop_dialog(self, leg: Leg) -> None:
        """Forget a leg's dialog."""
        if leg.dialog is not None:
            self.dialogs.pop(leg.dialog.key, None)
            leg.dialog = None

    def end(self, call: Call, status: int, reason: str) -> None:
        """End a call for all but legs that still owe an ACK: media, capture table, store, event."""
        if call.over:
            return
        call.over, call.phase = True, CallPhase.ENDED
        call.deadlines.clear()
        self.media.close(call.call_id, call.row)
        if call.confirmed:
            self.store.remove(call.call_id)
        self.changed.discard(call.call_id)
        outcome = None
        if call.engagement is not None:
            self.captures.pop(call.engagement.capture_id, None)
            outcome = call.engagement.outcome
        if call.kept:
            self.end_capture(call.kept, CaptureResult.CALLER_GONE)
        self.events.append(CallEnded(call.call_id, status, reason, outcome))
        self.forget_if_done(call)

    def forget_if_done(self, call: Call) -> None:
        """Remove an ended call once no leg waits for an ACK to be hung up."""
        if call.over and not any(leg.bye_wanted for leg in call.legs):
            for leg in call.legs:
                self.drop_dialog(leg)
            self.calls.pop(call.call_id, None)
            self.servers = {key: value for key, value in self.servers.items() if value[0] != call.call_id}
            self.clients = {key: value for key, value in self.clients.items() if value[0] != call.call_id}

    def save_changed(self) -> None:
        """Write the records of confirmed calls that changed."""
        for call_id in sorted(self.changed):
            call = self.calls.get(call_id)
            if call is not None and call.confirmed and not call.over:
                self.store.put(record_of(call))
        self.changed.clear()


def dialog_of(leg: Leg) -> Dialog:
    """Return the dialog of a leg that must have one."""
    if leg.dialog is None:
        raise InvariantError(f"{leg.role.value} leg without dialog")
    return leg.dialog


def record_of(call: Call) -> CallRecord:
    """Return what is stored of a confirmed call."""
    engagement = call.engagement
    masked = Timer.TAIL in call.deadlines
    record = CallRecord(
        call_id=call.call_id,
        ports=call.ports,
        trunk=call.trunk.name,
        agent_name=call.agent_name,
        dialled=call.dialled,
        caller_user=call.caller_user,
        started_s=call.started_s,
        caller=_leg_record(call.caller),
        agent=_leg_record(call.agent),
        headers=dict(call.headers),
        language=call.language,
        onward=call.onward.kept,
        handed_to=call.handover.target.name if call.handover is not None else "",
        handed_tone=call.handover.tone if call.handover is not None else 0,
        masked_longer=masked,
        kept=call.kept,
        strictness=call.strictness,
    )
    if engagement is None or engagement.stage is Stage.OVER:
        return record
    return replace(
        record,
        capture_id=engagement.capture_id,
        capture_live=engagement.live,
        flow=engagement.state.saved(),
        flow_begun=engagement.begun,
        flow_paused=engagement.paused,
        flow_ends_s=call.deadlines.get(Timer.FLOW_END),
        result=engagement.outcome.result if engagement.outcome is not None else None,
        reference=engagement.reference,
        amount=engagement.amount,
        inputs=dict(engagement.inputs),
        language=engagement.language,
        masked_longer=masked or call.caller.shield is ShieldMode.CAPTURE,
    )


def _leg_record(leg: Leg) -> LegRecord:
    return LegRecord(
        dialog=leg.dialog,
        negotiation=leg.negotiation,
        shield=leg.shield,
        media_host=leg.media_host,
        codec=leg.codec,
        takes_update=leg.takes_update,
        info=leg.info,
    )
