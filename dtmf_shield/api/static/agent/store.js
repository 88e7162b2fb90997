// The page's state and how an event changes it: plain data in, plain data out, no DOM, no clock of its own.
import { settled } from "./pending.js";

const ENDED_SHOWN_MAX = 20;
const HISTORY_MAX = 12;
const NO_PROBLEM = { words: "", field: "" };
const REFUSED = ["invalid", "timeout"];
const CONNECTED = ["talking", "held"];

export function emptyState() {
  return {
    connection: "connecting", silent: false, service: { shield: "unknown", gateway: "unknown" },
    flows: [], calls: new Map(), selected: null, history: new Map(), steps: new Map(),
    phone: { kind: "desk" }, confirming: null, again: null, told: "", problem: NO_PROBLEM, opened: null, pending: [],
  };
}

// atMs: when the event came, for the step's clock and the history.
export function reduce(state, type, data, atMs = 0) {
  const after = settled(select(state, applied(state, type, data)));
  return stepped(remembered(state, after, atMs), type === "resync" ? null : atMs);
}

function applied(state, type, data) {
  switch (type) {
    case "resync": return resync(state, data);
    case "call": return withCall(state, data.id, (call) => ({ ...call, ...pick(data), shield: call.shield ?? {} }), newCall(data.id));
    case "shield": return shield(state, data);
    case "line": return withCall(state, data.call, (call) => ({ ...call, line: { caller: data.caller, agent: data.agent } }));
    case "capture": return withCall(state, data.call, (call) => ({ ...call, capture: capture(call.capture, data) }));
    case "field": return withCall(state, data.call, (call) => ({ ...call, capture: field(call.capture, data) }));
    case "payment": return payment(state, data);
    case "flows": return { ...state, flows: data.flows };
    case "gone": return gone(state, data.call);
    default: return state;
  }
}

export function running(call) {
  return Boolean(call?.capture && !call.capture.outcome && call.state !== "ended");
}

// The flow goes on after the capture's end: it says the receipt, or asks for another card in a new capture.
export function speaking(call) {
  return Boolean(call?.capture?.outcome && call.capture.step && call.state !== "ended");
}

// What went before in the call in hand, the oldest first; the capture's own end is told elsewhere.
export function historyOf(state) {
  const call = state.calls.get(state.selected);
  const lines = state.history.get(state.selected) ?? [];
  return lines.filter((line) => line.kind !== "ended" || line.capture !== call?.capture?.id);
}

export function choose(state, id) {
  return { ...state, selected: id, opened: null };
}

// The call in hand again, where the page was for one call and is no more: that one while it goes on, else the newest.
export function inHand(state) {
  const free = open(state.calls.get(state.selected)) ? state : { ...state, selected: null };
  return select(free, free);
}

// Not by who looks at the page, so that it is said to them.
export function opened(state, id) {
  return { ...state, selected: id, opened: id };
}

// What was asked and told of one call is not said of another, nor of a capture that has ended since.
export function kept(before, state) {
  if (before.selected !== state.selected) return { ...state, confirming: null, told: "", problem: NO_PROBLEM };
  const result = (one) => one.calls.get(one.selected)?.capture?.outcome?.result;
  return state.told === before.told && result(before) !== result(state) ? { ...state, told: "" } : state;
}

// The agent's own wish, which no event tells.
export function withReset(state, call, name, atMs) {
  const asked = call.capture.fields.find((one) => one.field === name);
  return noted(state, call.id, { kind: "reset", field: asked, capture: call.capture.id, at: atMs });
}

function pick({ v, ...rest }) {
  return rest;
}

function resync(state, { service, flows, calls }) {
  const table = new Map([...calls].reverse().map((call) => [call.id, call]));
  return { ...state, service, flows, calls: table, pending: state.pending.filter((one) => !one.taken) };
}

const newCall = (id) => ({ id, shield: {}, capture: null });

// What comes late of a call that was let go makes no call of it again: only its own event does, with `fresh`.
function withCall(state, id, change, fresh = null) {
  const before = state.calls.get(id) ?? fresh;
  if (!before) return state;
  const calls = new Map(state.calls).set(id, placed(state, before, change(before)));
  for (const call of lastEnded(calls, [state.selected, state.chosen]).slice(ENDED_SHOWN_MAX)) calls.delete(call.id);
  return { ...state, calls };
}

// ending: the number of a call's end among those that this page saw.
function placed(state, before, call) {
  if (call.state !== "ended" || before.state === "ended") return call;
  return { ...call, ending: 1 + Math.max(0, ...[...state.calls.values()].map((one) => one.ending ?? 0)) };
}

// Ended calls but those looked at, the last that ended first. chosen: the supervisor's, as selected is the agent's.
function lastEnded(calls, lookedAt) {
  const ended = [...calls.values()].filter((call) => call.state === "ended" && !lookedAt.includes(call.id));
  return ended.reverse().sort((one, other) => (other.ending ?? 0) - (one.ending ?? 0));
}

const open = (call) => Boolean(call) && call.state !== "ended";
const connected = (call) => CONNECTED.includes(call?.state);

// The call in hand stays as long as it goes on. One that has ended gives way to the next: where it has a result to read,
// to a connected one only. Looked back at after its end it stays until another call comes to that point anew.
function select(before, state) {
  const chosen = state.calls.get(state.selected);
  if (open(chosen)) return state;
  const fits = chosen?.capture ? connected : open;
  const lookedBackAt = before.selected === state.selected && before.calls.get(state.selected)?.state === "ended";
  const news = (call) => !(lookedBackAt && fits(before.calls.get(call.id)));
  const next = [...state.calls.values()].reverse().find((call) => fits(call) && news(call));
  if (next) return opened(state, next.id);
  return chosen ? state : { ...state, selected: null };
}

function shield(state, data) {
  if (data.call === null) return { ...state, service: { ...state.service, shield: data.state } };
  const { v, call: id, ...now } = data;
  return withCall(state, id, (call) => ({ ...call, shield: now }));
}

// The call is another agent's now.
function gone(state, id) {
  const calls = new Map(state.calls);
  calls.delete(id);
  return { ...state, calls };
}

function payment(state, data) {
  if (data.call === null) return { ...state, service: { ...state.service, gateway: data.gateway } };
  const { v, call: id, capture: captureId, ...outcome } = data;
  return withCall(state, id, (call) => (
    call.capture?.id === captureId ? { ...call, capture: { ...call.capture, outcome } } : call
  ));
}

function capture(before, data) {
  const { v, capture: id, ...rest } = pick(data);
  const same = before?.id === id;
  return { ...rest, id, fields: same ? before.fields : [], outcome: same ? before.outcome : null };
}

function field(before, data) {
  if (before?.id !== data.capture) return before;
  const { v, call, capture: id, ...now } = data;
  const known = before.fields.some((one) => one.field === now.field);
  const fields = known ? before.fields.map((one) => (one.field === now.field ? now : one)) : [...before.fields, now];
  return { ...before, fields };
}

function remembered(before, after, at) {
  let state = after;
  for (const [id, { capture: is }] of after.calls) {
    const was = before.calls.get(id)?.capture;
    if (!is || was === is || was?.id !== is.id) continue;
    for (const one of is.fields) {
      const old = was.fields.find((field) => field.field === one.field);
      if (REFUSED.includes(one.state) && old?.state !== one.state) {
        state = noted(state, id, { kind: "refused", field: one, capture: is.id, at });
      }
    }
    if (is.outcome && was.outcome?.result !== is.outcome.result) {
      state = noted(state, id, { kind: "ended", result: is.outcome.result, capture: is.id, at });
    }
  }
  return forgotten(state);
}

// A later end of the same capture takes the place of an earlier one.
function noted(state, id, line) {
  const lines = (state.history.get(id) ?? []).filter((old) => line.kind !== "ended" || old.kind !== "ended" || old.capture !== line.capture);
  return { ...state, history: new Map(state.history).set(id, [...lines, line].slice(-HISTORY_MAX)) };
}

function forgotten(state) {
  const kept = [...state.history].filter(([id]) => state.calls.has(id));
  return kept.length === state.history.size ? state : { ...state, history: new Map(kept) };
}

// When the step began that each call is in; null where that was before this page looked.
function stepped(state, at) {
  const steps = new Map();
  for (const [id, call] of state.calls) {
    if (!running(call) && !speaking(call)) continue;
    const key = `${call.capture.id} ${call.capture.step} ${call.capture.current}`;
    const old = state.steps.get(id);
    steps.set(id, old?.key === key ? old : { key, at });
  }
  return { ...state, steps };
}
