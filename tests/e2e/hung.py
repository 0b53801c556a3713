"""The real server over a model that hangs, and searches that it never answers."""

import http.client
import threading
from contextlib import contextmanager, suppress

from tests.e2e.hung_service import HANG
from tests.e2e.server_process import Server
from tests.e2e.test_serving import metrics_of
from tests.waiting import PATIENCE_S, wait_until


class HungServer(Server):
    program = ("tests.e2e.hung_service",)


@contextmanager
def hopeless_searches(server, count):
    """So many searches that the model never answers; what they are told when the service ends, as `Server.get` returns it."""
    answers = []

    def ask():
        with suppress(OSError, http.client.HTTPException):
            answers.append(server.get(f"/v1/search/text?q={HANG}", timeout=PATIENCE_S))

    threads = [threading.Thread(target=ask) for _ in range(count)]
    for thread in threads:
        thread.start()
    wait_until(lambda: f'ml_api_requests{{state="working"}} {count}.0' in metrics_of(server))
    yield answers
    for thread in threads:
        thread.join(PATIENCE_S)
