// The sign-in page: what there is to sign in with, and name and password sent once.
import { ask, busy } from "./ask.js";

const at = (id) => document.getElementById(id);

async function show() {
  const answer = await fetch("/v1/login").catch(() => null);
  const ways = answer?.ok ? await answer.json() : { passwords: true, oidc: null };
  at("form").hidden = !ways.passwords;
  at("provider").hidden = ways.oidc === null;
  // The window of an embedded page comes back to itself, by way of the provider too.
  if (location.pathname === "/ui/embed/login/") at("provider-link").href += "?from=embed";
  at("provider-link").textContent = ways.oidc === null ? "" : `Sign in with ${ways.oidc}`;
  if (!ways.passwords && ways.oidc === null) at("title").textContent = "Open the one-time link";
  at("link-title").hidden = !ways.passwords && ways.oidc === null;
  at("link-help").hidden = ways.oidc !== null;
  const failed = new URLSearchParams(location.search).get("failed");
  if (failed) at("alert").textContent = FAILED[failed] ?? FAILED.other;
  if (ways.passwords) at("name").focus();
}

const FAILED = {
  "no-role": "You are signed in there, but have no role here. Ask your administrator.",
  provider: "The sign-in service does not answer. Try again, or tell your administrator.",
  other: "Signing in did not work. Try again.",
};

async function submit(event) {
  event.preventDefault();
  if (at("submit").getAttribute("aria-disabled") === "true") return;
  busy(at("submit"), true);
  const words = await ask("/v1/login", { name: at("name").value.trim(), password: at("password").value });
  busy(at("submit"), false);
  if (!words) {
    location.replace(location.pathname.startsWith("/ui/") ? location.pathname : "/ui/");
    return;
  }
  at("alert").textContent = words;
  at("password").value = "";
  at("password").focus();
}

at("form").addEventListener("submit", submit);
show();
