// Speaks to the play phones, on their own origin: what the service itself serves never sees a key.
const TALKING_MS = 400;
const QUIET_MS = 1_500;
const AWAY_MS = 1_500;
const LATE_MS = 4_000;  // an answer that does not come by then: the phones are away
const LOOK_MS = 8_000;
const SEND_MS = 25_000;  // hanging up waits for the other side

// onState: what the phones say; onAway: whether they answer at all.
export function playPhones({ onState, onAway }) {
  let where = null;
  let timer = 0;
  let last = Promise.resolve();

  const request = async (path, body, limitMs) => {
    where ??= await found();
    const headers = { authorization: `Bearer ${where.key}` };
    if (body !== undefined) headers["content-type"] = "application/json";
    const method = body === undefined ? "GET" : "POST";
    const answer = await fetch(`${where.url}${path}`, { method, headers, body: body && JSON.stringify(body), signal: AbortSignal.timeout(limitMs) });
    if (answer.status === 401) where = null;
    return { ok: answer.ok, told: await answer.json() };
  };

  const look = async () => {
    clearTimeout(timer);
    let wait = AWAY_MS;
    const late = setTimeout(() => onAway(true), LATE_MS);
    try {
      const { ok, told } = await request("/state", undefined, LOOK_MS);
      clearTimeout(late);
      onAway(!ok);
      if (ok) {
        onState(told);
        wait = told.phase === "talking" || told.phase === "calling" ? TALKING_MS : QUIET_MS;
      }
    } catch {
      clearTimeout(late);
      where = null;
      onAway(true);
    }
    clearTimeout(timer);
    timer = setTimeout(look, wait);
  };

  // One after the other, in the order in which they were asked. "": done; else the word for what is wrong.
  const send = (path, body = {}) => {
    const sent = last.then(async () => {
      try {
        const { ok, told } = await request(path, body, SEND_MS);
        if (ok) onState(told);
        return ok ? "" : told.problem ?? "not_understood";
      } catch {
        return "away";
      }
    });
    last = sent;
    return sent;
  };

  look();
  return { send };
}

async function found() {
  const answer = await fetch("phones.json", { headers: { accept: "application/json" } });
  if (!answer.ok) throw new Error("no play phones");
  return answer.json();
}
