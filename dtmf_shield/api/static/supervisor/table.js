// Draws the live table, its filters and the sums above it; keeps nodes, and with them the focus, where only words change.
import { AT_GATEWAY, stageShown } from "../agent/state_words.js";
import { running } from "../agent/store.js";
import { HINTS, callerWords, fieldLabel, resultLook } from "../agent/words.js";
import { make, redraw, setWords } from "../shared/elements.js";
import { duration, named, t, tCount } from "../shared/i18n.js";
import { icon } from "../shared/icons.js";
import { LINE_LOOKS, figureWords, pathWords, qualityOf } from "../shared/line.js";
import { ALONE, CALLER_DOORS, COLUMNS, LINES, STATES, choicesOf, engaged, fieldPlace, inTrouble, rowsOf, shieldOf } from "./live.js";

const at = (id) => document.getElementById(id);
const SHIELD_LOOKS = { on: "good", off: "plain", unknown: "warn", fault: "bad" };
const STATE_LOOKS = { talking: "good", held: "warn", ended: "plain" };

// sums: sumsOf(state).
export function drawTable(state, sums, act) {
  drawSums(state, sums);
  drawFilters(state);
  drawHeads(state, act);
  const calls = rowsOf(state, state.filter, state.order);
  const kept = new Map([...at("rows").children].map((row) => [row.dataset.call, row]));
  const rows = calls.map((call) => drawRow(kept.get(call.id) ?? newRow(call.id, act), state, call));
  const same = rows.length === at("rows").children.length && rows.every((row, place) => at("rows").children[place] === row);
  if (!same) keepingFocus(() => at("rows").replaceChildren(...rows));
  setWords(at("shown"), t("supervisor.shown", { count: calls.length, of: sums.all }));
  at("calls").hidden = calls.length === 0;
  at("calls-none").hidden = calls.length > 0;
  setWords(at("none-title"), t(sums.open ? "supervisor.none.filtered" : "supervisor.none"));
  setWords(at("none-note"), t(sums.open ? "supervisor.none.filtered.note" : "supervisor.none.note"));
}

// A node that is moved loses the focus; where the row is gone that had it, the one at its place takes it.
function keepingFocus(change) {
  const focused = document.activeElement;
  const place = [...at("rows").children].findIndex((row) => row.contains(focused));
  change();
  if (focused === document.activeElement) return;
  if (focused?.isConnected) focused.focus({ preventScroll: true });
  else if (place >= 0) (at("rows").children[place] ?? at("rows").lastChild)?.querySelector(".row-opener").focus({ preventScroll: true });
}

function drawSums(state, sums) {
  const sure = state.connection === "live" && state.service.shield === "on";
  const shield = sums.trouble || !sure ? (state.service.shield === "fault" || sums.trouble ? "bad" : "warn") : "good";
  const gateway = { up: "good", partly: "warn", down: "bad" }[state.service.gateway] ?? "warn";
  const tiles = [
    ["calls", String(sums.open), t("supervisor.sum.talking", { count: sums.talking }), ""],
    ["captures", String(sums.captures), t("supervisor.sum.sending", { count: sums.sending }), ""],
    ["shield", t("supervisor.sum.of", { count: sums.open - sums.trouble, of: sums.open }),
      sums.trouble ? tCount("supervisor.sum.trouble", sums.trouble) : t(sure ? "supervisor.sum.fine" : "supervisor.sum.unsure"), shield],
    ["line", String(sums.hinted), t("supervisor.sum.hinted"), sums.hinted ? "warn" : ""],
    ["gateway", t(`supervisor.gateway.${state.service.gateway}`), t("supervisor.sum.gateway.note"), gateway],
  ];
  const language = t("supervisor.sum.calls");
  for (const [name] of tiles) if (!at(`sum-${name}`)) at("summary").append(newTile(name));
  for (const [name, figure, note, look] of tiles) {
    const tile = at(`sum-${name}`);
    tile.className = `tile ${look}`.trim();
    redraw(tile, `${language} ${figure} ${note} ${look}`, () => [
      make("span", "tile-name", t(`supervisor.sum.${name}`)),
      make("b", "tile-figure", ...(look ? [icon({ good: "good", bad: "bad", warn: "warn" }[look])] : []), figure),
      make("span", "tile-note", note),
    ]);
  }
}

function newTile(name) {
  const tile = make("li", "tile");
  tile.id = `sum-${name}`;
  return tile;
}

function drawFilters(state) {
  const { agents, flows, codecs } = choicesOf(state, state.filter);
  const language = t("supervisor.filter.any");
  options(at("by-state"), STATES.map((name) => [name, t(`supervisor.state.${name}`)]), state.filter.state);
  options(at("by-agent"), [["", language], ...agents.map((name) => [name, name === ALONE ? t("supervisor.agent.none") : name])], state.filter.agent);
  options(at("by-flow"), [["", language], ...flows], state.filter.flow);
  options(at("by-quality"), [["", language], ...LINES.map((name) => [name, t(`line.quality.${name}`)])], state.filter.quality);
  options(at("by-codec"), [["", language], ...codecs.map((name) => [name, name])], state.filter.codec);
  options(at("by-door"), [["", language], ...CALLER_DOORS.map((name) => [name, t(`line.door.${name}`)])], state.filter.door);
  options(at("by-order"), COLUMNS.map((name) => [name, t(`supervisor.column.${name}`)]), state.order.by);
  at("by-trouble").checked = state.filter.trouble;
}

export function options(select, pairs, chosen) {
  redraw(select, JSON.stringify(pairs), () => pairs.map(([value, words]) => new Option(words, value)));
  if (select.value !== chosen) select.value = chosen;
}

function drawHeads(state, act) {
  for (const name of COLUMNS) if (!at(`head-${name}`)) at("heads").append(newHead(name, act));
  for (const name of COLUMNS) {
    const head = at(`head-${name}`);
    const sorted = state.order.by === name;
    if (sorted) head.setAttribute("aria-sort", state.order.down ? "descending" : "ascending");
    else head.removeAttribute("aria-sort");
    head.classList.toggle("down", sorted && state.order.down);
    setWords(head.firstChild.firstChild, t(`supervisor.column.${name}`));
  }
}

function newHead(name, act) {
  const button = make("button", "sorter", make("span", ""), icon("down"));
  button.type = "button";
  button.addEventListener("click", () => act.sort(name));
  const head = make("th", "", button);
  head.id = `head-${name}`;
  head.scope = "col";
  head.setAttribute("role", "columnheader");
  return head;
}

function newRow(id, act) {
  const row = make("tr", "");
  row.dataset.call = id;
  row.setAttribute("role", "row");
  const button = make("button", "row-opener", "");
  button.type = "button";
  button.addEventListener("click", (event) => { event.stopPropagation(); act.open(id); });
  row.addEventListener("click", () => act.open(id));
  for (const name of COLUMNS) {
    const cell = make(name === "caller" ? "th" : "td", `cell-${name}`);
    if (name === "caller") cell.scope = "row";
    cell.setAttribute("role", name === "caller" ? "rowheader" : "cell");
    row.append(cell);
  }
  row.firstChild.append(button);
  return row;
}

function drawRow(row, state, call) {
  const cells = Object.fromEntries(COLUMNS.map((name, place) => [name, row.children[place]]));
  const shield = shieldOf(state, call);
  const chosen = call.id === state.chosen;
  row.dataset.state = call.state;
  row.dataset.shield = shield;
  row.classList.toggle("trouble", inTrouble(state, call));
  row.classList.toggle("chosen", chosen);
  for (const name of COLUMNS) cells[name].dataset.label = t(`supervisor.column.${name}`);
  const button = cells.caller.firstChild;
  button.setAttribute("aria-expanded", String(chosen));
  const caller = call.caller_masked === "anonymous" ? t("fact.unnumbered") : call.caller_masked;
  redraw(button, `${caller} ${callerWords(call)}`, () => [shownAs(caller), make("span", "unseen", callerWords(call))]);
  chip(cells.state, STATE_LOOKS[call.state] ?? "busy", t(`call.${call.state}`), false);
  setWords(cells.agent, call.agent || t("supervisor.agent.none"));
  cells.agent.classList.toggle("none", !call.agent);
  redraw(cells.dialled, `${call.dialled} ${call.trunk}`, () => [
    make("span", "strong", call.dialled), make("span", "under", call.trunk),
  ]);
  drawFlow(cells.flow, state, call);
  drawFields(cells.fields, call);
  chip(cells.shield, SHIELD_LOOKS[shield], t(`supervisor.shield.${shield}`), true);
  const hint = running(call) && HINTS.includes(call.capture.hint) ? call.capture.hint : null;
  if (hint) chip(cells.line, "warn", t(`supervisor.hint.${hint}`), true);
  else redraw(cells.line, t("supervisor.hint.none"), () => [dash(t("supervisor.hint.none"))]);
  drawPath(cells.path, call);
  return row;
}

function drawPath(cell, call) {
  const quality = qualityOf(call.line);
  const words = t(`line.quality.${quality}`);
  redraw(cell, `${words} ${JSON.stringify(call.line)}`, () => {
    const figures = ["caller", "agent"].map((side) => [t(`supervisor.column.${side}`), figureWords(call.line?.[side])])
      .filter(([, told]) => told).map(([side, told]) => named(side, told)).join(". ");
    if (figures) cell.title = figures;
    else cell.removeAttribute("title");
    if (!call.line) return [dash(t("supervisor.line.none"))];
    const chip_ = make("span", `chip ${LINE_LOOKS[quality]}`, icon(LINE_LOOKS[quality]), words);
    const told = figures ? [make("span", "unseen", figures)] : [];
    return [chip_, make("span", "under", pathWords(call.line.caller)), ...told];
  });
}

function chip(cell, look, words, pictured) {
  redraw(cell, `${look} ${words}`, () => [make("span", `chip ${look}`, ...(pictured ? [icon(look)] : []), words)]);
}

// For eyes alone: ears are told in words beside it.
function shownAs(text, className = "") {
  const mark = make("span", className, text);
  mark.setAttribute("aria-hidden", "true");
  return mark;
}

const dash = (words) => make("span", "", shownAs("–", "none"), make("span", "unseen", words));

// [look, words] of what happens in a call's capture, null where there was none.
export function stepWords(state, call) {
  if (engaged(call)) {
    const [look, key, field] = stageShown({ ...state, selected: call.id }, call);
    return [look, t(key, { field: field ? fieldLabel(field) : "" })];
  }
  return call.capture?.outcome ? [resultLook(call.capture.outcome.result), t(`result.${call.capture.outcome.result}`)] : null;
}

function drawFlow(cell, state, call) {
  const step = stepWords(state, call);
  const title = call.capture ? call.capture.title || call.capture.flow : "";
  redraw(cell, `${t("supervisor.flow.none")} ${title} ${step}`, () => (step === null
    ? [dash(t("supervisor.flow.none"))]
    : [make("span", "strong", title), make("span", `under step ${step[0]}`, step[1])]));
}

function drawFields(cell, call) {
  const place = engaged(call) ? fieldPlace(call) : null;
  const states = place ? call.capture.fields.map((field) => `${field.state}${field.field === call.capture.current ? "!" : ""}`) : [];
  redraw(cell, `${t("supervisor.flow.none")} ${JSON.stringify(place)} ${states}`, () => {
    if (!place) return [dash(t("supervisor.flow.none"))];
    const pips = make("span", "pips", ...states.map((state) => make("i", `pip ${state.replace("!", " now")}`)));
    pips.setAttribute("aria-hidden", "true");
    return [make("span", "strong", t("supervisor.field.of", place)), pips];
  });
}

export function drawAges(state, nowMs) {
  for (const row of at("rows").children) {
    const call = state.calls.get(row.dataset.call);
    if (!call?.started_at) continue;
    const since = duration(Math.max(0, (nowMs - Date.parse(call.started_at)) / 1000));
    setWords(row.lastChild, call.state === "ended" ? "–" : since);
  }
}

export const isSending = (call) => running(call) && AT_GATEWAY.includes(call.capture.state);
