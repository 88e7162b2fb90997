"""The pages on flows: the reference is that of the models, every example passes the check and runs."""

from pathlib import Path

import pytest

from dtmf_shield.flow.check.check import RULES
from dtmf_shield.flow.engine import begin
from dtmf_shield.flow.loader import load_flow, read_flow
from dtmf_shield.flow.reference import as_markdown

DOCS = Path(__file__).parents[3] / "docs" / "flows"
EXAMPLES = sorted((DOCS / "examples").glob("*.yaml"))
UPDATE = "dtmf-shield flow reference --out docs/flows/reference.md"


def test_the_reference_is_that_of_the_models():
    assert (DOCS / "reference.md").read_text("utf-8") == as_markdown(), f"run: {UPDATE}"


def test_the_reference_names_every_rule_and_every_step_kind():
    page = as_markdown()

    kinds = (
        "collect",
        "menu",
        "play",
        "set",
        "http",
        "charge",
        "tokenize",
        "verify",
        "transfer",
        "repeat",
        "exit",
    )
    assert all(f"`do: {kind}`" in page for kind in kinds)
    assert all(f"| `{rule}` |" in page for rule in RULES)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_from_other_systems_have_no_finding_and_begin(path):
    _, found = read_flow(path.read_text("utf-8"), file=path.name)
    assert [str(finding) for finding in found] == []

    _, commands = begin(load_flow(path.read_text("utf-8"), file=path.name), {"amount": "20.45"})
    assert commands


def test_the_page_shows_every_example():
    page = (DOCS / "importing.md").read_text("utf-8")

    assert len(EXAMPLES) == 4
    assert all(f"(examples/{path.name})" in page for path in EXAMPLES)
