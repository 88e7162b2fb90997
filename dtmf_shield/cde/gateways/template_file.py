"""Reads a connector's template: a TOML file in, a Template out, or findings with file, line, key and what is allowed.

What makes a template unsafe is refused here: card data outside a body, an operation on a card without its MOTO flag,
answers that cannot approve or that approve unread.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dtmf_shield.base.errors import OperatorError
from dtmf_shield.cde.gateways.answer_file import read_answers
from dtmf_shield.cde.gateways.answers import AnswerSet
from dtmf_shield.cde.gateways.authentication import Authentication, Scheme
from dtmf_shield.cde.gateways.base import Idempotency, Signature, SlotField
from dtmf_shield.cde.gateways.body import (
    CONTENT_TYPES,
    Body,
    JsonBody,
    NoBody,
    parse_form,
    parse_json,
)
from dtmf_shield.cde.gateways.language import (
    CARD,
    KEY,
    REFERENCE,
    SOURCES,
    TOKEN,
    Operation,
    Parameter,
    Template,
)
from dtmf_shield.cde.gateways.placeholders import (
    PARAMETERS,
    PATH,
    SLOT_FIELDS,
    VALUES,
    Filling,
    Placeholder,
    Text,
    TextError,
    parse_text,
)
from dtmf_shield.cde.gateways.toml_table import TomlFile, TomlTable, one_of
from dtmf_shield.model.payment import OperationKind

SHIPPED: Final = Path(__file__).parent
SUFFIX: Final = ".toml"
OPERATIONS_MAX: Final = 64
KEY_TTL_S_MAX: Final = 366 * 24 * 3600
SOURCES_OF: Final = {
    OperationKind.VERIFY: (CARD, TOKEN),
    OperationKind.TOKENIZE: (CARD,),
    OperationKind.AUTHORIZE: (CARD, TOKEN),
    OperationKind.CHARGE: (CARD, TOKEN),
    OperationKind.CAPTURE: (REFERENCE,),
    OperationKind.REFUND: (REFERENCE,),
    OperationKind.VOID: (REFERENCE,),
    OperationKind.LOOKUP: (REFERENCE, KEY),
}
KINDS_WITH_OF: Final = (OperationKind.LOOKUP, OperationKind.REFUND, OperationKind.VOID)
_WITHOUT_AMOUNT: Final = (
    OperationKind.TOKENIZE,
    OperationKind.VERIFY,
    OperationKind.VOID,
    OperationKind.LOOKUP,
)
_HOSTILE: Final = '"\\/\n&=%€'
"""Fills every value once when a template is read, to see that no value can break out of its place."""
_NAME: Final = r"[a-z][a-z0-9_-]{0,31}"
_PARAMETER_NAME: Final = r"[a-z][a-z0-9_]{0,31}"
_HEADER_NAME: Final = r"[A-Za-z][A-Za-z0-9-]{0,63}"
_HEADER_VALUE: Final = r"[\x20-\x7e]{0,512}"
_PATH: Final = r"(/|\$\{path\})[A-Za-z0-9._~/?=&\[\]:,${}'()*+%-]{0,400}"
_OWN_HEADERS: Final = (
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "host",
    "transfer-encoding",
)


def shipped_templates() -> list[Path]:
    """Return the templates that come with the service."""
    return sorted(SHIPPED.glob("*" + SUFFIX))


def find_template(name_or_file: str) -> Template:
    """Read a shipped template by its name, or an operator's by its file.

    Raises OperatorError, or an ExceptionGroup of ConfigurationError for what is in the file.
    """
    shipped = {path.stem: path for path in shipped_templates()}
    if name_or_file in shipped:
        return load_template(shipped[name_or_file])
    if "/" in name_or_file or name_or_file.endswith(SUFFIX):
        return load_template(Path(name_or_file))
    raise OperatorError(
        f"template: found {name_or_file!r}; allowed: {one_of(name_or_file, shipped)}, or a file {SUFFIX}"
    )


def load_template(path: Path) -> Template:
    """Read one file. Raises as find_template."""
    file = TomlFile(path)
    template = _template(file.root)
    file.raise_findings()
    return template


@dataclass(frozen=True, slots=True)
class _Context:
    """What operations of one file share."""

    parameters: Collection[str]
    headers: tuple[tuple[str, Text], ...]
    answers: Mapping[str, AnswerSet]


def _template(root: TomlTable) -> Template:
    parameters = _parameters(root.table("parameters"))
    names = [PARAMETERS + parameter.name for parameter in parameters]
    proxy = root.table("proxy")
    headers = (*_headers(root.table("headers"), names), *_headers(proxy.table("headers"), names))
    answers = read_answers(root)
    operations = _operations(root, _Context(names, headers, answers))
    _find_unused(root, answers, operations)
    template = Template(
        name=root.text("name", None, _NAME, "a short name: small letters, digits, - and _"),
        documentation=root.text("documentation", None, r"https://[\x21-\x7e]{1,300}", "a link: https://..."),
        api_version=root.text("api_version"),
        idempotency=Idempotency(root.choice("idempotency", [each.value for each in Idempotency])),
        key_ttl_s=root.integer("key_ttl_s", 0, 0, KEY_TTL_S_MAX),
        token_binds_cvc=root.boolean("token_binds_cvc", default=False),
        authentication=_authentication(root.table("authentication", required=True), proxy),
        parameters=parameters,
        operations=operations,
        exponents=_exponents(root.table("currency_exponents")),
        signature=_signature(root.table("signature")) if root.has("signature") else None,
        currency_parameter=_currency_parameter(root, names),
        uses_path=any(_names(operation.path) & {PATH} for operation in operations),
    )
    proxy.finish()
    root.finish()
    return template


def _authentication(table: TomlTable, proxy: TomlTable) -> Authentication:
    scheme = Scheme(table.choice("scheme", [each.value for each in Scheme]))
    default = None if scheme is Scheme.HEADER else "Authorization"
    header = "a header's name"
    authentication = Authentication(
        scheme,
        credential=table.text("credential"),
        header=table.text("header", default, _HEADER_NAME, header),
        proxy_header=proxy.text("secret_header", "", _HEADER_NAME, header),
    )
    table.finish()
    return authentication


def _signature(table: TomlTable) -> Signature:
    header = table.text("header", None, _HEADER_NAME, "a header's name")
    signature = Signature(header, table.choice("algorithm", ("sha256", "sha512")))
    table.finish()
    return signature


def _parameters(tables: TomlTable) -> tuple[Parameter, ...]:
    parameters = []
    for name, table in tables.named_tables():
        if re.fullmatch(_PARAMETER_NAME, name) is None:
            tables.finding(name, repr(name), "small letters, digits and _")
        pattern = table.text("pattern", r"[\x20-\x7e]{1,200}")
        try:
            re.compile(pattern)
        except re.error as error:
            table.finding("pattern", f"no pattern: {error}", "a regular expression")
        required = table.boolean("required", default=True)
        parameters.append(
            Parameter(name, table.text("description"), required, table.text("default", ""), pattern)
        )
        table.finish()
    return tuple(parameters)


def _currency_parameter(root: TomlTable, parameters: Collection[str]) -> str:
    name = root.text("currency_parameter", "")
    if name and PARAMETERS + name not in parameters:
        known = [parameter.removeprefix(PARAMETERS) for parameter in parameters]
        root.finding("currency_parameter", repr(name), one_of(name, known))
    return name


def _exponents(table: TomlTable) -> dict[str, int]:
    exponents = {}
    for currency in table.data:
        if re.fullmatch("[A-Z]{3}", currency) is None:
            table.finding(currency, repr(currency), "three capitals of ISO 4217")
        exponents[currency] = table.integer(currency, 2, 0, 4)
    table.finish()
    return exponents


def _headers(table: TomlTable, parameters: Collection[str]) -> tuple[tuple[str, Text], ...]:
    headers = []
    for name in table.data:
        value = table.text(name, "", _HEADER_VALUE, "printable ASCII")
        if re.fullmatch(_HEADER_NAME, name) is None or name.lower() in _OWN_HEADERS:
            table.finding(name, repr(name), "a header that the service does not write itself")
        headers.append((name, _text(table, name, value, ("key", *parameters))))
    table.finish()
    return tuple(headers)


def _text(table: TomlTable, key: str, source: str, names: Collection[str]) -> Text:
    try:
        text = parse_text(source, names)
    except TextError as error:
        table.finding(key, error.found, error.allowed)
        return ()
    if any(isinstance(piece, Placeholder) and piece != Placeholder(piece.name) for piece in text):
        table.finding(key, "a ? or :number", "${name} alone: both are for bodies")
    return text


def _names(text: Text) -> set[str]:
    return {piece.name for piece in text if isinstance(piece, Placeholder)}


# --- operations -------------------------------------------------------------------------------------------


def _operations(root: TomlTable, context: _Context) -> tuple[Operation, ...]:
    operations: list[Operation] = []
    for table in root.tables("operation"):
        operation = _operation(table, context)
        about: list[OperationKind | None] = [*operation.of] or [None]
        if any(
            earlier.serves(operation.kind, operation.source, of) for earlier in operations for of in about
        ):
            table.finding("", "an operation that stands above already", "each kind, with and of once")
        operations.append(operation)
    if not 1 <= len(operations) <= OPERATIONS_MAX:
        root.finding("operation", f"{len(operations)} operations", f"1 to {OPERATIONS_MAX} [[operation]]")
    return tuple(operations)


def _operation(table: TomlTable, context: _Context) -> Operation:
    kind = OperationKind(table.choice("kind", [each.value for each in OperationKind]))
    source = table.choice("with", SOURCES)
    if source not in SOURCES_OF[kind]:
        table.finding("with", repr(source), one_of(source, SOURCES_OF[kind]) + f" for {kind}")
    encoding = table.choice("encoding", list(CONTENT_TYPES), "none")
    answers_name = table.text("answers")
    if answers_name not in context.answers:
        table.finding("answers", repr(answers_name), one_of(answers_name, sorted(context.answers)))
    body = _body(table, encoding, _fillable(kind, source, context.parameters))
    moto, no_moto_because = _moto(table, source, body)
    operation = Operation(
        kind=kind,
        source=source,
        method=table.choice("method", ("POST", "GET", "PUT", "PATCH", "DELETE")),
        path=_path(table, kind, source, context.parameters),
        encoding=encoding,
        body=body or NoBody(),
        answers=context.answers.get(answers_name, AnswerSet(())),
        answers_name=answers_name,
        headers=(
            *_common_headers(kind, context),
            *_headers(table.table("headers"), context.parameters),
        ),
        of=_of(table, kind),
        moto=moto,
        no_moto_because=no_moto_because,
        requires=_requires(table, context.parameters),
    )
    if kind is OperationKind.TOKENIZE and not operation.answers.token.paths:
        table.finding("answers", repr(answers_name), "answers with a token")
    table.finish()
    return operation


def _common_headers(kind: OperationKind, context: _Context) -> tuple[tuple[str, Text], ...]:
    """Return the file's headers; without the key where it is asked what became of that key's operation."""
    if kind is not OperationKind.LOOKUP:
        return context.headers
    return tuple((name, text) for name, text in context.headers if "key" not in _names(text))


def _fillable(kind: OperationKind, source: str, parameters: Collection[str]) -> list[str]:
    """Return what a body of this operation can name: only what its orders have."""
    without = {PATH, "token", "gateway_reference"} - {"token" if source == TOKEN else ""}
    without -= {"gateway_reference" if source == REFERENCE else ""}
    if kind in _WITHOUT_AMOUNT:
        without |= {"amount_minor", "amount_decimal"}
    values = [name for name in VALUES if name not in without]
    return [*values, *parameters, *(SLOT_FIELDS if source == CARD else ())]


def _path(table: TomlTable, kind: OperationKind, source: str, parameters: Collection[str]) -> Text:
    path = table.text("path", None, _PATH, "a path from / on, or from ${path} on")
    names = [name for name in _fillable(kind, source, parameters) if name not in SLOT_FIELDS]
    return _text(table, "path", path, [PATH, *names])


def _body(table: TomlTable, encoding: str, names: Collection[str]) -> Body | None:
    """Return the body; None after a finding, so that nothing is checked against it."""
    source = table.text("body", "")
    if (encoding == "none") == bool(source.strip()):
        allowed = "a body where encoding is json or form, and only there"
        table.finding("body", "a body" if source else "nothing", allowed)
        return None
    if encoding == "none":
        return NoBody()
    try:
        body: Body = parse_json(source, names) if encoding == "json" else parse_form(source, names)
        _try(body, names)
    except TextError as error:
        lines = source.splitlines()
        offset = next((at for at, line in enumerate(lines) if error.found in line), error.line_offset)
        begins_below = table.file.begins_below((*table.location, "body"))
        table.finding("body", error.found, error.allowed, offset + begins_below)
        return None
    return body


def _try(body: Body, names: Collection[str]) -> None:
    """Fill ``body`` with values that would break it if they stood there as they are. Raises TextError."""
    values = {
        name: "1" if name.startswith("amount") else _HOSTILE for name in names if name not in SLOT_FIELDS
    }
    filled = body.filled(_Dummy(values))
    text = b"".join(part if isinstance(part, bytes) else b"1" for part in filled).decode("ascii")
    if isinstance(body, JsonBody):
        try:
            json.loads(text)
        except json.JSONDecodeError as error:
            raise TextError(f"no JSON once it is filled: {error.msg}", "JSON") from None


class _Dummy(Filling):
    """Every part of the slot is there."""

    def part(self, name: str) -> SlotField | str:
        return SLOT_FIELDS.get(name) or self.values[name]


def _moto(table: TomlTable, source: str, body: Body | None) -> tuple[str, str]:
    """Return the flag's name and why there is none. Whatever takes a card or a token says one of the two."""
    moto, because = table.text("moto", ""), table.text("no_moto_because", "")
    if source not in (CARD, TOKEN):
        if moto or because:
            table.finding(
                "moto" if moto else "no_moto_because", "a word on MOTO", "none: no card is used here"
            )
    elif bool(moto) == bool(because):
        found = "both moto and no_moto_because" if moto else "nothing"
        table.finding(
            "moto", found, 'the body\'s field that says telephone order, or no_moto_because = "..."'
        )
    elif moto and body and not body.literal_at(moto):
        table.finding("moto", repr(moto), "a form field or JSON member of body with a fixed value")
    return moto, because


def _of(table: TomlTable, kind: OperationKind) -> frozenset[OperationKind]:
    words = table.texts("of")
    allowed = [each.value for each in OperationKind if each is not OperationKind.LOOKUP]
    for word in words:
        if kind not in KINDS_WITH_OF or word not in allowed:
            table.finding("of", repr(word), one_of(word, allowed) + ", for lookup, refund and void")
    return frozenset(OperationKind(word) for word in words if word in allowed)


def _requires(table: TomlTable, parameters: Collection[str]) -> tuple[str, ...]:
    names = [name.removeprefix(PARAMETERS) for name in parameters]
    for word in table.texts("requires"):
        if word not in names:
            table.finding("requires", repr(word), one_of(word, names))
    return table.texts("requires")


def _find_unused(
    root: TomlTable, answers: Mapping[str, AnswerSet], operations: tuple[Operation, ...]
) -> None:
    used = {operation.answers_name for operation in operations}
    for name in answers:
        if name not in used:
            root.file.finding(
                ("answers", name), "answers of no operation", "answers that an [[operation]] names"
            )
