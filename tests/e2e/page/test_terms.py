"""Searches made of several words and images, each wanted or not."""

import re
from urllib.parse import urlencode

import pytest
from playwright.sync_api import expect

from ml_api.records import image_id
from tests.e2e.page.test_own_image import choose

FIRST_RED = image_id("red/0.png")


@pytest.fixture
def composed(visit):
    """What was asked for by the last composed search."""

    def act(change):
        with visit.page.expect_request("**/v1/search") as asked:
            change()
        return asked.value.post_data_json["query"]

    return act


def chip(visit, text):
    return visit.page.get_by_role("list", name="Also part of this search").get_by_role("listitem").filter(has_text=text)


def test_a_minus_leaves_something_out_and_becomes_a_chip(visit, composed):
    visit.open()
    terms = composed(lambda: visit.search('red car -logo \N{MINUS SIGN}text:"blue sky" t-shirt'))
    assert terms == [
        {"text": "red car t-shirt", "weight": 1},
        {"text": "logo", "weight": -0.5},
        {"text": "blue sky", "weight": -0.5},
    ]
    expect(visit.page.get_by_role("searchbox")).to_have_value("red car t-shirt")
    expect(chip(visit, "logo")).to_be_visible()
    visit.expect_address("/?q=red+car+t-shirt&q=logo&q=blue+sky&w=1%2C-0.5%2C-0.5")
    expect(visit.page).to_have_title("red car t-shirt \N{MINUS SIGN} logo \N{MINUS SIGN} blue sky · Image search")


@pytest.mark.parametrize("come_by", ["address", "box"])
@pytest.mark.parametrize(
    ("typed", "terms"),
    [
        ("dog -snow", [{"text": "dog", "weight": 1}, {"text": "snow", "weight": -0.5}]),
        ("-snow", [{"text": "snow", "weight": -0.5}]),
        ('-"20 \N{EURO SIGN}" dog', [{"text": "dog", "weight": 1}, {"text": "20 \N{EURO SIGN}", "weight": -0.5}]),
        ("below -20 or -.5 degrees -snow", [{"text": "below -20 or -.5 degrees", "weight": 1}, {"text": "snow", "weight": -0.5}]),
    ],
)
def test_words_of_an_address_are_read_as_those_in_the_box(visit, composed, come_by, typed, terms):
    """A bookmark or a search engine of the browser searched for "dog -snow" as it stands: for dogs in the snow."""
    if come_by == "address":
        asked = composed(lambda: visit.open(f"/?{urlencode({'q': typed})}"))
    else:
        visit.open()
        asked = composed(lambda: visit.search(typed))
    assert asked == terms
    wanted = [term["text"] for term in terms if term["weight"] == 1]
    expect(visit.page.get_by_role("searchbox")).to_have_value("".join(wanted))
    expect(chip(visit, terms[-1]["text"])).to_have_class(re.compile("less"))


def test_words_with_a_weight_of_their_own_are_taken_as_they_stand(visit, composed):
    """They come from chips, where they were read."""
    terms = composed(lambda: visit.open(f"/?{urlencode({'q': 'a -b', 'w': -0.5})}"))
    assert terms == [{"text": "a -b", "weight": -0.5}]


def test_what_is_searched_for_by_what_it_is_not_is_said_so(visit):
    visit.open("/?q=-red")
    expect(visit.status).to_contain_text(["least like red"])
    expect(visit.page.get_by_role("button", name="Less like “red”")).to_be_visible()
    names = visit.page.locator(".hit .name")
    assert not any("red" in name for name in names.all_text_contents()[:24])


def test_words_are_set_aside_and_others_are_added(visit, composed):
    visit.open("/?q=red")
    visit.expect_first("red")
    visit.page.get_by_role("button", name="Add further words").click()
    expect(visit.page.get_by_role("searchbox")).to_have_value("")
    expect(visit.page.get_by_role("searchbox")).to_be_focused()
    assert composed(lambda: visit.search("blue")) == [{"text": "blue", "weight": 1}, {"text": "red", "weight": 1}]


def test_a_chip_changes_its_sign_and_weight_keeps_the_focus_and_goes(visit, composed):
    visit.open("/?q=red&q=blue&w=1,-0.5")
    sign = visit.page.get_by_role("button", name="Less like “blue”")
    expect(sign).to_have_attribute("aria-pressed", "true")
    assert composed(sign.click)[1] == {"text": "blue", "weight": 0.5}
    expect(sign).to_be_focused()
    weight = visit.page.get_by_role("combobox", name="How much “blue” counts")
    assert composed(lambda: weight.select_option("doubly"))[1] == {"text": "blue", "weight": 2}
    visit.page.get_by_role("button", name="Remove these words from the search").click()
    visit.expect_address("/?q=red")
    visit.expect_first("red")
    expect(visit.page.get_by_role("searchbox")).to_be_focused()


def test_more_and_less_like_a_hit_become_terms(visit, composed):
    visit.open("/?q=red")
    visit.expect_first("red")
    hit = visit.page.get_by_role("listitem").filter(has_text="the first red")
    hit.hover()
    terms = composed(lambda: hit.get_by_role("link", name="Less like this: the first red").click())
    assert terms == [{"text": "red", "weight": 1}, {"id": FIRST_RED, "weight": -0.5}]
    expect(visit.page.get_by_alt_text("Searching with the first red")).to_be_visible()
    visit.open(f"/?q=red&image={FIRST_RED}")
    terms = composed(lambda: visit.dialog.get_by_role("link", name="Add to search").click())
    assert terms == [{"text": "red", "weight": 1}, {"id": FIRST_RED, "weight": 1}]


def test_an_image_of_ones_own_and_words_are_searched_for_together(visit, composed):
    visit.open()
    choose(visit)
    visit.expect_first("green")
    text, image = composed(lambda: visit.search("red"))
    assert text == {"text": "red", "weight": 1}
    assert image["image"].startswith("data:image/png;base64,")
    visit.expect_address("/?q=red")
    visit.page.go_back()
    visit.expect_first("green")
    expect(visit.page.get_by_role("searchbox")).to_have_value("")
