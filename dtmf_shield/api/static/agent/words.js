// Words of fields, results and amounts, from the word list; nothing here knows a digit but the last four.
import { has, t, tCount } from "../shared/i18n.js";
import { labelOf } from "./inputs.js";

// Proper names, the same in every language.
const BRANDS = {
  visa: "Visa", mastercard: "Mastercard", amex: "American Express", maestro: "Maestro", discover: "Discover",
  diners: "Diners Club", jcb: "JCB", unionpay: "UnionPay", dankort: "Dankort", mir: "Mir", verve: "Verve",
  rupay: "RuPay", elo: "Elo", troy: "Troy", hiper: "Hiper", hipercard: "Hipercard", naranja: "Naranja",
};
const MARKS = { mastercard: "MC", amex: "AMEX", diners: "DINERS", hipercard: "HIPER" };
const MARK_CHARACTERS_MAX = 8;
const CARD_GROUPS = { amex: [4, 6, 5] };
const DEFAULT_GROUPS = [4, 4, 4, 4, 3];
const TO_COME = { expiry: "○○/○○", security_code: "○○○", card_number: "○○○○ ○○○○ ○○○○ ○○○○", iban: "○○○○ ○○○○ ○○○○ ○○○○" };

export const RESULT_LOOKS = {
  token: "good", approved: "good", completed: "good", cancelled: "plain", handed_over: "plain", unknown: "warn",
};
export const HINTS = ["duplicate_keys", "slow_keys", "short_tones", "weak_tones", "noisy_line"];

export const resultLook = (result) => RESULT_LOOKS[result] ?? "bad";
export const brandName = (brand) => BRANDS[brand] ?? brand;

// A few letters in a frame, drawn by style: no scheme's own logo.
export const brandMark = (brand) => (MARKS[brand] ?? brand.toUpperCase()).slice(0, MARK_CHARACTERS_MAX);

// The flow's own label, else the kind in the reader's language.
export const fieldLabel = (field) => (field.named || !has(`kind.${field.kind}`) ? field.label : t(`kind.${field.kind}`));

export const callerWords = (call) => (
  call.caller_masked === "anonymous" ? t("call.anonymous") : t("call.caller", { caller: call.caller_masked })
);

function lengthShown(field) {
  return field.of ?? (field.count <= field.of_usual ? field.of_usual : null);
}

// Nothing where the flow shows no count.
export function countWords(field) {
  if (field.count === null) return "";
  const of = lengthShown(field);
  return of ? t("field.count.of", { count: field.count, of }) : tCount("field.count", field.count);
}

function keyingWords(field) {
  if (field.count === null) return t("field.keying");
  const of = lengthShown(field);
  return of ? t("field.keying.of", { count: field.count, of }) : tCount("field.keying", field.count);
}

export const reasonWords = (reason) => (has(`reason.${reason}`) ? t(`reason.${reason}`) : t("field.invalid"));

// [look, words] of one field. stands: "fault" or "paused" where the capture stands still, so nothing is being keyed;
// "unsure" where what is known of it is old.
export function fieldWords(field, stands = "") {
  const open = ["keying", "waiting"].includes(field.state);
  if (stands === "fault" && open) return ["bad", t("field.stands.fault")];
  if (stands === "unsure" && open) return ["warn", t("field.stands.unsure")];
  if (stands === "paused" && open) {
    if (field.state === "waiting") return ["warn", t("field.stands.paused")];
    const [count, of] = [field.count, lengthShown(field)];
    if (count === null) return ["warn", t("call.capture.paused")];
    return ["warn", of ? t("field.paused.of", { count, of }) : t("field.paused", { count })];
  }
  switch (field.state) {
    case "waiting": return ["", t("field.waiting")];
    case "keying": return ["busy", keyingWords(field)];
    case "valid": return ["good", field.brand ? t("field.valid.brand", { brand: brandName(field.brand) }) : t("field.valid")];
    case "invalid": return ["bad", reasonWords(field.reason)];
    case "timeout": return ["bad", t("reason.timeout")];
    default: return ["", t("field.idle")];
  }
}

// What is drawn: bullets for keys that are there, rings for those to come; last4, where given, in place of the last keys.
export function shownMask(field) {
  if (field.value) return field.value;
  if (field.count === null) return field.last4 ? `•••• ${field.last4}` : "";
  if (field.last4) return field.masked.replace(/(?:• ?){4}$/, field.last4);
  if (!field.masked) return TO_COME[field.kind] ?? "○○○○";
  if (field.kind === "card_number" && !field.of && field.count < field.of_usual) return grouped(field);
  return field.masked;
}

// Several lengths are possible still: rings up to the length that most cards of the brand have.
function grouped({ count, of_usual: usual, brand }) {
  const drawn = "•".repeat(count) + "○".repeat(usual - count);
  let start = 0;
  const parts = (CARD_GROUPS[brand] ?? DEFAULT_GROUPS).map((size) => drawn.slice(start, start += size));
  return parts.filter(Boolean).join(" ");
}

// The same for who does not see the bullets.
export function heardMask(field) {
  if (field.last4) return endingWords(field.brand, [...field.last4].join(" "));
  return field.count === null ? t("field.hidden") : countWords(field);
}

export function endingWords(brand, last4) {
  return brand ? t("field.ending", { brand: brandName(brand), last4 }) : t("field.ending.card", { last4 });
}

export function codeWords(code) {
  if (code === "other") return t("result.unnamed");
  return has(`code.${code}`) ? t(`code.${code}`) : code.replaceAll("_", " ");
}

// [what, next]: what happened, and what the agent does now.
export const resultWords = (result) => [t(`result.${result}.note`), t(`result.${result}.next`)];

// inputs: names of those that were not taken, if any.
export function problemWords(slug, inputs = []) {
  if (inputs.length) return t("problem.inputs-refused", { inputs: inputs.map(labelOf).join(", ") });
  return t(has(`problem.${slug}`) ? `problem.${slug}` : "problem.refused");
}
