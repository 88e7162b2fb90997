// Draws the call that is looked at: what agents see of its capture, read only, and what a supervisor may do.
import { drawForm } from "../agent/form.js";
import { drawOutcome } from "../agent/outcome.js";
import { isPending } from "../agent/pending.js";
import { audioOf, badgeState, resumeWaits, sayOf, stageShown, standsOf } from "../agent/state_words.js";
import { running, speaking } from "../agent/store.js";
import { HINTS, callerWords, codeWords, endingWords, fieldLabel, resultWords } from "../agent/words.js";
import { make, redraw, setWords } from "../shared/elements.js";
import { duration, money, t } from "../shared/i18n.js";
import { icon } from "../shared/icons.js";
import { figureWords, pathWords } from "../shared/line.js";
import { shieldOf } from "./live.js";
import { isSending } from "./table.js";

const at = (id) => document.getElementById(id);

export function drawDetail(state) {
  const call = state.calls.get(state.chosen);
  const held = document.activeElement;
  const within = at("panel").contains(held);
  at("panel").hidden = !call;
  at("panes").classList.toggle("opened", Boolean(call));
  // In doubt the agent's page says no more than it knows, nor does this one.
  if (call) drawCall({ ...state, selected: state.chosen }, call);
  if (within) afterFocus(held);
}

// What had the focus is gone (a button of a capture that has ended, the call itself): Tab goes on from where it was.
function afterFocus(held) {
  if (held.isConnected && !held.closest("[hidden]")) return;
  (at("panel").hidden ? at("main") : at("panel")).focus({ preventScroll: true });
}

function drawCall(state, call) {
  const busy = running(call);
  redraw(at("close"), t("supervisor.close"), () => [icon("bad"), make("span", "unseen", t("supervisor.close"))]);
  setWords(at("panel-title"), callerWords(call));
  setWords(at("panel-state"), t(`call.${call.state}`));
  drawMoney(call.capture);
  drawStage(stageShown(state, call));
  const words = sayOf(state, call);
  at("say").hidden = !words;
  redraw(at("say"), `${t("supervisor.say")} ${words}`, () => [make("b", "", `${t("supervisor.say")} `), words]);
  const hint = busy && badgeState(state) !== "fault" && HINTS.includes(call.capture.hint) ? t(`hint.${call.capture.hint}`) : "";
  at("hint").hidden = !hint;
  redraw(at("hint"), hint, () => [icon("hint"), make("span", "", hint)]);
  drawFields(state, call);
  drawOutcome(at("outcome"), call.capture?.outcome, "h3", outcomeLines);
  drawActions(state, call);
  drawFacts(state, call);
  drawForm(state, call);
}

function drawMoney(capture) {
  const amount = capture?.amount_minor ? money(capture.amount_minor, capture.currency) : "";
  at("money").hidden = !amount && !capture?.reference;
  setWords(at("amount"), amount);
  setWords(at("reference-shown"), capture?.reference ? t("result.reference", { reference: capture.reference }) : "");
}

function drawStage(stage) {
  at("stage").hidden = !stage;
  if (!stage) return;
  const [look, key, field] = stage;
  const words = t(key, { field: field ? fieldLabel(field) : "" });
  at("stage").className = `stage ${look}`;
  redraw(at("stage-words"), `${look} ${words}`, () => [icon(look), words]);
}

function drawFields(state, call) {
  const list = at("fields");
  const fields = call.capture?.fields ?? [];
  const key = `${call.id} ${call.capture?.id} ${fields.map((field) => field.field).join(" ")}`;
  if (list.dataset.key !== key) {
    list.dataset.key = key;
    list.replaceChildren(...fields.map(() => make("li", "", make("capture-field", ""))));
  }
  const stands = standsOf(state, call);
  fields.forEach((field, place) => {
    const now = running(call) && call.capture.current === field.field && !isSending(call);
    // Not busy: nothing of a field is pressed from here.
    list.children[place].firstChild.show(field, { now, busy: false, stands, blocked: true, place: place + 1 });
  });
}

function outcomeLines(outcome) {
  const lines = [resultWords(outcome.result)[0]];
  if (outcome.gateway_code && outcome.result === "declined") lines.push(t("result.reason", { reason: codeWords(outcome.gateway_code) }));
  if (outcome.last4) lines.push(endingWords(outcome.brand, outcome.last4));
  return lines.map((words) => make("p", "", words));
}

function drawActions(state, call) {
  const busy = running(call) || speaking(call);
  const sending = isSending(call);
  const paused = running(call) && call.capture.state === "paused";
  const confirming = busy && !sending && state.confirming === call.capture.id;
  at("actions").hidden = !busy || confirming;
  at("confirm").hidden = !confirming;
  at("pause").hidden = !running(call);
  setWords(at("pause"), t(paused ? "action.resume" : "action.pause"));
  setWords(at("cancel"), t(speaking(call) ? "action.stop" : "action.cancel"));
  const pressed = { cancel: "cancel", pause: paused ? "resume" : "pause" };
  const waits = resumeWaits(state, call);
  for (const [id, what] of Object.entries(pressed)) {
    const blocked = sending || (what === "resume" && waits) || isPending(state, call, what);
    at(id).setAttribute("aria-disabled", String(blocked));
  }
  setWords(at("actions-note"), sending ? t("note.sending") : waits ? t("note.shield.resume") : "");
  setWords(at("told"), state.told);
  at("told").hidden = !state.told;
}

function drawFacts(state, call) {
  const heard = (mode) => audioOf(state, mode) && t(audioOf(state, mode));
  const facts = [
    ["supervisor.column.shield", t(`supervisor.shield.${shieldOf(state, call)}`)],
    ["supervisor.column.agent", call.agent || t("supervisor.agent.none")], ["fact.dialled", call.dialled], ["fact.line", call.trunk],
    ["fact.caller_audio", heard(call.shield?.caller)], ["supervisor.agent_audio", heard(call.shield?.agent)],
    ["supervisor.step", call.capture?.step ?? ""],
    ["supervisor.line.caller", legWords(call.line?.caller)], ["supervisor.line.agent", legWords(call.line?.agent)],
  ].filter(([, value]) => value).map(([key, value]) => [t(key), value]);
  redraw(at("facts"), JSON.stringify(facts), () => (
    facts.map(([name, value]) => make("div", "", make("dt", "", name), make("dd", "", value)))
  ));
}

// "Good · PCMU · tones; events agreed; 0.2 % lost lately, ...": all there is of one leg.
function legWords(leg) {
  if (!leg) return "";
  const events = t(leg.telephone_event ? "supervisor.line.events" : "supervisor.line.no_events");
  const quality = t(`line.quality.${leg.quality ?? "unknown"}`);
  return [`${quality} · ${pathWords(leg)}`, events, figureWords(leg)].filter(Boolean).join(" · ");
}

export function drawClock(state, nowMs) {
  const call = state.calls.get(state.chosen);
  const running_ = call?.started_at && call.state !== "ended";
  setWords(at("panel-clock"), running_ ? duration(Math.max(0, (nowMs - Date.parse(call.started_at)) / 1000)) : "");
}
