"""One image, large."""

import re

import pytest
from PIL import Image
from playwright.sync_api import expect

from ml_api.embedding.fake import COLOURS
from ml_api.records import image_id
from tests.e2e.page.stage import serving, visiting

FIRST_RED = image_id("red/0.png")
BUSY = {"type": "about:blank", "title": "Busy", "status": 503, "detail": "too many requests wait already", "code": "overloaded"}


def open_first_red(visit):
    visit.open("/?q=red")
    visit.page.get_by_role("link", name="the first red", exact=True).click()
    expect(visit.dialog).to_be_visible()


def test_a_click_shows_the_image_and_all_that_is_known_of_it(visit):
    open_first_red(visit)
    expect(visit.dialog).to_have_accessible_name("the first red")
    for fact in ("red/0.png", "80 \N{MULTIPLICATION SIGN} 60", "Tags", "warm, plain", "Room", "12"):
        expect(visit.dialog.get_by_text(fact, exact=True)).to_be_visible()
    content = re.compile(f"/v1/images/{FIRST_RED}/content")
    expect(visit.dialog.get_by_role("img", name="the first red")).to_have_attribute("src", content)
    expect(visit.dialog.get_by_role("link", name="Open original")).to_have_attribute("href", content)
    with visit.page.expect_download() as download:
        visit.dialog.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "0.png"
    expect(visit.dialog.get_by_role("link", name="Record as JSON")).to_have_attribute("href", f"/v1/images/{FIRST_RED}")


def test_a_format_that_browsers_do_not_show_stays_a_thumbnail_of_its_own_size(context, tmp_path):
    Image.new("RGB", (600, 450), COLOURS["red"]).save(tmp_path / "scan.tif", compression="tiff_lzw")
    with serving(tmp_path) as server, visiting(context, server) as visit:
        visit.open("/?q=red")
        visit.page.locator(".open").first.click()
        expect(visit.dialog.get_by_role("link", name="Download")).to_have_attribute("download", "scan.tif")
        expect(visit.dialog.get_by_role("link", name="Open original")).to_be_hidden()
        shown = visit.dialog.get_by_role("img", name="scan.tif")
        natural = shown.evaluate("image => image.naturalWidth")
        assert shown.bounding_box()["width"] == pytest.approx(natural, abs=1)
        assert natural < 600


def test_escape_closes_and_gives_the_focus_back(visit):
    open_first_red(visit)
    visit.expect_address(f"/?q=red&image={FIRST_RED}")
    visit.page.keyboard.press("Escape")
    expect(visit.dialog).to_be_hidden()
    visit.expect_address("/?q=red")
    expect(visit.page.get_by_role("link", name="the first red", exact=True)).to_be_focused()


def test_back_closes_it(visit):
    open_first_red(visit)
    expect(visit.page).to_have_title("the first red · Image search")
    visit.page.go_back()
    expect(visit.dialog).to_be_hidden()
    expect(visit.page).to_have_title("red · Image search")
    expect(visit.hits).to_have_count(24)


def test_a_click_beside_it_closes_it(visit):
    open_first_red(visit)
    visit.page.mouse.click(5, 400)
    expect(visit.dialog).to_be_hidden()


def test_arrows_step_through_the_hits_and_one_back_leaves_them_all(visit):
    visit.open("/?q=red")
    names = visit.page.locator(".hit .name")
    expect(names.first).to_be_visible()
    visit.page.locator(".open").first.click()
    expect(visit.dialog.get_by_role("button", name="Previous image")).to_be_hidden()
    visit.page.keyboard.press("ArrowRight")
    visit.dialog.get_by_role("button", name="Next image").click()
    expect(visit.dialog).to_have_accessible_name(names.nth(2).text_content())
    expect(visit.dialog.get_by_role("status")).to_contain_text(re.compile(rf"3 of 24 so far\s+{names.nth(2).text_content()}"))
    visit.page.keyboard.press("ArrowLeft")
    expect(visit.dialog).to_have_accessible_name(names.nth(1).text_content())
    visit.page.keyboard.press("Escape")
    visit.expect_address("/?q=red")
    expect(visit.page.locator(".open").nth(1)).to_be_focused()


def test_closing_leads_to_the_last_image_seen_however_far_it_is(visit):
    visit.open("/?q=red")
    visit.page.locator(".open").first.click()
    for _ in range(23):
        visit.page.keyboard.press("ArrowRight")
    visit.page.keyboard.press("Escape")
    expect(visit.page.locator(".open").nth(23)).to_be_focused()
    expect(visit.page.locator(".open").nth(23)).to_be_in_viewport()


def test_more_like_this_leaves_for_a_search(visit):
    open_first_red(visit)
    visit.dialog.get_by_role("link", name="More like this").click()
    expect(visit.dialog).to_be_hidden()
    visit.expect_address(f"/?like={FIRST_RED}")
    visit.page.go_back()
    expect(visit.dialog).to_have_accessible_name("the first red")


def test_similar_images_lead_on_and_back_closes_them_all(visit):
    open_first_red(visit)
    similar = visit.dialog.get_by_role("region", name="Similar images").get_by_role("link")
    expect(similar).to_have_count(6)
    similar.first.click()
    expect(visit.dialog).not_to_have_accessible_name("the first red")
    visit.page.keyboard.press("Escape")
    visit.expect_address("/?q=red")


def test_its_link_can_be_copied(visit, context):
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    open_first_red(visit)
    visit.dialog.get_by_role("button", name="Copy link").click()
    expect(visit.dialog.get_by_role("button", name="Link copied")).to_be_visible()
    assert visit.page.evaluate("navigator.clipboard.readText()") == visit.page.url


def test_its_address_shows_it_at_once(visit):
    visit.open(f"/?q=red&image={FIRST_RED}")
    expect(visit.dialog).to_have_accessible_name("the first red")
    expect(visit.dialog.get_by_role("button", name="Next image")).to_be_visible()
    visit.dialog.get_by_role("button", name="Close").click()
    visit.expect_address("/?q=red")
    expect(visit.page.get_by_role("link", name="the first red", exact=True)).to_be_focused()


def test_an_image_without_a_search_has_an_address_too(visit):
    visit.open(f"/?image={FIRST_RED}")
    expect(visit.dialog).to_have_accessible_name("the first red")
    visit.page.keyboard.press("Escape")
    visit.expect_address("/")


def test_an_address_of_an_image_that_is_gone_says_so(visit):
    visit.open(f"/?q=red&image={'0' * 32}")
    expect(visit.page.get_by_role("alert")).to_contain_text("There is no such image")
    visit.expect_address("/?q=red")
    visit.page.get_by_role("button", name="Show more").click()
    expect(visit.hits).to_have_count(31)
    expect(visit.page.get_by_role("alert")).to_be_hidden()


def test_that_it_is_shown_where_the_words_are_found_is_in_the_address(visit):
    open_first_red(visit)
    where, veil = visit.dialog.get_by_role("button", name="Where it matches"), visit.dialog.locator(".heat")
    where.click()
    visit.expect_address(f"/?q=red&image={FIRST_RED}&heat=shown")
    visit.page.reload()
    expect(veil).to_be_visible()
    expect(where).to_have_attribute("aria-pressed", "true")
    where.click()
    visit.expect_address(f"/?q=red&image={FIRST_RED}")
    where.click()
    expect(veil).to_be_visible()
    visit.page.keyboard.press("Escape")
    visit.expect_address("/?q=red")
    visit.page.keyboard.press("Enter")
    expect(visit.dialog).to_be_visible()
    visit.expect_address(f"/?q=red&image={FIRST_RED}")
    expect(veil).to_be_hidden()


def test_where_the_words_are_found_is_shown_over_the_image(visit):
    open_first_red(visit)
    where = visit.dialog.get_by_role("button", name="Where it matches")
    veil = visit.dialog.locator(".heat")
    expect(veil).to_be_hidden()
    with visit.page.expect_response("**/heatmap?q=red") as answer:
        where.click()
    assert answer.value.ok
    expect(where).to_have_attribute("aria-pressed", "true")
    expect(veil).to_be_visible()
    assert veil.bounding_box() == visit.dialog.locator(".stage img").bounding_box()
    visit.page.keyboard.press("ArrowRight")
    expect(veil).to_be_hidden()
    visit.open(f"/?like={FIRST_RED}&image={FIRST_RED}")
    expect(visit.dialog).to_be_visible()
    expect(where).to_be_hidden()


def test_that_it_cannot_be_shown_where_the_words_are_found_is_told_beside_the_image(visit):
    visit.page.route("**/heatmap?*", lambda route: route.fulfill(status=503, json=BUSY, content_type="application/problem+json"))
    open_first_red(visit)
    where = visit.dialog.get_by_role("button", name="Where it matches")
    where.click()
    alert = visit.dialog.get_by_role("alert")
    expect(alert).to_have_text("It cannot be shown where the words are found. The server is busy. Try again in a moment.")
    expect(where).to_have_text("Where it matches")
    visit.page.unroute_all()
    where.click()
    expect(visit.dialog.locator(".heat")).to_be_visible()
    expect(alert).to_be_hidden()


IMPATIENT = """() => {
    const wait = performance.now() + 1500, replace = history.replaceState.bind(history);
    history.replaceState = (...given) => {
        if (performance.now() < wait) %s;
        replace(...given);
    };
}"""
"""A history that takes no more for a while, as after a hundred changes in ten seconds."""
COMPLAINT = "throw new DOMException('Attempt to use history.replaceState() more than 100 times per 10 seconds', 'SecurityError')"


@pytest.mark.parametrize("refusal", [COMPLAINT, "return"], ids=["safari", "chrome"])
def test_who_steps_faster_than_the_history_takes_it_sees_the_images_and_the_address_follows(visit, refusal):
    """In Safari and Firefox the image stayed, however long the key was held; in Chrome the address."""
    visit.open("/?q=red")
    visit.hits.first.locator(".open").click()
    expect(visit.dialog).to_be_visible()
    visit.page.evaluate(IMPATIENT % refusal)
    for _ in range(3):
        visit.page.keyboard.press("ArrowRight")
    expect(visit.dialog.get_by_role("status")).to_contain_text("4 of 24")
    last = visit.hits.nth(3).locator(".open").get_attribute("data-id")
    visit.expect_address(f"/?q=red&image={last}")
    visit.page.keyboard.press("Escape")
    visit.expect_address("/?q=red")
    expect(visit.hits.nth(3).locator(".open")).to_be_focused()


def test_whoever_steps_on_comes_to_all_hits(visit):
    visit.open("/?q=red")
    visit.page.locator(".open").nth(22).click()
    expect(visit.dialog.get_by_role("status")).to_contain_text("23 of 31")  # after the 24 that were found at first
    for _ in range(8):
        visit.page.keyboard.press("ArrowRight")
    expect(visit.dialog.get_by_role("status")).to_contain_text("31 of 31")
    expect(visit.dialog.get_by_role("button", name="Next image")).to_be_hidden()
    visit.page.keyboard.press("Escape")
    expect(visit.page.locator(".open").nth(30)).to_be_focused()


def test_hits_that_are_on_their_way_when_an_image_is_opened_are_counted_when_they_come(visit):
    held = []
    visit.page.route("**/v1/search/text?*cursor=*", lambda route: held.append(route))  # noqa: PLW0108 - Playwright marks what it is given
    visit.open("/?q=red")
    visit.scroll_to_end()
    expect(visit.page.get_by_role("button", name="Loading…")).to_be_attached()
    visit.page.locator(".open").nth(22).click()
    expect(visit.dialog.get_by_role("status")).to_contain_text("23 of 24 so far")
    held[0].continue_()
    expect(visit.dialog.get_by_role("status")).to_contain_text("23 of 31")


def swipe(page, start, end):
    """With one finger, over the middle of the picture; from and to in pixels beside it."""
    box = page.locator(".stage").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    session = page.context.new_cdp_session(page)
    for kind, by in (("touchStart", start), ("touchMove", end), ("touchEnd", None)):
        points = [] if by is None else [{"x": x + by[0], "y": y + by[1]}]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})


@pytest.mark.parametrize("context_options", [{"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}])
def test_swipes_lead_to_the_neighbours(visit):
    visit.open("/?q=red")
    names = visit.page.locator(".hit .name")
    visit.page.locator(".open").nth(1).tap()
    expect(visit.dialog).to_have_accessible_name(names.nth(1).text_content())
    swipe(visit.page, (80, 0), (-80, 5))
    expect(visit.dialog).to_have_accessible_name(names.nth(2).text_content())
    swipe(visit.page, (0, 60), (20, -60))  # to scroll
    swipe(visit.page, (-80, 0), (80, 0))
    expect(visit.dialog).to_have_accessible_name(names.nth(1).text_content())


def test_whoever_steps_on_while_the_server_refuses_is_told_and_asks_again_by_a_button(visit):
    asked = []

    def refuse(route):
        asked.append(route.request.url)
        route.fulfill(status=503, json=BUSY, content_type="application/problem+json", headers={"Retry-After": "2"})

    visit.page.route("**/v1/search/text?*cursor=*", refuse)
    visit.open("/?q=red")
    visit.page.locator(".open").nth(20).click()
    for key in ("ArrowRight", "ArrowRight", "ArrowRight", "ArrowRight", "ArrowLeft", "ArrowLeft", "ArrowRight", "ArrowRight"):
        visit.page.keyboard.press(key)
    alert, again = visit.dialog.get_by_role("alert"), visit.dialog.get_by_role("button", name="Try again")
    expect(alert).to_contain_text("The images after this one could not be loaded. The server is busy.")
    assert len(asked) == 1
    with visit.page.expect_response("**/v1/search/text?*cursor=*"):
        again.click()
    expect(again).to_be_focused()
    expect(again).not_to_have_attribute("aria-disabled", "true")
    visit.page.unroute_all()
    again.click()
    expect(visit.dialog.get_by_role("status")).to_contain_text("24 of 31")
    expect(alert).to_be_hidden()
    expect(visit.dialog.get_by_role("button", name="Next image")).to_be_focused()


def test_hits_that_come_once_there_is_a_connection_again_are_stepped_to(visit, context):
    visit.page.route("**/v1/search/text?*cursor=*", lambda route: route.abort())
    visit.open("/?q=red")
    visit.page.locator(".open").nth(20).click()
    for _ in range(3):
        visit.page.keyboard.press("ArrowRight")
    expect(visit.dialog.get_by_role("alert")).to_contain_text("Check that it is running and that you are connected")
    visit.page.unroute_all()
    context.set_offline(True)
    context.set_offline(False)
    expect(visit.dialog.get_by_role("status")).to_contain_text("24 of 31")
