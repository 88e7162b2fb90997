// What a person, a sign-in or a key looks like on its list; buttons that take something away ask once more.
import { make } from "../shared/elements.js";
import { dayTime, t, tCount } from "../shared/i18n.js";
import { icon } from "../shared/icons.js";

const STATES = {
  active: ["good", "good"],
  invited: ["busy", "busy"],
  disabled: ["", "plain"],
  good: ["good", "good"],
  revoked: ["", "plain"],
};
const SURE_MS = 5000;

// sure: says the question that a second press answers; where it says nothing, the first press acts.
export function button(words, name, act, sure = () => "") {
  const made = make("button", "", words);
  const call = (said) => made.setAttribute("aria-label", t("admin.of", { act: said, name }));
  made.type = "button";
  call(words);
  made.addEventListener("click", () => {
    const question = sure();
    if (!question || made.classList.contains("sure")) return act();
    made.classList.add("sure");
    made.textContent = question;
    call(question);
    setTimeout(() => {
      made.classList.remove("sure");
      made.textContent = words;
      call(words);
    }, SURE_MS);
    return undefined;
  });
  return made;
}

function chip(colour, picture, words) {
  return make("span", `chip ${colour}`.trim(), icon(picture), make("span", "", words));
}

function row(name, chips, facts, buttons) {
  const line = make("p", "rights quiet", ...chips, ...facts.filter(Boolean).map((fact) => make("span", "", fact)));
  const made = make("li", "", make("div", "", make("b", "", name), line), make("div", "buttons", ...buttons));
  made.dataset.name = name;
  return made;
}

const stateChip = (state) => chip(...STATES[state], t(`admin.state.${state}`));

function rights({ roles, agents }) {
  const names = roles.map((role) => t(`admin.role.${role}`)).join(", ");
  return [names, roles.includes("agent") && !roles.includes("supervisor") ? whose(agents) : ""];
}

function whose(agents) {
  if (agents === null) return t("admin.calls.every");
  return agents.length ? t("admin.calls.of", { agents: agents.join(", ") }) : t("admin.calls.none");
}

// me: the user is who looks at the list, and is asked before they put themselves out.
function buttonsOf({ name, state, sessions, second_factor: factor }, me, { command, change }) {
  if (state === "disabled") return [button(t("admin.act.enable"), name, () => command("enable"))];
  const asked = (key) => () => (me ? t("admin.sure.self") : key && t(key));
  const act = (word, key, does = () => command(word)) => button(t(`admin.act.${word}`), name, does, asked(key));
  return [
    button(t("admin.act.change"), name, change),
    ...(sessions ? [act("sign_out", "")] : []),
    ...(factor ? [act("reset_second_factor", "admin.sure.reset")] : []),
    state === "invited" ? act("link", "", () => command("reset")) : act("reset", "admin.sure.reset"),
    act("disable", "admin.sure.disable"),
  ];
}

const you = (me) => (me ? [chip("busy", "person", t("admin.you"))] : []);

export function userRow(user, me, acts) {
  const signedIn = user.sessions ? tCount("admin.sessions", user.sessions) : "";
  const facts = [...rights(user), user.second_factor ? t("admin.second_factor") : "", signedIn];
  return row(user.name, [stateChip(user.state), ...you(me)], facts, buttonsOf(user, me, acts));
}

// sessions: all of one name.
export function signInRow(name, sessions, me, signOut) {
  const count = (kind) => sessions.filter((one) => one.kind === kind).length;
  const ways = [...new Set(sessions.map(({ how }) => t(`admin.how.${how}`)))];
  const counts = ["page", "panel"].map((kind) => (count(kind) ? tCount(`admin.kind.${kind}`, count(kind)) : ""));
  const used = Math.max(...sessions.map((one) => Date.parse(one.last_used)));
  const act = button(t("admin.act.sign_out"), name, signOut, () => (me ? t("admin.sure.self") : ""));
  return row(name, you(me), [...ways, ...counts, t("admin.used", { used: dayTime(used) })], [act]);
}

export function keyRow(key, revoke) {
  const buttons = key.revoked ? [] : [button(t("admin.act.revoke"), key.name, revoke, () => t("admin.sure.revoke"))];
  return row(key.name, [stateChip(key.revoked ? "revoked" : "good")], rights(key), buttons);
}
