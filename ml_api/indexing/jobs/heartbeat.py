"""Which processes run syncs, and whether they still live: each counts up a number in its row of the database.

Who wants to know watches whether the number changes, by its own steady clock. So clocks may differ, jump and run backwards, and a
process that was killed is found out.
"""

import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from sqlalchemy import delete, select, update

from ml_api.database import Database
from ml_api.database.tables import OwnerRow
from ml_api.errors import DatabaseUnavailable
from ml_api.periodic import PeriodicTask

BEAT_S: Final = 2.0
SILENCE_S: Final = 10.0
"""A process that has not counted up for so long is taken for dead. What it may still write is harmless: syncs upsert by id."""

_log = logging.getLogger(__name__)


class Heartbeat:
    """This process's row, from now until it is closed; the database may be away meanwhile."""

    def __init__(  # noqa: PLR0913 - the columns of its row
        self,
        database: Database,
        target: str,
        corpus: str,
        *,
        model: str = "",
        address: str = "",
        reading: str = "",
        every_s: float = BEAT_S,
    ) -> None:
        """With a `model`, syncs of `corpus` into `target` may be handed to this process, which go by its settings (`reading`); at
        `address` it answers the API."""
        self.name = f"{_this_process()}/{secrets.token_hex(4)}"
        self._database = database
        self._row = {"target": target, "corpus": corpus, "model": model, "address": address, "reading": reading}
        self._turn = threading.Lock()
        """Of beats, each of which writes a row that is not there: of two at once the second would find it."""
        self._beats = 0
        self._is_silent = False
        self._beat()  # before anybody looks for it
        self._task = PeriodicTask("heartbeat", self._beat, every_s)

    def embeds_with(self, model: str) -> None:
        """Another model is in use from now on. Others hear of it at once, or once the database is back."""
        self._row["model"] = model
        self._beat()

    def close(self) -> None:
        """Safe to call twice."""
        self._task.close()
        try:
            with self._database.write() as session:
                session.execute(delete(OwnerRow).where(OwnerRow.name == self.name))
        except DatabaseUnavailable as exc:
            _log.warning("others will take %g s to notice that this process has ended: %s", SILENCE_S, exc.detail)

    def _beat(self) -> None:
        """Also if the row is gone: somebody took this process for dead, or the database was made anew."""
        try:
            with self._turn, self._database.write() as session:
                self._beats += 1
                beat = update(OwnerRow).where(OwnerRow.name == self.name).values(beat=self._beats, model=self._row["model"])
                if not session.execute(beat).rowcount:  # type: ignore[attr-defined]  # an UPDATE's result is a CursorResult
                    session.add(OwnerRow(name=self.name, beat=self._beats, **self._row))
        except DatabaseUnavailable as exc:
            if not self._is_silent:
                _log.warning("syncs cannot be asked for or followed: %s", exc.detail)
            self._is_silent = True
        else:
            self._is_silent = False


class Watch:
    """Whether other processes live. For one thread, which asks again and again."""

    def __init__(self, database: Database, *, silence_s: float = SILENCE_S, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._silence_s = silence_s
        self._clock = clock
        self._seen: dict[str, tuple[int, float, float]] = {}
        """By name, the last number, since when it is that, and when it was looked at last."""

    def is_gone(self, name: str) -> bool:
        """Raises DatabaseUnavailable."""
        with self._database.read() as session:
            beat = session.scalar(select(OwnerRow.beat).where(OwnerRow.name == name))
        return beat is None or _has_ended(name) or self._is_silent(name, beat)

    def takers(self, target: str) -> list[OwnerRow]:
        """Those that take syncs into `target`, of any corpus. Forgets processes that are gone. Raises DatabaseUnavailable."""
        with self._database.read() as session:
            rows = session.scalars(select(OwnerRow).where(OwnerRow.target == target)).all()
        gone = [row.name for row in rows if self.is_gone(row.name)]
        if gone:
            with self._database.write() as session:
                session.execute(delete(OwnerRow).where(OwnerRow.name.in_(gone)))
        return [row for row in rows if row.model and row.name not in gone]

    def has_taker(self, target: str, corpus: str) -> bool:
        """Whether a process takes syncs of `corpus` into `target`. As `takers`."""
        return any(taker.corpus == corpus for taker in self.takers(target))

    def _is_silent(self, name: str, beat: int) -> bool:
        now = self._clock()
        known, since, looked = self._seen.get(name, (-1, now, now))
        if beat != known or now - looked > self._silence_s / 2:  # while nobody could look, it may have counted in vain
            since = now
        self._seen[name] = beat, since, now
        return now - since >= self._silence_s


def is_of_this_machine(name: str) -> bool:
    """Whether that process certainly is, so that it can be asked at a loopback address."""
    return bool(_space()) and name.partition("/")[0] == _space()


def _this_process() -> str:
    """On Linux, names a process for good: the boot of the machine, the space of process numbers, the number, when it began."""
    process = _started(os.getpid())
    return f"{_space()}/{os.getpid()}/{process}" if process else f"{socket.gethostname()}/{os.getpid()}"


def _has_ended(name: str) -> bool:
    """Whether it certainly has: it was a process of this machine, and of these numbers. Of others nothing is known."""
    space, _, process = name.partition("/")
    number, _, started = process.partition("/")
    return space == _space() and number.isdigit() and _started(int(number)) != started.partition("/")[0]


def _space() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip() + "-" + str(Path("/proc/self/ns/pid").stat().st_ino)
    except OSError:
        return ""


def _started(number: int) -> str:
    """In the kernel's ticks; empty if there is no such process, or no telling. One that only waits for its parent has ended."""
    try:
        state, *fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if state in {"Z", "X"} else fields[18]
