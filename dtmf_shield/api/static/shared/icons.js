// Inline SVG, drawn by script so that nothing is fetched and the colour follows the text.
const SHIELD = "M12 2 4 5v6c0 5 3.4 9 8 11 4.6-2 8-6 8-11V5z";
const PATHS = {
  on: `${SHIELD} M8.5 12l2.5 2.5 4.5-5`,
  off: `${SHIELD} M8.5 12h7`,
  unknown: `${SHIELD} M12 7v6 M12 16.5v.1`,
  fault: "M12 3 2 21h20z M12 10v5 M12 18v.1",
  good: "M4 12.5l5.5 5.5L20 6.5",
  bad: "M6 6l12 12 M18 6 6 18",
  warn: "M12 3 2 21h20z M12 10v5 M12 18v.1",
  plain: "M5 12h14",
  busy: "M5 12h.1 M12 12h.1 M19 12h.1",
  hint: "M9 18h6 M10 21h4 M12 3a6 6 0 0 0-3.5 10.9c.6.5 1 1.1 1 1.8V16h5v-.3c0-.7.4-1.3 1-1.8A6 6 0 0 0 12 3z",
  phone: "M6.5 3h3l1.5 5-2 1.5a12 12 0 0 0 5.5 5.5l1.5-2 5 1.5v3a2 2 0 0 1-2 2A16 16 0 0 1 4.5 5a2 2 0 0 1 2-2z",
  person: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8z M4.5 20.5c1.2-3.5 4-5 7.5-5s6.3 1.5 7.5 5",
  muted: "M4 9.5v5h3.5L12 18.5v-13L7.5 9.5z M16 9.5l5 5 M21 9.5l-5 5",
  silent: "M9 6v12 M15 6v12",
  down: "M6 9l6 6 6-6",
};
const SVG = "http://www.w3.org/2000/svg";

export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  const look = { viewBox: "0 0 24 24", "aria-hidden": "true", fill: "none", stroke: "currentColor", class: `icon icon-${name}` };
  for (const [key, value] of Object.entries(look)) svg.setAttribute(key, value);
  svg.setAttribute("stroke-width", name === "busy" ? "4" : "2.2");
  svg.setAttribute("stroke-linecap", "round");
  svg.setAttribute("stroke-linejoin", "round");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}
