"""Something done now and then, as long as its owner lives."""

import threading

from ml_api.polling import Poll

PATIENCE_S = 10


def test_it_looks_at_once_and_again_whatever_happens(caplog):
    looked = threading.Semaphore(0)

    def look():
        looked.release()
        raise RuntimeError("odd")

    poll = Poll("look-out", look, every_s=0.001)
    try:
        for _ in range(3):
            assert looked.acquire(timeout=PATIENCE_S)
    finally:
        poll.close()
    assert "look-out failed" in caplog.text


def test_a_closed_one_looks_no_more():
    seen = []
    poll = Poll("look-out", lambda: seen.append(threading.current_thread()), every_s=3600)
    poll.close()
    poll.close()
    assert len(seen) == 1
    assert not seen[0].is_alive()
