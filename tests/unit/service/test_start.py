"""The checks before a start: what the configuration points at, in whole sentences."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs

from dtmf_shield.base.config import (
    CaptureSection,
    CdeSection,
    Config,
    GatewaySection,
    MediaSection,
    PaymentsSection,
    RouteSection,
    VelocitySection,
)
from dtmf_shield.base.errors import OperatorError
from dtmf_shield.service import start
from dtmf_shield.service.flows import files

FLOW = (Path(__file__).parents[3] / "ivr_flows" / "card-tokenize-agent.yaml").read_text()


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    for variable in ("SSLKEYLOGFILE", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(variable.upper(), raising=False)


def test_the_defaults_have_no_finding(tmp_path):
    assert start.check(Config(), tmp_path) == []


def test_a_flow_that_is_not_there_is_named_with_the_ones_that_are(tmp_path):
    routes = [RouteSection(dialled="*", agent="agent", capture="nope")]

    (finding,) = start.check(Config(routes=routes), tmp_path)

    assert finding.startswith("routes[0].capture")
    assert "card-tokenize-agent" in finding


def test_a_flow_that_needs_an_amount_cannot_start_by_route(tmp_path):
    routes = [RouteSection(dialled="*", agent="agent", capture="card-charge-agent")]

    (finding,) = start.check(Config(routes=routes), tmp_path)

    assert finding.startswith("routes[0].capture")
    assert "amount" in finding


def test_every_mistake_of_a_flow_file_is_a_finding(tmp_path):
    (tmp_path / "bad.yaml").write_text(FLOW.replace("attempts: 3", "atempts: 3").replace("luhn", "x"))
    config = Config(capture=CaptureSection(flows_directory=str(tmp_path)))

    findings = start.check(config, tmp_path)

    line = FLOW[: FLOW.index("attempts: 3")].count("\n") + 1
    assert any(f"bad.yaml:{line}:" in finding and "atempts" in finding for finding in findings)


@pytest.mark.parametrize("content", [b"id: caf\xe9\n", None], ids=["latin-1", "a folder"])
def test_a_flow_file_that_cannot_be_read_is_a_finding_and_no_crash(tmp_path, content):
    """At a reload it would end the task that reloads, and nobody would hear of it."""
    path = tmp_path / "unreadable.yaml"
    path.mkdir() if content is None else path.write_bytes(content)
    (tmp_path / "good.yaml").write_text(FLOW)
    config = Config(capture=CaptureSection(flows_directory=str(tmp_path)))

    (finding,) = start.check(config, tmp_path)

    assert finding.startswith(f"{path}: ")


def test_a_directory_without_flows_says_so(tmp_path):
    with pytest.raises(OperatorError, match="holds no flow"):
        start.check(Config(capture=CaptureSection(flows_directory=str(tmp_path))), tmp_path)


@pytest.mark.parametrize("variable", ["SSLKEYLOGFILE", "HTTPS_PROXY"])
def test_an_environment_that_leaks_is_a_finding(tmp_path, monkeypatch, variable):
    monkeypatch.setenv(variable, "x")

    (finding,) = start.check(Config(), tmp_path)

    assert variable.lower() in finding.lower()


def test_a_state_directory_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(OperatorError, match=r"state\.directory"):
        start.state_directory_of(Config(), tmp_path, tmp_path / "file" / "state")


def _generic(tmp_path):
    names = {"ca_file": str(tmp_path / "ca.pem"), "credentials_file": str(tmp_path / "credentials")}
    return Config(gateway=GatewaySection(kind="generic", address="127.0.0.1:443", **names))


def test_gateway_files_that_are_missing_are_two_findings_that_say_what_belongs_there(tmp_path):
    authority, credentials = start.check(_generic(tmp_path), tmp_path)

    assert "ca.pem" in authority and "PEM" in authority
    assert "user:password" in credentials


def test_gateway_files_are_read_before_a_start_and_secrets_that_others_may_read_are_named(tmp_path):
    (tmp_path / "ca.pem").write_text("no certificate")
    (tmp_path / "credentials").write_text("no colon")
    (tmp_path / "credentials").chmod(0o644)

    findings = start.check(_generic(tmp_path), tmp_path)

    assert ["no PEM" in findings[0], "user:password" in findings[1], "chmod 600" in findings[2]] == [True] * 3
    assert len(findings) == 3


def test_a_state_directory_serves_one_service_at_a_time(tmp_path):
    held = start._hold(tmp_path)
    with pytest.raises(OperatorError, match="another running service"):
        start._hold(tmp_path)
    os.close(held)

    os.close(start._hold(tmp_path))


class PaperGateway:
    """What is read of the embedded TEST gateway."""

    port, files = 1, SimpleNamespace(ca_file="", gateway_user_file="")


def read_again(running, again, tmp_path):
    state = tmp_path / "state"
    state.mkdir(exist_ok=True)
    with capture_logs() as logged:
        reloaded = start._read_again(running, lambda: (again, tmp_path), state, PaperGateway(), False)
    return reloaded, [line["sections"] for line in logged if line["event"] == "reload_needs_restart"]


def test_a_reload_brings_every_section_of_cde_into_force_and_says_of_none_that_it_waits(tmp_path):
    """`reload_needs_restart` named [payments] and [[velocity]] while both were in force already."""
    rule = VelocitySection(name="only", per="bin", limit=3)
    again = Config(
        payments=PaymentsSection(on_hang_up="keep"), velocity=[rule], cde=CdeSection(require=["mlock"])
    )

    reloaded, waiting = read_again(Config(), again, tmp_path)

    configure = reloaded.configure_cde
    assert configure.on_hang_up == "keep"
    assert [(each.name, each.limit) for each in configure.velocity] == [("only", 3)]
    assert configure.require == ("mlock",)
    assert waiting == []


def test_a_section_that_waits_for_a_restart_is_named(tmp_path):
    _, waiting = read_again(Config(), Config(media=MediaSection(calls_max=3)), tmp_path)

    assert waiting == [["media"]]


@pytest.fixture
def own(tmp_path):
    """A configuration whose flows are a folder with one."""
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "a.yaml").write_text(FLOW)
    return Config(capture=CaptureSection(flows_directory="flows"))


def test_a_reload_takes_over_the_flows_as_they_are_now(own, tmp_path):
    before = read_again(own, own, tmp_path)[0].flow_files
    (tmp_path / "flows" / "a.yaml").write_text(FLOW.replace("attempts: 3", "attempts: 2"))

    after = read_again(own, own, tmp_path)[0].flow_files

    assert len(before) == len(after) == 1
    assert before != after
    assert {path.name for path in (tmp_path / "state" / "flows").iterdir()} == {*before, *after}


def test_a_flow_that_the_running_routes_need_cannot_leave_by_a_reload(own, tmp_path):
    """The routes wait for a restart: that the new ones do not need it is no help."""
    (tmp_path / "flows" / "a.yaml").write_text(FLOW.replace("id: card-tokenize-agent", "id: renamed"))
    again = own.model_copy(
        update={"capture": CaptureSection(flows_directory="flows", default_flow="renamed")}
    )
    assert start.check(again, tmp_path) == []

    with pytest.raises(
        OperatorError, match=r"capture\.default_flow: no flow has the id 'card-tokenize-agent'"
    ):
        read_again(own, again, tmp_path)


def test_two_files_with_one_flow_are_a_finding(own, tmp_path):
    (tmp_path / "flows" / "b.yaml").write_text(FLOW)

    (finding,) = start.check(own, tmp_path)

    assert "b.yaml" in finding
    assert "another id" in finding


def test_more_flows_than_are_served_are_told_and_not_left_out(own, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "FLOWS_MAX", 1)
    (tmp_path / "flows" / "b.yaml").write_text(FLOW)

    with pytest.raises(OperatorError, match="holds 2 flows; 1 at most"):
        start.check(own, tmp_path)
