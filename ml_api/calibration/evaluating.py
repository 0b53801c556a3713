"""Evaluates on judged queries how well the calibration predicts whether a query has a match."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ml_api.calibration.fitting import reference_of
from ml_api.calibration.indexed import IndexedCorpus
from ml_api.calibration.measuring import FOLDS, Measures, cross_validated, measures_by
from ml_api.calibration.pairs import pairs_of
from ml_api.errors import InvalidInput
from ml_api.evaluation.judged import objects_in
from ml_api.records import image_id
from ml_api.search.relevance import Calibration
from ml_api.vectors.base import MAX_WINDOW

LINE: Final = '{"text": "a red car", "keys": ["keys", "of", "matches"]}'


@dataclass(frozen=True, slots=True)
class LabelledQuery:
    """`matches` are the ids of all images that answer it; none if nothing does."""

    text: str
    matches: frozenset[str]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """`as_calibrated` is None if the corpus is not calibrated."""

    as_calibrated: Measures | None
    fitted: Measures

    @property
    def searches(self) -> int:
        return self.fitted.queries

    def lines(self) -> Iterator[tuple[str, float, str]]:
        """Lines of a table: label, area under the ROC curve, expected calibration error."""
        yield "best raw score", self.fitted.raw_auc, ""
        if self.as_calibrated is not None:
            yield "as calibrated", self.as_calibrated.auc, f"{self.as_calibrated.calibration_error:.3f}"
        yield f"fitted to these, {FOLDS} folds", self.fitted.auc, f"{self.fitted.calibration_error:.3f}"

    def as_json(self) -> dict[str, Any]:
        return {"searches": self.searches, "lines": list(self.lines())}


def read_labelled(path: Path) -> list[LabelledQuery]:
    """The queries of a file of JSON lines, `{"text": "a red car", "keys": ["cars/1.jpg"]}`. Raises InvalidInput, OSError."""
    queries = []
    for where, row in objects_in(path, LINE):
        query = _labelled(row)
        if query is None:
            raise InvalidInput(f"{where}: must be {LINE}")
        queries.append(query)
    if not queries:
        raise InvalidInput(f"{path} has no queries")
    return queries


def _labelled(row: Mapping[str, Any]) -> LabelledQuery | None:
    text, keys = row.get("text"), row.get("keys")
    if not isinstance(text, str) or not text.strip() or not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        return None
    return LabelledQuery(text, frozenset(map(image_id, keys)))


def evaluate(queries: Sequence[LabelledQuery], corpus: IndexedCorpus, calibration: Calibration | None) -> Evaluation:
    """Each query with matches is searched for with them and without. Raises InvalidInput, Unavailable."""
    few = [query for query in queries if len(query.matches) <= MAX_WINDOW // 2]
    stored = corpus.store.get(sorted({image for query in few for image in query.matches}))
    matches = [query.matches & stored.keys() for query in few]
    if not any(matches):
        raise InvalidInput("no image that answers one of these queries is indexed: their keys are as in the answers of searches")
    if len(few) < FOLDS:
        raise InvalidInput(f"{len(few)} judged queries are too few: each is measured by a fit to others; name at least {FOLDS}")
    reference = calibration.reference if calibration else reference_of(corpus)
    vectors = corpus.embedded([query.text for query in few])
    pairs = pairs_of(corpus.store, corpus.metric, reference, vectors, matches)
    return Evaluation(measures_by(calibration, pairs) if calibration else None, cross_validated(pairs.queries))
