"""What a text says is not there is told from what it says, and anything else is left as it stands."""

import pytest

from ml_api.search import TextTerm, Weighted, read_negations
from ml_api.search.negation import MAX_UNWANTED, UNWANTED


@pytest.mark.parametrize(
    ("text", "wanted", "unwanted"),
    [
        ("dog without snow", "dog", ["snow"]),
        ("a dog with no collar", "a dog", ["collar"]),
        ("dogs but not puppies", "dogs", ["puppies"]),
        ("dog but no cat and no bird", "dog", ["cat", "bird"]),
        ("a cat, not black", "a cat", ["black"]),
        ("beach, no people, no boats", "beach", ["people", "boats"]),
        ("beach without people or boats", "beach", ["people", "boats"]),
        ("dogs except for puppies", "dogs", ["puppies"]),
        ("dogs excluding puppies", "dogs", ["puppies"]),
        ("a street where there are no cars", "a street", ["cars"]),
        ("a dog that isn't brown", "a dog", ["brown"]),
        ("dogs which are not brown", "dogs", ["brown"]),
        ("snow without any dogs", "snow", ["dogs"]),
        ("a beach with nobody", "a beach", ["people"]),
        ("a beach with no one on it", "a beach on it", ["people"]),
        ("a dog without a collar in the snow", "a dog in the snow", ["a collar"]),
        ("A Man Without A Hat.", "A Man", ["A Hat"]),
        ("not a dog", None, ["a dog"]),
        ("no people", None, ["people"]),
        ("Nobody", None, ["people"]),
        ("without cats or dogs", None, ["cats", "dogs"]),
        ("there is no dog", None, ["dog"]),
        ("this is not a dog", None, ["a dog"]),
        ("no dogs in the snow", "in the snow", ["dogs"]),
    ],
)
def test_what_is_not_wanted_becomes_a_negative_term(text, wanted, unwanted):
    terms = [] if wanted is None else [Weighted(TextTerm(wanted))]
    assert read_negations(text) == (*terms, *(Weighted(TextTerm(one), UNWANTED) for one in unwanted))


@pytest.mark.parametrize(
    "text",
    [
        "two dogs playing in the snow",
        "cats and dogs",
        "not only dogs",
        "not just any dog",
        "a no parking sign",
        "No Entry",
        "a sign that says no dogs",
        "a knot",
        "a notebook, noted",
        "northern lights",
        "nothing",
        "without",
        "no",
        "dog, not",
        "dog without ",
        "no.",
        "not ,",
        ", no " * 200,
        "no a" + " but no a" * MAX_UNWANTED,
        " " * 1000,
    ],
)
def test_other_texts_stand_as_they_are(text):
    assert read_negations(text) == (Weighted(TextTerm(text)),)
