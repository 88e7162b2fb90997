// What a person or a key looks like on its list; buttons that take something away ask once more.
import { make } from "../shared/elements.js";
import { t, tCount } from "../shared/i18n.js";
import { icon } from "../shared/icons.js";

export const ROLES = ["agent", "supervisor", "engineer", "auditor", "admin"];
const STATES = {
  active: ["good", "good"],
  invited: ["busy", "busy"],
  disabled: ["", "plain"],
  good: ["good", "good"],
  revoked: ["", "plain"],
};
const SURE_MS = 5000;

// sure: the question that a second press answers; without one the first press acts.
function button(words, name, act, sure = "") {
  const made = make("button", "", words);
  const call = (said) => made.setAttribute("aria-label", t("admin.of", { act: said, name }));
  made.type = "button";
  call(words);
  made.addEventListener("click", () => {
    if (!sure || made.classList.contains("sure")) return act();
    made.classList.add("sure");
    made.textContent = sure;
    call(sure);
    setTimeout(() => {
      made.classList.remove("sure");
      made.textContent = words;
      call(words);
    }, SURE_MS);
    return undefined;
  });
  return made;
}

function chip(state) {
  const [colour, picture] = STATES[state];
  return make("span", `chip ${colour}`.trim(), icon(picture), make("span", "", t(`admin.state.${state}`)));
}

function row(name, state, facts, buttons) {
  const line = make("p", "rights quiet", chip(state), ...facts.filter(Boolean).map((fact) => make("span", "", fact)));
  return make("li", "", make("div", "", make("b", "", name), line), make("div", "buttons", ...buttons));
}

function rights({ roles, agents }) {
  const names = roles.map((role) => t(`admin.role.${role}`)).join(", ");
  return [names, roles.includes("agent") && !roles.includes("supervisor") ? whose(agents) : ""];
}

function whose(agents) {
  if (agents === null) return t("admin.calls.every");
  return agents.length ? t("admin.calls.of", { agents: agents.join(", ") }) : t("admin.calls.none");
}

function buttonsOf({ name, state, sessions, second_factor: factor }, command) {
  if (state === "disabled") return [button(t("admin.act.enable"), name, () => command("enable"))];
  const reset = () => command("reset");
  const out = button(t("admin.act.sign_out"), name, () => command("sign_out"));
  const resetFactor = button(
    t("admin.act.reset_second_factor"), name, () => command("reset_second_factor"), t("admin.sure.reset"),
  );
  return [
    ...(sessions ? [out] : []),
    ...(factor ? [resetFactor] : []),
    state === "invited"
      ? button(t("admin.act.link"), name, reset)
      : button(t("admin.act.reset"), name, reset, t("admin.sure.reset")),
    button(t("admin.act.disable"), name, () => command("disable"), t("admin.sure.disable")),
  ];
}

export function userRow(user, command) {
  const signedIn = user.sessions ? tCount("admin.sessions", user.sessions) : "";
  return row(user.name, user.state, [...rights(user), user.second_factor ? t("admin.second_factor") : "", signedIn], buttonsOf(user, command));
}

export function keyRow(key, revoke) {
  const buttons = key.revoked ? [] : [button(t("admin.act.revoke"), key.name, revoke, t("admin.sure.revoke"))];
  return row(key.name, key.revoked ? "revoked" : "good", rights(key), buttons);
}

export function ticks(fieldset, roles) {
  for (const role of roles) {
    const key = `admin.may.${role}`;
    const [box, words] = [make("input", ""), make("span", "", t(key))];
    Object.assign(box, { type: "checkbox", value: role });
    words.dataset.t = key;
    fieldset.append(make("label", "tick", box, words));
  }
}

export function ticked(fieldset) {
  return [...fieldset.querySelectorAll("input:checked")].map((box) => box.value);
}
