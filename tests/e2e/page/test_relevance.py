"""Whether there is a match at all is said as it is."""

import json

import pytest
from playwright.sync_api import expect

from ml_api.records import image_id


def answered_with(visit, *relevances, confident, later=(), matched=None, of="**/v1/search/text?*"):
    """The service's answer to searches, with these probabilities of a match on its first hits, and the last on all others; those
    of later pages are `later`, if they are others.
    """

    def change(route):
        response = route.fetch()
        answer = response.json()
        given = later if later and "cursor=" in route.request.url else relevances
        for at, hit in enumerate(answer["hits"]):
            hit["matched"] = matched
            hit["relevance"] = given[min(at, len(given) - 1)]
        route.fulfill(response=response, body=json.dumps(answer | {"confident": confident}))

    visit.page.route(of, change)


def test_what_is_less_likely_is_folded_away_until_it_is_asked_for(visit):
    answered_with(visit, 0.93, 0.81, 0.2, later=(0.2,), confident=True)
    visit.open("/?q=red")
    expect(visit.hits.nth(1)).to_be_visible()
    expect(visit.hits.nth(0).locator(".score")).to_have_text("93 %")
    expect(visit.hits.nth(2)).to_be_hidden()
    expect(visit.status).to_contain_text(["2 likely matches for red"])
    before_the_fold = visit.hits.nth(1).bounding_box()
    visit.page.get_by_role("button", name="Less likely").click()
    expect(visit.hits.nth(2)).to_be_visible()
    assert before_the_fold["height"] < 1.5 * visit.hits.nth(2).bounding_box()["height"]
    visit.scroll_to_end()
    expect(visit.hits).to_have_count(31)
    visit.page.get_by_role("button", name="Less likely").click()
    expect(visit.hits.nth(30)).to_be_hidden()
    visit.page.keyboard.press("/")
    visit.page.keyboard.press("ArrowDown")
    visit.page.keyboard.press("End")
    expect(visit.page.locator(".open").nth(1)).to_be_focused()


def test_a_likely_hit_that_is_ranked_behind_others_is_not_folded_away(visit):
    """Words in names count in the ranking too: for "a black cat" among drawn scenes, one of 72 % stood behind ten of 42 %."""
    answered_with(visit, 0.93, 0.42, 0.72, 0.2, confident=True)
    visit.open("/?q=red&copies=apart")
    expect(visit.status).to_contain_text(["2 likely matches for red"])
    scores = visit.page.locator(".hit .score")
    expect(scores.nth(1)).to_have_text("72 %")
    expect(scores.nth(1)).to_be_visible()
    expect(scores.nth(2)).to_have_text("42 %")
    expect(scores.nth(2)).to_be_hidden()
    visit.hits.nth(0).locator(".open").click()
    visit.page.keyboard.press("ArrowRight")
    expect(visit.dialog.get_by_text("72 %")).to_be_visible()


def scores(visit):
    """Of all hits, in their order, be they folded away or not."""
    return visit.page.locator(".hit .score").all_text_contents()


def test_likely_matches_of_later_pages_stand_before_the_fold(visit):
    """They were folded away with the less likely ones of earlier pages, and one stepped to them after all of those."""
    answered_with(visit, 0.9, 0.2, later=(0.8, 0.3, 0.7, 0.1), confident=True)
    visit.open("/?q=red")
    visit.page.get_by_role("button", name="Less likely").click()
    visit.scroll_to_end()
    expect(visit.status).to_contain_text(["3 likely matches for red"])
    ordered = ["90 %", "80 %", "70 %", *["20 %"] * 23, "30 %", *["10 %"] * 4]
    assert scores(visit) == ordered
    visit.page.get_by_role("button", name="Less likely").click()
    expect(visit.hits.nth(2)).to_be_visible()
    expect(visit.hits.nth(3)).to_be_hidden()
    visit.page.keyboard.press("/")
    for key in ("ArrowDown", "End", "Enter", "ArrowLeft"):
        visit.page.keyboard.press(key)
    expect(visit.dialog.get_by_text("80 %")).to_be_visible()
    expect(visit.dialog.get_by_text("2 of 31")).to_be_visible()
    visit.page.keyboard.press("Escape")
    expect(visit.page.locator(".open").nth(1)).to_be_focused()
    visit.search("blue")
    expect(visit.status).to_contain_text(["1 likely match for blue"])
    visit.page.go_back()
    expect(visit.status).to_contain_text(["3 likely matches for red"])
    assert scores(visit) == ordered


def test_a_reload_asks_for_the_hits_that_are_folded_away_too(visit):
    """There were as many hits as had been in sight, so that a likely match of a later page was gone."""
    first, later = [*[0.9] * 23, 0.2], (0.8, 0.1)
    answered_with(visit, *first, *later, later=later, confident=True)
    visit.open("/?q=red")
    visit.scroll_to_end()
    expect(visit.hits).to_have_count(31)
    visit.page.mouse.wheel(0, -50)
    visit.page.wait_for_function("() => history.state?.place?.count === 31")
    visit.page.reload()
    expect(visit.hits).to_have_count(31)
    expect(visit.status).to_contain_text(["24 likely matches for red"])


def test_what_is_looked_at_stays_in_its_place_when_likely_matches_come_before_it(visit):
    held = []
    answered_with(visit, 0.9, 0.2, later=(0.8,), confident=True)
    visit.page.route("**/v1/search/text?*cursor=*", lambda route: held.append(route))  # noqa: PLW0108 - Playwright counts parameters
    visit.open("/?q=red&unlikely=shown")
    expect(visit.hits.last).to_be_visible()
    with visit.page.expect_request("**/v1/search/text?*cursor=*"):
        visit.page.evaluate(
            "scrollTo(0, document.body.scrollHeight - innerHeight - 200)"
        )  # near the end, from which it could not go on
    seen = visit.hits.nth(20).locator("img")
    name, place = seen.get_attribute("alt"), seen.bounding_box()
    held[0].fallback()
    expect(visit.status).to_contain_text(["8 likely matches for red"])
    assert visit.page.get_by_alt_text(name, exact=True).bounding_box() == pytest.approx(place, abs=1)


def test_who_tries_again_goes_on_at_the_fold_where_all_that_is_new_is_behind_it(visit):
    answered_with(visit, 0.9, later=(0.1,), confident=True)
    visit.page.route("**/v1/search/text?*cursor=*", lambda route: route.abort())
    visit.open("/?q=red")
    visit.scroll_to_end()
    again = visit.page.get_by_role("button", name="Try again")
    expect(again).to_be_visible()
    visit.page.unroute("**/v1/search/text?*cursor=*")
    again.press("Enter")
    expect(visit.page.get_by_role("button", name="Show less likely images")).to_be_focused()


def test_more_is_loaded_while_most_of_a_page_is_likely(visit):
    """Of "a scene with two paper kites in it" 21 of the first 24 were likely, and one of the next, which was behind the fold."""
    answered_with(visit, *[0.9] * 20, 0.2, later=(0.8, 0.1), confident=True)
    visit.open("/?q=red")
    expect(visit.status).to_contain_text(["20 likely matches so far for red"])
    visit.scroll_to_end()
    expect(visit.status).to_contain_text(["21 likely matches for red"])
    expect(visit.hits.nth(20)).to_be_visible()
    expect(visit.hits.nth(21)).to_be_hidden()


def test_of_a_confident_answer_without_a_likely_hit_none_is_folded_away(visit):
    """One of several may well be it, though each is unlikely to be: "Nothing matches this well" was said of such answers."""
    answered_with(visit, 0.4, 0.3, later=(0.6, 0.3), confident=True)
    visit.open("/?q=red")
    expect(visit.status).to_contain_text(["24 images so far, closest to red"])
    expect(visit.hits.nth(23)).to_be_visible()
    expect(visit.page.get_by_role("heading", name="Nothing matches this well")).to_be_hidden()
    visit.scroll_to_end()
    expect(visit.status).to_contain_text(["31 images closest to red"])
    expect(visit.page.get_by_role("button", name="Less likely")).to_have_count(0)


@pytest.mark.parametrize("context_options", [{"viewport": {"width": width, "height": 800}} for width in (390, 1280)])
def test_what_is_loaded_is_not_taken_for_all_there_is(visit):
    """There were "24 images closest to red", and after scrolling some other number of likely matches."""
    answered_with(visit, 0.9, confident=True)
    visit.open("/?q=red")
    expect(visit.status).to_contain_text(["24 likely matches so far for red"])
    expect(visit.page.get_by_text("24 likely matches so far")).to_be_visible()
    filters, select = (visit.page.get_by_role("button", name=name, exact=True) for name in ("Filters", "Select"))
    assert filters.bounding_box()["y"] == select.bounding_box()["y"]  # which was alone below them
    visit.scroll_to_end()
    expect(visit.status).to_contain_text(["31 likely matches for red"])


def test_a_similarity_is_not_shown_in_the_place_of_a_probability(visit):
    """Percentages became numbers such as 0.69 once a search was refined, and nothing said what they were."""
    visit.open("/?q=red")
    expect(visit.hits.first.locator(".score")).to_have_text("")
    visit.hits.first.locator(".open").click()
    expect(visit.dialog.get_by_text("Similarity")).to_be_visible()


def test_that_it_is_unfolded_is_in_the_address(visit):
    answered_with(visit, 0.93, 0.2, confident=True)
    visit.open("/?q=red")
    visit.page.get_by_role("button", name="Less likely").click()
    visit.expect_address("/?q=red&unlikely=shown")
    visit.page.reload()
    expect(visit.hits.nth(1)).to_be_visible()
    visit.search("blue")
    expect(visit.hits.nth(0)).to_be_visible()
    expect(visit.hits.nth(1)).to_be_hidden()
    visit.page.go_back()
    expect(visit.hits.nth(1)).to_be_visible()
    visit.page.get_by_role("button", name="Less likely").click()
    visit.expect_address("/?q=red")
    expect(visit.hits.nth(1)).to_be_hidden()


def test_that_nothing_matches_is_said_and_the_closest_can_be_seen_all_the_same(visit):
    answered_with(visit, 0.1, confident=False)
    visit.open("/?q=red")
    expect(visit.page.get_by_role("heading", name="Nothing matches this well")).to_be_visible()
    expect(visit.hits.first).to_be_hidden()
    visit.page.get_by_role("button", name="Show the closest images all the same").click()
    expect(visit.hits.first).to_be_visible()
    visit.page.reload()
    expect(visit.hits.first).to_be_visible()
    expect(visit.page.get_by_role("button", name="Hide the closest images")).to_be_visible()
    expect(visit.page.get_by_role("heading", name="Nothing matches this well")).to_be_visible()


def test_that_nothing_matches_is_said_no_longer_once_something_does(visit):
    answered_with(visit, 0.1, later=(0.9, 0.1), confident=False)
    visit.open("/?q=red&unlikely=shown")
    doubt = visit.page.get_by_role("heading", name="Nothing matches this well")
    expect(doubt).to_be_visible()
    visit.scroll_to_end()
    expect(visit.status).to_contain_text(["1 likely match for red"])
    expect(doubt).to_be_hidden()
    expect(visit.page.get_by_role("button", name="Hide less likely images")).to_be_visible()


def test_no_page_is_left_empty_where_all_is_less_likely(visit):
    """With several terms, whose answer does not say whether it is confident, nothing was seen but the button."""
    answered_with(visit, 0.1, confident=None)
    visit.open("/?q=red")
    expect(visit.page.get_by_role("heading", name="Nothing matches this well")).to_be_visible()


def test_without_a_calibration_nothing_is_folded(visit):
    visit.open("/?q=red")
    expect(visit.hits.nth(23)).to_be_visible()
    expect(visit.page.get_by_role("button", name="Less likely")).to_have_count(0)
    expect(visit.page.get_by_role("heading", name="Nothing matches this well")).to_be_hidden()


def test_images_that_look_alike_stay_in_sight_though_few_show_the_same(visit):
    answered_with(visit, 0.4, 0.2, 0.02, confident=False, of="**/similar?*")
    visit.open(f"/?like={image_id('red/0.png')}")
    expect(visit.hits.nth(1)).to_be_visible()
    expect(visit.hits.nth(2)).to_be_hidden()
    expect(visit.status).to_contain_text(["2 images most like this one"])
    expect(visit.page.get_by_role("heading", name="Nothing matches this well")).to_be_hidden()


def test_no_images_are_counted_where_none_is_alike(visit):
    """Over a page on which nothing was seen stood "24 images so far, most like this one"."""
    answered_with(visit, 0.02, confident=False, of="**/similar?*")
    visit.open(f"/?like={image_id('red/0.png')}")
    expect(visit.page.get_by_role("heading", name="Nothing matches this well")).to_be_visible()
    expect(visit.page.locator(".summary .how")).to_have_text("")
    expect(visit.status).to_contain_text(["No likely match"])


def test_a_hit_whose_name_or_description_has_the_words_says_so(visit):
    answered_with(visit, 0.9, confident=True, matched=["key", "caption", "tags"])
    visit.open("/?q=red")
    expect(visit.hits.first).to_contain_text("words in its name and description")
    visit.hits.first.locator(".open").click()
    expect(visit.dialog.get_by_text("Also found by")).to_be_visible()
    expect(visit.dialog.get_by_text("words in its name and description", exact=True)).to_be_visible()
