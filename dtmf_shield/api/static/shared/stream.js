// One event stream for all calls, with a watchdog: silence for two heartbeats is a fault, not a calm.
const TYPES = ["resync", "call", "capture", "field", "shield", "line", "payment", "gone", "heartbeat"];
const SILENCE_MS = 32_000;
const REOPEN_MS = 2_000;

export function openStream({ onEvent, onConnection }) {
  let source = null;
  let watchdog = 0;
  let opening = 0;

  const watch = () => {
    clearTimeout(watchdog);
    watchdog = setTimeout(silent, SILENCE_MS);
  };
  // Whatever opens next may be as silent: watched again.
  const silent = () => {
    onConnection("lost", true);
    reopen();
    watch();
  };
  // One at a time: the watchdog and a refusal may both ask for it.
  const reopen = () => {
    source.close();
    clearTimeout(opening);
    opening = setTimeout(open, REOPEN_MS);
  };
  const refused = async (by) => {
    const answer = await fetch("/v1/flows", { headers: { accept: "application/json" } }).catch(() => null);
    if (by !== source) return;
    if (answer?.status === 401) {
      clearTimeout(watchdog);
      clearTimeout(opening);
      onConnection("signed-out", true);
    } else {
      reopen();
    }
  };
  const open = () => {
    const mine = new EventSource("/v1/events");
    source = mine;
    for (const type of TYPES) {
      mine.addEventListener(type, (event) => {
        watch();
        onConnection("live", false);
        if (type !== "heartbeat") onEvent(type, JSON.parse(event.data));
      });
    }
    mine.addEventListener("error", () => {
      onConnection("lost", null);
      if (mine.readyState === EventSource.CLOSED) refused(mine);
    });
  };
  watch();
  open();
}
