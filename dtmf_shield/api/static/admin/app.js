// People, who is signed in, and keys of programs: lists, forms, and a secret that is shown once.
import "../shared/menu.js";
import { setFixedWord, setWords } from "../shared/elements.js";
import { t, tCount } from "../shared/i18n.js";
import { remember, speak, wantedLanguage } from "../shared/language.js";
import { pagesOf, whoIsIt } from "../shared/person.js";
import { look, wear } from "../shared/theme.js";
import { change, read } from "./api.js";
import { changeForm } from "./changing.js";
import { ROLES, rightsAsker } from "./rights.js";
import { keyRow, signInRow, userRow } from "./rows.js";

const at = (id) => document.getElementById(id);
const USER = /^[a-z][a-z0-9._@-]{1,63}$/;
const KEY = /^[a-z][a-z0-9-]{0,31}$/;
const nothing = () => "";
let told = { alert: nothing, secretTitle: nothing, secretWords: nothing };
const userRights = rightsAsker("user", ROLES);
const keyRights = rightsAsker("key", ROLES.filter((role) => role !== "admin"));
let lists = { users: [], keys: [], sessions: [] };
let person = null;
let changing = null;

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
  at("users").replaceChildren(...lists.users.map(drawUser));
  at("users-none").hidden = lists.users.length > 0;
  const byName = Map.groupBy(lists.sessions, (one) => one.name);
  at("sessions").replaceChildren(...[...byName].map(([name, sessions]) => signInRow(name, sessions, isMe(name), () => signOut(name))));
  at("keys").replaceChildren(...lists.keys.map((key) => keyRow(key, () => revoke(key))));
}

const isMe = (name) => name === person?.name;

function drawUser(user) {
  const acts = { command: (command) => commandUser(user, { command }), change: () => openChange(user) };
  const row = userRow(user, isMe(user.name), acts);
  if (changing?.name !== user.name) return row;
  row.append(changing.form.node);
  return row;
}

function openChange(user, focused = true) {
  const close = () => { changing = null; draw(); back(user.name); };
  const save = (body, locksOut) => commandUser(user, body, locksOut);
  const form = changeForm(user, isMe(user.name), { save, close, refuse: (key, field) => say(() => t(key), field) });
  changing = { name: user.name, form };
  draw();
  if (focused) form.focus();
}

// The row is drawn anew: the focus goes to its first button.
function back(name) {
  at("users").querySelector(`[data-name="${CSS.escape(name)}"] button`)?.focus();
}

async function renew() {
  const [users, keys, signedIn] = [await read("/v1/users"), await read("/v1/keys"), await read("/v1/sessions")];
  if (users === null || keys === null || signedIn === null) { say(() => t("admin.problem.unread")); return; }
  lists = { users: users.users, keys: keys.keys, sessions: signedIn.sessions };
  draw();
}

// locksOut: this page is not theirs any more once it is done.
async function commandUser(user, body, locksOut = false) {
  const { made, refused } = await change(`/v1/users/${encodeURIComponent(user.name)}/commands`, body);
  if (refused) return say(refused);
  if (locksOut) return location.replace("/ui/");
  changing = null;
  await renew();
  tell(t("admin.done", { name: user.name }));
  back(user.name);
  return showLink(made, user.name);
}

async function signOut(name) {
  const { made, refused } = await change("/v1/sessions/commands", { command: "sign_out", name });
  if (refused) return say(refused);
  await renew();
  tell(tCount("account.ended", made.ended));
  return at("sessions").querySelector("button")?.focus();
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
  const { problem, field, ...rights } = userRights.asked();
  if (!USER.test(name)) return say(() => t("admin.user.name.wrong"), at("user-name"));
  if (problem) return say(() => t(problem), field);
  const { made, refused } = await change("/v1/users", { name, ...rights });
  if (refused) return say(refused, at("user-name"));
  at("new-user").reset();
  userRights.fill({ roles: [], agents: [] });
  await renew();
  tell(t("admin.added", { name }));
  return showLink(made, name);
}

async function addKey(event) {
  event.preventDefault();
  const name = at("key-name").value.trim();
  const { problem, field, ...rights } = keyRights.asked();
  if (!KEY.test(name)) return say(() => t("admin.key.name.wrong"), at("key-name"));
  if (problem) return say(() => t(problem), field);
  const { made, refused } = await change("/v1/keys", { name, ...rights });
  if (refused) return say(refused, at("key-name"));
  at("new-key").reset();
  keyRights.fill({ roles: [], agents: [] });
  await renew();
  tell(t("admin.added", { name }));
  if (made.already_shown) return say(() => t("admin.already_shown"));
  return show(() => t("admin.secret", { name }), () => t("admin.secret.note"), made.secret);
}

async function copy() {
  const done = await navigator.clipboard?.writeText(at("secret-text").textContent).then(() => true, () => false);
  setFixedWord(at("copy"), done ? "admin.copied" : "admin.copy.failed");
}

function hideSecret() {
  at("secret").hidden = true;
  at("secret-text").textContent = "";
  at("main").focus();
}

function showMenu(language) {
  at("menu").show({ person, pages: pagesOf(person), here: "admin", language });
}

async function begin() {
  wear(look());
  person = await whoIsIt();
  const language = wantedLanguage(person);
  at("user-rights").replaceWith(...userRights.nodes);
  at("key-rights").replaceWith(...keyRights.nodes);
  await speak(language);
  showMenu(language);
  at("menu").addEventListener("language", async (event) => {
    if (!await speak(event.detail)) return;
    remember(event.detail);
    showMenu(event.detail);
    if (changing) openChange(lists.users.find(({ name }) => name === changing.name), false);
    draw();
  });
  at("new-user").addEventListener("submit", addUser);
  at("new-key").addEventListener("submit", addKey);
  at("copy").addEventListener("click", copy);
  at("secret-done").addEventListener("click", hideSecret);
  await renew();
  at("main").hidden = false;
}

begin();
