"""Ids: stable, and safe wherever they go."""

import pytest

from ml_api.records import image_id, is_image_id


def test_an_id_depends_on_the_key_alone():
    assert image_id("dogs/rex.jpg") == "d0a58b9b502b8903699f1f29beba28b4"
    assert image_id("dogs/rex.jpg") != image_id("dogs/Rex.jpg")


def test_every_key_makes_a_valid_id():
    assert all(is_image_id(image_id(key)) for key in ("a.jpg", "", "x'] or 1 == 1", "日本/犬.png", "a\nb"))


@pytest.mark.parametrize("text", ["", "abc", "A" * 32, "0" * 31, "0" * 33, "0" * 32 + "\n", "g" * 32, "'" + "0" * 31])
def test_anything_else_is_no_id(text):
    assert not is_image_id(text)
