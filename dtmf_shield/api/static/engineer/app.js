// Puts the engineer's page together: flows at the workbench, and the health of the service.
import "../shared/menu.js";
import { make, redraw, setWords } from "../shared/elements.js";
import { t, tCount } from "../shared/i18n.js";
import { icon } from "../shared/icons.js";
import { remember, speak, wantedLanguage } from "../shared/language.js";
import { pagesOf, whoIsIt } from "../shared/person.js";
import { look, wear } from "../shared/theme.js";
import { get, post } from "./ask.js";
import { drawPicture, forgetPicture, save, savePicture } from "./drawing.js";
import { editor, lineOfStep } from "./editor.js";
import { testCalls } from "./evidence.js";
import { drawHealth, kindWords } from "./health.js";
import { drawTranscript, drawWrong, fillLines, insertLine, suggestScript } from "./simulator.js";

const QUIET_MS = 500;
const HEALTH_MS = 5_000;
const FILE_CHARACTERS_MAX = 48_000;
const at = (id) => document.getElementById(id);
const state = { flows: [], open: null, found: null, drawing: null, done: null, wrong: [] };
// open: {id, title, version, text as served, file: whether it came from a file of the reader's}
let order = 0;  // of checks; below: of flows opened, of simulations. An answer that is overtaken is dropped.
let opening = 0;
let runs = 0;
let waiting = 0;

const text = editor(at("text"), at("gutter"), (line, column) => setWords(at("place"), t("engineer.place", { line, column })));

function say(words) { at("status").textContent = words; }

function alarm(words, signedOut = false) {
  at("signin-again").hidden = !signedOut;
  setWords(at("alert"), words);
}

function failed(error) { alarm(error.message, error.slug === "not-signed-in"); }

// --- flows ---------------------------------------------------------------------------------------------

function drawFlows() {
  at("flows-none").hidden = state.flows.length > 0;
  redraw(at("flow-list"), `${document.documentElement.lang} ${state.open?.id} ${state.open?.file} ${JSON.stringify(state.flows)}`, () => (
    state.flows.map((flow) => {
      const served = make("span", "", flow.served ? kindWords(flow.mode) : t("engineer.not_served"));
      const button = make("button", "call", make("b", "", flow.title), make("small", "", flow.id, " · ", flow.version));
      button.append(make("small", flow.served ? "" : "not", served));
      button.type = "button";
      if (!state.open?.file && state.open?.id === flow.id) button.setAttribute("aria-current", "true");
      button.addEventListener("click", () => openServed(flow.id));
      return make("li", "", button);
    })
  ));
}

// known: the text that the reader has given up already; what was typed since is asked about too.
const mayLose = (known) => !changed() || text.text === known || window.confirm(t("engineer.lose"));

async function openServed(id) {
  if (!mayLose(null)) return;
  const [mine, known] = [opening += 1, text.text];
  try {
    const [source, { flows }] = await Promise.all([get(`/v1/flows/${id}`), get("/v1/flow-versions")]);
    if (mine !== opening || !mayLose(known)) return;
    state.flows = flows;
    const flow = flows.find((one) => one.id === id);
    show({ id, title: flow?.title ?? id, version: source.version, text: source.text, drawnOver: source.drawn_over, flow });
  } catch (error) {
    if (mine === opening) failed(error);
  }
}

async function openFile() {
  const [file] = at("file").files;
  at("file").value = "";
  if (!file || !mayLose(null)) return;
  const [mine, known] = [opening += 1, text.text];
  const content = file.size > FILE_CHARACTERS_MAX ? null : await file.text().catch(() => null);
  if (mine !== opening || !mayLose(known)) return;
  if (content === null) { alarm(t("engineer.file.unfit")); return; }
  show({ id: file.name.replace(/\.ya?ml$/, ""), title: file.name, version: "", text: content, file: true });
}

function show(open) {
  Object.assign(state, { open, found: null, drawing: null, done: null, wrong: [] });
  runs += 1;
  alarm("");
  text.show(open.text);
  at("script").value = "";
  forgetPicture();
  drawAll();
  at("text").closest(".card").hidden = false;
  work();
}

const changed = () => state.open !== null && text.text !== state.open.text;

function drawHead() {
  const { open, found } = state;
  setWords(at("text-title"), open.title);
  const chips = [];
  if (open.file) chips.push(chip("plain", t("engineer.from_file")));
  else chips.push(chip(open.flow?.served === false ? "warn" : "good", open.flow?.served === false ? t("engineer.not_served") : t("engineer.served")));
  if (changed()) chips.push(chip("busy", t("engineer.changed")));
  redraw(at("text-state"), chips.map((one) => one.textContent).join("|"), () => chips);
  setWords(at("text-note"), open.drawnOver ? t("engineer.drawn_over") : t("engineer.deploy", { file: `${open.id}.yaml` }));
  const reasons = open.flow?.reasons ?? [];
  at("reasons").hidden = !reasons.length;
  redraw(at("reasons"), reasons.join(), () => reasons.map((one) => make("li", "", one)));
  at("revert").setAttribute("aria-disabled", String(!changed()));
  at("save-picture").setAttribute("aria-disabled", String(!state.drawing));
  drawVerdict(found);
}

function chip(look, words) {
  return make("span", `chip ${look}`, icon(look), make("span", "", words));
}

function drawVerdict(found) {
  const errors = (found ?? []).filter((one) => one.severity === "error").length;
  const warnings = (found ?? []).length - errors;
  let words = t("engineer.checking");
  if (found) {
    const counted = [errors ? tCount("engineer.errors", errors) : "", warnings ? tCount("engineer.warnings", warnings) : ""];
    words = counted.filter(Boolean).join(", ") || t("engineer.no_findings");
  }
  const kind = errors ? "bad" : warnings ? "warn" : found ? "good" : "plain";
  redraw(at("verdict"), `${kind} ${words}`, () => [chip(kind, words)]);
  return words;
}

function drawFindings() {
  const found = state.found ?? [];
  text.mark(new Map([...found].reverse().map((one) => [one.line, one.severity])));
  redraw(at("findings"), `${document.documentElement.lang} ${JSON.stringify(found)}`, () => found.map((one) => {
    const where = make("b", "", t("engineer.finding.line", { line: one.line }));
    const button = make("button", `finding ${one.severity}`, icon(one.severity === "error" ? "bad" : "warn"), make("span", "", where, ` ${one.key}`));
    button.type = "button";
    button.append(make("span", "what", t("engineer.finding.found", { found: one.found })));
    button.append(make("span", "what", t("engineer.finding.allowed", { allowed: one.allowed })));
    if (one.suggestion) button.append(make("span", "meant", t("engineer.finding.meant", { word: one.suggestion })));
    button.addEventListener("click", () => text.go(one.line, one.column));
    return make("li", "", button);
  }));
}

function toStep(name) {
  const line = lineOfStep(text.text, name);
  if (line) text.go(line, text.text.split("\n")[line - 1].indexOf(name) + 1);
}

function drawAll() {
  drawFlows();
  if (!state.open) return;
  drawHead();
  drawFindings();
  drawPicture(state.drawing, toStep, state.found !== null);
  drawTranscript(state.done);
  drawWrong(state.wrong);
}

// Checks and draws what is in the editor; an answer that is overtaken by another text is dropped.
async function work() {
  const mine = order += 1;
  const body = { text: text.text };
  try {
    const check = await post("/v1/flow-drafts/check", body);
    if (mine !== order) return;
    state.found = check.findings;
    const drawing = check.findings.some((one) => one.severity === "error") ? null : await post("/v1/flow-drafts/graph", body);
    if (mine !== order) return;
    state.drawing = drawing?.svg ? drawing : null;
    alarm("");
    if (state.drawing && !at("script").value) at("script").value = suggestScript(body.text, state.drawing.graph);
  } catch (error) {
    if (mine !== order) return;
    Object.assign(state, { found: [], drawing: null });
    failed(error);
  }
  drawAll();
  say(at("verdict").textContent);
}

function typed() {
  clearTimeout(waiting);
  waiting = setTimeout(work, QUIET_MS);
  drawHead();
}

async function run() {
  const mine = runs += 1;
  say(t("engineer.running"));
  const found = await post("/v1/flow-drafts/simulate", { text: text.text, script: at("script").value })
    .then((done) => ({ done, wrong: [] }), (error) => ({ done: null, wrong: error.findings?.length ? error.findings : [error.message] }));
  if (mine !== runs) return;
  Object.assign(state, found);
  drawTranscript(state.done);
  drawWrong(state.wrong);
  say(state.done ? at("ending").textContent : state.wrong.join(" "));
}

const tests = testCalls({ failed, say, well: () => alarm("") });

// --- health --------------------------------------------------------------------------------------------

async function health() {
  if (location.hash !== "#health") return;
  try {
    const { nodes } = await get("/v1/nodes");
    drawHealth(at("health"), nodes);
    alarm([...new Set(nodes.flatMap((node) => node.alerts))].map((name) => t(`engineer.alert.${name}`)).join(" "));
  } catch (error) {
    failed(error);
  }
}

const VIEWS = { flows: "engineer.flows", "test-calls": "engineer.tests", health: "engineer.health" };

function view() {
  const [asked, rest] = location.hash.slice(1).split("/");
  const wanted = Object.hasOwn(VIEWS, asked) ? asked : "flows";
  for (const name of Object.keys(VIEWS)) {
    at(name).hidden = name !== wanted;
    if (name === wanted) at(`to-${name}`).setAttribute("aria-current", "page");
    else at(`to-${name}`).removeAttribute("aria-current");
  }
  document.title = `${t(VIEWS[wanted])} – dtmf-shield`;
  health();
  tests.look(wanted === "test-calls", rest ?? "");
}

// --- the page ------------------------------------------------------------------------------------------

const free = (button) => at(button).getAttribute("aria-disabled") !== "true";

function revert() {
  if (!free("revert")) return;
  text.show(state.open.text);
  typed();
}

function fit() {
  const fits = at("fit").getAttribute("aria-pressed") !== "true";
  at("fit").setAttribute("aria-pressed", String(fits));
  at("paper").classList.toggle("whole", !fits);
}

// Its address is one of the page's own places: followed, it would leave the view.
function skip(event) {
  event.preventDefault();
  at("main").focus();
}

function listen() {
  document.querySelector(".skip").addEventListener("click", skip);
  at("text").addEventListener("input", typed);
  at("file").addEventListener("change", openFile);
  at("download").addEventListener("click", () => save(`${state.open.id}.yaml`, text.text, "text/yaml"));
  at("revert").addEventListener("click", revert);
  at("fit").addEventListener("click", fit);
  at("save-picture").addEventListener("click", () => { if (free("save-picture")) savePicture(state.open.id); });
  at("insert").addEventListener("click", insertLine);
  at("run").addEventListener("click", run);
  at("suggest").addEventListener("click", () => {
    if (state.drawing) at("script").value = suggestScript(text.text, state.drawing.graph);
  });
  addEventListener("hashchange", view);
  addEventListener("beforeunload", (event) => { if (changed()) event.preventDefault(); });
  setInterval(() => { if (!document.hidden) health(); }, HEALTH_MS);
}

async function begin() {
  wear(look());
  const person = await whoIsIt();
  let language = wantedLanguage(person);
  await speak(language);
  const menu = () => at("menu").show({ person, pages: pagesOf(person), here: "engineer", language });
  menu();
  at("menu").addEventListener("language", async (event) => {
    language = event.detail;
    if (!await speak(language)) return;
    remember(language);
    menu();
    view();
    drawAll();
  });
  tests.plays(pagesOf(person).some(([name]) => name === "agent"));
  fillLines();
  listen();
  view();
  try {
    state.flows = (await get("/v1/flow-versions")).flows;
    if (state.flows.length) await openServed((state.flows.find((flow) => flow.served) ?? state.flows[0]).id);
  } catch (error) { failed(error); }
  drawAll();
}

begin();
