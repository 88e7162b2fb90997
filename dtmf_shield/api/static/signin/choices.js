// Language and look, before anybody is known: asked at the foot of the page, kept in this browser.
import { t } from "../shared/i18n.js";
import { languageOptions, remember, speak, wantedLanguage } from "../shared/language.js";
import { LOOKS, look, rememberLook, wear } from "../shared/theme.js";

const at = (id) => document.getElementById(id);

// draw: puts into words what the page's fixed words do not say; called again with every language.
export async function speakAsChosen(draw) {
  wear(look());
  const language = wantedLanguage(null);
  await speak(language);
  at("language").replaceChildren(...languageOptions());
  at("language").value = language;
  at("look").replaceChildren(...LOOKS.map(lookOption));
  at("look").value = look();
  at("choices").hidden = false;
  draw();
  at("language").addEventListener("change", async () => {
    remember(at("language").value);
    if (!await speak(at("language").value)) return;
    draw();
  });
  at("look").addEventListener("change", () => { wear(at("look").value); rememberLook(at("look").value); });
}

function lookOption(name) {
  const key = `menu.look.${name}`;
  const option = new Option(t(key), name);
  option.dataset.t = key;
  return option;
}
