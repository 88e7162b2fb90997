// The menu at the end of every page's bar: who is signed in, their pages, language, light or dark, sign out. It signs out by
// itself, and whoever has it tells of the presence of its reader: no page can forget either.
import "./presence.js";
import { make, redraw, setWords } from "./elements.js";
import { t } from "./i18n.js";
import { icon } from "./icons.js";
import { languageOptions } from "./language.js";
import { leave } from "./leave.js";
import { LOOKS, look, rememberLook, wear } from "./theme.js";

class PageMenu extends HTMLElement {
  connectedCallback() {
    if (this.firstChild) return;
    this.name = make("span", "name");
    this.opener = make("button", "opener", icon("person"), this.name, icon("down"));
    Object.assign(this.opener, { type: "button", id: "menu-opener" });
    this.opener.setAttribute("aria-controls", "menu-panel");
    this.pages = make("nav", "pages");
    this.language = this.#choice("language", languageOptions());
    this.look = this.#choice("look", LOOKS.map((name) => new Option(name, name)));
    this.leave = make("button", "leave");
    this.leave.type = "button";
    this.leave.id = "leave";
    this.told = make("p", "told");
    this.told.setAttribute("role", "alert");
    this.panel = make("div", "panel", this.pages, this.language, this.look, this.leave, this.told);
    this.panel.id = "menu-panel";
    this.append(this.opener, this.panel);
    this.#open(false);
    this.#openAndClose();
    const chosen = this.look.lastChild;
    chosen.value = look();
    chosen.addEventListener("change", () => { wear(chosen.value); rememberLook(chosen.value); });
    this.language.lastChild.addEventListener("change", (event) => {
      this.dispatchEvent(new CustomEvent("language", { detail: event.target.value }));
    });
    this.leave.addEventListener("click", () => this.#leave());
  }

  // person: what GET /v1/me says, or null; pages: [[name, address]]; here: the name of this page.
  show({ person, pages: all, here, language }) {
    // In the play page's frame: a page that is chosen takes the whole window, and the play page is there already.
    const framed = window.top !== window;
    const pages = framed ? all.filter(([name]) => name !== "play") : all;
    setWords(this.name, person?.name ?? t("menu"));
    const label = person?.name ? t("menu.of", { name: person.name }) : t("menu");
    this.opener.setAttribute("aria-label", label);
    this.pages.hidden = pages.length < 2;
    this.pages.setAttribute("aria-label", t("menu.pages"));
    redraw(this.pages, `${language} ${here} ${JSON.stringify(pages)}`, () => pages.map(([name, address]) => {
      const link = make("a", "", t(`page.${name}`));
      link.href = address;
      if (framed) link.target = "_top";
      if (name === here) link.setAttribute("aria-current", "page");
      return link;
    }));
    setWords(this.language.firstChild, t("menu.language"));
    this.language.lastChild.value = language;
    setWords(this.look.firstChild, t("menu.look"));
    for (const option of this.look.lastChild.options) setWords(option, t(`menu.look.${option.value}`));
    setWords(this.leave, t("menu.leave"));
    this.leave.hidden = !person;
    this.#tell(this.refused ?? "");
  }

  async #leave() {
    this.#tell("");
    this.#tell(await leave());
  }

  // refused: the key of words, told anew when the language changes.
  #tell(refused) {
    this.refused = refused;
    setWords(this.told, refused && t(refused));
  }

  #choice(id, options) {
    const label = make("label", "");
    const select = make("select", "", ...options);
    label.htmlFor = select.id = `menu-${id}`;
    return make("div", "ask", label, select);
  }

  #open(open) {
    this.panel.hidden = !open;
    this.opener.setAttribute("aria-expanded", String(open));
  }

  // Whoever goes on elsewhere has done with it: it never covers what has the focus.
  #openAndClose() {
    this.opener.addEventListener("click", () => this.#open(this.panel.hidden));
    this.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || this.panel.hidden) return;
      event.stopPropagation();
      this.#open(false);
      this.opener.focus();
    });
    document.addEventListener("click", (event) => { if (!this.contains(event.target)) this.#open(false); });
    this.addEventListener("focusout", (event) => {
      if (event.relatedTarget && !this.contains(event.relatedTarget)) this.#open(false);
    });
  }
}

customElements.define("page-menu", PageMenu);
