"""By which words an image is found, and what a text looks for."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_api.records import ImageRecord, image_id
from ml_api.texts.words import MAX_WORD, all_words, query_words, words_by_field, words_of


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("photos/DSC_0412.jpg", "DSC_0412"),
        ("photos/DSC_0412.jpg", "dsc_0412.jpg"),
        ("photos/DSC_0412.jpg", "DSC0412"),
        ("photos/DSC_0412.jpg", "0412"),
        ("SKU-4711-B", "4711"),
        ("SKU-4711-B", "sku-4711"),
        ("IMG1234.jpg", "1234"),
        ("orange-cat-under-two-green-dogs-in-a-hat-0188.jpg", "0188"),
        ("orange-cat-under-two-green-dogs-in-a-hat-0188.jpg", "hat-0188"),
        ("orange-cat-under-two-green-dogs-in-a-hat-IMG0188.jpg", "img_0188"),
        ("orange-cat-under-two-green-dogs-in-a-hat-0188.jpg", "orange-cat-under-two-green-dogs-in-a-hat-0188.jpg"),
        ("holiday-2023-day1-cam2-IMG0188.jpg", "0188"),
        ("red-shoe-size42-eu-2023-IMG0188.jpg", "img_0188"),
        ("red-shoe-size42-eu-2023-IMG0188.jpg", "Red-Shoe-Size-42-EU-2023-IMG-0188"),
        ("the Bodleian Library", "bodleian"),
        ("two dogs", "dog"),
        ("S\u00f8ren, \u0141\u00f3d\u017a, \u0110\u00e0 N\u1eb5ng, \u00c6r\u00f8", "soren lodz da nang aero"),
        ("soren lodz aero", "S\u00f8ren \u0141\u00f3d\u017a \u00c6r\u00f8"),
        ("M\u00fcller/stra\u00dfe.jpg", "mu\u0308ller strasse"),
        ("\u6771\u4eac\u30bf\u30ef\u30fc.jpg", "\u6771\u4eac"),
        ("\u6771\u4eac\u30bf\u30ef\u30fc.jpg", "\u4eac"),
        ("\u0939\u093f\u0928\u094d\u0926\u0940", "\u0939\u093f\u0928\u094d\u0926\u0940"),
    ],
)
def test_what_is_wanted_is_found_where_it_is_said(said, wanted):
    assert query_words(wanted)
    assert set(query_words(wanted)) <= words_of(said)


@pytest.mark.parametrize(("said", "wanted"), [("IMG_0412.jpg", "DSC_0412"), ("SKU-4711-B", "SKU-4712"), ("catalogue", "cat")])
def test_another_name_does_not_have_all_words(said, wanted):
    assert not set(query_words(wanted)) <= words_of(said)


def test_a_number_without_a_meaning_is_not_cut():
    uuid = "550e8400-e29b-41d4-a716-446655440000"
    assert set(query_words(uuid)) <= words_of(f"{uuid}.jpg")
    assert "550" not in words_of(uuid)


ORDINARY = st.tuples(
    st.sampled_from(["", "red", "shoe", "Holiday", "IMG", "cam", "\u0141\u00f3d\u017a"]), st.sampled_from(["", "1", "42", "0188"])
)
"""A word, a number, or a word with a number."""
NAMES = st.lists(ORDINARY.filter(any), min_size=1, max_size=20)


@given(NAMES, st.lists(st.sampled_from("-_"), min_size=20, max_size=20))
def test_each_word_and_each_number_of_a_name_finds_it_however_long_it_is(parts, joints):
    name = "".join(word + number + joint for (word, number), joint in zip(parts, joints, strict=False))
    words = words_of(f"{name.strip('-_')}.jpg")
    for word, number in parts:
        assert {*query_words(word), *query_words(number), *query_words(word + number)} <= words


@given(NAMES, st.uuids().map(str), NAMES)
def test_a_uuid_finds_every_name_that_has_it_and_is_not_cut(before, uuid, after):
    first, last = ("-".join(map("".join, parts)) for parts in (before, after))
    for name in (f"{first}-{uuid}", f"{uuid}_{last}", f"{first}_{uuid.upper()}-{last}.jpg"):
        words = words_of(name)
        assert set(query_words(uuid)) <= words
        whole = set(uuid.split("-")) | words_of(f"{first} {last}")
        for part in uuid.split("-"):
            assert words.isdisjoint({piece for piece in re.findall(r"\d+|[a-z]+", part) if piece not in whole and len(piece) > 1})


def test_function_words_and_endings_count_only_alone():
    assert query_words("a dog in the snow.jpg") == ["dog", "snow"]
    assert query_words("the") == ["the"]


def test_words_are_told_by_the_fields_they_stand_in():
    metadata = {"caption": "two dogs", "sku": 4711, "maker": {"city": "Ulm"}, "tags": ["red", 7], "url": "https://a.example"}
    record = ImageRecord(image_id("a/b.jpg"), "a/b.jpg", "1", "0" * 64, width=1, height=1, indexed_at=0.0, metadata=metadata)
    said = words_by_field(record)
    assert said.pop("key") == {"a", "b", "jpg"}
    assert said == {"caption": {"two", "dog"}, "sku": {"4711"}, "maker.city": {"ulm"}, "tags": {"red", "7"}}
    assert all_words(record) == ["4711", "7", "a", "b", "dog", "jpg", "red", "two", "ulm"]


@given(st.text(max_size=300))
def test_words_are_letters_digits_and_marks_whatever_the_text(text):
    for word in [*words_of(text), *query_words(text)]:
        assert 0 < len(word) <= MAX_WORD
        assert all(unicodedata.category(character)[0] in "LNM" for character in word)


@given(st.text(max_size=100))
def test_a_text_is_found_by_itself_in_any_form(text):
    assert set(query_words(unicodedata.normalize("NFD", text))) <= words_of(unicodedata.normalize("NFC", text))
