// The menu at the end of every page's bar: who is signed in, their pages, language, light or dark, sign out.
import { make, redraw, setWords } from "./elements.js";
import { t } from "./i18n.js";
import { icon } from "./icons.js";
import { languageOptions } from "./language.js";
import { LOOKS, look, rememberLook, wear } from "./theme.js";

class PageMenu extends HTMLElement {
  connectedCallback() {
    if (this.firstChild) return;
    this.name = make("span", "name");
    this.opener = make("summary", "", icon("person"), this.name, icon("down"));
    this.pages = make("nav", "pages");
    this.language = this.#choice("language", languageOptions());
    this.look = this.#choice("look", LOOKS.map((name) => new Option(name, name)));
    this.leave = make("button", "leave");
    this.leave.type = "button";
    this.leave.id = "leave";
    this.panel = make("div", "panel", this.pages, this.language, this.look, this.leave);
    this.details = make("details", "menu", this.opener, this.panel);
    this.append(this.details);
    this.#closing();
    const look_ = this.look.lastChild;
    look_.value = look();
    look_.addEventListener("change", () => { wear(look_.value); rememberLook(look_.value); });
    this.language.lastChild.addEventListener("change", (event) => {
      this.dispatchEvent(new CustomEvent("language", { detail: event.target.value }));
    });
    this.leave.addEventListener("click", () => this.dispatchEvent(new CustomEvent("leave")));
  }

  // person: what GET /v1/me says, or null; pages: [[name, address]]; here: the name of this page.
  show({ person, pages, here, language, mayLeave }) {
    setWords(this.name, person?.name ?? t("menu"));
    const label = person?.name ? t("menu.of", { name: person.name }) : t("menu");
    this.opener.setAttribute("aria-label", label);
    this.pages.hidden = pages.length < 2;
    this.pages.setAttribute("aria-label", t("menu.pages"));
    redraw(this.pages, `${language} ${here} ${JSON.stringify(pages)}`, () => pages.map(([name, address]) => {
      const link = make("a", "", t(`page.${name}`));
      link.href = address;
      if (name === here) link.setAttribute("aria-current", "page");
      return link;
    }));
    setWords(this.language.firstChild, t("menu.language"));
    this.language.lastChild.value = language;
    setWords(this.look.firstChild, t("menu.look"));
    for (const option of this.look.lastChild.options) setWords(option, t(`menu.look.${option.value}`));
    setWords(this.leave, t("menu.leave"));
    this.leave.hidden = !mayLeave;
  }

  #choice(id, options) {
    const label = make("label", "");
    const select = make("select", "", ...options);
    label.htmlFor = select.id = `menu-${id}`;
    return make("div", "ask", label, select);
  }

  #closing() {
    this.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !this.details.open) return;
      this.details.open = false;
      this.opener.focus();
    });
    document.addEventListener("click", (event) => { if (!this.contains(event.target)) this.details.open = false; });
    this.addEventListener("focusout", (event) => {
      if (event.relatedTarget && !this.contains(event.relatedTarget)) this.details.open = false;
    });
  }
}

customElements.define("page-menu", PageMenu);
