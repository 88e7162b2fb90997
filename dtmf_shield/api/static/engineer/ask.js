// Asks the service: answers, or a refusal in words that are told to the reader; nothing is asked twice by itself.
import { has, t } from "../shared/i18n.js";

export class Refused extends Error {
  constructor(slug, words, findings = []) {
    super(words);
    this.slug = slug;
    this.findings = findings;
  }
}

async function answered(request) {
  const answer = await request.catch(() => null);
  if (answer === null) throw new Refused("unanswered", t("engineer.problem.unanswered"));
  if (answer.ok) return answer.json();
  const problem = await answer.json().catch(() => ({}));
  const slug = (problem.type ?? "").split(":").at(-1);
  const key = [`engineer.problem.${slug}`, `problem.${slug}`].find(has);
  const other = slug ? "problem.refused" : "engineer.problem.unanswered";  // what is no word of the service's comes from a proxy
  throw new Refused(slug, t(key ?? other), problem.findings ?? []);
}

export const get = (path) => answered(fetch(path, { headers: { accept: "application/json" } }));

export function post(path, body) {
  const headers = { "content-type": "application/json", "idempotency-key": crypto.randomUUID() };
  return answered(fetch(path, { method: "POST", headers, body: JSON.stringify(body) }));
}
