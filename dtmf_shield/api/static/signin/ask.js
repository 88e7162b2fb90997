// One POST of a secret: sent once, never kept. null where it was taken, else what tells why not, in any language.
import { has, t, tCount } from "../shared/i18n.js";

const MINUTES_FROM_S = 90;

export async function ask(path, body) {
  const headers = { "content-type": "application/json" };
  const answer = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) }).catch(() => null);
  if (answer === null) return () => t("signin.problem.unanswered");
  if (answer.ok) return null;
  const problem = await answer.json().catch(() => ({}));
  const slug = (problem.type ?? "").split(":").at(-1);
  const wait = slug === "too-many-attempts" ? Number(answer.headers.get("retry-after")) : 0;
  const words = () => (has(`signin.problem.${slug}`) ? t(`signin.problem.${slug}`) : t("signin.problem.unknown"));
  return () => (wait ? `${words()} ${span(wait)}` : words());
}

function span(seconds) {
  return seconds < MINUTES_FROM_S ? tCount("signin.seconds", seconds) : tCount("signin.minutes", Math.ceil(seconds / 60));
}

export function busy(button, on) {
  button.setAttribute("aria-disabled", String(on));
}
