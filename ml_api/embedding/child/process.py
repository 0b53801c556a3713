"""One child: started, asked, and gone."""

import itertools
import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from math import ceil
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from ml_api.embedding.base import Prepared
from ml_api.embedding.child.messages import Answer, Load, Loaded, Refused, Request
from ml_api.errors import ConfigError, ModelUnavailable

LOAD_TIMEOUT_S: Final = 600.0
"""Loading a big model from a slow disk takes minutes; a child that needs longer is taken for dead."""
END_TIMEOUT_S: Final = 10.0
_PROGRAM: Final = "ml_api.embedding.child"
_ROOT: Final = Path(__file__).parents[3]
"""Where Python finds this package, so that it finds the same one again."""


class Child:
    """A process that holds the model. `ask` may be called from any thread, `listen` has one of its own."""

    def __init__(self, pass_timeout_s: float) -> None:
        """Start it: to be told what to `load`, and awaited (`await_model`), before anything is asked.

        One that has not answered after `pass_timeout_s` hangs, and is killed.
        """
        self._pass_timeout_s = pass_timeout_s
        self._connection, theirs = Pipe()
        with _socket(self._connection) as ours:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", ceil(pass_timeout_s), 0))
        try:
            with theirs:
                # In a session of its own: the terminal's Ctrl-C is for the parent, which still has requests to answer.
                self._process = subprocess.Popen(  # noqa: S603 - this program itself
                    [sys.executable, "-m", _PROGRAM, str(theirs.fileno())],
                    cwd=_ROOT,
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    start_new_session=True,
                )
        except BaseException:
            self._connection.close()
            raise
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._waiting: dict[int, Future[Answer]] = {}
        self._gone = self._listening = False

    def load(self, what: Load) -> None:
        """Raises ModelUnavailable if it died already."""
        self._send(what)

    @property
    def pid(self) -> int:
        return self._process.pid

    def await_model(self) -> Loaded:
        """Raises ConfigError for why it cannot be loaded, ModelUnavailable if the child died."""
        try:
            if not self._connection.poll(LOAD_TIMEOUT_S):
                raise ModelUnavailable(f"The model was not loaded within {LOAD_TIMEOUT_S:g} s.")
            said: Loaded | Refused = self._connection.recv()
        except (EOFError, OSError) as exc:
            raise ModelUnavailable(f"The model's process {self._how_it_ended()} before the model was loaded.") from exc
        if isinstance(said, Refused):
            raise ConfigError(*said.problems)
        return said

    def ask(self, items: Sequence[Prepared]) -> Answer:
        """Raises ModelUnavailable if it is gone, or goes before it has answered."""
        answer: Future[Answer] = Future()
        with self._lock:
            if self._gone:
                raise ModelUnavailable("The model's process has ended; it is started again.")
            number = next(self._numbers)
            self._waiting[number] = answer
            self._send(Request(number, items))
        try:
            return answer.result(self._pass_timeout_s)
        except TimeoutError as exc:
            self._process.kill()
            raise ModelUnavailable(f"The model did not answer within {self._pass_timeout_s:g} s; it is started again.") from exc

    def _send(self, message: Load | Request) -> None:
        try:
            self._connection.send(message)
        except OSError as exc:
            self._process.kill()  # if it lives, it did not take what was sent, and would take the rest for something else
            raise ModelUnavailable("The model's process has ended; it is started again.") from exc

    def listen(self, heard: Callable[[Mapping[str, tuple[int, int]]], None]) -> str:
        """Hand answers to who waits for them until the child is gone; how it ended. `heard` is told of a GPU's memory."""
        self._listening = True
        try:
            while True:
                answer: Answer = self._connection.recv()
                heard(answer.memory)
                self._waiting.pop(answer.number).set_result(answer)
        except (EOFError, OSError):
            with self._lock:
                self._gone = True
            self._connection.close()
            how = self._how_it_ended()
            for waiting in self._waiting.values():
                waiting.set_exception(ModelUnavailable(f"The model's process {how}; it is started again."))
            return how

    def close(self) -> None:
        """Let it finish what it is computing, and end. Who listens hears that. Safe to call twice."""
        with self._lock:
            if not self._gone:
                with _socket(self._connection) as ours, suppress(OSError):
                    ours.shutdown(socket.SHUT_WR)
        self._how_it_ended()
        if not self._listening:
            self._gone = True
            self._connection.close()

    def _how_it_ended(self) -> str:
        try:
            code = self._process.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        return f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"


def _socket(connection: "Connection[Any, Any]") -> socket.socket:
    """The connection's socket, by a descriptor of its own."""
    return socket.socket(fileno=os.dup(connection.fileno()))
