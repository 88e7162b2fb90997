// One POST of a secret: sent once, never kept, and what is answered in words.
const WORDS = {
  "login-refused": "Name or password is wrong.",
  "too-many-attempts": "Too many wrong passwords. Wait a little, then try again.",
  "too-many-logins": "Many people sign in just now. Try again in a moment.",
  "link-spent": "This link was used, or is more than a day old. Ask your administrator for a new one.",
  "password-weak": "At least 12 characters, a letter and a digit among them, and not your name.",
  "card-number": "This looks like a card number. It was not kept. Choose something else.",
  "invalid-request": "Fill in every field.",
};

export async function ask(path, body) {
  const headers = { "content-type": "application/json" };
  const answer = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) }).catch(() => null);
  if (answer === null) return "The service does not answer. Check the connection and try again.";
  if (answer.ok) return "";
  const problem = await answer.json().catch(() => ({}));
  const slug = (problem.type ?? "").split(":").at(-1);
  const wait = Number(answer.headers.get("retry-after"));
  const words = WORDS[slug] ?? problem.title ?? "That did not work. Try again.";
  return slug === "too-many-attempts" && wait ? `${words} Next try in ${span(wait)}.` : words;
}

function span(seconds) {
  return seconds < 90 ? `${seconds} seconds` : `${Math.ceil(seconds / 60)} minutes`;
}

export function busy(button, on) {
  button.setAttribute("aria-disabled", String(on));
}
