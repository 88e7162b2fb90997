// The panel of a call: events change the state, the state is drawn, buttons send commands. The agent page has it, and the
// frame in other pages (embed/app.js).
import "./elements.js";
import { t } from "../shared/i18n.js";
import { watchIdle } from "../shared/idle.js";
import { openStream } from "../shared/stream.js";
import { announcer } from "./announce.js";
import { ask } from "./command.js";
import { choiceNews, clearForm, fillAgain } from "./form.js";
import { answered, asked, commandOf, isPending } from "./pending.js";
import { atGateway, badgeState, mayStart, payOf } from "./state_words.js";
import { choose, emptyState, kept, reduce, running, speaking, withReset } from "./store.js";
import { refused, typed } from "./typed.js";
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
  state = kept(before, whole.pin(next));
  draw(state, acts);
  drawClocks(state, Date.now());
  announce.tell(before, state);
  whole.changed(before, state);
}

// What the agent is told of a command that was not carried out: shown until the next one, in a live region of its own.
export function tell(words) {
  update({ ...state, told: words });
}

// field: the one that is wrong; none where it is the whole.
function problem(words, field) {
  update({ ...state, problem: { words, field: field?.id ?? "" } });
  if (words) announce.say(words);
  field?.focus();
}

const blocked = (button) => at(button).getAttribute("aria-disabled") === "true";

// {words, inputs, id} of a request for a call, as ask() has them; null where the same is on its way already. what: which command.
export async function once(call, what, path, body) {
  if (isPending(state, call, what)) return null;
  update(asked(state, call, what));
  const answer = await ask(path, body);
  update(answered(state, call, what, !answer.words));
  return answer;
}

// true: the service took it.
async function command(body, path = "commands") {
  const call = shown();
  if (!(running(call) || speaking(call))) return false;
  if (atGateway(call)) { announce.say(t("note.sending")); return false; }
  tell("");
  const what = path === "commands" ? commandOf(body) : path;
  const answer = await once(call, what, `/v1/captures/${call.capture.id}/${path}`, body);
  if (answer === null) return false;
  if (state.selected === call.id) tell(answer.words);
  return !answer.words;
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
  else announce.say(at("actions-note").textContent);
}

// Asked once more, in place; prompts after the end are stopped at once: nothing is lost by it.
function cancel() {
  const call = shown();
  if (atGateway(call)) { announce.say(t("note.sending")); return; }
  if (speaking(call)) { command({ command: "cancel" }); return; }
  update({ ...state, confirming: call.capture.id });
  at("confirm-no").focus();
}

function confirmed(yes) {
  update({ ...state, confirming: null });
  at("cancel").focus();
  if (yes) command({ command: "cancel" });
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
  const request = typed(state, call);
  if (request.problem) { problem(request.problem, request.field); return; }
  const answer = await once(call, "start", request.path, request.body);
  if (answer === null || state.selected !== call.id) return;
  const { problem: words, field } = refused(state, answer);
  problem(words, field);
  if (words) return;
  clearForm();
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
  watchIdle();
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
