// Somebody is here: keys and clicks on the page count as use of the session, told once a minute at most.
const TOLD_EVERY_MS = 60_000;
let told = Date.now();

function here() {
  if (Date.now() - told < TOLD_EVERY_MS) return;
  told = Date.now();
  fetch("/v1/me").catch(() => null);
}

for (const event of ["pointerdown", "keydown"]) addEventListener(event, here, { passive: true });
