// The agent's other calls, in a panel that follows the call in hand: those that go on, and the last that ended with a result.
import { make, redraw } from "../shared/elements.js";
import { t } from "../shared/i18n.js";
import { icon } from "../shared/icons.js";
import { running } from "../agent/store.js";
import { callerWords, resultLook } from "../agent/words.js";

const OTHERS_MAX = 4;
const at = (id) => document.getElementById(id);

// The newest first; the ended one last.
export function othersOf(state) {
  const calls = [...state.calls.values()].reverse().filter((call) => call.state && call.id !== state.selected);
  const open = calls.filter((call) => call.state !== "ended").slice(0, OTHERS_MAX);
  const over = calls.find((call) => call.state === "ended" && call.capture?.outcome);
  return over ? [...open, over] : open;
}

export function drawOthers(calls, choose) {
  at("others").hidden = calls.length === 0;
  const list = at("others-calls");
  const words = calls.map((call) => [call.id, callerWords(call), t(`call.${call.state}`), ...becomeOf(call)]);
  const focused = document.activeElement?.dataset.call;
  redraw(list, JSON.stringify(words), () => words.map(([id, caller, state, look, became]) => {
    const chip = make("span", `chip ${look}`.trim(), ...(look ? [icon(look)] : []), became || state);
    const button = make("button", "other", make("b", "", caller), chip);
    button.type = "button";
    button.dataset.call = id;
    button.addEventListener("click", () => {
      choose(id);
      at("desk").focus({ preventScroll: true });
    });
    return make("li", "", button);
  }));
  if (focused) list.querySelector(`[data-call="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
}

// [look, words]: what is being taken in it, or became of it.
function becomeOf(call) {
  if (running(call)) return ["busy", t("call.capture")];
  const result = call.capture?.outcome?.result;
  return result ? [resultLook(result), t(`result.${result}`)] : ["", ""];
}
