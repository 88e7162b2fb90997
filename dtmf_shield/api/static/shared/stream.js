// One event stream for all calls, with a watchdog: silence for two heartbeats is a fault, not a calm.
const TYPES = ["resync", "call", "capture", "field", "shield", "line", "payment", "flows", "gone", "heartbeat"];
const SILENCE_MS = 32_000;
const REOPEN_MS = 2_000;

export function openStream({ onEvent, onConnection }) {
  let source = null;
  let watchdog = 0;

  const alive = () => {
    clearTimeout(watchdog);
    watchdog = setTimeout(() => { onConnection("lost", true); reopen(); }, SILENCE_MS);
  };
  const reopen = () => {
    source?.close();
    setTimeout(open, REOPEN_MS);
  };
  const refused = async () => {
    const answer = await fetch("/v1/flows", { headers: { accept: "application/json" } }).catch(() => null);
    if (answer?.status === 401) {
      clearTimeout(watchdog);
      onConnection("signed-out", true);
    } else {
      reopen();
    }
  };
  const open = () => {
    source = new EventSource("/v1/events");
    for (const type of TYPES) {
      source.addEventListener(type, (event) => {
        alive();
        onConnection("live", false);
        if (type !== "heartbeat") onEvent(type, JSON.parse(event.data));
      });
    }
    source.addEventListener("error", () => {
      onConnection("lost", null);
      if (source.readyState === EventSource.CLOSED) refused();
    });
  };
  alive();
  open();
}
