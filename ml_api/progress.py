"""How far a long step is: a bar with rate and time left on a terminal, a log line now and then elsewhere."""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

LOG_EVERY_S = 5.0

_log = logging.getLogger(__name__)


@contextmanager
def show_progress(label: str, total: int) -> Iterator[Callable[[int], None]]:
    """Yields a function to call with the number of items done so far."""
    if sys.stderr.isatty():
        with logging_redirect_tqdm(), tqdm(total=total, desc=label, unit="img", dynamic_ncols=True) as bar:

            def advance(done: int) -> None:
                bar.update(done - bar.n)

            yield advance
    else:
        yield _Lines(label, total)


class _Lines:
    def __init__(self, label: str, total: int) -> None:
        self._label = label
        self._total = total
        self._started = self._logged = time.monotonic()

    def __call__(self, done: int) -> None:
        now = time.monotonic()
        if now - self._logged < LOG_EVERY_S:
            return
        self._logged = now
        rate = done / (now - self._started)
        left_s = (self._total - done) / rate if rate else 0.0
        _log.info("%s: %d of %d, %.0f/s, %.0f s left", self._label, done, self._total, rate, left_s)
