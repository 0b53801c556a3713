"""Log lines: one JSON object each, with ECS names and the request's id."""

import errno
import fcntl
import io
import json
import logging
import os

import pytest

from ml_api import logs, tracing
from ml_api.access.keys import new_secret
from ml_api.logs.formatting import EcsFormatter, TerminalFormatter


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
    """What these tests logged: threads that other tests left may still have something to say."""
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    return [line for line in lines if line["log.logger"] in ("ml_api.x", "ml_api.sync")]


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


class Failing(io.StringIO):
    """Of a reader that has ended, until `error` is None."""

    error: OSError | None = BrokenPipeError(errno.EPIPE, "Broken pipe")

    def write(self, text):
        if self.error:
            raise self.error
        return super().write(text)


@pytest.mark.usefixtures("stream")
def test_that_the_log_cannot_be_written_is_told_once_and_again_after_it_could(capsys):
    """A traceback of each line filled the disk of the standard error output."""
    broken, log = Failing(), logging.getLogger("ml_api.x")
    logs.configure("info", "testing", broken)
    for _ in range(3):
        log.info("lost")
    told = "the log cannot be written: Broken pipe; lines are dropped until it can\n"
    assert capsys.readouterr().err == told
    broken.error = None
    log.info("written")
    broken.error = Failing.error
    log.info("lost")
    assert [line["message"] for line in written(broken)] == ["written"]
    assert capsys.readouterr().err == told


@pytest.mark.usefixtures("stream")
def test_a_pipe_that_is_not_read_holds_up_nothing_and_what_is_missing_is_told(capsys):
    """The service hung with the program that read its log, and could not be stopped."""
    source, sink = os.pipe()
    filled = fcntl.fcntl(sink, fcntl.F_GETPIPE_SZ)
    os.write(sink, b"x" * filled)
    log = logging.getLogger("ml_api.x")
    with open(source, "rb") as reader, open(sink, "w") as pipe:  # noqa: PTH123 - descriptors
        logs.configure("info", "testing", pipe)
        for _ in range(3):
            log.info("dropped")
        reader.read(filled)
        log.info("written")
        lines = [json.loads(reader.readline()) for _ in range(2)]
    assert [line["message"] for line in lines] == [logs.MISSING % 3, "written"]
    told = "the log cannot be written: its reader does not read; lines are dropped until it can\n"
    assert capsys.readouterr().err == told


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
    assert line["error.id"]


def test_lines_carry_the_id_of_the_request_being_handled(stream):
    with tracing.on_behalf_of([origin := tracing.request_origin("abc", None)]):
        logging.getLogger("ml_api.x").info("inside")
    logging.getLogger("ml_api.x").info("outside")
    inside, outside = written(stream)
    assert inside["http.request.id"] == "abc"
    assert inside["trace.id"] == origin.trace_id
    assert inside["span.id"] == origin.span_id
    assert not {"http.request.id", "trace.id", "span.id"} & outside.keys()


def test_a_line_about_several_requests_carries_the_ids_of_all(stream):
    with tracing.on_behalf_of([one := tracing.request_origin("a", None), other := tracing.request_origin("b", None)]):
        logging.getLogger("ml_api.x").info("both")
    [line] = written(stream)
    assert line["http.request.id"] == ["a", "b"]
    assert line["trace.id"] == [one.trace_id, other.trace_id]


def test_a_field_that_the_index_does_not_know_is_left_out(stream):
    logging.getLogger("ml_api.x").info("hello", extra={"ml_api.key": "k", "library.own": 1})
    [line] = written(stream)
    assert line["ml_api.key"] == "k"
    assert set(line) <= set(logs.FIELDS)


def test_what_json_cannot_say_is_written_so_that_it_can_be_read():
    record = logging.makeLogRecord({"levelno": logging.INFO, "msg": "caf\u00e9 \udc80", "ml_api.top1_similarity": float("nan")})
    line = json.loads(logs.EcsFormatter("testing").format(record))
    assert line["message"] == "caf\u00e9 \\udc80"
    assert line["ml_api.top1_similarity"] is None


def test_levels_that_libraries_invent_are_one_of_five(stream):
    logging.getLogger("ml_api.x").log(35, "odd")
    [line] = written(stream)
    assert line["log.level"] == "warning"


def test_records_are_counted_as_they_are_written(stream):
    counted = []
    with logs.counting(counted.append):
        for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.CRITICAL):
            logging.getLogger("ml_api.x").log(level, "counted")
        logging.getLogger("library").info("not written")
    logging.getLogger("ml_api.x").info("later")
    assert counted == [line["log.level"] for line in written(stream)][:-1] == ["info", "warning", "critical"]


def test_a_terminal_gets_short_lines():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    root = logging.getLogger()
    handlers = root.handlers[:]
    terminal = Terminal()
    logs.configure("info", "testing", terminal)
    logging.getLogger("ml_api.x").info("hello\n\x1b[2Jyou\u2028")
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    assert terminal.getvalue().endswith("INFO hello\\x0a\\x1b[2Jyou\\u2028\n")


@pytest.mark.parametrize("formatter", [EcsFormatter("test"), TerminalFormatter()], ids=["JSON", "terminal"])
def test_no_line_holds_an_api_key(formatter):
    key = new_secret()
    error = ValueError(f"not {key}")
    record = logging.LogRecord("ml_api", logging.ERROR, __file__, 1, "bad %s", (key,), (ValueError, error, None))
    setattr(record, "url.path", f"/v1/{key}")
    line = formatter.format(record)
    assert key not in line
    assert "bad mlapi_" in line
