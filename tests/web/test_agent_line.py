"""The agent's page follows its call's line and what the flow withholds, live, and reads the latter aloud."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from dtmf_shield.api.views import Door, LineQuality
from tests.web.scenes import SHIELDED, WITHHELD, a_line, keying, scene, talking


def test_a_line_that_becomes_bad_is_told_with_its_figures_and_a_good_one_without(site, play):
    page = play(scene("keying"))
    line = page.locator("#facts .line")
    expect(line).to_have_text("Good · PCMU · tones + events")

    call = talking(keying(6), line=a_line(LineQuality.POOR, Door.TONES))
    site.show(call)

    expect(line).to_contain_text("Poor · PCMU · tones")
    expect(line).to_contain_text(
        "Caller audio: 5.8% lost lately, jitter 61 ms · 2.1% of the call, late packets: 140"
    )
    assert call.line is not None
    site.show(call.model_copy(update={"line": call.line.model_copy(update={"agent": None})}))
    expect(line).to_contain_text("Poor")


def test_what_the_flow_withholds_comes_is_read_aloud_and_goes(site, play):
    page = play(scene("keying"))
    notices = page.locator("#notices")
    expect(notices).to_be_hidden()

    site.show(talking(keying(6), shield=WITHHELD))
    expect(notices.locator("li")).to_have_text(
        ["Caller’s voice is withheld", "The caller does not hear you", "Recording holds silence"]
    )
    expect(page.locator("#status")).to_contain_text("Caller’s voice is withheld")

    site.show(talking(keying(6), shield=SHIELDED))
    expect(notices).to_be_hidden()


@pytest.mark.parametrize("language", ["de", "fr", "es"])
def test_longer_words_fit_a_telephone(site, play, language):
    page = play(scene("withheld"))
    page.set_viewport_size({"width": 320, "height": 700})
    page.goto(f"{site.url}/ui/agent/?lang={language}")
    expect(page.locator("#notices li")).to_have_count(3)

    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    assert "notice." not in page.locator("body").inner_text()
    assert "line." not in page.locator("#facts").inner_text()
