// The sign-in page: what there is to sign in with, and name and password sent once.
import { has, t } from "../shared/i18n.js";
import { ask, busy } from "./ask.js";
import { speakAsChosen } from "./choices.js";

const at = (id) => document.getElementById(id);
const failed = new URLSearchParams(location.search).get("failed");
let ways = { passwords: true, oidc: null };
let said = failed ? () => t(has(`signin.failed.${failed}`) ? `signin.failed.${failed}` : "signin.failed.unknown") : null;

// The window of an embedded page comes back to itself, by way of the provider too.
if (location.pathname === "/ui/embed/login/") at("provider-link").href += "?from=embed";

function draw() {
  const linkAlone = !ways.passwords && ways.oidc === null;
  const title = linkAlone ? t("signin.open_link") : t("signin.title");
  at("title").textContent = title;
  document.title = `${title} · dtmf-shield`;
  at("form").hidden = !ways.passwords;
  at("provider").hidden = ways.oidc === null;
  at("provider-link").textContent = ways.oidc === null ? "" : t("signin.with", { provider: ways.oidc });
  at("link-title").hidden = linkAlone;
  at("link-help").hidden = ways.oidc !== null;
  at("alert").textContent = said ? said() : "";
}

// Emptied first: the same words said twice are read aloud twice.
function say(words) {
  said = words;
  at("alert").textContent = said ? said() : "";
}

async function submit(event) {
  event.preventDefault();
  if (at("submit").getAttribute("aria-disabled") === "true") return;
  busy(at("submit"), true);
  say(null);
  const refused = await ask("/v1/login", { name: at("name").value.trim(), password: at("password").value });
  busy(at("submit"), false);
  if (!refused) {
    location.replace(location.pathname.startsWith("/ui/") ? location.pathname : "/ui/");
    return;
  }
  say(refused);
  at("password").value = "";
  at("password").focus();
}

async function begin() {
  at("form").addEventListener("submit", submit);
  const answer = await fetch("/v1/login").catch(() => null);
  if (answer?.ok) ways = await answer.json();
  await speakAsChosen(draw);
  at("page").hidden = false;
  if (ways.passwords) at("name").focus();
}

begin();
