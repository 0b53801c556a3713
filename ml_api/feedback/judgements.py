"""Stores and reads verdicts on the hits of past searches, for the API's feedback, calibration and `evaluate`. The last verdict on a
hit counts, but a click does not replace an explicit one."""

import json
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Select, delete, func, or_, select, tuple_
from sqlalchemy.orm import Session

from ml_api.database import Database
from ml_api.database.tables import JudgementRow, SearchRow
from ml_api.errors import InvalidInput, NotFound, Overloaded
from ml_api.feedback.searches import RecentSearches
from ml_api.metrics.feedback import FeedbackMetrics
from ml_api.vocabulary import GRADES, Verdict

AT_ONCE: Final = 4
"""Verdicts that are written concurrently; further ones are refused, so that threads and the database stay free for searches."""
PAGE: Final = 500
ID_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict on a hit. `query` is that of its `PastSearch`; `rank` is the hit's rank in the whole ranking, from 1 on."""

    query_id: str
    image_id: str
    verdict: Verdict
    comment: str
    judged_at: float
    model: str
    query: Mapping[str, Any]
    rank: int

    @property
    def grade(self) -> int:
        return GRADES[self.verdict]


class Verdicts:
    """Reads the verdicts on one collection's hits. May be used from any thread and any number of processes."""

    def __init__(self, database: Database, target: str) -> None:
        self.database = database
        self.target = target

    def all(self) -> Iterator[Judgement]:
        """Yield all judgements by search, read in pages: no transaction stays open between them. Raises DatabaseUnavailable."""
        after = ("", "")
        place = tuple_(JudgementRow.query_id, JudgementRow.image)
        every = self._every().order_by(JudgementRow.query_id, JudgementRow.image).limit(PAGE)
        while True:
            with self.database.read() as session:
                rows = session.execute(every.where(place > after)).all()
            yield from (_judgement(judgement, search) for judgement, search in rows)
            if len(rows) < PAGE:
                return
            after = rows[-1][0].query_id, rows[-1][0].image

    def latest(self, most: int) -> list[Judgement]:
        """Return the `most` latest judgements, the last one first. Raises DatabaseUnavailable."""
        with self.database.read() as session:
            rows = session.execute(self._every().order_by(JudgementRow.judged_at.desc()).limit(most)).all()
        return [_judgement(judgement, search) for judgement, search in rows]

    def number_since(self, when: float, most: int) -> int:
        """Count the verdicts given or changed since `when`, seconds since the epoch; at most `most`. Raises DatabaseUnavailable."""
        new = self._every().where(JudgementRow.judged_at > when).with_only_columns(JudgementRow.image).limit(most)
        with self.database.read() as session:
            return session.scalar(select(func.count()).select_from(new.subquery())) or 0

    def _every(self) -> Select[JudgementRow, SearchRow]:
        same_search = JudgementRow.query_id == SearchRow.query_id
        return select(JudgementRow, SearchRow).join(SearchRow, same_search).where(SearchRow.target == self.target)


class Judgements(Verdicts):
    """Reads and stores the verdicts on one collection's hits."""

    def __init__(self, searches: RecentSearches, metrics: FeedbackMetrics) -> None:
        super().__init__(searches.database, searches.target)
        self.searches = searches
        """The searches whose hits can be judged."""
        self._metrics = metrics
        self._slots = threading.BoundedSemaphore(AT_ONCE)

    def give(self, query_id: str, image_id: str, verdict: Verdict, comment: str = "") -> Verdict:
        """Store a verdict durably; returns the one that counts now. Safe to repeat.

        Raises NotFound, InvalidInput, Overloaded, DatabaseUnavailable.
        """
        if not self._slots.acquire(blocking=False):
            raise Overloaded(f"{AT_ONCE} verdicts are being written already; try again")
        try:
            self.searches.write_if_waiting(query_id)
            with self.database.write() as session:
                self._check(session, query_id, image_id)
                self._write(session, query_id, image_id, verdict, comment)
                here = JudgementRow.query_id == query_id, JudgementRow.image == image_id
                counts = session.scalar(select(JudgementRow.verdict).where(*here))
        finally:
            self._slots.release()
        self._metrics.verdicts.labels(verdict).inc()
        return Verdict(counts or Verdict.NONE)

    def _check(self, session: Session, query_id: str, image_id: str) -> None:
        """Raise NotFound for an unknown search, InvalidInput for an image that is not among its hits."""
        row = select(SearchRow.hits).where(SearchRow.query_id == query_id, SearchRow.target == self.target)
        hits = session.scalar(row.with_for_update(read=True))  # locked, so that it is not removed meanwhile
        if hits is None:
            limit = self.searches.retention
            known = f"those of the last {limit.days:g} days are, {limit.searches:,} at most" if limit.searches else "none is"
            raise NotFound(f"query_id: no search {query_id!r} with hits is kept ({known})", code="query-not-found")
        if image_id not in (ids := _ids(hits)):
            raise InvalidInput(
                f"id: the image {image_id} is none of the {len(ids)} hits of the search {query_id!r}; judge what it found",
                code="not-a-hit",
            )

    def _write(self, session: Session, query_id: str, image_id: str, verdict: Verdict, comment: str) -> None:
        if verdict is Verdict.NONE:
            here = JudgementRow.query_id == query_id, JudgementRow.image == image_id
            session.execute(delete(JudgementRow).where(*here))
            return
        adding = self.database.insert(JudgementRow)
        columns = {"verdict": verdict.value, "comment": comment, "judged_at": time.time()}
        session.execute(
            adding.values(query_id=query_id, image=image_id, **columns).on_conflict_do_update(
                index_elements=["query_id", "image"],
                set_=columns,
                where=or_(adding.excluded.verdict != Verdict.CLICKED, JudgementRow.verdict == Verdict.CLICKED),
            )
        )


def judged_texts(judgements: Iterable[Judgement]) -> dict[str, dict[str, int]]:
    """Return the grades of images by text and image id, of searches for one text alone: scores are calibrated on these.

    Searches whose text was not kept, and those with a filter or marks, are left out. For equal texts the last verdict counts.
    """
    grades: dict[str, dict[str, int]] = {}
    for judgement in sorted(judgements, key=lambda judgement: judgement.judged_at):
        match judgement.query:
            case {"query": [{"text": str(text), **rest}], **others} if not rest and not others:
                grades.setdefault(text, {})[judgement.image_id] = judgement.grade
    return grades


def _judgement(row: JudgementRow, search: SearchRow) -> Judgement:
    return Judgement(
        query_id=row.query_id,
        image_id=row.image,
        verdict=Verdict(row.verdict),
        comment=row.comment,
        judged_at=row.judged_at,
        model=search.model,
        query=json.loads(search.query),
        rank=search.first_rank + _ids(search.hits).index(row.image),
    )


def _ids(hits: bytes) -> list[str]:
    return [hits[start : start + ID_BYTES].hex() for start in range(0, len(hits), ID_BYTES)]
