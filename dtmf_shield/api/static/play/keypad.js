// The caller's keypad: one stop for Tab, arrows within, and the keys of the keyboard themselves while the focus is in it.
import { make } from "../shared/elements.js";

export const KEYS = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "*", "0", "#"];
const LETTERS = ["", "ABC", "DEF", "GHI", "JKL", "MNO", "PQRS", "TUV", "WXYZ", "", "", ""];
const COLUMNS = 3;
const STEPS = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -COLUMNS, ArrowDown: COLUMNS };
const FLASH_MS = 140;

export function drawKeypad(group, press) {
  const buttons = KEYS.map((key, place) => {
    const button = make("button", "key", make("b", "", key));
    if (LETTERS[place]) {
      const letters = make("small", "", LETTERS[place]);
      letters.setAttribute("aria-hidden", "true");
      button.append(letters);
    }
    button.type = "button";
    button.tabIndex = place === 0 ? 0 : -1;
    button.dataset.key = key;
    button.addEventListener("click", () => press(key));
    return button;
  });
  group.replaceChildren(...buttons);
  group.addEventListener("focusin", ({ target }) => {
    for (const button of buttons) button.tabIndex = button === target ? 0 : -1;
  });
  group.addEventListener("keydown", (event) => typed(event, buttons, press));
}

function typed(event, buttons, press) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const at = buttons.indexOf(document.activeElement);
  const step = STEPS[event.key];
  if (step) {
    buttons[at + step]?.focus();
    event.preventDefault();
    return;
  }
  const place = KEYS.indexOf(event.key);
  if (place < 0 || event.repeat) return;
  event.preventDefault();
  flash(buttons[place]);
  press(KEYS[place]);
}

function flash(button) {
  button.classList.add("down");
  setTimeout(() => button.classList.remove("down"), FLASH_MS);
}
