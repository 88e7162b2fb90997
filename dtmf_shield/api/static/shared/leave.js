// Signs out: the session ends, and with it the panels that it opened in other sites' pages. Then how to sign in is shown.
const REFUSED = "menu.leave.failed";

let going = false;
// What a page asks meanwhile is refused, and that is no reason to load it anew.
export const leaving = () => going;

// The key of the words that say why not; "" where the page is on its way out. In the play page's frame the whole window goes.
export async function leave() {
  const headers = { "content-type": "application/json" };
  going = true;
  const request = () => fetch("/v1/logout", { method: "POST", headers, body: "{}" });
  const answer = await request().catch(() => request()).catch(() => null);
  // 401: the session had ended before.
  going = Boolean(answer?.ok) || answer?.status === 401;
  if (!going) return REFUSED;
  window.top.location.replace("/ui/");
  return "";
}
