// Sets a password by a link for one use. The secret stands behind the # and leaves the address bar at once.
import { ask, busy } from "./ask.js";

const at = (id) => document.getElementById(id);
const link = location.hash.slice(1);
history.replaceState(null, "", location.pathname);

function say(words, field) {
  at("alert").textContent = words;
  field?.focus();
}

async function submit(event) {
  event.preventDefault();
  if (at("submit").getAttribute("aria-disabled") === "true") return;
  if (at("password").value !== at("again").value) {
    say("The two are not the same.", at("again"));
    return;
  }
  busy(at("submit"), true);
  const words = await ask("/v1/password", { link, password: at("password").value });
  busy(at("submit"), false);
  if (words) say(words, at("password"));
  else location.replace("/ui/");
}

at("form").addEventListener("submit", submit);
if (link) at("password").focus();
else say("This link is not whole. Open it from where you were given it.");
