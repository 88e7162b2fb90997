"""The configuration: one TOML file, every key typed and documented where it is defined.

Loading never guesses: an unknown key, a wrong type or a value out of range is a finding that names file, line,
key, what was found and what is allowed. With no file at all the service runs on loopback with the embedded
test gateway. Secrets are files named here, never values.
"""

from __future__ import annotations

import base64
import ipaddress
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from dtmf_shield.base.config_api import ApiSection, OidcSection
from dtmf_shield.base.config_forms import HostPort, Network, Section, host_port, ip_literal, split_host_port
from dtmf_shield.base.errors import ConfigurationError, OperatorError
from dtmf_shield.base.web_address import HOST_NAME, web_address

CALLS_MAX_LIMIT = 2_000
"""Rows one media shard is known to carry on one core with room to spare."""
CONFIG_FILE_BYTES_MAX = 1_000_000
MASK_LEVEL_DBM0_MIN = -65.0
"""Below it little is left of any style on a G.711 line."""
MASK_LEVEL_DBM0_MAX = -20.0
"""As loud as speech; louder hurts an ear that expects it."""
ECHO_HOLD_MS_MAX = 300
"""Round trip over two packet legs."""
GATEWAY_KINDS = ("embedded", "generic", "stripe", "adyen", "braintree", "spreedly")
PIN_BYTES = 32
"""SHA-256."""


def _own_address(value: str) -> str:
    if ipaddress.ip_address(ip_literal(value)).is_unspecified:
        raise ValueError("one address of this machine: it is written into SIP and SDP, so no wildcard")
    return value


def _listen(value: str) -> str:
    _own_address(split_host_port(host_port(value))[0])
    return value


def _star_code(value: str) -> str:
    if re.fullmatch(r"\*[0-9*#]{1,5}", value) is None:
        raise ValueError("a star and one to five more keys, such as *1")
    return value


def _host_name(value: str) -> str:
    if HOST_NAME.fullmatch(value) is None:
        return ip_literal(value)
    return value.lower()


def _gateway_address(value: str) -> str:
    host, _, port = value.rpartition(":")
    if HOST_NAME.fullmatch(host) and re.fullmatch(r"\d{1,5}", port) and 0 < int(port) <= 65_535:
        return value.lower()
    try:
        return host_port(value)
    except ValueError:
        raise ValueError(
            "address:port, such as 192.0.2.30:443, [2001:db8::1]:443 or pay.example.com:443"
        ) from None


def _gateway_kind(value: str) -> str:
    if value in GATEWAY_KINDS or value.endswith(".toml"):
        return value
    raise ValueError("one of " + ", ".join(GATEWAY_KINDS) + ", or a file that ends in .toml")


def _pin(value: str) -> str:
    try:
        digest = base64.b64decode(value, validate=True)
    except ValueError:
        digest = b""
    if len(digest) != PIN_BYTES:
        raise ValueError("32 bytes in base64, such as openssl dgst -sha256 -binary | base64 prints")
    return value


def _hook_url(value: str) -> str:
    web_address(value)
    return value


Address = Annotated[str, AfterValidator(_own_address)]
HostName = Annotated[str, AfterValidator(_host_name)]
GatewayAddress = Annotated[str, AfterValidator(_gateway_address)]
GatewayKind = Annotated[str, AfterValidator(_gateway_kind)]
Pin = Annotated[str, AfterValidator(_pin)]
HookUrl = Annotated[str, AfterValidator(_hook_url)]
HookName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
LanguageTag = Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[A-Z]{2})?$")]
ParameterName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
Listen = Annotated[str, AfterValidator(_listen)]
StarCode = Annotated[str, AfterValidator(_star_code)]
CodecName = Literal["PCMU", "PCMA", "G722"]
Protection = Literal[
    "no_new_privs",
    "dumpable",
    "no_executable_memory",
    "no_huge_pages",
    "no_core",
    "scribble_on_free",
    "memfd_secret",
    "mlock",
    "one_thread",
    "landlock",
    "landlock_tcp",
    "landlock_scope",
    "seccomp",
]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")]


def _cross_finding(location: tuple[str | int, ...], found: str, allowed: str) -> PydanticCustomError:
    """A finding that takes two sections to see; pydantic would place it at the whole file."""
    context = {"location": location, "found": repr(found), "allowed": allowed}
    return PydanticCustomError("cross", "allowed: {allowed}", context)


class SipSection(Section):
    """[sip]: where SIP is received."""

    listen: list[Listen] = Field(default=["127.0.0.1:5060"], min_length=1, max_length=8)
    """UDP addresses, IPv4 or IPv6. At most one of each family."""
    ring_limit_s: Annotated[int, Field(ge=5, le=600)] = 120
    """A call that nobody answers for so long is cancelled (RFC 3261 timer C)."""

    @model_validator(mode="after")
    def _one_per_family(self) -> SipSection:
        families = [":" in split_host_port(entry)[0] for entry in self.listen]
        if len(families) != len(set(families)):
            raise ValueError("at most one IPv4 and one IPv6 address")
        return self


class TrunkSection(Section):
    """[[trunks]]: who may send callers to us."""

    name: Name
    """Shown to agents and in logs."""
    networks: list[Network] = Field(min_length=1, max_length=64)
    """Source networks. Requests from anywhere else are not answered at all."""
    accept_info: bool = True
    """Take keys from SIP INFO. Off: such an INFO is answered 415. Never passed on either way."""
    pass_headers: list[Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9-]{0,63}$")]] = Field(
        default=[], max_length=32
    )
    """Names of headers copied from the caller's INVITE to the agent's. All others stay here."""


class AgentSection(Section):
    """[[agents]]: where calls may be sent, agents and queues. Nothing else is ever dialled."""

    name: Name
    """What routes call it, and `target` in flows."""
    address: HostPort
    """Where its phone, PBX or queue listens, UDP."""
    user: Annotated[str, Field(pattern=r"^[A-Za-z0-9._+-]{1,64}$")] = "agent"
    """User part of the URI that is called there."""


class RouteSection(Section):
    """[[routes]]: which dialled user goes to which agent, or is answered by which flow. The first match wins."""

    dialled: Annotated[str, Field(pattern=r"^(\*|[A-Za-z0-9._+-]{1,64}\*?)$")]
    """A user part, a prefix ending in ``*``, or ``*`` for all."""
    agent: Name | None = None
    """Name of an [[agents]] entry: who is called. A route names this or `flow`."""
    flow: Name | None = None
    """Id of a flow with `mode: self_service`: it answers such a call, and no agent is called until it transfers the
    caller to one."""
    capture: Name | None = None
    """Flow to engage as soon as the agent has answered such a call."""
    language: LanguageTag | None = None
    """Language of such calls, such as en-GB, for flows with ``choose_by: call.language``; none: each flow's default."""


class MediaSection(Section):
    """[media]: RTP."""

    address: Address = "127.0.0.1"
    """IPv4 address written into our SDP and bound by our RTP sockets."""
    address_v6: Address | None = None
    """The same for IPv6; none: IPv6 legs are refused with 488."""
    port_min: Annotated[int, Field(ge=0, le=65_534)] = 0
    """First RTP port; 0 lets the system choose each port."""
    port_max: Annotated[int, Field(ge=0, le=65_535)] = 0
    """Last RTP port."""
    codecs: list[CodecName] = Field(default=["PCMU", "PCMA", "G722"], min_length=1)
    """Codecs taken from either side; an offer with none of them is refused with 488. Each side is offered the other's
    in the other's order, and behind them PCMU and PCMA in this order, so that phones that share no codec still talk."""
    calls_max: Annotated[int, Field(ge=1, le=CALLS_MAX_LIMIT)] = 32
    """Calls at once; one more is refused with 503 and Retry-After."""
    mask_style: Literal["noise", "silence", "tone", "beep"] = "noise"
    """What is heard in place of a key, the same for every key: comfort noise, silence, a flat tone of 1000 Hz, or one
    beep of 100 ms (keys within 200 ms share it) and noise around it. Recordings hold the same. A flow's `masking` may
    ask for one that tells less."""
    mask_level_dbm0: Annotated[float, Field(ge=MASK_LEVEL_DBM0_MIN, le=MASK_LEVEL_DBM0_MAX)] = -50.0
    """No style is louder. A tone or beep that people are to notice wants -30."""
    echo_hold_ms: Annotated[int, Field(ge=0, le=ECHO_HOLD_MS_MAX)] = 60
    """In a capture, so long after a key both legs stay masked, because its echo could be read; 0: the other leg is not
    masked for a key. Up to 300 where echo comes back over two packet networks."""

    @field_validator("codecs")
    @classmethod
    def _each_once(cls, value: list[CodecName]) -> list[CodecName]:
        if len(value) != len(set(value)):
            raise ValueError("each codec once")
        return value

    @model_validator(mode="after")
    def _enough_ports(self) -> MediaSection:
        if self.port_min == 0:
            if self.port_max:
                raise ValueError("port_min and port_max, or neither")
            return self
        if (self.port_max - self.port_min + 1) // 2 < 2 * self.calls_max:
            raise ValueError(
                f"a range port_min..port_max of {4 * self.calls_max} ports or more, because "
                f"calls_max = {self.calls_max} needs {2 * self.calls_max} even ones"
            )
        return self


class RecordingSection(Section):
    """[recording]: the masked conversation, caller left, agent right."""

    enabled: bool = True
    """Off: nothing is recorded."""
    directory: str = "recordings"
    """Relative to the state directory unless absolute."""


class CaptureSection(Section):
    """[capture]: how captures are engaged and timed."""

    star_code: StarCode = "*1"
    """Keyed by the agent to start the default flow; heard on the agent leg, not passed to the caller."""
    default_flow: Name = "card-tokenize-agent"
    """Flow that the star code starts."""
    flows_directory: str = ""
    """Where flow files are; empty: the ones that ship with the service."""
    mask_tail_s: Annotated[float, Field(ge=0.5, le=60)] = 3.0
    """Capture shielding goes on for so long after the end of a capture."""


class GatewaySection(Section):
    """[gateway]: where card data goes. ``embedded`` is the project's own test gateway, TEST cards only."""

    kind: GatewayKind = "embedded"
    """``embedded``: TEST cards only. Else whose language is spoken: ``generic``, ``stripe``, ``adyen``, ``braintree``,
    ``spreedly``, or the file of a template of your own, its name ending in ``.toml``."""
    name: Name | None = None
    """Name in ledger and log; none: ``kind``, or the template's file name."""
    test: bool = False
    """The gateway's sandbox: captures are marked TEST, and published test cards are taken, which a live one refuses."""
    address: GatewayAddress | None = None
    """Address and port, such as 192.0.2.30:443 or pay.example.com:443. A name is resolved at the start and every
    minute."""
    server_name: HostName | None = None
    """Name the gateway's certificate must bear; none: that of ``address``."""
    path: Annotated[str, Field(pattern=r"^(/[A-Za-z0-9._~/-]{0,200})?$")] = ""
    """Path at the gateway; empty: the template's, ``/pay`` for ``generic``."""
    idempotency: Literal["replay", "success_only", "none"] | None = None
    """What the gateway does with a key it has seen; none: as the template says. ``replay`` lets a request whose answer
    was lost be sent again: only where the gateway promises to answer with what it did first."""
    ca_file: str | None = None
    """PEM file of the authorities that are believed for this gateway alone."""
    credentials_file: str | None = None
    """File with ``user:password`` or the secret key on its first line, mode 0600."""
    client_certificate_file: str | None = None
    """PEM file of our certificate, where the gateway wants one (mTLS)."""
    client_key_file: str | None = None
    """PEM file of its key, without a password, mode 0600."""
    pins: list[Pin] = Field(default=[], max_length=8)
    """SHA-256 of the gateway's public key (SubjectPublicKeyInfo) in base64: nothing is sent to any other key. None, or
    two at least: one is the backup with which the gateway will go on when it changes its key."""
    parameters: dict[ParameterName, Annotated[str, Field(max_length=200)]] = Field(default={}, max_length=32)
    """What the template asks for by name, such as a merchant account."""

    @property
    def label(self) -> str:
        """Name in ledger and log."""
        return self.name or re.sub(r"[^a-z0-9-]", "-", Path(self.kind).stem.lower())[:32]

    @model_validator(mode="after")
    def _complete(self) -> GatewaySection:
        if self.kind != "embedded":
            missing = [
                key for key in ("address", "ca_file", "credentials_file") if getattr(self, key) is None
            ]
            if missing:
                raise ValueError(
                    f'kind = "{self.kind}" with {", ".join(missing)} beside it, or kind = "embedded"'
                )
        if (self.client_certificate_file is None) != (self.client_key_file is None):
            raise ValueError("client_certificate_file and client_key_file, or neither")
        if len(set(self.pins)) == 1:
            raise ValueError("two different pins at least, one of them of the backup key, or none")
        return self


class PaymentsSection(Section):
    """[payments]: what becomes of money."""

    on_hang_up: Literal["void", "keep"] = "void"
    """Money that was authorised or charged while the caller hung up, before anybody told him: ``void`` takes it back
    (refunds it where the gateway cannot void), ``keep`` leaves it."""


class VelocitySection(Section):
    """[[velocity]]: rules against card testing. The card that would be one too many is stopped before it is sent, and
    told. Naming one rule replaces all of the default; ``velocity = []`` at the top of the file switches them off."""

    name: Name
    """Told in the log and in the audit log."""
    per: Literal["caller", "agent", "flow", "bin"]
    """Counted for each caller's number, agent, flow, or first digits of a card. No counter names any of them."""
    counted: Literal["attempts", "declined"] = "declined"
    """``attempts``: cards sent. ``declined``: cards refused; one on its way counts until its answer is here."""
    limit: Annotated[int, Field(ge=1, le=10_000)]
    """So many are let through within the window."""
    window_s: Annotated[int, Field(ge=1, le=604_800)] = 3_600
    """Length of the sliding window."""


_VELOCITY_DEFAULT = [
    VelocitySection(name="caller-declined", per="caller", limit=5),
    VelocitySection(name="caller-attempts", per="caller", counted="attempts", limit=20),
    VelocitySection(name="agent-declined", per="agent", limit=40),
    VelocitySection(name="flow-declined", per="flow", limit=400),
    VelocitySection(name="bin-declined", per="bin", limit=60),
]
"""A caller with one card in his hand declines once or twice; who tests cards declines nearly always. An agent takes up
to 30 cards an hour, of which a tenth is declined."""


class HookSection(Section):
    """[[hooks]]: where flows may look something up (``do: http``). A flow names one; no address stands in a flow. The
    request is a POST of one flat JSON object, without card data; so is the answer. See docs/flows/hooks.md."""

    name: HookName
    """What flows call it: lower case letters, digits and _."""
    url: HookUrl
    """``https://host/path``; ``http://`` to a loopback address only. No redirect is followed, no proxy used."""
    timeout_s: Annotated[float, Field(gt=0, le=30)] = 10.0
    """No look-up takes longer, whatever the flow says; after it the flow goes on at ``error``."""
    credentials_file: str | None = None
    """File with a token, sent as ``Authorization: Bearer``, or with ``Name: value`` of one header, on its first line,
    mode 0600."""
    ca_file: str | None = None
    """PEM file of the authorities that are believed for this hook alone; none: those of the system."""


class WebhookSection(Section):
    """[[webhooks]]: who is told of events over HTTPS. No other address is ever told. See docs/reference/webhooks.md."""

    name: Name
    """Shown in the API and in the log."""
    url: HookUrl
    """``https://host/path``; ``http://`` to a loopback address only. No redirect is followed, no proxy used."""
    secret_file: str
    """File with a secret of 32 to 256 characters on its first line, mode 0600: it signs what is sent."""
    events: list[Literal["call", "capture", "field", "shield", "payment"]] = Field(
        default=["call", "capture", "payment"], min_length=1, max_length=8
    )
    """Types of events, as the event stream has them. ``field`` is told ten times a second while a caller keys."""
    timeout_s: Annotated[float, Field(gt=0, le=30)] = 10.0
    """An attempt without an answer after it has failed, and is repeated."""
    ca_file: str | None = None
    """PEM file of the authorities that are believed for this receiver alone; none: those of the system."""


class KeysSection(Section):
    """[keys]: the key that encrypts the keys of tokens at rest (KEK)."""

    kek: Literal["file", "credential", "pkcs11"] = "file"
    """Where it is: a file of mode 0600, a systemd credential, or a PKCS #11 token (HSM) that it never leaves."""
    file: str = "kek.json"
    """For `file`: relative to the state directory unless absolute; made at the first start. Keep a backup elsewhere:
    without it no stored token opens."""
    credential: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")] = "dtmf-shield-kek"
    """For `credential`: its name in LoadCredential= or LoadCredentialEncrypted= of the unit."""
    module: str | None = None
    """For `pkcs11`: the maker's library, such as /usr/lib/softhsm/libsofthsm2.so."""
    token: Annotated[str, Field(max_length=32)] | None = None
    """For `pkcs11`: label of the token."""
    pin_file: str | None = None
    """For `pkcs11`: file with the user PIN on one line, mode 0600."""
    key_label: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")] = "dtmf-shield-kek"
    """For `pkcs11`: label of the AES-256 keys; the one with the highest id is active."""
    module_environment: list[Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{0,63}$")]] = Field(
        default=[], max_length=16
    )
    """For `pkcs11`: names of environment variables that the library reads, such as SOFTHSM2_CONF."""

    @model_validator(mode="after")
    def _complete(self) -> KeysSection:
        missing = [key for key in ("module", "token", "pin_file") if getattr(self, key) is None]
        if self.kek == "pkcs11" and missing:
            raise ValueError(f'kek = "pkcs11" with {", ".join(missing)} beside it, or kek = "file"')
        return self


class CdeSection(Section):
    """[cde]: the sealed process that holds card data."""

    require: list[Protection] = Field(default=[])
    """Steps of the seal without which the service refuses to start; ``dtmf-shield doctor`` shows what this machine
    gives. Not named here, a missing one is logged as ``protection_missing`` at each start."""


class AuditSection(Section):
    """[audit]: signed roots of the audit log, and where they are sent so that nobody here can rewrite them."""

    root_interval_s: Annotated[int, Field(ge=1, le=3_600)] = 60
    """So often rows written since are put under a signed root; nothing new, no root."""
    anchor: Literal["none", "file", "syslog"] = "none"
    """Where each root is sent as well. `none`: a log that its own host could rewrite proves little."""
    anchor_file: str | None = None
    """For `file`: one root a line is appended; on a mount that this host can only append to."""
    syslog_address: HostPort | None = None
    """For `syslog`: literal address and port of a log host (RFC 5424)."""
    syslog_transport: Literal["udp", "tcp"] = "tcp"
    """For `syslog`: `tcp` (RFC 6587) notices a host that is away; `udp` does not."""

    @model_validator(mode="after")
    def _complete(self) -> AuditSection:
        needed = {"file": "anchor_file", "syslog": "syslog_address"}.get(self.anchor)
        if needed and getattr(self, needed) is None:
            raise ValueError(f'anchor = "{self.anchor}" with {needed} beside it, or anchor = "none"')
        return self


class ReportsSection(Section):
    """[reports]: rows of captures that reports are counted of: no caller, no token, no digit."""

    keep_days: Annotated[int, Field(ge=1, le=400)] = 400
    """Rows of captures that began longer ago are deleted: at the start, at each capture, and every hour."""


class StateSection(Section):
    """[state]: where files are kept."""

    directory: str = "state"
    """Ledger, call registry, development certificates, recordings. Relative to the configuration file."""


class Config(Section):
    """The whole file."""

    sip: SipSection = SipSection()
    trunks: list[TrunkSection] = Field(
        default=[TrunkSection(name="loopback", networks=["127.0.0.0/8", "::1/128"])],
        min_length=1,
        max_length=256,
    )
    agents: list[AgentSection] = Field(
        default=[AgentSection(name="agent", address="127.0.0.1:5070")], min_length=1, max_length=1_000
    )
    routes: list[RouteSection] = Field(
        default=[RouteSection(dialled="*", agent="agent")], min_length=1, max_length=1_000
    )
    media: MediaSection = MediaSection()
    recording: RecordingSection = RecordingSection()
    capture: CaptureSection = CaptureSection()
    gateway: GatewaySection = GatewaySection()
    cde: CdeSection = CdeSection()
    fallback_gateway: GatewaySection | None = None
    """A second gateway, with the keys of `[gateway]`: asked where the first has certainly done nothing and the card is
    still held, and alone where a flow's step names it. Both are live, or both are sandboxes."""
    payments: PaymentsSection = PaymentsSection()
    velocity: list[VelocitySection] = Field(default=_VELOCITY_DEFAULT, max_length=32)
    hooks: list[HookSection] = Field(default=[], max_length=64)
    webhooks: list[WebhookSection] = Field(default=[], max_length=16)
    api: ApiSection = ApiSection()
    oidc: OidcSection | None = None
    keys: KeysSection = KeysSection()
    audit: AuditSection = AuditSection()
    reports: ReportsSection = ReportsSection()
    state: StateSection = StateSection()

    @model_validator(mode="after")
    def _names_agree(self) -> Config:
        named = (
            ("trunks", [trunk.name for trunk in self.trunks]),
            ("agents", [agent.name for agent in self.agents]),
            ("velocity", [rule.name for rule in self.velocity]),
            ("hooks", [hook.name for hook in self.hooks]),
            ("webhooks", [hook.name for hook in self.webhooks]),
        )
        for kind, names in named:
            for index, name in enumerate(names):
                if name in names[:index]:
                    raise _cross_finding((kind, index, "name"), name, "a name that no other has")
        self._gateways_agree()
        agents = sorted(agent.name for agent in self.agents)
        for index, route in enumerate(self.routes):
            if route.agent is not None and route.agent not in agents:
                raise _cross_finding(("routes", index, "agent"), route.agent, "one of " + ", ".join(agents))
            _leads_one_way(index, route)
        return self

    def _gateways_agree(self) -> None:
        fallback = self.fallback_gateway
        if fallback is None:
            return
        if "embedded" in (self.gateway.kind, fallback.kind):
            raise _cross_finding(
                ("fallback_gateway", "kind"), fallback.kind, "two real gateways, or the embedded one alone"
            )
        if fallback.test != self.gateway.test:
            raise _cross_finding(("fallback_gateway", "test"), str(fallback.test), "the same as in [gateway]")
        if fallback.label == self.gateway.label:
            raise _cross_finding(
                ("fallback_gateway", "name"), fallback.label, "a name that [gateway] has not"
            )


def _leads_one_way(index: int, route: RouteSection) -> None:
    if route.agent is None and route.flow is None:
        allowed = "agent = an [[agents]] entry, or flow = a self-service flow"
        raise _cross_finding(("routes", index, "dialled"), route.dialled, allowed)
    if route.flow is not None and route.agent is not None:
        raise _cross_finding(
            ("routes", index, "flow"), route.flow, "only without agent: flow answers, agent is called"
        )
    if route.flow is not None and route.capture is not None:
        raise _cross_finding(
            ("routes", index, "capture"), route.capture, "only with agent: flow begins by itself"
        )


def load_config(path: Path) -> Config:
    """Read and check one file.

    Raises OperatorError (no such file, not TOML) or an ExceptionGroup of ConfigurationError, one a finding.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise OperatorError(
            f"{path}: cannot read the configuration ({error.strerror}); name an existing file with --config"
        ) from error
    if len(raw) > CONFIG_FILE_BYTES_MAX:
        raise OperatorError(
            f"{path}: larger than {CONFIG_FILE_BYTES_MAX} bytes; this is no configuration file"
        )
    try:
        text = raw.decode("utf-8")
        data = tomllib.loads(text)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise OperatorError(f"{path}: not valid TOML: {error}; correct it there") from error
    try:
        return Config.model_validate(data)
    except ValidationError as error:
        findings = [_finding(path, text, dict(item)) for item in error.errors()]
        raise ExceptionGroup(f"{path}: {len(findings)} finding(s)", findings) from None


def _finding(path: Path, text: str, error: dict[str, Any]) -> ConfigurationError:
    location: tuple[str | int, ...] = error["loc"]
    kind: str = error["type"]
    if kind == "cross":
        location, found, allowed = (error["ctx"][name] for name in ("location", "found", "allowed"))
    elif kind == "extra_forbidden":
        found, allowed = "an unknown key", _known_keys(location)
    elif kind == "missing":
        found, allowed = "nothing", "this key is required"
    else:
        found, allowed = (
            _shown(error["input"]),
            error["msg"].removeprefix("Value error, ").removeprefix("Input should be "),
        )
        allowed = _PLAIN_WORDS.get(kind, allowed)
    return ConfigurationError(
        file=str(path), line=_line_of(text, location), key=_dotted(location), found=found, allowed=allowed
    )


_PLAIN_WORDS = {
    "string_type": "text in quotes",
    "int_type": "a whole number without quotes",
    "float_type": "a number without quotes",
    "bool_type": "true or false, without quotes",
    "list_type": "a list in square brackets",
    "model_type": "a section: a line with its name in square brackets, then its keys",
}
"""Where pydantic speaks to programmers."""


def _shown(value: object) -> str:
    if isinstance(value, dict | BaseModel):
        return "values that do not fit together"
    return repr(value)[:80]


def _dotted(location: tuple[str | int, ...]) -> str:
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in location]
    return "".join(parts).lstrip(".") or "(whole file)"


def _known_keys(location: tuple[str | int, ...]) -> str:
    model: Any = Config
    for part in location[:-1]:
        if isinstance(part, int):
            continue
        annotation = model.model_fields[part].annotation
        model = next(iter(getattr(annotation, "__args__", ())), annotation)
    return "one of " + ", ".join(sorted(model.model_fields))


def _line_of(text: str, location: tuple[str | int, ...]) -> int:
    """Line (from 1) of a key, found by walking table headers; 1 where it cannot be told."""
    table = location[0] if location else ""
    wanted = next((part for part in location if isinstance(part, int)), 0)
    key = next((part for part in reversed(location[1:]) if isinstance(part, str)), None)
    seen, inside, header_line = -1, False, 1
    for number, line in enumerate(text.splitlines(), start=1):
        header = re.match(r"\s*\[\[?\s*([A-Za-z0-9_-]+)\s*\]\]?", line)
        if header:
            inside = header[1] == table and not (
                line.lstrip().startswith("[[") and (seen := seen + 1) != wanted
            )
            header_line = number if inside else header_line
        elif inside and key is not None and re.match(rf"\s*{re.escape(key)}\s*=", line):
            return number
        elif key is None and not inside and re.match(rf"\s*{re.escape(str(table))}\s*=", line):
            return number
    return header_line
