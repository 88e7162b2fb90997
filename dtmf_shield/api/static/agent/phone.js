// The place of the telephone in the page. With a telephone on the desk there is nothing to press: the page says so.
// A telephone in the browser puts {kind: "browser", muted, toggle} into the state and gets the Mute button.
import { make, redraw } from "../shared/elements.js";
import { t } from "../shared/i18n.js";
import { icon } from "../shared/icons.js";

export function drawPhone(box, phone) {
  box.dataset.kind = phone.kind;
  if (phone.kind === "desk") {
    const words = t("phone.desk.note");
    redraw(box, words, () => [icon("phone"), make("span", "", t("phone.desk")), make("span", "unseen", `. ${words}`)]);
    box.title = words;
    return;
  }
  const words = t(phone.muted ? "phone.unmute" : "phone.mute");
  redraw(box, words, () => {
    const button = make("button", "", words);
    Object.assign(button, { type: "button", id: "mute", onclick: phone.toggle });
    button.setAttribute("aria-pressed", String(phone.muted));
    return [button];
  });
}
