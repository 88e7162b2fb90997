// Puts the page together: events change the state, the state is drawn, buttons send commands.
import "./elements.js";
import { announcer } from "./announce.js";
import { looksLikeCard, send } from "./command.js";
import { askedInputs, labelOf, toldInputs } from "./inputs.js";
import { emptyState, reduce, running, speaking } from "./store.js";
import "../shared/presence.js";
import { openStream } from "../shared/stream.js";
import { draw, drawClock, mayStart } from "./view.js";
import { AT_GATEWAY, PROBLEMS } from "./words.js";

const at = (id) => document.getElementById(id);
const announce = announcer(at("status"), at("alert"));
let state = emptyState();

function update(next) {
  const before = state;
  state = next;
  draw(state, { choose, redo });
  drawClock(state);
  announce(before, state);
}

function choose(id) {
  note("");
  update({ ...state, selected: id });
}

function note(words) {
  at("reference-note").textContent = words || "Optional. Order or account: letters, digits and dashes, never a card number.";
  at("reference").setAttribute("aria-invalid", String(Boolean(words)));
  if (words) at("status").textContent = words;
}

async function command(body, path = "commands") {
  const call = state.calls.get(state.selected);
  if (!(running(call) || speaking(call)) || call.capture.state in AT_GATEWAY) return;
  const words = await send(`/v1/captures/${call.capture.id}/${path}`, body);
  if (words) at("actions-note").textContent = at("status").textContent = words;
}

function redo(field) {
  command({ command: "redo", field });
}

async function start(event) {
  event.preventDefault();
  const call = state.calls.get(state.selected);
  const reference = at("reference").value.trim();
  if (!mayStart(state, call)) return;
  if (looksLikeCard(reference)) {
    at("reference").value = "";
    note(PROBLEMS["card-number"]);
    return;
  }
  if (!/^[A-Za-z0-9-]{0,32}$/.test(reference)) {
    note(PROBLEMS["invalid-request"]);
    at("reference").focus();
    return;
  }
  const fields = [...at("inputs").querySelectorAll("[data-input]")];
  const card = fields.find((field) => looksLikeCard(field.value));
  if (card) {
    card.value = "";
    note(PROBLEMS["card-number"]);
    return;
  }
  const values = Object.fromEntries(fields.map((field) => [field.dataset.input, field.value]));
  const flow = state.flows.find((one) => one.id === at("flow").value);
  const [inputs, missing] = toldInputs(askedInputs(flow), values, reference);
  if (missing) {
    note(`${labelOf(missing)} is needed.`);
    fields.find((field) => field.dataset.input === missing)?.focus();
    return;
  }
  const words = await send(`/v1/calls/${call.id}/captures`, { flow: at("flow").value, inputs });
  note(words);
  if (!words) for (const field of [at("reference"), ...fields]) if (field.tagName === "INPUT") field.value = "";
}

function shortcut(event) {
  const place = /^Digit([1-9])$/.exec(event.code)?.[1];
  if (!event.altKey || event.ctrlKey || event.metaKey || !place) return;
  const button = document.querySelectorAll("capture-field button")[place - 1];
  if (!button) return;
  event.preventDefault();
  button.focus();
}

at("start").addEventListener("submit", start);
at("flow").addEventListener("change", () => draw(state, { choose, redo }));
at("pause").addEventListener("click", () => {
  const paused = state.calls.get(state.selected)?.capture?.state === "paused";
  command({ command: paused ? "resume" : "pause" });
});
at("pay").addEventListener("click", () => command({}, "pay"));
at("cancel").addEventListener("click", () => command({ command: "cancel" }));
document.addEventListener("keydown", shortcut);
setInterval(() => drawClock(state), 1000);
update(state);
openStream({
  onEvent: (type, data) => update(reduce(state, type, data)),
  onConnection: (connection, silent) => {
    const quiet = silent ?? state.silent;
    if (connection !== state.connection || quiet !== state.silent) update({ ...state, connection, silent: quiet });
  },
});
