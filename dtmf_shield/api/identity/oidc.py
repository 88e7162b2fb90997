"""Signing in at a provider: OpenID Connect authorization code flow with PKCE (RFC 6749, RFC 7636, RFC 9700, RFC 9207).

The browser is sent away with a state, a nonce and the hash of a verifier, and comes back with a code, which is
exchanged once for an ID token. A cookie of its own binds the way back to the browser that went (RFC 9700 section 4.7).
Only claims of the ID token are believed; no access token is kept or used.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

from joserfc.jwk import KeySet

from dtmf_shield.api.identity.id_token import IdTokenError, UnknownKeyError, checked_claims, key_set_of
from dtmf_shield.api.identity.secret import digest_of, in_letters, new_secret
from dtmf_shield.api.identity.ways import WAY_LIFETIME_S, Way, Ways
from dtmf_shield.api.ports.provider_web import ProviderUnreachable, ProviderWeb
from dtmf_shield.api.views.words import prose
from dtmf_shield.base.clock import Clock
from dtmf_shield.base.errors import DtmfShieldError
from dtmf_shield.base.log import holds_card_number
from dtmf_shield.base.web_address import web_address

DISCOVERY_LIFETIME_S: Final = 3_600.0
KEYS_AGAIN_S: Final = 30.0
"""Not sooner are keys asked for again because one is unknown: forged tokens must not make us hammer the provider."""
OPAQUE_LETTERS: Final = 16
"""Of a name that stands for one that may not be shown: 64 bits of a keyed hash."""
VALUES_MAX: Final = 256
"""Values of a claim that are looked at."""
NAME_CHARACTERS_MAX: Final = 64
AGENTS_MAX: Final = 32


class OidcRefusal(DtmfShieldError):  # noqa: N818 - a refusal is no fault
    """Nobody is signed in. ``slug``: what the page says; ``reason``: what the log says, nothing that was sent."""

    def __init__(self, slug: str, reason: str) -> None:
        self.slug, self.reason = slug, reason
        super().__init__(reason)


@dataclass(frozen=True, slots=True, repr=False)
class OidcSettings:
    """As the configuration says. ``secret``: empty for a public client; it has no repr."""

    issuer: str
    client_id: str
    secret: str
    label: str
    scopes: tuple[str, ...]
    name_claim: str
    role_claim: str
    roles: Mapping[str, str]
    agent_claim: str


@dataclass(frozen=True, slots=True)
class Person:
    """Who came back. ``agents``: whose calls are their own."""

    name: str
    roles: frozenset[str]
    agents: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Provider:
    """What discovery said (OpenID Connect Discovery 1.0 section 3)."""

    authorization: str
    token: str
    keys: str
    basic: bool
    names_itself: bool


class OidcClient:
    """One provider. All methods belong to one event loop."""

    def __init__(self, settings: OidcSettings, web: ProviderWeb, clock: Clock, name_key: bytes = b"") -> None:
        """``name_key``: makes names of people whose own may not be shown; the same key, the same names."""
        self.settings, self._web, self._clock = settings, web, clock
        self._name_key = name_key
        self._ways = Ways()
        self._provider: _Provider | None = None
        self._provider_until_s = 0.0
        self._keys: KeySet | None = None
        self._keys_asked_s = 0.0

    async def begin(self, redirect_uri: str, asker: str = "") -> tuple[str, str]:
        """Return where to send the browser, and the cookie that binds it. Raises OidcRefusal.

        ``asker``: what its address is counted as.
        """
        provider = await self._discovered()
        state, browser, nonce, verifier = (new_secret() for _ in range(4))
        now_s = self._clock.now_s()
        way = Way(digest_of(browser), nonce, verifier, redirect_uri, now_s + WAY_LIFETIME_S, asker)
        self._ways.put(digest_of(state), way, now_s)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        asked = {
            "response_type": "code",
            "client_id": self.settings.client_id,
            "redirect_uri": redirect_uri,
            "scope": " ".join(self.settings.scopes),
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        joint = "&" if "?" in provider.authorization else "?"
        return f"{provider.authorization}{joint}{urlencode(asked)}", browser

    async def finish(self, state: str, code: str, issuer: str, browser: str) -> Person:
        """Return who came back with this code. A state is good once. Raises OidcRefusal."""
        way = self._ways.take(digest_of(state), self._clock.now_s())
        if way is None:
            raise OidcRefusal("other", "state_unknown")
        if not secrets.compare_digest(way.browser, digest_of(browser)):
            raise OidcRefusal("other", "another_browser")
        provider = await self._discovered()
        # RFC 9207 section 2.4: an answer of another provider is not sent to this one.
        if (issuer or provider.names_itself) and issuer != self.settings.issuer:
            raise OidcRefusal("other", "another_issuer")
        token = await self._exchanged(provider, way, code)
        return self._person(await self._claims(provider, token, way.nonce))

    async def _discovered(self) -> _Provider:
        now_s = self._clock.now_s()
        if self._provider is None or now_s >= self._provider_until_s:
            url = self.settings.issuer.rstrip("/") + "/.well-known/openid-configuration"
            self._provider = _provider_of(self.settings.issuer, await self._asked(url))
            self._provider_until_s = now_s + DISCOVERY_LIFETIME_S
        return self._provider

    async def _asked(self, url: str) -> bytes:
        try:
            status, body = await self._web.get(url)
        except ProviderUnreachable as error:
            raise OidcRefusal("provider", error.reason) from error
        if status != 200:
            raise OidcRefusal("provider", f"status_{status}")
        return body

    async def _exchanged(self, provider: _Provider, way: Way, code: str) -> str:
        """Return the ID token for a code (RFC 6749 section 4.1.3, RFC 7636 section 4.5)."""
        fields = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": way.redirect_uri,
            "code_verifier": way.verifier,
        }
        secret, client_id = self.settings.secret, self.settings.client_id
        basic = None
        if secret and provider.basic:
            basic = (quote(client_id, safe=""), quote(secret, safe=""))  # RFC 6749 section 2.3.1
        else:
            fields |= {"client_id": client_id} | ({"client_secret": secret} if secret else {})
        try:
            status, body = await self._web.post_form(provider.token, fields, basic)
        except ProviderUnreachable as error:
            raise OidcRefusal("provider", error.reason) from error
        if status != 200:
            raise OidcRefusal("other", f"token_status_{status}")
        token = _json_object(body).get("id_token")
        if not isinstance(token, str):
            raise OidcRefusal("other", "no_id_token")
        return token

    async def _claims(self, provider: _Provider, token: str, nonce: str) -> Mapping[str, Any]:
        """Check the token; where no key fits, ask for keys once more: providers change theirs."""
        try:
            fresh = self._keys is None
            keys = await self._key_set(provider) if self._keys is None else self._keys
            try:
                return self._checked(token, keys, nonce)
            except UnknownKeyError:
                if fresh or self._clock.now_s() < self._keys_asked_s + KEYS_AGAIN_S:
                    raise
                return self._checked(token, await self._key_set(provider), nonce)
        except IdTokenError as error:
            raise OidcRefusal("other", f"id_token_{error.reason}") from None

    def _checked(self, token: str, keys: KeySet, nonce: str) -> Mapping[str, Any]:
        settings = self.settings
        return checked_claims(
            token,
            keys,
            issuer=settings.issuer,
            client_id=settings.client_id,
            nonce=nonce,
            now_s=self._clock.wall_s(),
        )

    async def _key_set(self, provider: _Provider) -> KeySet:
        self._keys_asked_s = self._clock.now_s()
        self._keys = key_set_of(await self._asked(provider.keys))
        return self._keys

    def _person(self, claims: Mapping[str, Any]) -> Person:
        settings = self.settings
        roles = {
            settings.roles[value] for value in _values(claims, settings.role_claim) if value in settings.roles
        }
        if not roles:
            raise OidcRefusal("no-role", "no_role")
        named = _values(claims, settings.name_claim) or [str(claims["sub"])]
        name = "".join(character if character.isprintable() else "?" for character in named[0])
        if not _may_be_shown(name):
            name = self._opaque(str(claims["sub"]))
        agents = tuple(_values(claims, settings.agent_claim)[:AGENTS_MAX])
        return Person(f"oidc:{name[:NAME_CHARACTERS_MAX]}", frozenset(roles), agents)

    def _opaque(self, subject: str) -> str:
        """Return letters that always stand for this person (issuer and subject: OpenID Connect Core section 5.7)."""
        of = f"{self.settings.issuer}\0{subject}".encode()
        digest = hmac.new(self._name_key, of, hashlib.sha256).hexdigest()[:OPAQUE_LETTERS]
        return "person-" + in_letters(digest)


def _may_be_shown(name: str) -> bool:
    """Whether no part of a name could be a card number: it would be drawn over, and people be told apart no more."""
    return prose(name) == name and not any(holds_card_number(text) for text in (name, name.replace("-", "")))


def _provider_of(issuer: str, body: bytes) -> _Provider:
    document = _json_object(body)
    # OpenID Connect Discovery 1.0 section 4.3: it must be the issuer that was asked.
    if document.get("issuer") != issuer:
        raise OidcRefusal("provider", "discovery_names_another_issuer")
    authorization, token, keys = (
        _endpoint(document, name) for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")
    )
    methods = document.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
    return _Provider(
        authorization,
        token,
        keys,
        basic=isinstance(methods, list) and "client_secret_basic" in methods,
        names_itself=document.get("authorization_response_iss_parameter_supported") is True,
    )


def _endpoint(document: Mapping[str, Any], name: str) -> str:
    found = document.get(name)
    if not isinstance(found, str) or not _protected(found):
        raise OidcRefusal("provider", "discovery_without_endpoints")
    return found


def _protected(url: str) -> bool:
    """Whether a URL is https, or http to loopback; a query is left out of account."""
    parts = urlsplit(url)
    try:
        web_address(f"{parts.scheme}://{parts.netloc}{parts.path}")
    except ValueError:
        return False
    return True


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise OidcRefusal("provider", "not_json") from None
    if not isinstance(found, dict):
        raise OidcRefusal("provider", "not_an_object")
    return found


def _values(claims: Mapping[str, Any], path: str) -> list[str]:
    """Return the texts of a claim: one or a list. A name with dots is tried whole first, then as a way inwards."""
    found: Any = claims.get(path)
    if found is None:
        found = claims
        for part in path.split("."):
            found = found.get(part) if isinstance(found, dict) else None
    listed = found if isinstance(found, list) else [found]
    return [value for value in listed[:VALUES_MAX] if isinstance(value, str) and value]
