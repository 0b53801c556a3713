"""Searches by words beside vectors, for `searcher`: words are looked up while the model embeds, and fused with the hits by vectors.

The word index only proposes matches. Each match that is delivered is verified on the record itself, so that none is shown whose
record has changed, however outdated the index is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ml_api.deadline import Deadline
from ml_api.errors import DatabaseUnavailable
from ml_api.metrics import Metrics
from ml_api.records import Hit, ImageRecord, TextMatch
from ml_api.search.fusion import TermWords, TextMatches
from ml_api.search.lookups import NOTHING, Lookups, WordLookups, lookup_of, words_by_term
from ml_api.search.query import Query, TextTerm
from ml_api.search.targets import Target
from ml_api.texts.index import Found, TextIndex
from ml_api.texts.words import words_by_field
from ml_api.vectors.base import MetricType, VectorStore
from ml_api.vectors.filters import holds
from ml_api.vectors.scoring import score_of


class Hybrid:
    """Hybrid search over a word index and a vector store. Thread-safe. The caller closes it."""

    def __init__(self, index: TextIndex, store: VectorStore, metric: MetricType, metrics: Metrics) -> None:
        self._lookups = WordLookups(index, metrics.search)
        self._store = store
        self._metric = metric

    def close(self) -> None:
        """End the threads of lookups. Safe to call twice."""
        self._lookups.close()

    def begin(self, queries: Sequence[Query]) -> Lookups | None:
        """Start looking up the words of queries in another thread, until `end`. Returns None if there is nothing to look up, or
        lookups are paused.
        """
        return self._lookups.begin(queries)

    def end(self, lookups: Lookups | None) -> None:
        """To be called for each `begin`, whatever becomes of the search. Safe to call twice."""
        if lookups is not None:
            self._lookups.end(lookups)

    def matches(self, queries: Sequence[Query], lookups: Lookups | None, deadline: Deadline) -> dict[Query, TextMatches]:
        """Return the images that each query's words match, without queries whose words match none, or too many.

        Raises DeadlineExceeded, and DatabaseUnavailable if only words count (`match=text`).
        """
        results = None if lookups is None else self._lookups.answer(lookups, deadline)
        if results is None:
            if any(query.match == "text" and lookup_of(query).words for query in queries):
                raise DatabaseUnavailable("the words of the images cannot be looked up now; try again, or leave out match=text")
            results = [NOTHING] * len(queries)
        every = {query: _matches(query, found) for query, found in zip(queries, results, strict=True)}
        return {query: matches for query, matches in every.items() if matches is not None}

    def fused(self, ranked: Mapping[Target, list[Hit]], deadline: Deadline) -> dict[Target, list[Hit]]:
        """Return the hits of each target: in the fused order, as many as it needs, if words matched; otherwise as in `ranked`."""
        return {
            target: hits if target.texts is None else self._fused(target, target.texts, hits, deadline)
            for target, hits in ranked.items()
        }

    def _fused(self, target: Target, proposed: TextMatches, ranked: Sequence[Hit], deadline: Deadline) -> list[Hit]:
        """Fuse, verify the matches that would be delivered, and fuse again without those that are false or filtered out.

        How certainly words name an image is judged among all images that have them, so that it does not depend on the filter.
        """
        texts = proposed
        hits, scores = {hit.record.id: hit for hit in ranked}, {hit.record.id: hit.score for hit in ranked}
        if texts.is_cut:
            texts = texts.joined(hit.record.id for hit in ranked if _has_all_words(hit.record, texts.found))
        verified: dict[str, Hit] = {}
        examined = target.most_fused
        while True:
            scores |= self._scores(target, sorted(texts.standing_alone - scores.keys()), deadline)
            order = texts.fused([hit.record.id for hit in ranked], scores)
            new = [image for image in order[:examined] if image in texts.coverages and image not in verified]
            missing = [image for image in new if image not in hits]
            hits |= self._fetched(target, missing, scores, deadline) if missing else {}
            for image in new:
                if image in hits and (match := _verified(hits[image], target, proposed, texts.found.images[image])):
                    verified[image] = replace(hits[image], match=match)
            false = frozenset(new) - verified.keys()
            if not false:
                return [verified.get(image) or hits[image] for image in order[: target.most_fused]]
            texts, examined = texts.without(false), 2 * examined  # few rounds, however many are false or filtered out

    def _scores(self, target: Target, images: Sequence[str], deadline: Deadline) -> dict[str, float]:
        """The scores of those of `images` that are stored."""
        vectors = self._store.vectors(images, deadline) if images else {}
        return {image: score_of(float(target.combined.vector @ vector), self._metric) for image, vector in vectors.items()}

    def _fetched(self, target: Target, images: Sequence[str], scores: Mapping[str, float], deadline: Deadline) -> dict[str, Hit]:
        """Those of `images` that are stored and fulfil the filter, as hits."""
        records, wanted = self._store.get(images, deadline), target.query.options.filter
        return {image: Hit(record, scores[image]) for image, record in records.items() if wanted is None or holds(wanted, record)}


def _matches(query: Query, found: Found) -> TextMatches | None:
    words = [frozenset(found.known.keys() & of_term) for of_term in words_by_term(query)]
    if query.match == "text":
        return TextMatches(found, [TermWords(of_term, 1.0) for of_term in words], only=True)
    if not found.images:
        return None
    weights = [max(one.weight, 0.0) for one in query.terms]
    of_texts = [weight for weight, one in zip(weights, query.terms, strict=True) if isinstance(one.term, TextTerm)]
    terms = [TermWords(of_term, weight / max(of_texts) if of_term else 0.0) for of_term, weight in zip(words, weights, strict=True)]
    matches = TextMatches(found, terms, sum(of_texts) / sum(weights))
    return matches if matches.coverages else None


def _has_all_words(record: ImageRecord, found: Found) -> bool:
    """Whether the record has every word that was looked up."""
    return found.known.keys() <= set().union(*words_by_field(record).values())


def _verified(hit: Hit, target: Target, texts: TextMatches, has: frozenset[str]) -> TextMatch | None:
    """Return the fields in which the record has the words `has` that it was found by, without fields whose words are a part of
    another field's. None if the record no longer has all of the words, or its score is below the threshold.
    """
    matched = {name: has & words for name, words in words_by_field(hit.record).items()}
    if has - frozenset().union(*matched.values()) or not target.query.thresholds.let_score_pass(hit.score):
        return None
    shown = {name: texts.distinctive(has) & words for name, words in matched.items()}
    fields = tuple(name for name, words in shown.items() if words and not any(words < others for others in shown.values()))
    return TextMatch(fields, texts.naming(has), texts.naming_by_term(has))
