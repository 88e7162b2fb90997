// Charts of our own: columns and a line over days, drawn at the width there is; below each the same numbers as a table.
import { make } from "./elements.js";
import { t } from "./i18n.js";

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT_PX = 190;
const EDGE = { top: 10, right: 8, bottom: 26, left: 38 };
const LABEL_PX = 80;  // one day's name needs as much, and the last one stands beside its place
const GRID_LINES = 4;
const COLUMN_PX_MAX = 44;
let patterns = 0;

export function svg(tag, attributes, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
  node.append(...children);
  return node;
}

// 1, 2, 5, 10, 20 ...: the smallest step that leaves at most GRID_LINES lines.
export function niceStep(most, lines = GRID_LINES) {
  const raw = Math.max(most, 1) / lines;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].find((one) => one * power >= raw) * power;
  return Math.max(step, most > 1 || lines > most ? 1 : step);
}

// A figure: {title, labels, series: [{name, look, values}], words(value), kind: "columns" | "line", most, table}.
// look: good, bad, warn, busy, plain or faint. Columns are stacked; lines have gaps where values are null.
class ReportChart extends HTMLElement {
  connectedCallback() {
    this.watcher = new ResizeObserver(() => this.#draw());
    this.watcher.observe(this);
  }

  disconnectedCallback() {
    this.watcher?.disconnect();
  }

  show(data) {
    this.data = data;
    this.drawn = 0;
    this.canvas = make("div", "canvas");
    const parts = [make("h2", "chart-title", data.title)];
    if (data.series.length > 1) parts.push(legend(data.series));
    const opener = make("summary", "", data.tableWords);
    opener.setAttribute("aria-label", t("chart.point", { name: data.tableWords, value: data.title }));
    parts.push(this.canvas, make("details", "as-table", opener, scroller(data)));
    this.replaceChildren(...parts);
    this.#draw();
  }

  #draw() {
    const width = Math.floor(this.canvas?.clientWidth ?? 0);
    if (!this.data || width === this.drawn || width < 1) return;
    this.drawn = width;
    const picture = (this.data.kind === "line" ? line : columns)(this.data, frame(this.data, width));
    // The table says the same: who does not see is spared the picture.
    picture.setAttribute("aria-hidden", "true");
    this.canvas.replaceChildren(picture);
  }
}

customElements.define("report-chart", ReportChart);

// Where the table is wider than its card, the arrows move it.
function scroller(data) {
  const box = make("div", "scroll", tableOf(data));
  const look = { tabindex: 0, role: "region", "aria-label": data.title };
  for (const [name, value] of Object.entries(look)) box.setAttribute(name, value);
  return box;
}

function legend(series) {
  return make("ul", "legend", ...series.map(({ name, look }) => {
    const id = `hatch-${++patterns}`;
    const mark = svg("svg", { width: 14, height: 14, "aria-hidden": "true" },
      ...hatch(id, look), svg("rect", { width: 14, height: 14, rx: 3, ...fillOf(id, look) }));
    return make("li", "", mark, name);
  }));
}

// Failures are hatched as well as red, the other way what nobody knows: colour alone says nothing to many eyes.
const HATCHES = { bad: { ink: "bad", turn: 45, gap: 2 }, faint: { ink: "plain", turn: -45, gap: 3 } };

function hatch(id, look) {
  if (!HATCHES[look]) return [];
  const { ink, turn, gap } = HATCHES[look];
  const box = { id, width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: `rotate(${turn})` };
  return [svg("defs", {}, svg("pattern", box,
    svg("rect", { width: 6, height: 6, class: `ink-${ink}` }), svg("rect", { width: gap, height: 6, class: "ink-card" })))];
}

const fillOf = (id, look) => (HATCHES[look] ? { fill: `url(#${id})` } : { class: `ink-${look}` });

export function tableOf({ title, labels, series, words, labelWords, headWords }) {
  const head = make("tr", "", headCell(headWords, "col"), ...series.map(({ name }) => headCell(name, "col")));
  const rows = labels.map((label, place) => make("tr", "", headCell(labelWords(label), "row"),
    ...series.map(({ values }) => make("td", "", values[place] === null ? "–" : words(values[place])))));
  return make("table", "numbers", make("caption", "unseen", title), make("thead", "", head), make("tbody", "", ...rows));
}

function headCell(words, scope) {
  const cell = make("th", "", words);
  cell.scope = scope;
  return cell;
}

// The picture with its axes, and where a value and a place stand in it.
function frame(data, width) {
  const totals = data.labels.map((_, place) => data.series.reduce((sum, { values }) => sum + (values[place] ?? 0), 0));
  const most = data.most ?? Math.max(1, ...totals);
  const step = data.most ? data.most / GRID_LINES : niceStep(most);
  const top = data.most ?? Math.ceil(most / step) * step;
  const inner = { width: width - EDGE.left - EDGE.right, height: HEIGHT_PX - EDGE.top - EDGE.bottom };
  const y = (value) => EDGE.top + inner.height * (1 - value / top);
  const pitch = inner.width / Math.max(1, data.labels.length);
  const x = (place) => EDGE.left + pitch * (place + 0.5);
  const picture = svg("svg", { viewBox: `0 0 ${width} ${HEIGHT_PX}`, width, height: HEIGHT_PX, class: "picture" });
  for (let value = 0; value <= top + step / 2; value += step) {
    picture.append(
      svg("line", { x1: EDGE.left, x2: width - EDGE.right, y1: y(value), y2: y(value), class: value ? "grid" : "axis" }),
      svg("text", { x: EDGE.left - 6, y: y(value) + 4, "text-anchor": "end", class: "mark-y" }, data.words(value)),
    );
  }
  const every = Math.ceil(data.labels.length / Math.max(1, Math.floor(inner.width / LABEL_PX)));
  data.labels.forEach((label, place) => {
    if ((data.labels.length - 1 - place) % every) return;
    const anchor = place === data.labels.length - 1 && pitch < LABEL_PX / 2 ? "end" : "middle";
    const at = anchor === "end" ? Math.min(x(place) + pitch / 2, width - 2) : x(place);
    picture.append(svg("text", { x: at, y: HEIGHT_PX - 8, "text-anchor": anchor, class: "mark-x" }, data.labelWords(label)));
  });
  return { picture, x, y, pitch };
}

function columns(data, { picture, x, y, pitch }) {
  const wide = Math.max(1, Math.min(COLUMN_PX_MAX, pitch * 0.72));
  const ids = data.series.map(({ look }) => { const id = `hatch-${++patterns}`; picture.append(...hatch(id, look)); return id; });
  data.labels.forEach((label, place) => {
    let under = 0;
    const group = svg("g", {});
    data.series.forEach(({ look, values }, one) => {
      const value = values[place] ?? 0;
      if (!value) return;
      const box = { x: x(place) - wide / 2, width: wide, y: y(under + value), height: Math.max(1, y(under) - y(under + value)) };
      group.append(svg("rect", { ...box, ...fillOf(ids[one], look) }));
      under += value;
    });
    const said = data.series.map(({ name, values }) => t("chart.point", { name, value: data.words(values[place] ?? 0) })).join("\n");
    group.append(svg("title", {}, `${data.labelWords(label)}\n${said}`));
    picture.append(group);
  });
  return picture;
}

function line(data, place) {
  // The first lies on top: it is what the chart is about.
  for (const series of [...data.series].reverse()) oneLine(data, series, place);
  return place.picture;
}

function oneLine(data, { name, look, values }, { picture, x, y }) {
  let path = "";
  values.forEach((value, place) => {
    if (value === null) return;
    path += `${path && place && values[place - 1] !== null ? "L" : "M"}${x(place).toFixed(1)} ${y(value).toFixed(1)}`;
  });
  picture.append(svg("path", { d: path, class: `line-${look}`, fill: "none" }));
  values.forEach((value, place) => {
    if (value === null) return;
    const point = svg("circle", { cx: x(place), cy: y(value), r: values.length > 60 ? 1.5 : 3.5, class: `ink-${look}` });
    point.append(svg("title", {}, `${data.labelWords(data.labels[place])}\n${t("chart.point", { name, value: data.words(value) })}`));
    picture.append(point);
  });
}

// One bar of a table's row: its cell has the number too.
export function bar(share, look) {
  const box = { viewBox: "0 0 100 10", preserveAspectRatio: "none", class: "bar-cell", "aria-hidden": "true" };
  const width = share > 0 ? Math.max(share * 100, 0.8) : 0;
  return svg("svg", box, svg("rect", { width: 100, height: 10, class: "ink-soft" }),
    svg("rect", { width, height: 10, class: `ink-${look}` }));
}
