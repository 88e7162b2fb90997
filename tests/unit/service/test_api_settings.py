"""[api] and [oidc]: what other addresses than loopback need, and files that are wrong, each with the way out."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509

from dtmf_shield.base.config import Config, load_config
from dtmf_shield.base.errors import OperatorError
from dtmf_shield.service import api_settings
from dtmf_shield.service.certificates import SERVER_AUTH, issue_leaf, make_authority
from dtmf_shield.service.people import People
from dtmf_shield.store.identity_rows import IDENTITY_FILE, IdentityRows

TLS = 'tls_certificate_file = "cert.pem"\ntls_key_file = "key.pem"\n'
NAME = 'public_url = "https://pay.test"\n'
OIDC = '[oidc]\nissuer = "https://login.test"\nclient_id = "c"\nroles = { "a" = "agent" }\n'


NO_ORIGINS = (
    "*",
    "https://*.crm.test",
    "https://crm.test/",
    "https://crm.test/page",
    "https://ada@crm.test",
    "https://crm.test?x",
    "http://crm.test",
    "http://192.0.2.1",
    "crm.test",
    "null",
    "https://crm.test; script-src *",
    "https://crm.test https://evil.test",
)


def config_of(tmp_path: Path, text: str) -> Config:
    file = tmp_path / "service.toml"
    file.write_text(text)
    return load_config(file)


@pytest.fixture
def with_tls(tmp_path: Path) -> Path:
    leaf = issue_leaf(make_authority("root"), "pay.test", [x509.DNSName("pay.test")], [SERVER_AUTH])
    (tmp_path / "cert.pem").write_bytes(leaf.certificate_pem())
    (tmp_path / "key.pem").write_bytes(leaf.key_pem())
    (tmp_path / "key.pem").chmod(0o600)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ('listen = "0.0.0.0:443"\n', "a loopback address .* any other with public_url"),
        ('listen = "0.0.0.0:443"\n' + TLS, "public_url"),
        ('listen = "0.0.0.0:443"\n' + NAME, "tls_certificate_file and tls_key_file, or with behind_proxy"),
        ('behind_proxy = ["192.0.2.1"]\n', "public_url"),
        ('tls_key_file = "k"\n', "or neither"),
        ('public_url = "http://127.0.0.1"\n' + TLS, "https://host"),
        ('public_url = "https://pay.test/path"\n' + TLS, "without a path"),
        (NAME + 'behind_proxy = ["192.0.2.1/24"]\n', "a network"),
        (
            'embed_origins = ["https://crm.test"]\n',
            "public_url and TLS beside embed_origins 'https://crm.test'",
        ),
        *(
            (f'embed_origins = ["{origin}"]\n', "no path, not even /, and no wildcard")
            for origin in NO_ORIGINS
        ),
    ],
)
def test_what_is_not_safe_is_refused_with_what_is(tmp_path: Path, text: str, allowed: str) -> None:
    with pytest.raises(ExceptionGroup) as caught:
        config_of(tmp_path, "[api]\n" + text)

    (finding,) = caught.value.exceptions
    assert str(finding).startswith(f"{tmp_path}/service.toml:")
    assert allowed.split(" .* ", maxsplit=1)[0] in str(finding)


def test_origins_that_may_embed_are_kept_as_browsers_write_them(with_tls: Path) -> None:
    text = 'embed_origins = ["https://CRM.test:443", "https://crm.test:8443", "http://127.0.0.1:9000"]\n'

    site = api_settings.site_of(config_of(with_tls, "[api]\n" + NAME + TLS + text))

    assert site.embed_origins == ("https://crm.test", "https://crm.test:8443", "http://127.0.0.1:9000")


def test_a_page_on_loopback_may_embed_without_tls(tmp_path: Path) -> None:
    site = api_settings.site_of(config_of(tmp_path, '[api]\nembed_origins = ["http://127.0.0.1:80"]\n'))

    assert (site.secure, site.embed_origins) == (False, ("http://127.0.0.1",))


@pytest.mark.parametrize("how", [TLS, 'behind_proxy = ["192.0.2.0/28"]\n'])
def test_another_address_needs_tls_and_somebody_who_can_sign_in(with_tls: Path, how: str) -> None:
    text = '[api]\nlisten = "0.0.0.0:443"\n' + NAME + how
    config = config_of(with_tls, text)
    assert api_settings.findings(config, with_tls) == []

    with pytest.raises(OperatorError, match="dtmf-shield users add NAME --role admin"):
        api_settings.require_somebody(config, with_tls)
    people = People(with_tls, "https://pay.test")
    people.add("root", ["admin"], None)
    api_settings.require_somebody(config, with_tls)
    api_settings.require_somebody(config_of(with_tls, text + OIDC), with_tls / "elsewhere")
    assert people.users()[0]["state"] == "invited"
    people.close()


def test_the_site_is_the_public_name_or_loopback(tmp_path: Path) -> None:
    site = api_settings.site_of(config_of(tmp_path, '[api]\nlisten = "10.0.0.7:443"\n' + NAME + TLS))

    assert site.secure
    assert site.answers_to("pay.test")
    assert site.answers_to("10.0.0.7:443")
    assert not api_settings.site_of(Config()).answers_to("pay.test")
    assert api_settings.origin_of(Config().api, "::1", 8080) == "http://[::1]:8080"


@pytest.mark.parametrize(
    ("written", "origin"),
    [
        ("https://PAY.test:443", "https://pay.test"),
        ("https://pay.test:0443/", "https://pay.test"),
        ("https://pay.test:8443", "https://pay.test:8443"),
        ("https://[2001:DB8:0::443]:443", "https://[2001:db8::443]"),
    ],
)
def test_the_public_name_is_kept_as_browsers_write_it(with_tls: Path, written: str, origin: str) -> None:
    config = config_of(with_tls, f'[api]\npublic_url = "{written}"\n' + TLS)
    site = api_settings.site_of(config)

    assert site.origin == origin
    assert (
        site.origin_of("https", origin.removeprefix("https://")) == origin
    )  # else each POST is another site's
    assert api_settings.origin_of(config.api, "127.0.0.1", 443) == origin


def test_files_that_are_wrong_are_found(with_tls: Path) -> None:
    config = config_of(
        with_tls, "[api]\n" + NAME + TLS + OIDC + 'client_secret_file = "secret"\nca_file = "ca.pem"\n'
    )
    (with_tls / "key.pem").chmod(0o644)
    (with_tls / "ca.pem").write_text("no certificate")
    open_key = api_settings.findings(config, with_tls)
    (with_tls / "key.pem").write_text("no key")
    (with_tls / "secret").write_text("\n")
    no_key = api_settings.findings(config, with_tls)

    assert [finding.split(":")[0] for finding in open_key] == [
        "api.tls_key_file", "oidc.client_secret_file", "oidc.ca_file"
    ]  # fmt: skip
    assert "chmod 600" in open_key[0]
    assert any("is not the key of" in finding for finding in no_key)
    assert any("write the client's secret on its first line" in finding for finding in no_key)


def test_the_command_line_leaves_what_it_did_for_the_audit_log(tmp_path: Path) -> None:
    people = People(tmp_path, "http://127.0.0.1:8080")
    link = people.add("ada", ["agent", "supervisor"], ["desk-1"])
    people.disable("ada")
    key = people.add_key("crm", ["agent"], None)
    people.revoke_key("crm")
    assert people.link().startswith("http://127.0.0.1:8080/login?ticket=")
    people.close()
    told: list[tuple[str, dict[str, object]]] = []

    rows = IdentityRows(tmp_path / IDENTITY_FILE)
    rows.hand_over_notes(lambda event, **facts: told.append((event, facts)))
    rows.hand_over_notes(lambda event, **_facts: told.append((event, {})))
    rows.close()

    assert [event for event, _ in told] == [
        "user_made",
        "user_disabled",
        "key_made",
        "key_revoked",
        "link_made",
    ]
    assert told[0][1]["roles"] == "agent+supervisor"
    assert link.partition("#")[2] not in repr(told)
    assert key not in repr(told)


@pytest.mark.parametrize(
    ("roles", "found"), [(["king"], "found 'king'; allowed: one or more of agent"), ([], "found none")]
)
def test_a_role_that_is_none_is_named(tmp_path: Path, roles: list[str], found: str) -> None:
    people = People(tmp_path, "http://127.0.0.1:8080")
    with pytest.raises(OperatorError, match=found):
        people.add("ada", roles, None)
    people.close()


def test_a_file_of_a_later_version_is_refused(tmp_path: Path) -> None:
    rows = IdentityRows(tmp_path / IDENTITY_FILE)
    rows._database.execute("PRAGMA user_version=9")
    rows.close()

    with pytest.raises(OperatorError, match="schema 9, this version reads 2"):
        IdentityRows(tmp_path / IDENTITY_FILE)
