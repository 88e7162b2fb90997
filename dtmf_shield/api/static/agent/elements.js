// The two custom elements of the page (light DOM): the shield badge and one field's row.
import { icon } from "../shared/icons.js";
import { SHIELD, brandName, countWords, fieldWords } from "./words.js";

export function make(tag, className, ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

class ShieldBadge extends HTMLElement {
  show(state) {
    if (this.dataset.state === state) return;
    this.dataset.state = state;
    this.replaceChildren(make("p", `badge ${state}`, icon(state), make("span", "", SHIELD[state])));
  }
}

class CaptureField extends HTMLElement {
  connectedCallback() {
    if (this.firstChild) return;
    this.row = make("div", "field");
    this.label = make("span", "label");
    this.mask = make("span", "mask");
    this.mask.setAttribute("aria-hidden", "true");
    this.heard = make("span", "unseen");
    this.chip = make("span", "chip");
    this.button = make("button", "", "Reset");
    this.button.type = "button";
    this.row.append(this.label, make("span", "unseen", ": "), this.mask, this.chip, this.heard, this.button);
    this.append(this.row);
  }

  show(field, { now, busy, blocked }) {
    const [look, words] = fieldWords(field);
    this.row.classList.toggle("now", now);
    this.label.textContent = field.label;
    this.mask.textContent = shownMask(field);
    this.mask.classList.toggle("none", !field.count);
    this.heard.textContent = `, ${heardWords(field)}`;
    const chip = `chip ${look}`.trim();
    if (this.chip.className !== chip || this.chip.textContent !== words) {
      this.chip.className = chip;
      this.chip.replaceChildren(...(look ? [icon(look)] : []), words);
    }
    this.button.hidden = !busy;
    this.button.setAttribute("aria-disabled", String(blocked));
    this.button.setAttribute("aria-label", `Reset ${field.label.toLowerCase()}`);
  }
}

// The mask has no digit; last4, where it is given, stands in place of the last four keys.
function shownMask(field) {
  if (field.value) return field.value;
  if (field.count === null) return field.last4 ? `•••• ${field.last4}` : "";
  if (field.last4) return field.masked.replace(/•{4}$|•{1,3} ?•{1,3}$/, field.last4);
  return field.masked || { expiry: "○○/○○", security_code: "○○○", card_number: "○○○○ ○○○○ ○○○○ ○○○○" }[field.kind] || "○○○○";
}

function heardWords(field) {
  if (field.last4) return `${brandName(field.brand ?? "")} ending ${[...field.last4].join(" ")}`;
  return field.count === null ? "keys not shown" : countWords(field);
}

customElements.define("shield-badge", ShieldBadge);
customElements.define("capture-field", CaptureField);
