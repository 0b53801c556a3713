"""Good and bad marks on hits: each is a judgement, and together they refine the search."""

import pytest
from playwright.sync_api import expect

from ml_api.records import image_id

FIRST_RED = image_id("red/0.png")
FIRST_BLUE = image_id("blue/0.png")


@pytest.fixture
def results(visit):
    visit.open("/?q=red")
    visit.expect_first("red")
    return visit


@pytest.fixture
def judged(results):
    """What was told by the last judgement; the answer says that it counts."""

    def act(change):
        with results.page.expect_response("**/v1/feedback") as answer:
            change()
        assert answer.value.ok
        return answer.value.request.post_data_json

    return act


def mark(visit, name, caption):
    hit = visit.page.get_by_role("listitem").filter(has_text=caption)
    hit.hover()
    return hit.get_by_role("button", name=f"{name}: {caption}")


def bar(visit):
    return visit.page.get_by_role("region", name="Marks")


def test_marks_are_told_and_refine_the_search_and_a_chip_takes_them_back(results, judged):
    with results.page.expect_response("**/v1/search/text*") as answer:
        results.page.reload()
    told = judged(mark(results, "Good match", "blue/0.png").click)
    assert told == {"query_id": answer.value.json()["query_id"], "id": FIRST_BLUE, "verdict": "relevant"}
    assert judged(mark(results, "Bad match", "the first red").click)["verdict"] == "irrelevant"
    expect(bar(results)).to_contain_text("2 marks")
    bar(results).get_by_role("button", name="Refine the search").click()
    results.expect_address(f"/?q=red&more={FIRST_BLUE}&less={FIRST_RED}")
    expect(results.page.get_by_text("Refined by 2 marks")).to_be_visible()
    expect(bar(results)).to_be_hidden()
    expect(results.page.get_by_alt_text("the first red")).to_have_count(0)
    expect(mark(results, "Good match", "blue/0.png")).to_have_attribute("aria-pressed", "true")
    results.page.reload()
    expect(results.page.get_by_text("Refined by 2 marks")).to_be_visible()
    results.page.get_by_role("button", name="Search without the marks").click()
    results.expect_address("/?q=red")


def test_a_mark_is_taken_back_by_pressing_it_again(results, judged):
    good = mark(results, "Good match", "the first red")
    judged(good.click)
    expect(good).to_have_attribute("aria-pressed", "true")
    assert judged(good.click)["verdict"] == "none"
    expect(good).to_have_attribute("aria-pressed", "false")
    expect(bar(results)).to_be_hidden()


def test_keys_and_the_large_view_mark_too(results, judged):
    results.page.keyboard.press("/")
    results.page.keyboard.press("ArrowDown")
    assert judged(lambda: results.page.keyboard.press("b"))["verdict"] == "irrelevant"
    assert judged(lambda: results.page.keyboard.press("Enter"))["verdict"] == "clicked"
    expect(results.dialog.get_by_role("button", name="Bad match")).to_have_attribute("aria-pressed", "true")
    assert judged(results.dialog.get_by_role("button", name="Good match").click)["verdict"] == "relevant"
    results.page.keyboard.press("Escape")
    bar(results).get_by_role("button", name="Forget them").click()
    expect(bar(results)).to_be_hidden()
    results.expect_address("/?q=red")


def test_other_words_forget_the_marks_and_a_filter_keeps_them(results):
    results.open(f"/?q=red&more={FIRST_BLUE}")
    expect(results.page.get_by_text("Refined by 1 mark")).to_be_visible()
    results.page.get_by_role("button", name="Filters").click()
    results.page.get_by_role("checkbox", name="warm").check()
    expect(results.hits).to_have_count(1)
    expect(results.page.get_by_text("Refined by 1 mark")).to_be_visible()
    results.search("pink")
    expect(results.page.get_by_text("Refined by 1 mark")).to_have_count(0)


def test_a_listing_is_not_judged(results):
    results.open("/?view=images")
    expect(results.hits).to_have_count(24)
    expect(results.page.locator(".mark").first).to_be_hidden()
