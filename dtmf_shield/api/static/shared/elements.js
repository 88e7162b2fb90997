// What every page builds with: a node in one call, words that change only where they differ, the shield badge.
import { icon } from "./icons.js";
import { t } from "./i18n.js";

export function make(tag, className, ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

// Readers of the screen and selections are not disturbed where nothing is new.
export function setWords(node, words) {
  if (node.textContent !== words) node.textContent = words;
}

// A fixed word that becomes another one: it is said in the new language with the others.
export function setFixedWord(node, key) {
  node.dataset.t = key;
  setWords(node, t(key));
}

// Draws the inside of a node anew only where key differs from the last.
export function redraw(node, key, draw) {
  if (node.dataset.drawn === key) return;
  node.dataset.drawn = key;
  node.replaceChildren(...draw());
}

class ShieldBadge extends HTMLElement {
  show(state) {
    this.dataset.state = state;
    const words = t(`shield.${state}`);
    redraw(this, `${state} ${words}`, () => [make("p", `badge ${state}`, icon(state), make("span", "", words))]);
  }
}

customElements.define("shield-badge", ShieldBadge);
