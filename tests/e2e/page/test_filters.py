"""Searching among images of which something is known: the filter panel, its chips, and what each leaves."""

import json
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from ml_api.embedding.fake import COLOURS
from ml_api.records import image_id
from tests.e2e.page.stage import SCRIPT, picture, serving, visiting

FIRST_RED = image_id("red/0.png")
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
BRANDS = ("acme", "acme", "acme", "bolt", "bolt", SCRIPT)
"""Of the images of the shop, in the order of their prices: 10, 20 and so on."""


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """Six red images in two folders, of which everything is known that a filter can ask for."""
    folder = tmp_path_factory.mktemp("shop")
    rows = []
    for at, brand in enumerate(BRANDS):
        key = f"{'new' if at > 3 else 'old'}/{at}.png"
        file = folder / key
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(picture((220 - 3 * at, 30, 30)))
        known = {
            "brand": brand,
            "price": 10 * (at + 1),
            "sold": at % 2 == 0,
            "since": f"2026-0{at + 1}-15T12:00",
            "tags": ["any", f"t{at}"],
        }
        rows.append(json.dumps({"key": key, "title": f"number {at}", **known}))
    (folder / "metadata.jsonl").write_text("\n".join(rows))
    with serving(folder) as server:
        yield server


@pytest.fixture
def shopping(context, shop):
    with visiting(context, shop) as visit:
        visit.open("/?q=red")
        visit.page.get_by_role("button", name="Filters").click()
        expect(group(visit, "Brand")).to_be_visible()
        yield visit


def panel(visit):
    return visit.page.get_by_role("dialog", name="Filters")


def group(visit, name):
    return panel(visit).get_by_role("group", name=name, exact=True)


def chips(visit):
    return visit.page.get_by_role("list", name="Also part of this search").get_by_role("listitem")


def unfold(visit, name):
    panel(visit).locator("summary", has_text=name).click()


def test_values_are_chosen_with_their_counts_and_are_in_the_address(shopping):
    brand = group(shopping, "Brand")
    expect(brand.get_by_role("listitem")).to_have_text(["acme3", "bolt2", f"{SCRIPT}1"])
    brand.get_by_label("bolt").check()
    expect(shopping.hits).to_have_count(2)
    brand.get_by_label(SCRIPT).check()
    expect(shopping.hits).to_have_count(3)
    expect(chips(shopping)).to_have_text(f"Brand is one of bolt, {SCRIPT}")
    expect(shopping.page.get_by_role("button", name="Filters 1")).to_be_visible()
    shopping.page.reload()
    expect(shopping.hits).to_have_count(3)
    shopping.page.go_back()
    expect(shopping.hits).to_have_count(2)
    expect(chips(shopping)).to_have_text("Brand is bolt")


def test_flags_numbers_days_lists_and_folders_each_have_a_control(shopping):
    group(shopping, "Sold").get_by_label("yes").check()
    expect(shopping.hits).to_have_count(3)
    price = group(shopping, "Price")
    expect(price.get_by_label("Price, from")).to_have_attribute("placeholder", "10")
    price.get_by_label("Price, to").fill("30")
    price.get_by_label("Price, to").press("Enter")
    expect(shopping.hits).to_have_count(2)
    group(shopping, "Since").get_by_label("Since, to").fill("2026-01-15")
    group(shopping, "Since").get_by_label("Since, to").press("Tab")
    expect(shopping.hits).to_have_count(1)
    expect(chips(shopping)).to_have_text(["Sold is yes", "Price at most 30", "Since before 2026-01-16"])
    panel(shopping).get_by_role("button", name="Remove all").click()
    expect(shopping.hits).to_have_count(6)
    group(shopping, "Tags").get_by_label("any").check()
    expect(chips(shopping)).to_have_text("Tags has any")
    unfold(shopping, "File name")
    group(shopping, "File name").get_by_role("textbox").fill("new/")
    group(shopping, "File name").get_by_role("textbox").press("Enter")
    expect(shopping.hits).to_have_count(2)
    [chosen] = parse_qs(urlsplit(shopping.page.url).query)["filter"]
    assert json.loads(chosen) == {"tags": {"any": ["any"]}, "key": {"prefix": "new/"}}


def test_the_panel_shows_what_the_address_asks_for(shopping):
    shopping.open('/?q=red&filter={"price":{"gte":20,"lte":30},"brand":{"in":["acme","rare"]},"since":{"lt":"2026-03-16"}}')
    expect(shopping.hits).to_have_count(2)
    shopping.page.get_by_role("button", name="Filters 3").click()
    expect(group(shopping, "Price").get_by_label("Price, from")).to_have_value("20")
    expect(group(shopping, "Price").get_by_label("Price, to")).to_have_value("30")
    expect(group(shopping, "Since").get_by_label("Since, to")).to_have_value("2026-03-15")
    expect(group(shopping, "Brand").get_by_label("acme")).to_be_checked()
    expect(group(shopping, "Brand").get_by_label("rare")).to_be_checked()
    chips(shopping).first.get_by_role("button", name="Remove the filter").click()
    expect(group(shopping, "Price").get_by_label("Price, from")).to_have_value("")


def test_all_images_can_be_looked_through_and_sifted(shop, context):
    with visiting(context, shop) as visit:
        visit.open()
        visit.page.get_by_role("link", name="look through all").click()
        visit.expect_address("/?view=images")
        expect(visit.hits).to_have_count(6)
        expect(visit.status).to_contain_text(["6 images in no particular order"])
        visit.page.get_by_role("button", name="Filters").click()
        group(visit, "Brand").get_by_label("bolt").check()
        expect(visit.hits).to_have_count(2)
        visit.search("red")
        expect(visit.status).to_contain_text(["2 images closest to red"])
        visit.page.get_by_role("searchbox").fill("")
        expect(visit.status).to_contain_text(["2 images that pass the filters"])


def test_what_leaves_nothing_is_said_and_which_filter_would_have_to_be_loosened(shopping):
    group(shopping, "Brand").get_by_label("bolt").check()
    group(shopping, "Price").get_by_label("Price, to").fill("20")
    group(shopping, "Price").get_by_label("Price, to").press("Enter")
    alert = shopping.page.get_by_role("alert")
    expect(alert).to_contain_text("Nothing passes the filters")
    expect(alert.get_by_role("listitem")).to_have_text(
        ["Without “Brand is bolt”", "Without “Price at most 20”", "Remove all filters"]
    )
    alert.get_by_role("button", name="Without “Brand is bolt”").click()
    expect(shopping.hits).to_have_count(2)
    expect(group(shopping, "Brand").get_by_label("bolt")).not_to_be_checked()
    shopping.open('/?view=images&filter={"price":{"gt":900},"brand":{"eq":"none"}}')
    expect(alert.get_by_role("listitem")).to_have_text(["Remove all filters"])


def test_counts_are_those_of_what_is_found(shopping):
    price = group(shopping, "Price")
    price.get_by_label("Price, from").fill("40")
    price.get_by_label("Price, from").press("Enter")
    expect(group(shopping, "Brand").get_by_role("listitem")).to_have_text(["bolt2", f"{SCRIPT}1", "acme0"])
    expect(panel(shopping).get_by_role("status")).to_have_text("Counted over the best 3 hits.")


def test_a_field_that_is_chosen_from_counts_what_else_could_be_chosen(shopping):
    """It had the counts of all images, below which it was said that the best hits were counted."""
    group(shopping, "Price").get_by_label("Price, to").fill("40")
    group(shopping, "Price").get_by_label("Price, to").press("Enter")
    group(shopping, "Brand").get_by_label("bolt").check()
    expect(shopping.hits).to_have_count(1)
    expect(group(shopping, "Brand").get_by_role("listitem")).to_have_text(["acme3", "bolt1", f"{SCRIPT}0"])
    expect(group(shopping, "Sold").get_by_role("listitem")).to_have_text(["no1", "yes0"])
    expect(panel(shopping).get_by_role("status")).to_have_text("Counted over the best hit.")


def test_a_field_is_counted_when_it_is_opened(shopping):
    unfold(shopping, "Sold")
    group(shopping, "Price").get_by_label("Price, to").fill("10")
    group(shopping, "Price").get_by_label("Price, to").press("Enter")
    expect(shopping.hits).to_have_count(1)
    unfold(shopping, "Sold")
    expect(group(shopping, "Sold").get_by_role("listitem")).to_have_text(["yes1", "no0"])


def test_without_a_search_the_counts_are_those_of_all_images_and_say_so(shop, context):
    with visiting(context, shop) as visit:
        visit.open('/?view=images&filter={"price":{"lte":30}}')
        visit.page.get_by_role("button", name="Filters").click()
        expect(group(visit, "Brand").get_by_role("listitem")).to_have_text(["acme3", "bolt2", f"{SCRIPT}1"])
        expect(panel(visit).get_by_role("status")).to_have_text("Counted over all images, without the filters.")


def test_the_open_panel_belongs_to_the_entry_of_the_history_not_to_the_address(shopping):
    shopping.expect_address("/?q=red")
    shopping.page.reload()
    expect(group(shopping, "Brand")).to_be_visible()
    panel(shopping).get_by_role("button", name="Close the filters").click()
    shopping.search("blue")
    expect(shopping.hits).to_have_count(6)
    shopping.page.get_by_role("button", name="Filters").click()
    group(shopping, "Brand").get_by_label("bolt").check()
    expect(shopping.hits).to_have_count(2)
    shopping.page.go_back()
    expect(shopping.hits).to_have_count(6)
    expect(panel(shopping)).to_be_visible()
    shopping.page.go_back()
    expect(panel(shopping)).to_be_hidden()
    shopping.page.go_forward()
    expect(panel(shopping)).to_be_visible()
    expect(shopping.page.get_by_role("button", name="Filters", exact=True)).to_have_attribute("aria-expanded", "true")


def test_the_panel_is_reached_and_left_by_keys(shopping):
    keys = shopping.page.keyboard
    keys.press("Tab")
    expect(panel(shopping).locator("summary").first).to_be_focused()
    keys.press("Tab")
    keys.press("Space")
    expect(chips(shopping)).to_have_text("Brand is acme")
    expect(group(shopping, "Brand").get_by_label("acme")).to_be_focused()
    keys.press("m")
    keys.press("Escape")
    expect(panel(shopping)).to_be_hidden()
    expect(shopping.page.get_by_role("button", name="Filters 1")).to_be_focused()


@pytest.mark.parametrize("context_options", [PHONE])
def test_on_a_phone_it_is_a_sheet_over_the_results(shopping):
    assert shopping.page.evaluate("document.querySelector('.filters').matches(':modal')")
    box = panel(shopping).bounding_box()
    assert (box["x"], box["width"], round(box["y"] + box["height"])) == (0, 390, 844)
    group(shopping, "Brand").get_by_label("bolt").check()
    panel(shopping).get_by_role("button", name="Show results").click()
    expect(panel(shopping)).to_be_hidden()
    expect(shopping.hits).to_have_count(2)


def test_a_fact_leads_to_what_else_has_it_and_its_chip_takes_it_back(visit):
    visit.open(f"/?q=blue&image={FIRST_RED}")
    visit.dialog.get_by_role("link", name="warm, plain").click()
    expect(visit.hits).to_have_count(1)
    visit.expect_first("the first red")
    visit.page.reload()
    expect(visit.hits).to_have_count(1)
    expect(chips(visit)).to_have_text("Tags has all of warm, plain")
    chips(visit).get_by_role("button", name="Remove the filter: Tags has all of warm, plain").click()
    expect(visit.hits).to_have_count(24)
    visit.expect_address("/?q=blue")


def test_nothing_that_passes_is_said_so(visit):
    visit.open('/?q=blue&filter={"tags":{"any":["cold"]}}')
    expect(visit.page.get_by_role("alert")).to_contain_text("Nothing passes the filters")
    expect(visit.page.get_by_role("button", name="Remove the filter: Tags has cold")).to_be_visible()
    visit.page.get_by_role("button", name="Remove the filter: Tags has cold").click()
    visit.expect_first("blue")


@pytest.mark.parametrize("search", ["q=blue&", "q=blue&q=red&w=1,-0.5&", ""])
@pytest.mark.parametrize("broken", ['{"tags":{"any":["war', "5", '{"tags":{"like":"warm"}}'])
def test_a_filter_that_cannot_be_read_is_said_so_and_can_be_dropped(visit, search, broken):
    """It was left out without a word, and all that it was to leave out looked like what was found."""
    visit.open(f"/?{search}filter={broken}")
    expect(visit.page.get_by_role("alert")).to_contain_text("The filter cannot be read")
    expect(visit.hits).to_have_count(0)
    expect(chips(visit).get_by_role("button", name="Remove the filter")).to_be_visible()
    visit.page.get_by_role("button", name="Remove all filters").click()
    expect(visit.hits).to_have_count(24)
    expect(visit.page.get_by_role("alert")).to_be_hidden()
    assert "filter=" not in visit.page.url


@pytest.mark.parametrize("search", ["q=blue&", ""])
def test_a_field_that_no_image_has_is_named_with_the_nearest(visit, search):
    visit.open(f'/?{search}filter={{"tagz":{{"any":["warm"]}}}}')
    expect(visit.page.get_by_role("alert")).to_contain_text("tagz is a field that no image has; the nearest are tags.")


def test_what_is_doubtful_of_a_filter_does_not_part_the_advice_from_its_buttons(visit):
    visit.open('/?filter={"qqqq":{"eq":"warm"},"tags":{"any":["warm"]}}')
    detail = visit.page.locator(".notice-detail")
    expect(detail).to_have_text("qqqq is a field that no image has. No image has all that they ask for. Leave one out:")


def test_a_fact_that_is_called_as_something_of_the_image_itself_is_told_from_it(context, tmp_path):
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(picture(COLOURS["red"]))
    (tmp_path / "metadata.jsonl").write_text('{"key": "a.png", "width": 7, "labels": []}\n')
    with serving(tmp_path) as server, visiting(context, server) as visit:
        visit.open(f"/?q=red&image={image_id('a.png')}")
        expect(visit.dialog.get_by_text("Labels")).to_have_count(0)
        visit.dialog.get_by_role("link", name="7", exact=True).click()
        expect(visit.hits).to_have_count(1)
        visit.expect_first("a.png")


def test_a_listing_says_how_many_images_there_are_not_how_many_are_shown(visit):
    visit.open("/?view=images")
    expect(visit.status).to_contain_text(["31 images in no particular order"])
    expect(visit.hits).to_have_count(24)
    visit.open('/?filter={"height":{"gte":60}}')
    expect(visit.status).to_contain_text(["31 images that pass the filters"])
    expect(visit.hits).to_have_count(24)
    visit.hits.first.locator(".open").click()
    expect(visit.dialog.get_by_role("status")).to_contain_text("1 of 31")
