"""Verdicts on hits join the corpus's own pairs where they help, and cannot outvote them."""

import numpy as np
import pytest

from ml_api.calibration import IndexedCorpus, calibrate
from ml_api.calibration.measuring import area_under_roc
from ml_api.calibration.pairs import Pairs, Rows
from ml_api.calibration.verdicts import IRRELEVANT, RELEVANT, SHARE, learned, pairs_of_verdicts
from ml_api.vectors.base import SearchOptions
from tests.captioned import NOUNS, words_of

WORDINGS = [f"a lovely picture of {words_of(number)[1]} seen somewhere far away" for number in range(len(NOUNS))]
NOWHERE = [f"a lovely picture of zebra{number} seen somewhere far away" for number in range(len(NOUNS))]


@pytest.fixture
def judge(store, model):
    """Verdicts on the five best hits of texts that the corpus does not word so."""
    preprocessor, encoder = model

    def judge(says, texts=(*WORDINGS, *NOWHERE)):
        vectors = encoder.embed([preprocessor.prepare_text(text) for text in texts])
        found = store.search(vectors, SearchOptions(5))
        return {
            text: {
                hit.record.id: RELEVANT if says(text.split()[4] in hit.record.metadata["caption"]) else IRRELEVANT for hit in hits
            }
            for text, hits in zip(texts, found, strict=True)
        }

    return judge


@pytest.fixture
def fit(store, model):
    return lambda verdicts: calibrate(IndexedCorpus(store, "COSINE", *model), verdicts=verdicts)


def same(one, other):
    fits = [(made.calibration.any_match, made.calibration.is_match) for made in (one, other)]
    return all(np.array_equal(left.weights, right.weights) and left.bias == right.bias for left, right in zip(*fits, strict=True))


def test_verdicts_are_counted_and_the_corpus_is_told_as_well_as_before(fit, judge):
    before, after = fit({}), fit(judge(lambda right: right))
    assert (after.judged_texts, after.verdicts) == (2 * len(NOUNS), 10 * len(NOUNS))
    assert after.measures.auc > before.measures.auc - 0.02


@pytest.mark.parametrize(
    "says",
    [lambda right: not right, lambda _right: True, lambda _right: False],
    ids=["all wrong", "all relevant", "all irrelevant"],
)
def test_hostile_verdicts_change_nothing_however_many_they_are(fit, judge, says):
    before, after = fit({}), fit(judge(says))
    assert after.judged_texts == 2 * len(NOUNS)
    assert after.used_texts == 0
    assert same(before, after)
    assert after.measures == before.measures


def test_a_few_verdicts_are_not_learned_from(fit, judge):
    few = judge(lambda right: right, [*WORDINGS[:9], *NOWHERE[:9]])
    assert fit(few).used_texts == 0


def rows(count, flipped=0, seed=0):
    """One signal, above 0 for what has a match, as a rule; the first labels are `flipped`."""
    chance = np.random.default_rng(seed)
    labels = np.tile([1.0, 0.0], count // 2)
    signals = (2 * labels - 1 + chance.normal(0, 1, count))[:, None]
    labels[:flipped] = 1 - labels[:flipped]
    return Rows(signals, labels, np.arange(count, dtype=float), np.ones(count))


def test_what_people_tell_and_the_corpus_does_not_is_learned():
    """A signal that is always the same in the corpus's own pairs."""
    own, said = rows(200), rows(200, seed=1)
    own = Rows(np.hstack([own.signals, np.zeros((200, 1))]), own.labels, own.owner, own.weight)
    told = (2 * said.labels - 1)[:, None] + np.random.default_rng(2).normal(0, 1, (200, 1))
    given = Rows(np.hstack([said.signals, told]), said.labels, said.owner, said.weight)
    found = learned(Pairs(own, own), Pairs(given, given))
    assert found.texts == 200
    joined, alone = (one.fit()(given.signals) for one in (found.pairs.queries, own))
    assert area_under_roc(joined, given.labels) > area_under_roc(alone, given.labels) + 0.03


def test_verdicts_weigh_half_of_the_corpus_s_own_pairs_at_most():
    own = Pairs(rows(100), rows(100))
    found = learned(own, Pairs(rows(4000, seed=1), rows(4000, seed=1)))
    assert found.texts == 4000
    for joined in (found.pairs.queries, found.pairs.hits):
        assert joined.weight[100:].sum() == pytest.approx(SHARE * 100)
        assert joined.weight[100:].max() <= 1


def test_a_few_wrong_ones_among_many_move_little():
    own = Pairs(rows(100), rows(100))
    sound, spoilt = (learned(own, Pairs(given, given)).pairs.queries.fit() for given in (rows(200, 0, 1), rows(200, 20, 1)))
    at = np.linspace(-3, 3, 13)[:, None]
    assert np.abs(sound(at) - spoilt(at)).max() < 0.1


def test_what_verdicts_do_not_tell_is_not_taken_for_an_answer(store, model):
    preprocessor, encoder = model
    made = calibrate(IndexedCorpus(store, "COSINE", *model))
    vectors = encoder.embed([preprocessor.prepare_text("red bargo")] * 4)
    best = [hit.record.id for hit in store.search(vectors[:1], SearchOptions(10))[0]]
    clicked = {best[0]: 1, **dict.fromkeys(best[1:], IRRELEVANT)}
    second = dict.fromkeys(best[1:], IRRELEVANT)
    absent, present = dict.fromkeys(best[:3], IRRELEVANT), {best[4]: RELEVANT, best[0]: IRRELEVANT}
    found = pairs_of_verdicts(store, "COSINE", made.calibration.reference, vectors, [clicked, second, absent, present])
    assert list(zip(found.queries.owner, found.queries.labels, strict=True)) == [(2, 0), (3, 1)]
    assert len(found.hits.labels) == 9 + 9 + 3 + 2
    assert pairs_of_verdicts(store, "COSINE", made.calibration.reference, vectors, [{}] * 4) is None
