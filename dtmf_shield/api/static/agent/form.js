// Draws the form that starts a capture: which flow, what the flow wants to be told, the agent's reference.
import { make, redraw, setWords } from "../shared/elements.js";
import { t } from "../shared/i18n.js";
import { askedInputs, againInputs, labelOf, mayBeStarted, needsReference, ruleOf } from "./inputs.js";
import { isPending } from "./pending.js";
import { hadLast, mayStart } from "./state_words.js";
import { running, speaking } from "./store.js";

const at = (id) => document.getElementById(id);
let askedFlow = new URLSearchParams(location.search).get("flow");  // chosen once; the agent may choose another
let formOf = null;  // the call that what is typed belongs to

export function drawForm(state, call) {
  if (formOf !== call.id) clearForm();
  formOf = call.id;
  const flows = state.flows.filter(mayBeStarted);
  const open = !running(call) && !speaking(call) && !hadLast(call) && call.state !== "ended";
  const folded = Boolean(call.capture?.outcome) && state.again !== call.capture.id;
  at("again").hidden = !open || flows.length === 0 || !folded;
  at("start").hidden = !open || flows.length === 0 || folded;
  at("no-flows").hidden = !open || flows.length > 0;
  drawFlows(flows);
  const flow = flows.find((one) => one.id === at("flow").value);
  if (flow) drawInputs(askedInputs(flow));  // what was typed for one that is gone stays for the next
  drawNotes(flow, state.problem);
  setWords(at("start-button"), t("start.go"));
  at("start-button").setAttribute("aria-disabled", String(!mayStart(state, call) || Boolean(choiceWords())));
  const wait = waitWords(state, call);
  const problem = (state.problem.field ? "" : state.problem.words) || choiceWords();
  setWords(at("start-note"), problem || wait);
  at("start-note").classList.toggle("bad", Boolean(problem));
}

// The flow that was chosen is offered no more; "" where one is chosen.
export function choiceWords() {
  return at("flow").options.length > 0 && !at("flow").value ? t("start.flow.gone") : "";
}

// What to read aloud after an event, where it has taken the choice away.
export function choiceNews(type) {
  return ["flows", "resync"].includes(type) && at("start").checkVisibility() ? choiceWords() : "";
}

function waitWords(state, call) {
  if (call.state !== "talking") return t("start.wait.call");
  if (isPending(state, call, "start")) return t("start.wait.asked");
  return mayStart(state, call) ? "" : t("start.wait.shield");
}

// What was typed for one caller never stands in another's form. The flow stays chosen.
export function clearForm() {
  for (const field of at("start").querySelectorAll("input")) field.value = "";
  for (const field of at("inputs").querySelectorAll("select")) field.selectedIndex = 0;
}

// Opens the form after an end, with what the last capture was told where nothing was taken by it.
export function fillAgain(capture) {
  clearForm();
  const told = againInputs(capture);
  if (!told) return;
  if (at("flow").querySelector(`option[value="${CSS.escape(capture.flow)}"]`)) at("flow").value = capture.flow;
  at("flow").dispatchEvent(new Event("change"));
  at("reference").value = told.reference;
  for (const field of at("inputs").querySelectorAll("[data-input]")) {
    const value = told[field.dataset.type];
    if (value) field.value = value;
  }
}

// The choice stays where the list is drawn anew. Where it is offered no more nothing is chosen: no other flow starts in
// its place unless the agent says so.
function drawFlows(flows) {
  const chosen = at("flow").value;
  const before = at("flow").options.length > 0;
  redraw(at("flow"), JSON.stringify(flows.map(({ id, title }) => [id, title])), () => flows.map(({ id, title }) => new Option(title, id)));
  if (before) at("flow").value = chosen;
  if (flows.some(({ id }) => id === askedFlow)) {
    at("flow").value = askedFlow;
    askedFlow = null;
  }
  const choosing = choiceWords() || document.activeElement === at("flow");
  at("flow-ask").hidden = flows.length < 2 && !choosing;
}

// Below each field its rule, or what is wrong with it.
function drawNotes(flow, { field: wrong, words }) {
  at("reference").setAttribute("aria-required", String(needsReference(flow)));
  const rules = new Map(askedInputs(flow).map((input) => [`input-${input.name}`, ruleOf(input)]));
  rules.set("reference", t(needsReference(flow) ? "start.reference.needed" : "start.reference.note"));
  for (const [id, rule] of rules) {
    if (!at(`${id}-note`)) continue;
    at(id).setAttribute("aria-invalid", String(id === wrong));
    setWords(at(`${id}-note`), id === wrong ? words : rule);
  }
}

// What was typed stays, and so does the place in it, where only the language or a rule has changed.
function drawInputs(asked) {
  const { activeElement: place } = document;
  const typed = new Map([...at("inputs").querySelectorAll("[data-input]")].map((field) => [field.dataset.input, field.value]));
  redraw(at("inputs"), JSON.stringify([t("rule.text"), asked]), () => asked.map((input) => newInput(input, typed.get(input.name))));
  if (!place?.dataset.input || place.isConnected) return;
  const same = at(place.id);
  same?.focus({ preventScroll: true });
  if (same?.type === "text" && place.type === "text") same.setSelectionRange(place.selectionStart, place.selectionEnd);
}

function newInput(input, typed) {
  const id = `input-${input.name}`;
  const label = make("label", "", labelOf(input.name));
  const choice = input.allowed.length > 0;
  const field = choice ? make("select", "", ...input.allowed.map((word) => new Option(word, word))) : document.createElement("input");
  label.htmlFor = field.id = id;
  Object.assign(field.dataset, { input: input.name, type: input.type });
  field.setAttribute("aria-required", "true");
  if (!choice) {
    field.setAttribute("aria-describedby", `${id}-note`);
    const mode = { money: "decimal", digits: "numeric" }[input.type] ?? "text";
    Object.assign(field, { type: "text", maxLength: input.length, autocomplete: "off", spellcheck: false, inputMode: mode });
  }
  if (typed) field.value = typed;
  if (choice) return make("div", "ask", label, field);
  const note = make("p", "quiet");
  note.id = `${id}-note`;
  return make("div", "ask", label, field, note);
}
