// The page around the panel: which origin it has, and messages to and from exactly that one.
import { isOurs, wishOf } from "./messages.js";

// candidates: what is said of where we are, the surest first; allowed: origins. null: nobody we talk to.
export function hostOf(candidates, allowed) {
  return candidates.find((origin) => allowed.includes(origin)) ?? (allowed.length === 1 ? allowed[0] : null);
}

function originOf(address) {
  try { return new URL(address).origin; } catch { return null; }
}

// The list the service was given, and our own pages.
function allowedOrigins() {
  const listed = document.querySelector('meta[name="dtmf-shield-origins"]').content.split(" ").filter(Boolean);
  return [...listed, location.origin];
}

// onWish: what the page around asks for; onIgnored: how many messages of anybody else there were.
export function connectHost({ onWish, onIgnored }) {
  const said = new URLSearchParams(location.search).get("host");
  // A wrong ?host= tells nobody anything: the browser hands a message over to that origin only.
  const around = [location.ancestorOrigins?.[0], originOf(document.referrer), said];
  const framed = window.parent !== window;
  const host = framed ? hostOf(around, allowedOrigins()) : null;
  let ignored = 0;
  addEventListener("message", (event) => {
    if (!isOurs(event.data) || event.source === window) return;
    if (isTicket(event)) return;
    if (host === null || event.origin !== host || event.source !== window.parent) {
      ignored += 1;
      onIgnored(ignored);
      return;
    }
    const wish = wishOf(event.data);
    if (wish) onWish(wish);
  });
  const tell = (message) => { if (host !== null) window.parent.postMessage(message, host); };
  return { tell, missing: framed && host === null };
}

// The window that signs in is of our own origin, and signin.js listens to it.
const isTicket = (event) => event.origin === location.origin && event.data.type === "dtmf-shield.ticket";
