// The window that a frame opened, once somebody is signed in: it hands a ticket to that frame and closes.
const words = document.getElementById("words");
const LEFT = "Close this window, and press “Sign in” once more where you came from.";

async function handOver() {
  if (!window.opener) { words.textContent = LEFT; return; }
  const answer = await fetch("/login/embed/ticket", { method: "POST" }).catch(() => null);
  if (!answer?.ok) { words.textContent = "The service does not answer. Close this window and try again."; return; }
  const { ticket } = await answer.json();
  // To a frame of our own origin and to nobody else: the browser drops it where the opener is anything other.
  window.opener.postMessage({ type: "dtmf-shield.ticket", v: 1, ticket }, location.origin);
  words.textContent = LEFT;
  window.close();
}

handOver();
