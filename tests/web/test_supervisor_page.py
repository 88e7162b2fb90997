"""The supervisor's page in a real browser: axe, reflow, keyboard, filters, commands, reports; no digit ever."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from dtmf_shield.api.views import Door, FlowView, LineQuality, ServiceView, ShieldState
from dtmf_shield.model.capture import CaptureResult, CaptureState
from dtmf_shield.model.ids import CallId
from tests.web.accessibility import axe_findings
from tests.web.layout import cut_off, focused, overflow_px, unmarked_controls
from tests.web.pictures import page_picture
from tests.web.scenes import a_line, all_valid, at_gateway, keying, progressed, talking
from tests.web.signing_in import sign_in
from tests.web.supervisor_scenes import FAULT, SHIELDED, few, house, of_call, over, weeks
from tests.web.waiting import until

DRAWN_LIMIT_MS = 10_000
NARROW, WIDE = (320, 700), (1280, 900)
TABS_MAX = 40
DRAWN = "() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))"
"""The window's new size has been told to the page, and what that draws is drawn."""


@pytest.fixture
def board(site, onlooker):
    """Show calls to a signed-in supervisor."""

    def shown(*calls, service: ServiceView | None = None, path: str = "") -> Page:
        if service is not None:
            site.show_service(service)
        for call in calls:
            site.show(call)
        sign_in(site, onlooker)
        onlooker.page.goto(f"{site.url}/ui/supervisor/{path}")
        expect(onlooker.page.locator("#badge")).not_to_have_attribute(
            "data-state", "unknown", timeout=DRAWN_LIMIT_MS
        )
        return onlooker.page

    yield shown
    if site.is_down:
        site.up()


def opened(page: Page, place: int = 0) -> Page:
    """Look at a call."""
    page.locator("#rows .row-opener").nth(place).click()
    expect(page.locator("#panel")).to_be_visible()
    return page


def report(site, board) -> Page:
    """Show a report of some weeks."""
    site.reports.shown = weeks()
    page = board(path="#reports")
    expect(page.locator("#chart-days svg.picture")).to_be_visible()
    return page


def tab_to(page: Page, selector: str) -> list[str]:
    """Press Tab until the focus is there; each stop on the way is seen. Returns the stops."""
    stops = []
    for _ in range(TABS_MAX):
        page.keyboard.press("Tab")
        stop = focused(page)
        if stop is None:
            continue
        assert stop["outlined"] and stop["inside"] and not stop["covered"], stop
        stops.append(stop["name"])
        if page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
            return stops
    raise AssertionError(f"Tab does not lead to {selector}: {stops}")


def defects_of(page: Page, name: str) -> list[str]:
    """Return what is wrong with the page as it is: light, dark, narrow, zoomed, forced colours."""
    defects = []
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        defects += [f"{theme}: {finding}" for finding in axe_findings(page)]
        page_picture(page, f"supervisor-{name}", theme)
    page.emulate_media(color_scheme="light")
    for size in (NARROW, (640, 450), (768, 900)):
        page.set_viewport_size({"width": size[0], "height": size[1]})
        page.evaluate(DRAWN)
        defects += [f"{size[0]} px: {overflow_px(page)} px wide"] * (overflow_px(page) > size[0])
        defects += [f"{size[0]} px: cut off: {text}" for text in cut_off(page)]
        if size is NARROW:
            defects += [f"narrow: {finding}" for finding in axe_findings(page)]
            page_picture(page, f"supervisor-{name}", "narrow")
    page.set_viewport_size({"width": WIDE[0], "height": WIDE[1]})
    page.emulate_media(forced_colors="active")
    return defects + [f"forced colours: {control} has no edge" for control in unmarked_controls(page)]


@pytest.mark.parametrize("many", [0, 3, 60])
def test_the_live_table_is_accessible_and_fits(board, many):
    page = board(*house(many))
    expect(page.locator("#heads > *")).not_to_have_count(0)
    expect(page.locator("#rows tr")).to_have_count(many)

    assert defects_of(page, f"live-{many}") == []


@pytest.mark.parametrize(
    "call",
    [
        talking(of_call(keying(6), CallId("c1"))),
        talking(of_call(at_gateway(CaptureState.PAYING), CallId("c1"))),
        talking(),
        talking(of_call(all_valid(), CallId("c1")), shield=FAULT),
        talking(over(CaptureResult.UNKNOWN).capture),
        talking(over(CaptureResult.DECLINED).capture),
    ],
    ids=["keying", "paying", "no-capture", "fault", "unknown", "declined"],
)
def test_the_call_looked_at_is_accessible_and_fits(board, call, request):
    page = opened(board(call))

    assert defects_of(page, f"panel-{request.node.callspec.id}") == []


def test_the_reports_are_accessible_and_fit(site, board):
    page = report(site, board)

    assert defects_of(page, "reports") == []


@pytest.mark.parametrize("shown", ["none", "few", "many"])
def test_reports_of_nothing_of_little_and_of_a_year_are_accessible_and_fit(site, board, shown):
    if shown != "none":
        site.reports.shown = few() if shown == "few" else weeks(days=365)
    page = board(path="#reports")
    page.locator("#quick [data-days='365']").click()
    expect(page.locator("#quick [data-days='365']")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#report[aria-busy='false'] > *").first).to_be_visible()

    assert defects_of(page, f"reports-{shown}") == []


def test_a_report_that_waits_for_the_next_one_can_be_read(site, board):
    page = report(site, board)
    page.route("**/v1/reports**", lambda route: None)  # never answered
    page.locator("#quick [data-days='7']").click()

    expect(page.locator("#report[aria-busy='true'] > *").first).to_be_visible()
    assert axe_findings(page) == []


def test_what_a_report_has_not_is_said_in_words(site, board):
    site.reports.shown = few()
    page = board(path="#reports")
    expect(page.locator("#chart-days svg.picture")).to_be_visible()

    for words in ("No caller has left", "No field has been asked for", "No entry was refused"):
        expect(page.locator("#report")).to_contain_text(words)
    assert page.locator(".numbers tbody:empty").count() == 0


def test_an_end_that_nobody_told_has_its_word_its_column_and_its_reason(site, board):
    page = report(site, board)
    ends = page.locator(".part-card", has_text="How captures ended").locator("tbody tr")

    expect(ends.last).to_contain_text("End unknown")
    expect(ends.last).to_contain_text("9")
    expect(page.locator("#chart-days .legend")).to_contain_text("End unknown")
    expect(page.locator(".downloads")).to_contain_text("Captures of unknown end: 9.")


def test_success_and_abandonment_are_drawn_by_day_and_refusals_by_reason(site, board):
    page = report(site, board)
    expect(page.locator("#chart-rate path[class^='line-']")).to_have_count(2)
    page.locator("#chart-rate summary").click()
    heads = page.locator("#chart-rate thead th").all_inner_texts()
    refusals = page.locator(".part-card", has_text="Why entries were refused").locator("tbody tr")

    assert heads == ["Day", "Success rate", "Caller left"]
    assert refusals.locator("th").all_inner_texts()[:3] == ["check digit", "too short", "no keys"]
    assert refusals.locator("td:last-child").all_inner_texts()[:3] == ["260", "101", "96"]


@pytest.mark.parametrize("language", ["de", "fr", "es"])
def test_longer_languages_fit_too(site, board, language):
    page = opened(board(*house(14), path=f"?lang={language}"), 2)
    page.set_viewport_size({"width": NARROW[0], "height": NARROW[1]})
    live = (overflow_px(page) > NARROW[0], cut_off(page))
    site.reports.shown = weeks()
    page.goto(f"{site.url}/ui/supervisor/?lang={language}#reports")
    expect(page.locator("#chart-days svg.picture")).to_be_visible()

    assert page.locator("html").get_attribute("lang") == language
    assert live == (False, [])
    assert (overflow_px(page) > NARROW[0], cut_off(page)) == (False, [])
    assert "supervisor." not in page.locator("body").inner_text()


def test_trouble_is_counted_said_and_found(site, board):
    page = board(*house(60))
    expect(page.locator("#badge")).to_have_attribute("data-state", "fault")
    expect(page.locator("#sum-shield")).to_contain_text("57 of 60")
    expect(page.locator("#alert")).to_contain_text("Shield fault")

    page.locator("#by-trouble").check()

    expect(page.locator("#rows tr")).to_have_count(3)
    assert page.locator("#rows tr:not(.trouble)").count() == 0
    for call in house(60):
        site.show(call.model_copy(update={"shield": SHIELDED}))
    expect(page.locator("#badge")).to_have_attribute("data-state", "on")
    expect(page.locator("#none-title")).to_have_text("No call fits")


@pytest.mark.parametrize("connection", ["lost", "media"])
def test_in_doubt_no_shield_is_shown_as_on(site, board, connection):
    page = opened(board(*house(2), talking(of_call(keying(6), CallId("c9")), id=CallId("c9"))), 2)
    row, panel = page.locator("#rows [data-call='c9'] .cell-flow"), page.locator("#panel")
    expect(page.locator("#rows [data-shield='on']")).to_have_count(3)
    expect(row).to_contain_text("The caller is keying")
    expect(panel.locator("#stage")).to_contain_text("The caller is keying")
    expect(panel.locator("#facts")).to_contain_text("shielded")

    if connection == "lost":
        site.down()
    else:
        site.show_service(ServiceView(shield=ShieldState.FAULT, gateway="up"))

    expect(page.locator("#rows [data-shield='on']")).to_have_count(0)
    expect(page.locator("#badge")).not_to_have_attribute("data-state", "on")
    expect(row).to_contain_text("not confirmed")
    expect(panel.locator("#stage")).to_contain_text("not confirmed")
    expect(panel.locator("#facts")).not_to_contain_text("shielded")
    expect(panel.locator("#say")).to_be_hidden()
    if connection == "media":
        expect(panel.locator("#fields")).not_to_contain_text("Keying")


def test_filters_and_order(board):
    page = board(*house(12), over(CaptureResult.APPROVED, "over"))
    first = page.locator("#rows tr").first
    expect(page.locator("#rows tr")).to_have_count(12)
    expect(first).to_have_attribute("data-call", "c0")

    page.locator("#head-age button").click()
    expect(first).to_have_attribute("data-call", "c11")
    assert page.locator("#head-age").get_attribute("aria-sort") == "descending"
    page.locator("#by-agent").select_option("Amara")
    assert set(page.locator("#rows .cell-agent").all_inner_texts()) == {"Amara"}
    page.locator("#by-agent").select_option("")
    page.locator("#by-state").select_option("ended")
    expect(page.locator("#rows tr")).to_have_count(1)
    expect(first).to_contain_text("Payment approved")
    page.locator("#by-state").select_option("ringing")
    assert {row.get_attribute("data-state") for row in page.locator("#rows tr").all()} == {"ringing"}
    page.locator("#by-state").select_option("all")
    page.locator("#by-flow").select_option("card-payment")
    assert "–" not in page.locator("#rows .cell-flow").all_inner_texts()


def test_a_call_is_followed_live_and_the_focus_stays(site, board):
    page = opened(board(*house(3)), 1)
    call_id = page.locator("#rows tr").nth(1).get_attribute("data-call")
    call = next(one for one in house(3) if one.id == call_id)

    site.show(call.model_copy(update={"capture": of_call(keying(11), call.id)}))
    expect(page.locator("#fields")).to_contain_text("11 of 16")
    site.show(call.model_copy(update={"capture": over(CaptureResult.UNKNOWN, call.id).capture}))

    expect(page.locator("#outcome")).to_contain_text("Result unknown")
    assert page.evaluate("document.activeElement.id") == "panel"
    assert page.locator("#fields .reset").filter(visible=True).count() == 0


def where(page: Page) -> str | None:
    """Return the id of what has the focus, or the call of its row."""
    found: str | None = page.evaluate(
        "document.activeElement.id || document.activeElement.closest('tr')?.dataset.call || null"
    )
    return found


def test_the_focus_stays_in_the_page_where_what_had_it_is_gone(site, board):
    page = board(talking(of_call(keying(6), CallId("c1"))), talking(id=CallId("c2")))
    page.locator("#rows [data-call='c1'] .row-opener").click()
    page.locator("#pause").focus()

    site.show(talking(over(CaptureResult.DECLINED).capture))
    expect(page.locator("#outcome")).to_contain_text("Not approved")
    assert where(page) == "panel"
    page.locator("#rows [data-call='c1'] .row-opener").focus()
    site.show(over(CaptureResult.DECLINED))
    expect(page.locator("#rows tr")).to_have_count(1)
    assert where(page) == "c2"


def test_the_skip_link_leads_to_the_content_and_not_out_of_the_view(site, board):
    page = report(site, board)

    page.locator(".skip").focus()
    page.keyboard.press("Enter")

    assert where(page) == "main"
    expect(page.locator("#reports")).to_be_visible()
    assert page.url.endswith("#reports")


def test_a_fault_is_told_where_the_browser_draws_no_frames(site, board):
    page = board(*house(3))
    page.evaluate("window.requestAnimationFrame = () => 1")  # as in a tab in the background

    site.show_service(ServiceView(shield=ShieldState.FAULT, gateway="up"))

    expect(page.locator("#badge")).to_have_attribute("data-state", "fault")
    expect(page.locator("#alert")).to_contain_text("Shield fault")
    expect(page).to_have_title(re.compile("Shield fault"))


def test_polite_words_have_a_place_before_they_are_there_and_are_said_each_time(site, board):
    page = opened(board(talking(of_call(at_gateway(CaptureState.PAYING), CallId("c1")))))
    page.evaluate(
        "() => { window.said = 0; new MutationObserver((all) => { window.said += all.length; })"
        ".observe(document.getElementById('status'), { childList: true }); }"
    )

    for presses in (1, 2):
        page.locator("#cancel").press("Enter")
        page.wait_for_function("(presses) => window.said === presses", arg=presses)

    page.locator("#tab-reports").click()
    expect(page.locator("#report > *").first).to_be_visible()
    assert page.locator("#report-told").evaluate("(one) => one.textContent === '' && one.checkVisibility()")


def test_by_keyboard_alone_a_call_is_found_looked_at_paused_and_cancelled(site, board):
    page = board(talking(of_call(keying(6), CallId("c1"))), talking(id=CallId("c2")))
    tab_to(page, "#rows .row-opener")
    page.keyboard.press("End")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#panel")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#panel")).to_be_hidden()
    assert page.evaluate("document.activeElement.className") == "row-opener"
    page.locator("#rows [data-call='c1'] .row-opener").press("Enter")
    tab_to(page, "#pause")
    page.keyboard.press("Enter")
    page.evaluate("document.querySelector('#panel').focus()")
    tab_to(page, "#cancel")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")

    assert until(page, lambda: len(site.desk.asked) > 1)
    assert site.desk.asked == [("pause", "cap-c1"), ("cancel", "cap-c1")]


def test_a_flow_is_started_for_a_call(site, board):
    site.offer(FlowView(id="card-payment", title="Card payment"))
    page = opened(board(talking()))
    page.locator("#reference").fill("A-7")

    page.evaluate("() => { for (const press of [1, 2]) document.getElementById('start-button').click() }")

    expect(page.locator("#fields li")).to_have_count(3)
    expect(page.locator("#start-note")).to_have_text("")
    assert site.desk.asked == [("start", "c1", "card-payment", "A-7")]
    assert len([path for path, _ in site.requests if path.endswith("/captures")]) == 1


def test_what_was_typed_for_one_call_is_not_in_the_form_of_the_next(board):
    page = opened(board(talking(), talking(id=CallId("c2"))))
    page.locator("#reference").fill("A-7")
    opened(page, 1)
    expect(page.locator("#reference")).to_have_value("")


def test_a_card_number_never_leaves_the_form(site, board):
    page = opened(board(talking()))
    page.locator("#reference").fill("4242 4242 4242 4242")

    page.locator("#start-button").click()

    expect(page.locator("#reference")).to_have_value("")
    expect(page.locator("#reference-note")).to_contain_text("card number")
    assert site.desk.asked == []


def test_at_the_gateway_nothing_is_commanded(site, board):
    page = opened(board(talking(of_call(at_gateway(CaptureState.PAYING), CallId("c1")))))

    page.locator("#cancel").click(force=True)
    page.locator("#pause").click(force=True)
    page.wait_for_timeout(150)  # a request would be there by then

    assert page.locator("#cancel").get_attribute("aria-disabled") == "true"
    assert site.desk.asked == []


@pytest.mark.parametrize("trouble", ["the service's", "the call's", "lost"])
def test_what_is_paused_goes_on_only_under_a_shield_that_is_on(site, board, trouble):
    paused = of_call(progressed(keying(6), state=CaptureState.PAUSED), CallId("c1"))
    page = opened(board(talking(paused)))
    go_on, note = page.locator("#pause"), page.locator("#actions-note")
    expect(go_on).to_have_text("Go on")
    expect(go_on).to_have_attribute("aria-disabled", "false")

    if trouble == "lost":
        site.down()
    elif trouble == "the call's":
        site.show(talking(paused, shield=FAULT))
    else:
        site.show_service(ServiceView(shield=ShieldState.FAULT, gateway="up"))
    expect(go_on).to_have_attribute("aria-disabled", "true")
    expect(note).to_have_text("Go on waits until the shield is confirmed.")
    expect(page.locator("#cancel")).to_have_attribute("aria-disabled", "false")
    go_on.press("Enter")
    expect(page.locator("#status")).to_have_text(note.inner_text())
    assert site.desk.asked == []

    if trouble == "lost":
        return
    site.show(talking(paused))
    site.show_service(ServiceView(shield=ShieldState.ON, gateway="up"))
    expect(note).to_have_text("")
    go_on.press("Enter")
    assert until(page, lambda: site.desk.asked)
    assert site.desk.asked == [("resume", "cap-c1")]


def test_listening_in_has_its_place_and_its_reason_and_asks_for_nothing(site, board):
    page = opened(board(talking()))
    before = len(site.requests)

    page.locator("#listen").click(force=True)
    page.wait_for_timeout(150)  # a request would be there by then

    assert page.locator("#listen").get_attribute("aria-disabled") == "true"
    expect(page.locator("#status")).to_contain_text("masked audio only")
    assert [path for path, _ in site.requests[before:]] == []
    assert page.locator("audio, video, canvas, meter").count() == 0


def test_a_report_asks_for_what_is_chosen_and_its_tables_say_what_is_drawn(site, board):
    page = report(site, board)
    asked = site.reports.asked[-1]
    assert asked.to_s - asked.from_s == 30 * 86_400

    page.locator("#quick [data-days='7']").click()
    expect(page.locator("#quick [data-days='7']")).to_have_attribute("aria-pressed", "true")
    page.locator("#of-flow").select_option("card-on-file")
    page.locator("#of-agent").select_option("Bjorn")
    expect(page.locator(".download").first).to_have_attribute("href", re.compile("agent=Bjorn"))
    page.locator("#chart-days summary").click()

    expect(page.locator("#chart-days tbody tr")).to_have_count(7)
    wanted = site.reports.asked[-1]
    assert (wanted.to_s - wanted.from_s, wanted.flow, wanted.agent) == (7 * 86_400, "card-on-file", "Bjorn")
    assert page.locator("#chart-days svg title").count() > 0
    links = [one.get_attribute("href") for one in page.locator(".download").all()]
    assert all("flow=card-on-file" in link and "agent=Bjorn" in link for link in links)
    assert {link.rpartition("=")[2] for link in links} == {"csv", "csv_fields"}


def test_days_without_captures_and_days_that_cannot_be_are_said(site, board):
    page = board(path="#reports")
    expect(page.locator("#report")).to_contain_text("No captures in these days")

    page.locator("#from").fill("2030-01-01")
    page.locator("#from").dispatch_event("change")

    expect(page.locator("#report-told")).to_contain_text("From must not be after To")


def test_every_result_has_its_line_and_unknown_is_none_of_the_declined(site, board):
    page = report(site, board)
    lines = page.locator(".part-card", has_text="How captures ended").locator("tbody tr")

    texts = lines.locator("th").all_inner_texts()
    assert len(set(texts)) == len(texts) == len(CaptureResult) + 1  # and those of no known end
    assert "Result unknown, being checked" in texts


def test_an_ended_call_stays_looked_at(site, board):
    page = opened(board(talking(of_call(keying(6), CallId("c1")))))

    site.show(over(CaptureResult.CALLER_GONE))

    expect(page.locator("#outcome")).to_contain_text("Caller has left")
    expect(page.locator("#rows tr")).to_have_count(0)
    assert page.locator("#start").is_hidden()


def test_lines_are_shown_in_words_filtered_and_their_figures_read_aloud(board):
    page = board(*house(14))
    cells = page.locator("#rows .cell-path")
    expect(cells.first).to_contain_text("Good")
    expect(cells.first).to_contain_text("PCMU · tones + events")
    assert "Caller: 0.0% lost lately, jitter 3 ms · 0.1% of the call" in cells.first.text_content()
    assert cells.first.get_attribute("title").count("% lost lately") == 2

    page.locator("#by-quality").select_option("poor")
    assert {text.split()[0] for text in cells.all_inner_texts()} == {"Poor"}
    page.locator("#by-quality").select_option("")
    page.locator("#by-codec").select_option("PCMA")
    assert page.locator("#rows tr").count() > 0
    assert all("PCMA" in text for text in cells.all_inner_texts())
    page.locator("#by-codec").select_option("")
    page.locator("#by-door").select_option("info")
    assert all("INFO" in text for text in cells.all_inner_texts())
    page.locator("#by-door").select_option("none")
    assert all("no keys yet" in text for text in cells.all_inner_texts())
    page.locator("#by-door").select_option("")
    page.locator("#head-path button").click()
    expect(cells.first).to_contain_text("Poor")
    expect(page.locator("#head-path")).to_have_attribute("aria-sort", "ascending")


def test_a_line_that_becomes_bad_is_seen_without_a_reload(site, board):
    call = talking()
    page = opened(board(call))
    expect(page.locator("#facts")).to_contain_text("Good · PCMU · tones + events · events agreed")

    site.show(call.model_copy(update={"line": a_line(LineQuality.POOR, Door.TONES, telephone_event=False)}))

    expect(page.locator("#rows .cell-path .chip.bad")).to_contain_text("Poor")
    expect(page.locator("#facts")).to_contain_text(
        "Poor · PCMU · tones · no events agreed · 5.8% lost lately"
    )
