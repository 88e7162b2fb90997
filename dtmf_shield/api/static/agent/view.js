// Draws the state into the page; keeps nodes (and with them the focus) where only words change.
import { make, redraw, setFixedWord, setWords } from "../shared/elements.js";
import { duration, money, named, t } from "../shared/i18n.js";
import { icon } from "../shared/icons.js";
import { LINE_LOOKS, figureWords, pathWords, qualityOf, worseOf } from "../shared/line.js";
import { drawForm } from "./form.js";
import { drawPhone } from "./phone.js";
import { AT_GATEWAY, audioOf, badgeState } from "./state_words.js";
import { running, speaking } from "./store.js";
import { callerWords } from "./words.js";
import { drawWork } from "./work.js";

const at = (id) => document.getElementById(id);

export function draw(state, act) {
  const call = state.calls.get(state.selected);
  const held = at("work").contains(document.activeElement) ? document.activeElement : null;
  drawAll(state, call, act);
  if (held) afterFocus(held, call);
}

// What had the focus is gone, with its capture or its call: the result takes it, so that Tab goes on from there.
function afterFocus(held, call) {
  if (held.isConnected ? !held.closest("[hidden]") : document.activeElement !== document.body) return;
  (call?.capture?.outcome ? at("outcome") : at("desk")).focus({ preventScroll: true });
}

function drawAll(state, call, act) {
  const shield = badgeState(state);
  at("badge").show(shield);
  document.body.dataset.shield = shield;
  document.body.dataset.connection = state.connection;
  at("bar").classList.toggle("fault", shield === "fault");
  at("signin-again").hidden = state.connection !== "signed-out";
  document.title = titleWords(state, call, shield);
  if (at("calls")) drawCalls(state, act);
  drawHead(state, call);
  at("desk-none").hidden = Boolean(call);
  setFixedWord(at("desk-none"), shield === "on" ? "call.none.note" : "call.none.unsure");
  at("work").hidden = !call;
  if (!call) return;
  drawWork(state, call, act);
  drawForm(state, call);
}

// Nothing of the caller: a title is shown in places that last.
function titleWords(state, call, shield) {
  const words = shield === "fault" ? t("shield.fault") : state.connection === "lost" ? t("alert.lost")
    : running(call) ? captureWords(call) : call?.state ? t(`call.${call.state}`) : "";
  return words ? `${words} · dtmf-shield` : "dtmf-shield";
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
  if (!same) keepingFocus(() => list.replaceChildren(...items));
}

// A node that is moved loses the focus.
function keepingFocus(change) {
  const focused = document.activeElement;
  change();
  if (focused !== document.activeElement && focused?.isConnected) focused.focus({ preventScroll: true });
}

function newCallItem(id, act) {
  const item = make("li", "");
  const button = make("button", "call", make("span", "", make("b", ""), make("small", "")), make("small", ""), make("small", ""));
  button.type = "button";
  button.addEventListener("click", () => act.choose(id));
  item.dataset.call = id;
  item.append(button);
  return item;
}

function drawCallItem(item, call, chosen) {
  const button = item.firstChild;
  const [first, dialled, capture] = button.children;
  const [caller, state] = first.children;
  item.dataset.state = call.state;
  button.setAttribute("aria-current", String(chosen));
  setWords(caller, callerWords(call));
  setWords(state, t(`call.${call.state}`));
  setWords(dialled, t("call.to", { dialled: call.dialled }));
  setWords(capture, captureWords(call));
}

function captureWords(call) {
  if (running(call)) {
    if (AT_GATEWAY.includes(call.capture.state)) return t(`stage.${call.capture.state}`);
    return t(call.capture.state === "paused" ? "call.capture.paused" : "call.capture");
  }
  return call.capture?.outcome ? t(`result.${call.capture.outcome.result}`) : "";
}

function drawHead(state, call) {
  const capture = call?.capture;
  const engaged = running(call) || speaking(call) || capture?.outcome;
  setWords(at("desk-title"), !call ? t("call.none") : engaged && capture.title ? capture.title : callerWords(call));
  if (at("phone")) drawPhone(at("phone"), state.phone);
  const amount = capture?.amount_minor ? money(capture.amount_minor, capture.currency) : "";
  at("money").hidden = !amount && !capture?.reference;
  setWords(at("amount"), amount);
  setWords(at("reference-shown"), capture?.reference ? t("result.reference", { reference: capture.reference }) : "");
  if (at("facts")) drawFacts(state, call);
}

function drawFacts(state, call) {
  const facts = !call ? [] : [
    ["fact.caller", call.caller_masked === "anonymous" ? t("fact.unnumbered") : call.caller_masked],
    ["fact.dialled", call.dialled], ["fact.line", call.trunk],
    ["fact.caller_audio", audioWords(state, call.shield?.caller)],
    ["fact.agent_audio", audioWords(state, call.shield?.agent)],
  ].filter(([, value]) => value).map(([key, value]) => [t(key), value]);
  const line = call?.line ?? null;
  redraw(at("facts"), `${t("fact.quality")} ${JSON.stringify([facts, line])}`, () => [
    ...facts.map(([name, value]) => make("div", "", make("dt", "", name), make("dd", "", value))),
    ...(line ? [lineFact(line)] : []),
  ]);
}

function lineFact(line) {
  const quality = qualityOf(line);
  const look = LINE_LOOKS[quality];
  const shown = make("dd", "line", make("span", `step ${look}`, icon(look), t(`line.quality.${quality}`)), ` · ${pathWords(line.caller)}`);
  const whose = worseOf(line);
  const figures = quality === "good" ? "" : figureWords(line[whose]);
  if (figures) shown.append(make("small", "figures", named(t(`fact.${whose}_audio`), figures)));
  return make("div", "", make("dt", "", t("fact.quality")), shown);
}

function audioWords(state, mode) {
  const key = audioOf(state, mode);
  return key && t(key);
}

export function drawClocks(state, nowMs) {
  const call = state.calls.get(state.selected);
  const since = (ms) => duration(Math.max(0, (nowMs - ms) / 1000));
  const talking = call?.started_at && call.state !== "ended";
  setWords(at("clock"), !call?.state ? "" : talking
    ? `${t(`call.${call.state}`)} · ${since(Date.parse(call.started_at))}` : t(`call.${call.state}`));
  const begun = state.steps.get(state.selected)?.at;
  setWords(at("step-clock"), begun ? t("clock.step", { time: since(begun) }) : "");
}
