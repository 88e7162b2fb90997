"""`dtmf-shield flow`: what it prints, for people and for machines, and its exit codes."""

import json
import secrets

import pytest
from typer.testing import CliRunner

from dtmf_shield.cli.main import app
from dtmf_shield.flow.schema import SCHEMA_FILE
from dtmf_shield.phone.test_cards import passes_check_digit
from tests.unit.flow.shipped import DIRECTORY, TEXTS

PAY = DIRECTORY / "card-payment-agent.yaml"
TOLD = ["--input", "amount=12.50", "--input", "currency=GBP", "--input", "reference=A-1"]


def flow(*arguments, said=None):
    """Run the command; returns exit code, standard output, standard error."""
    result = CliRunner().invoke(app, ["flow", *map(str, arguments)], input=said)
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def bad(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text(TEXTS["card-payment-agent"].replace("attempts: 3", "atempts: 3"))
    return path


@pytest.fixture
def warned(tmp_path):
    path = tmp_path / "warned.yaml"
    path.write_text(
        TEXTS["card-payment-agent"].replace("prompts:\n", "prompts:\n  never: {en-GB: {say: No.}}\n", 1)
    )
    return path


def test_check_of_the_shipped_directory_is_ok():
    code, out, err = flow("check", DIRECTORY)

    assert (code, err) == (0, "")
    assert "ok" in out


def test_check_tells_a_mistake_and_leaves_with_1(bad):
    code, _, err = flow("check", bad)

    assert code == 1
    assert "bad.yaml:" in err
    assert "did you mean attempts?" in err


def test_check_speaks_json(bad):
    code, out, _ = flow("check", "--json", bad)

    (finding,) = json.loads(out)["findings"]
    assert code == 1
    assert (finding["rule"], finding["key"], finding["suggestion"]) == (
        "unknown-key",
        "defaults.atempts",
        "attempts",
    )


def test_check_speaks_sarif(bad):
    _, out, _ = flow("check", "--sarif", bad)

    log = json.loads(out)
    (result,) = log["runs"][0]["results"]
    assert log["version"] == "2.1.0"
    assert result["ruleId"] in {rule["id"] for rule in log["runs"][0]["tool"]["driver"]["rules"]}
    assert result["locations"][0]["physicalLocation"]["region"]["startLine"] > 1


def test_warnings_are_errors_only_when_asked(warned):
    assert flow("check", warned)[0] == 0
    assert flow("check", "--strict", warned)[0] == 1


def test_two_flows_with_one_id_are_told(tmp_path):
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text(TEXTS["card-on-file"])

    code, _, err = flow("check", tmp_path)

    assert code == 1
    assert "an id that no other flow has" in err


@pytest.mark.parametrize(
    "arguments", [("check", "/none.yaml"), ("graph", "/none.yaml"), ("simulate", "/none.yaml")]
)
def test_a_file_that_is_not_there_leaves_with_2(arguments):
    code, _, err = flow(*arguments)

    assert code == 2
    assert "/none.yaml" in err


def test_simulate_prints_a_masked_transcript():
    code, out, _ = flow("simulate", PAY, *TOLD, "--keys", "4242424242424242#1230#123#1")

    assert code == 0
    assert "exit      paid, to agent" in out
    assert "4242424242424242" not in out
    assert "••••" in out


def test_simulate_takes_gateway_agent_and_json():
    arguments = ["--keys", "5555555555554444", "--agent", "ask:expiry", "--agent", "cancel", "--json"]
    code, out, _ = flow("simulate", PAY, *TOLD, *arguments)

    lines = json.loads(out)["transcript"]
    assert code == 0
    assert lines[-1]["text"] == "cancelled, to agent"


def test_simulate_runs_a_script(tmp_path):
    script = DIRECTORY / "transcripts" / "card-payment-agent.unknown.transcript"

    code, out, _ = flow("simulate", PAY, "--script", script)

    assert code == 0
    assert "exit      unknown" in out


def test_simulate_takes_test_cards_only_and_repeats_no_other():
    """A number made here that passes the check digit and was never published."""
    beginning = "4" + "".join(secrets.choice("0123456789") for _ in range(14))
    number = next(beginning + last for last in "0123456789" if passes_check_digit(beginning + last))
    code, out, err = flow("simulate", PAY, *TOLD, "--keys", f"{number}#")

    assert code == 2
    assert "published test card numbers only" in err
    assert number not in out + err


def test_simulate_refuses_inputs_that_do_not_fit():
    code, _, err = flow("simulate", PAY, "--input", "amount=12.50", "--keys", "1")

    assert code == 2
    assert "input currency: is needed" in err


def test_simulate_without_keys_is_a_conversation():
    code, out, err = flow(
        "simulate", PAY, *TOLD, said="5555555555554444\nnonsense here\n1230\n123\nagent choose\n"
    )

    assert code == 0
    assert "is no line of a script" in err
    assert "exit      paid, to agent" in out


def test_graph_writes_each_form(tmp_path):
    assert flow("graph", PAY)[1].startswith("flowchart TD")
    assert json.loads(flow("graph", PAY, "--form", "json")[1])["start"] == "card"
    code, out, _ = flow("graph", PAY, "--form", "svg", "--out", tmp_path / "pay.svg")
    assert (code, out) == (0, "")
    assert (tmp_path / "pay.svg").read_text().startswith("<svg")


def test_new_writes_a_flow_that_checks_and_the_schema_beside_it(tmp_path):
    path = tmp_path / "flows" / "my-payment.yaml"

    code, _, _ = flow("new", path, "--template", "card-on-file")

    assert code == 0
    assert "id: my-payment\n" in path.read_text()
    assert (path.parent / SCHEMA_FILE).read_text() == (DIRECTORY / SCHEMA_FILE).read_text()
    assert flow("check", path)[0] == 0


def test_new_overwrites_nothing_and_knows_its_templates(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("mine")

    assert flow("new", path)[0] == 2
    assert path.read_text() == "mine"
    code, _, err = flow("new", tmp_path / "other.yaml", "--template", "card-on-fil")
    assert code == 2
    assert "did you mean card-on-file?" in err
    assert "card-payment-self-service" in flow("new", "--list")[1]


def test_schema_is_the_shipped_one():
    assert flow("schema")[1] == (DIRECTORY / SCHEMA_FILE).read_text("utf-8")
