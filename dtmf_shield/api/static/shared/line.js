// What pages say of a call's line: how good it is, what it speaks, by which doors keys came. Words and looks, no DOM.
import { percent, t } from "./i18n.js";

export const QUALITIES = ["good", "fair", "poor"];  // each worse than the one before
export const DOORS = ["tones", "events", "info"];
export const LINE_LOOKS = { good: "good", fair: "warn", poor: "bad", unknown: "plain" };

const rank = (leg) => QUALITIES.indexOf(leg?.quality);

// Whose leg is the worse one: "caller" or "agent".
export const worseOf = (line) => (rank(line?.agent) > rank(line?.caller) ? "agent" : "caller");

// Of the worse leg; "unknown" where nothing was measured lately.
export const qualityOf = (line) => line?.[worseOf(line)]?.quality ?? "unknown";

// "PCMU · tones + events": of the caller's leg, where the keys come from; "" before its codec is agreed on.
export function pathWords(leg) {
  if (!leg) return "";
  const doors = leg.doors.map((door) => t(`line.door.${door}`)).join(" + ");
  return `${leg.codec} · ${doors || t("line.door.none")}`;
}

// The figures behind the word, in words; "" where there are none.
export function figureWords(leg) {
  if (!leg || leg.loss_permille === null) return "";
  const recent = leg.recent_loss_permille === null ? "" : t("line.recent", {
    recent: percent(leg.recent_loss_permille), jitter: leg.jitter_ms,
  });
  return [recent, t("line.whole", { whole: percent(leg.loss_permille), late: leg.late })].filter(Boolean).join(" · ");
}

// What the flow wants of the audio just now, as keys of words.
export function noticesOf(call) {
  const { caller_withheld: caller, agent_withheld: agent, unrecorded } = call?.shield ?? {};
  return [caller && "notice.caller", agent && "notice.agent", unrecorded && "notice.unrecorded"].filter(Boolean);
}
