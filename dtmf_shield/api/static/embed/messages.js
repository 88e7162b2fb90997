// The contract with the page around the panel, as plain data: what it is told, and what is taken from it. No DOM.
// Told are states, counts, brand, last four digits, the merchant's reference and the token's: each by name, so that nothing
// new slips in.
import { looksLikeCard } from "../agent/command.js";
import { badgeState } from "../agent/state_words.js";

export const VERSION = 1;
export const PREFIX = "dtmf-shield.";
export const INPUTS_MAX = 32;
export const INPUT_CHARACTERS_MAX = 64;
const NAME = /^[A-Za-z0-9_-]{1,64}$/;
const WORD = /^[a-z_]{1,32}$/;
const REFERENCE = /^[A-Za-z0-9-]{1,32}$/;  // as the service has it
const INPUT_NAME = /^[a-z][a-z0-9_]{0,31}$/;
const COUNT_MAX = 64;
const AMOUNT_MINOR_MAX = 9_999_999_999;  // as the service has it

const named = (text) => (NAME.test(text ?? "") ? text : null);
const word = (text) => (WORD.test(text ?? "") ? text : null);
const reference = (text) => (REFERENCE.test(text ?? "") && !looksLikeCard(text) ? text : null);
const last4 = (text) => (/^\d{4}$/.test(text ?? "") ? text : null);
const count = (number) => (Number.isInteger(number) && number >= 0 && number <= COUNT_MAX ? number : null);

function message(type, rest) {
  return { type: `${PREFIX}${type}`, v: VERSION, ...rest };
}

// call: the one that was asked for; null: whichever is in hand.
export const readyMessage = (call, signedIn) => message("ready", { call: named(call), signed_in: signedIn });

export const resizeMessage = (height) => message("resize", { height: Math.ceil(height) });

// start: null, or in a word what became of the last wish to start.
export function stateMessage(state, start = null) {
  const call = state.calls.get(state.selected);
  return message("state", {
    call: named(state.selected), state: word(call?.state), capture: named(call?.capture?.id),
    capture_state: word(call?.capture?.state), reference: reference(call?.capture?.reference),
    shield: word(badgeState(state)), connection: state.connection, start,
  });
}

// Names the capture that the wish has made, whichever the panel shows by now: the event of it may be on its way still.
export function startedMessage(state, { call, capture, inputs }) {
  const shown = state.calls.get(call)?.capture;
  return {
    ...stateMessage(state, "started"), call: named(call), state: word(state.calls.get(call)?.state), capture: named(capture),
    capture_state: shown?.id === capture ? word(shown.state) : null, reference: reference(inputs.reference),
  };
}

export function fieldMessage(call, field) {
  return message("field", {
    call: named(call.id), capture: named(call.capture.id), field: named(field.field), state: word(field.state),
    count: count(field.count), brand: word(field.brand), last4: last4(field.last4),
  });
}

export function resultMessage(call) {
  const { id, outcome, reference: told } = call.capture;
  return message("result", {
    call: named(call.id), capture: named(id), reference: reference(told), state: word(outcome.result),
    brand: word(outcome.brand), last4: last4(outcome.last4), token_reference: outcome.token_reference ?? null,
  });
}

// What the page around is told of a change: the state where it differs, each field that differs, the result once.
export function messagesOf(before, after) {
  const told = [];
  const differs = (make) => JSON.stringify(make(before)) !== JSON.stringify(make(after));
  if (differs(stateMessage)) told.push(stateMessage(after));
  const was = before.calls.get(after.selected);
  const is = after.calls.get(after.selected);
  if (!is?.capture) return told;
  const same = was?.capture?.id === is.capture.id && before.selected === after.selected;
  const old = same ? was.capture.fields.map((field) => JSON.stringify(fieldMessage(was, field))) : [];
  for (const field of is.capture.fields) {
    const one = fieldMessage(is, field);
    if (!old.includes(JSON.stringify(one))) told.push(one);
  }
  const ended = is.capture.outcome && (!same || JSON.stringify(was.capture.outcome) !== JSON.stringify(is.capture.outcome));
  return ended ? [...told, resultMessage(is)] : told;
}

export const isResult = ({ type }) => type === `${PREFIX}result`;

// A message of ours by its name: then it matters who sent it. Others are none of our business.
export const isOurs = (data) => typeof data?.type === "string" && data.type.startsWith(PREFIX);

// What a page may ask for, checked: {ask, ...} or null. A start with `unfit` is not even to be sent: the member that does
// not fit, by its name alone.
export function wishOf(data) {
  if (data?.v !== VERSION) return null;
  switch (data.type) {
    case `${PREFIX}focus`: return { ask: "focus" };
    case `${PREFIX}call`: return data.id === null || isName(data.id) ? { ask: "call", id: data.id } : null;
    case `${PREFIX}start`: return startOf(data);
    default: return null;
  }
}

const isName = (text) => typeof text === "string" && NAME.test(text);
const isInputName = (name) => INPUT_NAME.test(name) && !looksLikeCard(name);

function startOf({ flow, inputs = {} }) {
  const unfit = isName(flow) ? unfitOf(inputs) : "flow";
  return unfit ? { ask: "start", unfit } : { ask: "start", flow, inputs: { ...inputs } };
}

// The inputs as the service takes them: short texts by name, and amount_minor a number; no card number, in a name neither.
function unfitOf(inputs) {
  if (typeof inputs !== "object" || inputs === null) return "inputs";
  const given = Object.entries(inputs);
  if (given.length > INPUTS_MAX) return `inputs: more than ${INPUTS_MAX}`;
  const odd = given.find(([name, value]) => !isInputName(name) || !mayBeSent(name, value));
  if (!odd) return "";
  return isInputName(odd[0]) ? `inputs.${odd[0]}` : "inputs: the name of one";
}

function mayBeSent(name, value) {
  if (name === "amount_minor") return Number.isInteger(value) && value > 0 && value <= AMOUNT_MINOR_MAX;
  return typeof value === "string" && value.length <= INPUT_CHARACTERS_MAX && !looksLikeCard(value);
}
