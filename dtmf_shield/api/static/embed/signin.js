// Signing in from a frame that has no cookie: a window of ours signs in and hands over a ticket, once.
const WINDOW = "popup,width=480,height=640";
const LOOK_MS = 500;
const AFTER_CLOSE_LOOKS = 4;  // the ticket may come in the moment in which the window closes

// Returns "" where the frame has its session, else the key of what went wrong. Called by a click: else it is blocked.
export async function signInByWindow() {
  const language = new URLSearchParams({ lang: document.documentElement.lang });
  const opened = open(`/ui/embed/login/?${language}`, "dtmf-shield-login", WINDOW);
  if (!opened) return "embed.signin.blocked";
  const ticket = await ticketOf(opened);
  if (!ticket) return "embed.signin.closed";
  const headers = { "content-type": "application/json" };
  const answer = await fetch("/login/embed", { method: "POST", headers, body: JSON.stringify({ ticket }) }).catch(() => null);
  if (answer === null) return "signin.problem.unanswered";
  return answer.ok ? "" : "signin.problem.unknown";
}

// "" where the window was closed without one.
function ticketOf(opened) {
  return new Promise((resolve) => {
    let looks = 0;
    const done = (ticket) => {
      clearInterval(watch);
      removeEventListener("message", hear);
      resolve(ticket);
    };
    const hear = ({ origin, source, data }) => {
      if (origin === location.origin && source === opened && data?.type === "dtmf-shield.ticket") done(data.ticket);
    };
    const watch = setInterval(() => {
      looks = opened.closed ? looks + 1 : 0;
      if (looks > AFTER_CLOSE_LOOKS) done("");
    }, LOOK_MS);
    addEventListener("message", hear);
  });
}
