// Users and keys of programs: two lists, two forms, and a secret that is shown once.
import "../shared/presence.js";
import { change, read } from "./api.js";
import { ROLES, keyRow, ticks, ticked, userRow } from "./rows.js";

const at = (id) => document.getElementById(id);
const USER = /^[a-z][a-z0-9._@-]{1,63}$/;
const KEY = /^[a-z][a-z0-9-]{0,31}$/;

function say(words, field) {
  at("alert").textContent = words;
  field?.focus();
}

function tell(words) {
  say("");
  at("status").textContent = words;
}

function show(title, words, text) {
  at("secret-title").textContent = title;
  at("secret-words").textContent = words;
  at("secret-text").textContent = text;
  at("copy").textContent = "Copy";
  at("secret").hidden = false;
  at("secret").focus();
}

function showLink(made, name) {
  const words = "Give them this link. It works once, within a day, and is not shown again.";
  if (made.link) show(`${name} sets a password here`, words, location.origin + made.link);
}

async function draw() {
  const [users, keys] = [await read("/v1/users"), await read("/v1/keys")];
  if (users === null || keys === null) return say("The service does not answer. Load the page again.");
  at("users").replaceChildren(...users.users.map((user) => userRow(user, (command) => commandUser(user, command))));
  at("users-none").hidden = users.users.length > 0;
  at("keys").replaceChildren(...keys.keys.map((key) => keyRow(key, () => revoke(key))));
}

async function commandUser(user, command) {
  const { made, words } = await change(`/v1/users/${encodeURIComponent(user.name)}/commands`, { command });
  if (words) return say(words);
  await draw();
  tell(`${user.name}: done.`);
  showLink(made, user.name);
}

async function revoke(key) {
  const { words } = await change(`/v1/keys/${key.name}/commands`, { command: "revoke" });
  if (words) return say(words);
  await draw();
  tell(`${key.name} is revoked.`);
}

async function addUser(event) {
  event.preventDefault();
  const name = at("user-name").value.trim();
  const roles = ticked(at("user-roles"));
  const agents = at("user-agents").value.split(",").map((one) => one.trim()).filter(Boolean);
  if (!USER.test(name)) return say("The name has small letters, digits and . _ @ -, beginning with a letter.", at("user-name"));
  if (!roles.length) return say("Choose a role at least.", at("user-roles").querySelector("input"));
  const { made, words } = await change("/v1/users", { name, roles, agents: agents.length ? agents : null });
  if (words) return say(words, at("user-name"));
  at("new-user").reset();
  await draw();
  tell(`${name} is added.`);
  showLink(made, name);
}

async function addKey(event) {
  event.preventDefault();
  const name = at("key-name").value.trim();
  const roles = ticked(at("key-roles"));
  if (!KEY.test(name)) return say("The name has small letters, digits and dashes, beginning with a letter.", at("key-name"));
  if (!roles.length) return say("Choose a role at least.", at("key-roles").querySelector("input"));
  const { made, words } = await change("/v1/keys", { name, roles });
  if (words) return say(words, at("key-name"));
  at("new-key").reset();
  await draw();
  tell(`${name} is added.`);
  show(`Key of ${name}`, "The program sends it as Authorization: Bearer. It is not shown again.", made.secret);
}

async function copy() {
  const done = await navigator.clipboard?.writeText(at("secret-text").textContent).then(() => true, () => false);
  at("copy").textContent = done ? "Copied" : "Select it by hand";
}

async function signOut() {
  const { words } = await change("/v1/logout", {});
  if (words) say(words);
  else location.replace("/ui/");
}

function hideSecret() {
  at("secret").hidden = true;
  at("secret-text").textContent = "";
  at("users-title").scrollIntoView({ block: "nearest" });
}

ticks(at("user-roles"), ROLES);
ticks(at("key-roles"), ROLES.filter(([role]) => role !== "admin"));
at("new-user").addEventListener("submit", addUser);
at("new-key").addEventListener("submit", addKey);
at("copy").addEventListener("click", copy);
at("secret-done").addEventListener("click", hideSecret);
at("sign-out").addEventListener("click", signOut);
read("/v1/me").then((me) => { at("who").textContent = me?.name ?? ""; });
draw();
