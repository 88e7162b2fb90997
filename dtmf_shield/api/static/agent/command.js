// Sends commands: every POST with its own Idempotency-Key, tried again once where the network failed.
import { t } from "../shared/i18n.js";
import { problemWords } from "./words.js";

const ANSWER_MS = 10_000;
const INPUT_NAMED = /^input ([a-z][a-z0-9_]{0,31}):/;  // how a finding of the service begins that is about one input

// {words, inputs, id}: the words "" where the service did it; inputs: names of those that it did not take; id: of what
// was made, null where nothing was.
export async function ask(path, body) {
  const headers = { "content-type": "application/json", "idempotency-key": crypto.randomUUID() };
  const once = () => ({ method: "POST", headers, body: JSON.stringify(body), signal: AbortSignal.timeout(ANSWER_MS) });
  const request = () => fetch(path, once());
  const answer = await request().catch(() => request()).catch(() => null);
  if (answer === null) return { words: t("problem.unanswered"), inputs: [], id: null };
  if (answer.ok) return { words: "", inputs: [], id: (await answer.json().catch(() => null))?.id ?? null };
  const problem = await answer.json().catch(() => ({}));
  const slug = (problem.type ?? "").split(":").at(-1);
  const inputs = slug === "input-refused" ? inputsOf(problem.findings ?? []) : [];
  return { words: problemWords(slug, inputs), inputs, id: null };
}

// The service's own sentences are in one language: of each only the input's name is taken.
export const inputsOf = (findings) => [...new Set(findings.map((one) => INPUT_NAMED.exec(one)?.[1]).filter(Boolean))];

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
