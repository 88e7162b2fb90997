// The reports: asks the service for counts of the days chosen, and draws them. Times are whole seconds, never a key.
import { has, t, tCount } from "../shared/i18n.js";
import { make, setWords } from "../shared/elements.js";
import { bar } from "../shared/chart.js";
import { resultLook } from "../agent/words.js";
import { options } from "./table.js";

const at = (id) => document.getElementById(id);
const RANGES_DAYS = [1, 7, 30, 90, 365];
const FIRST_RANGE_DAYS = 30;
const COLUMNS_IN_A_LINE = 4;
const DAY_MS = 86_400_000;

const locale = () => navigator.languages.find((tag) => tag.startsWith(`${document.documentElement.lang}-`)) ?? document.documentElement.lang;
const number = (value) => new Intl.NumberFormat(locale()).format(value);
const percent = (value) => new Intl.NumberFormat(locale(), { style: "percent", maximumFractionDigits: 1 }).format(value);
const wholePercent = (value) => new Intl.NumberFormat(locale(), { style: "percent", maximumFractionDigits: 0 }).format(value);
const dayWords = (day) => new Intl.DateTimeFormat(locale(), { day: "numeric", month: "short", timeZone: "UTC" }).format(new Date(`${day}T00:00Z`));
const SECONDS = { style: "unit", unit: "second", unitDisplay: "narrow" };
const seconds = (value) => (value === null ? "–" : new Intl.NumberFormat(locale(), SECONDS).format(value));
const iso = (ms) => new Date(ms).toISOString().slice(0, 10);

export function reportsView() {
  const known = { flows: new Set(), agents: new Set() };
  let report = null;
  let round = 0;
  const view = { open: false, show, speak };

  function show(open) {
    view.open = open;
    if (open && !at("from").value) range(FIRST_RANGE_DAYS);
    else if (open) ask();
  }

  // The words have another language now; the numbers are the same.
  function speak() {
    drawQuick();
    if (report) draw();
  }

  function range(days) {
    at("to").value = iso(Date.now());
    at("from").value = iso(Date.now() - (days - 1) * DAY_MS);
    ask();
  }

  function query(format) {
    const wanted = { from: at("from").value, to: at("to").value, flow: at("of-flow").value, agent: at("of-agent").value, format };
    return new URLSearchParams(Object.entries(wanted).filter(([, value]) => value));
  }

  async function ask() {
    drawQuick();
    const mine = ++round;
    at("report").setAttribute("aria-busy", "true");
    const answer = await fetch(`/v1/reports/captures?${query("")}`, { headers: { accept: "application/json" } }).catch(() => null);
    const said = answer ? await answer.json().catch(() => null) : null;
    if (mine !== round) return;  // another was asked for meanwhile
    at("report").setAttribute("aria-busy", "false");
    const slug = (said?.type ?? "").split(":").at(-1);
    if (!answer?.ok || !said) {
      setWords(at("report-told"), has(`problem.${slug}`) ? t(`problem.${slug}`) : t("supervisor.report.failed"));
      return;
    }
    setWords(at("report-told"), "");
    report = said;
    for (const { name } of report.flows) known.flows.add(name);
    for (const { name } of report.agents) if (name) known.agents.add(name);
    draw();
  }

  function drawQuick() {
    const days = (Date.parse(at("to").value) - Date.parse(at("from").value)) / DAY_MS + 1;
    const buttons = RANGES_DAYS.map((many) => {
      const button = make("button", "", tCount("supervisor.days", many));
      button.type = "button";
      button.dataset.days = many;
      button.setAttribute("aria-pressed", String(days === many && at("to").value === iso(Date.now())));
      button.addEventListener("click", () => { range(many); at("quick").querySelector(`[data-days="${many}"]`)?.focus(); });
      return button;
    });
    at("quick").replaceChildren(...buttons);
  }

  function draw() {
    const any = t("supervisor.filter.any");
    options(at("of-flow"), [["", any], ...[...known.flows].sort().map((name) => [name, name])], at("of-flow").value);
    options(at("of-agent"), [["", any], ...[...known.agents].sort().map((name) => [name, name])], at("of-agent").value);
    const opened = [...at("report").querySelectorAll("details[open]")].map((one) => one.parentNode.id);
    at("report").replaceChildren(...(report.begun ? parts(report, query) : [nothing()]));
    for (const id of opened) at(id)?.querySelector("details")?.setAttribute("open", "");
  }

  at("asked").addEventListener("change", ask);
  at("asked").addEventListener("submit", (event) => event.preventDefault());
  drawQuick();
  return view;
}

function nothing() {
  return make("div", "card nothing", make("p", "nothing-title", t("supervisor.report.none")), make("p", "quiet", t("supervisor.report.none.note")));
}

function parts(report, query) {
  return [
    tiles(report),
    make("div", "charts even", dayChart(report), rateChart(report)),
    make("div", "charts", outcomes(report), make("div", "stack", groups(report.flows, "flow"), groups(report.agents, "agent"), abandoned(report))),
    fields(report),
    refused(report),
    downloads(query, report),
  ];
}

const card = (title, ...children) => make("section", "card part-card", make("h2", "chart-title", title), ...children);

function tiles(report) {
  const unknown = report.outcomes.find(({ result }) => result === "unknown").captures;
  const gone = report.outcomes.find(({ result }) => result === "caller_gone").captures;
  const all = [
    ["begun", number(report.begun), t("supervisor.tile.ended", { count: number(report.ended) }), ""],
    ["rate", report.success_rate === null ? "–" : percent(report.success_rate), t("supervisor.tile.succeeded", { count: number(report.succeeded) }), ""],
    ["gone", report.ended ? percent(gone / report.ended) : "–", tCount("supervisor.tile.gone_count", gone, number(gone)), ""],
    ["unknown", number(unknown), t("supervisor.tile.unknown_note"), unknown ? "warn" : ""],
  ];
  return make("ul", "summary", ...all.map(([name, figure, note, look]) => make("li", `tile ${look}`.trim(),
    make("span", "tile-name", t(`supervisor.tile.${name}`)), make("b", "tile-figure", figure), make("span", "tile-note", note))));
}

// Days without a capture are days too.
function everyDay({ from_day: first, to_day: last, days }) {
  const named = new Map(days.map((day) => [day.name, day]));
  const all = [];
  for (let ms = Date.parse(first); ms <= Date.parse(last); ms += DAY_MS) all.push(named.get(iso(ms)) ?? { name: iso(ms), begun: 0, succeeded: 0, unknown: 0, failed: 0, abandoned: 0, end_unknown: 0, success_rate: null });
  return all;
}

function chart(id, data) {
  const node = make("report-chart", "card part-card");
  node.id = id;
  node.show({ labelWords: dayWords, headWords: t("supervisor.day"), tableWords: t("supervisor.as_table"), ...data });
  return node;
}

function dayChart(report) {
  const days = everyDay(report);
  const running = days.map((day) => day.begun - day.succeeded - day.unknown - day.failed - day.end_unknown);
  const series = [
    { name: t("supervisor.succeeded"), look: "good", values: days.map((day) => day.succeeded) },
    { name: t("supervisor.failed"), look: "bad", values: days.map((day) => day.failed) },
    { name: t("supervisor.unknown"), look: "warn", values: days.map((day) => day.unknown) },
    { name: t("supervisor.open"), look: "plain", values: running },
  ];
  if (report.end_unknown) series.push({ name: t("supervisor.end_unknown"), look: "faint", values: days.map((day) => day.end_unknown) });
  return chart("chart-days", { title: t("supervisor.chart.days"), labels: days.map(({ name }) => name), series, words: number, kind: "columns" });
}

// Both of those that ended that day.
function rateChart(report) {
  const days = everyDay(report);
  const left = ({ abandoned, succeeded, unknown, failed }) => (succeeded + unknown + failed ? abandoned / (succeeded + unknown + failed) : null);
  const series = [
    { name: t("supervisor.tile.rate"), look: "busy", values: days.map((day) => day.success_rate) },
    { name: t("supervisor.tile.gone"), look: "warn", values: days.map(left) },
  ];
  return chart("chart-rate", { title: t("supervisor.chart.rate"), labels: days.map(({ name }) => name), series, words: wholePercent, kind: "line", most: 1 });
}

function table(title, heads, rows) {
  const head = make("tr", "", ...heads.map((words, place) => cell("th", words, place ? "number" : "", "col")));
  const body = rows.map((cells) => make("tr", "", ...cells.map((inside, place) => cell(place ? "td" : "th", inside, place ? "number" : "", "row"))));
  const drawn = make("table", "numbers", make("caption", "unseen", title), make("thead", "", head), make("tbody", "", ...body));
  if (heads.length > COLUMNS_IN_A_LINE) asCards(drawn, heads);
  return make("div", "scroll", drawn);
}

// On a narrow screen each row is a card: a table that is drawn so stays one for ears by its roles.
function asCards(drawn, heads) {
  drawn.classList.add("wide");
  drawn.setAttribute("role", "table");
  for (const group of drawn.querySelectorAll("thead, tbody")) group.setAttribute("role", "rowgroup");
  for (const row of drawn.querySelectorAll("tr")) {
    row.setAttribute("role", "row");
    [...row.children].forEach((one, place) => {
      one.setAttribute("role", one.tagName === "TD" ? "cell" : one.scope === "col" ? "columnheader" : "rowheader");
      if (one.tagName === "TD" && typeof heads[place] === "string") one.dataset.label = heads[place];
    });
  }
}

const drawnHead = () => make("span", "unseen", t("supervisor.drawn"));

function cell(tag, inside, className, scope) {
  const node = make(tag, inside instanceof SVGElement ? "bar-holder" : className, inside);
  if (tag === "th") node.scope = scope;
  return node;
}

// Some words of the agent's page speak to the agent.
const resultName = (result) => (has(`supervisor.result.${result}`) ? t(`supervisor.result.${result}`) : t(`result.${result}`));

function outcomes(report) {
  const most = Math.max(1, report.end_unknown, ...report.outcomes.map(({ captures }) => captures));
  const sorted = [...report.outcomes].sort((one, other) => other.captures - one.captures);
  const rows = sorted.map(({ result, captures }) => [
    resultName(result), bar(captures / most, resultLook(result)), number(captures), report.ended ? percent(captures / report.ended) : "–",
  ]);
  if (report.end_unknown) rows.push([t("supervisor.end_unknown"), bar(report.end_unknown / most, "plain"), number(report.end_unknown), "–"]);
  const title = t("supervisor.chart.outcomes");
  return card(title, table(title, [t("supervisor.cause"), drawnHead(), t("supervisor.captures"), t("supervisor.share")], rows));
}

function abandoned(report) {
  const title = t("supervisor.chart.abandoned");
  if (report.abandoned.length === 0) return card(title, make("p", "quiet", t("supervisor.abandoned.none")));
  const most = report.abandoned[0].captures;
  const rows = report.abandoned.map(({ flow, step, captures }) => [
    `${step ? step.replaceAll("_", " ") : t("supervisor.step.unknown")} · ${flow}`, bar(captures / most, "warn"), number(captures),
  ]);
  return card(title, make("p", "quiet", t("supervisor.abandoned.note")), table(title, [t("supervisor.step"), drawnHead(), t("supervisor.captures")], rows));
}

function fields(report) {
  const title = t("supervisor.chart.fields");
  if (report.fields.length === 0) return card(title, make("p", "quiet", t("supervisor.fields.none")));
  const most = Math.max(1, ...report.fields.map(({ p90_s: p90 }) => p90 ?? 0));
  const rows = report.fields.map((field) => [
    has(`kind.${field.kind}`) && !["digits"].includes(field.kind) ? t(`kind.${field.kind}`) : field.field,
    number(field.asked), number(field.accepted), seconds(field.median_s), seconds(field.p90_s),
    bar((field.p90_s ?? 0) / most, "busy"), new Intl.NumberFormat(locale(), { minimumFractionDigits: 2 }).format(field.attempts_mean), refusals(field),
  ]);
  const heads = ["field", "asked", "accepted", "median", "p90", "", "attempts", "refused"];
  const drawn = table(title, heads.map((name) => (name ? t(`supervisor.field.${name}`) : drawnHead())), rows);
  return card(title, make("p", "quiet", t("supervisor.fields.note")), drawn);
}

function refusals({ rejects }) {
  if (rejects.length === 0) return "–";
  return rejects.map(({ reason, times }) => `${t(`supervisor.reason.${reason}`)} ${number(times)}`).join(", ");
}

// The same refusals of all fields together: what goes wrong most.
function refused(report) {
  const title = t("supervisor.chart.refusals");
  const times = new Map();
  for (const { rejects } of report.fields) for (const one of rejects) times.set(one.reason, (times.get(one.reason) ?? 0) + one.times);
  if (times.size === 0) return card(title, make("p", "quiet", t("supervisor.refusals.none")));
  const sorted = [...times].sort(([, one], [, other]) => other - one);
  const rows = sorted.map(([reason, many]) => [t(`supervisor.reason.${reason}`), bar(many / sorted[0][1], "bad"), number(many)]);
  return card(title, table(title, [t("supervisor.refusals.reason"), drawnHead(), t("supervisor.refusals.entries")], rows));
}

function groups(all, kind) {
  const title = t(`supervisor.chart.${kind}`);
  const sorted = [...all].sort((one, other) => other.begun - one.begun);
  const rows = sorted.map((group) => [
    group.name || t("supervisor.agent.none"), number(group.begun), number(group.succeeded), number(group.failed), number(group.unknown),
    group.success_rate === null ? "–" : percent(group.success_rate), bar(group.success_rate ?? 0, "good"),
  ]);
  const heads = [t(`supervisor.filter.${kind}`), t("supervisor.tile.begun"), t("supervisor.succeeded"), t("supervisor.failed"), t("supervisor.unknown"), t("supervisor.tile.rate"), drawnHead()];
  return card(title, table(title, heads, rows));
}

function downloads(query, report) {
  const link = (format, words) => {
    const node = make("a", "download", t(words));
    node.href = `/v1/reports/captures?${query(format)}`;
    node.download = "";
    return node;
  };
  const notes = [t("supervisor.report.utc")];
  if (report.test) notes.push(tCount("supervisor.report.test", report.test, number(report.test)));
  if (report.end_unknown) notes.push(t("supervisor.report.end_unknown", { count: number(report.end_unknown) }));
  if (report.lost) notes.push(tCount("supervisor.report.lost", report.lost, number(report.lost)));
  return make("div", "downloads", link("csv", "supervisor.csv"), link("csv_fields", "supervisor.csv.fields"), make("p", "quiet", notes.join(" ")));
}
