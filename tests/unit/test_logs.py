"""Log lines: one JSON object each, with ECS names and the request's id."""

import io
import json
import logging

import pytest

from ml_api import logs


@pytest.fixture
def stream():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    logs.configure("info", "testing", stream)
    yield stream
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)


def written(stream):
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_record_is_one_ecs_object(stream):
    logging.getLogger("ml_api.sync").info("%d images", 3, extra={"ml_api.sync.added": 3})
    [line] = written(stream)
    assert line["message"] == "3 images"
    assert line["log.level"] == "info"
    assert line["log.logger"] == "ml_api.sync"
    assert line["service.environment"] == "testing"
    assert line["ml_api.sync.added"] == 3
    assert line["@timestamp"].endswith("Z")
    assert "exc_info" not in line


def test_control_characters_cannot_split_a_line(stream):
    logging.getLogger("ml_api.x").warning('evil\n{"log.level": "critical"}\r\u2028')
    [line] = written(stream)
    assert line["message"] == 'evil\n{"log.level": "critical"}\r\u2028'


def test_an_exception_is_written_as_fields(stream):
    try:
        int("bad")
    except ValueError:
        logging.getLogger("ml_api.x").exception("failed")
    [line] = written(stream)
    assert line["error.type"] == "builtins.ValueError"
    assert "'bad'" in line["error.message"]
    assert "Traceback" in line["error.stack_trace"]


def test_lines_carry_the_id_of_the_request_being_handled(stream):
    token = logs.request_id.set("abc")
    logging.getLogger("ml_api.x").info("inside")
    logs.request_id.reset(token)
    logging.getLogger("ml_api.x").info("outside")
    inside, outside = written(stream)
    assert inside["http.request.id"] == "abc"
    assert "http.request.id" not in outside


def test_a_terminal_gets_short_lines():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    root = logging.getLogger()
    handlers = root.handlers[:]
    terminal = Terminal()
    logs.configure("info", "testing", terminal)
    logging.getLogger("ml_api.x").info("hello")
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    assert terminal.getvalue().endswith("INFO hello\n")
