// Draws a capture: what happens now, what to say, the fields in order, the result, what may be pressed, what was.
import { make, redraw, setWords } from "../shared/elements.js";
import { clockTime, money, named, t } from "../shared/i18n.js";
import { icon } from "../shared/icons.js";
import { noticesOf } from "../shared/line.js";
import { drawOutcome } from "./outcome.js";
import { commandOf, isPending } from "./pending.js";
import { atGateway, badgeState, payOf, resumeWaits, sayOf, stageShown, standsOf } from "./state_words.js";
import { historyOf, running, speaking } from "./store.js";
import { HINTS, codeWords, endingWords, fieldLabel, reasonWords, resultWords } from "./words.js";

const at = (id) => document.getElementById(id);

export function drawWork(state, call, act) {
  const busy = running(call);
  const fault = badgeState(state) === "fault";
  drawStage(stageShown(state, call));
  drawSay(sayOf(state, call));
  drawNotices(badgeState(state) === "on" ? noticesOf(call) : []);
  drawHint(busy && !fault ? call.capture.hint : null);
  drawFields(state, call, act);
  drawOutcome(at("outcome"), call.capture?.outcome, "h2", outcomeLines);
  drawActions(state, call);
  drawHistory(historyOf(state));
  setWords(at("told"), state.told);
  at("told").hidden = !state.told;
}

function drawStage(stage) {
  at("stage").hidden = !stage;
  if (!stage) return;
  const [look, key, field] = stage;
  const words = field ? t(key, { field: fieldLabel(field) }) : t(key);
  at("stage").className = `stage ${look}`;
  redraw(at("stage-words"), `${look} ${words}`, () => [icon(look), words]);
}

function drawSay(words) {
  at("say").hidden = !words;
  redraw(at("say"), `${t("say")} ${words}`, () => [make("b", "", `${t("say")} `), words]);
}

// What the flow wants of the audio now: else a line that says nothing would be taken for a dead one.
function drawNotices(keys) {
  at("notices").hidden = keys.length === 0;
  redraw(at("notices"), `${t("say")} ${keys}`, () => (
    keys.map((key) => make("li", "chip busy", icon(key === "notice.unrecorded" ? "silent" : "muted"), make("span", "", t(key))))
  ));
}

function drawHint(hint) {
  const words = HINTS.includes(hint) ? t(`hint.${hint}`) : "";
  at("hint").hidden = !words;
  redraw(at("hint"), words, () => [icon("hint"), make("span", "", words)]);
}

function drawFields(state, call, act) {
  const list = at("fields");
  const fields = call.capture?.fields ?? [];
  const busy = running(call);
  const sending = atGateway(call);
  const key = call.capture ? `${call.capture.id} ${fields.map((field) => field.field).join(" ")}` : "";
  if (list.dataset.key !== key) newRows(list, key, fields, act);
  const unsure = badgeState(state) !== "on";
  const stands = standsOf(state, call);
  fields.forEach((field, place) => {
    const now = busy && call.capture.current === field.field && !sending;
    const blocked = sending || unsure || isPending(state, call, commandOf({ command: "redo", field: field.field }));
    list.children[place].firstChild.show(field, { now, busy, stands, blocked, place: place + 1 });
  });
}

// Another card asks for the same fields: the focus goes from the old row's Reset to the new one's.
function newRows(list, key, fields, act) {
  const focused = document.activeElement?.closest?.("capture-field")?.dataset.field;
  list.dataset.key = key;
  list.replaceChildren(...fields.map((field) => {
    const row = make("capture-field", "");
    row.dataset.field = field.field;
    row.addEventListener("click", (event) => event.target.closest("button") && act.redo(field.field));
    return make("li", "", row);
  }));
  if (focused) list.querySelector(`[data-field="${focused}"] button`)?.focus({ preventScroll: true });
}

function outcomeLines(outcome) {
  const [what, next] = resultWords(outcome.result);
  const lines = [make("p", "", what)];
  const card = outcome.last4 ? endingWords(outcome.brand, outcome.last4) : "";
  if (outcome.token_reference) {
    const [before, after] = t("result.stored", { reference: "\u0000" }).split("\u0000");
    const reference = [before, make("code", "", outcome.token_reference), after];
    lines.push(make("p", "", card ? `${card} · ` : "", ...reference));
  } else if (outcome.gateway_code) {
    lines.push(make("p", "", t("result.reason", { reason: codeWords(outcome.gateway_code) }), card ? ` · ${card}` : ""));
  }
  return [...lines, make("p", "next", next)];
}

function drawActions(state, call) {
  const after = speaking(call);
  const sending = atGateway(call);
  const paused = running(call) && call.capture.state === "paused";
  const unsure = badgeState(state) !== "on";
  const pay = payOf(state, call);
  const confirming = running(call) && !sending && state.confirming === call.capture.id;
  at("actions").hidden = (!running(call) && !after) || confirming;
  at("confirm").hidden = !confirming;
  drawPay(call, pay);
  at("pause").hidden = after;
  setWords(at("pause"), t(paused ? "action.resume" : "action.pause"));
  setWords(at("cancel"), t(after ? "action.stop" : "action.cancel"));
  const asked = (what) => isPending(state, call, what);
  at("cancel").setAttribute("aria-disabled", String(sending || asked("cancel")));
  at("pause").setAttribute("aria-disabled", String(sending || resumeWaits(state, call) || asked(paused ? "resume" : "pause")));
  setWords(at("actions-note"), noteWords(call, { after, sending, unsure, pay }));
  const resets = running(call) && !sending && !unsure ? call.capture.fields.length : 0;
  setWords(at("keys-note"), resets > 1 ? t("note.keys", { last: resets }) : "");
  at("notes").hidden = at("actions").hidden && at("confirm").hidden;
}

function drawPay(call, pay) {
  at("pay").hidden = !pay;
  if (!pay) return;
  const { amount_minor: minor, currency } = call.capture;
  at("pay").setAttribute("aria-disabled", String(!pay[0]));
  setWords(at("pay"), minor ? t("action.pay.amount", { amount: money(minor, currency) }) : t("action.pay"));
}

// Why something may not be pressed comes before what may be.
function noteWords(call, { after, sending, unsure, pay }) {
  if (after) return t("note.after");
  if (!running(call)) return "";
  if (sending) return t("note.sending");
  if (unsure) return t("note.shield");
  return pay ? t(pay[1], { field: pay[2] ? fieldLabel(pay[2]) : "" }) : t("note.tones");
}

function drawHistory(lines) {
  at("history").hidden = lines.length === 0;
  const words = lines.map((line) => [line.at ? clockTime(line.at) : "", historyWords(line), line.kind]);
  redraw(at("history-lines"), JSON.stringify(words), () => words.map(([time, text, kind]) => {
    const item = make("li", kind, make("span", "time", time), " ", text);
    return item;
  }));
}

function historyWords(line) {
  if (line.kind === "ended") return t("history.ended", { result: t(`result.${line.result}`) });
  const field = fieldLabel(line.field);
  if (line.kind === "reset") return t("history.reset", { field });
  return named(field, reasonWords(line.field.reason ?? "timeout"));
}
