"""A newcomer's first payment: the printed link, the demo call from the page, a card on its keypad, paid by keyboard.

One person plays both sides in a real browser, against the real service, over real SIP. What the agent's page and
`control` must never know is searched afterwards; the same searches find it where it was keyed.
"""

from __future__ import annotations

import json
import os
import socket
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from dtmf_shield.flow.loader import load_flow
from tests.interop.beeps import write_beeps
from tests.interop.running_service import SHIPPED_FLOWS, RunningService, wait_until
from tests.leak.memory_scanner import byte_forms, pointer_forms, scan
from tests.web.accessibility import axe_findings
from tests.web.browser import Visitor
from tests.web.digit_search import places_with_digits, runs_of
from tests.web.layout import cut_off, overflow_px, unmarked_controls
from tests.web.pictures import page_picture

CARD = "5555555555554444"
"""Published; offered by the page under the name below. Its runs of five digits stand in nothing else."""
CARD_NAME = "mastercard"
FLOW = "card-payment-agent"
WHOLE_FORMS = frozenset(byte_forms(CARD)) - {"first", "middle", "last"} | frozenset(
    pointer_forms(CARD, os.getpid())
)
"""Eight fives in a row stand in memory for other reasons; the whole number does not."""
AMOUNT, AMOUNT_MINOR = "42.51", 4_251
TABS_MAX = 60
STEP_MS = 25_000
_FRAME = """
() => ({ dom: [...(window.__everShown ?? []), document.documentElement.outerHTML,
               ...[...document.querySelectorAll('input')].map((one) => one.value)].join('\\n'),
         storage: JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]) })
"""


def free_udp_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


@pytest.fixture(scope="module")
def service(own_network, tmp_path_factory):
    """The service with its play phones, as `make serve` starts it but for its ports."""
    directory = tmp_path_factory.mktemp("play")
    text = (SHIPPED_FLOWS / f"{FLOW}.yaml").read_text("utf-8")
    flows = directory / "flows"
    flows.mkdir()
    (flows / f"{FLOW}.yaml").write_text(text, "utf-8")
    write_beeps(directory / "state" / "prompts", load_flow(text, file=FLOW))
    running = RunningService(directory, {"desk": f"127.0.0.1:{free_udp_port()}"}, arguments=("--play",))
    yield running
    assert running.stop() == 0, running.log_tail()


@pytest.fixture(scope="module")
def newcomer(service, browser):
    """The person who has the printed link, on the page that it leads to."""
    visitor = Visitor(browser)
    visitor.posted = []
    visitor.page.on("request", lambda request: visitor.posted.append((request.url, request.post_data or "")))
    visitor.page.goto(service.ready["login_url"])
    assert urlsplit(visitor.page.url).path == "/ui/play/"
    expect(visitor.page.locator("#card-number")).not_to_be_empty()
    yield visitor
    visitor.close()


@pytest.fixture
def agent(newcomer):
    """The agent's page: the frame's document."""
    frame = next(frame for frame in newcomer.page.frames if urlsplit(frame.url).path == "/ui/agent/")
    expect(frame.locator("#badge[data-state='on'], #badge[data-state='off']")).to_be_visible()
    return frame


@pytest.fixture
def call(newcomer):
    """A call placed from the page, and hung up there in the end."""
    page = newcomer.page
    page.locator("#number").select_option("desk")  # the other number begins a capture by itself
    page.locator("#call").click()
    expect(page.locator("#phase.good")).to_be_visible(timeout=STEP_MS)
    yield
    hang_up(page)


def hang_up(page):
    if page.locator("#hangup").is_visible():
        page.locator("#hangup").click()
    expect(page.locator("#call")).to_be_visible()


def tab_into(page, frame, selector):
    """Press Tab until the focus is on ``selector`` in the frame."""
    for _ in range(TABS_MAX):
        if frame.evaluate("(s) => document.hasFocus() && document.activeElement.matches(s)", selector):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab does not lead to {selector}")


def fill_in(page, frame, selector, text):
    tab_into(page, frame, selector)
    page.keyboard.type(text)


def start_by_keyboard(page, frame):
    """As the agent: choose the flow, say how much and for what, take card details."""
    tab_into(page, frame, "#start select, #inputs input")
    if frame.locator("#flow").is_visible() and frame.locator("#flow").input_value() != FLOW:
        tab_into(page, frame, "#flow")
        options = frame.locator("#flow option").count()
        for key in ["Home", *["ArrowDown"] * options]:
            page.keyboard.press(key)
            if frame.locator("#flow").input_value() == FLOW:
                break
    fill_in(page, frame, "[data-input=amount]", AMOUNT)
    fill_in(page, frame, "#reference", "A-1")
    tab_into(page, frame, "#start-button")
    page.keyboard.press("Enter")


def asked_for(page, part):
    expect(page.locator(f"#parts [data-part={part}].primary")).to_be_visible(timeout=STEP_MS)


def tap(page, keys):
    for key in keys:
        page.locator(f"#keypad [data-key='{key}']").click()


def type_on_keypad(page, keys):
    page.locator("#keypad [tabindex='0']").focus()
    page.keyboard.type(keys, delay=30)


def heard(page):
    return [row.inner_text() for row in page.locator("#heard dd b").all()]


def known_of_agent(newcomer, frame):
    """Everything that came from, went to, or stands in the pages that the service itself serves to the agent."""
    own = urlsplit(newcomer.page.url).netloc
    sent = [f"{url} {body}" for url, body in newcomer.posted if urlsplit(url).netloc == own]
    found = frame.evaluate(_FRAME)
    return {
        **found,
        "sent to control": "\n".join(sent),
        "events": "\n".join(json.dumps(event) for event in newcomer.events),
        "console": "\n".join(newcomer.console),
    }


def random_names(service, newcomer):
    drawn = {event["eventId"].rpartition("-")[0] for event in newcomer.events} - {""}
    drawn |= {cookie["value"] for cookie in newcomer.context.cookies()}
    for one in service.calls():
        drawn |= {one["id"], *([one["capture"]["id"]] if one["capture"] else [])}
        outcome = (one["capture"] or {}).get("outcome") or {}
        drawn |= {str(value) for value in outcome.values() if isinstance(value, str) and len(value) > 8}
    return drawn


def test_newcomer_places_the_call_keys_a_card_and_takes_the_payment_by_keyboard(
    service, newcomer, agent, call
):
    page = newcomer.page
    page.locator("#card").select_option(CARD_NAME)
    expect(agent.locator("#start-button:not([aria-disabled='true'])")).to_be_visible(timeout=STEP_MS)

    start_by_keyboard(page, agent)
    asked_for(page, "number")
    during = scan(service.pids()["control"], CARD, include=WHOLE_FORMS)
    tap(page, CARD + "#")
    asked_for(page, "expiry")
    type_on_keypad(page, page.locator("#card-expiry").inner_text().replace("/", ""))
    asked_for(page, "code")
    type_on_keypad(page, "123")
    expect(agent.locator("#pay:not([aria-disabled='true'])")).to_be_visible(timeout=STEP_MS)
    tab_into(page, agent, "#pay")
    page.keyboard.press("Enter")
    expect(agent.locator("#outcome.good")).to_be_visible(timeout=STEP_MS)

    booked = service.gateway("GET", "/book")["operations"]
    assert [one["method"] for one in booked if one["amount_minor"] == AMOUNT_MINOR] == ["charge"]
    assert heard(page) == ["24 of 24", "0 of 24"]
    after = scan(service.pids()["control"], CARD, include=WHOLE_FORMS)
    assert (during, after) == ([], [])

    # The searches see what is there: where the keys were pressed, on the card, and with the phones.
    pressed = [json.loads(body)["key"] for url, body in newcomer.posted if url.endswith("/press") and body]
    assert "".join(pressed).startswith(CARD + "#")
    assert places_with_digits(CARD, {"card in hand": page.locator("#plastic").inner_text()}) != []
    assert scan(service.ready["play_pid"], CARD, include=WHOLE_FORMS) != []
    known = known_of_agent(newcomer, agent)
    assert "•" in known["dom"]
    assert CARD[-4:] in known["dom"]
    assert '\\"count\\":' in known["events"]
    known |= {
        "said by the service": b"\n".join(service.said).decode("utf-8", "replace"),
        "log": service.log(),
    }
    assert places_with_digits(CARD, known, random_names(service, newcomer)) == []
    assert runs_of(CARD)

    # What an engineer shows an assessor of this very call: 24 keys left the caller's phone, none came to the agent's.
    hang_up(page)
    with newcomer.context.expect_page() as opened:
        page.locator("#to-evidence").click()
    evidence = opened.value
    expect(evidence.locator("#evidence .verdict.good")).to_contain_text(
        "24 of 24 keys heard", timeout=STEP_MS
    )
    for detector in ("dtmf-shield’s own", "Plain FFT"):
        row = evidence.locator("#evidence .proofs tr", has_text=detector)
        assert row.locator("td").all_inner_texts() == ["24", "0"]
    attacker = evidence.locator("#evidence .proofs tr", has_text="Attacker")
    expect(attacker.locator("td").last).to_contain_text("no better than luck")
    assert [
        name.split("\n")[-1] for name in evidence.locator("#evidence .tools button").all_inner_texts()
    ] == [*("All keys", "Card number · 17", "Expiry date · 4", "Security code · 3", "Whole call")]
    evidence.wait_for_function(
        "() => [...document.querySelectorAll('#evidence img')].every((one) => one.naturalWidth)"
    )
    page_picture(evidence, "evidence-of-a-call", "light")
    evidence.close()
    assert scan(service.pids()["control"], CARD, include=WHOLE_FORMS) == []


def test_dead_payment_service_is_chosen_and_the_agent_is_told(service, newcomer, agent, call):
    page = newcomer.page
    page.locator("details:not([open]) summary").click()
    page.locator("#choice-door").select_option("rfc4733")
    page.locator("#choice-gateway").select_option("dead")
    expect(agent.locator("#start-button:not([aria-disabled='true'])")).to_be_visible(timeout=STEP_MS)

    start_by_keyboard(page, agent)
    for part in ("number", "expiry", "code"):
        asked_for(page, part)
        page.locator(f"#parts [data-part={part}]").click()
    expect(agent.locator("#pay:not([aria-disabled='true'])")).to_be_visible(timeout=STEP_MS)
    tab_into(page, agent, "#pay")
    page.keyboard.press("Enter")
    expect(agent.locator("#outcome.bad")).to_be_visible(timeout=STEP_MS)

    assert heard(page) == ["24 of 24", "0 of 24"]
    page.locator("#choice-gateway").select_option("up")
    page.locator("#choice-door").select_option("inband")
    wait_until(lambda: page.locator("#choice-gateway").input_value() == "up", "the gateway is up again")


def test_keys_without_a_call_are_refused_in_words(newcomer, agent):
    page = newcomer.page
    expect(page.locator("#call")).to_be_visible()

    type_on_keypad(page, "4")

    expect(page.locator("#alert")).to_contain_text("Place the call first")


def test_keypad_is_one_stop_and_arrows_go_within(newcomer, agent):
    page = newcomer.page
    page.locator("#keypad [data-key='5']").focus()

    page.keyboard.press("ArrowDown")
    below = page.evaluate("document.activeElement.dataset.key")
    page.keyboard.press("ArrowLeft")
    left = page.evaluate("document.activeElement.dataset.key")
    page.keyboard.press("Tab")

    assert (below, left) == ("8", "7")
    assert page.evaluate("document.activeElement.dataset.part") == "number"
    assert page.locator("#keypad [tabindex='0']").count() == 1


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_page_is_accessible_and_fits(newcomer, agent, theme):
    page = newcomer.page
    page.emulate_media(color_scheme=theme)

    defects = axe_findings(page)
    for width, height in ((320, 700), (640, 450)):
        page.set_viewport_size({"width": width, "height": height})
        defects += [f"{width}: {overflow_px(page)} px wide"] * (overflow_px(page) > width)
        defects += [f"{width}: cut off: {text}" for text in cut_off(page)]
    page.set_viewport_size({"width": 1280, "height": 900})
    page.emulate_media(color_scheme="light", forced_colors="active")
    defects += [f"forced colours: {control} has no edge" for control in unmarked_controls(page)]
    page.emulate_media(forced_colors="none")

    assert defects == []
    assert page.locator(".rehearsal b").inner_text() == "TEST"
