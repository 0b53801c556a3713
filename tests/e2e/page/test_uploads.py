"""Images that are added on the page never take the place of others that nobody saw: phones call every picture image.jpg."""

import re

import pytest
from playwright.sync_api import expect

from ml_api.embedding.fake import COLOURS
from tests.e2e.page.stage import picture, serving, visiting

WIDTHS = {"phone": 390, "desktop": 1280}
RED, GREEN, BLUE, PINK = (picture(COLOURS[colour]) for colour in ("red", "green", "blue", "pink"))


@pytest.fixture(params=WIDTHS)
def visit(context, tmp_path, request):
    folder = tmp_path / "corpus"
    folder.mkdir()
    with serving(folder) as server, visiting(context, server) as visit:
        visit.page.set_viewport_size({"width": WIDTHS[request.param], "height": 844})
        visit.open()
        visit.page.get_by_role("button", name="Add images").first.click()
        yield visit


@pytest.fixture
def dialog(visit):
    return visit.page.get_by_role("dialog", name="Add images")


def image(data, name="image.jpg"):
    return {"name": name, "mimeType": "image/jpeg", "buffer": data}


def choose(dialog, *files):
    dialog.locator("input[type=file]").set_input_files(list(files))


def stored(visit):
    return {file.name: file.read_bytes() for file in (visit.server.corpus / "uploads").iterdir()}


def rows(dialog):
    return dialog.get_by_role("listitem")


def test_a_second_picture_of_a_name_is_asked_about_and_both_are_kept(visit, dialog):
    choose(dialog, image(RED))
    expect(dialog.get_by_text("1 of 1 added")).to_be_visible()
    choose(dialog, image(BLUE))
    expect(dialog.get_by_text("1 of 2 added, 1 name is taken")).to_be_visible()
    expect(rows(dialog).first).to_contain_text("Another picture of this name is there already")
    assert stored(visit) == {"image.jpg": RED}
    dialog.get_by_role("button", name="Keep both of image.jpg").click()
    expect(dialog.get_by_text("2 of 2 added")).to_be_visible()
    expect(rows(dialog).first).to_contain_text("Can be found, as uploads/image (2).jpg")
    expect(dialog.get_by_role("button", name="Choose images")).to_be_focused()
    assert stored(visit) == {"image.jpg": RED, "image (2).jpg": BLUE}


def test_a_picture_of_the_name_is_replaced_by_who_says_so(visit, dialog):
    choose(dialog, image(RED))
    expect(dialog.get_by_text("1 of 1 added")).to_be_visible()
    choose(dialog, image(BLUE))
    dialog.get_by_role("button", name="Replace image.jpg").click()
    expect(dialog.get_by_text("2 of 2 added")).to_be_visible()
    assert stored(visit) == {"image.jpg": BLUE}


def test_only_what_was_there_when_it_was_asked_is_replaced(visit, dialog):
    choose(dialog, image(RED))
    expect(dialog.get_by_text("1 of 1 added")).to_be_visible()
    choose(dialog, image(BLUE))
    expect(dialog.get_by_role("button", name="Replace image.jpg")).to_be_visible()
    (visit.server.corpus / "uploads/image.jpg").write_bytes(PINK)
    dialog.get_by_role("button", name="Replace image.jpg").click()
    expect(rows(dialog).first).to_contain_text("Another picture of this name is there already")
    assert stored(visit) == {"image.jpg": PINK}
    (visit.server.corpus / "uploads/image.jpg").unlink()
    dialog.get_by_role("button", name="Replace image.jpg").click()
    expect(dialog.get_by_text("2 of 2 added")).to_be_visible()
    assert stored(visit) == {"image.jpg": BLUE}


def test_two_files_of_one_name_in_one_choice_are_both_kept(visit, dialog):
    choose(dialog, image(RED), image(BLUE), image(GREEN))
    expect(dialog.get_by_text("3 of 3 added")).to_be_visible()
    assert set(stored(visit)) == {"image.jpg", "image (2).jpg", "image (3).jpg"}
    assert set(stored(visit).values()) == {RED, BLUE, GREEN}


@pytest.mark.parametrize(("button", "names"), [("Keep both of each", 4), ("Replace all", 2)])
def test_it_is_said_once_for_all_of_them(visit, dialog, button, names):
    choose(dialog, image(RED, "a.png"), image(RED, "b.png"))
    expect(dialog.get_by_text("2 of 2 added")).to_be_visible()
    choose(dialog, image(BLUE, "a.png"), image(BLUE, "b.png"))
    expect(dialog.get_by_text("2 of 4 added, 2 names are taken")).to_be_visible()
    dialog.get_by_role("button", name=button).click()
    expect(dialog.get_by_text("4 of 4 added")).to_be_visible()
    expect(dialog.get_by_role("button", name=button)).to_be_hidden()
    assert len(stored(visit)) == names
    assert list(stored(visit).values()).count(BLUE) == 2


def test_what_changes_after_all_were_to_be_replaced_is_asked_about_again(visit, dialog):
    choose(dialog, image(RED, "a.png"), image(RED, "b.png"))
    expect(dialog.get_by_text("2 of 2 added")).to_be_visible()
    choose(dialog, image(BLUE, "a.png"), image(BLUE, "b.png"))
    expect(dialog.get_by_text("2 names are taken")).to_be_visible()
    (visit.server.corpus / "uploads/a.png").write_bytes(PINK)
    dialog.get_by_role("button", name="Replace all").click()
    expect(dialog.get_by_text("3 of 4 added, 1 name is taken")).to_be_visible()
    assert stored(visit) == {"a.png": PINK, "b.png": BLUE}


def test_the_same_picture_again_was_there_already(visit, dialog):
    choose(dialog, image(RED))
    expect(dialog.get_by_text("1 of 1 added")).to_be_visible()
    choose(dialog, image(RED))
    expect(dialog.get_by_text("1 of 2 added, 1 there already")).to_be_visible()
    expect(rows(dialog).last).to_contain_text("Was there already: uploads/image.jpg")
    assert stored(visit) == {"image.jpg": RED}


def test_the_same_picture_under_another_name_is_linked(visit, dialog):
    choose(dialog, image(RED, "first.png"))
    expect(dialog.get_by_text("1 of 1 added")).to_be_visible()
    choose(dialog, image(RED, "second.png"))
    expect(rows(dialog).last).to_contain_text("Can be found. The same picture is there as uploads/first.png")
    with visit.page.context.expect_page() as opened:
        dialog.get_by_role("link", name="uploads/first.png").click()
    expect(opened.value).to_have_url(re.compile("image=[0-9a-f]{32}"))
    expect(opened.value.get_by_role("dialog", name="uploads/first.png")).to_be_visible()


def test_what_is_asked_fits_on_the_screen(visit, dialog):
    long = f"{'a very long name of a picture ' * 4}.jpg"
    choose(dialog, image(RED, long), image(RED, "b.png"))
    expect(dialog.get_by_text("2 of 2 added")).to_be_visible()
    choose(dialog, image(BLUE, long), image(BLUE, "b.png"), image(RED, "c.png"))
    expect(dialog.get_by_text("2 names are taken")).to_be_visible()
    for button in dialog.get_by_role("button").all():
        box = button.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= visit.page.viewport_size["width"]
    assert visit.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_file_that_only_a_proxy_answers_can_be_sent_again(visit, dialog):
    """Its row said "Indexing…" for ever."""
    visit.page.route("**/v1/images/by-key/**", lambda route: route.fulfill(body="<p>Log in</p>", content_type="text/html"), times=1)
    choose(dialog, image(RED))
    expect(rows(dialog).first).to_contain_text("The server does not answer")
    dialog.get_by_role("button", name="again").click()
    expect(dialog.get_by_text("1 of 1 added")).to_be_visible()
