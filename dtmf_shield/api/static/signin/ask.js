// One POST of a secret: sent once, never kept. What is refused comes back as what tells why, in any language.
import { has, t, tCount } from "../shared/i18n.js";

const MINUTES_FROM_S = 90;

// {made} where it was taken (null without a body), else {refused, slug}. own: the key of a page's own words for a slug.
export async function post(path, body, own = () => "") {
  const headers = { "content-type": "application/json" };
  const answer = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) }).catch(() => null);
  if (answer === null) return { refused: () => t("signin.problem.unanswered"), slug: "" };
  if (answer.ok) return { made: answer.status === 204 ? null : await answer.json() };
  const problem = await answer.json().catch(() => ({}));
  const slug = (problem.type ?? "").split(":").at(-1);
  const wait = slug === "too-many-attempts" ? Number(answer.headers.get("retry-after")) : 0;
  const words = () => t([own(slug), `signin.problem.${slug}`].find(has) ?? "signin.problem.unknown");
  return { refused: () => (wait ? `${words()} ${span(wait)}` : words()), slug };
}

// null where it was taken, else what tells why not.
export async function ask(path, body) {
  return (await post(path, body)).refused ?? null;
}

function span(seconds) {
  return seconds < MINUTES_FROM_S ? tCount("signin.seconds", seconds) : tCount("signin.minutes", Math.ceil(seconds / 60));
}

export function busy(button, on) {
  button.setAttribute("aria-disabled", String(on));
}
