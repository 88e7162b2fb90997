// One event stream for all calls, with a watchdog: silence for two heartbeats is a fault, not a calm.
const TYPES = ["resync", "call", "capture", "field", "shield", "line", "payment", "flows", "gone", "heartbeat"];
const SILENCE_MS = 32_000;
const LOOK_MS = 1_000;
const REOPEN_MS = 2_000;
const ANSWER_MS = 10_000;

export function openStream({ onEvent, onConnection }) {
  let source = null;
  let opening = 0;
  let heardAt = Date.now();

  // By the clock of the day: a timer does not run while the machine sleeps, and what was heard before it is old news.
  const look = () => {
    if (Date.now() - heardAt <= SILENCE_MS) return;
    heardAt = Date.now();  // whatever opens next may be as silent
    onConnection("lost", true);
    reopen();
  };
  const watchdog = setInterval(look, LOOK_MS);
  // One stream at a time: the watchdog and a refusal may both ask for another.
  const reopen = () => {
    source.close();
    clearTimeout(opening);
    opening = setTimeout(open, REOPEN_MS);
  };
  const refused = async (by) => {
    const request = { headers: { accept: "application/json" }, signal: AbortSignal.timeout(ANSWER_MS) };
    const answer = await fetch("/v1/flows", request).catch(() => null);
    if (by !== source) return;
    if (answer?.status === 401) {
      clearInterval(watchdog);
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
        if (mine !== source) return;
        heardAt = Date.now();
        onConnection("live", false);
        if (type !== "heartbeat") onEvent(type, JSON.parse(event.data));
      });
    }
    mine.addEventListener("error", () => {
      if (mine !== source) return;
      onConnection("lost", null);
      if (mine.readyState === EventSource.CLOSED) refused(mine);
    });
  };
  open();
}
