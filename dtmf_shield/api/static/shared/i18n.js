// Words in the reader's language: one flat list a language, {names} filled in; plurals, money and times by Intl.
export const LANGUAGES = { en: "English", de: "Deutsch", fr: "Français", es: "Español" };
const DEFAULT = "en";

let table = {};
let locale = DEFAULT;
let plural = new Intl.PluralRules(DEFAULT);
let formats = new Map();

// Languages wanted, the most wanted first ("de-AT", null, ...): the first that there is a list for.
export function pickLanguage(wanted) {
  for (const tag of wanted) {
    const language = String(tag ?? "").toLowerCase().split(/[-_]/)[0];
    if (Object.hasOwn(LANGUAGES, language)) return language;
  }
  return DEFAULT;
}

// regions: the browser's languages; "en-GB" among them writes money and times the British way.
export function useWords(words, language, regions = []) {
  table = words;
  locale = regions.find((tag) => pickLanguage([tag]) === language && tag.includes("-")) ?? language;
  plural = new Intl.PluralRules(language);
  formats = new Map();
}

// A format costs a hundred times what using it does: each is made once for a language.
function format(name, Kind, options) {
  if (!formats.has(name)) formats.set(name, new Kind(locale, options));
  return formats.get(name);
}

export const has = (key) => Object.hasOwn(table, key);

// A key that there is no word for shows itself: wrong, but nothing else on the page breaks by it.
export function t(key, values = {}) {
  return (table[key] ?? key).replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

// "Name: words", as the language writes its colon.
export const named = (name, words) => t("named", { name, words });

// The list has ".one" and ".other"; finer classes of a language (French "many") take ".other". shown: the count as the
// reader writes it, where it may be long.
export function tCount(key, count, shown = count) {
  const kind = plural.select(count) === "one" ? "one" : "other";
  return t(`${key}.${kind}`, { count: shown });
}

// 1050 EUR as the reader writes it, in as many decimals as the currency has.
export function money(minor, currency) {
  const written = format(currency, Intl.NumberFormat, { style: "currency", currency });
  return written.format(minor / 10 ** written.resolvedOptions().maximumFractionDigits);
}

export function decimal(value) {
  return format("decimal", Intl.NumberFormat, { minimumFractionDigits: 2, useGrouping: false }).format(value);
}

// Thousandths as the reader writes a share: 4 is 0.4 %.
export function percent(permille) {
  const options = { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 };
  return format("percent", Intl.NumberFormat, options).format(permille / 1000);
}

export function clockTime(ms) {
  return format("clock", Intl.DateTimeFormat, { hour: "2-digit", minute: "2-digit" }).format(ms);
}

// Day and time of it, as the reader writes them.
export function dayTime(ms) {
  return format("day", Intl.DateTimeFormat, { dateStyle: "medium", timeStyle: "short" }).format(ms);
}

// What stands in a log: a day, and a time of it to the second, in UTC.
export function utcDay(ms) {
  return new Intl.DateTimeFormat(locale, { dateStyle: "full", timeZone: "UTC" }).format(ms);
}

export function utcTime(ms) {
  const parts = { hour: "2-digit", minute: "2-digit", second: "2-digit" };
  return new Intl.DateTimeFormat(locale, { ...parts, hourCycle: "h23", timeZone: "UTC" }).format(ms);
}

// A whole number in groups of digits.
export function whole(value) {
  return new Intl.NumberFormat(locale, { useGrouping: "always" }).format(value);
}

// Seconds as 03:42, from an hour on as 1:03:42.
export function duration(seconds) {
  const [hours, minutes, rest] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, Math.floor(seconds) % 60];
  const clock = `${String(minutes).padStart(2, "0")}:${String(rest).padStart(2, "0")}`;
  return hours ? `${hours}:${clock}` : clock;
}
