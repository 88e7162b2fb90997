"""The simulation keys into the real capture machine: menus, the way to an agent and repeats are cde's, not its own."""

from dtmf_shield.flow.loader import load_flow
from dtmf_shield.service.flows.simulation import parse_script, simulate
from tests.unit.flow.shipped import TEXTS

SELF_SERVICE = load_flow(TEXTS["card-payment-self-service"], file="self-service.yaml")


def lines(script, flow=SELF_SERVICE):
    transcript = simulate(flow, parse_script(script))
    return [(line.verb, line.text) for line in transcript.lines]


def verbs(script, *wanted):
    return [text for verb, text in lines(script) if verb in wanted]


def test_keys_typed_over_the_first_prompt_choose_in_the_menu_after_it():
    assert verbs("type 1\nhangup\n", "chosen") == ["option 1"]


def test_agent_key_alone_leads_to_an_agent_by_hash_and_by_silence():
    told = lines("keys 1\nkeys 0#\n")
    assert ("caller", "wants an agent") in told

    silent = lines("keys 1\nkeys 0\nwait 10s\n")
    assert ("caller", "wants an agent") in silent


def test_agent_key_is_a_wrong_key_in_a_menu_that_leads_to_no_agent():
    told = lines("keys 0\nkeys 2\nhangup\n")
    assert ("refused", "wrong_key") in told
    assert ("caller", "wants an agent") not in told


def test_star_in_a_menu_has_its_prompt_said_again():
    told = lines("keys *\nkeys 1\nhangup\n")
    place = told.index(("caller", "wants to hear it again"))
    assert told[place + 1][0] == "hears"
    assert ("chosen", "option 1") in told[place:]


def test_field_given_up_says_why():
    given_up = verbs("keys 1\n" + "keys 1#\n" * 3, "failed")
    assert given_up == ["account: too_short"]


TO_THE_CARD = "hook ok balance=87.20\nkeys 1\nkeys 12345674#\nkeys 1\n"


def test_a_hand_over_says_what_the_next_flow_need_not_ask_and_no_digit_of_it():
    (kept,) = verbs(f"{TO_THE_CARD}card visa\nkeys 1230#\nkeys 0#\n", "kept")

    assert kept == "for the next flow: account, card number, expiry; values account, amount"


def test_a_card_half_keyed_is_not_kept():
    (kept,) = verbs(f"{TO_THE_CARD}keys 4242\nwait 60s\nwait 60s\nwait 60s\n", "kept")

    assert kept == "for the next flow: account; values account, amount"


def test_of_a_card_that_was_sent_and_refused_nothing_is_kept_but_values():
    told = lines(f"gateway declined\n{TO_THE_CARD}card visa\nkeys 1230#\nkeys 123#\nkeys 1\nkeys 0#\n")
    kept = [text for verb, text in told if verb == "kept"]

    assert ("gateway", "declined") in told
    assert kept == ["for the next flow: values account, amount"]


def test_nothing_is_kept_of_a_caller_who_hangs_up_and_a_flow_that_stays_with_its_agent_says_nothing():
    agents = load_flow(TEXTS["card-payment-agent"], file="agent.yaml")
    stays = lines(
        "input amount=12.50\ninput currency=GBP\ninput reference=A-7\ncard visa\nagent cancel\n", agents
    )

    assert verbs("keys 1\nhangup\n", "kept") == []
    assert stays[-1][0] == "exit"
    assert "kept" not in [verb for verb, _ in stays]
