// Warns before a session ends for want of use: a conversation may be long, and the agent busy in another window.
import { t } from "./i18n.js";
import { whoIsIt } from "./person.js";

const LOOK_MS = 1_000;
const WARN_S = 120;  // before the end at the latest: use is told to the service a while after it was made

const at = (id) => document.getElementById(id);

// When the warning comes, in seconds without use; null: there is no such limit.
export const warnAfterS = (limitS) => (limitS ? Math.max(limitS / 2, limitS - WARN_S) : null);

// The page has #idle with a sentence and a button. Any key or click keeps the session; the button is one to be found.
export async function watchIdle() {
  const person = await whoIsIt();
  const afterS = warnAfterS(person?.idle_limit_s);
  if (afterS === null) return;
  let usedMs = Date.now();
  const warned = () => !at("idle").hidden;
  const show = (on) => {
    at("idle").hidden = !on;
    at("idle-words").textContent = on ? t("idle.soon") : "";
  };
  const use = async () => {
    usedMs = Date.now();
    if (warned() && await whoIsIt()) show(false);
  };
  for (const event of ["pointerdown", "keydown"]) addEventListener(event, use, { passive: true });
  at("idle-stay").addEventListener("click", use);  // by a screen reader, without key or pointer
  setInterval(() => {
    if (document.body.dataset.connection === "signed-out") show(false);
    else if (!warned() && Date.now() - usedMs > afterS * 1000) show(true);
  }, LOOK_MS);
}
