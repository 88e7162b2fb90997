// What is typed into the form that starts a capture, checked before it leaves the page.
import { t } from "../shared/i18n.js";
import { looksLikeCard } from "./command.js";
import { choiceWords } from "./form.js";
import { askedInputs, labelOf, needsReference, toldInputs, unfit, unfitWords } from "./inputs.js";

const REFERENCE = /^[A-Za-z0-9-]{0,32}$/;  // as the service has it
const at = (id) => document.getElementById(id);

// {path, body}, or {problem, field} where something is wrong.
export function typed(state, call) {
  const reference = at("reference").value.trim();
  const fields = [...at("inputs").querySelectorAll("[data-input]")];
  const flow = flowOf(state);
  if (!flow) return { problem: choiceWords(), field: at("flow") };
  const card = [at("reference"), ...fields].find((field) => looksLikeCard(field.value));
  if (card) {
    card.value = "";
    return { problem: t("problem.card-number"), field: card };
  }
  const values = Object.fromEntries(fields.map((field) => [field.dataset.input, field.value]));
  const asked = askedInputs(flow);
  const [inputs, missing] = toldInputs(asked, values, reference);
  if (missing) return { problem: t("start.needed", { input: labelOf(missing) }), field: fieldOf(missing) };
  const odd = asked.find((input) => unfit(input, inputs[input.name]));
  if (odd) return { problem: unfitWords(odd), field: fieldOf(odd.name) };
  if (needsReference(flow) && !reference) return { problem: t("start.needed", { input: t("start.reference") }), field: at("reference") };
  if (!REFERENCE.test(reference)) return { problem: t("problem.invalid-request"), field: at("reference") };
  return { path: `/v1/calls/${call.id}/captures`, body: { flow: flow.id, inputs } };
}

// Where the service did not take one of the form's own inputs: {problem, field} of that one, else of the whole.
export function refused(state, { words, inputs }) {
  const odd = askedInputs(flowOf(state)).find(({ name }) => inputs.includes(name));
  if (odd) return { problem: unfitWords(odd), field: fieldOf(odd.name) };
  if (inputs.includes("reference")) return { problem: words, field: at("reference") };
  return { problem: words };
}

const flowOf = (state) => state.flows.find((one) => one.id === at("flow").value);
const fieldOf = (name) => at(`input-${name}`);
