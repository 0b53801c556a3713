"""Files that could not be indexed, kept in the database between syncs: the same bytes under the same limits fail again.

If they are lost, those files are read once more.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence

from sqlalchemy import delete, insert, select

from ml_api.corpus.base import CorpusFile
from ml_api.database import Database
from ml_api.database.tables import FailureRow
from ml_api.errors import DatabaseUnavailable
from ml_api.indexing.tasks import AT_ONCE, Reason
from ml_api.vocabulary import ReasonCode

_log = logging.getLogger(__name__)


class Failures:
    """Knows no failures, and stores none."""

    def known(self, files: Sequence[CorpusFile]) -> Mapping[str, Reason]:  # noqa: ARG002 - subclasses use it
        """Why files cannot be indexed, by key; those of other versions may. Raises DatabaseUnavailable."""
        return {}

    def note(self, files: Iterable[tuple[CorpusFile, Reason]]) -> None:
        """Store failures. An error is only logged, as its consequence is that files are read again."""

    def forget_others(self, still: Callable[[Sequence[str]], set[str]]) -> None:
        """Delete failures of files that are gone or will be read again. `still` selects the keys to keep. Raises
        DatabaseUnavailable."""


class StoredFailures(Failures):
    """Failures in the database, by key and version of the file; valid for the limits and decoders in `made_with` only.

    With `retry`, `known` returns none, so that each file is read again.
    """

    def __init__(self, database: Database, corpus: str, made_with: str, *, retry: bool = False) -> None:
        """`corpus` is its location."""
        self._database = database
        self._corpus = corpus
        self._made_with = made_with
        self._retry = retry

    def known(self, files: Sequence[CorpusFile]) -> Mapping[str, Reason]:
        if self._retry or not files:
            return {}
        versions = {file.key: file.version for file in files}
        with self._database.read() as session:
            rows = session.scalars(
                select(FailureRow).where(
                    FailureRow.corpus == self._corpus, FailureRow.made_with == self._made_with, FailureRow.key.in_(versions)
                )
            )
            return {row.key: Reason(ReasonCode(row.code), row.reason) for row in rows if versions[row.key] == row.version}

    def note(self, files: Iterable[tuple[CorpusFile, Reason]]) -> None:
        rows = {
            file.key: {
                "corpus": self._corpus,
                "key": file.key,
                "version": file.version,
                "made_with": self._made_with,
                "code": reason.code,
                "reason": reason.text,
            }
            for file, reason in files
        }
        if not rows:  # an insert of no rows is one of a row of defaults
            return
        try:
            with self._database.write() as session:
                session.execute(delete(FailureRow).where(FailureRow.corpus == self._corpus, FailureRow.key.in_(rows)))
                session.execute(insert(FailureRow), list(rows.values()))
        except DatabaseUnavailable as exc:
            _log.warning("what failed cannot be remembered: %s", exc.detail)

    def forget_others(self, still: Callable[[Sequence[str]], set[str]]) -> None:
        after = ""
        while True:
            with self._database.read() as session:
                of_corpus = select(FailureRow.key).where(FailureRow.corpus == self._corpus, FailureRow.key > after)
                keys = list(session.scalars(of_corpus.order_by(FailureRow.key).limit(AT_ONCE)))
            if not keys:
                return
            gone = set(keys) - still(keys)
            if gone:
                with self._database.write() as session:
                    session.execute(delete(FailureRow).where(FailureRow.corpus == self._corpus, FailureRow.key.in_(gone)))
            after = keys[-1]
