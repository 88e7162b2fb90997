// What a flow must be told before it starts: which fields the form shows, and what their values become.
import { decimal, has, t } from "../shared/i18n.js";

const OWN_FIELD = "reference";  // has its place in the form already
const EXAMPLE = 12.5;
const CARD_DIGITS_MIN = 12;  // so many, blanks and dashes between them not counted, are no text: as the service has it
const FORMS = { money: /^\d{1,8}(\.\d{1,3})?$/, currency: /^[A-Z]{3}$/, digits: /^\d*$/, text: /^/ };

export function askedInputs(flow) {
  return (flow?.inputs ?? []).filter((input) => input.required && input.name !== OWN_FIELD);
}

export const needsReference = (flow) => (flow?.inputs ?? []).some((input) => input.required && input.name === OWN_FIELD);

// A flow that needs an amount is started from here where it says how to ask for it.
export function mayBeStarted(flow) {
  return !flow.needs_amount || askedInputs(flow).some((input) => input.type === "money");
}

export function labelOf(name) {
  if (has(`input.${name}`)) return t(`input.${name}`);
  const words = name.replaceAll("_", " ");
  return words[0].toUpperCase() + words.slice(1);
}

// What the form says again after a capture by which no money can have moved; null after any other.
export function againInputs({ outcome, amount_minor: minor, currency, reference }) {
  if (["approved", "unknown", "token"].includes(outcome?.result)) return null;
  const digits = minor ? new Intl.NumberFormat("en", { style: "currency", currency }).resolvedOptions().maximumFractionDigits : 0;
  const amount = minor ? (minor / 10 ** digits).toFixed(digits) : "";
  return { money: amount, currency: currency ?? "", reference: reference ?? "" };
}

// Words of a rule, for the note below a field.
export function ruleOf(input) {
  if (input.type === "money") {
    const shown = (text) => decimal(Number(text));
    const range = [
      input.min && t("rule.min", { amount: shown(input.min) }), input.max && t("rule.max", { amount: shown(input.max) }),
    ];
    return [t("rule.money", { example: decimal(EXAMPLE) }), ...range.filter(Boolean)].join(", ");
  }
  return t({ currency: "rule.currency", digits: "rule.digits" }[input.type] ?? "rule.text");
}

// The service reads 12.50; a comma before one or two last digits is the same point, as many write it.
const moneyText = (text) => text.replace(/^(\d+),(\d{1,2})$/, "$1.$2");

// Whether a value breaks a rule that the page knows; a pattern is left to the service, whose expressions are not ours.
export function unfit({ type, min, max, length, allowed }, value) {
  const runs = value.match(/[\d .-]{12,}/g) ?? [];
  if (runs.some((run) => run.replace(/[ .-]/g, "").length >= CARD_DIGITS_MIN)) return true;
  if (!(FORMS[type] ?? FORMS.text).test(value) || value.length > length) return true;
  if (allowed.length > 0 && !allowed.includes(value)) return true;
  return type === "money" && ((min && Number(value) < Number(min)) || (max && Number(value) > Number(max)) || false);
}

// What is said of a value that the page or the service did not take: its rule, in the reader's language.
export function unfitWords(input) {
  const pattern = input.pattern ? [t("rule.pattern", { pattern: input.pattern })] : [];
  return t("start.unfit", { input: labelOf(input.name), rule: [ruleOf(input), ...pattern].join(", ") });
}

// [inputs, name of the first that is missing or empty].
export function toldInputs(asked, values, reference) {
  const told = reference ? { [OWN_FIELD]: reference } : {};
  let missing = "";
  for (const { name, type } of asked) {
    const value = (values[name] ?? "").trim();
    if (value) told[name] = type === "money" ? moneyText(value) : value;
    else missing ||= name;
  }
  return [told, missing];
}
