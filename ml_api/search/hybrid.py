"""Search by words beside vectors: looked up while the model embeds, fused with what the vectors found.

The index of words only proposes. What is delivered was compared with the record itself, so that no match is shown that the record
does not have any more, however far the index is behind.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ml_api.deadline import Deadline
from ml_api.errors import DatabaseUnavailable
from ml_api.metrics import Metrics
from ml_api.records import Hit, ImageRecord, TextMatch
from ml_api.search.fusion import TextMatches
from ml_api.search.lookups import NOTHING, Lookups, WordLookups, lookup_of
from ml_api.search.query import Query, TextTerm
from ml_api.search.targets import Target
from ml_api.texts.index import Found, TextIndex
from ml_api.texts.words import words_by_field
from ml_api.vectors.base import Metric, VectorStore
from ml_api.vectors.filters import holds
from ml_api.vectors.scoring import score_of


class Hybrid:
    """Thread-safe. Close it."""

    def __init__(self, index: TextIndex, store: VectorStore, metric: Metric, metrics: Metrics) -> None:
        self._lookups = WordLookups(index, metrics.search)
        self._store = store
        self._metric = metric

    def close(self) -> None:
        """Safe to call twice."""
        self._lookups.close()

    def begin(self, queries: Sequence[Query]) -> Lookups | None:
        """Look the words of these queries up, in another thread. None if there is nothing to look up, or nobody to ask."""
        return self._lookups.begin(queries)

    def matches(self, queries: Sequence[Query], lookups: Lookups | None, deadline: Deadline) -> dict[Query, TextMatches]:
        """For each query the images that its words match; without queries whose words match none, or too many.

        Raises DeadlineExceeded, and DatabaseUnavailable if only words count (`match=text`).
        """
        found = None if lookups is None else self._lookups.answer(lookups, deadline)
        if found is None:
            if any(query.match == "text" and lookup_of(query).words for query in queries):
                raise DatabaseUnavailable("the words of the images cannot be looked up now; try again, or leave out match=text")
            found = [NOTHING] * len(queries)
        every = {query: _matches(query, one) for query, one in zip(queries, found, strict=True)}
        return {query: matches for query, matches in every.items() if matches is not None}

    def fused(self, ranked: Mapping[Target, list[Hit]], deadline: Deadline) -> dict[Target, list[Hit]]:
        """For targets with matches as many hits as they need, in the fused order; for others what they had."""
        return {
            target: hits if target.texts is None else self._fused(target, target.texts, hits, deadline)
            for target, hits in ranked.items()
        }

    def _fused(self, target: Target, asked: TextMatches, ranked: Sequence[Hit], deadline: Deadline) -> list[Hit]:
        """Fuses, proves the matches that would be delivered, and fuses again without those that are false, or filtered out.

        How certainly words name an image is told among all that have them, so that it does not depend on the filter.
        """
        texts = asked
        hits, scores = {hit.record.id: hit for hit in ranked}, {hit.record.id: hit.score for hit in ranked}
        if texts.is_cut:
            texts = texts.joined(hit.record.id for hit in ranked if _says_all(hit.record, texts.found))
        proved: dict[str, Hit] = {}
        looked_at = target.most_fused
        while True:
            scores |= self._scores(target, sorted(texts.standing_alone - scores.keys()), deadline)
            order = texts.fused([hit.record.id for hit in ranked], scores)
            new = [image for image in order[:looked_at] if image in texts.coverages and image not in proved]
            missing = [image for image in new if image not in hits]
            hits |= self._fetched(target, missing, scores, deadline) if missing else {}
            for image in new:
                if image in hits and (match := _proof(hits[image], target, asked, texts.found.images[image])):
                    proved[image] = replace(hits[image], match=match)
            false = frozenset(new) - proved.keys()
            if not false:
                return [proved.get(image) or hits[image] for image in order[: target.most_fused]]
            texts, looked_at = texts.without(false), 2 * looked_at  # few rounds, however many are false or filtered out

    def _scores(self, target: Target, images: Sequence[str], deadline: Deadline) -> dict[str, float]:
        """The scores of the images that are stored."""
        vectors = self._store.vectors(images, deadline) if images else {}
        return {image: score_of(float(target.combined.vector @ vector), self._metric) for image, vector in vectors.items()}

    def _fetched(self, target: Target, images: Sequence[str], scores: Mapping[str, float], deadline: Deadline) -> dict[str, Hit]:
        """The images that are stored and fulfil the filter, as hits."""
        records, wanted = self._store.get(images, deadline), target.query.options.filter
        return {image: Hit(record, scores[image]) for image, record in records.items() if wanted is None or holds(wanted, record)}


def _matches(query: Query, found: Found) -> TextMatches | None:
    if query.match == "text":
        return TextMatches(found, only=True)
    if not found.images:
        return None
    weights = [one.weight for one in query.terms if one.weight > 0]
    texts = [one.weight for one in query.terms if one.weight > 0 and isinstance(one.term, TextTerm)]
    matches = TextMatches(found, sum(texts) / sum(weights))
    return matches if matches.coverages else None


def _says_all(record: ImageRecord, found: Found) -> bool:
    """Whether the record has every word that was looked up."""
    return found.known.keys() <= set().union(*words_by_field(record).values())


def _proof(hit: Hit, target: Target, texts: TextMatches, has: frozenset[str]) -> TextMatch | None:
    """In which fields the record has the words that it was found by, without fields that have only some words of another. None if
    the record lacks one of them by now, or if the image is too far away.
    """
    found = {name: has & words for name, words in words_by_field(hit.record).items()}
    if has - frozenset().union(*found.values()) or not target.query.thresholds.let_score_pass(hit.score):
        return None
    told = {name: texts.distinctive(has) & some for name, some in found.items()}
    fields = tuple(name for name, some in told.items() if some and not any(some < others for others in told.values()))
    return TextMatch(fields, texts.naming(has))
