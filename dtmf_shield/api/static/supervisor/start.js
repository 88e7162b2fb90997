// What is typed into the form that starts a flow, checked before it leaves the page.
import { looksLikeCard } from "../agent/command.js";
import { choiceWords } from "../agent/form.js";
import { askedInputs, labelOf, needsReference, toldInputs } from "../agent/inputs.js";
import { t } from "../shared/i18n.js";

const at = (id) => document.getElementById(id);

// {path, body}, or {problem, field} where something is wrong.
export function typed(state, call) {
  const reference = at("reference").value.trim();
  const fields = [...at("inputs").querySelectorAll("[data-input]")];
  const flow = state.flows.find((one) => one.id === at("flow").value);
  if (!flow) return { problem: choiceWords(), field: at("flow") };
  const card = [at("reference"), ...fields].find((field) => looksLikeCard(field.value));
  if (card) {
    card.value = "";
    return { problem: t("problem.card-number"), field: card };
  }
  const values = Object.fromEntries(fields.map((field) => [field.dataset.input, field.value]));
  const [inputs, missing] = toldInputs(askedInputs(flow), values, reference);
  if (missing) {
    return { problem: t("start.needed", { input: labelOf(missing) }), field: fields.find((field) => field.dataset.input === missing) };
  }
  if (needsReference(flow) && !reference) return { problem: t("start.needed", { input: t("start.reference") }), field: at("reference") };
  if (!/^[A-Za-z0-9-]{0,32}$/.test(reference)) return { problem: t("problem.invalid-request"), field: at("reference") };
  return { path: `/v1/calls/${call.id}/captures`, body: { flow: flow.id, inputs } };
}

export function clearForm() {
  for (const field of at("start").querySelectorAll("input")) field.value = "";
}
