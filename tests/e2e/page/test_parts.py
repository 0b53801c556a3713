"""Searching with a part of an image."""

import io
import re

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from ml_api.embedding.fake import COLOURS
from ml_api.records import image_id
from tests.e2e.page.stage import serving, visiting
from tests.e2e.page.test_own_image import choose

SIZE = (200, 100)


def halves(left, right):
    image = Image.new("RGB", SIZE, COLOURS[right])
    image.paste(COLOURS[left], (0, 0, SIZE[0] // 2, SIZE[1]))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def visit(context, tmp_path):
    (tmp_path / "halves.png").write_bytes(halves("green", "purple"))
    for colour in ("green", "purple"):
        Image.new("RGB", SIZE, COLOURS[colour]).save(tmp_path / f"{colour}.png")
    with serving(tmp_path) as server, visiting(context, server) as visit:
        yield visit


def draw(visit, start, end):
    """A frame over the picture, with the mouse; points in fractions of its sides."""
    canvas = visit.page.locator(".canvas")
    expect(canvas).to_have_attribute("style", re.compile("--ratio"))  # the picture is there, so that its frame stays where it is
    box = canvas.bounding_box()
    points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, end)]
    visit.page.mouse.move(*points[0])
    visit.page.mouse.down()
    visit.page.mouse.move(*points[1])
    visit.page.mouse.up()
    visit.page.get_by_role("dialog", name="Search with a part").get_by_role("button", name="Search").click()


@pytest.mark.parametrize(("end", "colour"), [((0.02, 0.98), "green"), ((0.98, 0.02), "purple")])
def test_a_part_drawn_over_a_stored_image_is_searched_with_and_has_an_address(visit, end, colour):
    visit.open("/?q=green")
    visit.page.get_by_role("link", name="halves.png", exact=True).click()
    visit.dialog.get_by_role("button", name="Part of it").click()
    expect(visit.page.get_by_role("dialog", name="Search with a part").get_by_role("img")).to_be_visible()
    draw(visit, (0.48 if colour == "green" else 0.52, 0.04 if colour == "green" else 0.96), end)
    expect(visit.page.get_by_text("most like this one")).to_be_visible()  # what was there before begins with the same image
    visit.expect_first(f"{colour}.png")
    expect(visit.page).to_have_url(re.compile(r"\?like=[0-9a-f]{32}%40[0-9.%2C]+$"))
    [sent] = visit.server.received
    assert np.allclose(np.asarray(Image.open(io.BytesIO(sent))).mean(axis=(0, 1)), COLOURS[colour], atol=6)
    visit.page.reload()
    visit.expect_first(f"{colour}.png")
    expect(visit.page.get_by_alt_text("Searching with a part of halves.png")).to_be_visible()


@pytest.mark.parametrize("context_options", [{"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}])
def test_a_part_is_drawn_moved_and_sized_with_a_finger(visit):
    visit.open("/?q=green")
    visit.page.get_by_role("link", name="halves.png", exact=True).tap()
    visit.dialog.get_by_role("button", name="Part of it").tap()
    canvas, frame = visit.page.locator(".canvas"), visit.page.get_by_role("slider", name="Part")
    expect(canvas).to_have_attribute("style", re.compile("--ratio"))
    box, session = canvas.bounding_box(), visit.page.context.new_cdp_session(visit.page)

    def drag(*points):
        """Over these points, in fractions of the picture's sides."""
        for kind, (x, y) in zip(["touchStart", *["touchMove"] * (len(points) - 1)], points, strict=True):
            point = {"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"]}
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [point]})
        session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    drag((0.04, 0.04), (0.15, 0.3), (0.3, 0.6))
    expect(frame).to_have_attribute("aria-valuetext", re.compile("^26 % wide and 56 % high, from 4 % of the left and 4 %"))
    drag((0.17, 0.32), (0.3, 0.4), (0.37, 0.42))
    expect(frame).to_have_attribute("aria-valuetext", re.compile("^26 % wide and 56 % high, from 24 % of the left and 14 %"))
    drag((0.52, 0.72), (0.7, 0.8), (0.92, 0.97))  # beside the corner, where a finger reaches it
    expect(frame).to_have_attribute(
        "aria-valuetext", re.compile("^6[5-9] % wide and 8[0-4] % high, from 24 % of the left and 14 %")
    )


def test_enter_searches_with_the_part(visit):
    visit.open(f"/?like={image_id('halves.png')}")
    visit.page.get_by_role("button", name="Search with a part of halves.png").click()
    expect(visit.page.get_by_role("slider", name="Part")).to_be_focused()
    visit.page.keyboard.press("Enter")
    expect(visit.page).to_have_url(re.compile("%400.2%2C0.2%2C0.6%2C0.6"))
    part = visit.page.get_by_alt_text("Searching with a part of halves.png")
    expect(part).to_have_js_property("naturalWidth", 128)  # for 120 by 60 pixels
    expect(part).to_have_js_property("naturalHeight", 64)


def test_a_part_is_chosen_on_the_preview_of_a_file_that_the_browser_does_not_show(context, tmp_path):
    Image.new("RGB", (600, 450), COLOURS["red"]).save(tmp_path / "scan.tif", compression="tiff_lzw")
    with serving(tmp_path) as server, visiting(context, server) as visit:
        visit.open(f"/?like={image_id('scan.tif')}")
        visit.page.get_by_role("button", name="Search with a part of scan.tif").click()
        picture = visit.page.get_by_role("dialog", name="Search with a part").get_by_role("img")
        expect(picture).to_have_js_property("complete", value=True)
        assert picture.evaluate("image => image.naturalWidth > 0")


def test_a_part_of_ones_own_image_is_moved_and_sized_by_keys(visit):
    visit.open()
    choose(visit, halves("green", "purple"))
    visit.page.get_by_role("button", name="Search with a part of mine.png").click()
    frame = visit.page.get_by_role("slider", name="Part")
    expect(frame).to_be_focused()
    for _ in range(30):
        visit.page.keyboard.press("Shift+ArrowLeft")
    for _ in range(40):
        visit.page.keyboard.press("ArrowRight")
    assert frame.get_attribute("aria-valuetext") == "5 % wide and 60 % high, from 95 % of the left and 20 % of the top"
    visit.page.get_by_role("dialog", name="Search with a part").get_by_role("button", name="Search").click()
    visit.expect_first("purple.png")
    visit.page.go_back()
    expect(visit.page.get_by_alt_text("Searching with mine.png")).to_be_visible()


def test_a_link_whose_part_was_cut_off_searches_with_the_whole_image(visit):
    for part in ("0.2,0.2", "0.2,0.2,0.5,", "a,b,c,d", "0.5,0.5,0.6,0.6"):
        visit.open(f"/?like={image_id('halves.png')}%40{part}")
        expect(visit.page.get_by_alt_text("Searching with halves.png")).to_be_visible()
        expect(visit.hits.first).to_be_visible()


def test_of_an_image_that_the_browser_cannot_show_no_part_is_cut(visit):
    file = io.BytesIO()
    Image.new("RGB", SIZE, COLOURS["green"]).save(file, "TIFF")
    visit.open()
    choose(visit, file.getvalue(), "mine.tiff")
    visit.expect_first("green.png")
    visit.page.get_by_role("button", name="Search with a part of mine.tiff").click()
    visit.page.get_by_role("dialog", name="Search with a part").get_by_role("button", name="Search").click()
    expect(visit.page.get_by_role("alert")).to_contain_text("No part of that image can be cut out")
    expect(visit.page.locator(".skeleton")).to_have_count(0)


def test_leaving_the_dialog_changes_nothing(visit):
    visit.open()
    choose(visit, halves("green", "purple"))
    expect(visit.hits.first).to_be_visible()
    visit.page.get_by_role("button", name="Search with a part of mine.png").click()
    visit.page.keyboard.press("Escape")
    expect(visit.page.get_by_alt_text("Searching with mine.png")).to_be_visible()
    assert len(visit.server.received) == 1
