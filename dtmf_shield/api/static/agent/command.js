// Sends commands: every POST with its own Idempotency-Key, tried again once where the network failed.
import { t } from "../shared/i18n.js";
import { problemWords } from "./words.js";

// "" where the service did it, else words for the agent.
export async function send(path, body) {
  const headers = { "content-type": "application/json", "idempotency-key": crypto.randomUUID() };
  const request = () => fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
  const answer = await request().catch(() => request()).catch(() => null);
  if (answer === null) return t("problem.unanswered");
  if (answer.ok) return "";
  const problem = await answer.json().catch(() => ({}));
  const slug = (problem.type ?? "").split(":").at(-1);
  const words = problemWords(slug, problem.title);
  return slug === "input-refused" ? [words, ...(problem.findings ?? [])].join(" ") : words;
}

// A long number with a right check digit never leaves the page (ISO/IEC 7812-1 annex B).
export function looksLikeCard(text) {
  const digits = text.replace(/\D/g, "");
  if (/\d{12}/.test(text)) return true;
  if (digits.length < 13 || digits.length > 19) return false;
  const sum = [...digits].reverse().reduce((total, one, place) => {
    const value = Number(one) * (place % 2 ? 2 : 1);
    return total + (value > 9 ? value - 9 : value);
  }, 0);
  return sum % 10 === 0;
}
