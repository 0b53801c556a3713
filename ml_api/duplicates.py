"""Pictures that a corpus holds more than once: the same bytes, nearly the same picture, or one that is alike.

A page compares some images, in the order of their ids, with their neighbours in the whole corpus: bounded work, and memory that
does not grow with the corpus. Every pair belongs to the page of its smaller id, and equal bytes are compared once, as the one with
the smallest id. A pair is left out where an image of a smaller id is of that kind to both: the group of that image tells it, so
that groups that share an image are one.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from ml_api.deadline import Deadline
from ml_api.images.perceptual import Turn, distance, is_comparable
from ml_api.records import Entry, Hit, ImageRecord
from ml_api.vectors.base import Metric, SearchOptions, VectorStore
from ml_api.vectors.scoring import cosine_of

BATCH: Final = 32
NEIGHBOURS: Final = 24
"""For BATCH images together as many as fit in an answer of Milvus's with the largest metadata."""
MAX_NEIGHBOURS: Final = 700
"""Asked for again by an image whose nearest NEIGHBOURS are all similar."""
MAX_MATCHES: Final = 100
"""Matches that are told of a group; `more` says that there are others."""
SLACK: Final = 0.05
"""By how much an index that compresses vectors may misjudge a similarity. What is found is computed anew, from the vectors."""

NEAR_BITS: Final = 8
NEAR_SIMILARITY: Final = 0.55
SIMILARITY: Final = 0.98
"""Defaults, chosen with `benchmarks.duplicates`: equal hashes need little support, the embedding alone must be sure."""

Vector = npt.NDArray[np.float32]


class Kind(StrEnum):
    EXACT = "exact"
    """The same bytes."""
    NEAR = "near"
    """Nearly the same picture: perceptual hash and embedding agree."""
    SIMILAR = "similar"
    """Alike by the embedding alone."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """How alike two images are."""

    similarity: float
    """The cosine of their embeddings."""
    bits: int | None = None
    """In how many their perceptual hashes differ; None if one of the two has none, or is of one colour."""
    turn: Turn | None = None
    """How the first has to be turned to look like the second."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From when on two images are told. Similarities are cosines; they depend on the model."""

    near_bits: int = NEAR_BITS
    """Most bits, of 63, in which the perceptual hashes of a near pair differ."""
    near_similarity: float = NEAR_SIMILARITY
    similarity: float = SIMILARITY
    """Least similarity of a similar pair."""

    def kind(self, evidence: Evidence) -> Kind | None:
        """The kind of a pair of images whose bytes differ; None if it is no pair."""
        if evidence.bits is not None and evidence.bits <= self.near_bits and evidence.similarity >= self.near_similarity:
            return Kind.NEAR
        return Kind.SIMILAR if evidence.similarity >= self.similarity else None


@dataclass(frozen=True, slots=True)
class Match:
    """An image beside the one of its group."""

    record: ImageRecord
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Group:
    kind: Kind
    image: ImageRecord
    matches: list[Match]
    more: bool


@dataclass(slots=True)
class DuplicatesPage:
    groups: list[Group] = field(default_factory=list)
    compared: int = 0
    without_hash: int = 0
    """How many of the compared images have no perceptual hash."""
    next: str = ""
    """After which id the next page begins; empty on the last one."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    """What may match an image: of several images with equal bytes the one with the smallest id."""

    entry: Entry
    vector: Vector


@dataclass(frozen=True, slots=True)
class _Found:
    """Ids of a group and its matches, with the evidence."""

    kind: Kind
    id: str
    matches: list[tuple[str, Evidence]]
    more: bool


class DuplicateFinder:
    def __init__(self, store: VectorStore, metric: Metric) -> None:
        self._store = store
        self._metric = metric

    def page(self, after: str, limit: int, thresholds: Thresholds, deadline: Deadline) -> DuplicatesPage:
        """Compare the next `limit` images after the id `after`, or fewer if half the time until `deadline` is over.

        Raises Unavailable, DeadlineExceeded.
        """
        page, half_s = DuplicatesPage(), deadline.left_s() / 2
        while page.compared < limit:
            wanted = min(BATCH, limit - page.compared)
            entries = self._store.page(after, wanted, deadline)
            if entries:
                page.groups += self._groups(entries, thresholds, deadline)
                page.compared += len(entries)
                page.without_hash += sum(not entry.phash for entry in entries)
                after = entries[-1].id
            page.next = after if len(entries) == wanted else ""
            if not page.next or deadline.left_s() < half_s:
                break
        return page

    def _groups(self, entries: Sequence[Entry], thresholds: Thresholds, deadline: Deadline) -> list[Group]:
        vectors = self._store.vectors([entry.id for entry in entries], deadline)
        entries = [entry for entry in entries if entry.id in vectors]  # the others were removed meanwhile
        if not entries:
            return []
        hits = self._neighbours(entries, vectors, thresholds, deadline)
        digests = {entry.digest for entry in entries} | {hit.record.digest for some in hits for hit in some}
        copies = _by_digest(self._store.of_digests(sorted(digests), deadline))
        heads = {digest: some[0] for digest, some in copies.items()}
        near_by = {heads[hit.record.digest].id for some in hits for hit in some if hit.record.digest in heads}
        vectors |= self._store.vectors(sorted(near_by - vectors.keys()), deadline)
        found: list[_Found] = []
        for entry, some in zip(entries, hits, strict=True):
            if heads.get(entry.digest, entry).id != entry.id:
                continue
            found += _exact(entry, copies.get(entry.digest, []))
            others = {hit.record.digest for hit in some} - {entry.digest}
            candidates = [heads[digest] for digest in sorted(others & heads.keys())]
            compared = [_Candidate(other, vectors[other.id]) for other in candidates if other.id in vectors]
            found += _alike(_Candidate(entry, vectors[entry.id]), compared, thresholds)
        return self._with_records(found, deadline)

    def _neighbours(
        self, entries: Sequence[Entry], vectors: Mapping[str, Vector], thresholds: Thresholds, deadline: Deadline
    ) -> list[list[Hit]]:
        rows = np.stack([vectors[entry.id] for entry in entries])
        found = self._store.search(rows, SearchOptions(NEIGHBOURS), deadline)
        for place, hits in enumerate(found):
            if len(hits) == NEIGHBOURS and cosine_of(hits[-1].score, self._metric) >= thresholds.similarity - SLACK:
                [found[place]] = self._store.search(rows[place : place + 1], SearchOptions(MAX_NEIGHBOURS), deadline)
        return [
            [hit for hit in hits if self._may_match(entry, hit, thresholds)] for entry, hits in zip(entries, found, strict=True)
        ]

    def _may_match(self, entry: Entry, hit: Hit, thresholds: Thresholds) -> bool:
        bits = distance(entry.phash, hit.record.phash)[0] if _hashes_tell(entry, hit.record) else None
        return thresholds.kind(Evidence(cosine_of(hit.score, self._metric) + SLACK, bits)) is not None

    def _with_records(self, found: Sequence[_Found], deadline: Deadline) -> list[Group]:
        wanted = {id_ for group in found for id_ in (group.id, *(match[0] for match in group.matches))}
        records = self._store.get(sorted(wanted), deadline) if wanted else {}
        groups = (
            Group(
                group.kind,
                records[group.id],
                [Match(records[id_], evidence) for id_, evidence in group.matches if id_ in records],
                group.more,
            )
            for group in found
            if group.id in records
        )
        return [group for group in groups if group.matches]


def _by_digest(entries: Iterable[Entry]) -> dict[str, list[Entry]]:
    """In the order of their ids."""
    copies: dict[str, list[Entry]] = {}
    for entry in sorted(entries, key=lambda entry: entry.id):
        copies.setdefault(entry.digest, []).append(entry)
    return copies


def _exact(entry: Entry, copies: Sequence[Entry]) -> Iterator[_Found]:
    same = Evidence(1.0, 0, Turn.NONE) if entry.phash else Evidence(1.0)
    others = [copy for copy in copies if copy.id != entry.id]
    if others:
        yield _Found(Kind.EXACT, entry.id, [(other.id, same) for other in others[:MAX_MATCHES]], len(others) > MAX_MATCHES)


def _alike(image: _Candidate, others: Sequence[_Candidate], thresholds: Thresholds) -> Iterator[_Found]:
    """The near and the similar images of larger ids, best first, without those that the group of a smaller id tells."""
    related = [(other, evidence, thresholds.kind(evidence)) for other in others for evidence in [_compared(image, other)]]
    before = [(other, kind) for other, _, kind in related if kind and other.entry.id < image.entry.id]
    for kind in (Kind.NEAR, Kind.SIMILAR):
        told = [
            (other.entry.id, evidence)
            for other, evidence, found in related
            if found is kind
            and other.entry.id > image.entry.id
            and not any(_tells(first, other, to_image, kind, thresholds) for first, to_image in before)
        ]
        if told:
            told.sort(key=lambda match: (-match[1].similarity, match[0]))
            yield _Found(kind, image.entry.id, told[:MAX_MATCHES], len(told) > MAX_MATCHES)


def _tells(first: _Candidate, other: _Candidate, to_image: Kind, kind: Kind, thresholds: Thresholds) -> bool:
    """Whether `first`, which is `to_image` to an image, tells its pair of this kind with `other`: near pairs by near ones alone."""
    to_other = thresholds.kind(_compared(first, other))
    return to_other is not None and (kind is Kind.SIMILAR or to_image is to_other is Kind.NEAR)


def _compared(one: _Candidate, other: _Candidate) -> Evidence:
    similarity = min(1.0, float(one.vector @ other.vector))
    if not _hashes_tell(one.entry, other.entry):
        return Evidence(similarity)
    return Evidence(similarity, *distance(one.entry.phash, other.entry.phash))


def _hashes_tell(one: Entry | ImageRecord, other: Entry | ImageRecord) -> bool:
    """Pictures of one colour each have the same hash, whichever colours those are."""
    return is_comparable(one.phash) and is_comparable(other.phash)
