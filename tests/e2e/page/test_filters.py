"""Searching among images of which something is known."""

from playwright.sync_api import expect

from ml_api.embedding.fake import COLOURS
from ml_api.records import image_id
from tests.e2e.page.stage import picture, serving, visiting

FIRST_RED = image_id("red/0.png")


def test_a_fact_leads_to_what_else_has_it_and_its_chip_takes_it_back(visit):
    visit.open(f"/?q=blue&image={FIRST_RED}")
    visit.dialog.get_by_role("link", name="warm, plain").click()
    expect(visit.hits).to_have_count(1)
    visit.expect_first("the first red")
    visit.page.reload()
    expect(visit.hits).to_have_count(1)
    chips = visit.page.get_by_role("list", name="Also part of this search")
    expect(chips.get_by_role("listitem")).to_have_text("Tags has all of warm, plain")
    chips.get_by_role("button", name="Remove the filter: Tags has all of warm, plain").click()
    expect(visit.hits).to_have_count(24)
    visit.expect_address("/?q=blue")


def test_nothing_that_passes_is_said_so(visit):
    visit.open('/?q=blue&filter={"tags":{"any":["cold"]}}')
    expect(visit.page.get_by_role("alert")).to_contain_text("Nothing passes the filters")
    expect(visit.page.get_by_role("button", name="Remove the filter: Tags has cold")).to_be_visible()
    visit.page.get_by_role("button", name="Remove the filter: Tags has cold").click()
    visit.expect_first("blue")


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
