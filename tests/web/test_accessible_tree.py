"""What a screen reader is given in the main states, kept as golden files: roles, names and order, without times.

``UPDATE_TREES=1 pytest tests/web/test_accessible_tree.py`` writes them anew; the difference is for a person to read.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.web.scenes import MAIN, scene

TREES = Path(__file__).parents[1] / "golden" / "web"
_CLOCK = re.compile(r"\b\d{2}:\d{2}\b")
_SOMEBODY = re.compile(r"link-[0-9a-f]{8}")


def tree(page):
    text = _CLOCK.sub("00:00", page.locator("body").aria_snapshot())
    return _SOMEBODY.sub("somebody", text) + "\n"


@pytest.mark.parametrize("name", MAIN)
def test_accessible_tree_is_as_kept(walk, name):
    shown = scene(name)
    page = walk(shown)
    for selector in shown.sees:
        page.locator(selector).first.wait_for(state="visible")
    page.wait_for_timeout(500)  # what is read aloud is held back 400 ms

    found, kept = tree(page), TREES / f"{shown}.yaml"
    if os.environ.get("UPDATE_TREES"):
        TREES.mkdir(parents=True, exist_ok=True)
        kept.write_text(found, "utf-8")

    assert found == kept.read_text("utf-8")
