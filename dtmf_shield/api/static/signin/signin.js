// The sign-in page: what there is to sign in with, and name and password sent once.
import { has, t } from "../shared/i18n.js";
import { whoIsIt } from "../shared/person.js";
import { busy, post } from "./ask.js";
import { speakAsChosen } from "./choices.js";

const at = (id) => document.getElementById(id);
const asked = new URLSearchParams(location.search);
const failed = asked.get("failed");
// The language that the address asks for goes along to wherever signing in leads.
const language = asked.get("lang") ? `?${new URLSearchParams({ lang: asked.get("lang") })}` : "";
const inWindow = location.pathname === "/ui/embed/login/";  // which a frame opened, and waits for
let lacking = false;  // somebody is signed in who must set up a second factor first
let coding = false;  // name and password were right: they stay in their fields until the code is there
let ways = { passwords: true, oidc: null };
let said = failed ? () => t(has(`signin.failed.${failed}`) ? `signin.failed.${failed}` : "signin.failed.unknown") : null;

// The window of an embedded page comes back to itself, by way of the provider too.
const way = new URLSearchParams(language);
if (inWindow) way.set("from", "embed");
if (way.size) at("provider-link").href += `?${way}`;

function draw() {
  const linkAlone = !ways.passwords && ways.oidc === null;
  const title = lacking ? t("account.factor") : coding ? t("signin.code.title") : linkAlone ? t("signin.open_link") : t("signin.title");
  at("title").textContent = title;
  document.title = `${title} · dtmf-shield`;
  at("form").hidden = lacking || coding || !ways.passwords;
  at("code-form").hidden = lacking || !coding;
  at("provider").hidden = lacking || coding || ways.oidc === null;
  at("provider-link").textContent = ways.oidc === null ? "" : t("signin.with", { provider: ways.oidc });
  at("account").hidden = !lacking;
  at("link-title").hidden = linkAlone;
  at("link-help").hidden = lacking || coding || ways.oidc !== null;
  at("alert").textContent = said ? said() : "";
}

// Emptied first: the same words said twice are read aloud twice.
function say(words) {
  said = words;
  at("alert").textContent = said ? said() : "";
}

async function submit(event) {
  event.preventDefault();
  const button = at(coding ? "code-submit" : "submit");
  if (button.getAttribute("aria-disabled") === "true") return;
  busy(button, true);
  say(null);
  const code = coding ? { code: at("code").value } : {};
  const { refused, slug } = await post("/v1/login", { name: at("name").value.trim(), password: at("password").value, ...code });
  busy(button, false);
  if (!refused) await enter();
  else if (!coding && slug === "code-needed") step(true);
  else if (coding && slug !== "login-refused") refuse(refused, at("code"));
  else { step(false); refuse(refused, at("password")); }
}

function refuse(words, field) {
  say(words);
  field.value = "";
  field.focus();
}

function step(on) {
  coding = on;
  if (!on) at("password").value = "";
  at("code").value = "";
  say(null);
  draw();
  at(on ? "code" : lacking ? "account-link" : "name").focus();
}

// Whoever must set up a second factor first does it on their account's page.
async function enter() {
  const person = await whoIsIt();
  if (inWindow && stays(person)) {
    const words = said;
    step(false);
    say(words);
    return;
  }
  const here = location.pathname.startsWith("/ui/") ? location.pathname : "/ui/";
  location.replace(`${person?.second_factor_needed ? "/ui/account/" : here}${language}`);
}

// Says to who is signed in, but has nothing yet to hand to the frame, what to do. The account's page lets go of the frame,
// so that it is said before.
function stays(person) {
  lacking = Boolean(person?.second_factor_needed);
  if (lacking) said = () => t("embed.window.factor");
  else if (person && !person.roles.includes("agent")) said = () => t("embed.signin.role");
  else return false;
  at("account-link").href = `/ui/account/${language}`;
  return true;
}

async function begin() {
  at("form").addEventListener("submit", submit);
  at("code-form").addEventListener("submit", submit);
  at("code-back").addEventListener("click", () => step(false));
  const answer = await fetch("/v1/login").catch(() => null);
  if (answer?.ok) ways = await answer.json();
  if (inWindow) stays(await whoIsIt());
  await speakAsChosen(draw);
  at("page").hidden = false;
  if (ways.passwords && !lacking) at("name").focus();
}

begin();
