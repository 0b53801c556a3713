"""Defines the values that go into a search, `Query`, and come out of it, `SearchResult`. All are frozen, and queries are
hashable."""

from dataclasses import dataclass
from itertools import chain
from typing import Final, Self

from ml_api.errors import MlApiError
from ml_api.images import RgbPixels
from ml_api.records import Hit
from ml_api.search.arrangement import AS_RANKED, Arrangement
from ml_api.search.facets import Facets
from ml_api.vectors.base import SearchOptions
from ml_api.vocabulary import MatchMode


@dataclass(frozen=True, slots=True)
class TextTerm:
    """Images that show what `text` describes."""

    text: str


@dataclass(frozen=True, slots=True, eq=False)
class ImageTerm:
    """Images that look like this one: the pixels that a `Decoder` returned for the preprocessor's `fit`.

    Terms are equal only if they are the same object: pixels are not compared.
    """

    pixels: RgbPixels


@dataclass(frozen=True, slots=True)
class StoredTerm:
    """Images that look like a stored one."""

    image_id: str


@dataclass(frozen=True, slots=True)
class VectorTerm:
    """Images near a vector that was embedded elsewhere: as many finite numbers as the model has dimensions."""

    vector: tuple[float, ...]


Term = TextTerm | ImageTerm | StoredTerm | VectorTerm


@dataclass(frozen=True, slots=True)
class Weighted:
    """A term and its weight among the others. With a negative weight, images that it describes rank lower."""

    term: Term
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Reading:
    """Terms, and what is searched for in place of each (`read_negations`)."""

    sent: tuple[Weighted, ...]
    parts: tuple[tuple[Weighted, ...], ...]
    """Of each of `sent`: itself, or the terms in its place."""

    @property
    def terms(self) -> tuple[Weighted, ...]:
        return tuple(chain.from_iterable(self.parts))

    @property
    def places(self) -> tuple[int, ...]:
        """Of each of `terms`, the place in `sent` of the one that it was read from; ascending."""
        return tuple(place for place, parts in enumerate(self.parts) for _ in parts)

    @property
    def otherwise(self) -> tuple[Weighted, ...]:
        """The terms that are searched for in place of others."""
        read = zip(self.sent, self.parts, strict=True)
        return tuple(chain.from_iterable(parts for sent, parts in read if parts != (sent,)))


@dataclass(frozen=True, slots=True)
class Marks:
    """Stored images that a person marked: the query is moved towards `more` and away from `less`, which are left out."""

    more: tuple[StoredTerm, ...] = ()
    less: tuple[StoredTerm, ...] = ()

    @property
    def any(self) -> bool:
        return bool(self.more or self.less)


NO_MARKS: Final = Marks()
SCORE_DIGITS: Final = 6
"""Decimals of scores in answers."""
RELEVANCE_DIGITS: Final = 4
"""Decimals of relevances in answers."""
MAX_DEPTH: Final = 10_000
"""The most hits of a ranking that pages lead through. Milvus ranks at most 16,384."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The least score and relevance of hits. Without a calibration hits have no relevance, and pass that threshold.

    Numbers are rounded as in answers before they are compared: a hit passes a threshold that equals its own score.
    """

    score: float | None = None
    relevance: float | None = None

    def let_score_pass(self, score: float) -> bool:
        return self.score is None or round(score, SCORE_DIGITS) >= self.score

    def let_pass(self, score: float, relevance: float | None) -> bool:
        return self.let_score_pass(score) and (
            self.relevance is None or relevance is None or round(relevance, RELEVANCE_DIGITS) >= self.relevance
        )


ALL_HITS: Final = Thresholds()


@dataclass(frozen=True, slots=True)
class Query:
    """What a search is for, and how its result is presented."""

    terms: tuple[Weighted, ...]
    """At least one. What is searched for."""
    options: SearchOptions
    exclude_inputs: bool = True
    """Whether images that are terms themselves are left out of the result."""
    explain: bool = False
    """Whether rows get `shares`."""
    thresholds: Thresholds = ALL_HITS
    cursor: str | None = None
    """For a page after the first: `next_cursor` of the one before. It cannot be combined with an offset."""
    arrangement: Arrangement = AS_RANKED
    marks: Marks = NO_MARKS
    match: MatchMode = "auto"
    reading: Reading | None = None
    """Where `terms` are what other terms were read as: faults and shares are of those that were sent."""

    @classmethod
    def of(cls, term: Term, options: SearchOptions, thresholds: Thresholds = ALL_HITS, cursor: str | None = None) -> Self:
        """The query of a single term."""
        return cls((Weighted(term),), options, thresholds=thresholds, cursor=cursor)

    @property
    def next_offset(self) -> int | None:
        """The offset of the next page; None if no offset leads there, as after a cursor."""
        window = self.options.window
        return window if self.cursor is None and window <= MAX_DEPTH else None

    @property
    def places(self) -> tuple[int, ...]:
        """Of each of `terms`, the place of the one that was sent; ascending."""
        return tuple(range(len(self.terms))) if self.reading is None else self.reading.places

    @property
    def vector_terms(self) -> tuple[Term, ...]:
        """All terms that need a vector: those of the query, and the marked images."""
        return (*(weighted.term for weighted in self.terms), *self.marks.more, *self.marks.less)

    @property
    def inputs(self) -> frozenset[str]:
        """The ids of stored images that are terms themselves."""
        return frozenset(weighted.term.image_id for weighted in self.terms if isinstance(weighted.term, StoredTerm))

    @property
    def excluded(self) -> frozenset[str]:
        """The ids of stored images that are left out of the result."""
        less = frozenset(term.image_id for term in self.marks.less)
        return self.inputs | less if self.exclude_inputs else less


@dataclass(frozen=True, slots=True)
class ResultRow:
    """A hit with its relevance, its group and its explanation."""

    hit: Hit
    relevance: float | None = None
    """The probability that it is a match; None without a calibration."""
    others: tuple[Hit, ...] = ()
    """The other hits of its group, best first, as far as the ranking was read."""
    shares: tuple[float, ...] | None = None
    """How much each term that was sent, and then each marked image, adds to its cosine similarity with the query; None without
    `explain`.
    """


@dataclass(frozen=True, slots=True)
class SearchResult:
    """One page of a ranking."""

    rows: list[ResultRow]
    more: bool
    """Whether the ranking goes on after this page."""
    first_rank: int = 1
    """The rank of the first row in the whole ranking."""
    truncated: bool = False
    """Whether a text was longer than the model reads."""
    batch_size: int = 0
    """The largest number of inputs in a forward pass of its terms; 0 if none was needed."""
    confident: bool | None = None
    """Whether the best hits are likely to be matches at all; None without a calibration."""
    next_cursor: str | None = None
    """The cursor of the next page. None on the last page, and on one that was requested by an offset."""
    facets: Facets | None = None
    warnings: tuple[str, ...] = ()
    """What is likely to be wrong with a filter that no image fulfils."""

    @property
    def hits(self) -> list[Hit]:
        return [row.hit for row in self.rows]


@dataclass(frozen=True, slots=True)
class Fault:
    """The error of a query, in place of its result; a batch may have results and faults."""

    error: MlApiError
    term: int | None = None
    """The index of the term at fault, among those that were sent; None if it is no single term."""
