"""The engineer's page: looks, reflow, axe; an editor that traps no keyboard; a wrong flow at its line; a simulation."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from dtmf_shield.api.ports.test_calls import NoTestCalls
from dtmf_shield.phone.test_cards import CARDS_BY_NAME
from tests.web.accessibility import axe_findings
from tests.web.digit_search import places_with_digits
from tests.web.engineer_site import EngineerSite, a_node, deaf, leaking
from tests.web.layout import cut_off, focused, overflow_px, unmarked_controls
from tests.web.pictures import page_picture
from tests.web.signing_in import sign_in
from tests.web.waiting import until
from tests.web.whole_site import request_keys

FLOW = "card-payment-agent"
LIMIT_MS = 30_000
"""The workbench starts with the first text."""
NARROW, ZOOMED, WIDE = (320, 700), (640, 450), (1280, 900)


@pytest.fixture(scope="module")
def engineer_site(own_network, tmp_path_factory):
    site = EngineerSite(tmp_path_factory.mktemp("flows"))
    yield site
    site.close()


@pytest.fixture
def page(engineer_site, onlooker):
    return at_flow(engineer_site, onlooker)


def at_flow(engineer_site, visitor):
    """Return the page with FLOW open, checked, drawn, and a script proposed for it."""
    sign_in(engineer_site, visitor)
    visitor.page.goto(f"{engineer_site.url}/ui/engineer/")
    visitor.page.locator("#flow-list button", has_text=FLOW).click(timeout=LIMIT_MS)
    expect(visitor.page.locator("#text-title")).to_have_text("Card payment, agent stays on the line")
    expect(visitor.page.locator("#script")).to_have_value(
        "input amount=12.50\ninput currency=GBP\ninput reference=A-1\ncard visa\nkeys 1230\nkeys 123\nkeys 1\n",
        timeout=LIMIT_MS,
    )
    return visitor.page


def misspell(page):
    """Change a step's name where the flow begins; return the line."""
    text = page.locator("#text").input_value()
    wrong = text.replace("start: card\n", "start: cart\n")
    page.locator("#text").fill(wrong)
    return wrong.splitlines().index("start: cart") + 1


def simulate(page):
    page.locator("#run").click()
    expect(page.locator("#line-rows tr").last).to_contain_text("exit", timeout=LIMIT_MS)


def show_wrong(page):
    misspell(page)
    expect(page.locator("#findings li")).to_have_count(1, timeout=LIMIT_MS)


def show_health(page):
    page.locator("#to-health").click()
    expect(page.locator(".part")).to_have_count(8)


def show_calls(page, played, *names):
    played.show(*names)
    page.locator("#to-test-calls").click()
    if names:
        expect(page.locator("#evidence-title")).to_be_visible(timeout=LIMIT_MS)


def pictures_are_there(page):
    wide = "(ones) => ones.every((one) => one.complete && one.naturalWidth > 100)"
    expect(page.locator("#evidence .view img")).to_have_count(2, timeout=LIMIT_MS)
    page.wait_for_function(f"() => ({wide})([...document.querySelectorAll('#evidence img')])")


def show_clean(page, played):
    show_calls(page, played, "clean", "leaked", "judging")
    pictures_are_there(page)
    page.locator("#evidence summary").click()


def show_leak(page, played):
    show_calls(page, played, "leaked", "clean")
    pictures_are_there(page)


def show_running(page, played):
    show_calls(page, played, "running")


def show_no_call(page, played):
    show_calls(page, played)
    expect(page.locator("#tests-none")).to_be_visible()
    expect(page.locator("#place-call a")).to_be_visible()


@pytest.mark.parametrize(
    "prepare",
    [simulate, show_wrong, show_health, show_clean, show_leak, show_running, show_no_call],
    ids=["flow", "wrong", "health", "evidence", "leak", "running", "no-call"],
)
def test_page_is_accessible_and_fits(page, engineer_site, prepare, request):
    told = (engineer_site.played,) if prepare in (show_clean, show_leak, show_running, show_no_call) else ()
    prepare(page, *told)
    name = f"engineer-{request.node.callspec.id}"
    defects = []

    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        defects += [f"{theme}: {finding}" for finding in axe_findings(page)]
        page_picture(page, name, theme)
    page.emulate_media(color_scheme="light")
    for size in (NARROW, ZOOMED):
        page.set_viewport_size({"width": size[0], "height": size[1]})
        defects += [f"{size[0]} px: {overflow_px(page)} px wide"] * (overflow_px(page) > size[0])
        defects += [f"{size[0]} px: cut off: {text}" for text in cut_off(page)]
        if size == NARROW:
            page_picture(page, name, "narrow")
    page.set_viewport_size({"width": WIDE[0], "height": WIDE[1]})
    page.emulate_media(forced_colors="active")
    defects += [f"forced colours: {control} has no edge" for control in unmarked_controls(page)]

    assert defects == []


def test_list_says_what_the_picture_says(page):
    drawn = page.locator("#drawing")
    first = page.locator("#steps > li").first

    assert drawn.evaluate("(one) => one.decode().then(() => one.naturalWidth)") > 0
    assert "list of steps" in (drawn.get_attribute("alt") or "")
    expect(first).to_contain_text("card")
    expect(first.locator(".ways li").first).to_have_text("ok → expiry")
    page.locator("#steps > li", has_text="charge").first.locator(".jump").first.click()
    assert line_of_caret(page).strip() == "pay:"


def line_of_caret(page):
    return page.locator("#text").evaluate(
        "(one) => one.value.slice(0, one.selectionEnd).split('\\n').at(-1) "
        "+ one.value.slice(one.selectionEnd).split('\\n')[0]"
    )


def test_a_wrong_flow_shows_its_finding_and_the_caret_goes_there(page):
    line = misspell(page)
    finding = page.locator("#findings button")
    expect(finding).to_contain_text(f"Line {line} start", timeout=LIMIT_MS)
    expect(finding).to_contain_text("Did you mean card?")
    expect(page.locator("#picture-note")).to_contain_text("this picture is of before")
    expect(page.locator("#gutter .error")).to_have_text(str(line))

    finding.click()

    assert focused(page)["name"] == "text"
    assert line_of_caret(page) == "start: cart"
    expect(page.locator("#place")).to_have_text(f"Line {line}, column 8")
    page.keyboard.type("card")
    expect(page.locator("#findings li")).to_have_count(0, timeout=LIMIT_MS)
    expect(page.locator("#verdict")).to_have_text("No mistakes found")


def test_tab_passes_through_the_editor_until_somebody_writes_and_after_escape(page):
    area = page.locator("#text")
    before = area.input_value()
    page.locator("#flow-list button").last.focus()
    for _ in range(2):  # the file, the text
        page.keyboard.press("Tab")
    assert focused(page)["name"] == "text"
    page.keyboard.press("Tab")
    assert focused(page)["name"] == "download"
    page.keyboard.press("Shift+Tab")

    page.keyboard.press("Control+Home")
    page.keyboard.type("#")
    page.keyboard.press("Tab")
    assert (focused(page)["name"], area.input_value()) == ("text", "#  " + before)
    page.keyboard.press("Shift+Tab")
    assert focused(page)["name"] == "text"
    page.keyboard.press("Escape")
    page.keyboard.press("Tab")

    assert focused(page)["name"] == "download"


def test_a_simulation_shows_a_payment_and_no_digits_of_the_card(engineer_site, visitor):
    page = at_flow(engineer_site, visitor)
    simulate(page)

    expect(page.locator("#ending")).to_have_text("Ended: paid, to agent")
    accepted = page.locator("#line-rows tr.verb-accepted").first
    expect(accepted).to_contain_text("pan visa ending 4242")
    assert "•" * 16 in page.locator("#line-rows").inner_text()
    known = visitor.everything()
    keys = request_keys(visitor.network)
    assert places_with_digits(CARDS_BY_NAME["visa"], known, keys) == []
    assert places_with_digits(CARDS_BY_NAME["visa"], {"control": "4242 4"}) == ["control"]


def answered(page, act, path):
    """Do what lets the service answer, and wait until the page has done with the answer."""
    with page.expect_response(f"**{path}") as answer:
        act()
    answer.value.finished()
    page.evaluate("fetch('/v1/flow-versions').then((answer) => answer.json())")


@pytest.fixture
def hold(page):
    """Hold back requests of a path; returns those that wait."""

    def kept(path):
        held = []

        def wait(route):
            held.append(route)

        page.route(f"**{path}", wait)
        return held

    return kept


def test_an_answer_that_is_overtaken_replaces_nothing(page, hold):
    flow, title = "card-on-file", page.locator("#text-title")
    slow, simulation = hold(f"/v1/flows/{flow}"), hold("/v1/flow-drafts/simulate")
    button = page.locator("#flow-list button", has_text=flow)

    button.click()
    assert until(page, lambda: slow)
    answered(page, page.locator("#flow-list button", has_text=FLOW).click, f"/v1/flows/{FLOW}")
    answered(page, slow.pop().continue_, f"/v1/flows/{flow}")
    expect(title).to_have_text("Card payment, agent stays on the line")

    button.click()
    assert until(page, lambda: slow)
    page.locator("#text").fill("flow: v1\n# typed meanwhile\n")
    asked = []
    page.once("dialog", lambda dialog: (asked.append(dialog.message), dialog.dismiss()))
    answered(page, slow.pop().continue_, f"/v1/flows/{flow}")
    assert len(asked) == 1
    expect(page.locator("#text")).to_have_value("flow: v1\n# typed meanwhile\n")

    page.locator("#revert").click()
    page.locator("#run").click()
    assert until(page, lambda: simulation)
    page.unroute(f"**/v1/flows/{flow}")
    button.click()
    expect(title).not_to_have_text("Card payment, agent stays on the line")
    answered(page, simulation.pop().continue_, "/v1/flow-drafts/simulate")
    expect(page.locator("#lines")).to_be_hidden()
    expect(page.locator("#status")).not_to_contain_text("Ended")


def test_a_card_number_typed_into_the_script_is_refused_and_not_kept(page):
    page.locator("#script").fill("keys 4000 0566 5566 5556#".replace(" ", ""))
    page.locator("#run").click()

    expect(page.locator("#script-wrong")).to_contain_text("looks like a card number", timeout=LIMIT_MS)
    expect(page.locator("#lines")).to_be_hidden()


def test_what_is_downloaded_is_what_is_in_the_editor(page, tmp_path):
    page.locator("#text").fill("flow: v1\n# mine\n")
    with page.expect_download() as download:
        page.locator("#download").click()

    download.value.save_as(tmp_path / "saved.yaml")
    assert download.value.suggested_filename == f"{FLOW}.yaml"
    assert (tmp_path / "saved.yaml").read_text("utf-8") == "flow: v1\n# mine\n"


def test_a_file_of_ones_own_is_opened(page, tmp_path):
    own = tmp_path / "mine.yaml"
    own.write_text("flow: v1\nid: mine\n", "utf-8")
    page.locator("#file").set_input_files(own)

    expect(page.locator("#text")).to_have_value("flow: v1\nid: mine\n")
    expect(page.locator("#text-state")).to_contain_text("Your file")
    expect(page.locator("#findings li").first).to_contain_text("Line", timeout=LIMIT_MS)
    expect(page.locator("#paper")).to_be_hidden()


def test_health_shows_what_is_wrong_in_words(page):
    show_health(page)

    health = page.locator("#health")
    shown = ("cde", "Down", "9 days left", "Expired 3 days ago", "960 ms", "3 pieces are not built")
    for words in (*shown, "Fallback", "Its TLS certificate is not accepted."):
        expect(health).to_contain_text(words)
    assert page.title().startswith("Health")


def look_again(page):
    """Ask for the health now, and not in some seconds."""
    page.evaluate("dispatchEvent(new HashChangeEvent('hashchange'))")


def test_what_is_read_of_the_health_stays_while_figures_change(page, engineer_site):
    show_health(page)
    name = page.locator(".part td b", has_text="carrier-a")
    name.evaluate("(one) => { window.read = one; getSelection().selectAllChildren(one); }")

    engineer_site.nodes.shown = a_node().model_copy(update={"calls": 77, "captures": 41})
    try:
        look_again(page)
        expect(page.locator("#health")).to_contain_text("77 / 500")
        expect(page.locator("#health .facts").first).to_contain_text("41")
    finally:
        engineer_site.nodes.shown = a_node()

    assert page.evaluate("[read.isConnected, getSelection().toString()]") == [True, "carrier-a"]
    page.locator(".skip").focus()
    page.keyboard.press("Enter")
    assert focused(page)["name"] == "main"
    expect(page.locator("#health")).to_be_visible()


def test_the_way_to_sign_in_again_goes_when_the_service_answers_again(page):
    problem = {"type": "urn:dtmf-shield:problem:not-signed-in", "title": "Not signed in", "status": 401}
    page.route("**/v1/nodes", lambda route: route.fulfill(status=401, json=problem))
    page.locator("#to-health").click()
    expect(page.locator("#signin-again")).to_be_visible()

    page.unroute("**/v1/nodes")
    look_again(page)

    expect(page.locator("#signin-again")).to_be_hidden()
    expect(page.locator("#alert")).to_be_empty()


def test_evidence_shows_both_sides_and_what_each_detector_heard(page, engineer_site):
    show_clean(page, engineer_site.played)

    expect(page.locator("#evidence .verdict")).to_have_text(
        "Clean: 24 of 24 keys heard at the caller’s phone, 0 at the agent’s."
    )
    own = page.locator("#evidence .proofs tr", has_text="dtmf-shield’s own")
    assert own.locator("td").all_inner_texts() == ["24", "0"]
    presses = page.locator("#evidence details tbody tr")
    expect(presses).to_have_count(24)
    assert presses.nth(17).locator("td").all_inner_texts()[0] == "Expiry date"
    assert {row.locator("td").last.inner_text() for row in presses.all()} == {"No"}
    names = page.locator("#evidence .tools button").all_inner_texts()
    assert [name.split("\n")[-1] for name in names] == [
        *("All keys", "Card number · 17", "Expiry date · 4", "Security code · 3", "Whole call")
    ]


def test_leak_is_said_and_framed_where_it_is(page, engineer_site):
    show_leak(page, engineer_site.played)

    expect(page.locator("#evidence .verdict")).to_contain_text("LEAK: 1 of 24 keys reached the agent’s phone")
    expect(page.locator("#evidence .press.through")).to_have_count(1)
    expect(page.locator("#evidence .cap")).to_have_count(2 * 24)
    page.locator("#test-list a").last.click()
    expect(page.locator("#evidence .verdict")).to_contain_text("Clean")
    expect(page.locator("#evidence .press.through")).to_have_count(0)


def test_panels_share_one_axis_and_a_field_fills_the_width(page, engineer_site):
    show_clean(page, engineer_site.played)
    view = page.locator("#evidence .view")
    places = """(view) => [...view.querySelectorAll('img')].map((one) => one.getBoundingClientRect())
      .map((box) => [box.left, box.width])"""
    whole = page.locator("#evidence .tools button", has_text="Whole call")
    whole.click()
    assert view.evaluate("(one) => one.scrollWidth - one.clientWidth") <= 1
    narrow = view.evaluate(places)

    page.locator("#evidence .tools button", has_text="Expiry date").focus()
    page.keyboard.press("Enter")
    wide = view.evaluate(places)

    assert narrow[0] == narrow[1]
    assert wide[0] == wide[1]
    assert wide[0][1] > 5 * narrow[0][1]
    expect(whole).to_have_attribute("aria-pressed", "false")
    bar = view.locator(".bar-mark").nth(1).bounding_box()
    box = view.bounding_box()
    assert box["x"] < bar["x"] < bar["x"] + bar["width"] < box["x"] + box["width"]
    view.focus()
    before = view.evaluate("(one) => one.scrollLeft")
    page.keyboard.press("ArrowRight")
    page.wait_for_function(
        "([before]) => document.querySelector('#evidence .view').scrollLeft > before", arg=[before]
    )


def test_call_without_an_agent_of_ours_claims_nothing(page, engineer_site):
    engineer_site.played.show("clean")
    engineer_site.played.one_sided()
    page.locator("#to-test-calls").click()

    expect(page.locator("#evidence .verdict")).to_contain_text(
        "Only the caller’s side is known", timeout=LIMIT_MS
    )
    expect(page.locator("#evidence .view img")).to_have_count(1)


def test_judged_call_appears_by_itself(page, engineer_site):
    show_running(page, engineer_site.played)
    expect(page.locator("#evidence")).to_contain_text("Call goes on")
    engineer_site.played.calls_kept[0].over = True
    expect(page.locator("#evidence")).to_contain_text("Making the evidence", timeout=LIMIT_MS)

    engineer_site.played.show("clean")

    expect(page.locator("#evidence .verdict")).to_contain_text("Clean", timeout=LIMIT_MS)
    expect(page.locator("#status")).to_contain_text("Clean: 24 of 24")


def test_silent_play_phones_are_told_in_words(page, engineer_site):
    engineer_site.played.show("clean")
    engineer_site.played.silent = True
    try:
        page.locator("#to-test-calls").click()
        expect(page.locator("#alert")).to_contain_text("The play phones do not answer")
    finally:
        engineer_site.played.silent = False
    expect(page.locator("#evidence .verdict")).to_contain_text("Clean", timeout=LIMIT_MS)
    expect(page.locator("#alert")).to_be_empty()


def test_service_without_play_phones_says_so(page, engineer_site, monkeypatch):
    backing = engineer_site.app.state.context.backing
    monkeypatch.setattr(backing.test_calls, "calls", NoTestCalls().calls)
    page.locator("#to-test-calls").click()

    expect(page.locator("#tests-none")).to_contain_text("demo mode only")
    expect(page.locator("#alert")).to_be_empty()
    expect(page.locator("#evidence")).to_be_hidden()


def test_media_shows_its_threads_and_what_the_sentinel_has_heard(page):
    show_health(page)
    card = page.locator(".part", has=page.locator(".sentinel"))

    expect(card.locator(".sentinel .chip.good")).to_have_text("OK – no key heard behind the mask")
    for words in ("1:26:44", "shard-0", "4,812,330", "0.18 ms · 0.72 ms · 9.10 ms", "21.4%"):
        expect(card).to_contain_text(words)
    slow = card.locator("tbody tr", has_text="shard-1").locator(".chip.warn")
    assert slow.all_inner_texts() == ["0.21 ms · 24 ms · 61 ms", "8,114", "87.1%"]
    expect(page.locator("#alert")).to_be_empty()


def test_a_key_behind_the_mask_is_an_alert_in_words_and_a_sentinel_that_heard_nothing_is_not_ok(
    page, engineer_site
):
    engineer_site.nodes.shown = leaking(2)
    try:
        show_health(page)
        expect(page.locator(".sentinel .chip.bad")).to_have_text("LEAK – 2 keys heard behind the mask")
        expect(page.locator("#alert")).to_contain_text("Stop taking card details")
        assert axe_findings(page) == []
        page_picture(page, "engineer-leak", "light")
        engineer_site.nodes.shown = deaf()
        page.locator("#to-flows").click()
        show_health(page)
        expect(page.locator(".sentinel .chip.plain")).to_have_text("Nothing listened to yet")
        expect(page.locator(".sentinel")).not_to_contain_text("OK")
        expect(page.locator("#alert")).to_be_empty()
    finally:
        engineer_site.nodes.shown = a_node()
