"""Payments as control tells them: read from a real ledger file, ordered of a cde that a test plays."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from dtmf_shield.api.ports import payments as port
from dtmf_shield.api.views import PaymentNews
from dtmf_shield.model.ids import CaptureId, OperationId
from dtmf_shield.model.messages import OrderPayment, PaymentChanged
from dtmf_shield.model.payment import OperationKind, OperationState
from dtmf_shield.service.control import payment_book
from dtmf_shield.service.control.payment_book import PaymentBook
from dtmf_shield.store.ledger_rows import LedgerRows, NewCapture
from dtmf_shield.store.operation_rows import NewOperation, Settlement
from dtmf_shield.store.payment_rows import PaymentRows

pytestmark = pytest.mark.anyio
K, S = OperationKind, OperationState
DAY_S = 86_400.0


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[LedgerRows]:
    """A tokenisation and a charge a day, of three captures; the last charge is unknown."""
    with closing(LedgerRows(tmp_path / "ledger.sqlite3")) as rows:
        for day in range(3):
            capture, at_s = f"cap-{day}", day * DAY_S
            rows.start_capture(NewCapture(capture, f"call-{day}", "card-charge", agent="desk-1"), wall_s=at_s)
            rows.operations.insert(
                NewOperation(f"tok-{day}", capture, "tokenize", f"k-t-{day}", "embedded"), wall_s=at_s
            )
            settle(rows, f"k-t-{day}", "approved")
            rows.operations.insert(charge(day), wall_s=at_s + 1)
            settle(rows, f"k-c-{day}", "unknown" if day == 2 else "approved")
            rows.end_capture(capture, result="approved", brand="visa", last4="4242", wall_s=at_s + 2)
        yield rows


def charge(day: int) -> NewOperation:
    return NewOperation(
        operation_id=f"charge-{day}",
        capture_id=f"cap-{day}",
        kind="charge",
        idem_key=f"k-c-{day}",
        gateway="embedded",
        parent_id=f"tok-{day}",
        amount_minor=1_000 + day,
        currency="EUR",
        reference=f"order-{day}",
    )


def settle(rows: LedgerRows, key: str, state: str) -> None:
    rows.operations.settle(key, Settlement(state, token=b"sealed", dek_id="d1", gw_ref="9" * 16), wall_s=9.0)


class Cde:
    """Plays cde: writes down what is ordered and answers as a test says."""

    def __init__(self, tmp_path: Path) -> None:
        self.orders: list[OrderPayment] = []
        self.audited: list[tuple[str, int]] = []
        self.here = True
        self.answer: dict[str, Any] | None = {"state": S.INTENT}
        self.news: list[PaymentNews] = []
        self.book = PaymentBook(
            PaymentRows(tmp_path / "ledger.sqlite3"),
            self.send,
            lambda capture: "tok_…9f3a" if capture == CaptureId("cap-1") else None,
            lambda order, amount_minor: self.audited.append((order.by, amount_minor)),
        )
        self.book.subscribe(self.news.append)

    def send(self, message: OrderPayment) -> bool:
        if not self.here:
            return False
        self.orders.append(message)
        if self.answer is not None:
            asyncio.get_running_loop().call_soon(self.book.changed, self.change(message, **self.answer))
        return True

    @staticmethod
    def change(message: OrderPayment, **told: Any) -> PaymentChanged:
        return PaymentChanged(
            operation_id=message.operation_id,
            kind=message.kind,
            parent_id=message.parent_id,
            amount_minor=message.amount_minor,
            currency=message.currency,
            **told,
        )


@pytest.fixture
def cde(ledger: LedgerRows, tmp_path: Path) -> Cde:
    return Cde(tmp_path)


def refund(amount_minor: int | None = None, of: str = "charge-1", kind: OperationKind = K.REFUND) -> Any:
    return port.PaymentOrder(OperationId("o-abc"), OperationId(of), kind, amount_minor, "paula")


def ids(page: Any) -> list[str]:
    return [payment.id for payment in page.payments]


def test_money_is_listed_newest_first_and_pages_meet_without_gap(cde: Cde) -> None:
    first = cde.book.page(port.PaymentQuery(rows=2))
    second = cde.book.page(port.PaymentQuery(rows=2, before=int(first.next_cursor or 0)))

    assert (ids(first), ids(second)) == (["charge-2", "charge-1"], ["charge-0"])
    assert second.next_cursor is None


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"reference": "order-1"}, ["charge-1"]),
        ({"reference": "order"}, []),
        ({"state": S.UNKNOWN}, ["charge-2"]),
        ({"from_s": DAY_S, "until_s": 2 * DAY_S}, ["charge-1"]),
        ({"kinds": frozenset({K.TOKENIZE}), "reference": ""}, ["tok-2", "tok-1", "tok-0"]),
        ({"kinds": frozenset({K.REFUND})}, []),
    ],
)
def test_filters(cde: Cde, query: dict[str, Any], found: list[str]) -> None:
    assert ids(cde.book.page(port.PaymentQuery(**query))) == found


def test_one_payment_has_its_card_in_four_digits_and_nothing_of_its_token(cde: Cde) -> None:
    shown, older = cde.book.payment(OperationId("charge-1")), cde.book.payment(OperationId("charge-0"))

    assert (shown.brand, shown.last4, shown.token_reference) == ("visa", "4242", "tok_…9f3a")
    assert (shown.amount_minor, shown.currency, shown.state) == (1_001, "EUR", S.APPROVED)
    assert (shown.call, shown.agent, shown.parent) == ("call-1", "desk-1", "tok-1")
    assert older.token_reference is None
    assert "sealed" not in shown.model_dump_json()
    assert "9" * 12 not in shown.model_dump_json()


def test_unknown_is_told_as_unknown(cde: Cde) -> None:
    assert cde.book.payment(OperationId("charge-2")).state is S.UNKNOWN


def test_what_is_not_there_and_a_service_without_a_ledger(cde: Cde, tmp_path: Path) -> None:
    empty = Cde(tmp_path / "elsewhere").book

    with pytest.raises(port.PaymentNotFound):
        cde.book.payment(OperationId("charge-9"))
    assert empty.page(port.PaymentQuery()).payments == ()
    with pytest.raises(port.PaymentNotFound):
        empty.payment(OperationId("charge-1"))


def test_a_file_that_is_no_ledger_is_told_and_not_raised(tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite3").write_bytes(b"no database" * 99)

    with pytest.raises(port.LedgerBusy):
        Cde(tmp_path).book.page(port.PaymentQuery())


async def test_refund_of_the_whole_is_of_what_is_left(cde: Cde, ledger: LedgerRows) -> None:
    for number, state in enumerate(("approved", "unknown", "declined")):
        row = NewOperation(
            f"r-{number}", "cap-1", "refund", f"k-r-{number}", "embedded", "charge-1", 100, "EUR"
        )
        ledger.operations.insert(row, wall_s=1.0)
        settle(ledger, f"k-r-{number}", state)

    view = await cde.book.order(refund())

    # What is in doubt counts as given back; what was declined does not.
    assert cde.orders == [OrderPayment(OperationId("o-abc"), OperationId("charge-1"), K.REFUND, 801, "EUR")]
    assert (view.state, view.amount_minor, view.sent_at) == (S.INTENT, 801, None)
    assert cde.audited == [("paula", 801)]


async def test_void_says_no_amount(cde: Cde) -> None:
    await cde.book.order(refund(kind=K.VOID))

    assert (cde.orders[0].amount_minor, cde.orders[0].currency) == (0, "")


async def test_refusal_of_cde_is_the_answer_and_the_same_order_may_be_tried_again(cde: Cde) -> None:
    cde.answer = {"state": S.FAILED_BEFORE_SEND, "code": "already_done"}
    with pytest.raises(port.PaymentRefused) as refused:
        await cde.book.order(refund(5))
    cde.answer = {"state": S.INTENT}
    again = await cde.book.order(refund(5))

    assert refused.value.findings == ["already_done"]
    assert again.state is S.INTENT


async def test_order_that_the_ledger_has_is_not_sent_again(cde: Cde, ledger: LedgerRows) -> None:
    row = NewOperation("o-abc", "cap-1", "refund", "k-r", "embedded", "charge-1", 400, "EUR")
    ledger.operations.insert(row, wall_s=1.0)
    settle(ledger, "k-r", "approved")

    same, whole = await cde.book.order(refund(400)), await cde.book.order(refund())
    with pytest.raises(port.OrderDiffers):
        await cde.book.order(refund(401))

    assert (same.state, whole.state, cde.orders) == (S.APPROVED, S.APPROVED, [])


async def test_while_cde_is_away_nothing_is_ordered(cde: Cde) -> None:
    cde.here = False
    with pytest.raises(port.PaymentsAway):
        await cde.book.order(refund(5))
    cde.here = True
    cde.book.cde_joined()

    assert cde.orders == []


async def test_order_without_a_word_is_on_its_way_and_goes_to_the_next_cde(
    cde: Cde, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(payment_book, "FIRST_WORD_S", 0.01)
    cde.answer = None
    view = await cde.book.order(refund(5))
    shown = cde.book.payment(OperationId("o-abc"))
    cde.book.cde_joined()
    cde.book.changed(cde.change(cde.orders[0], state=S.APPROVED))
    cde.book.cde_joined()

    assert view == shown
    assert view.state is S.INTENT
    assert len(cde.orders) == 2


async def test_news_is_told_once_and_tokens_are_no_news(cde: Cde) -> None:
    message = OrderPayment(OperationId("o-1"), OperationId("charge-1"), K.REFUND, 5, "EUR")
    for state in (S.INTENT, S.UNKNOWN, S.UNKNOWN, S.APPROVED):
        cde.book.changed(cde.change(message, state=state))
    cde.book.changed(PaymentChanged(operation_id=OperationId("t"), kind=K.TOKENIZE, state=S.APPROVED))

    assert [news.state for news in cde.news] == [S.INTENT, S.UNKNOWN, S.APPROVED]
