"""How a gateway knows us: what the template says of the header, and the secret from the credentials file.

The credentials file holds, one a line: the secret itself, then where needed ``signing_secret = ...`` and
``proxy_secret = ...``. It is read once, before the process is sealed; nothing of it stands in a message or a repr.
"""

from __future__ import annotations

import base64
import enum
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from dtmf_shield.base.errors import OperatorError

CREDENTIALS_BYTES_MAX: Final = 16_384
_NAMED: Final = ("signing_secret", "proxy_secret")


class Scheme(enum.StrEnum):
    """Where the secret goes."""

    BASIC = "basic"
    """``user:password`` in Authorization (RFC 7617)."""
    BEARER = "bearer"
    """In Authorization as it is (RFC 6750)."""
    HEADER = "header"
    """In a header of the gateway's own."""


@dataclass(frozen=True, slots=True)
class Authentication:
    """The template's word. ``credential`` tells an operator what stands in the file.

    ``proxy_header``: where a forwarding vault in between wants its own secret; empty without one.
    """

    scheme: Scheme
    credential: str
    header: str = "Authorization"
    proxy_header: str = ""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the transport adds to each request. ``signing_key`` empty: bodies are not signed."""

    headers: tuple[tuple[str, str], ...] = field(repr=False)
    signing_key: bytes = field(default=b"", repr=False)


def read_credentials(file: Path, authentication: Authentication) -> Credentials:
    """Read ``file``. Raises OperatorError, which names the file and never its content."""
    try:
        raw = file.read_bytes()
        lines = raw.decode("utf-8").splitlines()
    except OSError as error:
        raise OperatorError(f"{file}: cannot read the gateway's credentials ({error.strerror})") from error
    except UnicodeDecodeError:
        raise OperatorError(
            f"{file}: found bytes that are no UTF-8; write the credentials as given"
        ) from None
    if len(raw) > CREDENTIALS_BYTES_MAX:
        raise OperatorError(f"{file}: larger than {CREDENTIALS_BYTES_MAX} bytes; these are no credentials")
    secret = lines[0].strip() if lines else ""
    named = _named(file, lines[1:])
    headers = [(authentication.header, _value(file, authentication, secret))]
    if authentication.proxy_header:
        if not named["proxy_secret"]:
            raise OperatorError(f"{file}: found no proxy_secret; add a line proxy_secret = ...")
        headers.append((authentication.proxy_header, named["proxy_secret"]))
    return Credentials(tuple(headers), named["signing_secret"].encode("ascii"))


def _value(file: Path, authentication: Authentication, secret: str) -> str:
    if not secret or not secret.isprintable():
        raise OperatorError(f"{file}: found no secret in line 1; write {authentication.credential}")
    if authentication.scheme is Scheme.BASIC:
        if ":" not in secret:
            raise OperatorError(f"{file}: found no colon in line 1; write {authentication.credential}")
        return "Basic " + base64.b64encode(secret.encode("utf-8")).decode("ascii")
    if not secret.isascii():
        raise OperatorError(
            f"{file}: found a character beyond ASCII in line 1; write {authentication.credential}"
        )
    return f"Bearer {secret}" if authentication.scheme is Scheme.BEARER else secret


def _named(file: Path, lines: list[str]) -> dict[str, str]:
    named = dict.fromkeys(_NAMED, "")
    for number, line in enumerate(lines, start=2):
        name, _, value = (part.strip() for part in line.partition("="))
        if not line.strip():
            continue
        if name not in named or not value or not (value.isascii() and value.isprintable()):
            raise OperatorError(f"{file}:{number}: found another line; allowed: {' or '.join(_NAMED)} = ...")
        named[name] = value
    return named
