"""What is seen does not move while the page loads: nobody clicks on something else than he meant."""

import pytest
from playwright.sync_api import expect

MOST = 0.05
"""Of the cumulative layout shift (CLS), of which Web Vitals call 0.1 good."""
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
DESKTOP = {"viewport": {"width": 1440, "height": 900}}
OBSERVED = """
    window.moved = [];
    new PerformanceObserver(list => moved.push(...list.getEntries().filter(entry => !entry.hadRecentInput).map(
        ({value, sources}) => [value, ...sources.map(({node}) => node?.className || node?.nodeName)]
    ))).observe({type: "layout-shift", buffered: true});
"""
FILTERED = '/?q=red&filter={"width":{"gte":60}}'


@pytest.mark.parametrize("context_options", [PHONE], ids=["phone"])
def test_the_foot_is_not_seen_before_the_pictures_that_push_it_down(visit):
    held = []
    visit.page.route("**/v1/images?*", lambda route: held.append(route))  # noqa: PLW0108 - playwright marks its handlers
    visit.page.add_init_script(OBSERVED)
    with visit.page.expect_request("**/v1/images?*"):
        visit.open("/")
    visit.page.evaluate("() => new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
    expect(visit.page.locator("footer")).to_be_hidden()
    [pictures] = held
    pictures.continue_()
    expect(visit.page.locator(".glimpse img").first).to_be_visible()
    expect(visit.page.locator("footer")).to_be_visible()
    assert sum(value for value, *_ in visit.page.evaluate("moved")) < MOST


@pytest.mark.parametrize("context_options", [PHONE, DESKTOP], ids=["phone", "desktop"])
@pytest.mark.parametrize("address", ["/", "/?q=red", FILTERED, "/?view=images", "/?view=duplicates"])
def test_nothing_moves_while_the_page_loads(visit, address):
    visit.page.add_init_script(OBSERVED)
    slow = {"rate": 6}  # so that what comes late is painted later, as on a phone
    visit.page.context.new_cdp_session(visit.page).send("Emulation.setCPUThrottlingRate", slow)
    visit.open(address)
    shown = (
        ".groups > li, .duplicates[aria-busy=false]"
        if "duplicates" in address
        else ".glimpse img"
        if address == "/"
        else ".open img"
    )
    expect(visit.page.locator(shown).first).to_be_visible()
    visit.page.wait_for_load_state("networkidle")
    moved = visit.page.evaluate("() => new Promise(done => requestAnimationFrame(() => setTimeout(() => done(moved))))")
    assert sum(value for value, *_ in moved) < MOST, moved
