// Inline SVG, drawn by script so that nothing is fetched and the colour follows the text.
const PATHS = {
  on: "M12 2 4 5v6c0 5 3.4 9 8 11 4.6-2 8-6 8-11V5z M8 12l3 3 5-6",
  off: "M12 2 4 5v6c0 5 3.4 9 8 11 4.6-2 8-6 8-11V5z M8 12h8",
  unknown: "M12 2 4 5v6c0 5 3.4 9 8 11 4.6-2 8-6 8-11V5z M12 7v6 M12 16.500v.1",
  fault: "M12 3 2 21h20z M12 10v5 M12 18v.1",
  good: "M4 12.500l5.5 5.500L20 6.5",
  bad: "M6 6l12 12 M18 6 6 18",
  warn: "M12 3 2 21h20z M12 10v5 M12 18v.1",
  plain: "M5 12h14",
  busy: "M5 12h.1 M12 12h.1 M19 12h.1",
};
const SVG = "http://www.w3.org/2000/svg";

export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  const look = { viewBox: "0 0 24 24", "aria-hidden": "true", fill: "none", stroke: "currentColor" };
  for (const [key, value] of Object.entries(look)) svg.setAttribute(key, value);
  svg.setAttribute("stroke-width", name === "busy" ? "4" : "2.2");
  svg.setAttribute("stroke-linecap", "round");
  svg.setAttribute("stroke-linejoin", "round");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}
