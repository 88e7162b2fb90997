// Draws a QR code from its rows of cells: "#" is dark. Black on white in every look: cameras want it so.
const SVG = "http://www.w3.org/2000/svg";
const QUIET = 4;  // light cells around it (ISO/IEC 18004)

export function qrPicture(rows, label) {
  const size = rows.length + 2 * QUIET;
  const picture = document.createElementNS(SVG, "svg");
  picture.setAttribute("viewBox", `0 0 ${size} ${size}`);
  picture.setAttribute("role", "img");
  picture.setAttribute("aria-label", label);
  picture.setAttribute("shape-rendering", "crispEdges");
  const cells = document.createElementNS(SVG, "path");
  const dark = rows.flatMap((row, y) => [...row].flatMap((cell, x) => (cell === "#" ? [`M${x + QUIET} ${y + QUIET}h1v1h-1z`] : [])));
  cells.setAttribute("d", dark.join(""));
  cells.setAttribute("fill", "#000");
  picture.append(cells);
  return picture;
}
