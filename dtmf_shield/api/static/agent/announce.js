// What is read aloud: states that matter, never each key; held back 400 ms so that only the last of a burst is read.
import { ALERT_RESULTS, AT_GATEWAY, GATEWAY_DOWN, LOST, RESULTS, SHIELD, SIGNED_OUT, countWords, fieldWords } from "./words.js";
import { badgeState } from "./state_words.js";

const HOLD_MS = 400;
const KEYS_PER_READING = 4;

export function announcer(status, alert) {
  let timer = 0;
  let said = "";
  const say = (words) => {
    clearTimeout(timer);
    timer = setTimeout(() => { status.textContent = words; }, HOLD_MS);
  };
  return (before, after) => {
    const warning = alertWords(after);
    if (warning !== said) {
      said = warning;
      alert.textContent = warning;
    }
    const words = statusWords(before, after);
    if (words) say(words);
  };
}

export function alertWords(state) {
  const call = state.calls.get(state.selected);
  const outcome = call?.capture?.outcome;
  const refused = call?.capture?.fields.find((field) => ["invalid", "timeout"].includes(field.state));
  if (state.connection === "signed-out") return SIGNED_OUT;
  if (badgeState(state) === "fault") {
    return state.connection === "lost" ? `${LOST}. ${SHIELD.fault}` : SHIELD.fault;
  }
  if (state.connection === "lost") return LOST;
  if (outcome && ALERT_RESULTS.has(outcome.result)) return RESULTS[outcome.result].slice(1).join(". ");
  if (refused && !outcome) return `${refused.label}: ${fieldWords(refused)[1]}`;
  if (state.service.gateway === "down") return GATEWAY_DOWN;
  return "";
}

function statusWords(before, after) {
  const was = before.calls.get(before.selected)?.capture;
  const is = after.calls.get(after.selected)?.capture;
  if (!is || was === is) return "";
  if (is.outcome && !(was?.id === is.id && was.outcome)) return RESULTS[is.outcome.result][1];
  if (is.state in AT_GATEWAY && was?.state !== is.state) return AT_GATEWAY[is.state];
  if (is.state === "paused" && was?.state !== "paused") return "Capture paused";
  for (const field of is.fields) {
    const old = was?.id === is.id ? was.fields.find((one) => one.field === field.field) : undefined;
    if (field.state === "valid" && old?.state !== "valid") return `${field.label}: ${fieldWords(field)[1]}`;
    const more = field.count !== old?.count && field.count > 0 && field.count % KEYS_PER_READING === 0;
    if (field.state === "keying" && more) return `${field.label}: ${countWords(field)}`;
  }
  return "";
}
