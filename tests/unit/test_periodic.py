"""Something done now and then, as long as its owner lives."""

import threading

from ml_api.periodic import PeriodicTask

PATIENCE_S = 10


def test_it_runs_at_once_and_again_whatever_happens(caplog):
    ran = threading.Semaphore(0)

    def run():
        ran.release()
        raise RuntimeError("odd")

    task = PeriodicTask("health", run, every_s=0.001)
    try:
        for _ in range(3):
            assert ran.acquire(timeout=PATIENCE_S)
    finally:
        task.close()
    assert "health failed" in caplog.text


def test_a_closed_one_runs_no_more():
    seen = []
    task = PeriodicTask("health", lambda: seen.append(threading.current_thread()), every_s=3600)
    task.close()
    task.close()
    assert len(seen) == 1
    assert not seen[0].is_alive()


def test_it_can_be_had_now():
    ran = threading.Semaphore(0)
    task = PeriodicTask("health", ran.release, every_s=3600)
    try:
        assert ran.acquire(timeout=PATIENCE_S)
        task.now()
        assert ran.acquire(timeout=PATIENCE_S)
    finally:
        task.close()
