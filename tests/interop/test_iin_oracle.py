"""The table of brands against an independent one: npm credit-card-type 10.3.0 (MIT), every prefix of six digits.

Where the two differ the difference is named below with its reason; a difference that is not named fails, and so does a
named one that is none.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from importlib import resources
from pathlib import Path

import pytest

from dtmf_shield.cde.card import IinTable

pytestmark = pytest.mark.untimed

HERE = Path(__file__).parent
NODE_MODULES = HERE.parent / ".cache" / "credit-card-type"
ORACLE = "credit-card-type@10.3.0"
PREFIXES = 1_000_000
NAMES = {"american-express": "amex", "diners-club": "diners"}

AGREED = {
    (
        "maestro",
        "rupay",
    ): "RuPay (India): 508500-508999, 606985-607984, 608001-608500; the oracle has no RuPay",
    ("discover", "rupay"): "RuPay: 652150-653149, issued before Discover and RuPay parted their ranges",
    ("", "rupay"): "RuPay: 8172-8199 and 82, of which the oracle knows nothing",
    ("discover", "verve"): "Verve (Nigeria): 650002-650027",
    ("maestro", "dankort"): "Dankort (Denmark): 5019",
    (
        "maestro",
        "unionpay",
    ): "UnionPay has all of 62 but Elo's 627780; the oracle leaves gaps and calls them Maestro",
}
"""(the oracle's brand, ours): why ours."""
RANGES = {
    "rupay": (
        *((508500, 508999), (606985, 607984), (608001, 608500)),
        *((652150, 653149), (817200, 819999), (820000, 829999)),
    ),
    "verve": ((650002, 650027),),
    "dankort": ((501900, 501999),),
    "unionpay": ((620000, 629999),),
}
"""Where a difference may be."""


@pytest.fixture(scope="module")
def oracle() -> list[str]:
    """Brands by prefix, as the oracle has them."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.fail("node and npm are needed: on Debian apt-get install nodejs npm")
    if not (NODE_MODULES / "node_modules" / "credit-card-type").is_dir():
        command = ["npm", "install", "--prefix", str(NODE_MODULES), ORACLE, "--no-audit", "--no-fund"]
        subprocess.run(command, check=True, timeout=120, capture_output=True)
    environment = {"NODE_PATH": str(NODE_MODULES / "node_modules")}
    run = subprocess.run(
        [shutil.which("node") or "node", str(HERE / "credit_card_type.js")],
        check=True,
        timeout=120,
        capture_output=True,
        text=True,
        env=environment,
    )
    brands: list[str] = []
    for line in run.stdout.splitlines():
        first, last, *found = line.split()
        names = " ".join(sorted(NAMES.get(name, name) for name in found))
        brands += [names] * (int(last) - int(first) + 1)
    return brands


def test_oracle_is_the_named_version_and_knows_every_prefix(oracle: list[str]) -> None:
    package = json.loads((NODE_MODULES / "node_modules" / "credit-card-type" / "package.json").read_text())

    assert f"{package['name']}@{package['version']}" == ORACLE
    assert len(oracle) == PREFIXES
    assert (oracle[424242], oracle[378282], oracle[111111]) == ("visa", "amex", "")


def test_every_six_digit_prefix_has_the_oracles_brand_or_an_agreed_other(oracle: list[str]) -> None:
    table = IinTable(resources.files("dtmf_shield.cde").joinpath("iin.toml").read_text("utf-8"))
    view = memoryview(bytearray(6))
    unnamed: list[tuple[int, str, str]] = []
    met: set[tuple[str, str]] = set()
    for number, theirs in enumerate(oracle):
        view[:] = b"%06d" % number
        ours = " ".join(sorted(brand.name for brand in table.candidates(view, 6)))
        if ours == theirs:
            continue
        inside = any(first <= number <= last for first, last in RANGES.get(ours, ()))
        if inside and (theirs, ours) in AGREED:
            met.add((theirs, ours))
        else:
            unnamed.append((number, theirs, ours))

    assert unnamed[:20] == []
    assert met == AGREED.keys()


def test_lengths_and_code_lengths_are_the_oracles(oracle: list[str]) -> None:
    script = (
        'const t=require("credit-card-type");const o={};'
        "for (const k of Object.values(t.types)) { const i=t.getTypeInfo(k); o[k]=[i.lengths,i.code.size]; }"
        "console.log(JSON.stringify(o))"
    )
    run = subprocess.run(
        [shutil.which("node") or "node", "-e", script],
        check=True,
        timeout=60,
        capture_output=True,
        text=True,
        env={"NODE_PATH": str(NODE_MODULES / "node_modules")},
    )
    table = IinTable(resources.files("dtmf_shield.cde").joinpath("iin.toml").read_text("utf-8"))
    theirs = {
        NAMES.get(name, name): (tuple(lengths), size)
        for name, (lengths, size) in json.loads(run.stdout).items()
    }

    ours = {name: (brand.lengths, brand.code_length) for name, brand in table.brands.items()}

    assert {name: ours[name] for name in theirs} == theirs
    assert ours.keys() - theirs.keys() == {"rupay", "dankort"}
