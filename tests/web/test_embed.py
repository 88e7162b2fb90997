"""The panel in a page of another origin: the sample CRM holds it, others cannot; both sides hear the right one only."""

from __future__ import annotations

import contextlib
import json
import re
import ssl
from types import SimpleNamespace

import pytest
from cryptography import x509
from playwright.sync_api import expect

from dtmf_shield.api.identity.oidc import OidcRefusal
from dtmf_shield.api.site import Site
from dtmf_shield.api.views import CallState, FlowView, InputView
from dtmf_shield.model.capture import CaptureResult
from dtmf_shield.model.ids import CaptureId
from dtmf_shield.model.payment import Money
from dtmf_shield.service.certificates import SERVER_AUTH, issue_leaf, make_authority
from tests.web.accessibility import axe_findings
from tests.web.crm_site import crm_site
from tests.web.desk_site import DeskSite
from tests.web.digit_search import places_with_digits
from tests.web.layout import cut_off, overflow_px
from tests.web.pictures import page_picture
from tests.web.scenes import PRICE, begun, card_valid, ended, keying, scene, talking
from tests.web.signing_in import sign_in
from tests.web.waiting import until

CARD = "4242424242424242"
PASSWORD = "seven green kites 4"
CHARGE = FlowView(
    id="card-charge",
    title="Card payment",
    needs_amount=True,
    agent_pays=True,
    inputs=(InputView(name="amount", type="money", required=True, length=12),),
)
SCHEMA = {
    "ready": {"type", "v", "call", "signed_in"},
    "state": {
        "type",
        "v",
        "call",
        "state",
        "capture",
        "capture_state",
        "reference",
        "shield",
        "connection",
        "start",
    },
    "field": {"type", "v", "call", "capture", "field", "state", "count", "brand", "last4"},
    "result": {"type", "v", "call", "capture", "reference", "state", "brand", "last4", "token_reference"},
    "resize": {"type", "v", "height"},
}
"""Everything a page around the panel is ever told: a further name here is a decision."""
SETTLED_MS = 400
"""No message comes any more: for what is to stay away there is nothing to wait for."""
HEAR = """
window.heard = [];
window.addEventListener('message', (event) => window.heard.push([event.origin, event.data]));
window.fired = [];
for (const name of ['ready', 'state', 'field', 'result', 'resize'])
  document.addEventListener(`dtmf-shield-${name}`, (event) => window.fired.push(event.detail));
"""


@pytest.fixture(scope="module")
def crm(own_network):
    with crm_site() as site:
        yield site


@pytest.fixture(scope="module")
def stranger(own_network):
    """A page that nobody allowed."""
    with crm_site() as site:
        yield site


@pytest.fixture(scope="module")
def embedding_site(crm, stranger):
    site = DeskSite(site=Site(embed_origins=(crm.url,)))
    for other in (crm, stranger):
        other.looks_at(site.url)
    yield site
    site.close()


@pytest.fixture
def desk(embedding_site):
    embedding_site.reset()
    embedding_site.offer(CHARGE)
    return embedding_site


@pytest.fixture
def opened(desk, crm, visit):
    """Open the sample CRM in a browser that is signed in; return page, and the panel's frame."""

    def opened(call=None, **options):
        desk.show(call or talking())
        visitor = visit(**options)
        visitor.context.add_init_script(HEAR)
        sign_in(desk, visitor)
        visitor.page.goto(f"{crm.url}/")
        frame = visitor.page.frame_locator("iframe")
        expect(frame.locator("#badge")).to_have_attribute("data-state", "on")
        return visitor, frame

    return opened


def of_order(call, reference="88-1932", capture="cap1"):
    """Return the call with its capture under that reference; the sample's order is 88-1932."""
    told = {"reference": reference, "id": CaptureId(capture)}
    return call.model_copy(update={"capture": call.capture.model_copy(update=told)})


def heard(page, name):
    return [data for _, data in page.evaluate("heard") if data.get("type") == f"dtmf-shield.{name}"]


def wait_for(page, name, **wanted):
    """Wait for a message that has these values; return it."""
    page.wait_for_function(
        "([type, wanted]) => heard.some(([, data]) => data.type === type"
        " && Object.entries(wanted).every(([key, value]) => data[key] === value))",
        arg=[f"dtmf-shield.{name}", wanted],
    )
    return [one for one in heard(page, name) if wanted.items() <= one.items()][-1]


def test_the_sample_is_told_states_counts_and_results_and_nothing_more(desk, opened):
    visitor, _frame = opened()
    page = visitor.page
    desk.show(talking(begun(PRICE)))
    for view in (keying(6), card_valid()):
        desk.show(talking(view))
        page.wait_for_timeout(SETTLED_MS)
    desk.show(ended(CaptureResult.APPROVED))
    result = wait_for(page, "result")

    assert {origin for origin, _ in page.evaluate("heard")} == {desk.url}
    assert wait_for(page, "ready") == {"type": "dtmf-shield.ready", "v": 1, "call": None, "signed_in": True}
    assert wait_for(page, "field", state="keying", field="pan")["count"] == 6
    assert wait_for(page, "field", state="valid", field="pan") == {
        "type": "dtmf-shield.field", "v": 1, "call": "c1", "capture": "cap1", "field": "pan", "state": "valid",
        "count": 16, "brand": "visa", "last4": "4242",
    }  # fmt: skip
    assert (result["state"], result["brand"], result["last4"]) == ("approved", "visa", "4242")
    assert result["token_reference"]
    for name, keys in SCHEMA.items():
        assert {frozenset(one) for one in heard(page, name)} == {frozenset(keys)}, name
    assert {data["type"].partition(".")[2] for _, data in page.evaluate("heard")} == set(SCHEMA)
    said = json.dumps([data for _, data in page.evaluate("heard")], ensure_ascii=False)
    assert places_with_digits(CARD, {"messages": said, "page": page.content()}) == []
    assert re.search(r"\d{5}", said) is None
    assert places_with_digits(CARD, {"control": said + CARD}) == ["control"]


def test_the_element_fires_each_message_at_the_page_and_takes_the_height_it_is_told(desk, opened):
    visitor, _frame = opened()
    page = visitor.page
    desk.show(of_order(ended(CaptureResult.APPROVED)))
    wait_for(page, "result")
    page.wait_for_timeout(SETTLED_MS)

    assert page.evaluate("fired") == [data for _, data in page.evaluate("heard")]
    height = heard(page, "resize")[-1]["height"]
    assert page.locator("iframe").bounding_box()["height"] == pytest.approx(height, abs=1)
    assert page.locator("iframe").get_attribute("allow") == "microphone; autoplay"
    expect(page.locator("#paid")).to_contain_text("Card ending 4242")


def test_the_page_starts_a_capture_and_the_agent_sees_it(desk, opened):
    visitor, frame = opened()
    visitor.page.locator("#take").click()

    answer = wait_for(visitor.page, "state", start="started")
    assert (answer["call"], answer["capture"], answer["reference"]) == ("c1", "cap1", "88-1932")
    expect(frame.locator("#fields li")).to_have_count(3)
    assert ("start", "c1", "card-charge", "88-1932") in desk.desk.asked
    assert ("amount", str(PRICE.minor), PRICE.currency) in desk.desk.asked


def test_the_sample_books_what_bears_its_reference_and_nothing_else(desk, opened):
    """Not what the agent took for another order in the same call; but another card that the flow asked for after one
    that was declined, which is a capture of its own."""
    visitor, _frame = opened(of_order(ended(CaptureResult.APPROVED), "77-0001", "cap0"))
    page = visitor.page
    wait_for(page, "result", reference="77-0001")
    expect(page.locator("#log")).to_contain_text("for 77-0001, approved")
    expect(page.locator("#paid")).to_be_hidden()
    expect(page.locator("#note")).to_be_empty()

    page.locator("#take").click()
    wait_for(page, "state", start="started", reference="88-1932")
    desk.show(of_order(ended(CaptureResult.DECLINED)))
    wait_for(page, "result", state="declined")
    expect(page.locator("#take")).to_have_attribute("aria-disabled", "false")
    desk.show(of_order(ended(CaptureResult.APPROVED), capture="cap2"))
    expect(page.locator("#paid")).to_contain_text("Paid. Card ending 4242")
    expect(page.locator("#take")).to_have_attribute("aria-disabled", "true")


@pytest.mark.parametrize("result", [CaptureResult.UNKNOWN, CaptureResult.VELOCITY])
def test_where_money_may_have_moved_or_a_rule_stopped_it_nobody_asks_for_another_card(desk, opened, result):
    visitor, frame = opened(of_order(ended(result)))
    page = visitor.page
    expect(page.locator("#note")).to_contain_text(
        re.compile("do not take payment again|take no further card")
    )
    expect(page.locator("#take")).to_have_attribute("aria-disabled", "true")
    expect(frame.locator("#outcome")).to_be_visible()
    expect(frame.locator("#again")).to_be_hidden()

    page.evaluate("capture.start({ reference: 'R-1', amount_minor: 100, currency: 'GBP' })")
    wait_for(page, "state", start="not_ready", capture="cap1")
    assert desk.desk.asked == []


NO_INPUTS = {
    "inputs.reference": {"reference": CARD},
    "inputs.amount_minor": {"amount_minor": int(CARD)},
    "inputs.plan": {"plan": 7},
    "inputs: the name of one": {"A B": "x"},
    "inputs": "text",
}


def test_a_wish_that_is_none_is_refused_in_a_word_and_not_sent(desk, opened):
    """Who writes the page reads on the console which member does not fit, and no value."""
    visitor, frame = opened()
    page = visitor.page
    desk.requests.clear()
    for count, (member, inputs) in enumerate(NO_INPUTS.items(), 1):
        page.evaluate("(inputs) => capture.start(inputs)", inputs)
        page.wait_for_function(
            "(count) => fired.filter((one) => one.start === 'refused').length === count", arg=count
        )
        assert until(
            page, lambda member=member: any(line.endswith(f" fit: {member}") for line in visitor.console)
        )
    page.evaluate("capture.start({ amount_minor: 100, currency: 'GBP' })")
    expect(frame.locator("#fields li")).to_have_count(3)

    assert len([path for path, _ in desk.requests if path.endswith("/captures")]) == 1
    assert places_with_digits(CARD, {"console": "\n".join(visitor.console)}) == []


def test_the_page_chooses_the_call(desk, opened):
    visitor, frame = opened(talking(caller_masked="••11"))
    desk.show(talking(id="c2", caller_masked="••22"))
    expect(frame.locator("#desk-title")).to_contain_text("••11")

    visitor.page.evaluate("capture.setAttribute('call', 'c2')")
    expect(frame.locator("#desk-title")).to_contain_text("••22")
    visitor.page.evaluate("capture.showCall('c9')")
    expect(frame.locator("#desk-title")).to_have_text("This call is not here yet")
    expect(frame.locator("#work")).to_be_hidden()
    visitor.page.evaluate("capture.focusPanel()")
    assert visitor.page.evaluate("document.activeElement.tagName") == "IFRAME"


def test_a_page_that_leaves_a_call_has_the_call_in_hand_again(desk, opened):
    """As where an application of one page closes a record: the next call opens by itself."""
    visitor, frame = opened(talking(caller_masked="••11"))
    page, title = visitor.page, frame.locator("#desk-title")
    page.evaluate("capture.setAttribute('call', 'c9')")
    expect(title).to_have_text("This call is not here yet")
    page.evaluate("capture.removeAttribute('call')")
    expect(title).to_have_text("Caller ••11")

    desk.show(talking(caller_masked="••11", state=CallState.ENDED))
    wait_for(page, "state", call="c1", state="ended")
    page.evaluate("capture.showCall('c9')")
    expect(title).to_have_text("This call is not here yet")
    page.evaluate("capture.showCall(null)")
    expect(title).to_have_text("No call selected")
    desk.show(talking(id="c2", caller_masked="••22"))
    expect(title).to_have_text("Caller ••22")


def test_the_next_call_opens_by_itself_and_what_became_of_the_last_is_a_press_away(desk, opened):
    """The call in hand stays while it goes on, and while its result may be read and the next one only rings."""
    visitor, frame = opened(talking(begun(PRICE), caller_masked="••11"))
    page, title = visitor.page, frame.locator("#desk-title")
    over = ended(CaptureResult.APPROVED, caller_masked="••11")
    desk.show(talking(id="c2", caller_masked="••22", state=CallState.RINGING))
    expect(frame.locator("#others button")).to_have_text(re.compile("••22.*Ringing"))
    desk.show(over.model_copy(update={"state": CallState.ENDED}))
    expect(frame.locator("#outcome")).to_be_visible()
    expect(frame.locator("#clock")).to_have_text("Ended")
    expect(title).to_have_text("Card payment")

    desk.show(talking(id="c2", caller_masked="••22"))
    expect(title).to_have_text("Caller ••22")
    expect(frame.locator("#status")).to_contain_text("Now on this page: Caller ••22, Talking. Shield ON")
    expect(frame.locator("#alert")).to_be_empty()
    wait_for(page, "state", call="c2", state="talking", capture=None)
    results = len(heard(page, "result"))

    former = frame.get_by_role("navigation", name="Your other calls").get_by_role("button")
    expect(former).to_have_text(re.compile("••11.*Payment approved"))
    former.press("Enter")
    expect(frame.locator("#outcome")).to_contain_text("Payment approved")
    wait_for(page, "state", call="c1", state="ended")
    assert len(heard(page, "result")) == results
    former.press("Enter")
    expect(title).to_have_text("Caller ••22")


def test_a_call_asked_for_before_anybody_is_signed_in_is_the_one_that_is_shown(desk, crm, visit):
    """Nor is a wish to start lost without an answer."""
    desk.show(talking(caller_masked="••11"))
    desk.show(talking(id="c2", caller_masked="••22"))
    visitor = visit()
    visitor.context.add_init_script(HEAR)
    page = visitor.page
    page.goto(f"{crm.url}/")
    frame = page.frame_locator("iframe")
    expect(frame.locator("#signin-go")).to_be_visible()
    page.evaluate("capture.start({ reference: 'R-1' })")
    assert wait_for(page, "state", start="not_ready")["connection"] == "connecting"
    page.evaluate("capture.setAttribute('call', 'c1')")
    page.evaluate("capture.focusPanel()")
    expect(frame.locator("#signin-go")).to_be_focused()

    with page.expect_popup() as caught:
        page.evaluate("(address) => { window.open(address) }", desk.login_url())
    caught.value.wait_for_load_state()
    with page.expect_popup() as window:
        frame.locator("#signin-go").click()
    window.value.wait_for_event("close") if not window.value.is_closed() else None
    expect(frame.locator("#desk-title")).to_have_text("Caller ••11")
    assert wait_for(page, "ready", signed_in=True)["call"] == "c1"


def test_a_call_asked_for_while_the_panel_loads_is_shown_once_it_stands(desk, opened):
    """The address of the frame is made before; what is posted into an empty frame reaches nobody."""
    visitor, _frame = opened(talking(caller_masked="••11"))
    page = visitor.page
    desk.show(talking(id="c2", caller_masked="••22"))
    page.evaluate(
        "() => { const one = capture.cloneNode(false); one.id = 'second'; capture.replaceWith(one);"
        " one.start({ reference: 'R-1' }); one.showCall('c1'); }"
    )
    frame = page.frame_locator("#second iframe")

    expect(frame.locator("#desk-title")).to_have_text("Caller ••11")
    page.wait_for_function("fired.some((one) => one.start === 'not_ready')")
    assert [line for line in visitor.console if "postMessage" in line] == []
    assert desk.desk.asked == []


SPEAK = "(message) => opener.frames[0].postMessage(message, '*')"


def test_a_wish_of_another_origin_is_ignored_counted_and_shown(desk, stranger, opened):
    """A window of another origin speaks to the panel; then the page around does: only that one is followed."""
    visitor, frame = opened()
    page = visitor.page
    wish = {
        "type": "dtmf-shield.start",
        "v": 1,
        "flow": "card-charge",
        "inputs": {"amount_minor": 100, "currency": "GBP"},
    }
    with beside(page, f"{stranger.url}/bare.html") as other:
        for message in (wish, {"type": "dtmf-shield.call", "v": 1, "id": "c9"}, {"type": "other", "v": 1}):
            other.evaluate(SPEAK, message)

    expect(frame.locator("#ignored")).to_have_text("2 messages of other pages were ignored")
    assert desk.desk.asked == []
    page.evaluate("(message) => frames[0].postMessage(message, '*')", wish)
    expect(frame.locator("#fields li")).to_have_count(3)
    assert ("start", "c1", "card-charge", "") in desk.desk.asked


@contextlib.contextmanager
def beside(page, address):
    """Open a window of another origin that the page holds; it reaches the page's frames as an attacker would."""
    with page.expect_popup() as caught:
        page.evaluate("(address) => { window.open(address) }", address)
    other = caught.value
    other.wait_for_load_state()
    yield other
    other.close()


def test_messages_of_another_origin_are_no_events_of_the_element(desk, stranger, opened):
    visitor, _frame = opened()
    page = visitor.page
    before = page.evaluate("fired.length")
    forged = {"type": "dtmf-shield.result", "v": 1, "state": "approved", "token_reference": "forged"}
    with beside(page, f"{stranger.url}/bare.html") as other:
        other.evaluate("(message) => opener.postMessage(message, '*')", forged)
        page.wait_for_timeout(SETTLED_MS)

    assert page.evaluate("fired.length") == before
    assert page.evaluate("capture.ignored") == 1
    expect(page.locator("#paid")).to_be_hidden()


def test_a_page_that_is_not_allowed_cannot_hold_the_panel(desk, stranger, visit):
    desk.show(talking(keying(6)))
    visitor = visit()
    visitor.context.add_init_script(HEAR)
    sign_in(desk, visitor)
    visitor.page.goto(f"{stranger.url}/")

    assert until(visitor.page, lambda: any("frame-ancestors" in line for line in visitor.console))
    visitor.page.wait_for_timeout(SETTLED_MS)
    assert visitor.page.evaluate("heard") == []
    expect(visitor.page.frame_locator("iframe").locator("#badge")).to_have_count(0)


def in_a_frame(page, top, held):
    """Show the sample CRM in a page of another origin, as a vendor shows an application; return the panel's frame."""
    page.goto(f"{top.url}/bare.html")
    page.evaluate(
        "(address) => { const f = document.createElement('iframe'); f.src = address; document.body.append(f) }",
        f"{held.url}/",
    )
    return page.frame_locator("iframe").frame_locator("iframe")


def test_a_page_in_a_vendors_page_cannot_hold_the_panel_where_it_alone_is_named(desk, crm, stranger, visit):
    """`frame-ancestors` asks every page around the panel, up to the one in the address bar."""
    visitor = visit()
    sign_in(desk, visitor)
    frame = in_a_frame(visitor.page, stranger, crm)

    assert until(visitor.page, lambda: any("frame-ancestors" in line for line in visitor.console))
    expect(visitor.page.frame_locator("iframe").locator("#take")).to_be_visible()
    expect(frame.locator("#badge")).to_have_count(0)


@pytest.fixture(scope="module")
def vendors_site(crm, stranger):
    """A service that names both: the page that holds the panel, and the one around that."""
    site = DeskSite(site=Site(embed_origins=(crm.url, stranger.url)))
    yield site
    site.close()


def test_a_page_in_a_vendors_page_holds_the_panel_where_both_are_named(
    crm, stranger, embedding_site, vendors_site, visit
):
    """The page at the top is named only to be around: it is told nothing, and nothing is taken from it."""
    vendors_site.offer(CHARGE)
    vendors_site.show(talking())
    visitor = visit()
    visitor.context.add_init_script(HEAR)
    page = visitor.page
    sign_in(vendors_site, visitor)
    crm.looks_at(vendors_site.url)
    try:
        frame = in_a_frame(page, stranger, crm)
        expect(frame.locator("#badge")).to_have_attribute("data-state", "on")
    finally:
        crm.looks_at(embedding_site.url)
    wish = {"type": "dtmf-shield.start", "v": 1, "flow": "card-charge", "inputs": {"reference": "R-1"}}
    page.evaluate("(message) => frames[0].frames[0].postMessage(message, '*')", wish)
    expect(frame.locator("#ignored")).to_have_text("1 message of another page was ignored")
    assert vendors_site.desk.asked == []
    assert page.evaluate("heard") == []

    page.frame_locator("iframe").locator("#take").click()
    expect(frame.locator("#fields li")).to_have_count(3)
    assert ("start", "c1", "card-charge", "88-1932") in vendors_site.desk.asked
    assert page.evaluate("heard") == []


@pytest.mark.parametrize("page_of_ours", ["agent/", "embed/login/", ""])
def test_no_other_page_of_ours_is_held_even_by_the_allowed(desk, crm, visit, page_of_ours):
    visitor = visit()
    sign_in(desk, visitor)
    visitor.page.goto(f"{crm.url}/bare.html")
    visitor.page.evaluate(
        "(address) => { const f = document.createElement('iframe'); f.src = address; document.body.append(f) }",
        f"{desk.url}/ui/{page_of_ours}",
    )

    assert until(visitor.page, lambda: any("frame-ancestors" in line for line in visitor.console))


def test_nobody_signed_in_is_shown_how_and_tells_so(desk, crm, visit):
    visitor = visit()
    visitor.context.add_init_script(HEAR)
    visitor.page.goto(f"{crm.url}/")
    frame = visitor.page.frame_locator("iframe")

    expect(frame.locator("#signin-go")).to_be_visible()
    expect(frame.locator("#desk")).to_be_hidden()
    assert wait_for(visitor.page, "ready")["signed_in"] is False
    expect(visitor.page.locator("#take")).to_have_attribute("aria-disabled", "true")

    with visitor.page.expect_popup() as caught:
        frame.locator("#signin-go").click()
    expect(caught.value.locator("#page")).to_be_visible()
    caught.value.close()
    expect(frame.locator("#signin-told")).to_have_text(
        re.compile("^The window was closed before"), timeout=15_000
    )


@pytest.fixture(scope="module")
def site_by_tls(crm, tmp_path_factory):
    """The service by TLS under another name than the CRM's: another site, for the browser."""
    leaf = issue_leaf(make_authority("root"), "localhost", [x509.DNSName("localhost")], [SERVER_AUTH])
    files = tmp_path_factory.mktemp("tls")
    (files / "cert.pem").write_bytes(leaf.certificate_pem())
    (files / "key.pem").write_bytes(leaf.key_pem())
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(files / "cert.pem", files / "key.pem")
    site = DeskSite(site=Site("https://localhost", frozenset(), (), (crm.url,)), tls=tls)
    secret = site.run(lambda: site.identity.users.make("ada", ["agent"], None))
    site.wait(lambda: site.identity.set_password(secret, PASSWORD, "127.0.0.1"))
    site.run(setattr, site.identity, "oidc", ProviderThatIsAway())
    yield site
    site.close()


class ProviderThatIsAway:
    settings = SimpleNamespace(label="Alder ID")

    async def begin(self, _redirect_uri, _asker):
        raise OidcRefusal("provider", "provider_unreachable")


def test_another_site_signs_in_by_a_window_and_has_a_session_of_its_own(
    crm, embedding_site, site_by_tls, visit
):
    """Also after a provider was tried in vain in that window: it says so, and the frame still hears of a success."""
    site_by_tls.show(talking(keying(6)))
    visitor = visit(ignore_https_errors=True)
    crm.looks_at(site_by_tls.url)
    try:
        visitor.page.goto(f"{crm.url}/")
        frame = visitor.page.frame_locator("iframe")
        with visitor.page.expect_popup() as caught:
            frame.locator("#signin-go").click()
        window = caught.value
        window.locator("#provider-link").click()
        expect(window.locator("#alert")).to_have_text(re.compile("^The sign-in service does not answer"))
        window.locator("#name").fill("ada")
        window.locator("#password").fill(PASSWORD)
        window.locator("#submit").click()

        expect(frame.locator("#fields li")).to_have_count(3)
        expect(frame.locator("#badge")).to_have_attribute("data-state", "on")
    finally:
        crm.looks_at(embedding_site.url)
    kept = {cookie["name"]: cookie for cookie in visitor.context.cookies()}
    embedded = kept["__Host-dtmf_shield_embedded"]
    assert (embedded["sameSite"], embedded["secure"], embedded["httpOnly"]) == ("None", True, True)
    assert embedded["partitionKey"].startswith("http://127.0.0.1")
    assert kept["__Host-dtmf_shield_session"]["sameSite"] == "Lax"
    assert window.is_closed()


STATES = ("talking", "keying", "card-valid", "invalid-luhn", "confirming", "ended-approved", "shield-fault")
OTHERS = (
    ended(CaptureResult.UNKNOWN, id="c3", caller_masked="••33", state=CallState.ENDED),
    talking(id="c2", caller_masked="••22", state=CallState.HELD),
)


def test_the_panel_is_accessible_and_fits_where_it_is_narrow(desk, visit):
    visitor = visit(kept=False, viewport={"width": 320, "height": 700})
    sign_in(desk, visitor)
    page = visitor.page
    found = []
    for name in STATES:
        shown = scene(name)
        desk.show_service(shown.service)
        for call in shown.calls:
            desk.show(call)
        page.goto(f"{desk.url}/ui/embed/?call=c1")
        expect(page.locator("#badge")).to_have_attribute("data-state", shown.badge)
        found += defects_of(page, name)

    assert found == []


def defects_of(page, name):
    """Return what is wrong with a narrow panel as it is; keep its pictures."""
    found = []
    for theme in ("dark", "light"):
        page.emulate_media(color_scheme=theme)
        found += [f"{name}, {theme}: {finding}" for finding in axe_findings(page)]
        page_picture(page, f"embed-{name}", "narrow" if theme == "light" else "narrow-dark")
    found += [f"{name}: {overflow_px(page)} px wide"] * (overflow_px(page) > 320)
    return found + [f"{name}: cut off: {text}" for text in cut_off(page)]


def test_the_panel_without_its_call_its_service_or_its_session_is_accessible_and_fits(desk, visit):
    visitor = visit(viewport={"width": 320, "height": 700})
    page = visitor.page
    page.goto(desk.login_url())
    desk.show(talking(keying(6)))
    page.goto(f"{desk.url}/ui/embed/?call=c9&lang=de")
    expect(page.locator("#desk-title")).to_have_text("Dieser Anruf ist noch nicht da")
    found = defects_of(page, "not-here")

    page.goto(f"{desk.url}/ui/embed/")
    for call in OTHERS:
        desk.show(call)
    expect(page.locator("#others button")).to_have_text(
        [re.compile("••22.*On hold"), re.compile("••33.*unknown")]
    )
    found += defects_of(page, "others")

    desk.down()
    try:
        expect(page.locator("#alert")).to_contain_text("Connection lost")
        expect(page.locator("#desk")).to_be_visible()
        found += defects_of(page, "lost")
    finally:
        desk.up()

    page.reload()  # the browser itself takes its time to come back
    expect(page.locator("#others button")).to_have_count(2)
    visitor.context.clear_cookies()
    desk.cut_streams()
    expect(page.locator("#signin-go")).to_be_visible(timeout=15_000)
    expect(page.locator("#alert")).to_contain_text("Your session has ended")
    expect(page.locator("#others")).to_be_hidden()
    found += defects_of(page, "signed-out")

    assert found == []


def test_the_window_that_signs_in_speaks_the_panels_language(desk, visit):
    """Opened by nobody it hands nothing over, and says what to do."""
    page = visit(viewport={"width": 320, "height": 480}, locale="fr-FR").page
    page.goto(desk.login_url())
    page.goto(f"{desk.url}/ui/embed/login/?lang=es")
    expect(page.locator("#words")).to_have_text(re.compile("^Cierre esta ventana"))
    expect(page.get_by_role("heading")).to_have_text("Ha iniciado sesión")
    assert page.evaluate("document.documentElement.lang") == "es"

    assert defects_of(page, "window") == []


@pytest.mark.parametrize("state", ["signed-out", "talking", "keying", "approved"])
def test_the_sample_is_accessible_and_fits(crm, visit, opened, state):
    if state == "signed-out":
        page = visit().page
        page.goto(f"{crm.url}/")
        expect(page.frame_locator("iframe").locator("#signin-go")).to_be_visible()
    else:
        call = {
            "talking": talking(),
            "keying": talking(card_valid()),
            "approved": of_order(ended(CaptureResult.APPROVED)),
        }
        page = opened(call[state])[0].page
    found = []
    for look, width in (("light", 1280), ("dark", 1280), ("narrow", 320)):
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme="dark" if look == "dark" else "light")
        page.wait_for_timeout(SETTLED_MS)
        page_picture(page, f"crm-{state}", look)
        found += [f"{look}: {finding}" for finding in axe_findings(page)]
        found += [f"{look}: {overflow_px(page)} px wide"] * (overflow_px(page) > width)
        found += [f"{look}: cut off: {text}" for text in cut_off(page)]

    assert found == []


def test_the_price_of_the_sample_is_that_of_the_scenes():
    assert Money(4250, "GBP") == PRICE
