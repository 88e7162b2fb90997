// The simulation: a script of what happens, and the transcript with its virtual time. Cards have names, not numbers.
import { make } from "../shared/elements.js";
import { t } from "../shared/i18n.js";

const at = (id) => document.getElementById(id);
const CARDS = ["visa", "mastercard", "amex", "maestro", "discover", "diners", "jcb", "unionpay"];
const LINES = [
  ...CARDS.map((card) => `card ${card}`), "keys 1230", "keys 123", "keys 1", "keys *", "keys 0", "type 1", "wait 10s",
  "agent redo", "agent choose", "agent cancel", "hangup", "crash", "gateway declined", "gateway unknown", "gateway down",
  "hook ok", "hook not_found", "hook none", "transfer failed", "hint duplicate_keys", "language de-DE",
];
const KEYS_OF = {
  card_number: "card visa", expiry: "keys 1230", security_code: "keys 123", date_of_birth: "keys 01021980#",
  postal_code: "keys 1234#", routing_number: "keys 021000021", bank_account: "keys 12345678#",
};
const INPUT_OF = { money: "12.50", text: "A-1", digits: "1234" };
const GOOD_WAY = /\b(ok|approved|key 1)\b/;
const STEPS_MAX = 40;

export function fillLines() {
  at("line").replaceChildren(...LINES.map((line) => new Option(line, line)));
}

export function insertLine() {
  const area = at("script");
  area.value = `${area.value.replace(/\n*$/, "")}\n${at("line").value}\n`.trimStart();
  area.scrollTop = area.scrollHeight;
}

// A script that takes the good way through: a beginning to be changed, not more.
export function suggestScript(text, graph) {
  const lines = inputLines(section(text, "inputs"));
  const fields = section(text, "fields");
  let name = graph.start;
  for (let count = 0; name && count < STEPS_MAX; count += 1) {
    const node = graph.nodes.find((one) => one.name === name);
    if (node?.do === "collect") lines.push(KEYS_OF[typeIn(fields, node.about)] ?? "keys 1234#");
    if (node?.do === "menu") lines.push("keys 1");
    if (node?.do === "http") lines.push("hook ok");
    const ways = graph.edges.filter((edge) => edge.source === name);
    name = (ways.find((edge) => GOOD_WAY.test(edge.label)) ?? ways[0])?.target;
  }
  return `${lines.join("\n")}\n`;
}

// The lines of a section of the file: all that are deeper than its name.
function section(text, name) {
  const lines = text.split("\n");
  const begin = lines.findIndex((line) => line.startsWith(`${name}:`));
  if (begin < 0) return [];
  const rest = lines.slice(begin + 1);
  const end = rest.findIndex((line) => /^[^\s#]/.test(line));
  return end < 0 ? rest : rest.slice(0, end);
}

function typeIn(lines, name) {
  const begin = lines.findIndex((line) => new RegExp(`^ +${name}:`).test(line));
  return /\btype: *([a-z_]+)/.exec(lines.slice(begin).join("\n"))?.[1];
}

function inputLines(lines) {
  return lines.flatMap((line) => {
    const [, name, type] = /^ +(\w+): *\{.*\btype: *(\w+)/.exec(line) ?? [];
    if (!name) return [];
    const first = /allowed: *\[ *"?([\w-]+)/.exec(line)?.[1];
    return [`input ${name}=${first ?? INPUT_OF[type] ?? "A-1"}`];
  });
}

export function drawTranscript(done) {
  at("transcript-none").hidden = Boolean(done);
  at("lines").hidden = at("ending").hidden = !done;
  if (!done) return;
  const exit = done.lines.findLast((line) => line.verb === "exit");
  at("ending").className = `chip ${done.ended ? "good" : "warn"}`;
  at("ending").textContent = done.ended ? t("engineer.ended", { exit: exit.text }) : t("engineer.not_ended");
  at("line-rows").replaceChildren(...done.lines.map((line) => {
    const row = make("tr", `verb-${line.verb}`, make("td", "time", line.at_s.toFixed(1)), make("td", "verb", line.verb));
    row.append(make("td", "words", line.text));
    return row;
  }));
}

export function drawWrong(words) {
  at("script-wrong").replaceChildren(...words.map((one) => make("li", "", one)));
}
