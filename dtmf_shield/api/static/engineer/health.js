// How the service itself does: processes, load, gateway, media, trunks, certificates, prompts. Nothing of any caller.
import { make } from "../shared/elements.js";
import { duration, has, percent, t, tCount } from "../shared/i18n.js";
import { icon } from "../shared/icons.js";

const SOON_DAYS = 30;
const PACKET_MS = 20;
const MISSES_PERMILLE_MAX = 1;  // more late packets than that and somebody hears it
const BUSY_PERMILLE_MAX = 800;  // above, a burst finds no room
const LOOKS = { up: "good", down: "bad", unknown: "warn" };
const STATES = { up: "engineer.up", down: "engineer.down", unknown: "engineer.unknown" };
const MEDIA = ["received", "sent", "lost", "late", "bad_source", "malformed", "events_removed", "masked_samples"];

export function drawHealth(root, nodes) {
  cards = 0;
  renew(root, make("div", "", ...nodes.flatMap(drawNode)));
}

// Every few seconds some figure is another one. Only what differs is put in anew, down to a word: the reader's place, and
// what is selected beside it, stay.
function renew(old, fresh) {
  const pairs = [...old.childNodes].map((child, place) => [child, fresh.childNodes[place]]);
  if (pairs.length !== fresh.childNodes.length) { old.replaceChildren(...fresh.childNodes); return; }
  for (const [was, is] of pairs) {
    if (was.isEqualNode(is)) continue;
    if (was.cloneNode().isEqualNode(is.cloneNode())) renew(was, is);
    else was.replaceWith(is);
  }
}

function drawNode(node) {
  return [
    card("wide", node.name, [
      facts([
        ["version", node.version], ["started", moment(node.started_at)],
        ["calls", `${node.calls} / ${node.calls_max}`], ["captures", node.captures],
        ["readers", `${node.readers.streams} / ${node.readers.streams_max}`], ["lag", node.readers.lag_events],
        ["webhooks", node.webhooks_waiting],
      ]),
    ]),
    card("wide", t("engineer.threads"), media(node)),
    card("", t("engineer.processes"), [processes(node)]),
    card("", tCount("engineer.gateways", node.gateways.length), gateways(node.gateways)),
    card("", t("engineer.trunks"), [trunks(node.trunks)]),
    card("", t("engineer.certificates"), [certificates(node.certificates)]),
    card("", t("engineer.prompts"), prompts(node.prompts)),
    card("", t("engineer.media"), [
      make("p", "quiet", t("engineer.media.note")),
      facts(MEDIA.map((name) => [`media.${name}`, node.media[name].toLocaleString(document.documentElement.lang)])),
    ]),
  ];
}

let cards = 0;
function card(kind, title, inside) {
  const head = make("h2", "name", title);
  head.id = `card-${cards += 1}`;
  const section = make("section", `card part ${kind}`, head, ...inside);
  section.setAttribute("aria-labelledby", head.id);
  return section;
}

function facts(rows) {
  return make("dl", "facts", ...rows.map(([key, value]) => (
    make("div", "", make("dt", "", t(`engineer.fact.${key}`)), make("dd", "", String(value)))
  )));
}

function chip(look, words) {
  return make("span", `chip ${look}`, icon(look === "plain" ? "plain" : look), make("span", "", words));
}

function table(columns, rows) {
  const head = make("tr", "", ...columns.map((name) => {
    const cell = make("th", "", t(`engineer.column.${name}`));
    cell.scope = "col";
    return cell;
  }));
  const body = rows.map((cells) => make("tr", "", ...cells.map((cell, place) => {
    const shown = make("td", "", ...(Array.isArray(cell) ? cell : [cell]));
    shown.dataset.label = t(`engineer.column.${columns[place]}`);
    return shown;
  })));
  return make("table", "stack", make("thead", "", head), make("tbody", "", ...body));
}

function media(node) {
  const { sentinel, threads, events_lost: lost } = node.media;
  const legs = sentinel ? [
    ["listened_legs", number(sentinel.listened_legs)], ["listened", duration(sentinel.listened_s)],
    ["keys_after_mask", number(sentinel.keys_after_mask)], ["events_lost", number(lost)],
  ] : [];
  return [
    make("p", "lead sentinel", chip(...sentinelWords(node))),
    make("p", "quiet", t("engineer.sentinel.note")),
    facts(legs),
    threads.length ? table(["thread", "packets", "stay", "misses", "busy"], threads.map(threadRow))
      : make("p", "quiet", t("engineer.threads.none")),
  ];
}

// In doubt not OK: who has listened to nothing has found nothing.
function sentinelWords({ media: { sentinel }, processes: all }) {
  if (sentinel?.keys_after_mask) return ["bad", tCount("engineer.sentinel.leak", sentinel.keys_after_mask)];
  if (!all.some((one) => one.name === "media" && one.up)) return ["bad", t("engineer.sentinel.away")];
  return sentinel?.listened_s ? ["good", t("engineer.sentinel.ok")] : ["plain", t("engineer.sentinel.idle")];
}

function threadRow(one) {
  const slow = one.stay_us_p99 > 1000 * PACKET_MS;
  const missed = one.deadline_misses * 1000 > one.packets * MISSES_PERMILLE_MAX;
  const stay = [one.stay_us_p50, one.stay_us_p99, one.stay_us_max].map(milliseconds).join(" · ");
  return [
    make("b", "", one.name), number(one.packets),
    slow ? chip("warn", stay) : stay,
    missed ? chip("warn", number(one.deadline_misses)) : number(one.deadline_misses),
    one.busy_permille > BUSY_PERMILLE_MAX ? chip("warn", percent(one.busy_permille)) : percent(one.busy_permille),
  ];
}

const number = (value) => value.toLocaleString(document.documentElement.lang);

function milliseconds(us) {
  const digits = us < 10_000 ? 2 : 0;
  const shown = (us / 1000).toLocaleString(document.documentElement.lang, { minimumFractionDigits: digits, maximumFractionDigits: digits });
  return `${shown} ms`;
}

function processes(node) {
  return table(["process", "state", "since", "restarts"], node.processes.map((one) => [
    make("b", "", one.name),
    [chip(one.up ? "good" : "bad", t(one.up ? "engineer.up" : "engineer.down")), ...one.weaker.map((why) => make("small", "weaker", why))],
    moment(one.since),
    one.restarts ? chip("warn", String(one.restarts)) : "0",
  ]));
}

function gateways(all) {
  if (!all.length) return [make("p", "quiet", t("engineer.gateways.none"))];
  return all.map((one) => gateway(one, all.length > 1));
}

function gateway(one, several) {
  const ms = (value) => (value === null ? "–" : `${value} ms`);
  const state = make("p", "lead", make("b", "", one.name), chip(LOOKS[one.state], t(STATES[one.state])));
  if (several) state.append(make("small", "quiet", t(`engineer.gateway.${one.use}`)));
  const why = one.reason ? [make("p", "weaker", t(`engineer.gateway.${one.reason}`))] : [];
  return make("div", "gateway", state, ...why, facts([
    ["since", one.since ? moment(one.since) : "–"], ["p50", ms(one.latency_ms_p50)], ["p99", ms(one.latency_ms_p99)],
    ["operations", one.operations],
  ]));
}

function trunks(all) {
  if (!all.length) return make("p", "quiet", t("engineer.trunks.none"));
  return table(["trunk", "networks", "calls", "seen"], all.map((one) => [
    make("b", "", one.name), one.networks.join(", "), String(one.calls),
    one.seen_at ? moment(one.seen_at) : t("engineer.never"),
  ]));
}

function certificates(all) {
  if (!all.length) return make("p", "quiet", t("engineer.certificates.none"));
  return table(["file", "kind", "days"], all.map((one) => {
    const bad = one.findings.length > 0 && (one.days_left ?? 0) <= 0;
    const soon = one.days_left !== null && one.days_left < SOON_DAYS;
    const look = bad ? "bad" : soon || one.findings.length ? "warn" : "good";
    const left = one.days_left;
    const days = left === null ? "–" : left < 0 ? tCount("engineer.expired", -left) : tCount("engineer.days", left);
    return [
      [make("b", "", one.file), make("small", "", one.subject)], one.kind,
      [chip(look, days), ...one.findings.map((why) => make("small", "weaker", why))],
    ];
  }));
}

function prompts(one) {
  if (!one) return [make("p", "quiet", t("engineer.prompts.unknown"))];
  const whole = one.pieces > 0 && !one.missing.length;
  return [
    make("p", "lead", chip(whole ? "good" : "warn", tCount("engineer.prompts.pieces", one.pieces, number(one.pieces)))),
    make("ul", "reasons", ...one.missing.map((why) => make("li", "", why))),
  ];
}

function moment(text) {
  const when = new Date(text);
  const today = when.toDateString() === new Date().toDateString();
  const two = (number) => String(number).padStart(2, "0");
  const day = today ? "" : `${when.getFullYear()}-${two(when.getMonth() + 1)}-${two(when.getDate())} `;
  return `${day}${two(when.getHours())}:${two(when.getMinutes())}`;
}

export const kindWords = (mode) => (has(`engineer.mode.${mode}`) ? t(`engineer.mode.${mode}`) : mode);
