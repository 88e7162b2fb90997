"""The TEST gateway's book: published numbers only, the rules of keys and of money, TEST everywhere."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from dtmf_shield.service.test_gateway import book as booking
from dtmf_shield.service.test_gateway.book import Book, KeyRule
from dtmf_shield.service.test_gateway.launch import TestGatewayProcess

VISA = "4242424242424242"


class Client:
    """Asks a book, each time under a new key unless told otherwise."""

    def __init__(self) -> None:
        self.book, self._keys = Book(), 0

    def ask(self, method: str, *, key: str = "", status: int = 200, **more: Any) -> dict[str, Any]:
        self._keys += 1
        body = {"transaction_id": key or f"k{self._keys}", "method": method, **more}
        got, answer = self.book.take(json.dumps(body).encode())
        assert got == status
        return answer

    def token(self, number: str = VISA) -> str:
        return str(self.ask("tokenize", cardnumber=number, cvv="123")["token_id"])

    def money(self, method: str, amount: str = "10.00", **more: Any) -> dict[str, Any]:
        parameters = {} if "cardnumber" in more else {"token": self.token()}
        return self.ask(method, amount=amount, currency_code="EUR", **{"parameters": parameters, **more})

    def later(self, method: str, charge_id: str, amount: str | None = None, **more: Any) -> dict[str, Any]:
        priced = {} if amount is None else {"amount": amount, "currency_code": "EUR"}
        return self.ask(method, parameters={"charge_id": charge_id}, **priced, **more)


@pytest.fixture
def client() -> Client:
    return Client()


def request(number: str, key: str = "k1", method: str = "tokenize", **more: Any) -> bytes:
    return json.dumps(
        {"transaction_id": key, "method": method, "cardnumber": number, "cvv": "123", **more}
    ).encode()


@pytest.mark.parametrize(
    "number", ["4242424242424242", "4111111111111111", "5555555555554444", "378282246310005"]
)
def test_published_numbers_become_test_tokens(number: str) -> None:
    status, answer = Book().take(request(number))

    assert status == 200
    assert answer["token_id"].startswith("tok_TEST_")
    assert (answer["error_code"], answer["test"], answer["last4"]) == (None, True, number[-4:])


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


@pytest.mark.parametrize(
    ("number", "code"),
    [("4000000000000341", "card_declined"), ("4000002500003155", "authentication_required")],
)
def test_some_cards_give_a_token_and_no_money(client: Client, number: str, code: str) -> None:
    token = client.token(number)

    answer = client.money("charge", parameters={"token": token})

    assert (answer["error_code"], answer["state"], answer["charge_id"]) == (code, "declined", None)


def test_any_other_number_is_refused_and_stands_nowhere() -> None:
    book = Book()

    _, answer = book.take(request("6011000990139424"))
    _, charge = book.take(request("6011000990139424", "k2", "charge", amount="1.00", currency_code="EUR"))

    assert answer["error_code"] == charge["error_code"] == "test_card_required"
    assert "9424" not in json.dumps([answer, charge, book.shown()])


def test_announced_number_is_taken() -> None:
    book = Book()
    book.canary_digests.add(hashlib.sha256(b"6011000990139424").hexdigest())

    assert book.take(request("6011000990139424"))[1]["token_id"]


def test_published_bank_account_is_taken_and_no_other(client: Client) -> None:
    good = client.ask("tokenize", bankaccountnumber="000123456789", routingnumber="110000000")
    other = client.ask("tokenize", bankaccountnumber="000123456780", routingnumber="110000000")

    assert (good["error_code"], other["error_code"]) == (None, "test_card_required")


def test_a_person_is_verified_by_date_of_birth_and_postcode(client: Client) -> None:
    good = client.ask("verify", dateofbirth="01021980", postal_code="12341", cardnumber=None)
    moved = client.ask("verify", dateofbirth="01021980", postal_code="12342")
    nobody = client.ask("verify", dateofbirth="01021981", postal_code="12341")

    assert (good["error_code"], good["state"], good["last4"]) == (None, "approved", "")
    assert good["charge_id"]
    assert (moved["error_code"], nobody["error_code"]) == ("incorrect_postal_code", "test_card_required")


# --- keys -----------------------------------------------------------------------------------------------------


def test_same_key_gets_the_same_answer() -> None:
    book = Book()

    first, second = book.take(request(VISA)), book.take(request(VISA))

    assert first == second
    assert (len(book.operations), book.replayed) == (1, 1)


def test_replay_is_the_first_answer_whatever_became_of_the_operation(client: Client) -> None:
    charge = client.ask("charge", key="c", cardnumber=VISA, amount="5.00", currency_code="EUR")
    client.later("void", charge["charge_id"])

    again = client.ask("charge", key="c", cardnumber=VISA, amount="5.00", currency_code="EUR")

    assert again == charge
    assert client.ask("lookup", key="c")["voided"] is True


def test_same_key_with_another_body_is_an_error_and_nothing_is_done(client: Client) -> None:
    client.ask("charge", key="c", cardnumber=VISA, amount="5.00", currency_code="EUR")

    answer = client.ask("charge", key="c", cardnumber=VISA, amount="6.00", currency_code="EUR", status=400)

    assert answer["error_code"] == "idempotency_error"
    assert len(client.book.operations) == 1


def test_gateway_that_reads_no_keys_does_it_twice(client: Client) -> None:
    client.book.key_rule = KeyRule.NONE
    for _ in range(2):
        client.ask("charge", key="c", cardnumber=VISA, amount="5.00", currency_code="EUR")

    assert len(client.book.operations) == 2


def test_gateway_that_keeps_success_alone_tries_a_decline_anew(client: Client) -> None:
    client.book.key_rule = KeyRule.SUCCESS_ONLY
    for number in ("4000000000000002", VISA, VISA):
        client.ask("charge", key="c", cardnumber=number, amount="5.00", currency_code="EUR")

    assert [operation.state for operation in client.book.operations] == ["declined", "approved"]


# --- money ----------------------------------------------------------------------------------------------------


def test_charge_by_token_tells_what_a_client_may_want_to_keep(client: Client) -> None:
    answer = client.money("charge")

    assert answer["charge_id"].startswith("ch_TEST_")
    assert (answer["token_id"], answer["brand"], answer["last4"]) == (None, "visa", "4242")
    assert (answer["cvc_check"], answer["captured_minor"]) == ("unchecked", 1000)
    assert answer["auth_code"].startswith("TEST")
    assert answer["network_transaction_id"].startswith("TEST")


def test_charge_with_the_card_checks_its_code(client: Client) -> None:
    answer = client.money("charge", cardnumber=VISA, cvv="123", postal_code="12345")

    assert (answer["cvc_check"], answer["avs"]) == ("pass", "pass")


def test_verify_takes_no_money(client: Client) -> None:
    assert client.ask("verify", cardnumber=VISA, cvv="123")["charge_id"].startswith("ve_TEST_")
    assert client.book.operations[-1].captured_minor == 0


def test_unknown_token_is_declined(client: Client) -> None:
    answer = client.money("charge", parameters={"token": "tok_TEST_none"})

    assert answer["error_code"] == "unknown_token"


def test_authorization_is_captured_once_and_not_beyond_it(client: Client) -> None:
    held = client.money("authorize")["charge_id"]

    assert client.later("capture", held, "10.01")["error_code"] == "amount_exceeded"
    assert client.later("capture", held, "7.50")["error_code"] is None
    assert client.later("capture", held, "1.00")["error_code"] == "already_captured"


def test_capture_without_an_amount_takes_all(client: Client) -> None:
    held = client.money("authorize")["charge_id"]

    assert client.later("capture", held)["error_code"] is None
    assert client.book.operations[-1].amount_minor == 1000


def test_refunds_do_not_exceed_what_was_taken(client: Client) -> None:
    charge = client.money("charge")["charge_id"]

    assert client.later("refund", charge, "6.00")["error_code"] is None
    assert client.later("refund", charge, "4.01")["error_code"] == "amount_exceeded"
    assert client.later("refund", charge)["error_code"] is None
    assert client.later("refund", charge)["error_code"] == "amount_exceeded"
    assert (
        sum(op.amount_minor for op in client.book.operations if op.method == "refund" and not op.error_code)
        == 1000
    )


def test_refund_of_a_capture_and_of_its_authorization_count_together(client: Client) -> None:
    held = client.money("authorize")["charge_id"]
    taken = client.later("capture", held, "8.00")["charge_id"]

    assert client.later("refund", taken, "5.00")["error_code"] is None
    assert client.later("refund", held, "3.01")["error_code"] == "amount_exceeded"


def test_what_was_only_held_is_not_refunded(client: Client) -> None:
    held = client.money("authorize")["charge_id"]

    assert client.later("refund", held, "1.00")["error_code"] == "not_refundable"


def test_void_ends_an_authorization(client: Client) -> None:
    held = client.money("authorize")["charge_id"]

    assert client.later("void", held)["error_code"] is None
    assert client.later("void", held)["error_code"] == "already_voided"
    assert client.later("capture", held)["error_code"] == "already_voided"


def test_captured_authorization_is_not_voided(client: Client) -> None:
    held = client.money("authorize")["charge_id"]
    client.later("capture", held)

    assert client.later("void", held)["error_code"] == "already_captured"


def test_charge_is_voided_until_it_is_settled_or_refunded(client: Client) -> None:
    first, second = client.money("charge")["charge_id"], client.money("charge")["charge_id"]
    client.later("refund", second, "1.00")

    assert client.later("void", first)["error_code"] is None
    assert client.later("void", second)["error_code"] == "not_voidable"
    client.book.settles_at_once = True
    assert client.later("void", client.money("charge")["charge_id"])["error_code"] == "already_settled"


@pytest.mark.parametrize("method", ["capture", "refund", "void"])
def test_unknown_reference_is_declined(client: Client, method: str) -> None:
    assert client.later(method, "ch_TEST_none")["error_code"] == "unknown_reference"


@pytest.mark.parametrize("method", ["capture", "refund", "void"])
def test_refund_is_no_parent_of_anything(client: Client, method: str) -> None:
    refund = client.later("refund", client.money("charge")["charge_id"])["charge_id"]

    assert client.later(method, refund)["error_code"] in ("not_capturable", "not_refundable", "not_voidable")


def test_other_currency_is_refused(client: Client) -> None:
    charge = client.money("charge")["charge_id"]

    answer = client.ask("refund", parameters={"charge_id": charge}, amount="1.00", currency_code="USD")

    assert answer["error_code"] == "currency_mismatch"


def test_lookup_finds_by_key_what_was_done_and_declined(client: Client) -> None:
    done = client.ask("charge", key="c", cardnumber=VISA, amount="5.00", currency_code="EUR")
    client.ask("charge", key="d", cardnumber="4000000000000002", amount="5.00", currency_code="EUR")

    assert client.ask("lookup", key="c") == done
    assert client.ask("lookup", key="d")["error_code"] == "card_declined"
    assert (client.ask("lookup", key="x")["error_code"], client.ask("lookup", key="x")["state"]) == (
        "not_found",
        None,
    )
    assert len(client.book.operations) == 2


# --- limits and nonsense --------------------------------------------------------------------------------------

NONSENSE = [
    b"",
    b"{}",
    b"[]",
    b"null",
    b"\xff",
    b'{"transaction_id":"\xff"}',
    request(VISA, method="charge"),
    request(VISA, method="nothing"),
    request(VISA, key=""),
    request(VISA, key="k" * 201),
    request(VISA, amount="1.00", currency_code="EUR"),
    *(
        request(VISA, method="charge", amount=amount, currency_code=currency)
        for amount, currency in [
            ("1.0", "EUR"),
            ("1.000", "EUR"),
            ("1.00", "JPY"),
            ("-1.00", "EUR"),
            ("0.00", "EUR"),
            ("1e3", "EUR"),
            ("1,00", "EUR"),
            ("100000000.00", "EUR"),
            ("1.00", "eur"),
            ("1.00", None),
            (1, "EUR"),
        ]
    ),
    request(VISA, method="charge", amount="1.00", currency_code="EUR", parameters={"token": "tok_TEST_x"}),
    request(VISA, method="refund", parameters={"charge_id": "ch"}),
    json.dumps({"transaction_id": "k", "method": "refund"}).encode(),
    json.dumps({"transaction_id": "k", "method": "tokenize"}).encode(),
    json.dumps({"transaction_id": "k", "method": "verify", "postal_code": "12341"}).encode(),
    json.dumps({"transaction_id": "k", "method": "tokenize", "dateofbirth": "01021980"}).encode(),
    json.dumps({"transaction_id": "k", "method": "tokenize", "parameters": {"token": "t"}}).encode(),
    json.dumps({"transaction_id": "k", "method": "tokenize", "bankaccountnumber": "000123456789"}).encode(),
]


@pytest.mark.parametrize("body", NONSENSE)
def test_nonsense_is_a_bad_request_and_not_booked(body: bytes) -> None:
    book = Book()

    status, answer = book.take(body)

    assert (status, answer["error_code"], book.operations) == (400, "bad_request", [])


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [("10.00", "EUR", 1000), ("10", "EUR", 1000), ("10", "JPY", 10), ("1.234", "KWD", 1234)],
)
def test_amounts_have_the_digits_of_their_currency(
    client: Client, amount: str, currency: str, minor: int
) -> None:
    client.ask("charge", cardnumber=VISA, amount=amount, currency_code=currency)

    assert client.book.operations[-1].amount_minor == minor


def test_full_book_refuses_rather_than_forgets(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(booking, "BOOK_ENTRIES_MAX", 1)
    client.token()

    assert client.ask("tokenize", cardnumber=VISA, status=503)["error_code"] == "book_full"


def test_book_is_read_in_pages(client: Client) -> None:
    for _ in range(5):
        client.token()

    pages = [client.book.shown(first, 2) for first in (0, 2, 4)]

    assert [len(page["operations"]) for page in pages] == [2, 2, 1]
    assert [page["next"] for page in pages] == [2, 4, None]
    assert {page["total"] for page in pages} == {5}


def test_process_says_where_it_listens_and_ends_with_its_starter(tmp_path: Path) -> None:
    async def scenario() -> tuple[int, int | None]:
        gateway = await TestGatewayProcess.start(tmp_path)
        await gateway.stop()
        return gateway.port, gateway._process.returncode

    port, code = asyncio.run(scenario())

    assert port > 0
    assert code == 0
