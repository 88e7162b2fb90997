// Puts the panel in a frame together: the panel of the agent page for one call, and messages to the page around.
import "../shared/presence.js";
import { beginPanel, listen, now, once, tell, update } from "../agent/panel.js";
import { mayStart } from "../agent/state_words.js";
import { choose, inHand, opened } from "../agent/store.js";
import { setFixedWord, setWords } from "../shared/elements.js";
import { t, tCount } from "../shared/i18n.js";
import { speak, wantedLanguage } from "../shared/language.js";
import { whoIsIt } from "../shared/person.js";
import { look, wear } from "../shared/theme.js";
import { connectHost } from "./host.js";
import { isResult, messagesOf, readyMessage, resizeMessage, startedMessage, stateMessage } from "./messages.js";
import { drawOthers, othersOf } from "./others.js";
import { signInByWindow } from "./signin.js";

const TOLD_MAX = 50;
const at = (id) => document.getElementById(id);
const asked = new URLSearchParams(location.search);
const host = connectHost({ onWish: follow, onIgnored: tellIgnored });
const told = new Map();  // results that the page around knows, by capture
let wanted = asked.get("call") || null;  // null: whichever is in hand
let begun = false;
let signing = false;

// The page is for one call: where it is not here, none is shown in its place.
function pin(state) {
  if (wanted === null) return state;
  const selected = state.calls.has(wanted) ? wanted : null;
  return selected === state.selected ? state : opened(state, selected);
}

function changed(before, after) {
  drawOwn(after);
  drawOthers(wanted === null && !at("desk").hidden ? othersOf(after) : [], (id) => update(choose(now(), id)));
  for (const message of messagesOf(before, after)) if (isNews(message)) host.tell(message);
}

// The agent's own look back at a call is no news of its end: the page around may have written it down. Of a call that
// the page has asked for it is told again.
function isNews(message) {
  if (!isResult(message)) return true;
  const words = JSON.stringify(message);
  const news = wanted !== null || told.get(message.capture) !== words;
  told.delete(message.capture);
  told.set(message.capture, words);
  if (told.size > TOLD_MAX) told.delete(told.keys().next().value);
  return news;
}

function drawOwn(state) {
  const out = state.connection === "signed-out" || !begun;
  at("signin").hidden = !out;
  at("desk").hidden = out;
  at("signin-again").hidden = true;
  if (out || state.selected || wanted === null) return;
  setWords(at("desk-title"), t("embed.waiting"));
  setFixedWord(at("desk-none"), "embed.waiting.note");
}

// Before anybody is signed in, too: a call that is asked for then is the one that is shown afterwards.
function follow(wish) {
  if (wish.ask === "focus") at(begun ? "desk" : "signin-go").focus();
  else if (wish.ask === "start") start(wish);
  else {
    wanted = wish.id;
    if (begun) update(wanted === null ? inHand(now()) : now());
  }
}

// Refusals go back in a word; the agent reads the service's own words, and who writes the page which member does not fit.
async function start({ flow, inputs, unfit }) {
  const state = now();
  if (unfit) {
    console.warn(`dtmf-shield.start was not sent. This does not fit: ${unfit}`);
    host.tell(stateMessage(state, "refused"));
    return;
  }
  const call = state.calls.get(state.selected);
  if (!mayStart(state, call)) { host.tell(stateMessage(state, "not_ready")); return; }
  const answer = await once(call, "start", `/v1/calls/${call.id}/captures`, { flow, inputs });
  if (now().selected === call.id) tell(answer.words);
  if (answer.words) host.tell(stateMessage(now(), "refused"));
  else host.tell(startedMessage(now(), { call: call.id, capture: answer.id, inputs }));
}

function tellIgnored(count) {
  at("ignored").hidden = false;
  at("ignored").dataset.count = count;
  setWords(at("ignored"), tCount("embed.ignored", count));
}

async function signIn() {
  if (signing) return;
  signing = true;
  at("signin-go").setAttribute("aria-disabled", "true");
  setWords(at("signin-told"), "");
  await signedIn(await signInByWindow());
  signing = false;
  at("signin-go").setAttribute("aria-disabled", "false");
}

async function signedIn(wrong) {
  const person = wrong ? null : await whoIsIt();
  if (!wrong && person) { enter(person); return; }
  // The window may have signed in where this page sees it too: a page of the same site.
  const seen = person ?? await whoIsIt();
  if (seen) enter(seen);
  else setWords(at("signin-told"), t(wrong || "embed.signin.kept"));
}

function enter(person) {
  if (!person.roles.includes("agent")) { setWords(at("signin-told"), t("embed.signin.role")); return; }
  if (begun) {
    if (now().connection !== "signed-out") return;
    update({ ...now(), connection: "connecting", silent: false });
    listen();
  } else {
    begun = true;
    beginPanel({ pin, changed });
  }
  host.tell(readyMessage(wanted, true));
}

function followHeight() {
  new ResizeObserver(() => host.tell(resizeMessage(document.body.getBoundingClientRect().height))).observe(document.body);
}

async function begin() {
  wear(look());
  const person = await whoIsIt();
  await speak(wantedLanguage(person));
  at("no-host").hidden = !host.missing;
  at("badge").show("unknown");
  at("signin-go").addEventListener("click", signIn);
  drawOwn(now());
  followHeight();
  if (person) enter(person);
  else host.tell(readyMessage(wanted, false));
}

begin();
