"""Finds pictures that a corpus has more than once, for the API and the command `duplicates`: the same bytes, nearly the same
picture, or a similar one.

A page compares some images, in the order of their ids, with their neighbours in the whole corpus, so that work and memory are
bounded. Every pair belongs to the page of its smaller id, and of images with equal bytes only the one with the smallest id is
compared. A pair is left out if an image of a smaller id is of that kind to both: the group of that image lists it, so that groups
that share an image are merged.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from ml_api.deadline import Deadline
from ml_api.duplicates.groups import Duplicate, DuplicatesPage, DuplicateThresholds, Evidence, Group, Kind, senior_first
from ml_api.images.perceptual import Turn, distance, is_comparable
from ml_api.records import Entry, Hit, ImageRecord
from ml_api.vectors.base import MetricType, SearchOptions, VectorStore
from ml_api.vectors.scoring import cosine_of

BATCH: Final = 32
NEIGHBOURS: Final = 24
"""Neighbours of an image in a search of BATCH images: as many as fit in an answer of Milvus's with the largest metadata."""
MAX_NEIGHBOURS: Final = 700
"""Neighbours in a second search, for an image whose nearest NEIGHBOURS are all similar."""
MAX_DUPLICATES: Final = 100
"""The most duplicates in a group; `more` says that there are others."""
SLACK: Final = 0.05
"""The error of similarities in an index that compresses vectors. Those of duplicates are computed again, from the vectors."""

Vector = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _Candidate:
    """An image that may duplicate another. Of several with equal bytes it is the one with the smallest id."""

    entry: Entry
    vector: Vector


@dataclass(frozen=True, slots=True)
class _Found:
    """A group whose images are known by their ids only."""

    kind: Kind
    id: str
    duplicates: list[tuple[str, Evidence]]
    more: bool


class DuplicateFinder:
    """Finds duplicates among the images of a store, whose metric is `metric`."""

    def __init__(self, store: VectorStore, metric: MetricType) -> None:
        self._store = store
        self._metric = metric

    def page(self, after: str, limit: int, thresholds: DuplicateThresholds, deadline: Deadline) -> DuplicatesPage:
        """Compare the next `limit` images after the id `after`, or fewer if half the time until `deadline` is over.

        Raises Unavailable, DeadlineExceeded.
        """
        page, half_s = DuplicatesPage(), deadline.left_s() / 2
        while page.compared < limit:
            size = min(BATCH, limit - page.compared)
            entries = self._store.page(after, size, deadline)
            if entries:
                page.groups += self._groups(entries, thresholds, deadline)
                page.compared += len(entries)
                page.without_hash += sum(not entry.phash for entry in entries)
                after = entries[-1].id
            page.next = after if len(entries) == size else ""
            if not page.next or deadline.left_s() < half_s:
                break
        return page

    def _groups(self, entries: Sequence[Entry], thresholds: DuplicateThresholds, deadline: Deadline) -> list[Group]:
        vectors = self._store.vectors([entry.id for entry in entries], deadline)
        entries = [entry for entry in entries if entry.id in vectors]  # the others were removed meanwhile
        if not entries:
            return []
        neighbours = self._neighbours(entries, vectors, thresholds, deadline)
        near_digests = {hit.record.digest for hits in neighbours for hit in hits}
        copies = _by_digest(self._store.of_digests(sorted({entry.digest for entry in entries} | near_digests), deadline))
        heads = {digest: images[0] for digest, images in copies.items()}
        near_ids = {heads[digest].id for digest in near_digests & heads.keys()}
        vectors |= self._store.vectors(sorted(near_ids - vectors.keys()), deadline)
        groups: list[_Found] = []
        for entry, hits in zip(entries, neighbours, strict=True):
            if heads.get(entry.digest, entry).id != entry.id:
                continue
            groups += _exact(entry, copies.get(entry.digest, []))
            others = {hit.record.digest for hit in hits} - {entry.digest}
            candidates = [heads[digest] for digest in sorted(others & heads.keys())]
            compared = [_Candidate(other, vectors[other.id]) for other in candidates if other.id in vectors]
            groups += _alike(_Candidate(entry, vectors[entry.id]), compared, thresholds)
        return self._with_records(groups, deadline)

    def _neighbours(
        self, entries: Sequence[Entry], vectors: Mapping[str, Vector], thresholds: DuplicateThresholds, deadline: Deadline
    ) -> list[list[Hit]]:
        rows = np.stack([vectors[entry.id] for entry in entries])
        found = self._store.search(rows, SearchOptions(NEIGHBOURS), deadline)
        for place, hits in enumerate(found):
            if len(hits) == NEIGHBOURS and cosine_of(hits[-1].score, self._metric) >= thresholds.similarity - SLACK:
                [found[place]] = self._store.search(rows[place : place + 1], SearchOptions(MAX_NEIGHBOURS), deadline)
        return [
            [hit for hit in hits if self._may_duplicate(entry, hit, thresholds)] for entry, hits in zip(entries, found, strict=True)
        ]

    def _may_duplicate(self, entry: Entry, hit: Hit, thresholds: DuplicateThresholds) -> bool:
        bits = distance(entry.phash, hit.record.phash)[0] if _hashes_comparable(entry, hit.record) else None
        return thresholds.kind(Evidence(cosine_of(hit.score, self._metric) + SLACK, bits)) is not None

    def _with_records(self, found: Sequence[_Found], deadline: Deadline) -> list[Group]:
        ids = {id_ for group in found for id_ in (group.id, *(duplicate[0] for duplicate in group.duplicates))}
        records = self._store.get(sorted(ids), deadline) if ids else {}
        groups = (_with_records_of(group, records) for group in found if group.id in records)
        return [group for group in groups if group.duplicates]


def _with_records_of(found: _Found, records: Mapping[str, ImageRecord]) -> Group:
    image = records[found.id]
    duplicates = [Duplicate(records[id_], evidence) for id_, evidence in found.duplicates if id_ in records]
    if found.kind is Kind.EXACT:
        image, *others = senior_first([image, *(duplicate.record for duplicate in duplicates)])
        duplicates = [Duplicate(other, duplicate.evidence) for other, duplicate in zip(others, duplicates, strict=True)]
    return Group(found.kind, image, duplicates, found.more)


def _by_digest(entries: Iterable[Entry]) -> dict[str, list[Entry]]:
    """The images by digest, in the order of their ids."""
    copies: dict[str, list[Entry]] = {}
    for entry in sorted(entries, key=lambda entry: entry.id):
        copies.setdefault(entry.digest, []).append(entry)
    return copies


def _exact(entry: Entry, copies: Sequence[Entry]) -> Iterator[_Found]:
    same = Evidence(1.0, 0, Turn.NONE) if entry.phash else Evidence(1.0)
    others = [copy for copy in copies if copy.id != entry.id]
    if others:
        yield _Found(Kind.EXACT, entry.id, [(other.id, same) for other in others[:MAX_DUPLICATES]], len(others) > MAX_DUPLICATES)


def _alike(image: _Candidate, others: Sequence[_Candidate], thresholds: DuplicateThresholds) -> Iterator[_Found]:
    """The groups of near and of similar images with larger ids, best first, without those that the group of a smaller id lists."""
    related = [(other, evidence, thresholds.kind(evidence)) for other in others for evidence in [_compared(image, other)]]
    before = [(other, kind) for other, _, kind in related if kind and other.entry.id < image.entry.id]
    for kind in (Kind.NEAR, Kind.SIMILAR):
        duplicates = [
            (other.entry.id, evidence)
            for other, evidence, related_as in related
            if related_as is kind
            and other.entry.id > image.entry.id
            and not any(_lists(first, other, to_image, kind, thresholds) for first, to_image in before)
        ]
        if duplicates:
            duplicates.sort(key=lambda duplicate: (-duplicate[1].similarity, duplicate[0]))
            yield _Found(kind, image.entry.id, duplicates[:MAX_DUPLICATES], len(duplicates) > MAX_DUPLICATES)


def _lists(first: _Candidate, other: _Candidate, to_image: Kind, kind: Kind, thresholds: DuplicateThresholds) -> bool:
    """Whether the group of `first`, which is `to_image` to an image, also lists `other`, so that their pair of this kind is left
    out. A near pair is left out only if both are near to `first`."""
    to_other = thresholds.kind(_compared(first, other))
    return to_other is not None and (kind is Kind.SIMILAR or to_image is to_other is Kind.NEAR)


def _compared(first: _Candidate, second: _Candidate) -> Evidence:
    similarity = min(1.0, float(first.vector @ second.vector))
    if not _hashes_comparable(first.entry, second.entry):
        return Evidence(similarity)
    return Evidence(similarity, *distance(first.entry.phash, second.entry.phash))


def _hashes_comparable(first: Entry | ImageRecord, second: Entry | ImageRecord) -> bool:
    return is_comparable(first.phash) and is_comparable(second.phash)
