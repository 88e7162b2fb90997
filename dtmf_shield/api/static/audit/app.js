// The audit log, to be read: newest first, page by page, by event, person, call and day; and whether its chain is whole.
import "../shared/menu.js";
import { make, redraw, setWords } from "../shared/elements.js";
import { has, t, tCount } from "../shared/i18n.js";
import { icon } from "../shared/icons.js";
import { remember, speak, wantedLanguage } from "../shared/language.js";
import { pagesOf, whoIsIt } from "../shared/person.js";
import { look, wear } from "../shared/theme.js";
import { drawDays } from "./rows.js";
import { EVENTS, eventWords } from "./words.js";

const FILTERS = ["event", "person", "call", "day"];
// A page of a filter may be empty and have another behind it: so many are asked for before the reader is asked to go on.
const EMPTY_PAGES_MAX = 20;
const CARD = /\d(?:[ -]?\d){11}/;
const at = (id) => document.getElementById(id);
const NOTHING_READ = { rows: [], intact: true, next: null, read: false };
let state = { ...NOTHING_READ, problem: "", reading: false };
let turn = 0;

// The address holds what is looked for: it can be kept, sent, and gone back to.
const wanted = () => {
  const asked = new URLSearchParams(location.search);
  return Object.fromEntries(FILTERS.map((name) => [name, asked.get(name) ?? ""]).filter(([, value]) => value));
};

function addressOf(filters) {
  const address = new URLSearchParams(location.search);
  for (const name of FILTERS) address.delete(name);
  for (const [name, value] of Object.entries(filters)) address.set(name, value);
  return `${location.pathname}${address.size ? "?" : ""}${address}`;
}

function draw() {
  document.title = `${t("page.audit")} · dtmf-shield`;
  setWords(at("alert"), state.problem && t(state.problem));
  at("signin-again").hidden = state.problem !== "alert.signed_out";
  drawChain();
  drawEvents();
  const language = document.documentElement.lang;
  redraw(at("days"), `${language} ${JSON.stringify(state.rows)}`, () => drawDays(state.rows, (name, value) => addressOf({ [name]: value })));
  const filtered = Object.keys(wanted()).length > 0;
  at("none").hidden = !state.read || state.rows.length > 0;
  setWords(at("none-title"), t(filtered ? "audit.none.filtered" : "audit.none"));
  setWords(at("none-note"), t(state.next ? "audit.none.more" : filtered ? "audit.none.filtered.note" : "audit.none.note"));
  at("older").hidden = !state.next;
  at("older").setAttribute("aria-disabled", String(state.reading));
  at("all").hidden = !filtered;
}

function drawChain() {
  at("chain").hidden = state.intact && state.rows.length === 0;
  at("log").hidden = !state.read;
  at("chain").classList.toggle("broken", !state.intact);
  const words = t(state.intact ? "audit.intact" : "audit.broken");
  redraw(at("chain-title"), words, () => [icon(state.intact ? "on" : "fault"), make("span", "", words)]);
  setWords(at("chain-note"), t(state.intact ? "audit.intact.note" : "audit.broken.note"));
}

// Also an event that has no words here: it was met in a row, or stands in the address.
function drawEvents() {
  const select = at("event");
  const chosen = wanted().event ?? "";
  const known = new Set([...EVENTS, ...state.rows.map(({ event }) => event), ...(chosen ? [chosen] : [])]);
  const named = [...known].map((event) => [event, eventWords(event)]).sort(([, one], [, other]) => one.localeCompare(other));
  redraw(select, JSON.stringify(named), () => [["", t("audit.event.any")], ...named].map(([event, words]) => new Option(words, event)));
  if (document.activeElement !== select) select.value = chosen;
}

function fill() {
  const filters = wanted();
  for (const name of FILTERS) at(name).value = filters[name] ?? "";
}

// One page from the service, or {problem}.
async function page(cursor) {
  const asked = new URLSearchParams({ ...wanted(), ...(cursor ? { cursor } : {}) });
  const answer = await fetch(`/v1/audit?${asked}`, { headers: { accept: "application/json" } }).catch(() => null);
  if (answer?.ok) return answer.json().catch(() => ({ problem: "audit.problem.unanswered" }));
  if (answer?.status === 401) return { problem: "alert.signed_out" };
  const told = await answer?.json().catch(() => ({}));
  const key = `audit.problem.${(told?.type ?? "").split(":").at(-1)}`;
  return { problem: has(key) ? key : "audit.problem.unanswered" };
}

// Reads on from where the rows end. An answer that another question has overtaken is dropped.
async function read() {
  const mine = turn += 1;
  const before = state.rows.length;
  state = { ...state, problem: "", reading: true };
  draw();
  for (let pages = 0; pages < EMPTY_PAGES_MAX; pages += 1) {
    const { rows, intact, next_cursor: next, problem } = await page(state.next);
    if (mine !== turn) return;
    if (problem) { state = { ...state, problem, reading: false }; draw(); return; }
    state = { ...state, rows: [...state.rows, ...rows], intact: state.intact && intact, next, read: true };
    if (rows.length || !next) break;
  }
  state = { ...state, reading: false };
  draw();
  setWords(at("status"), [tCount("audit.count", state.rows.length - before), state.intact ? "" : t("audit.broken")].filter(Boolean).join(" "));
}

function anew() {
  state = { ...state, ...NOTHING_READ };
  setWords(at("status"), "");
  fill();
  read();
}

function go(address) {
  history.pushState(null, "", address);
  anew();
}

function ask(event) {
  event.preventDefault();
  const typed = ["person", "call"].map(at).find((field) => CARD.test(field.value));
  if (typed) {
    typed.value = "";
    state = { ...state, problem: "audit.problem.card-number" };
    draw();
    typed.focus();
    return;
  }
  go(addressOf(Object.fromEntries(FILTERS.map((name) => [name, at(name).value.trim()]).filter(([, value]) => value))));
}

// The rows that were there keep their place; the focus goes to the first of those that came.
async function older() {
  if (state.reading) return;
  const before = state.rows.length;
  await read();
  const first = at("days").querySelectorAll(".rows > li")[before];
  if (!first) return;
  first.tabIndex = -1;
  first.focus();
}

function follow(event) {
  const link = event.target.closest("a");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  go(link.href);
  at("main").focus();
}

function listen() {
  at("filters").addEventListener("submit", ask);
  at("all").addEventListener("click", () => { go(addressOf({})); at("event").focus(); });
  at("older").addEventListener("click", older);
  at("days").addEventListener("click", follow);
  addEventListener("popstate", anew);
}

async function begin() {
  wear(look());
  const person = await whoIsIt();
  const language = wantedLanguage(person);
  await speak(language);
  const menu = (spoken) => at("menu").show({ person, pages: pagesOf(person), here: "audit", language: spoken });
  menu(language);
  at("menu").addEventListener("language", async (event) => {
    await speak(event.detail);
    remember(event.detail);
    menu(event.detail);
    draw();
  });
  listen();
  draw();
  anew();
}

begin();
