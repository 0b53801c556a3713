"""Everything without a mouse."""

import re

import pytest
from playwright.sync_api import expect


@pytest.fixture
def results(visit):
    visit.open("/?q=red")
    visit.expect_first("red")
    return visit


def press(visit, *keys):
    for key in keys:
        visit.page.keyboard.press(key)


def link(visit, number):
    return visit.page.locator(".open").nth(number)


def test_the_box_has_the_focus_at_first(visit):
    visit.open()
    expect(visit.page.get_by_role("searchbox")).to_be_focused()


def test_a_slash_goes_to_the_box_and_types_nothing(results):
    press(results, "/")
    expect(results.page.get_by_role("searchbox")).to_be_focused()
    expect(results.page.get_by_role("searchbox")).to_have_value("red")
    press(results, "End", "/")
    expect(results.page.get_by_role("searchbox")).to_have_value("red/")


def test_arrows_move_over_the_grid_and_back_into_the_box(results):
    press(results, "/", "ArrowDown")
    expect(link(results, 0)).to_be_focused()
    press(results, "ArrowRight")
    expect(link(results, 1)).to_be_focused()
    press(results, "ArrowDown")
    here = results.page.evaluate("document.activeElement.getBoundingClientRect().toJSON()")
    above = link(results, 1).bounding_box()
    assert here["y"] > above["y"] + above["height"]
    assert here["x"] < above["x"] + above["width"]
    assert here["x"] + here["width"] > above["x"]
    press(results, "End")
    expect(link(results, 23)).to_be_focused()
    press(results, "Home", "ArrowUp")
    expect(results.page.get_by_role("searchbox")).to_be_focused()


def test_enter_opens_and_m_finds_more_like_it(results):
    press(results, "/", "ArrowDown", "Enter")
    expect(results.dialog).to_be_visible()
    press(results, "Escape")
    expect(link(results, 0)).to_be_focused()
    press(results, "m")
    results.page.wait_for_url("**/?like=*")


def test_m_right_after_the_large_view_is_not_undone_by_its_closing(results):
    """A busy browser takes its time to go back: it went back from what `m` had found."""
    results.page.evaluate("const back = history.back.bind(history); history.back = () => { window.goBack = back; }")
    press(results, "/", "ArrowDown", "Enter")
    expect(results.dialog).to_be_visible()
    press(results, "Escape")
    expect(link(results, 0)).to_be_focused()
    press(results, "m")
    results.page.evaluate("new Promise((done) => { addEventListener('popstate', done, { once: true }); goBack(); })")
    results.page.wait_for_url("**/?like=*")


def test_the_keyboard_goes_on_with_what_m_has_found(results):
    press(results, "/", "ArrowDown", "m")
    expect(link(results, 0)).to_have_attribute("href", re.compile("^[?]like="))  # the new images
    expect(link(results, 0)).to_be_focused()
    press(results, "ArrowRight")
    expect(link(results, 1)).to_be_focused()


def test_m_in_the_large_view_finds_more_like_it(results):
    press(results, "/", "ArrowDown", "Enter")
    expect(results.dialog).to_be_visible()
    press(results, "m")
    results.page.wait_for_url("**/?like=*")
    expect(results.dialog).to_be_hidden()


def test_m_means_nothing_elsewhere(results):
    press(results, "/", "End", "m")
    results.expect_address("/?q=red")
    expect(results.page.get_by_role("searchbox")).to_have_value("redm")


def test_the_browsers_own_shortcuts_stay_its_own(results):
    press(results, "/", "ArrowDown", "Control+m", "Alt+m")
    results.expect_address("/?q=red")


def test_tab_walks_through_the_page_in_reading_order(visit):
    visit.open()
    seen = []
    for _ in range(6):
        seen.append(visit.page.evaluate("document.activeElement.ariaLabel ?? document.activeElement.id ?? ''") or "link")
        press(visit, "Tab")
    assert seen == ["q", "Search with an image", "Search", "link", "link", "link"]
