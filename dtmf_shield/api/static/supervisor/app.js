// Puts the page together: events change the state, the state is drawn a few times a second, buttons send commands.
import "../agent/elements.js";
import "../shared/menu.js";
import { ask } from "../agent/command.js";
import { choiceNews, clearForm, fillAgain } from "../agent/form.js";
import { answered, asked, commandOf, isPending } from "../agent/pending.js";
import { mayStart, resumeWaits } from "../agent/state_words.js";
import { emptyState, reduce, running, speaking } from "../agent/store.js";
import { refused, typed } from "../agent/typed.js";
import { make, redraw, setWords } from "../shared/elements.js";
import { t, tCount } from "../shared/i18n.js";
import { icon } from "../shared/icons.js";
import { remember, speak, wantedLanguage } from "../shared/language.js";
import { pagesOf, whoIsIt } from "../shared/person.js";
import { openStream } from "../shared/stream.js";
import { look, wear } from "../shared/theme.js";
import { drawClock, drawDetail } from "./detail.js";
import { FIRST_ORDER, NO_FILTER, sumsOf } from "./live.js";
import { reportsView } from "./reports.js";
import { drawAges, drawTable, isSending } from "./table.js";

const at = (id) => document.getElementById(id);
const DRAW_MS = 200;
const NO_PROBLEM = { words: "", field: "" };
const BESIDE = "(min-width: 75rem)";  // where the panel stands beside the table, as in the style sheet
const acts = { open, sort };
let state = { ...emptyState(), chosen: null, filter: NO_FILTER, order: FIRST_ORDER };
let drawing = 0;
let drawnAt = -DRAW_MS;
let reports = null;

const shown = () => state.calls.get(state.chosen);

// Two hundred calls can change many times between two drawings. By a timer: a tab in the background has no frames,
// and its title is to tell of a fault.
function update(next) {
  state = next;
  drawing ||= setTimeout(draw, Math.max(0, drawnAt + DRAW_MS - performance.now()));
}

function draw() {
  clearTimeout(drawing);
  drawing = 0;
  drawnAt = performance.now();
  const sums = sumsOf(state);
  const shield = drawBadge(sums);
  at("signin-again").hidden = state.connection !== "signed-out";
  if (!at("live").hidden) drawLive(sums);
  const words = alertWords(shield);
  setWords(at("alert"), words);
  document.title = `${words || t(reports?.open ? "supervisor.reports" : "supervisor.live")} · dtmf-shield`;
}

function drawLive(sums) {
  drawTable(state, sums, acts);
  drawDetail(state);
  tick();
}

function tick() {
  drawAges(state, Date.now());
  drawClock(state, Date.now());
}

function drawBadge(sums) {
  const fault = state.silent || state.service.shield === "fault" || (state.connection === "live" && sums.trouble > 0);
  const shield = fault ? "fault" : state.connection !== "live" || state.service.shield === "unknown" ? "unknown" : "on";
  const words = shield === "fault" && sums.trouble ? tCount("supervisor.badge.trouble", sums.trouble) : t(`supervisor.badge.${shield}`);
  at("badge").className = `badge ${shield}`;
  at("badge").dataset.state = shield;
  redraw(at("badge"), `${shield} ${words}`, () => [icon(shield), make("span", "", words)]);
  at("bar").classList.toggle("fault", shield === "fault");
  return shield;
}

// The gravest only.
function alertWords(shield) {
  if (state.connection === "signed-out") return t("alert.signed_out");
  if (shield === "fault") return t(state.connection === "lost" ? "alert.lost" : "supervisor.alert.fault");
  if (state.connection === "lost") return t("alert.lost");
  return state.service.gateway === "down" ? t("alert.gateway_down") : "";
}

// A new node each time: said twice is read aloud twice.
function say(words) {
  at("status").textContent = words;
}

function open(id) {
  const next = id === state.chosen ? null : id;
  state = { ...state, chosen: next, confirming: null, told: "", problem: NO_PROBLEM, again: null };
  draw();
  if (next) at("panel").focus({ preventScroll: matchMedia(BESIDE).matches });
  else if (id) rowButton(id)?.focus();
}

const rowButton = (id) => at("rows").querySelector(`[data-call="${CSS.escape(id)}"] .row-opener`);

function close() {
  if (state.chosen) open(state.chosen);
}

function sort(by) {
  const down = state.order.by === by && !state.order.down;
  update({ ...state, order: { by, down } });
}

function filter() {
  const chosen = {
    state: at("by-state").value, agent: at("by-agent").value, flow: at("by-flow").value,
    quality: at("by-quality").value, codec: at("by-codec").value, door: at("by-door").value, trouble: at("by-trouble").checked,
  };
  state = { ...state, filter: chosen };
  draw();
  say(at("shown").textContent);
}

// Up and down go from row to row; the rows themselves are reached by Tab as everything is.
function walk(event) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const buttons = [...at("rows").querySelectorAll(".row-opener")];
  const here = buttons.indexOf(event.target);
  const next = event.key === "Home" ? 0 : event.key === "End" ? buttons.length - 1 : here + (step ?? 0);
  if (here < 0 || (!step && !["Home", "End"].includes(event.key)) || !buttons[next]) return;
  event.preventDefault();
  buttons[next].focus();
}

// As on the agent's page: null where the same is on its way already.
async function once(call, what, path, body) {
  if (isPending(state, call, what)) return null;
  update(asked(state, call, what));
  const answer = await ask(path, body);
  update(answered(state, call, what, !answer.words));
  return answer;
}

async function command(body) {
  const call = shown();
  if (!(running(call) || speaking(call))) return;
  if (isSending(call)) { say(t("note.sending")); return; }
  const answer = await once(call, commandOf(body), `/v1/captures/${call.capture.id}/commands`, body);
  if (answer === null || state.chosen !== call.id) return;
  update({ ...state, told: answer.words });
  say(answer.words);
}

// As on the agent's page: a capture goes on only under a shield that is on.
function pause() {
  const call = shown();
  if (resumeWaits({ ...state, selected: state.chosen }, call)) say(t("note.shield.resume"));
  else command({ command: call?.capture?.state === "paused" ? "resume" : "pause" });
}

function cancel() {
  const call = shown();
  if (isSending(call)) { say(t("note.sending")); return; }
  if (speaking(call)) { command({ command: "cancel" }); return; }
  state = { ...state, confirming: call.capture.id };
  draw();
  at("confirm-no").focus();
}

function confirmed(yes) {
  state = { ...state, confirming: null };
  draw();
  at("cancel").focus();
  if (yes) command({ command: "cancel" });
}

function problem(words, field) {
  update({ ...state, problem: { words, field: field?.id ?? "" } });
  if (words) say(words);
  field?.focus();
}

async function start(event) {
  event.preventDefault();
  const call = shown();
  if (!mayStart({ ...state, selected: state.chosen }, call)) { say(at("start-note").textContent); return; }
  const request = typed(state, call);
  if (request.problem) { problem(request.problem, request.field); return; }
  const answer = await once(call, "start", request.path, request.body);
  if (answer === null || state.chosen !== call.id) return;
  const { problem: words, field } = refused(state, answer);
  problem(words, field);
  if (words) return;
  clearForm();
  at("panel").focus({ preventScroll: true });
}

function again() {
  const { capture } = shown();
  state = { ...state, again: capture.id };
  draw();
  fillAgain(capture);
  at("start-button").focus();
}

function showView() {
  const open_ = location.hash === "#reports";
  at("live").hidden = open_;
  at("reports").hidden = !open_;
  for (const [id, here] of [["tab-live", !open_], ["tab-reports", open_]]) {
    if (here) at(id).setAttribute("aria-current", "page");
    else at(id).removeAttribute("aria-current");
  }
  reports.show(open_);
  draw();
}

function showMenu(person, language) {
  at("menu").show({ person, pages: pagesOf(person), here: "supervisor", language });
}

// Its address is one of the page's own places: followed, it would leave the view.
function skip(event) {
  event.preventDefault();
  at("main").focus();
}

function listen() {
  document.querySelector(".skip").addEventListener("click", skip);
  at("filters").addEventListener("change", (event) => (event.target.id === "by-order" ? sort(event.target.value) : filter()));
  at("filters").addEventListener("submit", (event) => event.preventDefault());
  at("rows").addEventListener("keydown", walk);
  at("close").addEventListener("click", close);
  at("panel").addEventListener("keydown", (event) => {
    if (event.key === "Escape") (state.confirming ? confirmed(false) : close());
  });
  at("listen").addEventListener("click", () => say(t("supervisor.listen.note")));
  at("cancel").addEventListener("click", cancel);
  at("pause").addEventListener("click", pause);
  at("confirm-no").addEventListener("click", () => confirmed(false));
  at("confirm-yes").addEventListener("click", () => confirmed(true));
  at("start").addEventListener("submit", start);
  at("flow").addEventListener("change", () => problem(""));
  at("again").addEventListener("click", again);
  addEventListener("hashchange", showView);
}

async function begin() {
  wear(look());
  const person = await whoIsIt();
  const language = wantedLanguage(person);
  await speak(language);
  showMenu(person, language);
  at("menu").addEventListener("language", async (event) => {
    if (!await speak(event.detail)) return;
    remember(event.detail);
    showMenu(person, event.detail);
    reports.speak();
    draw();
  });
  reports = reportsView();
  listen();
  showView();
  setInterval(tick, 1000);
  openStream({
    onEvent: (type, data) => {
      update(reduce(state, type, data, Date.now()));
      if (type !== "flows") return;
      draw();
      const lost = choiceNews(type);
      if (lost) say(lost);
    },
    onConnection: (connection, silent) => {
      const quiet = silent ?? state.silent;
      if (connection !== state.connection || quiet !== state.silent) update({ ...state, connection, silent: quiet });
    },
  });
}

begin();
