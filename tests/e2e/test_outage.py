"""A store that is gone, and one that hangs: what the real service says, and what it writes meanwhile."""

import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from tests.e2e.server_process import Server

OUTAGE_S = 4.0
CALLERS = 8


def test_an_outage_is_told_once_a_second_and_a_hung_store_does_not_silence_health_checks(demo_corpus, milvus, tmp_path):
    with Server(tmp_path, demo_corpus, milvus_uri=milvus.uri) as service:
        with stopped(milvus), ThreadPoolExecutor(5) as callers:
            while service.get("/readyz")[0] == 200:
                time.sleep(0.1)  # what was on its way is still answered
            ready = [callers.submit(timed, service, "/readyz") for _ in range(4)]
            alive_s, alive = timed(service, "/livez")
            answers = [one.result() for one in ready]
        assert alive == 200
        assert alive_s < 1
        assert {status for _, status in answers} == {503}
        assert max(seconds for seconds, _ in answers) < 8

        milvus.kill()
        failed = search_for_a_while(service)
    told = [line for line in service.log_lines() if line["log.level"] == "error" and "store" in line["message"]]
    assert len(failed) > 50
    assert len(told) < 6 * OUTAGE_S, f"{len(told)} lines for {len(failed)} failures"
    assert sum(line.get("ml_api.times", 0) for line in told) >= 0.8 * len(failed)
    assert sum("error.stack_trace" in line for line in service.log_lines()) < 3 * OUTAGE_S


def timed(service, path):
    started = time.monotonic()
    status = service.get(path)[0]
    return time.monotonic() - started, status


@contextmanager
def stopped(milvus):
    """Inside, the store gets no time."""
    milvus.pause()
    try:
        yield
    finally:
        milvus.resume()


def search_for_a_while(service):
    """The answers that were 503."""
    until, number, failed = time.monotonic() + OUTAGE_S, itertools.count(), []

    def go_on():
        while time.monotonic() < until:
            if service.get(f"/v1/search/text?q=dog+{next(number)}")[0] == 503:
                failed.append(1)

    threads = [threading.Thread(target=go_on) for _ in range(CALLERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failed
