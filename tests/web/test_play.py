"""A newcomer's first payment: the printed link, the demo call from the page, a card on its keypad, paid by keyboard.

One person plays both sides in a real browser, against the real service, over real SIP. What the agent's page and
`control` must never know is searched afterwards; the same searches find it where it was keyed.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import time
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from dtmf_shield.flow.loader import load_flow
from tests.interop.beeps import write_beeps
from tests.interop.running_service import CHARGE_FLOW, SHIPPED_FLOWS, RunningService, wait_until
from tests.leak.memory_scanner import byte_forms, pointer_forms, scan
from tests.web.accessibility import axe_findings
from tests.web.browser import HEIGHT, WIDTH, Visitor
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
SLOW_PRESSES_S = 3 * 1.5
"""Between the first of four keys and the last, at slow fingers."""
SLOW_GATEWAY_S = 3.5
"""Of its five seconds, less what it takes to be looked at."""
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


def defects_of(page, state):
    """Return what is wrong with the page as it is: light and dark, a telephone, a desk at 200 %, forced colours."""
    page.evaluate("scrollTo(0, 0)")
    defects = []
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        defects += [f"{state}, {theme}: {finding}" for finding in axe_findings(page)]
        page_picture(page, f"play-{state}", theme)
    page.emulate_media(color_scheme="light")
    for width, height in ((640, 450), (320, 700)):
        page.set_viewport_size({"width": width, "height": height})
        defects += [f"{state}, {width}: {overflow_px(page)} px wide"] * (overflow_px(page) > width)
        defects += [f"{state}, {width}: cut off: {text}" for text in cut_off(page)]
    page_picture(page, f"play-{state}", "narrow")
    page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
    page.emulate_media(forced_colors="active")
    defects += [f"{state}, forced colours: {control} has no edge" for control in unmarked_controls(page)]
    page.emulate_media(forced_colors="none")
    return defects


@contextlib.contextmanager
def told_that(page, **changed):
    """Let the phones' answers say so: what lasts for a moment only is held for as long as it is looked at."""

    def answer(route):
        real = route.fetch()
        route.fulfill(response=real, json={**real.json(), **changed})

    page.route("**/state", answer)
    yield
    page.unroute("**/state", answer)


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
    expect(page.locator("#to-evidence")).to_be_visible(timeout=STEP_MS)
    assert defects_of(page, "ended") == []
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
    defects = defects_of(page, "choices")

    start_by_keyboard(page, agent)
    for part in ("number", "expiry", "code"):
        asked_for(page, part)
        if part == "expiry":
            defects += defects_of(page, "asked")
        page.locator(f"#parts [data-part={part}]").click()
    expect(agent.locator("#pay:not([aria-disabled='true'])")).to_be_visible(timeout=STEP_MS)
    tab_into(page, agent, "#pay")
    page.keyboard.press("Enter")
    expect(agent.locator("#outcome.bad")).to_be_visible(timeout=STEP_MS)

    assert heard(page) == ["24 of 24", "0 of 24"]
    page.locator("#choice-gateway").select_option("up")
    page.locator("#choice-door").select_option("inband")
    wait_until(lambda: page.locator("#choice-gateway").input_value() == "up", "the gateway is up again")
    assert defects == []


CARDS = {
    "mistyped": None,
    "visa": ("good", "Payment approved", ""),
    "amex": ("good", "Payment approved", ""),
    "declined": ("bad", "Not approved", "the bank declined"),
    "no-funds": ("bad", "Not approved", "not enough money"),
    "expired": ("bad", "Not approved", "card expired"),
    "lost-later": ("bad", "Not approved", "the bank declined"),
}
"""How each ends. The first does not end: its number is refused, and the next card goes on in its place."""
LINES = {
    "amex": ("weak", "Key tones are faint"),
    "no-funds": ("noisy", "The line is noisy"),
    "expired": ("lossy", "The line is noisy"),
}
"""Cards that are keyed over a bad line, and what the agent is told of it."""


def start_by_program(service, amount_minor):
    """Start a charge in the call that is up; return the call's id."""
    call_id = service.call_to("desk")["id"]
    wait_until(
        lambda: (service.capture(call_id) or {"step": None})["step"] is None, "the flow before is over"
    )
    service.start_capture(call_id, CHARGE_FLOW, amount_minor=amount_minor, currency="GBP")
    return call_id


def let_key(page, *parts):
    for part in parts:
        asked_for(page, part)
        page.locator(f"#parts [data-part={part}]").click()


def test_each_card_ends_as_its_name_says(service, newcomer, agent, call):
    page = newcomer.page
    page.locator("details").evaluate("(one) => { one.open = true }")
    found = {}
    for place, (name, end) in enumerate(CARDS.items()):
        page.locator("#card").select_option(name)
        if name != "visa":
            start_by_program(service, 1_000 + place)
            expect(agent.locator("#outcome")).to_be_hidden(timeout=STEP_MS)
        line, hint = LINES.get(name, ("clean", ""))
        page.locator("#choice-line").select_option(line)
        let_key(page, "number")
        if hint:
            expect(agent.locator("#hint")).to_contain_text(hint, timeout=STEP_MS)
        if end is None:
            expect(agent.locator("#fields")).to_contain_text("Check digit wrong", timeout=STEP_MS)
            expect(page.locator("#heard-note")).not_to_contain_text("wait", timeout=STEP_MS)
            continue
        let_key(page, "expiry", "code")
        expect(agent.locator("#outcome.good, #outcome.bad")).to_be_visible(timeout=STEP_MS)
        words = agent.locator("#outcome").inner_text()
        look = agent.locator("#outcome").get_attribute("class")
        found[name] = (end[0] in look, end[1] in words, end[2] in words, (look, words))

    wrong = [(name, *rest) for name, (*right, rest) in found.items() if not all(right)]
    assert wrong == []
    assert len(found) == len(CARDS) - 1
    taken = [
        one for one in service.gateway("GET", "/book")["operations"] if 1_000 <= one["amount_minor"] < 1_100
    ]
    assert len([one for one in taken if one.get("state", "approved") == "approved"]) >= 2


def test_doubled_keys_slow_fingers_and_a_slow_payment_service_are_seen_by_the_agent(
    service, newcomer, agent, call
):
    page = newcomer.page
    page.locator("#card").select_option("visa")
    page.locator("details").evaluate("(one) => { one.open = true }")
    page.locator("#choice-fingers").select_option("doubled")
    page.locator("#choice-gateway").select_option("slow")
    call_id = start_by_program(service, 2_000)

    let_key(page, "number")
    expect(agent.locator("#hint")).to_contain_text("Keys arrive twice", timeout=STEP_MS)
    expect(page.locator("#heard-note")).not_to_contain_text("wait", timeout=STEP_MS)
    page.locator("#choice-fingers").select_option("normal")
    service.wait_for_field(call_id, "pan", "invalid", "waiting", "idle")
    let_key(page, "number")
    asked_for(page, "expiry")
    page.locator("#choice-fingers").select_option("slow")
    slow_at_s = time.monotonic()
    let_key(page, "expiry")
    expect(page.locator("#heard-note")).to_contain_text("wait for the fingers")
    asked_for(page, "code")
    assert time.monotonic() - slow_at_s > SLOW_PRESSES_S
    page.locator("#choice-fingers").select_option("normal")
    let_key(page, "code")
    expect(agent.locator("#stage-words")).to_contain_text("Sending", timeout=STEP_MS)
    sent_at_s = time.monotonic()
    expect(agent.locator("#outcome.good")).to_be_visible(timeout=STEP_MS)

    assert time.monotonic() - sent_at_s > SLOW_GATEWAY_S
    page.locator("#choice-gateway").select_option("up")
    wait_until(lambda: page.locator("#choice-gateway").input_value() == "up", "the gateway is quick again")


def test_one_key_leads_to_each_next_step(service, newcomer, agent, call):
    page = newcomer.page
    expect(page.locator("#next")).to_contain_text("2.")
    expect(agent.locator("#start-button:not([aria-disabled='true'])")).to_be_visible(timeout=STEP_MS)

    defects = defects_of(page, "talking")
    page.keyboard.press("F2")
    form = agent.evaluate("document.hasFocus() && document.activeElement.closest('#start') !== null")
    start_by_program(service, 3_000)
    expect(page.locator("#next")).to_contain_text("3.", timeout=STEP_MS)
    page.keyboard.press("F2")
    keypad = page.evaluate("document.activeElement.closest('#keypad') !== null")
    page.locator("#there").click()

    assert defects == []
    assert form
    assert keypad
    assert page.evaluate("document.activeElement.closest('#keypad') !== null")


def test_menus_lead_back_to_the_play_page_but_not_within_it(newcomer, agent):
    menu = newcomer.context.new_page()
    menu.goto(agent.url.partition("?")[0])
    menu.locator("#menu-opener").click()
    links = "[...document.querySelectorAll('#menu-panel a')].map((one) => [new URL(one.href).pathname, one.target])"

    assert menu.evaluate(links)[:2] == [["/ui/play/", ""], ["/ui/agent/", ""]]
    menu.locator("#menu-panel a").first.click()
    expect(menu.locator("#call")).to_be_visible()
    menu.close()
    assert agent.evaluate(links)[0] == ["/ui/agent/", "_top"]


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


def test_page_is_accessible_and_fits_before_a_call_and_while_it_rings(newcomer, agent):
    page = newcomer.page
    defects = defects_of(page, "idle")
    with told_that(page, phase="calling"):
        expect(page.locator("#phase.busy")).to_be_visible(timeout=STEP_MS)
        expect(page.locator("#hangup")).to_be_visible()
        defects += defects_of(page, "calling")
    expect(page.locator("#call")).to_be_visible(timeout=STEP_MS)

    assert defects == []
    assert page.locator(".rehearsal b").inner_text() == "TEST"


def test_phones_that_die_are_started_again_and_the_page_goes_on(service, newcomer, agent):
    page = newcomer.page
    page.locator("#number").select_option("desk")
    page.locator("#call").click()
    expect(page.locator("#phase.good")).to_be_visible(timeout=STEP_MS)
    page.locator("details").evaluate("(one) => { one.open = true }")
    with page.expect_response(lambda answer: answer.url.endswith("/gateway")):
        page.locator("#choice-gateway").select_option("dead")
    call_id = service.call_to("desk")["id"]

    # First they stand still: phones that die alone may be back before the page has missed them.
    os.kill(service.ready["play_pid"], signal.SIGSTOP)
    expect(page.locator("#phase.bad")).to_have_text("No telephone", timeout=STEP_MS)
    expect(page.locator("#alert")).to_contain_text("They are being started again")
    expect(page.locator("#next.late")).to_be_visible()
    defects = defects_of(page, "away")
    killed_s = time.monotonic()
    os.kill(service.ready["play_pid"], signal.SIGKILL)
    again = service.wait_for_event("started", since_s=killed_s, limit_s=STEP_MS / 1000)
    expect(page.locator("#phase")).to_have_text("Not calling", timeout=STEP_MS)

    assert (again["process"], again["pid"] != service.ready["play_pid"]) == ("play", True)
    expect(page.locator("#alert")).to_have_text("")
    assert page.locator("#choice-gateway").input_value() == "up"
    wait_until(
        lambda: service.get(f"/v1/calls/{call_id}")["state"] == "ended", "the dead phones' call is over"
    )
    page.locator("#call").click()
    expect(page.locator("#phase.good")).to_be_visible(timeout=STEP_MS)
    page.locator("#hangup").click()
    expect(page.locator("#call")).to_be_visible()
    assert defects == []
