"""Searching with words and with stored images."""

import pytest
from playwright.sync_api import expect

from ml_api.embedding.fake import COLOURS
from ml_api.records import image_id
from tests.e2e.page.stage import picture, serving, visiting

DELETED = "ids => Promise.all(ids.map(async id => (await fetch(`v1/images/${id}?wait=10`, {method: 'DELETE'})).ok))"
IS_NOTED = """() => {
    const {id, top, count} = history.state?.place ?? {};
    const hit = document.querySelector(`.open[data-id="${id}"]`);
    return count === 31 && Math.abs(hit.getBoundingClientRect().top - top) < 1;
}"""


def test_typing_a_query_shows_the_closest_images_first(visit):
    visit.open()
    visit.search("red")
    expect(visit.hits).to_have_count(24)
    first_five = visit.page.locator(".hit .name").all_text_contents()[:5]
    assert all("red" in name for name in first_five), first_five
    expect(visit.status).to_contain_text("24 images so far, closest to red")


def test_a_search_has_an_address_that_can_be_opened_anew(visit):
    visit.open()
    visit.search("blue & green")
    visit.expect_address("/?q=blue+%26+green")
    expect(visit.page).to_have_title("blue & green · Image search")
    visit.page.reload()
    expect(visit.hits).to_have_count(24)
    expect(visit.page.get_by_role("searchbox")).to_have_value("blue & green")


def test_back_and_forward_walk_through_the_searches(visit):
    visit.open()
    visit.search("red")
    visit.expect_first("red")
    visit.search("blue")
    visit.expect_first("blue")
    visit.page.go_back()
    visit.expect_first("red")
    expect(visit.page.get_by_role("searchbox")).to_have_value("red")
    visit.page.go_back()
    expect(visit.hits).to_have_count(0)
    expect(visit.page.get_by_role("heading", name="Find images by what they show")).to_be_visible()
    visit.page.go_forward()
    visit.expect_first("red")


def test_the_same_search_again_adds_nothing_to_the_history(visit):
    visit.open()
    visit.search("red")
    visit.expect_first("red")
    visit.search("red")
    visit.expect_first("red")
    visit.page.go_back()
    visit.expect_address("/")


@pytest.fixture
def visit_to_drawn(context, tmp_path):
    """Over a picture that every corpus of the demo holds, and a red one."""
    drawn = tmp_path / "snow" / "two-brown-dogs-0000.jpg"
    drawn.parent.mkdir()
    drawn.write_bytes(picture(COLOURS["blue"]))
    (tmp_path / "red.png").write_bytes(picture(COLOURS["red"]))
    (tmp_path / "metadata.jsonl").write_text('{"key": "snow/two-brown-dogs-0000.jpg", "facts": {"setting": "snow"}}\n')
    with serving(tmp_path) as server, visiting(context, server) as visit:
        yield visit


def test_an_example_searches(visit_to_drawn):
    visit_to_drawn.open()
    visit_to_drawn.page.get_by_role("link", name="red mushrooms").click()
    visit_to_drawn.expect_address("/?q=red+mushrooms")
    visit_to_drawn.expect_first("red")


def test_at_first_some_of_the_images_are_seen_and_can_be_opened(visit):
    visit.open()
    some = visit.page.get_by_role("list", name="Some of the images").get_by_role("link")
    expect(some).to_have_count(18)
    some.first.click()
    expect(visit.dialog).to_be_visible()
    visit.page.keyboard.press("Escape")
    visit.expect_address("/")
    expect(some.first).to_be_focused()
    visit.search("red")
    expect(some.first).to_be_hidden()


def test_no_similarity_is_shown_as_less_than_nothing(visit):
    visit.open()
    assert visit.page.evaluate(
        "import('/static/summary.js').then(({ rounded }) => [-0.001, 0.001, -0.4, 1].map(n => rounded(n, 2)))"
    ) == [
        "0.00",
        "0.00",
        "-0.40",
        "1.00",
    ]


def test_more_like_this_searches_with_a_stored_image(visit):
    visit.open("/?q=red")
    visit.hits.nth(1).hover()
    visit.hits.nth(1).get_by_role("link", name="More like this").click()
    visit.page.wait_for_url("**/?like=*")
    expect(visit.status).to_contain_text("24 images so far, most like this one")
    visit.expect_first("red")
    expect(visit.page.get_by_alt_text("Searching with")).to_be_visible()
    visit.page.reload()
    visit.expect_first("red")
    visit.page.get_by_role("button", name="Remove the image from the search").click()
    visit.expect_address("/")


def test_scrolling_goes_on_until_the_last_image(visit):
    visit.open("/?q=red")
    visit.expect_first("red")
    expect(visit.hits).to_have_count(24)
    visit.scroll_to_end()
    expect(visit.hits).to_have_count(31)
    expect(visit.status).to_contain_text("31 images closest to red")
    expect(visit.page.get_by_role("button", name="Show more")).to_be_hidden()


SCROLL_ON = """async () => {
    const end = performance.now() + 20_000;
    while (document.querySelectorAll(".hit:not(.skeleton)").length < 55 && performance.now() < end) {
        scrollTo(0, document.body.scrollHeight);
        await new Promise(requestAnimationFrame);
    }
}"""


def test_a_place_in_the_results_that_has_expired_is_found_anew(visit):
    visit.open("/?q=red")
    expect(visit.hits).to_have_count(24)
    refused = {"detail": "cursor: has expired", "code": "invalid-cursor"}
    visit.page.route(
        "**/v1/search/text?*cursor=*",
        lambda route: route.fulfill(status=400, json=refused, content_type="application/problem+json"),
        times=1,
    )
    visit.scroll_to_end()
    expect(visit.hits).to_have_count(31)
    expect(visit.page.get_by_role("alert")).to_be_hidden()


def test_no_hit_comes_twice_and_none_is_missed_while_images_come_and_go(context, tmp_path):
    for number in range(40):
        (tmp_path / f"{number:02}.png").write_bytes(picture((250 - number, 0, 0)))
    with serving(tmp_path) as server, visiting(context, server) as visit:
        visit.open("/?q=red")
        expect(visit.hits).to_have_count(24)
        before = visit.page.locator(".hit .name").all_inner_texts()
        gone = [image_id(name) for name in before[:5]]
        assert visit.page.evaluate(DELETED, gone) == [True] * 5
        visit.scroll_to_end()
        expect(visit.hits).to_have_count(40)
        assert sorted(visit.page.locator(".hit .name").all_inner_texts()) == [f"{number:02}.png" for number in range(40)]


def test_who_stays_at_the_end_sees_all_pages_come(context, tmp_path):
    for number in range(55):
        (tmp_path / f"{number}.png").write_bytes(picture((200 + number, 0, 0)))
    with serving(tmp_path) as server, visiting(context, server) as visit:
        visit.open("/?q=red")
        visit.page.evaluate(SCROLL_ON)
        expect(visit.hits).to_have_count(55)


def test_the_keyboard_reaches_the_end_too(visit):
    visit.open("/?q=red")
    visit.expect_first("red")
    visit.page.locator(".more button").focus()
    expect(visit.hits).to_have_count(31)
    expect(visit.hits.nth(24).locator(".open")).to_be_focused()


def test_a_page_that_is_brought_back_as_it_was_is_at_the_place_that_was_left(visit):
    """WebKit keeps a page that is left, and shows its top when somebody comes back."""
    visit.open("/?q=red")
    visit.scroll_to_end()
    expect(visit.hits).to_have_count(31)
    left = visit.page.evaluate("() => { scrollTo(0, 600); dispatchEvent(new PageTransitionEvent('pagehide')); return scrollY; }")
    assert left > 0
    visit.page.evaluate("scrollTo(0, 0); dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    assert visit.page.evaluate("scrollY") == left


@pytest.mark.parametrize("come_again", ["back", "reload"])
def test_coming_again_shows_all_pages_that_were_open_at_the_place_that_was_left(visit, come_again):
    visit.open("/?q=red")
    visit.scroll_to_end()
    expect(visit.hits).to_have_count(31)
    last = visit.page.locator(".open").nth(30)
    last.scroll_into_view_if_needed()
    visit.page.wait_for_function(IS_NOTED)
    if come_again == "back":
        visit.search("blue")
        visit.expect_first("blue")
        assert visit.page.evaluate("scrollY") == 0
        visit.page.go_back()
    else:
        visit.page.reload()
    expect(visit.hits).to_have_count(31)
    expect(last).to_be_in_viewport()


def test_words_are_searched_for_while_they_are_typed_and_make_one_entry_of_the_history(visit):
    visit.open()
    visit.page.get_by_role("searchbox").press_sequentially("red")
    visit.expect_first("red")
    visit.expect_address("/?q=red")
    visit.page.get_by_role("searchbox").press_sequentially(" black")
    visit.expect_address("/?q=red+black")
    expect(visit.page.get_by_role("searchbox")).to_be_focused()
    visit.page.keyboard.press("Enter")
    visit.page.go_back()
    visit.expect_address("/")


def test_what_is_not_finished_is_not_asked_for_again_when_it_is(visit):
    visit.open()
    visit.page.get_by_role("searchbox").press_sequentially("red")
    visit.expect_first("red")
    asked = []
    visit.page.on("request", lambda request: "/thumbnail?" in request.url or asked.append(request.url))  # which may be on their way
    visit.page.keyboard.press("Enter")
    visit.page.wait_for_function("() => !history.state.typing")
    assert asked == []


def test_a_slow_search_shows_that_it_runs_and_gives_way_to_a_newer_one(visit):
    visit.open()
    visit.search("slow red")
    expect(visit.page.locator(".skeleton").first).to_be_visible()
    expect(visit.status).to_have_text("Searching…")
    with visit.page.expect_event("requestfailed", lambda request: "slow" in request.url):
        visit.search("blue")
    visit.expect_first("blue")
    visit.server.model.may_go_on.set()
    expect(visit.page.locator(".skeleton")).to_have_count(0)
    visit.expect_first("blue")


def test_the_foot_says_what_is_searched_and_with_which_model(visit):
    visit.open()
    expect(visit.page.get_by_role("contentinfo")).to_contain_text("31 images")
    expect(visit.page.get_by_role("contentinfo")).to_contain_text("demo model")
    expect(visit.page.get_by_role("link", name="API")).to_have_attribute("href", "/apidocs/")


def test_a_description_that_the_model_cannot_read_to_its_end_is_said_so(visit):
    visit.open()
    visit.search("red" + " a" * 80)
    expect(visit.status).to_contain_text("the model read only the beginning")
