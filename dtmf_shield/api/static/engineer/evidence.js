// Test calls of the play phones: which there were, and what one proves. Never a live caller's: it is the card number.
import { make, redraw, setWords } from "../shared/elements.js";
import { clockTime, duration, has, t, tCount } from "../shared/i18n.js";
import { icon } from "../shared/icons.js";
import { get } from "./ask.js";
import { scope } from "./scope.js";

const LOOK_MS = 2_500;
const LOOKS = { clean: "good", leaked: "bad" };
const STATES = { running: "busy", judging: "busy", failed: "warn" };
const at = (id) => document.getElementById(id);

// failed(error), say(words), well(): told what comes of asking.
export function testCalls({ failed, say, well }) {
  const state = { calls: null, absent: false, wanted: "", shown: null, seen: false, plays: false };
  let drawn = null;
  let asked = 0;
  let told = 0;

  async function ask() {
    if (!state.seen || document.hidden || state.absent) return;
    const mine = asked += 1;
    try {
      const { calls } = await get("/v1/test-calls");
      if (mine < told) return;  // a later one was quicker
      told = mine;
      state.calls = calls;
      well();
    } catch (error) {
      state.absent = error.slug === "no-test-calls";
      if (!state.absent) failed(error);
    }
    drawList();
    await open(chosen());
  }

  // The one that is asked for; else the newest.
  const chosen = () => state.calls?.find((one) => one.id === state.wanted) ?? state.calls?.[0] ?? null;

  async function open(call) {
    if (!call) { at("evidence").hidden = true; return; }
    if (call.state !== "ready") { show(call, null); return; }
    if (state.shown?.call.id === call.id) { show(call, state.shown); return; }
    try {
      const evidence = await get(`/v1/test-calls/${call.id}/evidence`);
      if (call.id !== chosen()?.id) return;  // another was chosen meanwhile
      state.shown = evidence;
      show(call, state.shown);
      say(verdictWords(call, state.shown));
    } catch (error) { failed(error); }
  }

  function drawList() {
    at("place-call").hidden = !state.plays || state.absent || !state.calls;
    const none = at("tests-none");
    none.hidden = Boolean(state.calls?.length) || (!state.absent && !state.calls);
    if (!none.hidden) setWords(none, t(state.absent ? "engineer.tests.absent" : "engineer.tests.none"));
    const calls = state.calls ?? [];
    redraw(at("test-list"), `${document.documentElement.lang} ${chosen()?.id} ${calls.map((one) => [one.id, one.state, one.verdict, wayWords(one)])}`, () => calls.map((call) => {
      const link = make("a", "call", make("b", "", startedAt(call)), make("small", "", wayWords(call)), chip(...brief(call)));
      link.href = `#test-calls/${call.id}`;
      if (call.id === chosen()?.id) link.setAttribute("aria-current", "true");
      return make("li", "", link);
    }));
  }

  function show(call, evidence) {
    const root = at("evidence");
    root.hidden = false;
    const key = `${document.documentElement.lang} ${call.id} ${call.state}`;
    if (key === drawn && evidence) return;
    drawn = key;
    root.replaceChildren(...(evidence ? whole(call, evidence) : [...head(call), make("p", "verdict", chip(STATES[call.state], t(`engineer.tests.state.${call.state}`)))]));
  }

  setInterval(ask, LOOK_MS);
  return {
    // plays: whether this person has the play page too.
    plays(may) { state.plays = may; },
    look(seen, wanted) {
      Object.assign(state, { seen, wanted });
      drawList();
      ask();
    },
  };
}

const startedAt = (call) => clockTime(Date.parse(call.started_at));

function wayWords(call) {
  const harder = [["fingers", "normal"], ["line", "clean"]].filter(([name, plain]) => call[name] !== plain);
  const long = call.state === "running" ? [] : [duration(call.duration_ms / 1000)];
  return [word("door", call.door), ...harder.map(([name]) => word(name, call[name])), ...long].join(" · ");
}

const word = (name, value) => (value === "mixed" ? t(`engineer.tests.mixed.${name}`) : t(`play.${name}.${value}`));

function brief(call) {
  if (call.state !== "ready") return [STATES[call.state], t(`engineer.tests.state.${call.state}`)];
  return [LOOKS[call.verdict] ?? "warn", t(`engineer.verdict.short.${call.verdict}`)];
}

function chip(look, words) {
  return make("span", `chip ${look}`, icon(look), make("span", "", words));
}

function verdictWords(call, evidence) {
  const guessed = call.verdict === "leaked" && !call.keys_agent;
  const numbers = { sent: call.keys_sent, caller: call.keys_caller ?? 0, agent: call.keys_agent ?? 0 };
  const words = t(guessed ? "engineer.verdict.guessed" : `engineer.verdict.${call.verdict}`, numbers);
  return evidence.cut ? `${words} ${t("engineer.evidence.cut")}` : words;
}

function head(call) {
  const title = make("h2", "name", t("engineer.evidence", { time: startedAt(call) }));
  title.id = "evidence-title";
  return [make("div", "head", title, make("p", "test", "TEST")), make("p", "quiet", wayWords(call))];
}

function whole(call, evidence) {
  const look = LOOKS[call.verdict] ?? "warn";
  const verdict = make("p", `verdict large ${look}`, icon(look === "good" ? "on" : look === "bad" ? "fault" : "unknown"), make("span", "", verdictWords(call, evidence)));
  return [
    ...head(call), verdict, scope(call, evidence),
    make("p", "quiet", t("engineer.evidence.how", { ms: evidence.lag_ms })),
    make("div", "proofs", counts(evidence), presses(evidence)),
  ];
}

function heading(words) {
  return make("h3", "", words);
}

function table(columns, rows, label) {
  const cell = (tag, scope, inside) => {
    const made = make(tag, "", ...(Array.isArray(inside) ? inside : [inside]));
    if (scope) made.scope = scope;
    return made;
  };
  const top = make("tr", "", ...columns.map((words) => cell("th", "col", words)));
  const body = rows.map((cells) => make("tr", "", ...cells.map((inside, place) => {
    const made = place ? cell("td", "", inside) : cell("th", "row", inside);
    made.dataset.label = columns[place];
    return made;
  })));
  return make("table", "stack", make("caption", "unseen", label), make("thead", "", top), make("tbody", "", ...body));
}

// What each detector makes of either side; the caller's is the control.
function counts(evidence) {
  const names = evidence.sides.map(({ side }) => side);
  const of = (side, detector) => side.keys.find((one) => one.detector === detector)?.keys;
  const number = (side, keys) => (side.side === "agent" ? chip(keys ? "bad" : "good", String(keys)) : make("b", "", String(keys)));
  const rows = evidence.sides[0].keys.map(({ detector }) => [
    has(`engineer.detector.${detector}`) ? t(`engineer.detector.${detector}`) : detector,
    ...evidence.sides.map((side) => number(side, of(side, detector) ?? 0)),
  ]);
  rows.push([t("engineer.detector.events"), ...evidence.sides.map((side) => number(side, side.events))]);
  if (evidence.sides.some((side) => side.attack)) {
    rows.push([t("engineer.detector.attack"), ...evidence.sides.map(attackCell)]);
  }
  const columns = [t("engineer.column.detector"), ...names.map((name) => t(`engineer.side.${name}`))];
  return make("div", "", heading(t("engineer.counts")), table(columns, rows, t("engineer.counts")), make("p", "quiet", t("engineer.counts.note")));
}

function attackCell({ side, attack }) {
  if (!attack) return "–";
  const words = t("engineer.attack", { guessed: attack.guessed, of: attack.of });
  const luck = t(attack.beats_luck ? "engineer.attack.beats" : "engineer.attack.luck");
  const first = side === "agent" ? chip(attack.beats_luck ? "bad" : "good", words) : make("b", "", words);
  return [first, make("small", "", luck)];
}

function presses(evidence) {
  const opener = make("summary", "", tCount("engineer.presses", evidence.presses.length));
  const agent = evidence.sides.length > 1;
  const columns = ["press", "field", "second", "length", "way", "at_caller", ...(agent ? ["at_agent"] : [])];
  const rows = evidence.presses.map((one, place) => [
    String(place + 1),
    one.field ? t(`kind.${one.field}`) : "–",
    (one.start_ms / 1000).toFixed(2),
    `${one.end_ms - one.start_ms} ms`,
    t(`play.door.${one.door}`),
    answer(one.heard_at_caller, one.heard_at_caller),
    ...(agent ? [answer(one.heard_at_agent, !one.heard_at_agent)] : []),
  ]);
  const words = columns.map((name) => t(`engineer.column.${name}`));
  return make("details", "", opener, table(words, rows, t("engineer.presses.label")));
}

const answer = (yes, good) => chip(good ? "good" : "bad", t(yes ? "engineer.yes" : "engineer.no"));
