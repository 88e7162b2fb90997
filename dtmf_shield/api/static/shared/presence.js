// Somebody is here: keys and clicks on the page count as use of the session. Told often enough for the shortest idle limit, a
// minute; what a page asks by itself (its streams, what it looks at every few seconds) counts as nobody's use.
import { whoIsIt } from "./person.js";

const TOLD_EVERY_MS = 20_000;
let told = Date.now();

function here() {
  if (Date.now() - told < TOLD_EVERY_MS) return;
  told = Date.now();
  whoIsIt();
}

for (const event of ["pointerdown", "keydown"]) addEventListener(event, here, { passive: true });
// Who comes back to this tab may have been somebody else in another.
document.addEventListener("visibilitychange", () => { if (!document.hidden) whoIsIt(); });
