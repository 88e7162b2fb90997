"""What ``check`` says of prompts that flows need and that are not built."""

import subprocess
import sys

import pytest

from dtmf_shield.base.config import Config
from dtmf_shield.flow.finding import Severity
from dtmf_shield.model.prompt import Formatter, Text, ValueReference
from dtmf_shield.prompts.grammar import inventory
from dtmf_shield.prompts.grammar.parts import PAUSES_MS
from dtmf_shield.prompts.names import literal_name
from dtmf_shield.prompts.sound.shaping import silence
from dtmf_shield.prompts.store_writer import StoredPiece, packets_of, write_language
from dtmf_shield.service.prompts.check import CARE_PIECES, FlowPrompts, prompt_findings
from dtmf_shield.service.prompts.flows import check_prompts, unbuilt_prompts

SORRY = {"sorry": {"en-GB": (Text("Sorry."),)}}
PAYING = {"paying": {"en-GB": (Text("You pay"), ValueReference("inputs.amount", Formatter.MONEY))}}


SORRY_FLOW = """flow: v1
id: sorry
title: Sorry
mode: self_service
fields: {pin: {type: digits, length: {min: 4, max: 4}}}
prompts: {sorry: {en-GB: {say: "Sorry."}}}
start: sorry
steps:
  sorry: {do: play, prompt: sorry, next: {ok: bye}}
  bye: {do: exit, result: completed, to: hangup}
"""
STANDARD = [*CARE_PIECES, *inventory("en-GB"), *PAUSES_MS]


def store_of(directory, names, draft=False):
    pieces = [
        StoredPiece(
            name=name,
            text="",
            engine="none",
            voice="",
            version="1",
            draft=draft,
            sha256=name,
            loudness_lufs=None,
            wav=name,
            packets=packets_of(silence(20)),
        )
        for name in names
    ]
    write_language(directory, "en-GB", pieces)


def told(directory, flows):
    return [finding.said for finding in prompt_findings(directory, flows)]


def test_a_flow_whose_pieces_are_all_there_has_no_finding(tmp_path):
    store_of(tmp_path, [*STANDARD, literal_name("Sorry.")])

    assert told(tmp_path, [FlowPrompts("pay", ("en-GB",), SORRY)]) == []


def test_a_flow_that_says_nothing_needs_no_store(tmp_path):
    assert told(tmp_path / "nowhere", [FlowPrompts("silent", ("en-GB",), {})]) == []


def test_a_text_that_was_changed_since_the_build_is_named_by_its_prompt(tmp_path):
    store_of(tmp_path, [*STANDARD, literal_name("Pardon.")])

    assert told(tmp_path, [FlowPrompts("pay", ("en-GB",), SORRY)]) == [
        "flow pay, language en-GB: a piece is not built (sorry); run: dtmf-shield prompts build"
    ]


def test_a_flow_in_a_draft_voice_is_told_to_the_operator(tmp_path):
    store_of(tmp_path, [*STANDARD, literal_name("Sorry.")], draft=True)

    assert told(tmp_path, [FlowPrompts("pay", ("en-GB",), SORRY)]) == [
        "flow pay, language en-GB: 1 prompts are in a draft voice (sorry); record them or install a better engine"
    ]


def test_numbers_are_needed_by_every_flow_for_values_and_positions(tmp_path):
    store_of(tmp_path, [*CARE_PIECES, literal_name("You pay")])
    flow = FlowPrompts("pay", ("en-GB",), PAYING)

    (finding,) = told(tmp_path, [flow])

    assert finding.startswith(
        f"flow pay, language en-GB: {len(inventory('en-GB')) + len(PAUSES_MS)} pieces are not built (n-0, n-1,"
    )
    store_of(tmp_path, [*STANDARD, literal_name("You pay")])
    assert told(tmp_path, [flow]) == []


def test_a_language_that_was_never_built_is_named(tmp_path):
    store_of(tmp_path, CARE_PIECES)

    (finding,) = told(tmp_path, [FlowPrompts("pay", ("fr-FR",), SORRY)])

    assert finding == (
        "flow pay: language fr-FR: no prompts are built (built: en-GB); run: dtmf-shield prompts build"
    )


def test_where_nothing_was_built_one_sentence_names_the_flows(tmp_path):
    flows = [FlowPrompts("pay", ("en-GB",), SORRY), FlowPrompts("save", ("en-GB", "fr-FR"), SORRY)]

    assert told(tmp_path, flows) == [
        f"no prompts are built in {tmp_path}, and callers of pay, save would hear nothing; "
        "run: dtmf-shield prompts build"
    ]


def test_a_value_in_a_language_without_grammar_is_a_finding(tmp_path):
    write_language(tmp_path, "it-IT", [])
    prompts = {"paying": {"it-IT": (ValueReference("inputs.amount", Formatter.MONEY),)}}

    (finding,) = told(tmp_path, [FlowPrompts("pay", ("it-IT",), prompts)])

    assert "language it-IT: no number grammar; values are spoken in: en, de, fr, es" in finding


def test_a_spoiled_store_is_one_finding(tmp_path):
    store_of(tmp_path, CARE_PIECES)
    (tmp_path / "en-GB" / "index.json").write_text("{")

    (finding,) = told(tmp_path, [FlowPrompts("pay", ("en-GB",), SORRY)])

    assert "is no index of this version; delete" in finding


def test_checking_makes_no_directory_and_skips_flows_that_are_wrong(tmp_path):
    flows = tmp_path / "flows"
    flows.mkdir()
    (flows / "wrong.yaml").write_text("flow: v9\n")
    config = Config.model_validate({"capture": {"flows_directory": "flows"}})

    assert check_prompts(config, tmp_path) == []
    assert [path.name for path in tmp_path.iterdir()] == ["flows"]


@pytest.mark.parametrize("module", ["dtmf_shield.service.prompts.flows", "dtmf_shield.cli.prompts"])
def test_a_check_loads_neither_kernels_nor_engines(module):
    program = (
        f"import sys, {module};"
        "print(*[m for m in sys.modules if m.startswith(('numpy', 'numba', 'dtmf_shield.media', 'dtmf_shield.cde',"
        "'dtmf_shield.prompts.engines', 'dtmf_shield.prompts.build'))])"
    )

    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert loaded.stdout.split() == []


@pytest.mark.parametrize(("draft", "rule"), [(False, ""), (True, "draft-voice")])
def test_flow_check_tells_of_built_prompts_by_rule(tmp_path, draft, rule):
    """An error keeps a flow from being heard, a draft voice is a warning; a folder without prompts is an error."""
    path = tmp_path / "sorry.yaml"
    path.write_text(SORRY_FLOW)
    store_of(tmp_path / "built", [*STANDARD, literal_name("Sorry.")], draft=draft)

    assert [finding.rule for finding in unbuilt_prompts(tmp_path / "built", [path])] == (
        [rule] if rule else []
    )
    (missing,) = unbuilt_prompts(tmp_path / "none", [path])
    assert (missing.rule, missing.severity, missing.file) == ("not-built", Severity.ERROR, str(path))
