// Users and keys of programs: two lists, two forms, and a secret that is shown once.
import "../shared/menu.js";
import "../shared/presence.js";
import { setFixedWord, setWords } from "../shared/elements.js";
import { t } from "../shared/i18n.js";
import { remember, speak, wantedLanguage } from "../shared/language.js";
import { pagesOf, whoIsIt } from "../shared/person.js";
import { look, wear } from "../shared/theme.js";
import { change, read } from "./api.js";
import { ROLES, keyRow, ticks, ticked, userRow } from "./rows.js";

const at = (id) => document.getElementById(id);
const USER = /^[a-z][a-z0-9._@-]{1,63}$/;
const KEY = /^[a-z][a-z0-9-]{0,31}$/;
const nothing = () => "";
let told = { alert: nothing, secretTitle: nothing, secretWords: nothing };
let lists = { users: [], keys: [] };

// words: a function, asked again when the language changes. Emptied first: said twice is read aloud twice.
function say(words, field) {
  told = { ...told, alert: words };
  at("alert").textContent = "";
  at("alert").textContent = words();
  field?.focus();
}

function tell(words) {
  say(nothing);
  at("status").textContent = words;
}

function show(title, words, text) {
  told = { ...told, secretTitle: title, secretWords: words };
  at("secret-text").textContent = text;
  setFixedWord(at("copy"), "admin.copy");
  at("secret").hidden = false;
  draw();
  at("secret").focus();
}

function showLink(made, name) {
  if (made.already_shown) say(() => t("admin.already_shown"));
  if (made.link) show(() => t("admin.link", { name }), () => t("admin.link.note"), location.origin + made.link);
}

function draw() {
  document.title = `${t("page.admin")} · dtmf-shield`;
  setWords(at("alert"), told.alert());
  setWords(at("secret-title"), told.secretTitle());
  setWords(at("secret-words"), told.secretWords());
  at("users").replaceChildren(...lists.users.map((user) => userRow(user, (command) => commandUser(user, command))));
  at("users-none").hidden = lists.users.length > 0;
  at("keys").replaceChildren(...lists.keys.map((key) => keyRow(key, () => revoke(key))));
}

async function renew() {
  const [users, keys] = [await read("/v1/users"), await read("/v1/keys")];
  if (users === null || keys === null) { say(() => t("admin.problem.unread")); return; }
  lists = { users: users.users, keys: keys.keys };
  draw();
}

async function commandUser(user, command) {
  const { made, refused } = await change(`/v1/users/${encodeURIComponent(user.name)}/commands`, { command });
  if (refused) return say(refused);
  await renew();
  tell(t("admin.done", { name: user.name }));
  return showLink(made, user.name);
}

async function revoke(key) {
  const { refused } = await change(`/v1/keys/${key.name}/commands`, { command: "revoke" });
  if (refused) return say(refused);
  await renew();
  return tell(t("admin.revoked", { name: key.name }));
}

async function addUser(event) {
  event.preventDefault();
  const name = at("user-name").value.trim();
  const roles = ticked(at("user-roles"));
  const agents = at("user-agents").value.split(",").map((one) => one.trim()).filter(Boolean);
  if (!USER.test(name)) return say(() => t("admin.user.name.wrong"), at("user-name"));
  if (!roles.length) return say(() => t("admin.roles.needed"), at("user-roles").querySelector("input"));
  const { made, refused } = await change("/v1/users", { name, roles, agents: agents.length ? agents : null });
  if (refused) return say(refused, at("user-name"));
  at("new-user").reset();
  await renew();
  tell(t("admin.added", { name }));
  return showLink(made, name);
}

async function addKey(event) {
  event.preventDefault();
  const name = at("key-name").value.trim();
  const roles = ticked(at("key-roles"));
  if (!KEY.test(name)) return say(() => t("admin.key.name.wrong"), at("key-name"));
  if (!roles.length) return say(() => t("admin.roles.needed"), at("key-roles").querySelector("input"));
  const { made, refused } = await change("/v1/keys", { name, roles });
  if (refused) return say(refused, at("key-name"));
  at("new-key").reset();
  await renew();
  tell(t("admin.added", { name }));
  if (made.already_shown) return say(() => t("admin.already_shown"));
  return show(() => t("admin.secret", { name }), () => t("admin.secret.note"), made.secret);
}

async function copy() {
  const done = await navigator.clipboard?.writeText(at("secret-text").textContent).then(() => true, () => false);
  setFixedWord(at("copy"), done ? "admin.copied" : "admin.copy.failed");
}

async function leave() {
  const { refused } = await change("/v1/logout", {});
  if (refused) say(refused);
  else location.replace("/ui/");
}

function hideSecret() {
  at("secret").hidden = true;
  at("secret-text").textContent = "";
  at("main").focus();
}

function showMenu(person, language) {
  at("menu").show({ person, pages: pagesOf(person), here: "admin", language, mayLeave: Boolean(person) });
}

async function begin() {
  wear(look());
  const person = await whoIsIt();
  const language = wantedLanguage(person);
  await speak(language);
  showMenu(person, language);
  ticks(at("user-roles"), ROLES);
  ticks(at("key-roles"), ROLES.filter((role) => role !== "admin"));
  at("menu").addEventListener("language", async (event) => {
    if (!await speak(event.detail)) return;
    remember(event.detail);
    showMenu(person, event.detail);
    draw();
  });
  at("menu").addEventListener("leave", leave);
  at("new-user").addEventListener("submit", addUser);
  at("new-key").addEventListener("submit", addKey);
  at("copy").addEventListener("click", copy);
  at("secret-done").addEventListener("click", hideSecret);
  await renew();
  at("main").hidden = false;
}

begin();
