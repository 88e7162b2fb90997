"""The pages' event stream by a clock set by hand: one at a time, silence told each time, a sleep noticed at once."""

from __future__ import annotations

from typing import Any

from page_node import run

# Timers, the clock, streams and the answer of GET /v1/flows are the test's; `pass` lets a time go by, second by second.
_WORLD = """
(async () => {
  let now = 0, answer = 200;
  const timers = new Map(), made = [], told = [];
  const later = (act, ms, every) => { timers.set(timers.size + 1, { act, at: now + ms, every }); return timers.size; };
  const settle = () => new Promise((done) => setImmediate(done));
  globalThis.setTimeout = (act, ms) => later(act, ms, 0);
  globalThis.setInterval = (act, ms) => later(act, ms, ms);
  globalThis.clearTimeout = globalThis.clearInterval = (id) => { if (timers.has(id)) timers.get(id).act = null; };
  Date.now = () => now;
  AbortSignal.timeout = () => undefined;
  globalThis.fetch = async () => ({ status: answer });
  globalThis.EventSource = class {
    static CLOSED = 2;
    constructor() { this.readyState = 1; this.hears = {}; made.push(this); }
    addEventListener(type, act) { this.hears[type] = act; }
    close() { this.readyState = 2; }
    refuse() { this.readyState = 2; this.hears.error(); }
  };
  const due = async (jump) => {
    now += jump;
    for (const timer of timers.values()) {
      if (!timer.act || timer.at > now) continue;
      const { act } = timer;
      if (timer.every) timer.at = now + timer.every; else timer.act = null;
      act();
      await settle();
    }
  };
  const pass = async (ms) => { for (let gone = 0; gone < ms; gone += 1000) await due(1000); };
  const open = () => made.filter((one) => one.readyState !== 2).length;
  m.openStream({ onEvent: () => {}, onConnection: (...said) => told.push(said) });
  %s
})()
"""


def played(story: str) -> Any:
    return run("shared/stream.js", f"await {_WORLD % story}")


def test_silence_is_told_each_time_and_one_stream_is_open_at_a_time() -> None:
    silences, streams, open_now = played(
        "await pass(110_000);"
        "return [told.filter(([state, silent]) => state === 'lost' && silent).length, made.length, open()];"
    )

    assert (silences, streams, open_now) == (3, 4, 1)


def test_a_service_that_refuses_for_long_is_asked_one_stream_at_a_time() -> None:
    """As a proxy does that answers 502: each refusal and the watchdog want another stream."""
    most, silent = played(
        "let most = 0;"
        "for (let second = 0; second < 80; second += 1) {"
        "  for (const one of made) if (one.readyState !== 2) one.refuse();"
        "  await settle(); await pass(1000); most = Math.max(most, open());"
        "}"
        "return [most, told.some(([, silent]) => silent)];"
    )

    assert (most, silent) == (1, True)


def test_after_a_sleep_nothing_heard_before_it_counts() -> None:
    told = played("made[0].hears.heartbeat({}); await pass(5_000); await due(3_600_000); return told;")

    assert told == [["live", False], ["lost", True]]


def test_who_is_signed_out_is_asked_nothing_more() -> None:
    told, streams = played(
        "answer = 401; made[0].refuse(); await settle(); await pass(120_000); return [told, made.length];"
    )

    assert told == [["lost", None], ["signed-out", True]]
    assert streams == 1


def test_the_end_of_a_session_is_warned_of_in_time_however_short_it_is() -> None:
    assert run("shared/idle.js", "[900, 60, 200, null, undefined].map(m.warnAfterS)") == [
        780,
        30,
        100,
        None,
        None,
    ]
