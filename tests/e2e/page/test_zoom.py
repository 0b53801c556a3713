"""Who zooms with two fingers moves what is zoomed, and zooms out again, wherever the fingers are."""

import re

import pytest
from playwright.sync_api import expect

from tests.waiting import wait_until

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
STEPS = 12
SEEN = "[visualViewport.scale, visualViewport.offsetLeft]"


@pytest.fixture
def context_options():
    return PHONE


class Fingers:
    """On the screen, around the middle of an element. Positions are pixels to the right of it."""

    def __init__(self, page, element):
        box = element.bounding_box()
        self._page = page
        self._middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        self._session = page.context.new_cdp_session(page)

    def move(self, *ways):
        """Each finger along its way, from and to, one after the other put down."""
        for count in range(1, len(ways) + 1):
            self._send("touchStart", [start for start, _ in ways[:count]])
        for step in range(1, STEPS + 1):
            self._send("touchMove", [start + (end - start) * step / STEPS for start, end in ways])
            self._page.evaluate("new Promise(requestAnimationFrame)")  # a frame for each, as a screen tells them
        self._send("touchEnd", [])

    def _send(self, kind, places):
        x, y = self._middle
        points = [{"x": x + place, "y": y, "id": number} for number, place in enumerate(places)]
        self._session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})


def seen(page):
    return page.evaluate(SEEN)


def zoom_in(page, element):
    fingers = Fingers(page, element)
    fingers.move((-25, -90), (25, 90))
    wait_until(lambda: seen(page)[0] > 1.1)
    return fingers


def zoom_out(page, fingers):
    fingers.move((-90, -8), (90, 8))
    wait_until(lambda: seen(page)[0] == 1)


def open_large(visit):
    visit.open("/?q=red")
    visit.page.locator(".open").first.tap()
    expect(visit.dialog).to_be_visible()


def open_tiles(visit):
    visit.open("/?q=red")
    expect(visit.hits.first).to_be_visible()


@pytest.mark.parametrize(("opened", "place"), [(open_tiles, ".hit"), (open_large, ".stage")], ids=["tiles", "large"])
def test_one_finger_moves_what_is_zoomed(visit, opened, place):
    opened(visit)
    fingers = zoom_in(visit.page, visit.page.locator(place).first)
    before = seen(visit.page)[1]
    title = visit.page.title()
    fingers.move((60, -60))
    wait_until(lambda: seen(visit.page)[1] > before + 20)
    assert visit.page.title() == title  # no step to the neighbour
    zoom_out(visit.page, fingers)


def test_a_frame_is_drawn_by_one_finger_and_two_zoom(visit):
    open_large(visit)
    visit.dialog.get_by_role("button", name="Part of it").tap()
    frame, canvas = visit.page.locator(".frame-of-part"), visit.page.locator(".canvas")
    expect(canvas).to_have_attribute("style", re.compile("--ratio"))  # the picture is there
    at_first = frame.get_attribute("style")
    fingers = zoom_in(visit.page, canvas)
    expect(frame).to_have_attribute("style", at_first)
    before = seen(visit.page)[1]
    fingers.move((30, -40), (90, 20))
    wait_until(lambda: seen(visit.page)[1] > before + 20)
    expect(frame).to_have_attribute("style", at_first)
    zoom_out(visit.page, fingers)
    expect(frame).to_have_attribute("style", at_first)
    fingers.move((0, 40))
    expect(frame).not_to_have_attribute("style", at_first)
