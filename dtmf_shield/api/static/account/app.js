// One's own account: second factor, password, sessions.
import "../shared/menu.js";
import { make, setFixedWord, setWords } from "../shared/elements.js";
import { dayTime, t, tCount } from "../shared/i18n.js";
import { icon } from "../shared/icons.js";
import { remember, speak, wantedLanguage } from "../shared/language.js";
import { pagesOf, whoIsIt } from "../shared/person.js";
import { look, wear } from "../shared/theme.js";
import { busy, post } from "../signin/ask.js";
import { qrPicture } from "./qr.js";

const at = (id) => document.getElementById(id);
const nothing = () => "";
let said = { alert: nothing, status: nothing };
let account = null;
let person = null;
let begun = null;

// words: a function, asked again when the language changes. Emptied first: said twice is read aloud twice.
function say({ alert = nothing, status = nothing }, field) {
  said = { alert, status };
  at("alert").textContent = "";
  at("status").textContent = "";
  at("alert").textContent = alert();
  at("status").textContent = status();
  field?.focus();
}

async function send(button, path, body) {
  if (button.getAttribute("aria-disabled") === "true") return { refused: nothing, slug: "busy" };
  busy(button, true);
  const answer = await post(path, body, (slug) => `account.problem.${slug}`);
  busy(button, false);
  if (answer.slug === "not-signed-in") location.reload();
  return answer;
}

function draw() {
  document.title = `${t("page.account")} · dtmf-shield`;
  setWords(at("alert"), said.alert());
  setWords(at("status"), said.status());
  drawFactor();
  const local = account.how === "local";
  at("factor").hidden = at("password-form").hidden = !local;
  at("elsewhere").hidden = local;
  setWords(at("elsewhere"), account.provider ? t("account.password.provider", { provider: account.provider }) : t("account.password.link"));
  at("sessions").replaceChildren(...account.sessions.map(sessionRow));
  at("end-others").hidden = account.sessions.length < 2;
  at("needed").hidden = !person?.second_factor_needed;
}

function drawFactor() {
  const { on, required, since, recovery_codes_left: left } = account.second_factor;
  const words = on ? t("account.factor.on", { date: dayTime(Date.parse(since)) }) : t("account.factor.off");
  at("factor-state").replaceChildren(make("span", `chip ${on ? "good" : ""}`.trim(), icon(on ? "good" : "plain"), make("span", "", words)));
  setWords(at("factor-left"), on ? tCount("account.factor.left", left) : "");
  at("factor-code-ask").hidden = !on;
  at("factor-remove").hidden = !on || required;
  setFixedWord(at("factor-begin"), on ? "account.factor.anew" : "account.factor.begin");
  at("begun").hidden = begun === null;
  at("factor-form").hidden = begun !== null;
  if (begun === null) return;
  at("qr").replaceChildren(qrPicture(begun.qr, t("account.factor.qr")));
}

function sessionRow(session) {
  const words = t("account.since", { since: dayTime(Date.parse(session.since)), used: dayTime(Date.parse(session.last_used)) });
  const kind = t(`account.kind.${session.kind}`);
  const facts = make("p", "facts", make("b", "", kind), make("span", "quiet", words));
  if (session.this) {
    facts.append(make("span", "chip good", icon("good"), make("span", "", t("account.this"))));
    return make("li", "", facts);
  }
  const button = make("button", "", t("account.end"));
  button.type = "button";
  button.setAttribute("aria-label", t("admin.of", { act: t("account.end"), name: `${kind}, ${words}` }));
  button.addEventListener("click", () => endSessions(button, { command: "end", session: session.id }));
  return make("li", "", facts, button);
}

async function renew() {
  const answer = await fetch("/v1/account", { headers: { accept: "application/json" } }).catch(() => null);
  if (answer?.status === 401) location.reload();
  if (!answer?.ok) { say({ alert: () => t("signin.problem.unanswered") }); return false; }
  [account, person] = [await answer.json(), await whoIsIt() ?? person];
  draw();
  return true;
}

async function changePassword(event) {
  event.preventDefault();
  if (at("password").value !== at("again").value) return say({ alert: () => t("welcome.differ") }, at("again"));
  const { refused, slug } = await send(at("change"), "/v1/account/password", { current: at("current").value, password: at("password").value });
  if (refused) return say({ alert: refused }, slug === "login-refused" ? at("current") : at("password"));
  at("password-form").reset();
  await renew();
  return say({ status: () => t("account.password.changed") });
}

const proof = () => ({ current: at("factor-current").value, code: at("factor-old-code").value });

function refuseProof(refused, slug) {
  say({ alert: refused }, at(slug.startsWith("code") ? "factor-old-code" : "factor-current"));
}

async function beginFactor(event) {
  event.preventDefault();
  const { made, refused, slug } = await send(at("factor-begin"), "/v1/account/second-factor", proof());
  if (refused) return refuseProof(refused, slug);
  at("factor-form").reset();
  begun = made;
  at("secret").textContent = made.secret.match(/.{4}/g).join(" ");
  at("uri").href = made.uri;
  say({});
  draw();
  return at("begun").focus();
}

async function confirmFactor(event) {
  event.preventDefault();
  const { made, refused, slug } = await send(event.submitter ?? at("confirm"), "/v1/account/second-factor/confirm", { code: at("confirm-code").value });
  if (refused && slug === "factor-not-begun") { forgetBegun(); draw(); }
  if (refused) return say({ alert: refused }, at(begun ? "confirm-code" : "factor-current"));
  forgetBegun();
  at("codes").replaceChildren(...made.recovery_codes.map((code) => make("li", "", make("code", "", code))));
  at("recovery").hidden = false;
  say({});
  await renew();
  showMenu(document.documentElement.lang);
  return at("recovery").focus();
}

function forgetBegun() {
  begun = null;
  at("confirm").reset();
  at("secret").textContent = "";
  at("qr").replaceChildren();
  at("uri").removeAttribute("href");
}

async function removeFactor() {
  const { refused, slug } = await send(at("factor-remove"), "/v1/account/second-factor/remove", proof());
  if (refused) return refuseProof(refused, slug);
  at("factor-form").reset();
  await renew();
  return say({ status: () => t("account.factor.removed") });
}

function hideCodes() {
  at("recovery").hidden = true;
  at("codes").replaceChildren();
  at("main").focus();
}

async function endSessions(button, body) {
  const { made, refused } = await send(button, "/v1/account/sessions/commands", body);
  await renew();
  say(refused ? { alert: refused } : { status: () => tCount("account.ended", made.ended) });
  at("main").focus();
}

function showMenu(language) {
  at("menu").show({ person, pages: pagesOf(person), here: "account", language });
}

async function begin() {
  wear(look());
  person = await whoIsIt();
  const language = wantedLanguage(person);
  await speak(language);
  showMenu(language);
  at("menu").addEventListener("language", async (event) => {
    if (!await speak(event.detail)) return;
    remember(event.detail);
    showMenu(event.detail);
    if (account) draw();
  });
  at("password-form").addEventListener("submit", changePassword);
  at("factor-form").addEventListener("submit", beginFactor);
  at("factor-remove").addEventListener("click", removeFactor);
  at("confirm").addEventListener("submit", confirmFactor);
  at("recovery-done").addEventListener("click", hideCodes);
  at("end-others").addEventListener("click", () => endSessions(at("end-others"), { command: "end_others" }));
  if (await renew()) at("main").hidden = false;
}

begin();
