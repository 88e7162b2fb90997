// Gives a person other roles, other calls, another language: a form that opens in their row.
import { make } from "../shared/elements.js";
import { LANGUAGES, t } from "../shared/i18n.js";
import { languageOptions } from "../shared/language.js";
import { ROLES, rightsAsker } from "./rights.js";
import { button } from "./rows.js";

// me: it is who asks; save(body, locksOut), refuse(key, field), close(): what comes of it.
export function changeForm(user, me, { save, refuse, close }) {
  const rights = rightsAsker("change", ROLES);
  const language = languageAsk(user.language);
  const form = make("form", "changing", ...rights.nodes, language.node);
  const locksOut = () => me && user.roles.includes("admin") && !rights.asked().roles?.includes("admin");

  function send() {
    const { roles, agents, problem, field } = rights.asked();
    if (problem) { refuse(problem, field); return; }
    save({
      command: "change",
      roles,
      ...(agents ? { agents } : agents === null ? { every_call: true } : {}),
      ...language.asked(),
    }, locksOut());
  }

  const go = button(t("admin.change.save"), user.name, send, () => (locksOut() ? t("admin.sure.lock_out") : ""));
  go.className = "primary";
  form.append(make("div", "buttons", go, button(t("admin.change.cancel"), user.name, close)));
  form.noValidate = true;
  form.setAttribute("aria-label", t("admin.of", { act: t("admin.act.change"), name: user.name }));
  form.addEventListener("submit", (event) => { event.preventDefault(); go.click(); });
  form.addEventListener("keydown", (event) => { if (event.key === "Escape") close(); });
  rights.fill(user);
  return { node: form, focus: () => rights.first().focus() };
}

// A tag that there is no list of words for stays to be chosen: it may be a program's.
function languageAsk(spoken) {
  const label = make("label", "", t("admin.language"));
  const own = new Option(t("admin.language.browser"), "");
  const others = spoken && !Object.hasOwn(LANGUAGES, spoken) ? [new Option(spoken, spoken)] : [];
  const select = make("select", "", own, ...languageOptions(), ...others);
  label.htmlFor = select.id = "change-language";
  select.value = spoken ?? "";
  const asked = () => {
    if (select.value === (spoken ?? "")) return {};
    return select.value ? { language: select.value } : { browsers_language: true };
  };
  return { node: make("div", "ask", label, select), asked };
}
