"""A real PostgreSQL: Debian's, with data in a folder of its own, reached through a Unix socket there."""

import os
import shutil
import signal
import subprocess
import tempfile
import uuid
from pathlib import Path

import pytest
import sqlalchemy

from monitoring.local.launcher import ServerProcess

PATH = os.pathsep.join([os.environ["PATH"], *map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True))])
"""Debian keeps the server's programs out of the way."""
OPTIONS = ["-c", "fsync=off", "-c", "shared_buffers=16MB", "-c", "max_connections=50", "-c", "listen_addresses="]
USER = "postgres"
AS_USER = ["setpriv", "--pdeathsig=keep", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--"] if os.geteuid() == 0 else []
"""PostgreSQL refuses to serve as root."""


class PostgresServer(ServerProcess):
    """Use as a context. It may be stopped in between, and started again: the data stay."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="pg"))  # short: the path of a socket has 107 bytes at most
        data = self._folder / "data"
        if AS_USER:
            shutil.chown(self._folder, USER, USER)
        initdb = [*AS_USER, program("initdb"), "-D", data, "-U", USER, "--auth=trust", "--encoding=UTF8", "--no-sync"]
        subprocess.run(initdb, check=True, capture_output=True, timeout=120, cwd="/")
        ready = [program("pg_isready"), "-q", "-h", self._folder, "-U", USER]
        super().__init__(
            [*AS_USER, program("postgres"), "-D", data, "-k", self._folder, *OPTIONS],
            lambda: subprocess.run(ready, check=False, timeout=60).returncode == 0,
            log=self._folder / "log",
            cwd=Path("/"),
        )

    def stop(self, how=signal.SIGQUIT):
        """At once, as after a crash: politely it would wait for its clients."""
        return super().stop(how)

    def __exit__(self, *error):
        super().__exit__(*error)
        shutil.rmtree(self._folder)

    def new_database(self) -> str:
        """The address of an empty database."""
        name = f"test_{uuid.uuid4().hex[:12]}"
        engine = sqlalchemy.create_engine(self._url("postgres"), isolation_level="AUTOCOMMIT", poolclass=sqlalchemy.NullPool)
        with engine.connect() as connection:
            connection.execute(sqlalchemy.text(f"CREATE DATABASE {name}"))
        return self._url(name)

    def _url(self, name):
        return f"postgresql+psycopg://{USER}@/{name}?host={self._folder}"


def program(name):
    found = shutil.which(name, path=PATH)
    if found is None:
        pytest.fail(f"these tests need the program {name} (Debian package: postgresql)", pytrace=False)
    return found
