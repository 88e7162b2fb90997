// What the page says of a state, worked out of plain data: no DOM, and in doubt never "on".
import { isPending } from "./pending.js";
import { running, speaking } from "./store.js";

// Capture states in which nothing can be changed.
export const AT_GATEWAY = ["sending", "paying", "settling"];
const GOOD = ["approved", "token"];
// Money may have moved, or a rule against card testing stopped it: no further card is asked for in this call.
const LAST = ["unknown", "velocity"];

export function badgeState(state) {
  const call = state.calls.get(state.selected);
  if (state.silent) return "fault";
  if (state.service.shield === "fault" || call?.shield?.state === "fault") return "fault";
  if (state.connection !== "live" || state.service.shield === "unknown") return "unknown";
  if (call && call.state === "ended") return "off";
  return call?.shield?.state ?? state.service.shield;
}

export const atGateway = (call) => running(call) && AT_GATEWAY.includes(call.capture.state);

// Why no key of the caller counts now, "fault" or "paused"; "unsure" where nobody knows; "" where they do.
export function standsOf(state, call) {
  if (!running(call)) return "";
  if (badgeState(state) === "fault") return "fault";
  if (!sure(state)) return "unsure";
  return call.capture.state === "paused" ? "paused" : "";
}

// Whether the call has had its last card, whoever would ask for another: the agent's form, a supervisor's, a page around.
export const hadLast = (call) => LAST.includes(call?.capture?.outcome?.result);

// In doubt no card is asked for: the call is connected, its shield is known to be on, and no end forbids another.
export function mayStart(state, call) {
  return call?.state === "talking" && badgeState(state) === "on" && !isPending(state, call, "start") && !hadLast(call);
}

// Whether a paused capture may not go on: in doubt the caller is asked for no key.
export const resumeWaits = (state, call) => running(call) && call.capture.state === "paused" && badgeState(state) !== "on";

// [look, key, field] of the line that says what happens in the call now; null: nothing runs.
export function stageOf(call) {
  if (speaking(call)) return ["busy", GOOD.includes(call.capture.outcome.result) ? "stage.receipt" : "stage.after", null];
  if (!running(call)) return null;
  const { state, current, fields, can_pay: canPay } = call.capture;
  if (call.state === "held") return ["warn", "stage.held_call", null];
  if (state === "paused") return ["warn", "stage.paused", null];
  if (state === "choosing") return ["busy", canPay ? "stage.confirm" : "stage.choosing", null];
  if (AT_GATEWAY.includes(state) || state === "idle") return ["busy", `stage.${state}`, null];
  const field = fields.find((one) => one.field === current);
  if (canPay) return ["busy", "stage.confirm", null];
  if (!field) return ["busy", "stage.flow", null];
  if (state === "held") return ["busy", "stage.held", null];
  return ["busy", field.state === "keying" ? "stage.keying" : "stage.waiting", field];
}

// What the page knows of a call is old where the connection is lost, and no ground to stand on under a fault.
const sure = (state) => ["on", "off"].includes(badgeState(state));

export function stageShown(state, call) {
  const stage = stageOf(call);
  return stage && !sure(state) ? ["warn", "stage.unsure", null] : stage;
}

// What the agent is to say now; "" where there is nothing, or nobody may be asked for keys.
export function sayOf(state, call) {
  return running(call) && sure(state) && call.capture.state !== "paused" ? call.capture.say ?? "" : "";
}

// The word for what a side hears; null where nothing was ever told of it.
export function audioOf(state, mode) {
  return mode ? `shield.mode.${sure(state) ? mode : "unknown"}` : null;
}

// Whether the page has a Take payment button, whether it may be pressed, and why not: null or [ready, key, field].
export function payOf(state, call) {
  if (!running(call)) return null;
  const { capture } = call;
  const flow = state.flows.find((one) => one.id === capture.flow);
  if (!capture.can_pay && !flow?.agent_pays) return null;
  if (atGateway(call)) return [false, "note.sending", null];
  if (badgeState(state) !== "on") return [false, "note.shield", null];
  if (capture.state === "paused") return [false, "pay.wait.paused", null];
  if (isPending(state, call, "pay")) return [false, "pay.wait.asked", null];
  if (capture.can_pay) return [true, "pay.ready", null];
  const open = capture.fields.find((field) => field.state !== "valid");
  return open ? [false, "pay.wait.field", open] : [false, "pay.wait.confirm", null];
}

// The alert of the moment, the gravest only: [key, field] or null.
export function alertOf(state) {
  const call = state.calls.get(state.selected);
  const outcome = call?.capture?.outcome;
  if (state.connection === "signed-out") return ["alert.signed_out", null];
  if (badgeState(state) === "fault") return ["shield.fault.stop", null];
  if (state.connection === "lost") return ["alert.lost", null];
  if (outcome && ALERT_RESULTS.includes(outcome.result)) return [`result.${outcome.result}`, null];
  const refused = call?.capture?.fields.find((field) => ["invalid", "timeout"].includes(field.state));
  if (refused && running(call)) return ["alert.field", refused];
  if (state.service.gateway === "down") return ["alert.gateway_down", null];
  if (call?.capture?.gateway_down && running(call)) return ["alert.gateway_down.here", null];
  return null;
}

export const ALERT_RESULTS = [
  "unknown", "velocity", "action_required", "gateway_unreachable", "caller_gone", "interrupted", "refused",
  "attempts_used", "timed_out",
];
