// Who is signed in (GET /v1/me); a service without that answer is lived with.
const PAGES = { play: "play", agent: "agent", supervisor: "supervisor", engineer: "engineer", admin: "admin", audit: "audit", account: "account" };

// What /v1/me says, or null.
export async function whoIsIt() {
  const answer = await fetch("/v1/me", { headers: { accept: "application/json" } }).catch(() => null);
  return answer?.ok ? answer.json().catch(() => null) : null;
}

// [[name, address]] of the pages that are this person's.
export function pagesOf(person) {
  const named = person?.pages ?? [];
  return named.filter((name) => Object.hasOwn(PAGES, name)).map((name) => [name, `/ui/${PAGES[name]}/`]);
}
