// The text of a flow: line numbers, a Tab that indents and yet lets a keyboard through, the caret at a finding.
const INDENT = "  ";

// area: a textarea; gutter: where its line numbers stand; place: told of line and column.
export function editor(area, gutter, place) {
  let lines = 0;
  let marked = "";
  // Tab passes through until somebody has begun to write here, and again after Escape.
  let indents = false;

  const caret = () => {
    const before = area.value.slice(0, area.selectionStart);
    const line = before.split("\n").length;
    place(line, before.length - before.lastIndexOf("\n"));
  };
  const number = (wrong = new Map()) => {
    const count = area.value.split("\n").length;
    const key = [...wrong].join();
    if (count === lines && key === marked) return;
    [lines, marked] = [count, key];
    gutter.replaceChildren(...Array.from({ length: count }, (_, at) => {
      const row = document.createElement("span");
      row.textContent = String(at + 1);
      if (wrong.has(at + 1)) row.className = wrong.get(at + 1);
      return row;
    }));
  };
  const insert = (words) => {
    // The one way that the browser's own undo knows of.
    if (!document.execCommand("insertText", false, words)) {
      area.setRangeText(words, area.selectionStart, area.selectionEnd, "end");
      area.dispatchEvent(new Event("input"));
    }
  };
  const indent = (back) => {
    const start = area.value.lastIndexOf("\n", area.selectionStart - 1) + 1;
    const picked = area.value.slice(start, area.selectionEnd);
    if (!back && !picked.includes("\n")) { insert(INDENT); return; }
    const moved = picked.split("\n").map((line) => (back ? line.replace(/^ {1,2}/, "") : INDENT + line)).join("\n");
    if (moved === picked) return;
    area.setSelectionRange(start, area.selectionEnd);
    insert(moved);
    area.setSelectionRange(start, start + moved.length);
  };
  const newLine = () => {
    const start = area.value.lastIndexOf("\n", area.selectionStart - 1) + 1;
    insert(`\n${/^ */.exec(area.value.slice(start, area.selectionStart))[0]}`);
  };

  area.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { indents = false; return; }
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    if (event.key === "Tab") {
      if (!indents) return;
      event.preventDefault();
      indent(event.shiftKey);
    } else if (event.key === "Enter") {
      indents = true;
      event.preventDefault();
      newLine();
    } else if (event.key.length === 1 || event.key === "Backspace" || event.key === "Delete") indents = true;
  });
  area.addEventListener("blur", () => { indents = false; });
  area.addEventListener("pointerdown", () => { indents = true; });
  area.addEventListener("scroll", () => { gutter.scrollTop = area.scrollTop; });
  area.addEventListener("input", () => number());
  for (const event of ["input", "keyup", "click", "focus"]) area.addEventListener(event, caret);

  return {
    get text() { return area.value; },
    show(text) { area.value = text; area.scrollTop = area.scrollLeft = 0; area.setSelectionRange(0, 0); number(); caret(); },
    // wrong: Map of line to "error" or "warning".
    mark: (wrong) => number(wrong),
    // Caret to line and column (from 1), what is there selected to its end, in the middle of the box.
    go(line, column = 1) {
      const all = area.value.split("\n");
      const start = all.slice(0, line - 1).reduce((sum, one) => sum + one.length + 1, 0) + column - 1;
      const length = /^[\w.-]+/.exec((all[line - 1] ?? "").slice(column - 1))?.[0].length ?? 0;
      area.focus();
      area.setSelectionRange(start, start + length);
      const high = area.scrollHeight / all.length;
      area.scrollTop = Math.max(0, high * (line - 0.5) - area.clientHeight / 2);
      area.scrollLeft = 0;
      caret();
    },
  };
}

// The line on which a step's name stands, or 0.
export function lineOfStep(text, name) {
  const lines = text.split("\n");
  const begin = lines.findIndex((line) => /^steps:/.test(line));
  const at = lines.findIndex((line, place) => place > begin && new RegExp(`^ +${name}:`).test(line));
  return begin < 0 ? 0 : at + 1;
}
