"""gunicorn's threaded worker, with a door: no thread waits for a client that says nothing, no request waits for a thread unseen.

gunicorn gives every connection to its threads at once, however many wait for them already. Here a connection stays with the poller
until a request arrives, and then is let in (`Admission`), or told at once that it is not.
"""

import logging
import selectors
import socket
import struct
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from time import monotonic, perf_counter
from typing import Any, Final

from gunicorn.http.errors import LimitRequestHeaders, LimitRequestLine, ParseException
from gunicorn.workers.gthread import TConn, ThreadWorker

from ml_api.api import observe
from ml_api.serving import refusing
from ml_api.serving.admission import Admission, Place
from ml_api.serving.effort import Effort

HEALTH: Final = (b"GET /livez", b"GET /readyz", b"HEAD /livez", b"HEAD /readyz")
"""Always let in, by a door of their own: whoever is overloaded is alive, and must not be restarted for it."""
HEALTH_THREADS: Final = 2
PEEK_BYTES: Final = 4096
SILENCE_S: Final = 10
"""Longest wait for the next bytes of a request that has begun, and for a client to take the next bytes of its answer."""
LINGER_S: Final = 5.0
"""How long a client may go on sending after its last answer."""

_FORGET_BYTES: Final = 256 * 1024

_log = logging.getLogger(__name__)


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn ships no types
    """Runs in one process; everything but `handle` in its main thread."""

    wsgi: Any

    def init_process(self) -> None:
        self._health = ThreadPoolExecutor(HEALTH_THREADS, "health")
        self._parting: deque[TConn] = deque()
        super().init_process()

    def load_wsgi(self) -> None:
        super().load_wsgi()
        settings = self.app.settings
        self._admission = Admission(settings.threads + settings.queue_limit, settings.queue_wait_s)
        self._tally = refusing.Tally(self.wsgi)
        self.wsgi = self._effort = Effort(self.wsgi)

    def enqueue_req(self, conn: TConn) -> None:
        """A connection is new, or has become readable."""
        head = _peek(conn)
        if head is None:
            self._park(conn)
        elif not head:  # nobody is there any more: that takes no place and no thread
            self._close(conn)
        elif head.startswith(HEALTH):
            self._submit(conn, self._health, None)
        elif place := self._admission.enter():
            self._submit(conn, self.tpool, place)
        else:
            self._refuse(conn, head)

    def handle(self, conn: TConn) -> Any:
        """In a thread of the pool. gunicorn's method, which learns when the request came, and what it costs."""
        started = perf_counter()
        observe.arrived.set(conn.arrived)
        try:
            return super().handle(conn)
        finally:
            conn.cost_s = started - conn.arrived + self._effort.take_s()

    def murder_pending(self) -> None:
        """gunicorn's name for closing those that never said anything, after a while; at once when the worker stops."""
        if not self.alive:
            for conn in self.pending_conns:
                conn.timeout = 0.0
        super().murder_pending()
        while self._parting and self._parting[0].timeout < monotonic():
            self._hang_up(self._parting[0])
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
        conn.arrived = perf_counter()
        future = threads.submit(self.handle, conn)
        future.add_done_callback(lambda done: self.method_queue.defer(self._finish, conn, done, place))

    def _finish(self, conn: TConn, done: Any, place: Place | None) -> None:
        if place:
            self._admission.leave(place, conn.cost_s)
        if done.cancelled() or done.exception() or not done.result():
            self._part(conn)  # gunicorn would wait for the client to hang up, here, in the thread that serves all others
        else:
            self.finish_request(conn, done)

    def _park(self, conn: TConn) -> None:
        """Leave the connection to the poller until its client says something, as long as an idle one may stay."""
        self._watch(conn, self.pending_conns, self.cfg.keepalive, self.on_pending_socket_readable)

    def _refuse(self, conn: TConn, head: bytes) -> None:
        self._tally.count(head)
        conn.sock.settimeout(0)
        may_stay = _took_all(conn, head)
        if refusing.send(conn.sock, refusing.OVERLOADED_COME_AGAIN if may_stay else refusing.OVERLOADED) and may_stay:
            self._watch(conn, self.keepalived_conns, self.cfg.keepalive, self.on_client_socket_readable)
        else:
            self._part(conn)

    def _part(self, conn: TConn) -> None:
        """Say no more, and let the client finish: hung up on at once, it may not see its answer (RFC 9112, section 9.6)."""
        try:
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._close(conn)
            return
        self._watch(conn, self._parting, LINGER_S, self._read_on)

    def _watch(self, conn: TConn, among: deque[TConn], stay_s: float, then: Callable[[TConn, socket.socket], None]) -> None:
        """Leave the connection to the poller; `then` is for when it is readable. `among` is in the order in which time is up."""
        conn.sock.settimeout(0)
        conn.timeout = monotonic() + stay_s
        among.append(conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(then, conn))

    def _read_on(self, conn: TConn, client: socket.socket) -> None:
        """Forget what a client is still sending, until it has seen its answer and hangs up."""
        try:
            if client.recv(_FORGET_BYTES):
                return
        except BlockingIOError:
            return
        except OSError:
            _log.debug("a client broke off")
        self._hang_up(conn)

    def _hang_up(self, conn: TConn) -> None:
        self._parting.remove(conn)
        self.poller.unregister(conn.sock)
        self._close(conn)

    def _close(self, conn: TConn) -> None:
        self.nr_conns -= 1
        conn.close()


def _peek(conn: TConn) -> bytes | None:
    """How the next request begins: b"" where the client hung up, None where it says nothing yet."""
    if read_ahead := _read_ahead(conn):
        return read_ahead[:PEEK_BYTES]
    try:
        return bytes(conn.sock.recv(PEEK_BYTES, socket.MSG_PEEK | socket.MSG_DONTWAIT))
    except BlockingIOError:
        return None
    except OSError:
        return b""


def _read_ahead(conn: TConn) -> bytes:
    """What came along with the request before."""
    return bytes(conn.parser.unreader.buf.getvalue()) if conn.initialized else b""


def _took_all(conn: TConn, head: bytes) -> bool:
    """Take a request off the connection, if `head` is all of it: only then the connection can go on after a refusal.

    The usual search is one GET. Its client need not connect again, which would cost both sides more than the refusal.
    """
    lines = head.lower()
    is_whole = (
        head.startswith(b"GET ")
        and head.find(b"\r\n\r\n") == len(head) - 4
        and b" http/1.1\r\n" in lines
        and b"\r\ncontent-length:" not in lines
        and b"\r\ntransfer-encoding:" not in lines
    )
    return is_whole and not _read_ahead(conn) and len(conn.sock.recv(len(head))) == len(head)


def _bound_waits(client: socket.socket) -> None:
    """Let the system end what a silent client would hold up for ever: reads and writes then raise BlockingIOError."""
    for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
        client.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", SILENCE_S, 0))
