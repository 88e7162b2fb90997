"""OIDC: each check of the ID token (OpenID Connect Core 1.0 section 3.1.3.7), keys that change, ways that are wrong."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from api_desk import HandClock
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from dtmf_shield.api.identity.oidc import (
    KEYS_AGAIN_S,
    OidcClient,
    OidcRefusal,
    OidcSettings,
    Person,
)
from dtmf_shield.api.identity.ways import WAY_LIFETIME_S, WAYS_MAX
from dtmf_shield.api.ports.provider_web import ProviderUnreachable

pytestmark = pytest.mark.anyio
ISSUER = "https://login.test/staff"
SETTINGS = OidcSettings(
    issuer=ISSUER,
    client_id="shield",
    secret="a secret",
    label="staff login",
    scopes=("openid",),
    name_claim="preferred_username",
    role_claim="realm_access.roles",
    roles={"card-agents": "agent", "leads": "supervisor"},
    agent_claim="extension",
)
RSA_KEY = RSAKey.generate_key(2048, {"kid": "one", "use": "sig"})
EC_KEY = ECKey.generate_key("P-256", {"kid": "two", "use": "sig"})


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Provider:
    """A provider in memory: what it answers may be changed by a test, and it writes down what it was asked."""

    def __init__(self) -> None:
        self.keys: list[Any] = [RSA_KEY]
        self.discovery: dict[str, Any] = {
            "issuer": ISSUER,
            "authorization_endpoint": f"{ISSUER}/auth?tenant=1",
            "token_endpoint": f"{ISSUER}/token",
            "jwks_uri": f"{ISSUER}/keys",
        }
        self.token: Callable[[], str] = lambda: ""
        self.asked: list[str] = []
        self.form: Mapping[str, str] = {}
        self.basic: tuple[str, str] | None = None
        self.status = 200

    async def get(self, url: str) -> tuple[int, bytes]:
        self.asked.append(url)
        if url.endswith("/keys"):
            keys = [key.as_dict(private=False) for key in self.keys]
            return 200, json.dumps({"keys": keys}).encode()
        return 200, json.dumps(self.discovery).encode()

    async def post_form(
        self, url: str, fields: Mapping[str, str], basic: tuple[str, str] | None
    ) -> tuple[int, bytes]:
        self.form, self.basic = fields, basic
        return self.status, json.dumps({"id_token": self.token(), "access_token": "unused"}).encode()


class House:
    """A client, its provider, and one way through the flow."""

    def __init__(self, settings: OidcSettings = SETTINGS) -> None:
        self.clock, self.provider = HandClock(), Provider()
        self.client = OidcClient(settings, self.provider, self.clock)

    def claims(self, nonce: str) -> dict[str, Any]:
        now_s = int(self.clock.wall_s())
        return {
            "iss": ISSUER,
            "aud": "shield",
            "sub": "u-1",
            "nonce": nonce,
            "iat": now_s,
            "exp": now_s + 300,
            "preferred_username": "ada",
            "realm_access": {"roles": ["card-agents", "other"]},
            "extension": ["desk-1", "desk-2"],
        }

    async def way(
        self,
        *,
        key: Any = RSA_KEY,
        header: dict[str, Any] | None = None,
        answered_by: str = ISSUER,
        **changed: Any,
    ) -> Person:
        url, browser = await self.client.begin("http://127.0.0.1:8080/login/oidc/callback")
        asked = {name: value[0] for name, value in parse_qs(urlsplit(url).query).items()}
        head = header or {"alg": "RS256", "kid": "one"}
        claims = {**self.claims(asked["nonce"]), **changed}
        claims = {name: value for name, value in claims.items() if value is not None}
        self.provider.token = lambda: jwt.encode(head, claims, key, algorithms=[head["alg"]])
        return await self.client.finish(asked["state"], "the-code", answered_by, browser)


async def refused(way: Any) -> OidcRefusal:
    with pytest.raises(OidcRefusal) as caught:
        await way
    return caught.value


async def test_who_comes_back_has_the_roles_and_calls_of_the_claims() -> None:
    assert await House().way() == Person("oidc:ada", frozenset({"agent"}), ("desk-1", "desk-2"))


async def test_the_browser_is_sent_with_a_challenge_whose_verifier_goes_to_the_provider_alone() -> None:
    house = House()
    url, _ = await house.client.begin("http://127.0.0.1:8080/login/oidc/callback")
    asked = {name: value[0] for name, value in parse_qs(urlsplit(url).query).items()}
    assert url.startswith(f"{ISSUER}/auth?tenant=1&response_type=code&client_id=shield&")
    assert (asked["code_challenge_method"], asked["scope"]) == ("S256", "openid")

    await house.way()

    form = house.provider.form
    assert (form["grant_type"], form["code"]) == ("authorization_code", "the-code")
    assert len(form["code_verifier"]) == 43
    assert house.provider.basic == ("shield", "a%20secret")
    assert "client_secret" not in form


async def test_the_challenge_is_of_the_verifier() -> None:
    house = House()
    url, browser = await house.client.begin("http://127.0.0.1:8080/x")
    asked = {name: value[0] for name, value in parse_qs(urlsplit(url).query).items()}
    await refused(house.client.finish(asked["state"], "c", ISSUER, browser))

    digest = hashlib.sha256(house.provider.form["code_verifier"].encode()).digest()

    assert asked["code_challenge"] == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


async def test_a_provider_that_wants_the_secret_in_the_form_gets_it_there() -> None:
    house = House()
    house.provider.discovery["token_endpoint_auth_methods_supported"] = ["client_secret_post"]
    await house.way()

    assert house.provider.basic is None
    assert house.provider.form["client_secret"] == "a secret"


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"iss": "https://login.test/other"}, "iss"),
        ({"aud": "another"}, "aud"),
        ({"aud": None}, "aud"),
        ({"aud": ["another", "third"]}, "aud"),
        ({"aud": ["shield", "another"]}, "azp"),
        ({"azp": "another"}, "azp"),
        ({"nonce": "of another login"}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({"exp": 999_000}, "exp"),
        ({"exp": None}, "exp"),
        ({"exp": "soon"}, "exp"),
        ({"exp": True}, "exp"),
        ({"iat": 990_000}, "iat"),
        ({"iat": 1_001_000}, "iat"),
        ({"iat": None}, "iat"),
        ({"nbf": 1_001_000}, "nbf"),
        ({"sub": None}, "sub"),
        ({"sub": ""}, "sub"),
    ],
)
async def test_each_claim_that_is_wrong_is_found(changed: dict[str, Any], reason: str) -> None:
    refusal = await refused(House().way(**changed))

    assert (refusal.slug, refusal.reason) == ("other", f"id_token_{reason}")


@pytest.mark.parametrize(
    "changed", [{"aud": ["shield"]}, {"aud": ["shield", "x"], "azp": "shield"}, {"nbf": 999_990}]
)
async def test_what_the_standard_allows_is_taken(changed: dict[str, Any]) -> None:
    assert (await House().way(**changed)).name == "oidc:ada"


def packed(*parts: object) -> str:
    texts = (json.dumps(part).encode() for part in parts)
    return ".".join(base64.urlsafe_b64encode(text).rstrip(b"=").decode() for text in texts)


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
async def test_no_signature_and_a_public_key_as_shared_secret_are_refused(algorithm: str) -> None:
    house = House()
    url, browser = await house.client.begin("http://127.0.0.1:8080/x")
    asked = {name: value[0] for name, value in parse_qs(urlsplit(url).query).items()}
    unsigned = packed({"alg": algorithm, "kid": "one"}, house.claims(asked["nonce"]))
    mac = hmac.digest(RSA_KEY.as_pem(private=False), unsigned.encode(), "sha256")
    signature = base64.urlsafe_b64encode(mac).rstrip(b"=").decode() if algorithm == "HS256" else ""
    house.provider.token = lambda: f"{unsigned}.{signature}"

    refusal = await refused(house.client.finish(asked["state"], "c", ISSUER, browser))

    assert refusal.reason == "id_token_signature_UnsupportedAlgorithmError"


async def test_a_token_signed_by_somebody_else_is_refused() -> None:
    another = RSAKey.generate_key(2048, {"kid": "one"})

    assert (await refused(House().way(key=another))).reason == "id_token_signature_BadSignatureError"


async def test_new_keys_are_asked_for_once_in_a_while_and_forged_ones_do_not_hammer() -> None:
    house = House()
    await house.way()
    house.provider.keys = [EC_KEY]
    house.clock.seconds += KEYS_AGAIN_S
    new = {"key": EC_KEY, "header": {"alg": "ES256", "kid": "two"}}
    assert (await house.way(**new)).name == "oidc:ada"
    before = house.provider.asked.count(f"{ISSUER}/keys")
    for _ in range(5):
        await refused(house.way(header={"alg": "RS256", "kid": "forged"}))

    assert before == 2
    assert house.provider.asked.count(f"{ISSUER}/keys") == before


async def test_a_state_is_good_once_in_its_browser_and_not_for_long() -> None:
    house = House()
    ways = []
    for _ in range(3):
        url, browser = await house.client.begin("http://127.0.0.1:8080/x")
        ways.append((parse_qs(urlsplit(url).query)["state"][0], browser))

    reasons = [
        (await refused(house.client.finish(ways[0][0], "c", ISSUER, ways[1][1]))).reason,
        (await refused(house.client.finish(ways[0][0], "c", ISSUER, ways[0][1]))).reason,
        (await refused(house.client.finish(ways[1][0], "c", "https://evil.test", ways[1][1]))).reason,
    ]
    house.clock.seconds += WAY_LIFETIME_S
    reasons.append((await refused(house.client.finish(*ways[2][:1], "c", ISSUER, ways[2][1]))).reason)

    assert reasons == ["another_browser", "state_unknown", "another_issuer", "state_unknown"]


async def test_a_provider_that_names_itself_must_do_so_in_each_answer() -> None:
    house = House()
    house.provider.discovery["authorization_response_iss_parameter_supported"] = True

    assert (await refused(house.way(answered_by=""))).reason == "another_issuer"


async def test_those_on_their_way_are_bounded() -> None:
    house = House()
    for _ in range(WAYS_MAX + 5):
        await house.client.begin("http://127.0.0.1:8080/x")

    assert len(house.client._ways) == WAYS_MAX
    house.clock.seconds += WAY_LIFETIME_S
    await house.client.begin("http://127.0.0.1:8080/x")
    assert len(house.client._ways) == 1


async def test_a_few_who_go_again_and_again_push_nobody_out() -> None:
    house = House()
    url, browser = await house.client.begin("http://127.0.0.1:8080/x", "192.0.2.1")
    for number in range(WAYS_MAX + 100):
        await house.client.begin("http://127.0.0.1:8080/x", f"2001:db8:0:{number % 8:x}::/64")
    house.provider.token = lambda: "none"
    state = parse_qs(urlsplit(url).query)["state"][0]

    assert (await refused(house.client.finish(state, "c", ISSUER, browser))).reason != "state_unknown"


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"issuer": "https://evil.test"}, "discovery_names_another_issuer"),
        ({"token_endpoint": "http://login.test/token"}, "discovery_without_endpoints"),
        ({"jwks_uri": 7}, "discovery_without_endpoints"),
        ({"authorization_endpoint": "javascript:alert(1)"}, "discovery_without_endpoints"),
    ],
)
async def test_a_discovery_that_cannot_be_believed(changed: dict[str, Any], reason: str) -> None:
    house = House()
    house.provider.discovery |= changed
    refusal = await refused(house.way())

    assert (refusal.slug, refusal.reason) == ("provider", reason)


async def test_a_provider_that_is_away_is_told_as_that(monkeypatch: pytest.MonkeyPatch) -> None:
    house = House()

    async def away(_url: str) -> tuple[int, bytes]:
        raise ProviderUnreachable("no_answer_in_time")

    monkeypatch.setattr(house.provider, "get", away)

    refusal = await refused(house.way())

    assert (refusal.slug, refusal.reason) == ("provider", "no_answer_in_time")


async def test_without_a_role_nobody_is_let_in_and_without_a_name_the_subject_stands() -> None:
    house = House()
    stranger = await refused(house.way(realm_access={"roles": ["other"]}))
    nameless = await house.way(preferred_username=None, extension=None)

    assert stranger.slug == "no-role"
    assert nameless == Person("oidc:u-1", frozenset({"agent"}), ())


async def test_people_named_by_digits_alone_are_told_apart_by_names_that_stay() -> None:
    house, later, other_key = House(), House(), House()
    other_key.client._name_key = b"another key"
    digits = {"preferred_username": "491701234567"}
    first, again = await house.way(**digits), await later.way(**digits)
    second = await house.way(**digits, sub="u-2")
    elsewhere = await other_key.way(**digits)
    short = await house.way(preferred_username="49170123456")

    assert re.fullmatch("oidc:person-[a-p]{16}", first.name)
    assert first == again
    assert len({first.name, second.name, elsewhere.name}) == 3
    assert short.name == "oidc:49170123456"


def test_no_secret_is_in_a_repr() -> None:
    assert "a secret" not in repr(SETTINGS)
