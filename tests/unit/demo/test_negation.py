"""Negations are judged by the facts of the pictures, and no plain text of the demo is taken for one."""

from demo.corpus import COUNT, SEED, plan
from demo.negation import A_SORT, tasks
from demo.queries import judged_queries
from ml_api.search import TextTerm, Weighted, read_negations


def test_a_picture_that_shows_what_is_not_wanted_is_wrong():
    scenes = [picture.scene for picture in plan(COUNT, SEED)]
    made = list(tasks(scenes))
    assert len(made) == 4 * A_SORT
    for task in made:
        assert task.right
        assert min(term.weight for term in read_negations(task.text)) < 0, task.text


def test_captions_and_queries_without_a_negation_stand_as_they_are():
    pictures = plan(COUNT, SEED)
    texts = {picture.caption for picture in pictures} | {query.text for query in judged_queries([one.scene for one in pictures])}
    assert len(texts) > 1000
    for text in texts:
        assert read_negations(text) == (Weighted(TextTerm(text)),)
