"""A corpus is calibrated on its own texts, and what was fitted is kept, used and made anew."""

import io
import json
import random
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import update

from ml_api.calibration import CalibrationUpkeep, IndexedCorpus, StoredCalibrations, calibrate, calibrate_all, latest, want
from ml_api.calibration.evaluating import evaluate, read_labelled
from ml_api.calibration.examples import Sampled
from ml_api.calibration.familiarity import Familiarity
from ml_api.calibration.fitting import FEWEST_IMAGES
from ml_api.calibration.measuring import Measures, area_under_roc, calibration_error, measures_by
from ml_api.calibration.nonsense import noise
from ml_api.calibration.pairs import pairs_of
from ml_api.calibration.phrases import Matching, Rarity, Wanted, content_words, phrases, texts_of
from ml_api.calibration.storage import VERSION, packed, unpacked
from ml_api.cli.evaluate import evaluate_relevance
from ml_api.database.tables import CalibrationRow
from ml_api.deadline import Deadline
from ml_api.embedding.batching import BatchingEncoder
from ml_api.errors import ConfigError, InvalidInput
from ml_api.images.fit import Square
from ml_api.metrics import Metrics
from ml_api.search import Calibrations, Query, Searcher, TextTerm, Thresholds
from ml_api.search.logistic import LogisticRegression
from ml_api.search.relevance import CONFIDENT, TOP_K, kind_of
from ml_api.settings import load_settings
from ml_api.vectors.base import SearchOptions
from ml_api.vectors.wrapper import StoreWrapper
from tests.captioned import described, filled, words_of
from tests.wordless import wordless


@pytest.fixture
def calibrated(store, model):
    return calibrate(IndexedCorpus(store, "COSINE", *model))


def test_phrases_are_runs_of_words_and_two_with_what_joins_them():
    assert set(phrases("Two brown dogs in the snow")) == {
        *("two brown dogs", "brown dogs", "dogs"),
        *("two brown dogs in the snow", "brown dogs in the snow", "dogs in the snow", "snow"),
    }
    assert phrases("of the") == []


def test_codes_in_names_are_no_phrases():
    """Photographs named by UUIDs were searched for by their pieces, each with one match that no model could see."""
    assert phrases("d116fe9a a72b 49e2 806d e92f3a67a032") == []
    assert phrases("hat SKU4711") == ["hat"]
    assert phrases("a 90s dress 1970") == ["90s dress 1970", "dress 1970", "1970", "a 90s dress 1970"]


def test_an_image_is_described_by_its_metadata_its_name_and_its_folders():
    record = described(1, caption="a dog", tags=["red", "sale"], url="https://shop/x", price=3, sku="4711", size="38,5")
    assert list(texts_of(record)) == ["a dog", "red", "sale", "IMG"]


def test_a_phrase_is_matched_by_images_of_which_all_its_words_are_said():
    matching = Matching([Wanted(content_words([phrase])) for phrase in ("red dogs", "dog")], most=10)
    for number, caption in enumerate(["a dog in red", "two dogs", "a red cat"]):
        matching.look_at(described(number, caption=caption))
    assert [len(ids) for ids in matching.matches] == [1, 2]


def test_a_calibrated_corpus_tells_whether_there_is_a_match(store, model, calibrated):
    preprocessor, encoder = model
    measures = calibrated.measures
    assert measures.auc > 0.95
    assert measures.calibration_error < 0.1
    texts, absent = [" ".join(words_of(number)) for number in range(30)], [f"zebra number {number}" for number in range(30)]
    vectors = encoder.embed([preprocessor.prepare_text(text) for text in [*texts, *absent]])
    matches = [{hit.record.id for hit in hits if hit.score > 0.8} for hits in store.search(vectors[:30], SearchOptions(50))]
    pairs = pairs_of(store, "COSINE", calibrated.calibration.reference, vectors, [*matches, *[set()] * 30])
    assert measures_by(calibrated.calibration, pairs).auc > 0.95


def test_images_are_matches_of_an_image_if_much_the_same_is_said_of_both_and_no_image_is_its_own():
    said = [frozenset(words.split()) for words in ("red dog snow", "red dog beach", "red cat", "blue bird", "blue fish", "one sun")]
    said += [frozenset({"tree"})] * 10
    wanted = [Wanted(like=said[0], itself=described(0).id), Wanted(like=said[0], none_of=frozenset({"beach"}))]
    matching = Matching(wanted, 10, Rarity(said))
    for number, words in enumerate(said):
        matching.look_at(described(number, caption=" ".join(words)))
    assert matching.matches[0] == {described(1).id, described(2).id}
    assert matching.matches[1] == {described(0).id, described(2).id}


def test_what_is_hardly_better_than_a_guess_is_not_told(store, model, database):
    """How well it was judged is kept, for whoever asks."""
    blind = np.random.default_rng(1).normal(size=(240, model[1].model.dim)).astype(np.float32)
    store.upsert(
        list(store.get([described(number).id for number in range(240)]).values()),
        blind / np.linalg.norm(blind, axis=1, keepdims=True),
    )
    made = calibrate_all(IndexedCorpus(store, "COSINE", *model))
    assert not any(one.measures.tells for one in made.values())
    kept = StoredCalibrations(database, "collection", "model")
    assert kept.keep_all(made, 240).measures["auc"] == made["text"].measures.auc
    assert kept.calibration() is None


def test_images_are_calibrated_where_there_are_too_few_texts_to_search_for(store, model):
    """As in six folders: six words, and 40 images of each."""
    ids = [described(number).id for number in range(240)]
    records = [replace(described(number), metadata={"sort": words_of(number)[0]}) for number in range(240)]
    store.upsert(records, np.stack([store.vectors(ids)[image] for image in ids]))
    made = calibrate_all(IndexedCorpus(store, "COSINE", *model))
    assert made["text"] is None
    assert made["image"].measures.tells


def test_all_kinds_are_calibrated_in_two_passes_over_the_images_as_each_is_alone(store, model):
    """Each kind made two of its own, which read every vector."""
    passes = []

    class Counted(StoreWrapper):
        def scan(self, after=""):
            passes.append(after)
            return super().scan(after)

    corpus = IndexedCorpus(Counted(store), "COSINE", *model)
    made = calibrate_all(corpus)
    assert passes == ["", ""]
    for kind, together in made.items():
        assert packed(together.calibration) == packed(calibrate(corpus, kind).calibration)


@pytest.mark.parametrize("kind", ["image", "mixed"])
def test_searches_of_every_kind_are_calibrated_and_told_better_than_by_their_raw_scores(store, model, kind):
    made = calibrate(IndexedCorpus(store, "COSINE", *model), kind)
    assert made.measures.auc >= made.measures.raw_auc
    assert made.measures.auc > 0.85
    assert made.measures.calibration_error < 0.12


def confident_of(made, store, vectors, ids=None):
    """For each vector of an image whether there is a match, which an image with such an id is not itself."""
    calibrations = Calibrations("COSINE")
    calibrations.use("image", made.calibration)
    searched, told = store.search(vectors, SearchOptions(TOP_K + 1)), []
    for vector, itself, found in zip(vectors, ids or [""] * len(vectors), searched, strict=True):
        best = [hit for hit in found if hit.record.id != itself][:TOP_K]
        told.append(calibrations.estimator("image", vector, best, vector).any_match(best) >= CONFIDENT)
    return told


def test_pictures_of_random_pixels_have_no_match_in_a_small_corpus(model):
    store = filled(120)
    corpus = IndexedCorpus(store, "COSINE", *model)
    made = calibrate(corpus, "image")
    pictures = corpus.pictured(noise(random.Random(1), 60, corpus.preprocessor.fit))
    assert sum(confident_of(made, store, pictures)) < 6
    own = store.vectors([described(number).id for number in range(60)])
    assert sum(confident_of(made, store, np.stack(list(own.values())), list(own))) > 30


@pytest.mark.parametrize("kind", ["image", "mixed"])
def test_images_of_the_corpus_are_familiar_and_noise_is_not(store, model, kind):
    corpus = IndexedCorpus(store, "COSINE", *model)
    calibration = calibrate(corpus, kind).calibration
    pictures = corpus.pictured(noise(random.Random(1), 20, corpus.preprocessor.fit))
    assert min(map(calibration.familiarity, store.vectors([described(number).id for number in range(20)]).values())) > 0.9
    assert max(map(calibration.familiarity, pictures)) < 0.5


def test_an_image_of_another_sort_has_no_match_however_near_it_is(store, model):
    """A photograph lay as near to drawings as they do to each other: 0.11 to 0.31 of photographs were called a match."""
    made = calibrate(IndexedCorpus(store, "COSINE", *model), "image")
    dim = model[1].model.dim
    ten_to_one = LogisticRegression(np.zeros(dim), np.ones(dim), np.zeros(dim), -np.log(9))
    calibrations, estimators = Calibrations("COSINE"), []
    vector = store.vectors([described(0).id])[described(0).id]
    [best] = store.search(vector[None], SearchOptions(TOP_K))
    for is_familiar in (None, ten_to_one):
        calibrations.use("image", replace(made.calibration, is_familiar=is_familiar))
        estimators.append(calibrations.estimator("image", vector, best, vector))
    familiar, strange = estimators
    assert familiar.any_match(best) > 0.9
    assert strange.any_match(best) == pytest.approx(0.1 * familiar.any_match(best))
    assert strange.any_match(best[5:]) == pytest.approx(0.1 * familiar.any_match(best[5:])), "with a filter, too"
    assert strange.relevances(best) == pytest.approx([0.1 * one for one in familiar.relevances(best)])


def test_images_that_the_fit_knows_are_as_familiar_as_others():
    """With few images of many dimensions a fit knows its own by heart: 1.00, where others are less."""
    chance = np.random.default_rng(1)
    vectors = chance.normal(size=(160, 64)).astype(np.float32) + np.repeat([[0.2], [-0.2]], 80, axis=0)
    images = [Sampled(f"{number}", vector.astype(np.float32), (), ()) for number, vector in enumerate(vectors)]
    familiarity = Familiarity.of(images[:40], images[80:120])
    known, others = familiarity.of_each(images[:40]), familiarity.of_each(images[40:80])
    assert abs(known.mean() - others.mean()) < 0.05
    assert familiarity.regression(vectors[:40]).mean() > known.mean() + 0.1


def test_random_pixels_are_another_picture_each_as_the_model_sees_them():
    fit = Square(32, 32, Image.Resampling.BICUBIC)
    pictures = noise(random.Random(1), 27, fit)
    assert {picture.shape for picture in pictures} == {(32, 32, 3)}
    assert len({picture.tobytes() for picture in pictures}) == 27
    assert all(np.array_equal(*pair) for pair in zip(pictures, noise(random.Random(1), 27, fit), strict=True))


def test_an_image_is_no_background_of_itself(calibrated):
    """In a small corpus it always was, in the fit, and never is in a search by a new image."""
    reference = calibrated.calibration.reference
    images, scores = [described(number) for number in range(TOP_K)], np.linspace(0.9, 0.5, TOP_K)
    itself = reference.background[3]
    without = replace(reference, background=np.delete(reference.background, 3, axis=0))
    assert np.allclose(reference.of_query(itself, images, scores, itself), without.of_query(itself, images, scores))
    assert not np.allclose(reference.of_query(itself, images, scores), without.of_query(itself, images, scores))


def test_fewer_images_than_tell_what_is_usual_are_not_calibrated_by_the_command_either(model):
    assert calibrate_all(IndexedCorpus(filled(FEWEST_IMAGES - 1), "COSINE", *model)) == {}


@pytest.mark.parametrize(
    ("modalities", "weights", "kind"),
    [
        (["text"], [1], "text"),
        (["image"], [2], "image"),
        (["text", "text", "text"], [1, 0.5, -0.5], "text"),
        (["text", "text"], [-1, -0.5], None),
        (["image", "text"], [1, -1], "mixed"),
        (["image", "image"], [1, 1], None),
        (["image", None], [1, 1], None),
        (["text"], [-1], None),
    ],
)
def test_what_scores_mean_depends_on_the_kind_of_query(modalities, weights, kind):
    assert kind_of(modalities, weights) == kind


def test_a_corpus_that_says_nothing_is_not_calibrated(model):
    assert calibrate(IndexedCorpus(filled(captions=False), "COSINE", *model)) is None


def test_what_is_kept_judges_as_what_was_fitted(store, model, calibrated):
    again = unpacked(packed(calibrated.calibration))
    images = [hit.record for hit in store.search(np.eye(1, 59, dtype=np.float32), SearchOptions(TOP_K))[0]]
    vector, scores = np.eye(1, 59, dtype=np.float32)[0], np.linspace(0.9, 0.5, TOP_K)
    one, other = (of.any_match(of.reference.of_query(vector, images, scores)[None]) for of in (calibrated.calibration, again))
    assert one == pytest.approx(other, abs=0.01)


def test_what_an_earlier_service_has_kept_is_read_by_the_names_that_it_wrote():
    numbers = np.random.default_rng(1).normal(0, 1, (3, 3, 2))
    parts = {
        f"{name}_{part}": one
        for name, of_name in zip(("any", "is", "familiar"), numbers, strict=True)
        for part, one in zip(("mean", "scale", "weights"), of_name, strict=True)
    }
    content = io.BytesIO()
    reference = {"background": np.zeros((1, 2), np.float16), "marks": np.zeros(0, np.uint64), "rivals": np.zeros(0, np.float32)}
    np.savez(content, **reference, **parts, any_bias=np.asarray(0.5), is_bias=np.asarray(-1.5), familiar_bias=np.asarray(2.5))
    read = unpacked(content.getvalue())
    for fit, (mean, scale, weights), bias in zip(
        (read.any_match, read.is_match, read.is_familiar), numbers, (0.5, -1.5, 2.5), strict=True
    ):
        assert fit(np.ones((1, 2))) == LogisticRegression(mean, scale, weights, bias)(np.ones((1, 2)))
    with np.load(io.BytesIO(packed(read))) as again, np.load(io.BytesIO(content.getvalue())) as first:
        assert sorted(again.files) == sorted(first.files)
        assert all((again[name] == first[name]).all() for name in first.files)


def test_what_is_familiar_is_kept(store, model):
    made = calibrate(IndexedCorpus(store, "COSINE", *model), "image").calibration
    vector = store.vectors([described(0).id])[described(0).id]
    assert unpacked(packed(made)).familiarity(vector) == made.familiarity(vector) < 1


def test_a_calibration_of_an_earlier_version_is_made_anew(store, model, database):
    """Its numbers of other signals would be an error, or a wrong judgement."""
    kept, calibrations = StoredCalibrations(database, "collection", "model"), Calibrations("COSINE")
    row = kept.keep(calibrate(IndexedCorpus(store, "COSINE", *model)), 240)
    with database.write() as session:
        session.execute(update(CalibrationRow).values(version=VERSION - 1, content=b"of other signals"))
    assert kept.row() is None
    assert kept.calibration() is None
    upkeep = CalibrationUpkeep(kept, calibrations, IndexedCorpus(store, "COSINE", *model))
    upkeep.look()
    assert not calibrations.has("text")
    upkeep.look()
    assert calibrations.has("text")
    assert kept.row().made_at > row.made_at


def test_upkeep_calibrates_once_the_corpus_is_still_and_again_when_it_has_changed_or_somebody_wants_it(store, model, database):
    def look_twice(kept):
        upkeep = CalibrationUpkeep(kept, Calibrations("COSINE"), IndexedCorpus(store, "COSINE", *model))
        upkeep.look()
        first = upkeep.calibrations.has("text")
        upkeep.look()
        return first, upkeep.calibrations.has("text"), kept.row().made_at

    kept = StoredCalibrations(database, "collection", "model")
    before, after, made_at = look_twice(kept)
    assert (before, after) == (False, True)
    assert look_twice(kept) == (True, True, made_at)
    want(database, "collection")
    wanted = look_twice(kept)[2]
    assert wanted > made_at
    assert latest(database, "collection").made_at == wanted
    store.delete([described(number).id for number in range(60)])
    assert look_twice(kept)[2] > wanted
    assert kept.row().images == 180


def test_upkeep_remembers_that_a_corpus_says_nothing(model, database):
    kept = StoredCalibrations(database, "collection", "model")
    upkeep = CalibrationUpkeep(kept, Calibrations("COSINE"), IndexedCorpus(filled(captions=False), "COSINE", *model))
    upkeep.look()
    upkeep.look()
    assert kept.row().measures == {}
    assert not upkeep.calibrations.has("text")


@pytest.fixture
def search(store, model, calibrated):
    calibrations, metrics = Calibrations("COSINE"), Metrics()
    calibrations.use("text", calibrated.calibration)
    embedder = BatchingEncoder(model[1], metrics)
    hybrid = wordless(store)
    searcher = Searcher(model[0], embedder, store, metrics, hybrid, calibrations)

    def search(text, *options, **thresholds):
        query = Query.of(TextTerm(text), SearchOptions(*options), Thresholds(**thresholds))
        return searcher.search(query, Deadline.within(30))

    yield search
    hybrid.close()
    embedder.close()


def relevances(result):
    return [row.relevance for row in result.rows]


def test_an_answer_is_confident_if_there_is_a_match(search):
    assert search("red bargo", 5).confident
    assert not search("zebra", 5).confident


def test_a_page_is_judged_as_part_of_the_ranking_wherever_it_begins(search):
    whole, page = search("red bargo", 12), search("red bargo", 4, 8)
    assert [hit.record.id for hit in page.hits] == [hit.record.id for hit in whole.hits[8:]]
    assert relevances(page) == pytest.approx(relevances(whole)[8:])
    assert page.confident == whole.confident
    assert relevances(search("red bargo", 3)) == pytest.approx(relevances(whole)[:3])


def test_hits_below_a_threshold_are_left_out_and_the_ranking_ends_there(search):
    whole = search("red bargo", 20)
    assert whole.more
    by_score = search("red bargo", 20, score=whole.hits[4].score)
    assert [hit.record.id for hit in by_score.hits] == [hit.record.id for hit in whole.hits[:5]]
    assert not by_score.more
    least = sorted(relevances(whole))[-5]
    assert len(search("red bargo", 20, relevance=least).hits) == 5
    nothing = search("zebra", 20, relevance=0.999)
    assert (nothing.hits, nothing.more) == ([], False)


def test_the_area_under_the_curve_is_the_chance_that_a_positive_scores_above_a_negative():
    labels = np.array([1, 1, 0, 0])
    assert area_under_roc(np.array([4.0, 2.0, 3.0, 1.0]), labels) == 0.75
    assert area_under_roc(np.ones(4), labels) == 0.5


def test_the_calibration_error_is_the_distance_from_the_share():
    assert calibration_error(np.full(10, 0.75), np.array([1] * 5 + [0] * 5), np.ones(10)) == pytest.approx(0.25)


def judged_file(tmp_path, *lines):
    path = tmp_path / "queries.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_judged_queries_tell_how_well_a_corpus_is_calibrated(store, model, calibrated, tmp_path):
    texts = [" ".join(words_of(number)) for number in range(40)]
    lines = [
        json.dumps({"text": text, "keys": [f"IMG_{n:04d}.jpg" for n in range(240) if " ".join(words_of(n)) == text]})
        for text in texts
    ]
    outside = [json.dumps({"text": f"zebra {number}", "keys": []}) for number in range(20)]
    queries = read_labelled(judged_file(tmp_path, *lines, "", *outside))
    found = evaluate(queries, IndexedCorpus(store, "COSINE", *model), calibrated.calibration)
    assert found.searches == 100
    assert found.as_calibrated.auc > 0.9
    assert [label for label, _, _ in found.lines()] == ["best raw score", "as calibrated", "fitted to these, 5 folds"]
    assert evaluate(queries, IndexedCorpus(store, "COSINE", *model), None).as_calibrated is None


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "is no JSON; each line is an object"),
        ("[]", "must be an object"),
        ('{"text": "a"}', "must be"),
        ('{"text": "", "keys": []}', "must be"),
        ('{"text": "a", "keys": "b"}', "must be"),
        ('{"text": "a", "keys": ["\\ud800"]}', "holds a lone surrogate"),
    ],
)
def test_a_line_that_is_no_judged_query_is_named(line, says, tmp_path):
    with pytest.raises(InvalidInput, match=rf"queries\.jsonl, line 2: {says}"):
        read_labelled(judged_file(tmp_path, '{"text": "a", "keys": ["b"]}', line))


def test_judged_queries_are_read_as_windows_writes_them_and_in_utf8_alone(tmp_path):
    path = tmp_path / "queries.jsonl"
    path.write_bytes('\ufeff{"text": "a\u2028b", "keys": ["c"]}\r\n'.encode())
    assert [query.text for query in read_labelled(path)] == ["a\u2028b"]
    path.write_bytes('{"text": "a", "keys": ["c"]}'.encode("utf-16"))
    with pytest.raises(InvalidInput, match="is no text in UTF-8"):
        read_labelled(path)


def test_judged_queries_whose_images_are_not_indexed_are_refused(store, model, tmp_path):
    queries = read_labelled(judged_file(tmp_path, '{"text": "red", "keys": ["elsewhere.jpg"]}'))
    with pytest.raises(InvalidInput, match="is indexed"):
        evaluate(queries, IndexedCorpus(store, "COSINE", *model), None)


def test_fewer_judged_queries_than_can_be_measured_by_each_other_are_refused(store, model, tmp_path):
    """They were measured, over warnings of numpy, and said to be told by guessing without any error."""
    lines = [json.dumps({"text": " ".join(words_of(number)), "keys": [f"IMG_{number:04d}.jpg"]}) for number in range(4)]
    with pytest.raises(InvalidInput, match=r"4 judged queries are too few: .* at least 5"):
        evaluate(read_labelled(judged_file(tmp_path, *lines)), IndexedCorpus(store, "COSINE", *model), None)


def test_judged_queries_are_a_file_not_a_number(tmp_path):
    settings = load_settings({"ML_API_CORPUS": str(tmp_path), "ML_API_DATA_DIR": str(tmp_path / "data")})
    with pytest.raises(ConfigError, match="names a file of judged queries"):
        evaluate_relevance(settings, 100, as_json=False)


def test_the_log_says_in_words_how_well_it_is_told():
    assert str(Measures(450, 0.61, 0.65, 0.12, 0.66)) == (
        "over 450 searches: area under the ROC curve 0.650 (by raw score 0.610), expected calibration error 0.120; of those that "
        "have a match, with it and without: area 0.660"
    )
