"""Claim: 150 ms after a key is released (p99) the agent's page shows it, by each door, with 200 agents connected.

Usage: python -m bench.web [--n 120] [--agents 200] [--held 1000]; n = keys of each row. The page is the product's in
Debian's chromium, headless; a moment is that of the change of the DOM, before it is painted. One row from the moment
cde's progress is told inside the process, over a desk in memory. One for each door through the whole service, from the
caller's wire on: a tone from its last packet sent, a telephone event from its first packet with the end bit (RFC 4733),
an INFO from its sending: it tells of a key as a whole and has no end of its own. Tones are clean and the caller does
not talk over them. A row may begin below zero: a key may be known before it is released. cde batches progress by 100 ms
from the first key of a batch on, so that key timing is not told. Every agent connected reads every event: the worst
case.

Below: event streams held by one process, what each costs in its memory, and how long one event takes to reach the last
of them. The process has no other work; the readers run in another. Limits of readers are lifted for that part only.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Page, sync_playwright

from bench.result import keep, parser, progress
from dtmf_shield.api import server
from dtmf_shield.api.site import COOKIE
from dtmf_shield.api.views import ServiceView, ShieldState
from dtmf_shield.phone.door import Door
from tests.interop.phones import AgentCall
from tests.web.browser import Visitor, chromium, launch
from tests.web.desk_site import DeskSite
from tests.web.scenes import keying, talking
from tests.web.whole_site import WholeSite

GOAL_P99_MS = 150.0
STEPS = (0.1, 0.2, 0.5, 1.0)
"""Parts of --held at which memory is looked at."""
KEYS_OF_A_ROUND = "424242424242"
"""Fewer than the shortest card number has, so that the field stays open; then the field is asked for again."""
TONE_MS, GAPS_MS = 100, (100, 300)
SEED = 11
MARKS = 9
END_BIT = 0x80
DOORS = {
    Door.INBAND: "end of a tone",
    Door.RFC4733: "end of a telephone event",
    Door.INFO: "INFO sent",
}
_CLOCK = """
() => {
  window.__drawn = [];
  new MutationObserver(() => {
    const keys = (document.querySelector('#fields li')?.textContent.match(/•/g) ?? []).length;
    window.__drawn.push([performance.timeOrigin + performance.now(), keys]);
  }).observe(document.querySelector('main'), { subtree: true, childList: true, characterData: true });
}
"""


class Readers:
    """The process of readers, and what it says."""

    def __init__(self, url: str) -> None:
        command = [sys.executable, "-m", "bench.web_readers", url]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def connect(self, headers: list[str]) -> tuple[int, int]:
        """Connect one more reader for each header; return how many are open and refused in all."""
        if self._process.stdin is None:
            raise RuntimeError("no pipe")
        self._process.stdin.write("".join(f"{header}\n" for header in headers) + "\n")
        self._process.stdin.flush()
        said = self.said("open")
        return int(said["open"]), int(said["refused"])

    def said(self, key: str) -> dict[str, Any]:
        """Return the next line that has ``key``."""
        if self._process.stdout is None:
            raise RuntimeError("no pipe")
        for line in self._process.stdout:
            found: dict[str, Any] = json.loads(line)
            if key in found:
                return found
        raise RuntimeError("the readers have ended")

    def close(self) -> None:
        """Disconnect all."""
        self._process.kill()
        self._process.wait()


@contextmanager
def readers(url: str, headers: list[str]) -> Iterator[int]:
    """Hold readers meanwhile; give how many were let in."""
    held = Readers(url)
    try:
        yield held.connect(headers)[0]
    finally:
        held.close()


def sessions(site: DeskSite, count: int) -> list[str]:
    """Return the cookie headers of so many people."""
    made = (site.run(lambda: site.login.redeem(site.login.issue())) for _ in range(count))
    return [f"Cookie: {COOKIE}={session}" for session in made]


def lift_limits(site: DeskSite, held: int) -> None:
    """Let so many readers in: the limits are the product's, the bench asks what lies beyond."""
    site.down()
    server.CONNECTIONS_MAX = held + 64
    site.app.state.context.ring._subscribers_max = held + 64
    site.up()


def resident_kb() -> int:
    """Return this process's resident memory."""
    line = next(one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith("VmRSS"))
    return int(line.split()[1])


def hold(site: DeskSite, held: int) -> list[tuple[int, int, float, float, float]]:
    """Ramp up: readers, refused, KiB each, and milliseconds for one event to reach the last reader (p50, max)."""
    rows = []
    crowd = Readers(site.url)
    headers = sessions(site, held)
    crowd.connect(headers[:1])  # the first brings code and caches in
    base_kb, opened = resident_kb(), 1
    for part in STEPS:
        wanted = max(int(held * part), 2)
        opened, refused = crowd.connect(headers[opened:wanted])
        cost_kb = (resident_kb() - base_kb) / max(opened - 1, 1)
        times = [tell_all(site, crowd, turn) for turn in range(MARKS + 1)][1:]
        rows.append((opened, refused, cost_kb, float(np.median(times)), max(times)))
    crowd.close()
    return rows


def tell_all(site: DeskSite, crowd: Readers, turn: int) -> float:
    """Publish one event; return milliseconds until the last reader has it."""
    gateway = "down" if site.desk.shown.gateway == "up" else "up"
    told_s = time.time()
    site.show_service(ServiceView(shield=ShieldState.ON, gateway=gateway))
    return 1e3 * (float(crowd.said("told")["at_s"]) - told_s)


def drawn_at(page: Page, keys: int, limit_s: float = 5.0) -> float:
    """Return the wall time in seconds at which the page first showed so many keys since the clock was cleared."""
    handle = page.wait_for_function(
        "(keys) => window.__drawn.find(([, shown]) => shown >= keys)?.[0]", arg=keys, timeout=1e3 * limit_s
    )
    return float(handle.json_value()) / 1e3


def desk_times_ms(site: DeskSite, page: Page, n: int) -> list[float]:
    """Return milliseconds from cde's progress told to the DOM changed."""
    site.show(talking(keying(0)))
    page.goto(site.login_url())
    page.locator("#fields li").first.wait_for()
    page.evaluate(_CLOCK)
    times: list[float] = []
    rng = random.Random(SEED)
    while len(times) < n:
        keys = len(times) % 15 + 1
        page.evaluate("window.__drawn.length = 0")
        told_s = site.run(lambda count: (time.time(), site.desk.change(talking(keying(count))))[0], keys)
        times.append(1e3 * (drawn_at(page, keys) - told_s))
        time.sleep(rng.uniform(0.02, 0.08))  # so that no key keeps step with the drawing of the page
        if keys == 15:
            site.show(talking(keying(0)))
            page.wait_for_timeout(100)
    return times


@contextmanager
def watched_key_ups(caller: AgentCall, door: Door) -> Iterator[list[float]]:
    """Give a list that gets the wall time of each key's end on the caller's wire."""
    ups: list[float] = []
    watch = {Door.INBAND: watch_tones, Door.RFC4733: watch_events, Door.INFO: watch_infos}[door]
    with watch(caller, ups):
        yield ups


@contextmanager
def replaced(owner: Any, name: str, stand_in: Callable[..., None]) -> Iterator[None]:
    """Put a method in another's place meanwhile."""
    setattr(owner, name, stand_in)
    try:
        yield
    finally:
        setattr(owner, name, getattr(type(owner), name).__get__(owner))


def watch_tones(caller: AgentCall, ups: list[float]) -> AbstractContextManager[None]:
    """A tone ends with the packet after which nothing of it is left to be sent."""
    transport, stream = caller.call._rtp, caller.call.stream
    send, left = transport.sendto, 0

    def tapped(data: bytes, address: Any = None) -> None:
        nonlocal left
        send(data, address)
        before, left = left, len(stream._overlay)
        if before and not left:
            ups.append(time.time())

    return replaced(transport, "sendto", tapped)


def watch_events(caller: AgentCall, ups: list[float]) -> AbstractContextManager[None]:
    """An event ends with its first packet that has the end bit."""
    transport, event_type = caller.call._rtp, caller.call.stream.event_payload_type
    send = transport.sendto
    ended: set[bytes] = set()

    def tapped(data: bytes, address: Any = None) -> None:
        send(data, address)
        if data[1] & 0x7F == event_type and data[13] & END_BIT and data[4:8] not in ended:
            ended.add(data[4:8])
            ups.append(time.time())

    return replaced(transport, "sendto", tapped)


def watch_infos(caller: AgentCall, ups: list[float]) -> AbstractContextManager[None]:
    """An INFO is a key as a whole: its end is its sending."""
    phone = caller.call._phone
    info = phone.info

    def tapped(*given: Any) -> None:
        info(*given)
        ups.append(time.time())

    return replaced(phone, "info", tapped)


def whole_times_ms(site: WholeSite, page: Page, n: int, door: Door) -> list[float]:
    """Return milliseconds from each key's end on the wire to the DOM changed."""
    rng = random.Random(SEED)
    times: list[float] = []
    with site.call() as (caller, call_id), progress() as bar, watched_key_ups(caller, door) as ups:
        site.phones.do(caller.call.talk, np.zeros(0, np.int16))
        capture = site.service.start_capture(call_id)
        page.locator("#fields li").first.wait_for()
        page.evaluate(_CLOCK)
        task = bar.add_task(DOORS[door], total=n)
        while len(times) < n:
            site.service.wait_for_field(call_id, "pan", "waiting")
            page.wait_for_timeout(300)
            page.evaluate("window.__drawn.length = 0")
            ups.clear()
            for key in KEYS_OF_A_ROUND:
                gap_ms = rng.randint(*GAPS_MS)
                site.phones.run(caller.call.key(key, door, tone_ms=TONE_MS, gap_ms=gap_ms))
            shown = [drawn_at(page, place + 1) for place in range(len(KEYS_OF_A_ROUND))]
            times += [1e3 * (at_s - up_s) for at_s, up_s in zip(shown, ups, strict=True)]
            bar.update(task, completed=len(times))
            site.service.post(f"/v1/captures/{capture}/commands", {"command": "redo", "field": "pan"})
    return times[:n]


def row(name: str, times_ms: list[float], agents: int) -> str:
    """Return one line of the table."""
    p50, p99 = np.percentile(times_ms, (50, 99))
    goal = "met" if p99 <= GOAL_P99_MS else "missed"
    return f"| {name} | {agents} | {len(times_ms)} | {p50:.0f} | {p99:.0f} | {max(times_ms):.0f} | {goal} |"


def measure_desk(
    path: str, given: argparse.Namespace
) -> tuple[str, list[tuple[int, int, float, float, float]]]:
    """Measure over a desk in memory: streams first, while nothing else is in this process."""
    site = DeskSite()
    try:
        lift_limits(site, max(given.held, given.agents))
        held = hold(site, given.held)
        site.reset()
        with readers(site.url, sessions(site, given.agents)) as agents, sync_playwright() as playwright:
            visitor = Visitor(launch(playwright, path))
            times = desk_times_ms(site, visitor.page, given.n)
            visitor.close()
        return row("progress told in the process", times, agents), held
    finally:
        site.close()


def measure_whole(path: str, given: argparse.Namespace, directory: Path) -> list[str]:
    """Measure through the whole service, a call for each door."""
    site = WholeSite(directory)
    try:
        key = (site.service.state / "api.key").read_text("ascii").strip()
        headers = [f"Authorization: Bearer {key}"] * given.agents
        host, port = site.service.ready["api"]
        with sync_playwright() as playwright:
            visitor = Visitor(launch(playwright, path))
            visitor.page.goto(site.login_url)
            with readers(f"http://{host}:{port}", headers) as agents:
                rows = []
                for door, name in DOORS.items():
                    visitor.page.goto(
                        f"http://{host}:{port}/ui/agent/"
                    )  # the call before is not kept in view
                    times = whole_times_ms(site, visitor.page, given.n, door)
                    rows.append(row(f"{name} on the caller's wire", times, agents))
            visitor.close()
        return rows
    finally:
        site.close()


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    found = parser("web", __doc__ or "", n=120)
    found.add_argument("--agents", type=int, default=200, help="event streams open beside the page's")
    found.add_argument("--held", type=int, default=1_000, help="event streams to ramp up to")
    found.add_argument("--no-calls", action="store_true", help="leave the whole service out")
    return found.parse_args()


def report(rows: list[str], held: list[tuple[int, int, float, float, float]]) -> list[str]:
    """Return the result's lines."""
    return [
        "# How soon the agent's page shows a key, and how many pages one process serves",
        "",
        f"| from | agents connected | keys | p50 ms | p99 ms | max ms | goal: p99 {GOAL_P99_MS:.0f} ms |",
        "|---|---|---|---|---|---|---|",
        *rows,
        "",
        "| event streams held | refused | memory each, KiB | one event reaches all, p50 ms | max ms |",
        "|---|---|---|---|---|",
        *(f"| {n} | {no} | {kb:.0f} | {p50:.0f} | {most:.0f} |" for n, no, kb, p50, most in held),
    ]


def main() -> int:
    """Measure and keep; return 2 where there is no browser."""
    given = arguments()
    path = chromium()
    if path is None:
        print("chromium is not installed: apt-get install chromium", file=sys.stderr)
        return 2
    desk_row, held = measure_desk(path, given)
    rows = [desk_row]
    if not given.no_calls:
        with tempfile.TemporaryDirectory(prefix="bench-web-") as directory:
            rows += measure_whole(path, given, Path(directory))
    command = f"python -m bench.web --n {given.n} --agents {given.agents} --held {given.held}"
    keep("web", report(rows, held), command, given.out, package="api")
    return 0


if __name__ == "__main__":
    sys.exit(main())
