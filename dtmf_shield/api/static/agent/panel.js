// The panel of a call: events change the state, the state is drawn, buttons send commands. The agent page has it, and the
// frame in other pages (embed/app.js).
import "./elements.js";
import { t } from "../shared/i18n.js";
import { openStream } from "../shared/stream.js";
import { announcer } from "./announce.js";
import { looksLikeCard, send } from "./command.js";
import { choiceNews, choiceWords, fillAgain } from "./form.js";
import { askedInputs, labelOf, needsReference, toldInputs } from "./inputs.js";
import { atGateway, badgeState, mayStart, payOf } from "./state_words.js";
import { choose, emptyState, reduce, running, speaking, withReset } from "./store.js";
import { draw, drawClocks } from "./view.js";

const at = (id) => document.getElementById(id);
const announce = announcer(at("status"), at("alert"));
const acts = { choose: (id) => update(choose(state, id)), redo };
const shown = () => state.calls.get(state.selected);
let state = emptyState();
let whole = { pin: (next) => next, changed: () => {} };

// The state as it is, for who put the page together.
export const now = () => state;

export function update(next) {
  const before = state;
  state = whole.pin(next);
  draw(state, acts);
  drawClocks(state, Date.now());
  announce.tell(before, state);
  whole.changed(before, state);
}

// What the agent is told of a command that was not carried out: shown until the next one, and read aloud.
export function tell(words) {
  update({ ...state, told: words });
  if (words) announce.say(words);
}

// field: the one that is wrong; none where it is the whole.
function problem(words, field) {
  update({ ...state, problem: { words, field: field?.id ?? "" } });
  if (words) announce.say(words);
  field?.focus();
}

const blocked = (button) => at(button).getAttribute("aria-disabled") === "true";

// true: the service took it.
async function command(body, path = "commands") {
  const call = shown();
  if (!(running(call) || speaking(call)) || atGateway(call)) return false;
  tell("");
  const words = await send(`/v1/captures/${call.capture.id}/${path}`, body);
  tell(words);
  return !words;
}

async function redo(field) {
  const call = shown();
  if (badgeState(state) !== "on") { announce.say(t("note.shield")); return; }
  if (await command({ command: "redo", field })) update(withReset(state, call, field, Date.now()));
}

function pay() {
  const [ready, key] = payOf(state, shown()) ?? [];
  if (ready) command({}, "pay");
  else if (key) announce.say(at("actions-note").textContent);
}

function pause() {
  if (!blocked("pause")) command({ command: shown()?.capture?.state === "paused" ? "resume" : "pause" });
}

// Asked once more, in place; prompts after the end are stopped at once: nothing is lost by it.
function cancel() {
  const call = shown();
  if (atGateway(call)) return;
  if (speaking(call)) { command({ command: "cancel" }); return; }
  update({ ...state, confirming: call.capture.id });
  at("confirm-no").focus();
}

function confirmed(yes) {
  update({ ...state, confirming: null });
  at("cancel").focus();
  if (yes) command({ command: "cancel" });
}

// [path, body] of what is typed, or null where something is wrong, which is told.
function typed(call) {
  const reference = at("reference").value.trim();
  const fields = [...at("inputs").querySelectorAll("[data-input]")];
  const flow = state.flows.find((one) => one.id === at("flow").value);
  if (!flow) {
    problem(choiceWords(), at("flow"));
    return null;
  }
  const card = [at("reference"), ...fields].find((field) => looksLikeCard(field.value));
  if (card) {
    card.value = "";
    problem(t("problem.card-number"), card);
    return null;
  }
  const values = Object.fromEntries(fields.map((field) => [field.dataset.input, field.value]));
  const [inputs, missing] = toldInputs(askedInputs(flow), values, reference);
  if (missing) {
    problem(t("start.needed", { input: labelOf(missing) }), fields.find((field) => field.dataset.input === missing));
    return null;
  }
  if (!/^[A-Za-z0-9-]{0,32}$/.test(reference) || (needsReference(flow) && !reference)) {
    problem(reference ? t("problem.invalid-request") : t("start.needed", { input: t("start.reference") }), at("reference"));
    return null;
  }
  return [`/v1/calls/${call.id}/captures`, { flow: flow.id, inputs }];
}

// What is told already is not asked for twice: the first empty field takes the focus, else the button.
function again() {
  const { capture } = shown();
  update({ ...state, again: capture.id });
  fillAgain(capture);
  const empty = [...at("start").querySelectorAll("input")].find((field) => !field.value && field.getAttribute("aria-required") === "true");
  (empty ?? at("start-button")).focus();
}

async function start(event) {
  event.preventDefault();
  const call = shown();
  if (!mayStart(state, call)) { announce.say(at("start-note").textContent); return; }
  const request = typed(call);
  if (!request) return;
  const words = await send(...request);
  problem(words);
  if (words) return;
  for (const field of at("start").querySelectorAll("input")) field.value = "";
  at("desk").focus({ preventScroll: true });
}

function shortcut(event) {
  if (event.key === "Escape" && state.confirming) confirmed(false);
  const place = /^Digit([1-9])$/.exec(event.code)?.[1];
  if (!event.altKey || event.ctrlKey || event.metaKey || !place) return;
  const button = document.querySelectorAll("capture-field .reset")[place - 1];
  if (!button || button.hidden) return;
  event.preventDefault();
  button.focus();
}

// pin: (state) => the state with the call that this page is for; changed: (before, after), once the page is drawn.
export function beginPanel(own = {}) {
  whole = { ...whole, ...own };
  at("start").addEventListener("submit", start);
  at("flow").addEventListener("change", () => problem(""));
  at("again").addEventListener("click", again);
  at("pay").addEventListener("click", pay);
  at("pause").addEventListener("click", pause);
  at("cancel").addEventListener("click", cancel);
  at("confirm-no").addEventListener("click", () => confirmed(false));
  at("confirm-yes").addEventListener("click", () => confirmed(true));
  document.addEventListener("keydown", shortcut);
  setInterval(() => drawClocks(state, Date.now()), 1000);
  update(state);
  listen();
}

// Also anew, where somebody has signed in again without leaving the page.
export function listen() {
  openStream({
    onEvent: (type, data) => {
      update(reduce(state, type, data, Date.now()));
      const lost = choiceNews(type);
      if (lost) announce.say(lost);
    },
    onConnection: (connection, silent) => {
      const quiet = silent ?? state.silent;
      if (connection !== state.connection || quiet !== state.silent) update({ ...state, connection, silent: quiet });
    },
  });
}
