"""axe, a checker of the rules of WCAG, finds nothing in any state of the page, on a phone, a tablet and a desktop."""

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from ml_api.records import image_id
from tests.e2e.page.stage import visiting
from tests.e2e.page.test_own_image import choose
from tests.e2e.page.test_relevance import answered_with

AXE = Path(__file__).parents[3] / ".venv" / "page-tools" / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
WIDTHS = (390, 820, 1440)
FIRST_RED = image_id("red/0.png")


def open_home(visit):
    visit.open()
    expect(visit.page.locator(".count")).to_contain_text("31")


def open_empty(visit):
    under_way = {"id": 1, "kind": "sync", "state": "running", "done": 120, "total": 1500, "error": ""}
    visit.page.route("**/v1/stats", lambda route: route.fulfill(json={"images": 0}))
    visit.page.route("**/v1/sync", lambda route: route.fulfill(json={"active": under_way, "last": []}))
    visit.open()
    expect(visit.page.get_by_text("Indexing: 120 of 1,500 files")).to_be_visible()
    expect(visit.page.get_by_role("button", name="Look for images there now")).to_be_visible()


def open_results(visit):
    visit.open("/?q=red")
    visit.expect_first("red")
    expect(visit.page.get_by_role("button", name="Select")).to_be_visible()


def open_terms(visit):
    visit.open(f'/?q=red&q=blue&like={FIRST_RED}&w=1,-0.5,0.5&filter={{"width":{{"gte":1}}}}')
    expect(visit.page.get_by_alt_text("Searching with the first red")).to_be_visible()
    visit.expect_first("red")


def open_doubt(visit):
    answered_with(visit, 0.1, confident=False)
    visit.open("/?q=red")
    visit.page.get_by_role("button", name="Show the closest images").click()
    expect(visit.hits.first).to_be_visible()


def open_listing(visit):
    visit.open("/?view=images")
    expect(visit.hits).to_have_count(24)


def open_filters(visit):
    visit.open('/?q=red&filter={"tags":{"any":["warm"]}}')
    visit.page.get_by_role("button", name="Filters 1").click()
    expect(visit.page.get_by_role("checkbox", name="warm")).to_be_checked()


def open_nothing_passes(visit):
    visit.open('/?q=red&filter={"tags":{"any":["warm"]},"width":{"lt":9}}')
    expect(visit.page.get_by_role("button", name="Without “Width below 9”")).to_be_visible()


def open_own_image(visit):
    visit.open()
    choose(visit)
    visit.expect_first("green")


def open_large(visit):
    visit.open(f"/?q=red&image={FIRST_RED}")
    expect(visit.dialog.get_by_role("region", name="Similar images").get_by_role("link")).to_have_count(6)


def open_heat(visit):
    open_large(visit)
    visit.page.get_by_role("button", name="Where it matches").click()
    expect(visit.dialog.locator(".heat")).to_be_visible()


def open_troubles(visit):
    """In the large view, of the last image that has come."""
    for path in ("**/v1/search/text?*cursor=*", "**/heatmap?*"):
        visit.page.route(path, lambda route: route.abort())
    visit.open("/?q=red")
    visit.page.locator(".open").nth(23).click()
    visit.page.get_by_role("button", name="Where it matches").click()
    expect(visit.dialog.get_by_role("alert")).to_have_count(2)


def open_marks(visit):
    open_results(visit)
    visit.hits.first.hover()
    visit.hits.first.get_by_role("button", name="Good match").click()
    expect(visit.page.get_by_role("region", name="Marks")).to_be_visible()


def open_crop(visit):
    open_large(visit)
    visit.page.get_by_role("button", name="Part of it").click()
    expect(visit.page.get_by_role("dialog", name="Search with a part")).to_be_visible()


def open_error(visit):
    visit.open("/?q=" + "x" * 1001)
    expect(visit.page.get_by_role("alert")).to_be_visible()


def open_selection(visit):
    open_results(visit)
    visit.page.get_by_role("button", name="Select").click()
    visit.page.get_by_role("checkbox").first.check()


def open_confirmation(visit):
    open_selection(visit)
    visit.page.get_by_role("button", name="Delete").click()
    expect(visit.page.get_by_role("dialog", name="Delete 1 image?")).to_be_visible()


def open_duplicates(visit):
    visit.open("/?view=duplicates")
    expect(visit.status).to_contain_text("images compared")


def open_uploads(visit):
    visit.open()
    visit.page.get_by_role("button", name="Add images").click()
    expect(visit.page.get_by_text("No sync has run yet.")).to_be_visible()


def open_failed_uploads(visit):
    open_uploads(visit)
    visit.page.route("**/v1/images/by-key/**", lambda route: route.abort())
    new = {"name": "new.png", "mimeType": "image/png", "buffer": b"new"}
    visit.page.locator(".uploads input[type=file]").set_input_files([new])
    expect(visit.page.get_by_role("button", name="Send those again")).to_be_visible()


def open_taken_names(visit):
    open_uploads(visit)
    visit.page.route(
        "**/v1/images/by-key/**",
        lambda route: route.fulfill(status=412, content_type="application/problem+json", body='{"code": "precondition-failed"}'),
    )
    new = [{"name": name, "mimeType": "image/png", "buffer": b"new"} for name in ("a.png", "b.png")]
    visit.page.locator(".uploads input[type=file]").set_input_files(new)
    expect(visit.page.get_by_text("2 names are taken")).to_be_visible()


STATES = [
    open_home,
    open_empty,
    open_results,
    open_terms,
    open_doubt,
    open_listing,
    open_filters,
    open_nothing_passes,
    open_own_image,
    open_large,
    open_heat,
    open_troubles,
    open_marks,
    open_crop,
    open_error,
    open_selection,
    open_confirmation,
    open_duplicates,
    open_uploads,
    open_failed_uploads,
    open_taken_names,
]


def problems(page, rules):
    page.evaluate("Promise.all(document.getAnimations().map(one => one.finished.catch(() => null)))")  # colours have arrived
    found = page.evaluate("rules => axe.run({runOnly: rules}).then(({violations}) => violations)", rules)
    return [f"{one['id']}: {node['html'][:120]} {json.dumps(node['any'][:1])[:200]}" for one in found for node in one["nodes"]]


@pytest.mark.parametrize("reach", STATES, ids=lambda reach: reach.__name__)
def test_axe_finds_nothing(browser, server, reach):
    context = browser.new_context(color_scheme="light", reduced_motion="reduce")
    context.add_init_script(AXE.read_text())
    with visiting(context, server) as visit:
        visit.page.set_viewport_size({"width": WIDTHS[-1], "height": 900})
        reach(visit)
        found = {}
        for width in WIDTHS:
            visit.page.set_viewport_size({"width": width, "height": 900})
            found[width] = problems(visit.page, RULES)
        visit.page.emulate_media(color_scheme="dark")
        found["dark"] = problems(visit.page, ["color-contrast"])
        assert {where: wrong for where, wrong in found.items() if wrong} == {}
    context.close()


def too_small(page):
    """Buttons that a finger misses; links within a text are as high as its lines, as WCAG allows."""
    return page.evaluate("""() => [...document.querySelectorAll("button, select, .chip, .like, footer nav a, .files a")]
        .filter(one => one.checkVisibility() && !one.closest("[inert]"))
        .filter(one => one.getBoundingClientRect().height < 43.5).map(one => one.outerHTML.slice(0, 120))""")


def test_fingers_hit_what_they_aim_at(browser, server):
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    with visiting(context, server) as visit:
        for reach in (open_home, open_terms, open_filters, open_large, open_doubt, open_error):
            reach(visit)
            assert too_small(visit.page) == []
    context.close()


def test_who_zooms_in_to_400_percent_can_use_what_lies_over_the_page(browser, server):
    context = browser.new_context(viewport={"width": 320, "height": 256})  # of 1280 x 1024, after WCAG 1.4.10
    with visiting(context, server) as visit:
        open_filters(visit)
        warm = visit.page.get_by_role("checkbox", name="warm")
        warm.scroll_into_view_if_needed()
        expect(warm).to_be_in_viewport(ratio=1)
        open_crop(visit)
        expect(visit.page.locator(".canvas")).to_have_css("width", re.compile("^1[5-9][0-9]|^[23][0-9]{2}"))
    context.close()


def test_with_colours_of_the_visitors_own_a_pressed_button_is_told_from_others(browser, server):
    context = browser.new_context(viewport={"width": 1440, "height": 900}, forced_colors="active")
    with visiting(context, server) as visit:
        open_large(visit)
        good, bad = (visit.dialog.get_by_role("button", name=f"{name} match") for name in ("Good", "Bad"))
        good.click()
        background = "button => getComputedStyle(button).backgroundColor"
        assert good.evaluate(background) != bad.evaluate(background)
        expect(visit.dialog.get_by_role("button", name="Close")).to_have_css("border-top-style", "solid")
    context.close()


def test_without_scripts_the_page_says_so_and_offers_nothing_that_needs_them(browser, server):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{server.url}/?q=red")
    expect(page.locator("noscript .notice")).to_be_visible()
    expect(page.locator(".unstarted")).to_be_hidden()
    expect(page.get_by_role("button", name="Filters")).to_be_hidden()
    context.close()
