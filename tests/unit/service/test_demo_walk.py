"""What the demonstration's caller keys in a flow: good answers by itself, or the keys that were given."""

import pytest

from dtmf_shield.base.errors import OperatorError
from dtmf_shield.phone.test_cards import TEST_CARDS
from dtmf_shield.service.demo.walk import MENU, walk_of
from dtmf_shield.service.test_gateway.cards import BANK_ACCOUNTS, PERSONS
from tests.unit.flow.shipped import FLOWS

GOOD = {
    "bank-account": "tokenized",
    "card-charge-agent": "paid",
    "card-on-file": "tokenized",
    "card-payment-agent": "paid",
    "card-tokenize-agent": "tokenized",
    "verify-identity": "verified",
}


@pytest.mark.parametrize(("name", "result"), GOOD.items())
def test_a_willing_caller_comes_to_a_good_end_of_every_shipped_flow_without_a_look_up(name, result):
    walk = walk_of(FLOWS[name])

    assert walk.result == result
    assert {entry.step for entry in walk.entries} <= set(FLOWS[name].steps)


def test_cards_are_test_cards_and_no_entry_shows_its_keys():
    walk = walk_of(FLOWS["card-payment-agent"])

    card = walk.entries[0]
    assert (card.field, card.kind, card.label) == ("pan", "card_number", "card number")
    assert card.keys.rstrip("#") in TEST_CARDS
    assert card.keys.rstrip("#") not in repr(walk)
    assert walk.entries[-1].kind == MENU


def test_an_account_and_a_person_are_those_that_the_test_gateway_takes():
    account = {entry.step: entry.keys for entry in walk_of(FLOWS["bank-account"]).entries}
    person = {entry.step: entry.keys for entry in walk_of(FLOWS["verify-identity"]).entries}

    assert (account["routing"], account["account"].rstrip("#")) in BANK_ACCOUNTS
    assert PERSONS[person["birth"]] == person["postcode"].rstrip("#")


def test_the_amount_and_the_reference_are_those_the_flow_takes():
    walk = walk_of(FLOWS["card-payment-agent"], inputs={"amount": "12.50", "currency": "EUR"})

    assert walk.inputs == {"amount": "12.50", "currency": "EUR", "reference": walk.inputs["reference"]}
    assert walk.inputs["reference"] == "DEMO-1"


def test_given_keys_go_to_the_questions_in_order_a_hash_behind_a_full_entry_with_it():
    walk = walk_of(FLOWS["card-payment-agent"], keys="4242424242424242#1230#123#1")

    assert [(entry.step, len(entry.keys)) for entry in walk.entries] == [
        ("card", 17),
        ("expiry", 5),
        ("cvv", 4),
        ("confirm", 1),
    ]


def test_a_slip_is_an_entry_of_its_own():
    walk = walk_of(FLOWS["card-payment-agent"], keys="4242#4242424242424242#1230#123#1")

    assert [len(entry.keys) for entry in walk.entries if entry.step == "card"] == [5, 17]


def test_keys_that_end_too_early_are_told_with_the_step():
    with pytest.raises(OperatorError, match="the keys end in step expiry"):
        walk_of(FLOWS["card-payment-agent"], keys="4242424242424242#")


def test_an_input_nobody_can_guess_is_asked_for():
    flow = FLOWS["verify-identity"]
    odd = flow.inputs["customer"].model_copy(update={"pattern": "^Q{7}$"})

    with pytest.raises(OperatorError, match="--input customer=VALUE"):
        walk_of(flow.model_copy(update={"inputs": {"customer": odd}}))
