"""Stored images over HTTP: records, files and previews, by id only."""

import io
import os
import resource
from urllib.parse import quote

import pytest
from PIL import Image

from tests.api.stand import assert_problem, picture


@pytest.fixture
def red(client, stand):
    return client.get(f"/v1/images/{stand.id('red.png')}").get_json()


def test_a_record_tells_what_is_stored(red):
    assert red["key"] == "red.png"
    assert (red["width"], red["height"]) == (64, 48)
    assert len(red["digest"]) == 64
    assert red["indexed_at"].endswith("+00:00")


def test_content_is_the_file_itself(client, stand, red):
    response = client.get(red["links"]["content"])
    assert response.data == (stand.root / "red.png").read_bytes()
    assert response.content_type == "image/png"


def test_a_thumbnail_is_a_small_webp(client, red):
    response = client.get(red["links"]["thumbnail"])
    assert response.content_type == "image/webp"
    assert Image.open(io.BytesIO(response.data)).format == "WEBP"


@pytest.mark.parametrize("link", ["content", "thumbnail"])
def test_images_cannot_act_as_pages(client, red, link):
    headers = client.get(red["links"][link]).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in headers["Content-Security-Policy"]


@pytest.mark.parametrize("link", ["content", "thumbnail"])
def test_links_may_be_cached_for_good_and_bare_urls_are_checked_again(client, red, link):
    linked = client.get(red["links"][link])
    assert "immutable" in linked.headers["Cache-Control"]
    bare = client.get(red["links"][link].partition("?")[0])
    assert "no-cache" in bare.headers["Cache-Control"]
    again = client.get(red["links"][link], headers={"If-None-Match": linked.headers["ETag"]})
    assert again.status_code == 304
    assert again.data == b""


@pytest.mark.parametrize(("asked", "first", "last"), [("bytes=0-9", 0, 9), ("bytes=10-", 10, -1), ("bytes=-5", -5, -1)])
def test_a_part_of_the_file_is_sent_if_asked_for(client, stand, asked, first, last):
    whole = (stand.root / "red.png").read_bytes()
    first, last = first % len(whole), last % len(whole)
    response = client.get(f"/v1/images/{stand.id('red.png')}/content", headers={"Range": asked})
    assert (response.status_code, response.data) == (206, whole[first : last + 1])
    assert response.headers["Content-Range"] == f"bytes {first}-{last}/{len(whole)}"
    assert response.content_type == "image/png"


@pytest.mark.parametrize("asked", ["bytes=0-1,4-5", "items=0-1", "bytes=x-y", "bytes=5-2", "nonsense"])
def test_what_is_not_one_part_in_bytes_gets_the_whole_file(client, stand, red, asked):
    response = client.get(red["links"]["content"], headers={"Range": asked})
    assert (response.status_code, response.headers["Accept-Ranges"]) == (200, "bytes")
    assert response.data == (stand.root / "red.png").read_bytes()


def test_a_part_behind_the_end_does_not_exist(client, stand, red):
    response = client.get(red["links"]["content"], headers={"Range": "bytes=900000-"})
    assert_problem(response, 416, "range-not-satisfiable")
    assert response.headers["Content-Range"] == f"bytes */{(stand.root / 'red.png').stat().st_size}"


def test_a_part_of_another_version_is_not_joined_to_what_the_client_has(client, stand, red):
    old = {"Range": "bytes=10-", "If-Range": f'"{red["digest"]}"'}
    assert client.get(red["links"]["content"], headers=old).status_code == 206
    (stand.root / "red.png").write_bytes(picture((1, 2, 3)))
    response = client.get(red["links"]["content"], headers=old)
    assert (response.status_code, response.data) == (200, (stand.root / "red.png").read_bytes())


def test_content_that_the_client_holds_is_not_read(client, stand, red):
    (stand.root / "red.png").unlink()
    held = {"If-None-Match": f'"{red["digest"]}"'}
    assert client.get(red["links"]["content"], headers=held).status_code == 304
    assert client.get(red["links"]["content"].partition("?")[0], headers=held).status_code == 404


def test_a_thumbnail_is_drawn_once(client, stand, red):
    first = client.get(red["links"]["thumbnail"]).data
    (stand.root / "red.png").unlink()
    assert client.get(red["links"]["thumbnail"]).data == first


@pytest.mark.parametrize("held", ['"{digest}"', 'W/"{digest}"', '"other", "{digest}"'])
def test_a_thumbnail_that_the_client_holds_is_neither_drawn_nor_read(client, stand, red, held):
    (stand.root / "red.png").unlink()  # nor was it ever drawn
    response = client.get(red["links"]["thumbnail"], headers={"If-None-Match": held.format(digest=red["digest"])})
    assert response.status_code == 304
    assert response.data == b""
    assert response.headers["ETag"] == f'"{red["digest"]}"'
    assert "immutable" in response.headers["Cache-Control"]


def test_an_answer_of_200_has_the_thumbnail_whatever_is_asked(client, red):
    held = f'"{red["digest"]}"'
    response = client.get(red["links"]["thumbnail"], headers={"If-None-Match": held, "If-Match": held})
    assert response.data or response.status_code == 304


def test_a_thumbnail_that_the_client_does_not_hold_is_sent(client, red):
    response = client.get(red["links"]["thumbnail"], headers={"If-None-Match": f'"{"0" * 64}"'})
    assert response.status_code == 200
    assert response.content_type == "image/webp"


def test_a_file_changed_since_the_sync_is_not_cached_as_the_old_one(client, stand, red):
    (stand.root / "red.png").write_bytes(picture((0, 0, 0)))
    response = client.get(red["links"]["thumbnail"])
    assert response.status_code == 200
    assert "immutable" not in response.headers["Cache-Control"]


def test_a_file_gone_since_the_sync_is_not_found(client, stand, red):
    (stand.root / "red.png").unlink()
    assert_problem(client.get(red["links"]["content"]), 404, "not-found")
    assert_problem(client.get(red["links"]["thumbnail"]), 404, "not-found")
    assert client.get(red["links"]["self"]).status_code == 200


@pytest.fixture
def no_more_files():
    """Inside, this process can open nothing, as one that has too many connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest_free = os.open(os.devnull, os.O_RDONLY)
    os.close(lowest_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_file_that_cannot_be_read_now_is_not_said_to_be_gone(client, red, no_more_files):
    assert_problem(client.get(red["links"]["content"]), 503, "corpus-unavailable")


def test_a_file_replaced_by_something_else_is_a_download_not_a_page(client, stand, red):
    (stand.root / "red.png").write_bytes(b"<script>alert(1)</script>")
    assert client.get(red["links"]["content"]).content_type == "application/octet-stream"
    assert_problem(client.get(red["links"]["thumbnail"]), 422, "image-format")


def test_a_file_turned_into_a_link_to_the_outside_is_not_served(client, stand, red, tmp_path):
    (tmp_path / "secret.png").write_bytes(picture())
    (stand.root / "red.png").unlink()
    (stand.root / "red.png").symlink_to(tmp_path / "secret.png")
    assert_problem(client.get(red["links"]["content"]), 404, "not-found")


def test_a_thumbnail_survives_a_cache_that_cannot_be_written(make_stand, tmp_path):
    (tmp_path / "thumbnails").write_bytes(b"a file where the folder should be")
    stand = make_stand()
    assert stand.client.get(f"/v1/images/{stand.id('red.png')}/thumbnail").status_code == 200


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("red.png", "inline; filename=red.png"),
        ("a folder/two words.png", 'inline; filename="two words.png"'),
        ("größe 1.png", "inline; filename=\"groe 1.png\"; filename*=UTF-8''gr%C3%B6%C3%9Fe%201.png"),
        ("犬.png", "inline; filename=.png; filename*=UTF-8''%E7%8A%AC.png"),
        ('a"b;c%41.png', "inline; filename=\"a_b;c_41.png\"; filename*=UTF-8''a%22b%3Bc%2541.png"),
    ],
)
def test_a_file_is_saved_under_its_own_name(make_stand, key, expected):
    stand = make_stand()
    (stand.root / key).parent.mkdir(exist_ok=True)
    put = stand.client.put(f"/v1/images/by-key/{quote(key)}", data=picture((1, 2, 3)))
    assert put.status_code in {200, 202}, put.get_data(as_text=True)
    answer = stand.client.get(f"/v1/images/{stand.id(key)}/content")
    assert answer.headers["Content-Disposition"] == expected
