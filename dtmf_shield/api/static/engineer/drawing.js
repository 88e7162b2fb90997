// A flow's picture, and the same as a nested list: steps, and behind each where its ways lead.
import { make, redraw } from "../shared/elements.js";
import { t } from "../shared/i18n.js";

const at = (id) => document.getElementById(id);
let shown = "";

// drawing: {graph, svg} or null where the text has errors (the last picture stays, and that is said).
// go: told the name of a step that the reader wants to see in the text.
// checked: whether the text has been read; until then nothing is said of mistakes.
export function drawPicture(drawing, go, checked) {
  const there = Boolean(drawing?.svg);
  const note = at("picture-note");
  note.hidden = there || !checked;
  note.textContent = there ? "" : t(shown ? "engineer.picture.old" : "engineer.picture.none");
  at("paper").classList.toggle("old", !there && checked);
  if (!there) return;
  shown = drawing.svg;
  at("paper").hidden = at("steps-box").hidden = false;
  at("drawing").src = `data:image/svg+xml,${encodeURIComponent(drawing.svg)}`;
  at("drawing").alt = t("engineer.picture.alt", { title: drawing.graph.title });
  at("drawing").width = Number(/viewBox="0 0 (\d+)/.exec(drawing.svg)?.[1] ?? 0);
  drawSteps(drawing.graph, go);
}

export function forgetPicture() {
  shown = "";
  at("paper").hidden = at("steps-box").hidden = true;
  at("steps").replaceChildren();
}

export function drawSteps(graph, go) {
  redraw(at("steps"), `${document.documentElement.lang} ${JSON.stringify(graph)}`, () => inOrder(graph).map((node) => {
    const ways = graph.edges.filter((edge) => edge.source === node.name);
    const head = make("p", "step", jump(node.name, go), make("span", "does", `${node.do} ${node.about}`.trim()));
    if (node.name === graph.start) head.append(make("span", "chip busy", t("engineer.step.start")));
    const item = make("li", "", head);
    if (ways.length) item.append(make("ul", "ways", ...ways.map((edge) => make("li", "", `${edge.label} → `, jump(edge.target, go)))));
    return item;
  }));
}

function jump(name, go) {
  const button = make("button", "jump", name);
  button.type = "button";
  button.addEventListener("click", () => go(name));
  return button;
}

// The start first, then as the ways lead; what none leads to at the end.
function inOrder(graph) {
  const nodes = new Map(graph.nodes.map((node) => [node.name, node]));
  const order = [];
  const walk = (name) => {
    const node = nodes.get(name);
    if (!node || order.includes(node)) return;
    order.push(node);
    for (const edge of graph.edges) if (edge.source === name) walk(edge.target);
  };
  walk(graph.start);
  for (const node of graph.nodes) walk(node.name);
  return order;
}

export function savePicture(name) {
  if (shown) save(`${name}.svg`, shown, "image/svg+xml");
}

export function save(name, text, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}
