"""Every state of the pages: no finding of axe, light and dark; nothing cut off at 320 px or zoom; forced colours."""

import pytest

from tests.web.accessibility import axe_findings
from tests.web.layout import cut_off, overflow_px, unmarked_controls
from tests.web.pictures import picture
from tests.web.scenes import SCENES

WIDE, NARROW, ZOOMED = (1280, 900), (320, 700), (640, 450)
"""A desk; a telephone (WCAG 1.4.10); a desk at 200 % (WCAG 1.4.4): the browser halves its pixels."""


def sized(page, size):
    page.set_viewport_size({"width": size[0], "height": size[1]})


@pytest.mark.parametrize("scene", SCENES, ids=str)
def test_state_is_accessible_and_fits(walk, scene):
    page = walk(scene)
    for selector in scene.sees:
        page.locator(selector).first.wait_for(state="visible")
    for selector in scene.misses:
        assert page.locator(selector).filter(visible=True).count() == 0, selector
    defects = []

    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        defects += [f"{theme}: {finding}" for finding in axe_findings(page)]
        picture(page, scene, theme)
    page.emulate_media(color_scheme="light")
    for name, size in (("320 px", NARROW), ("200 %", ZOOMED)):
        sized(page, size)
        defects += [f"{name}: {overflow_px(page)} px wide"] * (overflow_px(page) > size[0])
        defects += [f"{name}: cut off: {text}" for text in cut_off(page)]
        if name == "320 px":
            picture(page, scene, "narrow")
    sized(page, WIDE)
    page.emulate_media(forced_colors="active")
    defects += [f"forced colours: {control} has no edge" for control in unmarked_controls(page)]

    assert defects == []


def test_control_a_bad_page_is_found_out(visitor):
    visitor.page.set_content(
        "<!doctype html><title>bad</title><main><button></button>"
        "<p style='color:#aaa;background:#fff'>faint</p>"
        "<div style='width:431px'>wide</div>"
        "<div style='width:50px;overflow:hidden;white-space:nowrap'>a sentence that does not fit</div>"
        "<button style='border:0;padding:0'>bare</button><a href='/' aria-current='page'>current</a></main>"
    )

    found = axe_findings(visitor.page)
    sized(visitor.page, NARROW)

    assert any("button-name" in finding for finding in found)
    assert any("color-contrast" in finding for finding in found)
    assert overflow_px(visitor.page) > NARROW[0]
    assert any("a sentence" in text for text in cut_off(visitor.page))
    assert any("bare" in control for control in unmarked_controls(visitor.page))
    visitor.page.emulate_media(forced_colors="active")
    assert any("current" in control for control in unmarked_controls(visitor.page))
