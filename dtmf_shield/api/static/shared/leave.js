// Signs out: the session ends, and with it the panels that it opened in other sites' pages. Then how to sign in is shown.
const REFUSED = "menu.leave.failed";

// The key of the words that say why not; "" where the page is on its way out. In the play page's frame the whole window goes.
export async function leave() {
  const headers = { "content-type": "application/json" };
  const request = () => fetch("/v1/logout", { method: "POST", headers, body: "{}" });
  const answer = await request().catch(() => request()).catch(() => null);
  // 401: the session had ended before.
  if (!answer?.ok && answer?.status !== 401) return REFUSED;
  window.top.location.replace("/ui/");
  return "";
}
