// What a row of the audit log looks like: when, what in words, and its facts.
import { make } from "../shared/elements.js";
import { money, utcDay, utcTime, whole } from "../shared/i18n.js";
import { icon } from "../shared/icons.js";
import { eventWords, factWords } from "./words.js";

// Rows that somebody looks for.
const WARNINGS = new Set(["flow_alert", "velocity_stopped", "keys_after_mask", "login_failed", "login_failures_many",
  "role_denied", "call_denied", "audit_row_cut", "audit_roots_set_aside"]);
// Facts that lead to the other rows of the same person or call.
const LEADS = { by: "person", user: "person", call: "call" };
const FIRST = ["by", "user", "key", "call", "capture", "flow"];

// rows: newest first; linkTo(filter, value): the address that asks for no more than those.
export function drawDays(rows, linkTo) {
  const byDay = Map.groupBy(rows, ({ at }) => at.slice(0, 10));
  return [...byDay].map(([day, ofDay], place) => {
    const title = make("h3", "", utcDay(Date.parse(day)));
    title.id = `day-${place}`;
    const list = make("ol", "rows", ...ofDay.map((row) => drawRow(row, linkTo)));
    list.setAttribute("aria-labelledby", title.id);
    return make("section", "day", title, list);
  });
}

function drawRow(row, linkTo) {
  const time = make("time", "", utcTime(Date.parse(row.at)));
  time.dateTime = row.at;
  const warns = WARNINGS.has(row.event);
  const what = make("p", `what ${warns ? "warn" : ""}`.trim(), ...(warns ? [icon("warn")] : []), make("span", "", eventWords(row.event)));
  if (row.numbers.test) what.append(make("span", "test", "TEST"));
  const facts = factsOf(row).map(([name, value]) => make("div", "", make("dt", "", factWords(name)), make("dd", "", told(name, value, linkTo))));
  const made = make("li", "", time, make("div", "row-body", what, ...(facts.length ? [make("dl", "facts", ...facts)] : [])));
  made.dataset.event = row.event;
  return made;
}

function told(name, value, linkTo) {
  if (!LEADS[name]) return value;
  const link = make("a", "", value);
  link.href = linkTo(LEADS[name], value);
  return link;
}

// Longer numbers are no counts of ours: none that could be a card is shown.
const NUMBER_MAX = 1e11;
const number = (value) => (Math.abs(value) < NUMBER_MAX ? whole(value) : "••••");

// Money is one fact.
function factsOf({ texts, numbers }) {
  const { amount_minor: amount, test: _badge, ...others } = numbers;
  const { currency, ...words } = texts;
  const facts = [...Object.entries(words).filter(([, value]) => value), ...Object.entries(others).map(([name, value]) => [name, number(value)])];
  if (amount !== undefined) facts.push(["amount", currency ? money(amount, currency) : number(amount)]);
  else if (currency) facts.push(["currency", currency]);
  const rank = (name) => (FIRST.includes(name) ? FIRST.indexOf(name) : FIRST.length);
  return facts.sort(([one], [other]) => rank(one) - rank(other));
}
