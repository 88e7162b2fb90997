"""The sections [api] and [oidc]: where the API and its pages are reached, and who signs people in."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, model_validator

from dtmf_shield.base.config_forms import HostPort, Network, Section, split_host_port
from dtmf_shield.base.web_address import origin_of, web_address

_SLASHES_OF_AN_ORIGIN: Final = 2


def _public_url(value: str) -> str:
    address = web_address(value)
    if not address.tls or address.path != "/":
        raise ValueError("https://host or https://host:port, without a path")
    return origin_of(address)


def _issuer(value: str) -> str:
    web_address(value)
    return value


def _embed_origin(value: str) -> str:
    allowed = (
        "https://host or https://host:port, http to a loopback address only (such as http://127.0.0.1:9000); no path, "
        "not even /, and no wildcard: name each origin"
    )
    try:
        address = web_address(value)
    except ValueError:
        raise ValueError(allowed) from None
    if value.count("/") != _SLASHES_OF_AN_ORIGIN:
        raise ValueError(allowed)
    return origin_of(address)


PublicUrl = Annotated[str, AfterValidator(_public_url)]
EmbedOrigin = Annotated[str, AfterValidator(_embed_origin)]
IssuerUrl = Annotated[str, AfterValidator(_issuer)]
RoleName = Literal["agent", "supervisor", "engineer", "auditor", "admin"]
ClaimName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_:/.-]{1,200}$")]


class ApiSection(Section):
    """[api]: HTTP API and pages."""

    listen: HostPort = "127.0.0.1:8080"
    """Address and port. Any other than loopback needs `public_url` and TLS beside it, and somebody who can sign in:
    `[oidc]`, or a user made by `dtmf-shield users add`."""
    public_url: PublicUrl | None = None
    """How browsers reach the service, such as https://pay.example.com. Other names are refused, but for loopback."""
    tls_certificate_file: str | None = None
    """PEM file of the certificate and its chain, for TLS by the service itself."""
    tls_key_file: str | None = None
    """PEM file of its key, without a password, mode 0600."""
    behind_proxy: list[Network] = Field(default=[], max_length=16)
    """Networks of the proxies in front, which do TLS: nobody else is answered but loopback, and their X-Forwarded-For
    is believed."""
    embed_origins: list[EmbedOrigin] = Field(default=[], max_length=32)
    """Whose pages may hold the agent's capture panel (`/ui/embed/`), such as ["https://crm.example.com"]: origins, each
    whole, of every page around it, a vendor's around your own too. One that is not on loopback needs `public_url`:
    browsers keep a session in a foreign page by TLS only."""
    idle_limit_minutes: Annotated[int, Field(ge=1, le=720)] = 15
    """A session without any use ends after it. PCI DSS 8.2.8 says 15 at most."""
    session_limit_hours: Annotated[int, Field(ge=1, le=24)] = 12
    """A session ends after it, whatever happens."""
    second_factor: Literal["optional", "required"] = "optional"
    """Whether local users may set up a code of an authenticator app beside their password, or can do nothing before
    they have. PCI DSS 8.4 asks for one from whoever reaches a cardholder data environment. People of `[oidc]` have
    that of their provider."""

    @property
    def on_loopback(self) -> bool:
        """Whether nobody but this machine reaches it."""
        return ipaddress.ip_address(split_host_port(self.listen)[0]).is_loopback

    @property
    def own_tls(self) -> bool:
        """Whether the service does TLS itself."""
        return self.tls_certificate_file is not None

    @model_validator(mode="after")
    def _reached_safely(self) -> ApiSection:
        if (self.tls_certificate_file is None) != (self.tls_key_file is None):
            raise ValueError("tls_certificate_file and tls_key_file, or neither")
        protected = self.own_tls or bool(self.behind_proxy)
        if protected and self.public_url is None:
            raise ValueError(
                'public_url = "https://..." beside TLS or behind_proxy: the name that browsers use'
            )
        if self.public_url is not None and not protected:
            raise ValueError("public_url with tls_certificate_file and tls_key_file, or with behind_proxy")
        foreign = [origin for origin in self.embed_origins if not origin.startswith("http:")]
        if foreign and self.public_url is None:
            raise ValueError(
                f"public_url and TLS beside embed_origins {foreign[0]!r}: without TLS only a page on loopback "
                "(http://127.0.0.1:PORT) can hold the panel"
            )
        if not self.on_loopback and self.public_url is None:
            raise ValueError(
                "a loopback address (127.0.0.0/8 or [::1]) in listen; any other with public_url, and with "
                "tls_certificate_file and tls_key_file, or behind_proxy"
            )
        return self


class OidcSection(Section):
    """[oidc]: the provider that signs people in: OpenID Connect, code flow with PKCE. Second factors are its own."""

    issuer: IssuerUrl
    """As the provider writes itself, such as https://login.example.com/realms/staff."""
    client_id: Annotated[str, Field(min_length=1, max_length=200)]
    """What the provider calls this service. Its redirect URI there is `public_url` + `/login/oidc/callback`."""
    client_secret_file: str | None = None
    """File with the client's secret on its first line, mode 0600; none: a public client, by PKCE alone."""
    label: Annotated[str, Field(min_length=1, max_length=40)] = "your work account"
    """What the sign-in page calls it."""
    scopes: list[Annotated[str, Field(pattern=r"^[\x21\x23-\x5b\x5d-\x7e]{1,64}$")]] = Field(
        default=["openid", "profile"], min_length=1, max_length=16
    )
    """What is asked for; `openid` must be among them."""
    name_claim: ClaimName = "preferred_username"
    """Claim of the ID token that names a person in the audit log; where it is not there: `sub`."""
    role_claim: ClaimName = "groups"
    """Claim whose values give roles, a text or a list; dots lead inwards, such as realm_access.roles."""
    roles: dict[Annotated[str, Field(max_length=200)], RoleName] = Field(min_length=1, max_length=64)
    """Role of each value, such as { "card-agents" = "agent" }. Who has none of them is not let in."""
    agent_claim: ClaimName = "extension"
    """Claim with the names of `[[agents]]` whose calls are a person's own, a text or a list; without it an agent sees
    no call."""
    ca_file: str | None = None
    """PEM file of the authorities that are believed for the provider alone; none: those of the system."""
    timeout_s: Annotated[float, Field(gt=0, le=30)] = 5.0
    """No question to the provider takes longer."""

    @model_validator(mode="after")
    def _asks_for_an_id(self) -> OidcSection:
        if "openid" not in self.scopes:
            raise ValueError('"openid" among scopes: without it there is no ID token')
        return self
