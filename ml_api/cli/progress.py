"""Progress of a long step: a bar with rate and time left on a terminal, a log line every few seconds elsewhere."""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import NoReturn

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from ml_api.indexing.jobs.execution import Follower
from ml_api.stopping import Stop

LOG_EVERY_S = 5.0

_log = logging.getLogger(__name__)


@contextmanager
def show_progress(label: str, total: int) -> Iterator[Callable[[int], None]]:
    """Yields a function to call with the number of items done so far.

    Rate and time left are measured from the first call on, since the time before it, such as loading a model, says nothing about
    the rest.
    """
    if sys.stderr.isatty():
        with ExitStack() as shown:
            yield _Bar(label, total, shown)
    else:
        yield _Lines(label, total)


@contextmanager
def followed(stop: Stop, label: str) -> Iterator[Follower]:
    """Shows how much is done, once it is known of how much, and has what runs stop at a signal."""
    with ExitStack() as shown:
        bars: list[Callable[[int], None]] = []

        def progress(done: int, total: int) -> None:
            stop.reach(done, total)
            if not bars:
                bars.append(shown.enter_context(show_progress(label, total)))
            bars[0](done)

        yield Follower(progress, lambda: stop.signal is not None)


class _Bar:
    def __init__(self, label: str, total: int, shown: ExitStack) -> None:
        self._label = label
        self._total = total
        self._shown = shown
        self._bar: tqdm[NoReturn] | None = None

    def __call__(self, done: int) -> None:
        if self._bar is None:
            self._shown.enter_context(logging_redirect_tqdm())
            bar = tqdm(total=self._total, initial=done, desc=self._label, unit="img", dynamic_ncols=True)
            self._bar = self._shown.enter_context(bar)
        self._bar.update(done - self._bar.n)


class _Lines:
    def __init__(self, label: str, total: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._label = label
        self._total = total
        self._clock = clock
        self._started: tuple[float, int] | None = None
        self._logged = 0.0

    def __call__(self, done: int) -> None:
        now = self._clock()
        if self._started is None:
            self._started, self._logged = (now, done), now
        if now - self._logged < LOG_EVERY_S:
            return
        self._logged = now
        since, before = self._started
        rate = (done - before) / (now - since)
        left_s = (self._total - done) / rate if rate else 0.0
        _log.info("%s: %d of %d, %.0f/s, %.0f s left", self._label, done, self._total, rate, left_s)
