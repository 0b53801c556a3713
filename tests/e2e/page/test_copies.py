"""Images that are stored more than once take one place among the results, and the others are one click away."""

import pytest
from PIL import Image
from playwright.sync_api import expect

from ml_api.embedding.fake import COLOURS
from ml_api.records import image_id
from tests.e2e.page.stage import picture, serving, visiting


@pytest.fixture
def visit(context, tmp_path):
    """Three equal red images and a blue one."""
    for name, colour in (("a.png", "red"), ("b.png", "red"), ("c.png", "red"), ("other.png", "blue")):
        (tmp_path / name).write_bytes(picture(COLOURS[colour]))
    with serving(tmp_path) as server, visiting(context, server) as visit:
        visit.open("/?q=red")
        yield visit


def copies(visit):
    return visit.page.get_by_role("button", name="3 copies")


def test_copies_are_shown_beside_the_one_that_stands_for_them(visit):
    expect(visit.hits).to_have_count(2)
    copies(visit).click()
    expect(visit.hits).to_have_count(4)
    names = visit.page.locator(".hit .name").all_inner_texts()
    assert sorted(names[:3]) == ["a.png", "b.png", "c.png"]
    visit.hits.nth(1).locator(".open").click()
    expect(visit.dialog).to_have_accessible_name(names[1])
    visit.page.keyboard.press("Escape")
    copies(visit).click()
    expect(visit.hits).to_have_count(2)


def test_each_copy_has_a_place_of_its_own_where_that_is_wanted(visit):
    visit.page.get_by_role("button", name="Filters").click()
    visit.page.get_by_label("Show copies apart").check()
    expect(visit.hits).to_have_count(4)
    visit.expect_address("/?q=red&copies=apart")
    visit.page.reload()
    expect(visit.hits).to_have_count(4)
    expect(copies(visit)).to_have_count(0)


def test_copies_are_judged_as_every_hit_is(visit):
    copies(visit).click()
    copy = visit.hits.nth(1)
    copy.hover()
    with visit.page.expect_response("**/v1/feedback") as answer:
        copy.get_by_role("button", name="Good match").click()
    assert answer.value.ok
    name = copy.locator(".name").inner_text()
    assert answer.value.request.post_data_json["id"] == image_id(name)
    visit.page.get_by_role("button", name="Refine the search").click()
    expect(visit.page.get_by_text("Refined by 1 mark")).to_be_visible()


def test_opened_copies_are_in_the_address(visit):
    leader = image_id(visit.hits.first.locator(".name").inner_text())
    copies(visit).click()
    visit.expect_address(f"/?q=red&opened={leader}")
    visit.page.reload()
    expect(visit.hits).to_have_count(4)
    expect(copies(visit)).to_have_attribute("aria-expanded", "true")
    visit.search("blue")
    visit.expect_first("other")
    visit.page.go_back()
    expect(visit.hits).to_have_count(4)
    copies(visit).click()
    visit.expect_address("/?q=red")
    expect(visit.hits).to_have_count(2)


def test_when_the_one_that_stands_for_copies_is_deleted_another_takes_its_place(visit):
    first = visit.hits.first.locator(".name").inner_text()
    visit.page.get_by_role("button", name="Select").click()
    visit.page.get_by_role("checkbox", name=f"Select {first}").check()
    visit.page.get_by_role("region", name="Selection").get_by_role("button", name="Delete").click()
    visit.page.get_by_role("dialog", name="Delete 1 image?").get_by_role("button", name="Delete").click()
    visit.page.get_by_role("button", name="Done").click()
    expect(visit.page.get_by_role("button", name="2 copies")).to_be_visible()
    expect(visit.hits).to_have_count(2)
    expect(visit.hits.first.locator(".name")).not_to_have_text(first)


def test_what_is_nearly_the_same_is_not_called_a_copy(context, tmp_path):
    drawn = Image.new("RGB", (80, 60), COLOURS["red"])
    drawn.paste(COLOURS["pink"], (10, 10, 50, 40))
    drawn.save(tmp_path / "a.png")
    drawn.save(tmp_path / "b.bmp")
    with serving(tmp_path) as server, visiting(context, server) as visit:
        visit.open("/?q=red")
        visit.page.get_by_role("button", name="2 alike").click()
        expect(visit.hits).to_have_count(2)
        visit.open("/?view=duplicates")
        expect(visit.page.get_by_role("heading", name="Probably the same picture: 2 files")).to_be_visible()
        expect(visit.page.get_by_text("A guess, by how they look")).to_be_visible()
