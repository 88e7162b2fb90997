"""A configuration error names file, line, key, what was found and what is allowed."""

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from dtmf_shield.base.config import Config, HookSection, load_config
from dtmf_shield.base.config_reference import render
from dtmf_shield.base.errors import OperatorError


def findings(tmp_path, text):
    path = tmp_path / "dtmf-shield.toml"
    path.write_text(text)
    with pytest.raises(ExceptionGroup) as caught:
        load_config(path)
    return caught.value.exceptions


def test_the_defaults_are_loopback_only():
    config = Config()

    assert config.sip.listen == ["127.0.0.1:5060"]
    assert config.api.listen.startswith("127.0.0.1:")
    assert config.gateway.kind == "embedded"


def test_an_unknown_key_is_named_with_its_line_and_the_known_ones(tmp_path):
    (finding,) = findings(tmp_path, '[sip]\nlisten = ["127.0.0.1:5060"]\nlisen = 3\n')

    assert (finding.line, finding.key) == (3, "sip.lisen")
    assert "listen" in finding.allowed


def test_an_entry_of_an_array_is_found_at_its_own_line(tmp_path):
    text = (
        '[[agents]]\nname = "a"\naddress = "127.0.0.1:1"\n[[agents]]\nname = "b"\naddress = "pbx.example:1"\n'
    )

    (finding,) = findings(tmp_path, text + '[[routes]]\ndialled = "*"\nagent = "a"\n')

    assert (finding.line, finding.key, finding.found) == (6, "agents[1].address", "'pbx.example:1'")


def test_a_route_to_an_agent_that_is_not_there_is_found(tmp_path):
    (finding,) = findings(tmp_path, '[[routes]]\ndialled = "*"\nagent = "nobody"\n')

    assert (finding.line, finding.key, finding.found) == (3, "routes[0].agent", "'nobody'")
    assert "agent" in finding.allowed


@pytest.mark.parametrize(
    ("route", "key", "allowed"),
    [
        ('dialled = "8"', "routes[0].dialled", "flow = a self-service flow"),
        ('agent = "agent"\nflow = "f"\ndialled = "8"', "routes[0].flow", "only without agent"),
        ('flow = "f"\ncapture = "g"\ndialled = "8"', "routes[0].capture", "only with agent"),
    ],
)
def test_a_route_names_an_agent_or_a_flow(tmp_path, route, key, allowed):
    (finding,) = findings(tmp_path, f"[[routes]]\n{route}\n")

    assert finding.key == key
    assert allowed in finding.allowed


def test_a_route_may_name_a_flow_and_no_agent(tmp_path):
    path = tmp_path / "dtmf-shield.toml"
    path.write_text('[[routes]]\ndialled = "8000"\nflow = "pay"\n')

    config = load_config(path)

    assert (config.routes[0].agent, config.routes[0].flow) == (None, "pay")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[media]\ncalls_max = 0\n", "media.calls_max"),
        ('[media]\ncodecs = ["OPUS"]\n', "media.codecs[0]"),
        ('[media]\ncodecs = ["G722", "G722"]\n', "media.codecs"),
        ("[media]\ncodecs = []\n", "media.codecs"),
        ('[media]\naddress = "0.0.0.0"\n', "media.address"),
        ('[sip]\nlisten = ["[::]:5060"]\n', "sip.listen[0]"),
        ("[media]\nport_min = 20000\nport_max = 20010\n", "media"),
        ('[api]\nlisten = "0.0.0.0:80"\n', "api"),
        ('[capture]\nstar_code = "12"\n', "capture.star_code"),
        ('[gateway]\nkind = "generic"\n', "gateway"),
        ('[keys]\nkek = "pkcs11"\n', "keys"),
        ('[[trunks]]\nname = "t"\nnetworks = ["10.0.0.0/33"]\n', "trunks[0].networks[0]"),
    ],
)
def test_values_out_of_range_are_found(tmp_path, text, key):
    (finding,) = findings(tmp_path, text)

    assert finding.key == key
    assert finding.allowed


@pytest.mark.parametrize("content", [b"[sip\n", b"\xff\xfe"])
def test_what_is_not_toml_is_refused_with_the_file_name(tmp_path, content):
    path = tmp_path / "dtmf-shield.toml"
    path.write_bytes(content)

    with pytest.raises(OperatorError, match=r"dtmf-shield\.toml"):
        load_config(path)


def test_a_missing_file_says_what_to_do(tmp_path):
    with pytest.raises(OperatorError, match="--config"):
        load_config(tmp_path / "absent.toml")


def test_the_reference_page_is_the_definition():
    page = Path(__file__).parents[3] / "docs" / "reference" / "configuration.md"

    assert page.read_text("utf-8") == render(), (
        "update it: python -m dtmf_shield.base.config_reference > docs/reference/configuration.md"
    )


def test_every_key_is_explained():
    assert not re.search(r"\| +\|$", render(), re.MULTILINE)


def test_a_wrong_type_is_told_in_the_words_of_the_file(tmp_path):
    path = tmp_path / "dtmf-shield.toml"
    path.write_text("[api]\nlisten = 8080\n[media]\ncalls_max = 5000\n")

    with pytest.raises(ExceptionGroup) as caught:
        load_config(path)

    allowed = {finding.key: finding.allowed for finding in caught.value.exceptions}
    assert allowed == {"api.listen": "text in quotes", "media.calls_max": "less than or equal to 2000"}


@pytest.mark.parametrize("line", ['mask_style = "song"', "mask_level_dbm0 = -10.0", "echo_hold_ms = 301"])
def test_masks_outside_the_limits_are_refused(tmp_path, line):
    (finding,) = findings(tmp_path, f"[media]\n{line}\n")

    assert finding.key == "media." + line.split(" = ")[0]
    assert finding.line == 2


@pytest.mark.parametrize(
    "url",
    [
        "https://crm.example",
        "https://crm.example/v1/find",
        "https://crm.example:8443/",
        "https://192.0.2.7/x",
        "https://[2001:db8::1]:443/x",
        "http://127.0.0.1:9000/find",
        "http://[::1]:9000/",
    ],
)
def test_hooks_are_https_or_on_loopback(url):
    assert HookSection(name="lookup", url=url).url == url


@pytest.mark.parametrize(
    "url",
    [
        "http://crm.example/",
        "http://192.0.2.7/",
        "http://localhost/",
        "https://user:secret@crm.example/",
        "https://crm.example/?key=1",
        "https://crm.example/#x",
        "https://crm.example:0/",
        "https://crm.example:65536/",
        "https://crm.example/a b",
        "https://2130706433/",
        "https://[::1/",
        "ftp://crm.example/",
        "crm.example",
        "",
    ],
)
def test_other_addresses_of_hooks_are_refused(url):
    with pytest.raises(ValidationError):
        HookSection(name="lookup", url=url)
