"""What follows a write to Milvus Lite that failed: no calls until all was read from the disk again."""

import logging
from collections.abc import Callable
from pathlib import Path
from shutil import disk_usage
from typing import Final

from ml_api.errors import StoreUnavailable
from ml_api.vectors.milvus.failures import NO_SPACE, lacks_space, original

EVERY_S: Final = 10.0
"""Pause between attempts."""
LEAST_ROOM_BYTES: Final = 2**20
"""With less there is no attempt: each reads the log, and would make indexes that are missing."""

_log = logging.getLogger(__name__)


class Recovery:
    """Of the store in the folder `path`. Changed by who has the writer's lock; `clock` is monotonic, in s."""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self._path = path
        self._clock = clock
        self._failure = ""
        self._tried_at = -EVERY_S

    def check(self) -> None:
        """Raises StoreUnavailable after a failure."""
        if self._failure:
            raise StoreUnavailable(
                f"the vector store takes no calls, as {self._failure}. Everything acknowledged is kept; a service comes back by "
                "itself once it can write again",
                reason="closed",
            )

    def failed(self, what: str, exc: BaseException) -> None:
        full = lacks_space(exc.__cause__)
        told, self._failure = bool(self._failure), f"{what}: {NO_SPACE if full else original(exc)}"
        if not told:
            _log.critical(
                "the vector store in %s takes no calls until it can be written, and was read from the disk again: %s",
                self._path,
                self._failure,
                exc_info=None if full else exc,  # a full disk needs no traceback to be understood
            )

    def is_due(self) -> bool:
        """Whether to try now. The next attempt comes EVERY_S later."""
        if not self._failure or self._clock() - self._tried_at < EVERY_S or not self._has_room():
            return False
        self._tried_at = self._clock()
        return True

    def _has_room(self) -> bool:
        try:
            return disk_usage(self._path).free >= LEAST_ROOM_BYTES
        except OSError:  # the attempt says what is wrong
            return True

    def succeeded(self) -> None:
        self._failure = ""
        _log.warning("the vector store in %s can be written again; all was read from the disk anew", self._path)
