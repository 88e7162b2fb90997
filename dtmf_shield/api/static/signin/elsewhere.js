// A page that is not there, or that is not for this person: says which, and leads to the pages that are theirs.
import { make } from "../shared/elements.js";
import { t } from "../shared/i18n.js";
import { leave } from "../shared/leave.js";
import { pagesOf, whoIsIt } from "../shared/person.js";
import { speakAsChosen } from "./choices.js";

const at = (id) => document.getElementById(id);
const ROLE_PAGES = ["agent", "supervisor", "engineer", "admin", "audit"];
const asked = location.pathname.split("/")[2] ?? "";
let person = null;
let refused = "";

function draw() {
  const what = person && ROLE_PAGES.includes(asked) ? "role" : "none";
  const title = t(`elsewhere.${what}`);
  document.title = `${title} · dtmf-shield`;
  at("title").textContent = title;
  at("note").textContent = t(`elsewhere.${what}.note`, { name: person?.name ?? "", page: t(`page.${asked}`) });
  at("alert").textContent = refused && t(refused);
  const pages = pagesOf(person).map(([name, address]) => [t("elsewhere.go", { page: t(`page.${name}`) }), address]);
  if (!person) pages.push([t("signin.title"), "/ui/"]);
  at("pages").replaceChildren(...pages.map(([words, address], place) => {
    const link = make("a", place ? "wide second" : "wide", words);
    link.href = address;
    return link;
  }));
  at("leave").hidden = !person;
}

async function signOut() {
  refused = await leave();
  if (refused) draw();
}

async function begin() {
  at("leave").addEventListener("click", signOut);
  person = await whoIsIt();
  await speakAsChosen(draw);
  at("page").hidden = false;
}

begin();
