// One field's row, a custom element in the light DOM: label, mask, state in words, Reset.
import { make, redraw, setWords } from "../shared/elements.js";
import { t } from "../shared/i18n.js";
import { icon } from "../shared/icons.js";
import { brandMark, fieldLabel, fieldWords, heardMask, shownMask } from "./words.js";

class CaptureField extends HTMLElement {
  connectedCallback() {
    if (this.firstChild) return;
    this.row = make("div", "field");
    this.label = make("span", "label");
    this.mask = make("span", "mask");
    this.mask.setAttribute("aria-hidden", "true");
    this.mark = make("span", "mark");
    this.mark.setAttribute("aria-hidden", "true");
    this.heard = make("span", "unseen");
    this.chip = make("span", "chip");
    this.button = make("button", "reset", make("span", ""), make("kbd", "keys"));
    this.button.type = "button";
    this.button.lastChild.setAttribute("aria-hidden", "true");
    const shown = make("span", "shown", this.mask, this.mark);
    this.row.append(this.label, make("span", "unseen", ": "), shown, this.chip, this.heard, this.button);
    this.append(this.row);
  }

  // place: the field's number from 1, which Alt goes with.
  show(field, { now, busy, stands, blocked, place }) {
    const [look, words] = fieldWords(field, stands);
    const label = fieldLabel(field);
    Object.assign(this.dataset, { field: field.field, state: field.state });
    this.row.classList.toggle("now", now);
    setWords(this.label, label);
    setWords(this.mask, shownMask(field));
    this.mask.classList.toggle("none", !field.count && !field.value);
    this.mark.hidden = !field.brand;
    setWords(this.mark, field.brand ? brandMark(field.brand) : "");
    setWords(this.heard, `, ${heardMask(field)}`);
    this.chip.className = `chip ${look}`.trim();
    redraw(this.chip, `${look} ${words}`, () => [...(look ? [icon(look)] : []), words]);
    this.button.hidden = !busy;
    setWords(this.button.firstChild, t("field.reset"));
    setWords(this.button.lastChild, `Alt ${place}`);
    const state = { "aria-disabled": String(blocked), "aria-label": t("field.reset.of", { field: label }), "aria-keyshortcuts": `Alt+${place}` };
    for (const [name, value] of Object.entries(state)) this.button.setAttribute(name, value);
  }
}

customElements.define("capture-field", CaptureField);
