// What is read aloud: states that matter, never each key; held back 400 ms so that only the last of a burst is read.
import { named, t } from "../shared/i18n.js";
import { noticesOf } from "../shared/line.js";
import { ALERT_RESULTS, AT_GATEWAY, alertOf, badgeState } from "./state_words.js";
import { callerWords, countWords, fieldLabel, fieldWords, reasonWords } from "./words.js";

const HOLD_MS = 400;
const KEYS_PER_READING = 4;

export function announcer(status, alert) {
  let timer = 0;
  let warned = "";
  const say = (words) => {
    clearTimeout(timer);
    timer = setTimeout(() => { status.textContent = words; }, HOLD_MS);
  };
  const tell = (before, after) => {
    const warning = alertWords(after);
    if (warning !== warned) {
      warned = warning;
      alert.textContent = warning;
      alert.className = shownElsewhere(after) ? "unseen" : "banner";
    }
    const words = statusWords(before, after);
    if (words) say(words);
  };
  return { tell, say };
}

// A field's row and the result say it where it happened: a banner as well would push the page down at every slip.
function shownElsewhere(state) {
  const key = alertOf(state)?.[0] ?? "";
  return key === "alert.field" || key.startsWith("result.");
}

export function alertWords(state) {
  const [key, field] = alertOf(state) ?? [];
  if (!key) return "";
  if (key === "alert.field") return named(fieldLabel(field), reasonWords(field.reason ?? "timeout"));
  if (key === "shield.fault.stop") {
    const fault = `${t("shield.fault")}. ${t(key)}`;
    return state.connection === "lost" ? `${t("alert.lost")}. ${fault}` : fault;
  }
  return key.startsWith("result.") ? [t(key), t(`${key}.note`), t(`${key}.next`)].join(". ").replaceAll("..", ".") : t(key);
}

// "" where nothing is worth a word.
export function statusWords(before, after) {
  const shield = badgeState(after);
  const entered = before.connection === "connecting";  // what is there already is read as the page is
  const opened = entered ? "" : openedWords(before, after);
  const on = shield !== badgeState(before) && shield === "on" && !entered ? t("shield.on") : "";
  if (opened || on) return [opened, on].filter(Boolean).join(". ");
  const notices = newNotices(before.calls.get(before.selected), after.calls.get(after.selected));
  if (notices) return notices;
  const was = before.calls.get(before.selected)?.capture;
  const is = after.calls.get(after.selected)?.capture;
  if (!is || was === is) return "";
  const same = was?.id === is.id;
  const ended = is.outcome && !(same && was.outcome?.result === is.outcome.result);
  if (ended && !ALERT_RESULTS.includes(is.outcome.result)) return t(`result.${is.outcome.result}`);
  if (is.outcome) return "";
  if (AT_GATEWAY.includes(is.state) && was?.state !== is.state) return t(`stage.${is.state}`);
  if (is.state === "paused" && was?.state !== "paused") return t("call.capture.paused");
  if (is.can_pay && !(same && was.can_pay)) return t("stage.confirm");
  if (is.hint && !(same && was.hint === is.hint)) return t(`hint.${is.hint}`);
  return fieldNews(same ? was.fields : [], is.fields);
}

// Nobody pressed anything, and another call stands on the page.
function openedWords(before, after) {
  const call = after.calls.get(after.opened);
  if (!call?.state || after.opened === before.opened || after.selected !== after.opened) return "";
  return t("call.opened", { call: callerWords(call), state: t(`call.${call.state}`) });
}

// That a side hears nothing now, and why, is news to who waits for a voice.
function newNotices(was, is) {
  const old = noticesOf(was);
  return noticesOf(is).filter((key) => !old.includes(key)).map((key) => t(key)).join(". ");
}

function fieldNews(before, after) {
  for (const field of after) {
    const old = before.find((one) => one.field === field.field);
    if (field.state === "valid" && old?.state !== "valid") return named(fieldLabel(field), fieldWords(field)[1]);
    const readings = (one) => Math.floor((one?.count ?? 0) / KEYS_PER_READING);  // several keys may come at once
    const more = readings(field) > readings(old);
    if (field.state === "keying" && more) return named(fieldLabel(field), countWords(field));
  }
  return "";
}
