// Puts the agent page together: the panel of the call in hand, the list of calls, and the menu.
import "../shared/menu.js";
import { remember, speak, wantedLanguage } from "../shared/language.js";
import { pagesOf, whoIsIt } from "../shared/person.js";
import { look, wear } from "../shared/theme.js";
import { beginPanel, now, update } from "./panel.js";

const at = (id) => document.getElementById(id);

function showMenu(person, language) {
  at("menu").show({ person, pages: pagesOf(person), here: "agent", language });
}

async function begin() {
  wear(look());
  const person = await whoIsIt();
  const language = wantedLanguage(person);
  await speak(language);
  showMenu(person, language);
  at("menu").addEventListener("language", async (event) => {
    if (!await speak(event.detail)) return;
    remember(event.detail);
    showMenu(person, event.detail);
    update(now());
  });
  beginPanel();
}

begin();
