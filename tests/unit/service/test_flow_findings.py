"""What a flow asks that the configuration has not is told before a call: hooks and gateways."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from dtmf_shield.base.config import (
    AgentSection,
    CaptureSection,
    Config,
    GatewaySection,
    HookSection,
    MediaSection,
    RouteSection,
)
from dtmf_shield.base.errors import OperatorError
from dtmf_shield.flow.loader import load_flow
from dtmf_shield.service import start
from dtmf_shield.service.control.hook_settings import hooks_of
from dtmf_shield.service.flows.findings import findings
from dtmf_shield.service.flows.versions import FlowShelf, take_over

FLOWS = Path(__file__).parents[3] / "ivr_flows"
TEXT = (FLOWS / "card-tokenize-agent.yaml").read_text("utf-8")
SELF_SERVICE = (FLOWS / "card-payment-self-service.yaml").read_text("utf-8")


def flow_of(text, *changes):
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return load_flow(text, file="flow")


def masked(**words):
    said = ", ".join(f"{name}: {word}" for name, word in words.items())
    return flow_of(TEXT, ("\nfields:", f"\nmasking: {{{said}}}\n\nfields:"))


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    for variable in ("SSLKEYLOGFILE", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(variable.upper(), raising=False)


def test_a_hook_that_is_not_configured_is_named_with_flow_step_and_those_that_are():
    config = Config(hooks=[HookSection(name="account_lookups", url="https://crm.example/find")])

    (finding,) = findings(flow_of(SELF_SERVICE), config)

    for word in (
        "card-payment-self-service",
        "steps.find.request.hook",
        "account_lookup'",
        "account_lookups",
    ):
        assert word in finding
    assert "did you mean account_lookups?" in finding


def test_a_configured_hook_is_no_finding():
    config = Config(hooks=[HookSection(name="account_lookup", url="https://crm.example/find")])

    assert findings(flow_of(SELF_SERVICE), config) == []


FILES = {"address": "pay.example:443", "ca_file": "ca.pem", "credentials_file": "key"}
STEP = "do: tokenize"


def at(gateway):
    return flow_of(TEXT, (STEP, f"{STEP}\n    gateway: {gateway}"))


def test_gateways_are_the_default_and_those_that_the_configuration_names():
    config = Config(
        gateway=GatewaySection(kind="stripe", name="main", **FILES),
        fallback_gateway=GatewaySection(kind="adyen", name="second", **FILES),
    )

    assert findings(flow_of(TEXT), config) == []
    assert [findings(at(name), config) for name in ("default", "main", "second")] == [[], [], []]
    (finding,) = findings(at("secund"), config)
    assert "steps." in finding and ".gateway: no gateway is named 'secund'" in finding
    assert "allowed: default, main, second; did you mean second?" in finding


def test_after_a_reload_gateways_are_those_that_payments_have_now():
    config = Config(gateway=GatewaySection(kind="stripe", name="main", **FILES))

    assert findings(at("new"), config, ("main", "new")) == []
    assert len(findings(at("main"), config, ("other",))) == 1
    assert len(findings(at("new"), config)) == 1


@pytest.mark.parametrize("style", ["noise", "silence", "tone", "beep"])
@pytest.mark.parametrize(
    "words",
    [
        {"agent_hears": "silence"},
        {"agent_hears": "comfort_noise"},
        {"agent_hears": "flat_tone"},
        {"agent_hears_caller": "false", "caller_hears_agent": "false", "recording": "pause"},
    ],
)
def test_every_strictness_that_the_language_has_is_kept_by_every_configuration(words, style):
    assert findings(masked(**words), Config(media=MediaSection(mask_style=style))) == []


def test_shipped_flows_do_not_keep_the_service_from_starting_and_are_not_offered(tmp_path):
    shelf = FlowShelf(tmp_path, lambda flow: findings(flow, Config()))
    shelf.serve(shelf.read(take_over(tmp_path, sorted(FLOWS.glob("*.yaml")))))
    offered = shelf.flows

    assert start.check(Config(), tmp_path) == []
    assert "card-tokenize-agent" in offered
    assert "card-payment-self-service" not in offered


def test_own_flows_are_findings_of_the_check_and_keep_the_service_from_starting(tmp_path):
    (tmp_path / "one.yaml").write_text(TEXT)
    (tmp_path / "two.yaml").write_text(SELF_SERVICE)
    config = Config(capture=CaptureSection(flows_directory=str(tmp_path)))

    (finding,) = start.check(config, tmp_path)

    assert "account_lookup" in finding
    with pytest.raises(OperatorError, match="account_lookup"):
        start._refuse_findings(config, tmp_path)


def test_a_route_to_a_flow_that_is_not_kept_is_a_finding(tmp_path):
    (tmp_path / "one.yaml").write_text(TEXT)
    (tmp_path / "two.yaml").write_text(
        TEXT.replace("id: card-tokenize-agent", "id: elsewhere").replace(
            STEP, f"{STEP}\n    gateway: none-such"
        )
    )
    routes = [RouteSection(dialled="*", agent="agent", capture="elsewhere")]
    config = Config(capture=CaptureSection(flows_directory=str(tmp_path)), routes=routes)

    (finding,) = start.check(config, tmp_path)

    assert finding.startswith("routes[0].capture: flow elsewhere: steps.")
    assert ".gateway: no gateway is named 'none-such'" in finding


@pytest.mark.parametrize(
    ("source", "begins"), [("from: header, header: X-Order", True), ("from: api", False)]
)
def test_a_route_may_begin_a_flow_whose_call_brings_what_it_needs(tmp_path, source, begins):
    text = TEXT.replace(
        "\nfields:", f"\ninputs:\n  order: {{type: text, required: true, {source}}}\n\nfields:"
    )
    (tmp_path / "one.yaml").write_text(text)
    routes = [RouteSection(dialled="*", agent="agent", capture="card-tokenize-agent")]
    config = Config(
        capture=CaptureSection(flows_directory=str(tmp_path), default_flow="card-tokenize-agent"),
        routes=routes,
    )

    told = start.check(config, tmp_path)

    assert [finding.partition(":")[0] for finding in told] == (
        [] if begins else ["capture.default_flow", "routes[0].capture"]
    )
    assert all("(order)" in finding and "from: header" in finding for finding in told)


def test_every_shipped_self_service_flow_can_begin_by_a_route(tmp_path):
    alone = [
        flow.stem for flow in sorted(FLOWS.glob("*.yaml")) if "mode: self_service" in flow.read_text("utf-8")
    ]
    config = Config(
        agents=[AgentSection(name="payments-help", address="127.0.0.1:5070")],
        hooks=[HookSection(name="account_lookup", url="http://127.0.0.1:8080/account")],
        routes=[RouteSection(dialled=name, flow=name) for name in alone],
    )

    assert len(alone) > 1
    assert start.check(config, tmp_path) == []


def test_files_of_hooks_are_checked_before_a_start_and_nothing_of_them_is_told(tmp_path):
    (tmp_path / "secret").write_text("Content-Length: 7777\n")
    (tmp_path / "open").write_text("token77\n")
    (tmp_path / "open").chmod(0o644)
    (tmp_path / "ca.pem").write_text("no certificate 7777")
    url = "https://crm.example/find"
    hooks = [
        HookSection(name="one", url=url, credentials_file="secret", ca_file="ca.pem"),
        HookSection(name="two", url=url, credentials_file="open", ca_file="missing.pem"),
        HookSection(name="three", url="http://127.0.0.1:8/", ca_file="ca.pem"),
    ]

    told = start.check(Config(hooks=hooks), tmp_path)

    assert [finding.partition(": ")[0] for finding in told] == [
        "hooks[0].ca_file", "hooks[0].credentials_file", "hooks[1].ca_file", "hooks[1].credentials_file",
        "hooks[2].ca_file",
    ]  # fmt: skip
    assert "77" not in "".join(told)
    assert "chmod 600" in told[3]


def test_a_hook_whose_file_went_bad_since_the_check_is_left_out_and_told_without_its_content(tmp_path):
    (tmp_path / "secret").write_text("7777 7777\n")
    url = "https://crm.example"
    sections = [
        HookSection(name="one", url=url, credentials_file=str(tmp_path / "secret")),
        HookSection(name="two", url=url),
    ]

    with capture_logs() as lines:
        hooks = hooks_of(Config(hooks=sections))

    assert list(hooks) == ["two"]
    assert [(line["event"], line["hook"]) for line in lines] == [("hook_unusable", "one")]
    assert "77" not in repr(lines)


def test_paths_of_hooks_are_made_whole_for_the_process_that_reads_them(tmp_path):
    hooks = [HookSection(name="one", url="https://crm.example", credentials_file="secret")]

    resolved = start._resolved(Config(hooks=hooks), tmp_path)

    assert resolved["hooks"][0]["credentials_file"] == str(tmp_path / "secret")
    assert resolved["hooks"][0]["ca_file"] is None
