// The window that a frame opened, once somebody is signed in: it hands a ticket to that frame and closes.
import { t } from "../shared/i18n.js";
import { speak, wantedLanguage } from "../shared/language.js";
import { whoIsIt } from "../shared/person.js";
import { look, wear } from "../shared/theme.js";

const say = (key) => { document.getElementById("words").textContent = t(key); };

async function handOver() {
  if (!window.opener) { say("embed.window.left"); return; }
  const answer = await fetch("/login/embed/ticket", { method: "POST" }).catch(() => null);
  if (!answer?.ok) { say("embed.window.unanswered"); return; }
  const { ticket } = await answer.json();
  // To a frame of our own origin and to nobody else: the browser drops it where the opener is anything other.
  window.opener.postMessage({ type: "dtmf-shield.ticket", v: 1, ticket }, location.origin);
  say("embed.window.left");
  window.close();
}

async function begin() {
  wear(look());
  await speak(wantedLanguage(await whoIsIt()));
  document.title = `${t("embed.window")} · dtmf-shield`;
  say("embed.window.going");
  await handOver();
}

begin();
