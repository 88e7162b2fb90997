// Asks the API: every change with a key of its own; what is refused comes back as what tells why, in any language.
import { has, t } from "../shared/i18n.js";
import { leaving } from "../shared/leave.js";

export async function read(path) {
  const answer = await fetch(path, { headers: { accept: "application/json" } }).catch(() => null);
  if (answer?.status === 401 && !leaving()) location.reload();
  return answer?.ok ? answer.json() : null;
}

export async function change(path, body, key = crypto.randomUUID()) {
  const headers = { "content-type": "application/json", "idempotency-key": key };
  const request = () => fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
  const answer = await request().catch(() => request()).catch(() => null);
  if (answer === null) return { refused: () => t("admin.problem.unanswered") };
  if (answer.ok) return answer.status === 204 ? {} : { made: await answer.json() };
  if (answer.status === 401 && !leaving()) location.reload();
  const problem = await answer.json().catch(() => ({}));
  const slug = (problem.type ?? "").split(":").at(-1);
  return { refused: () => (has(`admin.problem.${slug}`) ? t(`admin.problem.${slug}`) : t("admin.problem.unknown")) };
}
