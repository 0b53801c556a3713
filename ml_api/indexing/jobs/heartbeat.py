"""Liveness of the processes that run jobs (owners): each one increments a counter in its row of the database.

Other processes check whether the counter changes, by their own monotonic clocks. So the clocks of machines may differ and jump,
and the death of a process is noticed.
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
"""A process whose counter has not changed for this time counts as dead. What it may still write is harmless: syncs upsert by id."""

_log = logging.getLogger(__name__)


class Heartbeat:
    """The row of this process, which exists until `close`. Outages of the database are tolerated."""

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
        """With a `model`, other processes may submit jobs of `corpus` and `target` to this one, a service: it answers the API at
        `address`, and its syncs read files by the settings hashed in `reading`."""
        self.name = f"{_this_process()}/{secrets.token_hex(4)}"
        self._database = database
        self._row = {"target": target, "corpus": corpus, "model": model, "address": address, "reading": reading}
        self._lock = threading.Lock()
        """One beat at a time: each inserts the row if it is missing, and a second insert would fail."""
        self._beats = 0
        self._is_silent = False
        self._beat()  # at once: commands look for this row
        self._task = PeriodicTask("heartbeat", self._beat, every_s)

    def embeds_with(self, model: str) -> None:
        """Record that another model is in use, at once or after an outage of the database."""
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
        """Insert the row again if it is missing: another process took this one for dead, or the database was recreated."""
        try:
            with self._lock, self._database.write() as session:
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


class Owners:
    """The rows of all processes, with their liveness. For one thread, which asks repeatedly."""

    def __init__(self, database: Database, *, silence_s: float = SILENCE_S, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._silence_s = silence_s
        self._clock = clock
        self._seen: dict[str, tuple[int, float, float]] = {}
        """By name: the last counter value, since when it has that value, and the time of the last check."""

    def is_gone(self, name: str) -> bool:
        """Raises DatabaseUnavailable."""
        with self._database.read() as session:
            beat = session.scalar(select(OwnerRow.beat).where(OwnerRow.name == name))
        return beat is None or _has_ended(name) or self._is_silent(name, beat)

    def services(self, target: str) -> list[OwnerRow]:
        """The services that accept jobs for `target`, of any corpus. Deletes the rows of dead processes. Raises
        DatabaseUnavailable."""
        with self._database.read() as session:
            rows = session.scalars(select(OwnerRow).where(OwnerRow.target == target)).all()
        gone = [row.name for row in rows if self.is_gone(row.name)]
        if gone:
            with self._database.write() as session:
                session.execute(delete(OwnerRow).where(OwnerRow.name.in_(gone)))
        return [row for row in rows if row.model and row.name not in gone]

    def has_service(self, target: str, corpus: str) -> bool:
        """Whether a service accepts jobs of `corpus` for `target`. Raises DatabaseUnavailable."""
        return any(service.corpus == corpus for service in self.services(target))

    def _is_silent(self, name: str, beat: int) -> bool:
        now = self._clock()
        known, since, looked = self._seen.get(name, (-1, now, now))
        if beat != known or now - looked > self._silence_s / 2:  # between two checks that far apart, changes were missed
            since = now
        self._seen[name] = beat, since, now
        return now - since >= self._silence_s


def is_of_this_machine(name: str) -> bool:
    """Whether the named process certainly runs on this machine, so that a loopback address reaches it."""
    return bool(pid_namespace()) and name.partition("/")[0] == pid_namespace()


def _this_process() -> str:
    """A name that no other process ever has, on Linux: the machine's boot, the PID namespace, the PID, and its start time."""
    process = _started(os.getpid())
    return f"{pid_namespace()}/{os.getpid()}/{process}" if process else f"{socket.gethostname()}/{os.getpid()}"


def _has_ended(name: str) -> bool:
    """Whether the named process certainly has: only processes of this machine and PID namespace can be checked."""
    space, _, process = name.partition("/")
    number, _, started = process.partition("/")
    return space == pid_namespace() and number.isdigit() and _started(int(number)) != started.partition("/")[0]


def pid_namespace() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip() + "-" + str(Path("/proc/self/ns/pid").stat().st_ino)
    except OSError:
        return ""


def _started(number: int) -> str:
    """The start time of a process in kernel ticks; "" if there is none, or it cannot be read. A zombie has ended."""
    try:
        state, *fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if state in {"Z", "X"} else fields[18]
