// Who is signed in (GET /v1/me); a service without that answer is lived with.
const PAGES = { play: "play", agent: "agent", supervisor: "supervisor", engineer: "engineer", admin: "admin", audit: "audit", account: "account" };

let first = null;

// What /v1/me says, or null. Where somebody else has signed in meanwhile, in another tab, the page is made anew for them:
// whatever it shows is of the one before, and whatever it sends would be in the other's name.
export async function whoIsIt() {
  const answer = await fetch("/v1/me", { headers: { accept: "application/json" } }).catch(() => null);
  const person = answer?.ok ? await answer.json().catch(() => null) : null;
  first ??= person?.name ?? null;
  if (person && person.name !== first) location.reload();
  return person;
}

// [[name, address]] of the pages that are this person's.
export function pagesOf(person) {
  const named = person?.pages ?? [];
  return named.filter((name) => Object.hasOwn(PAGES, name)).map((name) => [name, `/ui/${PAGES[name]}/`]);
}
