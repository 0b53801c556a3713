"""Captions: true of their scene, and in two sets of wordings that never meet."""

from random import Random

import pytest

from demo.captions import HELD_OUT, TRAINING, Wordings, caption, muffled, sentence, vocabulary, word
from demo.relevance import Claim, Mention, claim_codes, scene_codes, truth
from demo.scenes import Group, Scene, Stream, imagine

TWO_DOGS = Scene((Group("dog", "red", 2),), "snow", None, 0)
CAT_ABOVE_HATS = Scene((Group("cat", "blue", 1), Group("hat", "black", 3)), "room", "above", 0)


def scenes(count: int) -> list[Scene]:
    random = Random("captions")
    return [imagine(random, Stream.CORPUS) for _ in range(count)]


@pytest.mark.parametrize("wordings", [TRAINING, HELD_OUT])
def test_a_caption_is_true_of_its_scene(wordings: Wordings):
    random = Random(1)
    assert all(caption(scene, random, wordings).claim.true_of(scene) for scene in scenes(300))


@pytest.mark.parametrize(
    ("scene", "said"),
    [
        (TWO_DOGS, "two red dogs in the snow"),
        (CAT_ABOVE_HATS, "a blue cat above three black hats in a room"),
        (Scene((Group("house", "orange", 1),), "night", None, 0), "an orange house at night"),
    ],
)
def test_a_sentence_says_all_the_facts_in_plain_words(scene: Scene, said: str):
    assert sentence(scene) == said


def test_captions_come_with_and_without_attributes():
    random = Random(2)
    texts = {caption(TWO_DOGS, random).text for _ in range(6000)}
    assert {"dogs", "red dogs", "two dogs", "dogs in the snow"} <= texts
    assert any(all(word in text for word in ("two", "red", "dogs", "snow")) for text in texts)


def test_a_made_up_word_leaves_the_others_in_order():
    noisy = muffled("two red dogs", Random(6)).split()
    assert len(noisy) == 4
    assert [word for word in noisy if word in {"two", "red", "dogs"}] == ["two", "red", "dogs"]


@pytest.mark.parametrize(
    ("claim", "scene", "true"),
    [
        (Claim((Mention("dog"),)), TWO_DOGS, True),
        (Claim((Mention("dog", "red", 2),), "snow"), TWO_DOGS, True),
        (Claim((Mention("dog", None, 3),)), TWO_DOGS, False),
        (Claim((Mention("dog", None, 1),)), TWO_DOGS, False),
        (Claim((Mention("dog", "blue"),)), TWO_DOGS, False),
        (Claim((Mention("dog"),), "beach"), TWO_DOGS, False),
        (Claim((), "snow"), TWO_DOGS, True),
        (Claim((Mention("cat", "black"),)), CAT_ABOVE_HATS, False),
        (Claim((Mention("cat"), Mention("hat")), None, "above"), CAT_ABOVE_HATS, True),
        (Claim((Mention("hat"), Mention("cat")), None, "under"), CAT_ABOVE_HATS, True),
        (Claim((Mention("hat"), Mention("cat")), None, "above"), CAT_ABOVE_HATS, False),
        (Claim((Mention("cat"), Mention("hat")), None, "beside"), CAT_ABOVE_HATS, False),
    ],
)
def test_a_claim_is_true_of_exactly_the_scenes_it_describes(claim: Claim, scene: Scene, *, true: bool):
    assert claim.true_of(scene) is true


def test_the_table_of_truth_agrees_with_each_claim():
    random = Random(3)
    drawn = scenes(120)
    claims = [caption(scene, random).claim for scene in drawn]
    table = truth(claim_codes(claims), scene_codes(drawn))
    assert table.tolist() == [[claim.true_of(scene) for scene in drawn] for claim in claims]


def test_no_sentence_pattern_is_both_trained_and_held_out():
    for part in ("bare", "placed", "place_only"):
        assert not set(getattr(TRAINING, part)) & set(getattr(HELD_OUT, part))


def test_no_held_out_text_can_be_said_in_training():
    random = Random(4)
    claims = [caption(scene, random).claim for scene in scenes(200)]
    for claim in claims:
        trained = {word(claim, random, TRAINING) for _ in range(60)}
        assert not trained & {word(claim, random, HELD_OUT) for _ in range(20)}


def test_held_out_wordings_use_only_words_known_from_training():
    assert vocabulary(HELD_OUT) <= vocabulary(TRAINING)


def test_the_vocabulary_holds_every_word_of_every_caption():
    random = Random(5)
    for wordings in (TRAINING, HELD_OUT):
        known = vocabulary(wordings)
        for scene in scenes(300):
            words = {w.strip(",:") for w in caption(scene, random, wordings).text.split()}
            assert words <= known
