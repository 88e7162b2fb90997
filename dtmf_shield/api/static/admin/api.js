// Asks the API: every change with a key of its own; what is refused comes back in words.
const WORDS = {
  "user-exists": "There is a user of that name.",
  "key-exists": "There is or was a key of that name. Choose another.",
  "last-admin": "This is the last administrator. Make another one first.",
  "card-number": "This looks like a card number. It was not kept.",
  "cross-site": "This page was not opened from the service itself.",
};

export async function read(path) {
  const answer = await fetch(path, { headers: { accept: "application/json" } }).catch(() => null);
  if (answer?.status === 401) location.reload();
  return answer?.ok ? answer.json() : null;
}

export async function change(path, body, key = crypto.randomUUID()) {
  const headers = { "content-type": "application/json", "idempotency-key": key };
  const request = () => fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
  const answer = await request().catch(() => request()).catch(() => null);
  if (answer === null) return { words: "The service does not answer. Nothing may have changed: look at the list." };
  if (answer.ok) return answer.status === 204 ? {} : { made: await answer.json() };
  if (answer.status === 401) location.reload();
  const problem = await answer.json().catch(() => ({}));
  const slug = (problem.type ?? "").split(":").at(-1);
  return { words: WORDS[slug] ?? problem.title ?? "That did not work." };
}
