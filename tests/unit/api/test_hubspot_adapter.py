"""docs/integrate.md's adapter for HubSpot, run in node as it stands there, against a stand-in for HubSpot's SDK.

The stand-in has the methods of `@hubspot/calling-extensions-sdk` 0.9.7 that the adapter may use, writes down what each
is given, and refuses what comes before `onReady`, where the SDK itself drops it. HubSpot was not asked.
"""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from dtmf_shield.base.config_api import ApiSection

DOCUMENT = Path(__file__).parents[3] / "docs" / "integrate.md"
RUN_S = 60
SDK = """
const NAMES = ["initialized", "userAvailable", "userUnavailable", "userLoggedIn", "userLoggedOut", "incomingCall",
  "callAnswered", "callEnded", "callCompleted", "resizeWidget"];
export const sent = [];
export const hubspot = { ready: false };
export default class CallingExtensions {
  constructor({ eventHandlers }) {
    hubspot.says = (name) => { hubspot.ready = true; eventHandlers[name]({}); };
    for (const name of NAMES) this[name] = (...given) => {
      if (!hubspot.ready) throw new Error(`${name} before onReady`);
      sent.push([name, ...given]);
    };
  }
}
"""
NUMBERS = "export const numbersOf = (id) => ({ fromNumber: `from ${id}`, toNumber: `to ${id}` });\n"
RUN = """
import { readFileSync } from "node:fs";
import { hubspot, sent } from "@hubspot/calling-extensions-sdk";
const panel = new EventTarget();
globalThis.document = { querySelector: (selector) => (selector === "dtmf-shield-capture" ? panel : null) };
const failed = [];
process.on("uncaughtException", (error) => failed.push(String(error)));
await import("./adapter.mjs");
for (const [name, detail] of JSON.parse(readFileSync(0, "utf-8"))) {
  if (name === "HubSpot") hubspot.says(detail);
  else panel.dispatchEvent(Object.assign(new Event(`dtmf-shield-${name}`), { detail }));
}
await new Promise(setImmediate);
process.stdout.write(JSON.stringify({ sent, failed }));
"""
READY = ("HubSpot", "onReady")
SIGNED_IN = ("ready", {"type": "dtmf-shield.ready", "v": 1, "call": None, "signed_in": True})
NOBODY = ("ready", {"type": "dtmf-shield.ready", "v": 1, "call": None, "signed_in": False})
BEGUN = ["initialized", {"isLoggedIn": True, "isAvailable": True, "sizeInfo": {"width": 420, "height": 640}}]


def state(call: str | None, state: str | None, connection: str = "live") -> tuple[str, dict[str, Any]]:
    """What the panel tells of the call it shows."""
    return "state", {
        "type": "dtmf-shield.state",
        "v": 1,
        "call": call,
        "state": state,
        "connection": connection,
    }


def announced(call: str) -> list[Any]:
    numbers = {"fromNumber": f"from {call}", "toNumber": f"to {call}"}
    return ["incomingCall", {"externalCallId": call, **numbers, "createEngagement": True}]


def answered(call: str) -> list[Any]:
    return ["callAnswered", {"externalCallId": call}]


def over(call: str, status: str = "COMPLETED") -> list[Any]:
    return ["callEnded", {"externalCallId": call, "callEndStatus": status}]


def blocks(vendor: str, language: str) -> list[str]:
    """The blocks of code of one language in a vendor's section."""
    section = DOCUMENT.read_text("utf-8").partition(f"\n### {vendor}")[2].partition("\n### ")[0]
    return re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)


@pytest.mark.parametrize(("vendor", "pages"), [("Zendesk", 2), ("HubSpot", 2), ("Salesforce", 1)])
def test_an_adapter_names_the_page_that_holds_the_panel_and_the_one_around_that(
    vendor: str, pages: int
) -> None:
    """Each as the configuration takes it, and as browsers write it. A Lightning page holds the panel itself."""
    (block,) = blocks(vendor, "toml")
    named = tomllib.loads(block)["api"]["embed_origins"]

    taken = ApiSection(embed_origins=named, public_url="https://pay.example.com", behind_proxy=["10.0.0.0/8"])

    assert taken.embed_origins == named
    assert len(set(named)) == pages


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The adapter beside the stand-in."""
    (code,) = blocks("HubSpot", "js")
    folder = tmp_path_factory.mktemp("hubspot")
    package = folder / "node_modules" / "@hubspot" / "calling-extensions-sdk"
    package.mkdir(parents=True)
    (package / "package.json").write_text('{"type": "module", "exports": "./index.js"}', "utf-8")
    (package / "index.js").write_text(SDK, "utf-8")
    (folder / "package.json").write_text('{"type": "module"}', "utf-8")
    (folder / "numbers.js").write_text(NUMBERS, "utf-8")
    (folder / "adapter.mjs").write_text(code, "utf-8")
    (folder / "run.mjs").write_text(RUN, "utf-8")
    return folder


def sent(folder: Path, *told: tuple[str, Any]) -> list[Any]:
    """Return what HubSpot is sent, in order, where this is told to the adapter."""
    done = subprocess.run(
        ["node", "run.mjs"],
        cwd=folder,
        input=json.dumps(told),
        capture_output=True,
        timeout=RUN_S,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, list[Any]] = json.loads(done.stdout)
    assert answer["failed"] == []
    return answer["sent"]


def test_a_call_is_announced_answered_and_ended_once_whatever_holds_it(folder: Path) -> None:
    course = [
        state("c1", word) for word in ("ringing", "early", "talking", "held", "talking", "held", "ended")
    ]

    assert sent(folder, SIGNED_IN, READY, *course, course[-1]) == [
        BEGUN,
        announced("c1"),
        answered("c1"),
        over("c1"),
    ]


def test_nothing_is_sent_before_hubspot_listens_and_then_what_is_so(folder: Path) -> None:
    before = [NOBODY, state(None, None), ("resize", {"height": 700}), SIGNED_IN, state("c1", "talking")]

    size = {"width": 420, "height": 700}
    begun = ["initialized", {"isLoggedIn": True, "isAvailable": True, "sizeInfo": size}]
    assert sent(folder, *before) == []
    assert sent(folder, *before, READY) == [begun, announced("c1"), answered("c1")]
    assert sent(folder, *before, state("c1", "ended"), READY) == [begun]


def test_who_is_signed_in_is_told_as_it_changes(folder: Path) -> None:
    told = sent(folder, NOBODY, READY, SIGNED_IN, SIGNED_IN, state("c1", "talking", "signed-out"), SIGNED_IN)

    assert told == [
        ["initialized", {**BEGUN[1], "isLoggedIn": False, "isAvailable": False}],
        ["userLoggedIn"],
        ["userAvailable"],
        ["userLoggedOut"],
        ["userLoggedIn"],
        ["userAvailable"],
    ]


def test_a_call_that_nobody_answered_and_the_call_beside_it_have_their_own_ends(folder: Path) -> None:
    """The agent puts c1 aside for c2, and looks at c1 again after its end; c3 rings and is gone."""
    course = [
        *(state("c1", "talking"), state("c2", "talking"), state("c2", "ended"), state("c1", "ended")),
        *(state("c2", "ended"), state("c3", "ringing"), state("c3", "ended"), state(None, None)),
    ]

    assert sent(folder, SIGNED_IN, READY, *course)[1:] == [
        *(announced("c1"), answered("c1"), announced("c2"), answered("c2"), over("c2"), over("c1")),
        *(announced("c3"), over("c3", "NO_ANSWER")),
    ]


def test_the_height_is_given_on(folder: Path) -> None:
    told = sent(folder, SIGNED_IN, READY, ("resize", {"height": 512}), ("resize", {"height": 300}))

    assert told[1:] == [["resizeWidget", {"width": 420, "height": height}] for height in (512, 300)]
