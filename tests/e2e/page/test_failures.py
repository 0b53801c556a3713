"""What cannot be done is said: what, why, and what to do."""

import pytest
from playwright.sync_api import expect

from ml_api.embedding.fake import COLOURS
from tests.e2e.page.stage import picture, serving, visiting


def test_an_error_shows_its_reason_and_the_request_id_and_can_be_tried_again(visit):
    visit.server.model.is_broken = True
    visit.open()
    with visit.page.expect_response("**/v1/search/text*") as answer:
        visit.search("red")
    alert = visit.page.get_by_role("alert")
    expect(alert).to_contain_text("The search is not available right now")
    alert.get_by_text("Details").click()
    expect(alert.get_by_text("the model is having a rest")).to_be_visible()
    expect(alert).to_contain_text(f"Request {answer.value.headers['x-request-id']}")
    visit.server.model.is_broken = False
    alert.get_by_role("button", name="Try again").click()
    visit.expect_first("red")
    expect(alert).to_be_hidden()


def test_a_request_that_can_never_work_is_not_offered_again(visit):
    visit.open("/?q=" + "x" * 1001)
    expect(visit.page.get_by_role("alert")).to_contain_text("That description is too long")
    expect(visit.page.get_by_role("alert")).to_contain_text("at most 1,000 characters")
    expect(visit.page.get_by_role("button", name="Try again")).to_be_hidden()
    expect(visit.page.get_by_role("button", name="Choose another image")).to_be_hidden()


def test_a_search_that_takes_long_says_so_and_can_be_cancelled(visit):
    visit.page.clock.install()
    visit.open()
    visit.search("slow red")
    visit.page.clock.run_for(9_000)
    expect(visit.status).to_have_text("Searching…")
    visit.page.clock.run_for(1_500)
    expect(visit.status).to_have_text("Still searching: the server has not answered for 10 seconds.")
    visit.page.get_by_role("button", name="Cancel").click()
    expect(visit.page.get_by_role("alert")).to_contain_text("Search cancelled")
    expect(visit.page.get_by_role("button", name="Try again")).to_be_focused()
    expect(visit.page.locator(".skeleton")).to_have_count(0)
    visit.server.model.may_go_on.set()
    visit.page.get_by_role("button", name="Try again").click()
    visit.expect_first("red")
    expect(visit.hits.first.locator(".open")).to_be_focused()


def test_a_page_whose_script_does_not_arrive_says_so(context, server):
    page = context.new_page()
    page.route("**/static/query.js", lambda route: route.abort())
    page.goto(server.url)
    expect(page.get_by_text("This page did not load completely.")).to_be_visible()
    page.unroute_all()
    page.get_by_role("link", name="Load it again").click()
    expect(page.get_by_text("This page did not load completely.")).to_have_count(0)
    page.close()


@pytest.mark.parametrize("part", ["query.js", "page.js", "results.css"])
def test_a_part_of_the_page_that_was_refused_once_is_asked_for_again(context, server, part):
    page = context.new_page()
    page.route(f"**/static/{part}", lambda route: route.fulfill(status=503, body="busy"), times=1)
    page.goto(f"{server.url}/?q=red")
    expect(page.locator(".hit:not(.skeleton)")).to_have_count(24)
    expect(page.locator(".grid")).to_have_css("display", "flex")
    expect(page.get_by_text("This page did not load completely.")).to_have_count(0)
    page.close()


def test_a_page_that_stays_without_a_stylesheet_says_so(context, server):
    page = context.new_page()
    asked = []
    page.route("**/static/results.css", lambda route: asked.append(route) or route.fulfill(status=503, body="busy"))
    page.goto(f"{server.url}/?q=red")
    expect(page.get_by_text("This page did not load completely.")).to_be_visible()
    assert len(asked) == 3
    expect(page.locator(".hit:not(.skeleton)")).to_have_count(24)
    page.close()


def test_a_browser_that_is_too_old_is_told_so_even_if_the_scripts_start(context, server):
    page = context.new_page()
    page.add_init_script("CSS.supports = condition => !condition.includes('has')")  # as in Firefox 115
    page.goto(f"{server.url}/?q=red")
    expect(page.get_by_text("This page needs Chrome or Edge 111, Firefox 121, Safari 16.4, or a later version.")).to_be_visible()
    expect(page.get_by_text("This page did not load completely.")).to_be_hidden()
    page.close()


LATER = """
    delete Element.prototype.checkVisibility;
    const decode = createImageBitmap;
    createImageBitmap = (file, options) => options ? Promise.reject(new TypeError("from-image")) : decode(file);
"""
"""Takes away what came to Safari after 16.4, of what the page once used; of the language's own parts the compiler knows."""


def test_the_oldest_browsers_that_the_page_names_search_look_and_cut_parts_out(visit):
    visit.page.add_init_script(LATER)
    visit.open("/?q=red")
    visit.page.get_by_role("searchbox").press("ArrowDown")
    visit.page.keyboard.press("Enter")
    visit.dialog.get_by_role("button", name="Part of it").click()
    visit.page.get_by_role("dialog", name="Search with a part").get_by_role("button", name="Search").click()
    visit.expect_first("red")
    expect(visit.status).to_contain_text("most like this one")


def test_an_address_that_leads_nowhere_is_a_page_in_a_browser(visit):
    visit.page.route("**/nothing", lambda route: route.fulfill(response=route.fetch(), status=200))  # a 404 is a complaint here
    visit.open("/nothing")
    expect(visit.page.get_by_role("heading", name="There is no such page")).to_be_visible()
    visit.page.get_by_role("link", name="Go to the search").click()
    visit.expect_address("/")


def test_a_server_that_does_not_answer_is_said_so(visit):
    visit.open()
    visit.page.route("**/v1/search/text?*", lambda route: route.abort(), times=1)
    visit.search("red")
    expect(visit.page.get_by_role("alert")).to_contain_text("The server does not answer")
    visit.page.get_by_role("button", name="Try again").click()
    visit.expect_first("red")


def test_who_is_connected_again_need_not_try_again(visit, context):
    visit.open()
    context.set_offline(True)
    visit.search("red")
    expect(visit.page.get_by_role("alert")).to_contain_text("The server does not answer")
    context.set_offline(False)
    visit.expect_first("red")
    expect(visit.page.get_by_role("alert")).to_be_hidden()


def test_what_was_asked_for_as_one_left_is_asked_for_again_when_one_is_back(visit):
    """WebKit keeps a page that is left, and ends its requests as if there were no server."""
    visit.open()
    visit.page.route("**/v1/search/text?*", lambda route: route.abort(), times=1)
    visit.search("red")
    expect(visit.page.get_by_role("alert")).to_contain_text("The server does not answer")
    visit.page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    visit.expect_first("red")
    expect(visit.page.get_by_role("alert")).to_be_hidden()


def test_an_image_of_a_listing_is_shown_without_asking_for_it_once_more(visit):
    visit.open("/?view=images")
    visit.page.route("**/v1/images/*", lambda route: None)  # a server that hangs
    visit.hits.first.locator(".open").click()
    expect(visit.dialog).to_have_accessible_name(visit.hits.first.locator(".name").text_content())
    visit.page.unroute_all(behavior="ignoreErrors")


def test_an_image_that_is_gone_is_said_where_it_is_seen(visit):
    visit.open(f"/?image={'0' * 32}")
    alert = visit.page.get_by_role("alert")
    expect(alert).to_contain_text("There is no such image")
    expect(alert).to_be_in_viewport(ratio=1)


def test_a_next_page_that_takes_long_says_so(visit):
    visit.page.clock.install()
    visit.open("/?q=red")
    expect(visit.hits).to_have_count(24)
    held = []
    visit.page.route("**/v1/search/**", lambda route: held.append(route))  # noqa: PLW0108 - Playwright marks what it is given
    visit.scroll_to_end()
    expect(visit.page.get_by_role("button", name="Loading…")).to_be_attached()
    visit.page.clock.run_for(10_500)
    expect(visit.page.get_by_role("button", name="Still loading: the server has not answered for 10 seconds")).to_be_attached()
    held[0].continue_()
    expect(visit.hits).to_have_count(31)


def test_a_next_page_that_fails_leaves_what_was_found(visit):
    visit.open("/?q=red")
    expect(visit.hits).to_have_count(24)
    visit.page.route("**/v1/search/text?*cursor=*", lambda route: route.abort(), times=1)
    visit.scroll_to_end()
    expect(visit.page.get_by_role("alert")).to_contain_text("The server does not answer")
    expect(visit.hits).to_have_count(24)
    expect(visit.status).to_contain_text("24 images so far, closest to red")
    visit.page.get_by_role("button", name="Try again").click()
    expect(visit.hits).to_have_count(31)
    expect(visit.hits.nth(24).locator(".open")).to_be_focused()


def test_more_like_an_image_that_is_gone_says_so(visit):
    visit.open(f"/?like={'0' * 32}")
    expect(visit.page.get_by_role("alert")).to_contain_text("There is no such image")


def test_an_image_whose_file_is_gone_keeps_its_place(context, tmp_path):
    file = tmp_path / "pink.png"
    file.write_bytes(picture(COLOURS["pink"]))
    with serving(tmp_path) as server:
        file.unlink()
        with visiting(context, server) as visit:
            visit.open("/?q=pink")
            expect(visit.page.locator(".hit.missing .name")).to_have_text("pink.png")
