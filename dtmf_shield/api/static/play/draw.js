// Draws what the phones say: the call, the card in the caller's hand, what each side has heard, the choices.
import { make, redraw, setWords } from "../shared/elements.js";
import { named, t, tCount } from "../shared/i18n.js";
import { icon } from "../shared/icons.js";
import { brandName, fieldLabel } from "../agent/words.js";

const at = (id) => document.getElementById(id);
const PHASES = { idle: "plain", calling: "busy", talking: "good", ended: "plain", away: "bad" };
const GROUPS = { amex: [4, 6, 5] };
const FOURS = [4, 4, 4, 4, 4];
export const PARTS = { number: "card_number", expiry: "expiry", code: "security_code" };
export const CHOICES = {
  door: ["inband", "rfc4733", "info"],
  fingers: ["normal", "slow", "doubled"],
  line: ["clean", "noisy", "lossy", "weak"],
  gateway: ["up", "slow", "dead", "lost"],
};

export function endWords(told) {
  if (told.end === "refused") return t(told.status === 408 ? "play.end.nobody" : "play.end.refused");
  return t(`play.end.${told.end}`, { minutes: told.minutes_max });
}

export function phaseWords(told) {
  return told.phase === "ended" ? endWords(told) : t(`play.phase.${told.phase}`);
}

export function drawCall(told) {
  const up = told.phase === "talking" || told.phase === "calling";
  at("call").hidden = up;
  at("hangup").hidden = !up;
  const words = phaseWords(told);
  at("phase").className = `chip ${PHASES[told.phase]}`;
  redraw(at("phase"), `${told.phase} ${words}`, () => [icon("phone"), make("span", "", words)]);
  drawNumbers(told, up);
}

function drawNumbers(told, up) {
  at("number-ask").hidden = told.dialled.length < 2 || up;
  redraw(at("number"), `${document.documentElement.lang} ${JSON.stringify(told.dialled)}`, () => told.dialled.map((one) => {
    const who = one.flow ? t("play.number.flow", { flow: one.flow }) : t("play.number.agent");
    return new Option(`${one.number} – ${who}`, one.number);
  }));
}

// capture: what the caller's call is asked for, as events tell; null: nothing was started.
export function nextStep(told, capture) {
  if (told.phase === "away") return "away";
  if (told.phase === "calling") return "wait";
  if (told.phase !== "talking") return "call";
  if (!capture) return "start";
  if (capture.outcome) return "over";
  if (capture.state === "choosing") return "pay";  // the field before it is still named
  return askedField(capture) ? "key" : "look";
}

// Where the next step is: one of the ids of this page, or of those of the agent's page in the frame, the first that shows.
export const PLACES = {
  call: ["#call"], wait: ["#hangup"], away: ["#caller"], over: ["#hangup"], key: ["#keypad [tabindex='0']"],
  start: ["frame", "#inputs input", "#start-button", "#desk"], look: ["frame", "#desk"], pay: ["frame", "#pay", "#desk"],
};

export const askedField = (capture) => capture?.fields.find((field) => field.field === capture.current) ?? null;

export function drawNext(told, capture) {
  const step = nextStep(told, capture);
  const asked = step === "key" ? askedField(capture) : null;
  setWords(at("next"), t(`play.next.${step}`, { field: asked ? fieldLabel(asked) : "" }));
  at("next").classList.toggle("late", step === "away");
  for (const button of at("parts").children) {
    button.classList.toggle("primary", PARTS[button.dataset.part] === asked?.kind);
  }
}

export function drawParts(press) {
  redraw(at("parts"), document.documentElement.lang, () => Object.entries(PARTS).map(([part, kind]) => {
    const button = make("button", "", t(`kind.${kind}`));
    button.type = "button";
    button.dataset.part = part;
    button.addEventListener("click", () => press(part));
    return button;
  }));
}

export function drawCards(told) {
  redraw(at("card"), `${document.documentElement.lang} ${told.cards.map((card) => card.name)}`, () => {
    const chosen = at("card").value;
    return told.cards.map((card) => {
      const words = t(`play.card.${card.name}`, { brand: brandName(card.brand) });
      return new Option(words, card.name, false, card.name === chosen);
    });
  });
  const card = told.cards.find((one) => one.name === at("card").value) ?? told.cards[0];
  setWords(at("card-number"), grouped(card));
  setWords(at("card-expiry"), `${card.expiry.slice(0, 2)}/${card.expiry.slice(2)}`);
  setWords(at("card-code"), card.code);
}

function grouped(card) {
  let rest = card.number;
  const groups = [];
  for (const size of GROUPS[card.brand] ?? FOURS) {
    groups.push(rest.slice(0, size));
    rest = rest.slice(size);
  }
  return groups.filter(Boolean).join(" ");
}

export function drawHeard(told) {
  const { sent, caller_side: control, agent_side: leaked } = told.heard;
  const rows = [["caller", control, "busy"], ["agent", leaked, leaked ? "bad" : "good"]];
  redraw(at("heard"), `${document.documentElement.lang} ${JSON.stringify(told.heard)} ${told.has_agent}`, () => rows.map(([side, keys, look]) => {
    const meter = make("meter", look);
    Object.assign(meter, { min: 0, max: Math.max(sent, keys, 1), value: keys });
    const known = side === "caller" || told.has_agent;
    const words = known ? t("play.heard.of", { heard: keys, sent }) : t("play.heard.unknown");
    meter.setAttribute("aria-label", named(t(`play.heard.${side}`), words));
    const count = make("b", known ? look : "", words);
    return make("div", "", make("dt", "", t(`play.heard.${side}`)), make("dd", "", count, meter));
  }));
  const note = !told.has_agent ? t("play.heard.own") : leaked ? t("play.heard.leak") : sent ? t("play.heard.kept") : t("play.heard.none");
  setWords(at("heard-note"), told.waiting ? `${note} ${tCount("play.waiting", told.waiting)}` : note);
  at("heard-note").classList.toggle("bad", leaked > 0);
}

// The call that is over, for who is an engineer too.
export function drawEvidence(told, may) {
  at("evidence").hidden = !may || !told.test_call || told.phase !== "ended";
  if (!at("evidence").hidden) at("to-evidence").href = `/ui/engineer/#test-calls/${told.test_call}`;
}

export function drawChoices(told, choose) {
  redraw(at("choices"), document.documentElement.lang, () => Object.entries(CHOICES).map(([name, values]) => {
    const label = make("label", "", t(`play.${name}`));
    const select = make("select", "", ...values.map((value) => new Option(t(`play.${name}.${value}`), value)));
    label.htmlFor = select.id = `choice-${name}`;
    select.addEventListener("change", () => choose(name, select.value));
    return make("div", "ask", label, select);
  }));
  const now = { ...told.choices, gateway: told.gateway };
  for (const name of Object.keys(CHOICES)) {
    const select = at(`choice-${name}`);
    // Not under the reader's hand, but where it has become another.
    if (document.activeElement !== select || select.dataset.told !== now[name]) select.value = now[name];
    select.dataset.told = now[name];
  }
}

// A choice that was not taken is none.
export function undoChoice(name) {
  at(`choice-${name}`).value = at(`choice-${name}`).dataset.told;
}
