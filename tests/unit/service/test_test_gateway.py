"""The TEST gateway: published numbers only, one token a key, TEST everywhere, never outlives its starter."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path

import pytest

from dtmf_shield.service.test_gateway.book import Book
from dtmf_shield.service.test_gateway.launch import TestGatewayProcess


def request(number: str, key: str = "k1", method: str = "tokenize") -> bytes:
    return json.dumps({"transaction_id": key, "method": method, "cardnumber": number, "cvv": "123"}).encode()


@pytest.mark.parametrize(
    "number", ["4242424242424242", "4111111111111111", "5555555555554444", "378282246310005"]
)
def test_published_numbers_become_test_tokens(number: str) -> None:
    status, answer = Book().take(request(number))

    assert status == 200
    assert answer["token_id"].startswith("tok_TEST_")
    assert (answer["error_code"], answer["test"]) == (None, True)


@pytest.mark.parametrize(
    ("number", "code"),
    [
        ("4000000000000002", "card_declined"),
        ("4000000000009995", "insufficient_funds"),
        ("4000000000000127", "incorrect_cvc"),
        ("4000000000000069", "expired_card"),
        ("4000000000000119", "processing_error"),
    ],
)
def test_published_refusals_are_refused(number: str, code: str) -> None:
    assert Book().take(request(number))[1]["error_code"] == code


def test_any_other_number_is_refused_and_stands_nowhere() -> None:
    book = Book()

    _, answer = book.take(request("6011000990139424"))

    assert answer["error_code"] == "test_card_required"
    assert "9424" not in json.dumps([answer, book.shown()])


def test_announced_number_is_taken() -> None:
    book = Book()
    book.canary_digests.add(hashlib.sha256(b"6011000990139424").hexdigest())

    assert book.take(request("6011000990139424"))[1]["token_id"]


def test_same_key_gets_the_same_answer() -> None:
    book = Book()

    first, second = book.take(request("4242424242424242")), book.take(request("4242424242424242"))

    assert first == second
    assert (len(book.entries), book.replayed) == (1, 1)


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b"null", request("4242424242424242", method="charge"), b"\xff"]
)
def test_nonsense_is_a_bad_request(body: bytes) -> None:
    assert Book().take(body)[0] == 400


def test_process_says_where_it_listens_and_ends_with_its_starter(tmp_path: Path) -> None:
    async def scenario() -> tuple[int, int | None]:
        gateway = await TestGatewayProcess.start(tmp_path)
        await gateway.stop()
        return gateway.port, gateway._process.returncode

    port, code = asyncio.run(scenario())

    assert port > 0
    assert code == 0
