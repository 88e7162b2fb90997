// What the supervisor's table shows, worked out of plain data: rows, filters, order, sums. No DOM, no clock of its own.
import { AT_GATEWAY } from "../agent/state_words.js";
import { running, speaking } from "../agent/store.js";
import { DOORS, QUALITIES, qualityOf } from "../shared/line.js";

export const OPEN = "open";
export const STATES = [OPEN, "ringing", "talking", "held", "ended", "all"];
export const LINES = ["poor", "fair", "good", "unknown"];
export const NO_DOOR = "none";
export const CALLER_DOORS = [...DOORS, NO_DOOR];
export const NO_FILTER = { state: OPEN, agent: "", flow: "", quality: "", codec: "", door: "", trouble: false };
const COLLATOR = new Intl.Collator(undefined, { numeric: true });
export const ALONE = "\u0000alone";  // the filter for calls without an agent: no agent has that name

// In doubt a call is in trouble: a shield that nobody has told of is not on.
export function shieldOf(state, call) {
  if (call.state === "ended") return "off";
  if (state.silent || state.service.shield === "fault") return "fault";
  if (state.connection !== "live") return "unknown";
  return call.shield?.state ?? "unknown";
}

export const inTrouble = (state, call) => !["on", "off"].includes(shieldOf(state, call));

// "ringing" stands for early media too: nobody has answered yet.
const phaseOf = (call) => (call.state === "early" ? "ringing" : call.state);

const known = (state) => [...state.calls.values()].filter((call) => call.state);

export function isShown(state, call, filter) {
  const phase = phaseOf(call);
  if (filter.state === OPEN ? phase === "ended" : filter.state !== "all" && phase !== filter.state) return false;
  if (filter.agent && (call.agent || ALONE) !== filter.agent) return false;
  if (filter.flow && call.capture?.flow !== filter.flow) return false;
  return fitsLine(call.line, filter) && (!filter.trouble || inTrouble(state, call));
}

// A call whose line is not agreed on yet fits no codec and no door.
function fitsLine(line, { quality, codec, door }) {
  if (quality && qualityOf(line) !== quality) return false;
  if (codec && line?.caller.codec !== codec) return false;
  return !door || (line ? (door === NO_DOOR ? line.caller.doors.length === 0 : line.caller.doors.includes(door)) : false);
}

export const engaged = (call) => running(call) || speaking(call);

// [place, count] of the field that is asked for: the first that is not valid yet; null without fields.
export function fieldPlace(call) {
  const fields = call.capture?.fields ?? [];
  if (fields.length === 0) return null;
  const done = fields.filter((field) => field.state === "valid").length;
  const current = fields.findIndex((field) => field.field === call.capture.current);
  const place = done === fields.length ? done : current >= 0 ? current + 1 : done + 1;
  return { place: Math.min(place, fields.length), of: fields.length, done };
}

const SHIELDS = ["fault", "unknown", "on", "off"];
const PHASES = ["talking", "held", "ringing", "ended"];
const KEYS = {
  caller: (call) => call.caller_masked,
  state: (call) => PHASES.indexOf(phaseOf(call)),
  agent: (call) => call.agent || "\uffff",
  dialled: (call) => `${call.dialled} ${call.trunk}`,
  flow: (call) => (engaged(call) ? `0${call.capture.title || call.capture.flow}` : call.capture ? "1" : "2"),
  fields: (call) => -(engaged(call) ? (fieldPlace(call)?.done ?? 0) + 1 : 0),
  shield: (call, state) => SHIELDS.indexOf(shieldOf(state, call)),
  line: (call) => (running(call) && call.capture.hint ? 0 : 1),
  path: (call) => -1 - QUALITIES.indexOf(qualityOf(call.line)),
  age: (call) => -Date.parse(call.started_at),
};
export const COLUMNS = Object.keys(KEYS);
export const FIRST_ORDER = { by: "age", down: false };

// Rows in order; what is equal stays in the order of its age, the newest first.
export function rowsOf(state, filter, order) {
  const key = KEYS[order.by];
  const sign = order.down ? -1 : 1;
  const keyed = known(state).filter((call) => isShown(state, call, filter))
    .map((call) => [key(call, state), KEYS.age(call), call]);
  keyed.sort((one, other) => sign * compare(one[0], other[0]) || one[1] - other[1] || compare(one[2].id, other[2].id));
  return keyed.map(([, , call]) => call);
}

function compare(one, other) {
  if (typeof one === "string") return COLLATOR.compare(one, other);
  return one - other;
}

export function sumsOf(state) {
  const all = known(state);
  const open = all.filter((call) => call.state !== "ended");
  const busy = open.filter(running);
  return {
    all: all.length,
    open: open.length,
    talking: open.filter((call) => phaseOf(call) === "talking").length,
    captures: busy.length,
    sending: busy.filter((call) => AT_GATEWAY.includes(call.capture.state)).length,
    trouble: open.filter((call) => inTrouble(state, call)).length,
    hinted: busy.filter((call) => call.capture.hint).length,
  };
}

// What the filters offer: agents, [flow, title] pairs and codecs of calls that are there, and what is chosen already.
export function choicesOf(state, filter) {
  const calls = known(state);
  const agents = new Set(calls.map((call) => call.agent || ALONE));
  if (filter.agent) agents.add(filter.agent);
  const flows = new Map(state.flows.map((flow) => [flow.id, flow.title]));
  for (const { capture } of calls) if (capture) flows.set(capture.flow, capture.title || flows.get(capture.flow) || capture.flow);
  if (filter.flow && !flows.has(filter.flow)) flows.set(filter.flow, filter.flow);
  const codecs = new Set(calls.map((call) => call.line?.caller.codec).filter(Boolean));
  if (filter.codec) codecs.add(filter.codec);
  return { codecs: [...codecs].sort(compare), agents: [...agents].sort(compare), flows: [...flows].sort((one, other) => compare(one[1], other[1])) };
}
