// Draws the state into the page; keeps nodes (and with them the focus) where only words change.
import { make } from "./elements.js";
import { icon } from "../shared/icons.js";
import { askedInputs, labelOf, ruleOf } from "./inputs.js";
import { badgeState } from "./state_words.js";
import { running, speaking } from "./store.js";
import { AT_GATEWAY, CALL_STATES, HINTS, RESULTS, SHIELD_MODES, amountWords, brandName } from "./words.js";

const at = (id) => document.getElementById(id);

export function draw(state, act) {
  const call = state.calls.get(state.selected);
  const shield = badgeState(state);
  at("badge").show(shield);
  at("bar").classList.toggle("fault", shield === "fault");
  drawCalls(state, act);
  drawHead(call);
  at("desk-none").hidden = Boolean(call);
  at("work").hidden = !call;
  if (call) drawWork(state, call, act);
}

function drawCalls(state, act) {
  const list = at("calls");
  const calls = [...state.calls.values()].filter((call) => call.state).reverse();
  at("calls-none").hidden = calls.length > 0;
  const kept = new Map([...list.children].map((item) => [item.dataset.call, item]));
  const items = calls.map((call) => {
    const item = kept.get(call.id) ?? newCallItem(call.id, act);
    drawCallItem(item, call, call.id === state.selected);
    return item;
  });
  const same = items.length === list.children.length && items.every((item, place) => list.children[place] === item);
  if (!same) list.replaceChildren(...items);
}

function newCallItem(id, act) {
  const item = make("li", "");
  const line = (first) => make("span", "", make(first, ""), make("small", ""));
  const button = make("button", "call", line("b"), line("small"));
  button.type = "button";
  button.addEventListener("click", () => act.choose(id));
  item.dataset.call = id;
  item.append(button);
  return item;
}

function drawCallItem(item, call, chosen) {
  const button = item.firstChild;
  const [caller, state, dialled, capture] = [...button.children].flatMap((line) => [...line.children]);
  button.setAttribute("aria-current", String(chosen));
  caller.textContent = `Caller ${call.caller_masked}`;
  state.textContent = CALL_STATES[call.state];
  dialled.textContent = `to ${call.dialled}`;
  capture.textContent = captureWords(call);
}

function captureWords(call) {
  if (running(call)) {
    const sent = AT_GATEWAY[call.capture.state];
    return sent ? `${sent}…` : call.capture.state === "paused" ? "Capture paused" : "Card capture";
  }
  return call.capture?.outcome ? RESULTS[call.capture.outcome.result][1] : "";
}

function drawHead(call) {
  at("desk-title").textContent = !call ? "No call selected"
    : running(call) && call.capture.title ? call.capture.title : `Caller ${call.caller_masked}`;
  const facts = !call ? [] : [
    ["Amount", call.capture?.amount_minor && amountWords(call.capture.amount_minor, call.capture.currency)],
    ["Caller", call.caller_masked], ["Dialled", call.dialled], ["Line", call.trunk],
    ["Caller audio", SHIELD_MODES[call.shield?.caller]], ["Agent audio", SHIELD_MODES[call.shield?.agent]],
  ].filter(([, value]) => value);
  const text = JSON.stringify(facts);
  if (at("facts").dataset.facts === text) return;
  at("facts").dataset.facts = text;
  at("facts").replaceChildren(...facts.map(([name, value]) => make("div", "", make("dt", "", name), make("dd", "", value))));
}

// In doubt no card is asked for: the call is connected and its shield is known to be on.
export function mayStart(state, call) {
  return call?.state === "talking" && badgeState(state) === "on";
}

export function drawClock(state) {
  const call = state.calls.get(state.selected);
  if (!call?.started_at) { at("clock").textContent = ""; return; }
  if (call.state === "ended") { at("clock").textContent = CALL_STATES.ended; return; }
  const seconds = Math.max(0, Math.floor((Date.now() - Date.parse(call.started_at)) / 1000));
  const time = `${String(Math.floor(seconds / 60)).padStart(2, "0")}:${String(seconds % 60).padStart(2, "0")}`;
  at("clock").textContent = `${CALL_STATES[call.state]} · ${time}`;
}

function drawWork(state, call, act) {
  const busy = running(call);
  const sending = busy && call.capture.state in AT_GATEWAY;
  const paused = busy && call.capture.state === "paused";
  const after = speaking(call);
  drawSay(busy ? call.capture.say : "");
  drawHint(busy ? call.capture.hint : null);
  drawFields(call, busy, sending, act);
  drawOutcome(call.capture);
  drawStart(state, call, busy || after);
  at("actions").hidden = !busy && !after;
  at("pay").hidden = !call.capture?.can_pay;
  at("pause").hidden = after;
  at("cancel").textContent = after ? "Stop the prompts" : "Cancel capture";
  at("cancel").setAttribute("aria-disabled", String(sending));
  at("pause").setAttribute("aria-disabled", String(sending));
  at("pause").textContent = paused ? "Go on" : "Pause";
  at("actions-note").textContent = sending
    ? `${AT_GATEWAY[call.capture.state]}… nothing can be changed until the result is here.`
    : after ? "The caller hears how it ended, or is asked what comes next."
    : call.capture?.can_pay ? "The caller is asked to confirm. Take payment does it for the caller."
    : paused ? "Paused: what the caller keys is masked and dropped."
    : "The caller keys; you hear no tone. Alt+1 to Alt+3 go to the Reset buttons.";
}

function drawSay(words) {
  at("say").hidden = !words;
  if (words && at("say").dataset.words !== words) at("say").replaceChildren(make("b", "", "Say:"), words);
  at("say").dataset.words = words;
}

function drawHint(hint) {
  at("hint").hidden = !HINTS[hint];
  at("hint").textContent = HINTS[hint] ?? "";
}

function drawFields(call, busy, sending, act) {
  const list = at("fields");
  const capture = call.capture;
  const key = capture ? `${capture.id} ${capture.fields.map((field) => field.field).join(" ")}` : "";
  if (list.dataset.key !== key) {
    list.dataset.key = key;
    list.replaceChildren(...(capture?.fields ?? []).map((field) => {
      const row = make("capture-field", "");
      row.addEventListener("click", (event) => event.target.closest("button") && act.redo(field.field));
      return make("li", "", row);
    }));
  }
  (capture?.fields ?? []).forEach((field, place) => {
    const now = busy && capture.current === field.field && !sending;
    list.children[place].firstChild.show(field, { now, busy, blocked: sending });
  });
}

function drawOutcome(capture) {
  const box = at("outcome");
  const outcome = capture?.outcome;
  box.hidden = !outcome;
  const key = outcome ? `${capture.id} ${outcome.result}` : "";
  if (!outcome || box.dataset.key === key) { box.dataset.key = key; return; }
  box.dataset.key = key;
  const [look, title, note] = RESULTS[outcome.result];
  const heading = make("h2", "", title);
  if (outcome.test) heading.append(make("span", "test", "TEST"));
  const card = [outcome.brand && brandName(outcome.brand), outcome.last4 && `ending ${outcome.last4}`].filter(Boolean);
  const lines = [make("p", "", note)];
  if (outcome.token_reference) {
    lines.push(make("p", "", card.length ? `${card.join(" ")} · ` : "", "reference ", make("code", "", outcome.token_reference)));
  } else if (outcome.gateway_code) {
    lines.push(make("p", "", "Reason: ", outcome.gateway_code.replaceAll("_", " ")));
  }
  box.className = `outcome ${look}`;
  box.replaceChildren(icon(look), heading, ...lines);
}

function drawStart(state, call, busy) {
  const ready = mayStart(state, call);
  const unknown = call.capture?.outcome?.result === "unknown";  // may have been taken: do not ask again
  const flows = state.flows.filter((flow) => !flow.needs_amount);  // an amount is said by the desktop program
  at("start").hidden = busy || unknown || call.state === "ended" || flows.length === 0;
  at("start-button").setAttribute("aria-disabled", String(!ready));
  at("start-button").textContent = call.state !== "talking" ? "Available when the call is connected"
    : !ready ? "Not while the shield is not confirmed"
    : call.capture?.outcome ? "Take another card" : "Take card details";
  drawInputs(flows);
  const key = JSON.stringify(flows);
  if (at("flow").dataset.key === key) return;
  at("flow").dataset.key = key;
  at("flow-ask").hidden = flows.length < 2;
  at("flow").replaceChildren(...flows.map((flow) => {
    const option = make("option", "", flow.title);
    option.value = flow.id;
    return option;
  }));
  drawInputs(flows);
}

function drawInputs(flows) {
  const asked = askedInputs(flows.find((flow) => flow.id === at("flow").value));
  const key = JSON.stringify(asked);
  if (at("inputs").dataset.key === key) return;
  at("inputs").dataset.key = key;
  at("inputs").replaceChildren(...asked.map(newInput));
}

function newInput(input) {
  const id = `input-${input.name}`;
  const label = make("label", "", labelOf(input.name));
  const field = document.createElement(input.allowed.length ? "select" : "input");
  const note = make("p", "quiet", ruleOf(input));
  label.htmlFor = field.id = id;
  field.dataset.input = input.name;
  field.setAttribute("aria-required", "true");
  note.id = `${id}-note`;
  if (input.allowed.length) {
    field.replaceChildren(...input.allowed.map((word) => make("option", "", word)));
    return make("div", "ask", label, field);
  }
  field.setAttribute("aria-describedby", note.id);
  field.type = "text";
  field.maxLength = input.length;
  field.autocomplete = "off";
  field.spellcheck = false;
  field.inputMode = { money: "decimal", digits: "numeric" }[input.type] ?? "text";
  return make("div", "ask", label, field, note);
}
