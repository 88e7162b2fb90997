"""Every value of every column of a ledger that a real cde wrote: no card number, security code, hash or prefix."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from dtmf_shield.base.log import holds_card_number
from dtmf_shield.model.capture import CaptureResult
from tests.unit.service.cde_driver import CdeDriver, Gateway

VISA, DECLINED = "4242424242424242", "4000000000000002"
SECURITY_CODE = "123"
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""An idempotency key. Its digits are of a hash of names, and one in some hundred passes Luhn by chance."""
HASHES = ("md5", "sha1", "sha256", "sha512", "blake2b")


def canary() -> str:
    """A number of this run alone, valid by Luhn and no brand's test number: the TEST gateway refuses it unread."""
    body = "4929" + "".join(secrets.choice("0123456789") for _ in range(11))
    total = sum(
        (n * 2 - 9 if n > 4 else n * 2) if i % 2 == 0 else n
        for i, n in enumerate(int(c) for c in reversed(body))
    )
    return body + str(-total % 10)


def values(path: Path) -> Iterator[tuple[str, object]]:
    """(table.column, value) of every cell, whatever the schema."""
    with sqlite3.connect(path) as database:
        for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            cursor = database.execute(f'SELECT * FROM "{table}"')  # noqa: S608 - names of the file under test
            names = [column[0] for column in cursor.description]
            for row in cursor:
                yield from ((f"{table}.{name}", value) for name, value in zip(names, row, strict=True))


def hashes_of(pan: str, keys: list[bytes]) -> set[bytes]:
    digests = [hashlib.new(name, pan.encode()).digest() for name in HASHES]
    digests += [hmac.digest(key, pan.encode(), name) for key in keys for name in HASHES]
    return {form for digest in digests for form in (digest, digest.hex().encode(), base64.b64encode(digest))}


def keys_of(cells: list[tuple[str, object]]) -> list[str]:
    """Return what may key a hash: the random values of the installation, in hexadecimal digits."""
    values = (str(value) for name, value in cells if name == "installation.value")
    return [value for value in values if re.fullmatch(r"[0-9a-f]{32,}", value)]


def findings(path: Path, pans: list[str]) -> list[str]:
    """Name each cell that tells a card."""
    cells = list(values(path))
    keys = keys_of(cells)
    forbidden = set().union(
        *(hashes_of(pan, [*map(str.encode, keys), *map(bytes.fromhex, keys)]) for pan in pans)
    )
    prefixes = {pan[:length] for pan in pans for length in range(6, len(pan) + 1)}
    found = []
    for name, value in cells:
        raw = value if isinstance(value, bytes) else str(value).encode()
        text = raw.decode("utf-8", "replace")
        told = any(pan in text for pan in pans) or any(form in raw for form in forbidden) or text in prefixes
        card_like = isinstance(value, str) and UUID.fullmatch(text) is None and holds_card_number(text)
        if told or text == SECURITY_CODE or card_like:
            found.append(name)
    return found


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, list[str]]]:
    """A ledger with an approved, a declined and a refused card, and the numbers that were keyed."""
    directory = tmp_path_factory.mktemp("state")
    gateway = Gateway(directory)
    pans = [VISA, DECLINED, canary()]
    results = []
    for number, pan in enumerate(pans):
        cde = CdeDriver(directory, gateway)
        results.append(cde.pay(f"capture-{number}", pan).result)
        cde.close()
    gateway.stop()
    assert results[:2] == [CaptureResult.TOKEN, CaptureResult.DECLINED]
    yield directory / "ledger.sqlite3", pans


def test_no_cell_tells_a_card(ledger: tuple[Path, list[str]]) -> None:
    path, pans = ledger

    cells = [name for name, _ in values(path)]

    assert len([name for name in cells if name == "operations.idem_key"]) == len(pans)
    assert findings(path, pans) == []


@pytest.mark.parametrize("form", ["number", "in text", "prefix", "sha256", "hmac", "md5 in base64", "code"])
def test_each_form_would_be_found(ledger: tuple[Path, list[str]], tmp_path: Path, form: str) -> None:
    """The control: a planted cell of each kind is named."""
    path, pans = ledger
    copy = tmp_path / "copy.sqlite3"
    with sqlite3.connect(path) as source, sqlite3.connect(copy) as target:
        source.backup(target)
    key = keys_of(list(values(copy)))[0]
    pan = pans[2]
    planted = {
        "number": pan,
        "in text": f"declined {pan} sorry",
        "prefix": pan[:6],
        "sha256": hashlib.sha256(pan.encode()).hexdigest(),
        "hmac": hmac.new(key.encode(), pan.encode(), "sha256").hexdigest(),
        "md5 in base64": base64.b64encode(hashlib.md5(pan.encode(), usedforsecurity=False).digest()).decode(),
        "code": SECURITY_CODE,
    }[form]
    with sqlite3.connect(copy) as database:
        database.execute("UPDATE operations SET decline_code = ? WHERE id = 1", (planted,))

    assert findings(copy, pans) == ["operations.decline_code"]
