// Both sides of a test call on one time axis: peaks above spectrum, the caller's phone above the agent's, presses marked.
import { make } from "../shared/elements.js";
import { niceStep, svg } from "../shared/chart.js";
import { t, tCount } from "../shared/i18n.js";

const PX_A_MS_MAX = 0.5;
const BEFORE_MS = 400;
const TICK_PX = 70;
const PEAK = 128;
const FRAME_PX_MIN = 8;  // closer together frames would be all there is to see
export const FIELD_COLOURS = 5;

// Fields in the order in which they were keyed: {name, first, last, keys}, a field that is keyed again anew.
export function fieldsOf(presses) {
  const fields = [];
  for (const press of presses) {
    let field = fields.at(-1);
    if (!field || field.name !== press.field) fields.push(field = { name: press.field, first: press.start_ms, keys: 0 });
    field.last = press.end_ms;
    field.keys += 1;
  }
  return fields;
}

export function scope(call, evidence) {
  const fields = fieldsOf(evidence.presses);
  const wide = make("div", "wide");
  const view = make("div", "view", wide);
  view.tabIndex = 0;
  view.setAttribute("role", "region");
  view.setAttribute("aria-label", t("engineer.evidence.view"));
  const all = fields.length ? [fields[0].first, fields.at(-1).last] : null;
  const shows = [
    ...(all ? [{ words: t("engineer.zoom.keys"), span: all }] : []),
    ...fields.map((field, place) => ({ words: fieldWords(field), span: [field.first, field.last], place })),
    { words: t("engineer.zoom.whole"), span: null },
  ];
  let shown = shows[0];

  function lay() {
    const edge = 3.5 * parseFloat(getComputedStyle(document.documentElement).fontSize);
    const room = view.clientWidth - edge;
    if (room < 1) return;
    const [from, to] = shown.span ? [Math.max(0, shown.span[0] - BEFORE_MS), shown.span[1] + BEFORE_MS] : [0, evidence.duration_ms];
    const pxAMs = Math.min(PX_A_MS_MAX, room / Math.min(to - from, evidence.duration_ms));
    const width = Math.max(1, Math.floor(evidence.duration_ms * pxAMs));
    wide.style.setProperty("--long", `${width}px`);
    wide.replaceChildren(marks(fields, evidence, width), ...evidence.sides.flatMap((side) => panel(call, side, evidence, width)), axis(evidence, width));
    view.scrollLeft = (from * width) / evidence.duration_ms - Math.max(0, (room - (to - from) * pxAMs) / 2);
  }

  const buttons = shows.map((show) => {
    const button = make("button", "", ...(show.place === undefined ? [] : [tag(show.place)]), make("span", "", show.words));
    button.type = "button";
    button.addEventListener("click", () => { shown = show; press(); lay(); });
    return button;
  });
  const press = () => buttons.forEach((button, place) => button.setAttribute("aria-pressed", String(shows[place] === shown)));
  press();
  new ResizeObserver(lay).observe(view);
  const group = make("div", "tools", ...buttons);
  group.setAttribute("role", "group");
  group.setAttribute("aria-label", t("engineer.zoom"));
  return make("div", "scope", group, view);
}

const fieldWords = (field) => `${field.name ? t(`kind.${field.name}`) : t("engineer.zoom.field")} · ${field.keys}`;

// A field's number in its colour: the colour alone says nothing to many eyes.
function tag(place) {
  const made = make("b", `tag hue-${place % FIELD_COLOURS}`, String(place + 1));
  made.setAttribute("aria-hidden", "true");
  return made;
}

function row(kind, edge, inside) {
  const side = make("div", "edge", ...edge);
  return make("div", `row ${kind}`, side, make("div", "long", ...inside));
}

function hidden(node) {
  node.setAttribute("aria-hidden", "true");
  return node;
}

function marks(fields, evidence, width) {
  const x = (ms) => (ms / evidence.duration_ms) * width;
  const bars = fields.map((field, place) => {
    const bar = make("div", `bar-mark hue-${place % FIELD_COLOURS}`, make("b", "", String(place + 1)));
    bar.style.setProperty("inset-inline-start", `${x(field.first)}px`);
    bar.style.setProperty("inline-size", `${Math.max(3, x(field.last) - x(field.first))}px`);
    return bar;
  });
  return hidden(row("marks", [], bars));
}

function panel(call, side, evidence, width) {
  const who = make("p", "who", make("b", "", t(`engineer.side.${side.side}`)), " ", make("span", "", sideWords(call, side)));
  const picture = make("img", "");
  Object.assign(picture, { src: `/v1/test-calls/${call.id}/evidence/${side.side}.png`, alt: t("engineer.evidence.alt", { side: t(`engineer.side.${side.side}`) }) });
  picture.draggable = false;
  // The last column may reach beyond the call's end.
  const columns = Math.ceil(evidence.duration_ms / evidence.column_ms);
  picture.style.setProperty("inline-size", `${(columns * evidence.column_ms * width) / evidence.duration_ms}px`);
  return [
    make("div", "who-row", who),
    hidden(row("wave", [], [wave(side, evidence, width)])),
    row(`spectrum ${side.side}`, [hidden(hertz(evidence.axis))], [picture, hidden(overlay(side, evidence, width))]),
  ];
}

function sideWords(call, side) {
  if (side.side === "caller") return t("engineer.side.caller.note", { heard: call.keys_caller ?? 0, sent: call.keys_sent });
  return tCount("engineer.side.agent.note", call.keys_agent ?? 0);
}

function wave(side, evidence, width) {
  const count = side.low.length;
  const top = side.high.map((value, place) => `${place} ${-value - 1}`);
  const bottom = side.low.map((value, place) => `${place} ${1 - value}`).reverse();
  const box = { viewBox: `0 ${-PEAK} ${Math.max(1, evidence.duration_ms / evidence.peak_ms)} ${2 * PEAK}`, preserveAspectRatio: "none", width, height: "100%" };
  return svg("svg", box, svg("path", { d: count ? `M${[...top, ...bottom].join("L")}Z` : "" }));
}

const share = (axis, hz) => (axis.to_hz - hz) / (axis.to_hz - axis.from_hz);

function hertz(axis) {
  return make("div", "hertz", ...[...axis.rows_hz, ...axis.columns_hz].map((hz) => {
    const label = make("span", "", String(hz));
    label.style.setProperty("inset-block-start", `${100 * share(axis, hz)}%`);
    return label;
  }));
}

// Lines at the keypad's frequencies; at the agent's side, brackets around each press: the place that must be dark.
function overlay(side, evidence, width) {
  const picture = svg("svg", { width, height: "100%", class: "overlay" });
  for (const hz of [...evidence.axis.rows_hz, ...evidence.axis.columns_hz]) {
    const y = `${100 * share(evidence.axis, hz)}%`;
    picture.append(svg("line", { x1: 0, x2: width, y1: y, y2: y, class: "tone" }));
  }
  if (side.side === "caller") return picture;
  const x = (ms) => (ms / evidence.duration_ms) * width;
  let place = -1;
  let last;
  for (const press of evidence.presses) {
    if (place < 0 || press.field !== last) place += 1;
    last = press.field;
    const [left, across] = [x(press.start_ms), Math.max(2, x(press.end_ms) - x(press.start_ms))];
    const hue = `hue-${place % FIELD_COLOURS}`;
    for (const y of ["0", "97%"]) picture.append(svg("rect", { x: left, width: across, y, height: "3%", class: `cap ${hue}` }));
    const through = press.heard_at_agent;
    if (through || across >= FRAME_PX_MIN) {
      picture.append(svg("rect", { x: left, width: across, y: 1, height: "99%", class: `press ${through ? "through" : ""} ${hue}` }));
    }
  }
  return picture;
}

function axis(evidence, width) {
  const seconds = evidence.duration_ms / 1000;
  const fits = Math.max(1, Math.floor(width / TICK_PX));
  const step = seconds / fits < 0.5 ? [0.1, 0.2, 0.5].find((one) => one >= seconds / fits) : niceStep(seconds, fits);
  const picture = svg("svg", { width, height: "100%" });
  for (let place = 0; place * step < seconds; place += 1) {
    const x = (place * step * width) / seconds;
    const words = (place * step).toFixed(step < 1 ? 1 : 0);
    picture.append(svg("line", { x1: x, x2: x, y1: 0, y2: 5, class: "tick" }), svg("text", { x: x + 3, y: 15 }, words));
  }
  return hidden(row("axis", [make("span", "", "s")], [picture]));
}
