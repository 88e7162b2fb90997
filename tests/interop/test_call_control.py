"""Call control through the service with SIPp as caller: answers, failures, CANCEL, hold, BYE, and bad input.

RFC 3261 sections 9, 11, 13 and 15; RFC 3264 section 8.4 for hold. The agent is the scripted phone.
"""

from __future__ import annotations

import secrets
import socket
from pathlib import Path

import pytest

from dtmf_shield.phone.voices import Voice, voice
from tests.interop.callers import Material
from tests.interop.conftest import Exchange
from tests.interop.ears import speech_seconds
from tests.interop.running_service import wait_until
from tests.interop.sipp import Scenario, SippCaller

pytestmark = pytest.mark.interop

ANSWER_LIMIT_S = 3.0
SILENCE_S = 1.0
MARK = "never-in-a-log"


def play(exchange: Exchange, work: Path, scenario: Scenario, dialled: str) -> SippCaller:
    return SippCaller(work, scenario, exchange.service.sip, dialled=dialled)


def ask(
    exchange: Exchange, message: str, *, source: str = "127.0.0.1", limit_s: float = ANSWER_LIMIT_S
) -> str:
    """Send one message from an address of its own; return the first line of the answer, "" for silence."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((source, 0))
        sock.settimeout(limit_s)
        text = message.replace("PORT", str(sock.getsockname()[1])).replace("HOST", source)
        sock.sendto(text.replace("\n", "\r\n").encode(), exchange.service.sip)
        try:
            return sock.recv(65_535).decode("utf-8", "replace").splitlines()[0]
        except TimeoutError:
            return ""


def request(method: str, body: str = "", *, length: int | None = None) -> str:
    token = secrets.token_hex(6)
    return (
        f"{method} sip:talking@127.0.0.1 SIP/2.0\nVia: SIP/2.0/UDP HOST:PORT;branch=z9hG4bK{token};rport\n"
        f"From: <sip:probe@HOST>;tag={token}\nTo: <sip:talking@127.0.0.1>\nCall-ID: {token}\nCSeq: 1 {method}\n"
        "Contact: <sip:probe@HOST:PORT>\nMax-Forwards: 70\n"
        + ("Content-Type: application/sdp\n" if body else "")
        + f"Content-Length: {len(body.replace(chr(10), '  ')) if length is None else length}\n\n{body}"
    )


def test_busy_agent_is_passed_on_as_486(exchange: Exchange, work: Path) -> None:
    play(exchange, work, Scenario().invite().refused(486), "busy").finish()


def test_declining_agent_is_passed_on_as_603(exchange: Exchange, work: Path) -> None:
    play(exchange, work, Scenario().invite().refused(603), "declining").finish()


def test_number_without_a_route_is_not_found(exchange: Exchange, work: Path) -> None:
    play(exchange, work, Scenario().invite(ringing=False).refused(404), "nobody").finish()


def test_cancel_while_ringing_ends_the_agents_ringing(exchange: Exchange, work: Path) -> None:
    caller = play(exchange, work, Scenario().invite(ringing=False).ringing().cancel(), "slow")

    agent = exchange.agents["slow"].incoming()
    caller.finish()

    exchange.agents["slow"].wait_for_end(agent)


def test_agent_hangs_up(exchange: Exchange, work: Path, material: Material) -> None:
    scenario = Scenario().invite().answered().stream(material.speech_ulaw).takes_bye()
    caller = play(exchange, work, scenario, "talking")
    agent = exchange.agents["talking"].incoming()
    call_id = exchange.service.call_to("talking")["id"]
    wait_until(lambda: len(agent.packets) > 10, "the agent hears the caller")

    exchange.agents["talking"].hang_up(agent)

    caller.finish()
    assert wait_until(
        lambda: exchange.service.get(f"/v1/calls/{call_id}")["state"] == "ended", "the call has ended"
    )


def test_hold_silences_and_resume_brings_back_the_conversation(
    exchange: Exchange, work: Path, material: Material
) -> None:
    scenario = Scenario().invite().answered().stream(material.speech_ulaw, loops=-1)
    scenario = scenario.wait_for_go().hold().wait_for_go().resume().wait_for_go().bye()
    caller = play(exchange, work, scenario, "talking")
    agent = exchange.agents["talking"].incoming()
    call_id = exchange.service.call_to("talking")["id"]
    wait_until(lambda: len(agent.packets) > 10, "the agent hears the caller")

    caller.go()
    wait_until(lambda: exchange.service.get(f"/v1/calls/{call_id}")["state"] == "held", "the call is held")
    caller.go()
    wait_until(
        lambda: exchange.service.get(f"/v1/calls/{call_id}")["state"] == "talking", "the call talks again"
    )
    heard = len(agent.packets)
    wait_until(lambda: len(agent.packets) > heard + 25, "the agent hears the caller again")

    caller.go()
    caller.finish()
    exchange.agents["talking"].wait_for_end(agent)


def test_early_media_is_heard_before_the_answer(exchange: Exchange) -> None:
    caller = exchange.caller.calling(exchange.uri("slow"))
    agent = exchange.agents["slow"].incoming()
    exchange.agents["slow"].early_media(agent)

    wait_until(lambda: speech_seconds(caller.call.heard) > 0.3, "the agent is heard before the answer")
    assert 183 in caller.call.statuses
    assert not caller.call.confirmed.is_set()

    exchange.agents["slow"].answer(agent)
    wait_until(caller.call.confirmed.is_set, "the call is answered")
    exchange.caller.hang_up(caller)
    exchange.agents["slow"].wait_for_end(agent)


def test_call_over_ipv6_is_shielded_like_any_other(
    exchange: Exchange, work: Path, material: Material
) -> None:
    scenario = Scenario().invite().answered().stream(material.speech_ulaw, loops=-1).wait_for_go().bye()
    caller = SippCaller(work, scenario, exchange.service.sip_address(1), dialled="six", local="::1")
    agent = exchange.agents["six"].incoming()

    wait_until(lambda: speech_seconds(agent.call.heard) > 0.5, "the agent hears the caller")
    assert exchange.service.call_to("six")["shield"]["state"] == "on"
    caller.go()

    caller.finish()
    exchange.agents["six"].wait_for_end(agent)


def test_options_is_answered_200(exchange: Exchange) -> None:
    assert ask(exchange, request("OPTIONS")) == "SIP/2.0 200 OK"


@pytest.mark.parametrize("method", ["OPTIONS", "INVITE", "REGISTER"])
def test_unknown_source_gets_no_answer(exchange: Exchange, method: str) -> None:
    assert ask(exchange, request(method), source="127.0.0.2", limit_s=SILENCE_S) == ""


@pytest.mark.parametrize("method", ["REGISTER", "SUBSCRIBE", "MESSAGE"])
def test_method_that_is_not_served_gets_405(exchange: Exchange, method: str) -> None:
    assert ask(exchange, request(method)).startswith("SIP/2.0 405 ")


def test_malformed_messages_get_400_and_one_line_of_log_without_body(exchange: Exchange) -> None:
    before = len(exchange.service.log().splitlines())

    answers = [ask(exchange, request("INVITE", f"v=0\ns={MARK}\n", length=9_999)) for _ in range(5)]

    assert [answer[:12] for answer in answers] == ["SIP/2.0 400 "] * 5
    said = exchange.service.log().splitlines()[before:]
    assert len([line for line in said if "sip_refused" in line]) == 1
    assert MARK not in "\n".join(said)


@pytest.mark.parametrize(
    "body",
    [
        f"v=0\ns={MARK}\nm=audio\n",
        "rubbish\n",
        "v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nt=0 0\nm=audio x RTP/AVP 0\n",
    ],
    ids=["no-address", "no-sdp", "no-port"],
)
def test_malformed_session_description_gets_a_4xx(exchange: Exchange, body: str) -> None:
    answer = ask(exchange, request("INVITE", body))

    assert answer.startswith("SIP/2.0 4")
    assert MARK not in exchange.service.log()


def test_voice_passes_both_ways_and_no_call_is_left_over(exchange: Exchange) -> None:
    caller = exchange.caller.call(exchange.uri("talking"))
    caller.call.talk(voice(Voice.CALLER))
    agent = exchange.agents["talking"].incoming()

    wait_until(lambda: speech_seconds(agent.call.heard) > 1, "the agent hears the caller")
    wait_until(lambda: speech_seconds(caller.call.heard) > 1, "the caller hears the agent")
    exchange.caller.hang_up(caller)
    exchange.agents["talking"].wait_for_end(agent)

    states = wait_until(
        lambda: {call["state"] for call in exchange.service.calls()} == {"ended"}, "all calls have ended"
    )
    assert states
