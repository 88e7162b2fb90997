// Sets a password by a link for one use. The secret stands behind the # and leaves the address bar at once.
import { t } from "../shared/i18n.js";
import { ask, busy } from "./ask.js";
import { speakAsChosen } from "./choices.js";

const at = (id) => document.getElementById(id);
const link = location.hash.slice(1);
history.replaceState(null, "", location.pathname + location.search);
let said = link ? null : () => t("welcome.not_whole");

function draw() {
  document.title = `${t("welcome.title")} · dtmf-shield`;
  at("alert").textContent = said ? said() : "";
}

function say(words, field) {
  said = words;
  at("alert").textContent = said ? said() : "";
  field?.focus();
}

async function submit(event) {
  event.preventDefault();
  if (at("submit").getAttribute("aria-disabled") === "true") return;
  say(null);
  if (at("password").value !== at("again").value) {
    say(() => t("welcome.differ"), at("again"));
    return;
  }
  busy(at("submit"), true);
  const refused = await ask("/v1/password", { link, password: at("password").value });
  busy(at("submit"), false);
  if (refused) say(refused, at("password"));
  else location.replace(`/ui/${location.search}`);
}

async function begin() {
  at("form").addEventListener("submit", submit);
  await speakAsChosen(draw);
  at("page").hidden = false;
  if (link) at("password").focus();
}

begin();
