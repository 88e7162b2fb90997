// What a person or a key looks like on its list; buttons that take something away ask once more.
export const ROLES = [
  ["agent", "Agent: own calls"],
  ["supervisor", "Supervisor: every call"],
  ["engineer", "Engineer: flows and health"],
  ["auditor", "Auditor: the audit log"],
  ["admin", "Administrator: users and keys"],
];
const STATES = {
  active: ["good", "Can sign in"],
  invited: ["busy", "Has no password yet"],
  disabled: ["", "Disabled"],
};
const SURE_MS = 5000;

function element(name, classes, text) {
  const made = document.createElement(name);
  if (classes) made.className = classes;
  if (text) made.textContent = text;
  return made;
}

function button(words, label, act, sure) {
  const made = element("button", "plain", words);
  made.type = "button";
  made.setAttribute("aria-label", label);
  made.addEventListener("click", () => {
    if (!sure || made.classList.contains("sure")) return act();
    made.classList.add("sure");
    made.textContent = sure;
    made.setAttribute("aria-label", `${sure} ${label}`);
    setTimeout(() => {
      made.classList.remove("sure");
      made.textContent = words;
      made.setAttribute("aria-label", label);
    }, SURE_MS);
    return undefined;
  });
  return made;
}

function row(name, chip, facts, buttons) {
  const item = element("li");
  const about = element("div");
  const line = element("p", "rights quiet");
  line.append(chip, ...facts.filter(Boolean).map((fact) => element("span", "", fact)));
  about.append(element("b", "", name), line);
  const side = element("div", "buttons");
  side.append(...buttons);
  item.append(about, side);
  return item;
}

function rights({ roles, agents }) {
  const whose = agents === null ? "every call" : agents.length ? `calls of ${agents.join(", ")}` : "no calls";
  const calls = roles.includes("agent") && !roles.includes("supervisor");
  return [roles.join(", "), calls ? whose : ""];
}

export function userRow(user, command) {
  const [colour, words] = STATES[user.state];
  const chip = element("span", `chip ${colour}`.trim(), words);
  const signedIn = user.sessions ? `signed in with ${user.sessions} browser${user.sessions > 1 ? "s" : ""}` : "";
  const reset = user.state === "invited" ? "New link" : "Reset password";
  const buttons = user.state === "disabled"
    ? [button("Enable", `Enable ${user.name}`, () => command("enable"))]
    : [
      button(reset, `${reset}: ${user.name}`, () => command("reset"), user.state === "invited" ? "" : "Really reset?"),
      button("Disable", `Disable ${user.name}`, () => command("disable"), "Really disable?"),
    ];
  if (user.sessions) buttons.unshift(button("Sign out", `Sign ${user.name} out`, () => command("sign_out")));
  return row(user.name, chip, [...rights(user), signedIn], buttons);
}

export function keyRow(key, revoke) {
  const chip = element("span", key.revoked ? "chip" : "chip good", key.revoked ? "Revoked" : "Good");
  const buttons = key.revoked ? [] : [button("Revoke", `Revoke ${key.name}`, revoke, "Really revoke?")];
  return row(key.name, chip, rights(key), buttons);
}

export function ticks(fieldset, roles) {
  for (const [role, words] of roles) {
    const label = element("label", "tick");
    const box = element("input");
    box.type = "checkbox";
    box.value = role;
    label.append(box, element("span", "", words));
    fieldset.append(label);
  }
}

export function ticked(fieldset) {
  return [...fieldset.querySelectorAll("input:checked")].map((box) => box.value);
}
