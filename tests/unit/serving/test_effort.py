"""What a request costs the service: its work, not the time that its client takes."""

import io
import threading

import pytest

from ml_api.serving.effort import Effort

SLOWLY_S = 0.2


class SlowBody(io.BytesIO):
    def read(self, *size):
        threading.Event().wait(SLOWLY_S)  # a client that sends slowly
        return super().read(*size)


def call(app, body=b""):
    return app({"wsgi.input": SlowBody(body)}, None)


def test_reading_a_slow_clients_body_is_no_work():
    effort = Effort(lambda environ, _: [environ["wsgi.input"].read(3), environ["wsgi.input"].read()])
    assert call(effort, b"abcdef") == [b"abc", b"def"]
    assert effort.take_s() < SLOWLY_S


def test_work_is_counted_once_and_a_failure_too():
    def fails(_environ, _start):
        threading.Event().wait(SLOWLY_S)
        raise LookupError

    effort = Effort(fails)
    with pytest.raises(LookupError):
        call(effort)
    assert effort.take_s() >= SLOWLY_S
    assert effort.take_s() == 0.0


def test_threads_do_not_count_each_others_work():
    effort = Effort(lambda *_: threading.Event().wait(SLOWLY_S) and [])
    thread = threading.Thread(target=call, args=(effort,))
    thread.start()
    thread.join()
    assert effort.take_s() == 0.0
