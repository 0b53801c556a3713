"""Changing the corpus on the page: adding images, deleting many, finding what is stored twice."""

import pytest
from PIL import Image
from playwright.sync_api import expect

from ml_api.embedding.fake import COLOURS
from tests.e2e.page.stage import picture, serving, visiting


@pytest.fixture
def visit(context, tmp_path):
    folder = tmp_path / "corpus"
    folder.mkdir()
    for name, colour in (("red", "red"), ("blue", "blue"), ("copy of red", "red")):
        (folder / f"{name}.png").write_bytes(picture(COLOURS[colour]))
    with serving(folder) as server, visiting(context, server) as visit:
        yield visit


def test_images_are_added_each_with_its_own_outcome_and_found(visit):
    visit.open()
    visit.page.get_by_role("button", name="Add images").click()
    dialog = visit.page.get_by_role("dialog", name="Add images")
    dialog.locator("input[type=file]").set_input_files(
        [
            {"name": "new.png", "mimeType": "image/png", "buffer": picture(COLOURS["green"])},
            {"name": "fake.png", "mimeType": "image/png", "buffer": b"no image"},
            {"name": "notes.md", "mimeType": "text/markdown", "buffer": b"no image"},
        ]
    )
    expect(dialog.get_by_role("listitem").filter(has_text="new.png")).to_contain_text("Can be found")
    expect(dialog.get_by_role("listitem").filter(has_text="fake.png")).to_contain_text("That file cannot be read as an image")
    notes = dialog.get_by_role("listitem").filter(has_text="notes.md")
    expect(notes).to_contain_text("That file cannot be read as an image. It may be damaged, or of a kind that is not supported.")
    expect(notes.get_by_text("text/markdown")).to_be_hidden()
    notes.get_by_text("Details").click()
    expect(notes.get_by_text("the body is text/markdown")).to_be_visible()
    expect(dialog.get_by_text("1 of 3 added, 2 not")).to_be_visible()
    expect(dialog.get_by_role("listitem").last).to_contain_text("new.png")  # what needs somebody comes first
    dialog.get_by_role("button", name="Start a sync").click()
    expect(dialog.get_by_text("Last sync: succeeded")).to_be_visible()
    dialog.get_by_role("button", name="Close").click()
    expect(visit.page.locator(".count")).to_have_text("4 images")
    visit.search("green")
    visit.expect_first("uploads/new.png")
    assert (visit.server.corpus / "uploads" / "new.png").exists()


def test_other_work_of_the_service_is_no_sync(visit):
    """A migration that failed was told as the last sync, and an export as images that are indexed."""
    visit.open()
    migration = {"kind": "migrate", "state": "failed", "done": 0, "total": 0, "error": "there is no directory m"}
    sync = migration | {"kind": "sync", "state": "succeeded", "error": ""}
    export = migration | {"kind": "export", "state": "running", "done": 1_000, "total": 3_000, "error": ""}
    answer = {"active": export, "last": [migration, sync]}
    visit.page.route("**/v1/sync", lambda route: route.fulfill(json=answer))
    visit.page.get_by_role("button", name="Add images").click()
    dialog = visit.page.get_by_role("dialog", name="Add images")
    expect(dialog.get_by_text("Exporting: 1,000 of 3,000 images")).to_be_visible()
    answer["active"] = None
    expect(dialog.get_by_text("Last sync: succeeded")).to_be_visible()


def test_who_adds_images_is_led_to_choosing_them(visit):
    """And not into a field, over which a phone raises its keyboard."""
    visit.open()
    visit.page.get_by_role("button", name="Add images").click()
    expect(visit.page.get_by_role("button", name="Choose images")).to_be_focused()


def test_what_the_server_did_not_take_is_sent_again(visit):
    visit.open()
    visit.page.get_by_role("button", name="Add images").click()
    dialog = visit.page.get_by_role("dialog", name="Add images")
    visit.page.route("**/v1/images/by-key/**", lambda route: route.abort())
    files = [
        {"name": f"{name}.png", "mimeType": "image/png", "buffer": picture(COLOURS[name])} for name in ("green", "pink", "brown")
    ]
    dialog.locator("input[type=file]").set_input_files(files)
    expect(dialog.get_by_text("0 of 3 added, 3 not")).to_be_visible()
    visit.page.unroute_all()
    dialog.get_by_role("button", name="Send those again").click()
    expect(dialog.get_by_text("3 of 3 added")).to_be_visible()
    expect(dialog.get_by_role("button", name="Send those again")).to_be_hidden()
    fake = {"name": "fake.png", "mimeType": "image/png", "buffer": b"no image"}
    dialog.locator("input[type=file]").set_input_files([fake])
    expect(dialog.get_by_text("3 of 4 added, 1 not")).to_be_visible()
    expect(dialog.get_by_role("button", name="Send those again")).to_be_hidden()  # it would not be an image either


def test_many_images_are_deleted_after_asking(visit):
    visit.open("/?q=red&copies=apart")
    visit.page.get_by_role("button", name="Select").click()
    visit.page.get_by_role("checkbox", name="Select red.png").check()
    visit.page.get_by_role("checkbox", name="Select blue.png").check()
    selection = visit.page.get_by_role("region", name="Selection")
    expect(selection).to_contain_text("2 images selected")
    selection.get_by_role("button", name="Delete").click()
    visit.page.get_by_role("dialog", name="Delete 2 images?").get_by_role("button", name="Keep them").click()
    assert (visit.server.corpus / "red.png").exists()
    selection.get_by_role("button", name="Delete").click()
    visit.page.get_by_role("dialog", name="Delete 2 images?").get_by_role("button", name="Delete").click()
    expect(selection.locator("p")).to_have_text("2 images deleted.", use_inner_text=True)
    expect(selection.get_by_role("button", name="Done")).to_be_focused()
    expect(visit.hits).to_have_count(1)
    expect(visit.page.locator(".results > .over")).to_contain_text("1 image closest to red")
    expect(visit.page.locator(".count")).to_have_text("1 image")
    visit.page.get_by_role("checkbox", name="Select copy of red.png").check()
    expect(selection.locator("p")).to_have_text("1 image selected", use_inner_text=True)
    selection.get_by_role("button", name="Delete").click()
    only = visit.page.get_by_role("dialog", name="Delete 1 image?")
    expect(only).to_contain_text("Its file is deleted too.")
    only.get_by_role("button", name="Keep it").click()
    assert [file.name for file in visit.server.corpus.glob("*.png")] == ["copy of red.png"]


def test_the_page_after_a_deletion_leaves_none_out(context, tmp_path):
    for number in range(30):
        (tmp_path / f"{number}.png").write_bytes(picture(COLOURS["red"]))
    with serving(tmp_path) as server, visiting(context, server) as visit:
        visit.open("/?q=red&copies=apart")
        expect(visit.hits).to_have_count(24)
        visit.page.get_by_role("button", name="Select").click()
        for box in visit.page.locator(".pick input").all()[:2]:
            box.check()
        visit.page.get_by_role("region", name="Selection").get_by_role("button", name="Delete").click()
        visit.page.get_by_role("dialog", name="Delete 2 images?").get_by_role("button", name="Delete").click()
        expect(visit.page.get_by_role("region", name="Selection")).to_contain_text("2 images deleted.")
        visit.scroll_to_end()
        expect(visit.hits).to_have_count(28)


def test_what_is_stored_twice_is_shown_in_groups_and_can_be_opened(visit):
    visit.open()
    visit.page.get_by_role("link", name="Duplicates").click()
    visit.expect_address("/?view=duplicates")
    group = visit.page.locator(".groups > li").filter(has_text="The same picture: 2 files")
    expect(group).to_have_count(1)
    expect(visit.page.get_by_text("Tick the files that can go")).to_be_visible()
    group.get_by_role("link", name="copy of red.png").click()
    expect(visit.dialog).to_have_accessible_name("copy of red.png")
    visit.page.keyboard.press("Escape")
    visit.expect_address("/?view=duplicates")
    visit.page.get_by_role("checkbox", name="Select copy of red.png").check()
    visit.page.get_by_role("button", name="Done").click()
    expect(visit.page.get_by_role("heading", name="Images that are the same, or seem to be")).to_be_focused()


def test_small_groups_share_a_row_and_name_their_largest_image(context, tmp_path):
    for colour in ("red", "blue"):
        drawn = Image.new("RGB", (160, 120), COLOURS[colour])
        drawn.paste(COLOURS["white"], (20, 20, 100, 80))
        drawn.save(tmp_path / f"{colour}.png")
        drawn.resize((80, 60)).save(tmp_path / f"{colour} small.png")
    with serving(tmp_path) as server, visiting(context, server) as visit:
        visit.open("/?view=duplicates")
        expect(visit.page.get_by_text("2 groups; 4 images compared.")).to_be_visible()
        groups = visit.page.locator(".groups > li")
        assert groups.nth(0).bounding_box()["y"] == groups.nth(1).bounding_box()["y"]
        large = visit.page.locator(".groups ul li").filter(has_text="red.png")
        expect(large).to_contain_text("160 \N{MULTIPLICATION SIGN} 120, the largest")
        expect(large).to_contain_text(f"{(tmp_path / 'red.png').stat().st_size} bytes")
        expect(visit.page.get_by_text("the largest")).to_have_count(2)


def test_what_is_not_yet_compared_is_said(visit):
    def end_early(route):
        route.fulfill(json={"groups": 20 * found["groups"], "compared": 256, "next": "0" * 32})

    found = visit.page.request.get(f"{visit.server.url}/v1/duplicates").json()
    visit.page.route("**/v1/duplicates?*", end_early)
    visit.open("/?view=duplicates")
    expect(visit.page.get_by_text("20 groups so far; 256 images compared, others not yet.")).to_be_visible()
    expect(visit.page.get_by_role("button", name="Look further")).to_be_visible()


def test_back_leads_to_the_place_among_the_duplicates(context, tmp_path):
    for colour in list(COLOURS)[:8]:
        for name in "ab":
            (tmp_path / f"{colour} {name}.png").write_bytes(picture(COLOURS[colour]))
    with serving(tmp_path) as server, visiting(context, server) as visit:
        visit.open("/?view=duplicates")
        expect(visit.page.get_by_text("8 groups; 16 images compared.")).to_be_visible()
        last = visit.page.locator(".groups a").last
        last.click()
        visit.dialog.get_by_role("link", name="More like this").click()
        expect(visit.hits.first).to_be_visible()
        visit.page.go_back()
        expect(visit.dialog).to_be_visible()
        visit.page.go_back()
        visit.expect_address("/?view=duplicates")
        expect(last).to_be_in_viewport()


AS_IN_FIREFOX = """addEventListener("click", event => {
    if (event.shiftKey && event.target instanceof HTMLLabelElement) event.preventDefault();
})"""
"""Its labels ignore clicks with Shift (Mozilla's bug 559506)."""


def test_a_click_with_shift_selects_all_between(context, tmp_path):
    context.add_init_script(AS_IN_FIREFOX)
    for number in range(9):
        (tmp_path / f"{number}.png").write_bytes(picture((250 - number, 0, 0)))
    with serving(tmp_path) as server, visiting(context, server) as visit:
        visit.open("/?q=red&copies=apart")
        visit.page.get_by_role("button", name="Select").click()
        selection, boxes = visit.page.get_by_role("region", name="Selection"), visit.page.locator(".pick")
        boxes.nth(1).click()
        boxes.nth(5).click(modifiers=["Shift"])
        expect(selection).to_contain_text("5 images selected")
        boxes.nth(3).click(modifiers=["Shift"])
        expect(selection).to_contain_text("2 images selected")
        boxes.nth(8).click()
        expect(selection).to_contain_text("3 images selected")
        boxes.nth(6).click(modifiers=["Shift"])
        expect(selection).to_contain_text("5 images selected")
        boxes.nth(4).locator("input").press("Space")
        expect(selection).to_contain_text("6 images selected")


def test_what_is_alone_after_a_deletion_is_no_group_any_more(context, tmp_path):
    for name in ("red 1", "red 2", "red 3", "blue 1", "blue 2"):
        (tmp_path / f"{name}.png").write_bytes(picture(COLOURS[name.split()[0]]))
    with serving(tmp_path) as server, visiting(context, server) as visit:
        visit.open("/?view=duplicates")
        expect(visit.page.get_by_text("2 groups; 5 images compared.")).to_be_visible()
        for name in ("red 1", "blue 2"):
            visit.page.get_by_role("checkbox", name=f"Select {name}.png").check()
        visit.page.get_by_role("region", name="Selection").get_by_role("button", name="Delete").click()
        visit.page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        expect(visit.page.get_by_text("1 group; 5 images compared.")).to_be_visible()
        expect(visit.page.locator(".groups h3")).to_have_text("The same picture: 2 files")
        expect(visit.page.locator(".groups")).to_contain_text("red 3.png")


def test_no_group_is_left_of_which_all_that_was_shown_is_deleted(context, tmp_path):
    def with_more(route):
        found = route.fetch().json()
        route.fulfill(json=found | {"groups": [group | {"more": True} for group in found["groups"]]})

    for name in "ab":
        (tmp_path / f"{name}.png").write_bytes(picture(COLOURS["red"]))
    with serving(tmp_path) as server, visiting(context, server) as visit:
        visit.page.route("**/v1/duplicates?*", with_more)
        visit.open("/?view=duplicates")
        expect(visit.page.locator(".groups h3")).to_have_text("The same picture: 2 and more files")
        for name in "ab":
            visit.page.get_by_role("checkbox", name=f"Select {name}.png").check()
        visit.page.get_by_role("region", name="Selection").get_by_role("button", name="Delete").click()
        visit.page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        expect(visit.page.locator(".groups > li")).to_have_count(0)


def test_an_image_that_could_not_be_deleted_is_named(visit):
    visit.open("/?view=duplicates")
    visit.page.get_by_role("checkbox", name="Select copy of red.png").check()
    visit.page.route("**/v1/images/*", lambda route: route.abort())
    selection = visit.page.get_by_role("region", name="Selection")
    selection.get_by_role("button", name="Delete").click()
    visit.page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(selection.locator(".told span")).to_have_text(
        "copy of red.png: The server does not answer. Check that it is running and that you are connected, then try again."
    )
    expect(visit.page.get_by_text("The same picture: 2 files")).to_be_visible()


def test_duplicates_that_could_not_be_looked_for_can_be_tried_again(visit):
    visit.page.route("**/v1/duplicates?*", lambda route: route.abort(), times=1)
    visit.open("/?view=duplicates")
    expect(visit.page.get_by_text("The server does not answer. Check that it is running")).to_be_visible()
    visit.page.get_by_role("button", name="Try again").click()
    expect(visit.page.get_by_text("The same picture: 2 files")).to_be_visible()


def test_of_equal_files_all_but_one_are_selected_at_once(visit):
    """With Shift, too: the one that is to stay was selected with the others."""
    visit.open("/?view=duplicates")
    visit.page.get_by_role("button", name="Select all but the first").click(modifiers=["Shift"])
    expect(visit.page.get_by_role("region", name="Selection")).to_contain_text("1 image selected")
    expect(visit.page.locator(".groups input").first).not_to_be_checked()


def test_of_equal_files_one_that_was_not_added_on_the_page_is_left(context, tmp_path):
    for key in ("uploads/1.png", "uploads/2.png", "uploads/3.png", "z.png"):
        (tmp_path / key).parent.mkdir(exist_ok=True)
        (tmp_path / key).write_bytes(picture(COLOURS["red"]))
    with serving(tmp_path) as server, visiting(context, server) as visit:
        visit.open("/?view=duplicates")
        visit.page.get_by_role("button", name="Select all but the first").click()
        expect(visit.page.get_by_role("region", name="Selection")).to_contain_text("3 images selected")
        expect(visit.page.get_by_role("checkbox", name="Select z.png")).not_to_be_checked()


def test_what_was_selected_is_not_selected_in_another_search(visit):
    visit.open("/?q=red&copies=apart")
    visit.page.get_by_role("button", name="Select").click()
    visit.page.get_by_role("checkbox", name="Select red.png").check()
    expect(visit.page.get_by_role("region", name="Selection")).to_contain_text("1 image selected")
    visit.search("blue")
    expect(visit.page.get_by_role("region", name="Selection")).to_be_hidden()
    visit.expect_first("blue")
    expect(visit.page.get_by_role("checkbox", name="Select red.png")).to_be_hidden()


def test_who_may_only_search_is_offered_no_changes(context, tmp_path):
    (tmp_path / "red.png").write_bytes(picture(COLOURS["red"]))
    with serving(tmp_path) as server, visiting(context, server) as visit:
        visit.page.route(
            "**/session", lambda route: route.fulfill(json={"search": True, "write": False, "syncs": False, "signed_in": False})
        )
        visit.open("/?q=red")
        visit.expect_first("red")
        expect(visit.page.get_by_role("button", name="Select")).to_be_hidden()
        expect(visit.page.get_by_role("button", name="Add images")).to_be_hidden()
