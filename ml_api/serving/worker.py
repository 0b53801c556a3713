"""gunicorn's threaded worker, with a door: no thread waits for a client that says nothing, no request waits for a thread unseen.

gunicorn gives every connection to its threads at once, however many wait for them already. Here a connection stays with the poller
until a request arrives, and then is let in (`Admission`), or told at once that it is not.
"""

import logging
import selectors
import socket
import struct
from collections import deque
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from time import monotonic
from typing import Any, Final

from gunicorn.http.errors import LimitRequestHeaders, LimitRequestLine, ParseException
from gunicorn.workers.gthread import TConn, ThreadWorker

from ml_api.api import observe
from ml_api.serving import refusing
from ml_api.serving.admission import Admission, Place

HEALTH: Final = (b"GET /livez", b"GET /readyz", b"HEAD /livez", b"HEAD /readyz")
"""Always let in, by a door of their own: whoever is overloaded is alive, and must not be restarted for it."""
HEALTH_THREADS: Final = 2
PEEK_BYTES: Final = 4096
SILENCE_S: Final = 10
"""Longest wait for the next bytes of a request that has begun, and for a client to take the next bytes of its answer."""
LINGER_S: Final = 5.0
"""How long a refused client may go on sending: hung up on at once, it would never see why."""

_READABLE: Final = selectors.EVENT_READ
_FORGET_BYTES: Final = 256 * 1024

_log = logging.getLogger(__name__)


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn ships no types
    """Runs in one process; everything but `handle` in its main thread."""

    def init_process(self) -> None:
        self._health = ThreadPoolExecutor(HEALTH_THREADS, "health")
        self._refused: deque[TConn] = deque()
        super().init_process()

    def load_wsgi(self) -> None:
        super().load_wsgi()
        settings = self.app.settings
        self._admission = Admission(settings.threads + settings.queue_limit, settings.queue_wait_s)
        self._tally = refusing.Tally(self.wsgi)

    def enqueue_req(self, conn: TConn) -> None:
        """A connection is new, or has become readable."""
        head = _peek(conn)
        if head is None:
            self._park(conn)
        elif head.startswith(HEALTH):
            self._submit(conn, self._health, None)
        elif place := self._admission.enter():
            self._submit(conn, self.tpool, place)
        else:
            self._refuse(conn, head)

    def handle(self, conn: TConn) -> Any:
        """In a thread of the pool. gunicorn's method, which learns when the request came."""
        observe.arrived.set(conn.arrived)
        return super().handle(conn)

    def murder_pending(self) -> None:
        super().murder_pending()
        while self._refused and self._refused[0].timeout < monotonic():
            self._hang_up(self._refused[0])
        self._tally.report()

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: BaseException) -> None:
        """Answer what never becomes a request with the same kind of problem as everything else."""
        match exc:
            case LimitRequestLine():
                refusing.send(client, refusing.URI_TOO_LONG)
            case LimitRequestHeaders():
                refusing.send(client, refusing.HEADERS_TOO_LARGE)
            case ParseException():
                refusing.send(client, refusing.MALFORMED)
            case _:
                super().handle_error(req, client, addr, exc)

    def _submit(self, conn: TConn, threads: Executor, place: Place | None) -> None:
        if not conn.initialized:
            _bound_waits(conn.sock)
        conn.data_ready = True
        conn.arrived = place.since if place else None
        future = threads.submit(self.handle, conn)
        future.add_done_callback(lambda done: self.method_queue.defer(self._finish, conn, done, place))

    def _finish(self, conn: TConn, done: Any, place: Place | None) -> None:
        if place:
            self._admission.leave(place)
        self.finish_request(conn, done)

    def _park(self, conn: TConn) -> None:
        """Leave the connection to the poller until its client says something, as long as an idle one may stay."""
        conn.sock.settimeout(0)
        conn.set_timeout()
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, _READABLE, partial(self.on_pending_socket_readable, conn))

    def _refuse(self, conn: TConn, head: bytes) -> None:
        self._tally.count(head)
        conn.sock.settimeout(0)
        if not refusing.send(conn.sock, refusing.OVERLOADED):
            self.nr_conns -= 1
            conn.close()
            return
        conn.timeout = monotonic() + LINGER_S
        self._refused.append(conn)
        self.poller.register(conn.sock, _READABLE, partial(self._read_on, conn))

    def _read_on(self, conn: TConn, client: socket.socket) -> None:
        """Forget what a refused client is still sending, until it has seen the answer and hangs up."""
        try:
            if client.recv(_FORGET_BYTES):
                return
        except BlockingIOError:
            return
        except OSError:
            _log.debug("a refused client hung up")
        self._hang_up(conn)

    def _hang_up(self, conn: TConn) -> None:
        self._refused.remove(conn)
        self.poller.unregister(conn.sock)
        self.nr_conns -= 1
        conn.close()


def _peek(conn: TConn) -> bytes | None:
    """How the next request begins: b"" where the client hung up, None where it says nothing yet."""
    if conn.initialized and (read_ahead := conn.parser.unreader.buf.getvalue()):
        return bytes(read_ahead[:PEEK_BYTES])
    try:
        return bytes(conn.sock.recv(PEEK_BYTES, socket.MSG_PEEK | socket.MSG_DONTWAIT))
    except BlockingIOError:
        return None
    except OSError:
        return b""


def _bound_waits(client: socket.socket) -> None:
    """Let the system end what a silent client would hold up for ever: reads and writes then raise BlockingIOError."""
    for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
        client.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", SILENCE_S, 0))
