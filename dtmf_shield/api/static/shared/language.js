// Which language a page speaks, and its word list: fetched, remembered, put into the page's fixed words.
import { LANGUAGES, pickLanguage, t, useWords } from "./i18n.js";

const KEPT = "dtmf-shield.language";
const AGAIN_MS = 2_000;

let round = 0;

// In this order: the address (?lang=), the choice made in this browser, the person's own, the browser's.
export function wantedLanguage(person) {
  const asked = new URLSearchParams(location.search).get("lang");
  return pickLanguage([asked, kept(), person?.language, ...navigator.languages]);
}

// Arrow keys choose one language after the other, and lists arrive in any order: the last choice is the one spoken.
// false: another was chosen meanwhile, and the page is left to that one.
export async function speak(language) {
  const mine = ++round;
  const words = await wordList(language, () => mine === round);
  if (!words) return false;
  useWords(words, language, navigator.languages);
  document.documentElement.lang = language;
  document.documentElement.dir = "ltr";  // all four are written from left to right
  for (const node of document.querySelectorAll("[data-t]")) node.textContent = t(node.dataset.t);
  for (const node of document.querySelectorAll("[data-t-label]")) node.setAttribute("aria-label", t(node.dataset.tLabel));
  return true;
}

// Storage may be forbidden (an embedded page): then the choice lasts as long as the page.
export function remember(language) {
  try { localStorage.setItem(KEPT, language); } catch { /* nothing is lost but the memory of it */ }
}

function kept() {
  try { return localStorage.getItem(KEPT); } catch { return null; }
}

export function languageOptions() {
  return Object.entries(LANGUAGES).map(([code, name]) => {
    const option = new Option(name, code);
    option.lang = code;
    return option;
  });
}

// Without words there is no page: it says so in English and tries until they are there. null: they are wanted no longer.
async function wordList(language, wanted) {
  const missing = document.getElementById("no-words");
  while (wanted()) {
    const answer = await fetch(new URL(`../i18n/${language}.json`, import.meta.url)).catch(() => null);
    const words = answer?.ok ? await answer.json().catch(() => null) : null;
    if (!wanted()) break;
    missing.hidden = Boolean(words);
    if (words) return words;
    await new Promise((done) => { setTimeout(done, AGAIN_MS); });
  }
  return null;
}
