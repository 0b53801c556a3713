"""Watches a folder: complete files that were created, changed or deleted become changes; larger events start a sync.

A sync handles folders that were moved or deleted, more deletions at once than the guard of syncs permits, and events that the
system may have dropped: it keeps the vectors of moved images, and refuses what looks like an accident.
"""

import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import islice
from typing import Final

from ml_api.corpus.base import FOLDER, FOLDER_GONE, Corpus, Notices, is_image
from ml_api.corpus.metadata import ENDING
from ml_api.corpus.versions import MISSING
from ml_api.errors import ConfigError, CorpusUnavailable, MlApiError, NotFound, SyncRefused
from ml_api.indexing.changes.conditions import Source
from ml_api.indexing.changes.queue import Changes
from ml_api.indexing.guard import FEW
from ml_api.indexing.jobs import Jobs, SyncOptions
from ml_api.vocabulary import JobState

SETTLE_S: Final = 0.5
"""A file is complete when its size and its time have not changed for this time. `changes.inspection` allows for slower writers."""
MANY: Final = 2000
"""Files of a new folder that become changes; those of a larger one are left to a sync."""
SYNC_EVERY_S: Final = 3600.0
"""Interval of syncs that find changes without events: by other machines, or behind links."""
SYNC_AGAIN_S: Final = 30.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Seen:
    """How a file or folder was at its last look, and when the next one is due."""

    state: str
    due: float


@dataclass(slots=True)
class _Settled:
    """Files that have become complete since the last step."""

    there: set[str]
    """Images."""
    gone: set[str]
    need: str = ""
    """Why a sync is required; empty if none is."""


class Watcher:
    """For one thread, which calls `step` again and again."""

    def __init__(  # noqa: PLR0913 - the parts between which it stands
        self,
        notices: Notices,
        corpus: Corpus,
        changes: Changes,
        jobs: Jobs,
        *,
        special: AbstractSet[str] = frozenset(),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`special` are keys of files that say something of others: metadata, patterns."""
        self._notices = notices
        self._corpus = corpus
        self._changes = changes
        self._jobs = jobs
        self._special = special
        self._clock = clock
        self._pending = OrderedDict[str, _Seen]()  # a dict is searched from its beginning for the first one that is left
        """In the order in which they are due."""
        self._noted = _Settled(set(), set())
        """Not yet in the database."""
        self._need = ""
        self._sync_at = 0.0
        self._job: int | None = None
        self._synced_at = clock()
        self._held: set[str] = set()
        """Files that may have moved here, while a sync looks whether they have: it needs no embedding for them."""
        self._is_away = False
        self._is_silent = False

    def step(self) -> None:
        """Takes some tenths of a second. Raises nothing for what parts and files may do."""
        noticed = self._notices.next()
        if noticed.away:
            if not self._is_away:
                _log.warning(
                    "%s is not there, or empty: is its disk mounted? Nothing is removed from the index", self._corpus.location
                )
            self._is_away = True
            self._pending.clear()  # the files are not deleted; what has happened to them shows when they are there again
            return
        self._is_away = False
        now = self._clock()
        for key in noticed.keys:
            self._expect(key, self._notices.state(key), now)
        if noticed.lost:
            self._require_sync(noticed.lost)
        elif now - self._synced_at > SYNC_EVERY_S:
            self._require_sync(f"the last look at all files is {SYNC_EVERY_S / 3600:g} h ago")
        settled = self._settle(now)
        try:
            self._follow_sync()
            self._act_on(settled)
        except MlApiError as exc:  # a database that is away, or on a full disk: the next step does it
            self._noted = settled
            if not self._is_silent:
                _log.warning("what happened in the corpus waits: %s", exc.detail)
            self._is_silent = True
        else:
            self._is_silent = False

    def close(self) -> None:
        self._notices.close()

    def _expect(self, key: str, state: str, now: float) -> None:
        if key not in self._pending:
            self._pending[key] = _Seen(state, now + SETTLE_S)

    def _settle(self, now: float) -> _Settled:
        settled, self._noted = self._noted, _Settled(set(), set())
        folders: list[str] = []
        while self._pending and (first := next(iter(self._pending.items())))[1].due <= now:
            key, seen = first
            self._pending.popitem(last=False)
            if (state := self._notices.state(key)) != seen.state:
                self._expect(key, state, now)
            elif state == FOLDER:
                folders.append(key)
            elif state == FOLDER_GONE:
                settled.need = f"the folder {key!r} is gone"
            elif key in self._special:
                settled.need = f"{key} has changed"
            elif is_image(key):
                (settled.gone if state == MISSING else settled.there).add(key)
            elif key.endswith(ENDING):
                settled.there |= set(self._corpus.beside(key))
        if len(settled.gone) > FEW:
            settled.need = f"{len(settled.gone):,} files are gone at once"
        for folder in folders:
            settled.need = settled.need or self._look_into(folder, now)  # what has moved there is the sync's
        return settled

    def _look_into(self, folder: str, now: float) -> str:
        """Files that were there before the folder was watched are not told. Why it takes a sync, if it does."""
        try:
            files = list(islice(self._corpus.list(prefix=f"{folder}/"), MANY + 1))
        except (CorpusUnavailable, ConfigError) as exc:
            return exc.detail
        if len(files) > MANY:
            return f"the folder {folder!r} is new, with many files"
        for file in files:
            self._expect(file.key, self._notices.state(file.key), now)
        return ""

    def _act_on(self, settled: _Settled) -> None:
        """Raises DatabaseUnavailable; what is not done then stays in `settled`."""
        if settled.need:
            self._require_sync(settled.need)
            settled.gone.clear()
            settled.need = ""
            if self._job is None and self._begin_sync():
                self._held |= settled.there
                settled.there.clear()
        elif self._need and self._job is None:
            self._begin_sync()
        if settled.there or settled.gone:
            self._changes.note(settled.there, Source.WATCH, gone=settled.gone)

    def _require_sync(self, reason: str) -> None:
        if not self._need:
            _log.info("watching     a sync of %s begins: %s", self._corpus.location, reason)
        self._need = reason

    def _begin_sync(self) -> bool:
        """Whether one began that sees what has happened until now. Raises DatabaseUnavailable."""
        if self._clock() < self._sync_at:
            return False
        try:
            job, is_new = self._jobs.submit(SyncOptions())
        except SyncRefused:  # as a dry run is under way
            is_new = False
        if not is_new:
            self._sync_at = self._clock() + 1.0  # another one is under way, and may have looked before
            return False
        self._job, self._need, self._synced_at = job.id, "", self._clock()
        return True

    def _follow_sync(self) -> None:
        """Raises DatabaseUnavailable."""
        if self._job is None:
            return
        try:
            job = self._jobs.get(self._job)
        except NotFound:  # it is forgotten: more than are kept came after it
            state = JobState.FAILED
        else:
            if job.active:
                return
            state = job.state
        if state is not JobState.SUCCEEDED:  # the files that were held for it have not been inspected
            self._changes.note(self._held, Source.WATCH)
        if state is JobState.FAILED:
            self._sync_at = self._clock() + SYNC_AGAIN_S
            self._require_sync("the last one failed")
        self._job = None
        self._held.clear()
