"""The texts of which `demo.verdicts` judges hits."""

from random import Random

from demo.captions import sentence
from demo.scenes import Stream, imagine
from demo.verdicts import JUDGES, texts_of


def test_texts_have_the_pictures_that_show_them_and_some_have_none():
    random = Random(1)
    scenes = [imagine(random, Stream.CORPUS) for _ in range(400)]
    texts = texts_of([f"{number}.jpg {sentence(scene)}" for number, scene in enumerate(scenes)], scenes)
    without = [text for text in texts if not text.right]
    assert len(texts) - len(without) > 200
    assert len(without) > 100
    assert {"zebra", "lorem ipsum dolor"} < {text.text for text in without}


def test_judges_go_by_the_facts_or_against_them():
    random = Random(1)
    assert [JUDGES["by the facts"](right, random) for right in (True, False)] == [True, False]
    assert [JUDGES["all wrong"](right, random) for right in (True, False)] == [False, True]
    assert sum(JUDGES["one of ten wrong"](right, random) for right in [True] * 1000) in range(860, 940)
