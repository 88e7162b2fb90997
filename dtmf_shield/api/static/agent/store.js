// The page's state and how an event changes it: plain data in, plain data out, no DOM.
const ENDED_SHOWN_MAX = 20;

export function emptyState() {
  return {
    connection: "connecting", silent: false, service: { shield: "unknown", gateway: "unknown" },
    flows: [], calls: new Map(), selected: null,
  };
}

export function reduce(state, type, data) {
  switch (type) {
    case "resync": return resync(state, data);
    case "call": return withCall(state, data.id, (call) => ({ ...call, ...pick(data), shield: call.shield ?? {} }));
    case "shield": return shield(state, data);
    case "capture": return withCall(state, data.call, (call) => ({ ...call, capture: capture(call.capture, data) }));
    case "field": return withCall(state, data.call, (call) => ({ ...call, capture: field(call.capture, data) }));
    case "payment": return payment(state, data);
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

function pick({ v, ...rest }) {
  return rest;
}

function resync(state, { service, flows, calls }) {
  const table = new Map([...calls].reverse().map((call) => [call.id, call]));
  return select({ ...state, service, flows, calls: table });
}

function withCall(state, id, change) {
  const before = state.calls.get(id) ?? { id, shield: {}, capture: null };
  const calls = new Map(state.calls).set(id, change(before));
  const ended = [...calls.values()].filter((call) => call.state === "ended" && call.id !== state.selected);
  for (const call of ended.slice(0, Math.max(0, ended.length - ENDED_SHOWN_MAX))) calls.delete(call.id);
  return select({ ...state, calls });
}

function select(state) {
  const chosen = state.calls.get(state.selected);
  if (chosen && (chosen.state !== "ended" || chosen.capture)) return state;
  const open = [...state.calls.values()].reverse().find((call) => call.state !== "ended");
  return { ...state, selected: open?.id ?? chosen?.id ?? null };
}

function shield(state, data) {
  if (data.call === null) return { ...state, service: { ...state.service, shield: data.state } };
  const { state: now, caller, agent } = data;
  return withCall(state, data.call, (call) => ({ ...call, shield: { state: now, caller, agent } }));
}

// The call is another agent's now.
function gone(state, id) {
  const calls = new Map(state.calls);
  calls.delete(id);
  return select({ ...state, calls });
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
