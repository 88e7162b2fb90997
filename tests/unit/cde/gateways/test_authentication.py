"""The credentials file: what becomes of it, and that no error and no repr shows what is in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from dtmf_shield.base.errors import OperatorError
from dtmf_shield.cde.gateways.authentication import (
    CREDENTIALS_BYTES_MAX,
    Authentication,
    Scheme,
    read_credentials,
)

SECRET = "s3cret-s3cret"
BASIC = Authentication(Scheme.BASIC, "user:password")
BEARER = Authentication(Scheme.BEARER, "the key")
HEADER = Authentication(Scheme.HEADER, "the key", "X-API-Key")
PROXY = Authentication(Scheme.BEARER, "the key", proxy_header="BT-API-KEY")


def file_of(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "credentials"
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize(
    ("authentication", "text", "headers"),
    [
        (BASIC, "user:s3cret\n", (("Authorization", "Basic dXNlcjpzM2NyZXQ="),)),
        (BASIC, "user:pä\n", (("Authorization", "Basic dXNlcjpww6Q="),)),
        (BEARER, f"  {SECRET}  \n\n", (("Authorization", f"Bearer {SECRET}"),)),
        (HEADER, SECRET, (("X-API-Key", SECRET),)),
        (
            PROXY,
            f"{SECRET}\nproxy_secret = p\n",
            (("Authorization", f"Bearer {SECRET}"), ("BT-API-KEY", "p")),
        ),
    ],
)
def test_the_secret_goes_where_the_template_says(tmp_path, authentication, text, headers) -> None:
    credentials = read_credentials(file_of(tmp_path, text), authentication)

    assert credentials.headers == headers
    assert SECRET not in repr(credentials)


def test_a_signing_secret_is_kept_apart(tmp_path) -> None:
    credentials = read_credentials(file_of(tmp_path, f"user:x\nsigning_secret = {SECRET}\n"), BASIC)

    assert credentials.signing_key == SECRET.encode()
    assert SECRET not in repr(credentials)


@pytest.mark.parametrize(
    ("authentication", "text", "message"),
    [
        (BASIC, "", "found no secret in line 1; write user:password"),
        (BASIC, f"{SECRET}\n", "found no colon in line 1"),
        (BEARER, f"{SECRET}\x00\n", "found no secret"),
        (BEARER, f"{SECRET}ä\n", "beyond ASCII"),
        (BEARER, f"{SECRET}\nsigning_secert = {SECRET}\n", ":2: found another line; allowed: signing_secret"),
        (BEARER, f"{SECRET}\nsigning_secret =\n", ":2: found another line"),
        (PROXY, f"{SECRET}\n", "found no proxy_secret"),
        (BEARER, SECRET * CREDENTIALS_BYTES_MAX, "larger than"),
    ],
)
def test_an_error_names_the_file_and_never_what_is_in_it(tmp_path, authentication, text, message) -> None:
    with pytest.raises(OperatorError) as caught:
        read_credentials(file_of(tmp_path, text), authentication)

    assert message in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert SECRET not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path) -> None:
    with pytest.raises(OperatorError, match="cannot read"):
        read_credentials(tmp_path / "none", BASIC)
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    with pytest.raises(OperatorError, match="no UTF-8"):
        read_credentials(tmp_path / "bytes", BASIC)
