// Which roles, and whose calls: asked in the same way for a new person, for one who changes, and for a key.
import { make } from "../shared/elements.js";
import { t } from "../shared/i18n.js";

export const ROLES = ["agent", "supervisor", "engineer", "auditor", "admin"];

function said(tag, className, key) {
  const node = make(tag, className, t(key));
  node.dataset.t = key;
  return node;
}

// Without an id: the browser draws it, with an edge of its own.
function tick(value, key) {
  const box = Object.assign(make("input", ""), { type: "checkbox", value });
  return make("label", "tick", box, said("span", "", key));
}

// prefix: of ids; roles: those that may be given.
export function rightsAsker(prefix, roles) {
  const legend = said("legend", "", "admin.roles");
  const ticks = make("fieldset", "ask roles", legend, ...roles.map((role) => tick(role, `admin.may.${role}`)));
  const label = said("label", "", "admin.agents");
  const names = Object.assign(make("input", ""), { type: "text", maxLength: 400, autocomplete: "off", spellcheck: false });
  const note = said("p", "quiet", "admin.agents.note");
  const every = tick("every", "admin.agents.every");
  const calls = make("div", "ask", label, names, note, every);
  ticks.id = `${prefix}-roles`;
  label.htmlFor = names.id = `${prefix}-agents`;
  note.id = `${prefix}-agents-note`;
  names.setAttribute("aria-describedby", note.id);
  const isEvery = every.querySelector("input");
  const chosen = () => [...ticks.querySelectorAll("input:checked")].map((box) => box.value);

  // Whose calls are asked for where it means something: an agent's.
  function show() {
    calls.hidden = !chosen().includes("agent");
    names.disabled = isEvery.checked;
  }

  function fill({ roles: held, agents }) {
    for (const box of ticks.querySelectorAll("input")) box.checked = held.includes(box.value);
    names.value = agents?.join(", ") ?? "";
    isEvery.checked = agents === null && held.includes("agent");
    show();
  }

  // {roles, agents: names, null for every call, undefined where none are asked for} or {problem: a key, field}. Every call is
  // chosen, never come by through an empty field.
  function asked() {
    const given = chosen();
    if (!given.length) return { problem: "admin.roles.needed", field: ticks.querySelector("input") };
    if (!given.includes("agent")) return { roles: given };
    if (isEvery.checked) return { roles: given, agents: null };
    const agents = names.value.split(",").map((one) => one.trim()).filter(Boolean);
    return agents.length ? { roles: given, agents } : { problem: "admin.agents.needed", field: names };
  }

  ticks.addEventListener("change", show);
  isEvery.addEventListener("change", show);
  fill({ roles: [], agents: [] });
  return { nodes: [ticks, calls], fill, asked, first: () => ticks.querySelector("input") };
}
