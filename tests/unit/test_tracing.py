"""Whose work it is: ids taken from headers or made, and carried from thread to thread."""

import contextvars
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from ml_api import tracing

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize(
    "traceparent",
    [f"00-{TRACE}-{PARENT}-01", f"00-{TRACE}-{PARENT}-03", f"cc-{TRACE}-{PARENT}-01", f"cc-{TRACE}-{PARENT}-01-later"],
)
def test_a_callers_trace_is_continued(traceparent):
    origin = tracing.request_origin("r", traceparent)
    assert (origin.trace_id, origin.parent_id, origin.sampled) == (TRACE, PARENT, True)
    assert re.fullmatch(r"[0-9a-f]{16}", origin.span_id)
    assert origin.span_id != PARENT
    assert origin.traceresponse == f"00-{TRACE}-{origin.span_id}-01"


def test_a_caller_that_records_nothing_is_heard():
    assert not tracing.request_origin("r", f"00-{TRACE}-{PARENT}-00").sampled


@pytest.mark.parametrize(
    "traceparent",
    [
        None,
        "",
        "nonsense",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-01-more",
        f"00-{TRACE}-{PARENT}-1",
        f"00-{TRACE}-{PARENT}-01\n",
        f" 00-{TRACE}-{PARENT}-01",
        f"00-{TRACE[1:]}-{PARENT}-01",
        f"cc-{TRACE}-{PARENT}-01.later",
    ],
)
def test_a_malformed_trace_is_replaced_by_a_new_one(traceparent):
    one, other = tracing.request_origin("r", traceparent), tracing.request_origin("r", traceparent)
    assert re.fullmatch(r"[0-9a-f]{32}", one.trace_id)
    assert one.parent_id is None
    assert len({one.trace_id, other.trace_id, TRACE}) == 3


@pytest.mark.parametrize("odd", [None, "", "a b", "x" * 65, 'a"b', "é", "a\n"])
def test_an_unsafe_request_id_is_replaced(odd):
    assert re.fullmatch(r"[0-9a-f]{32}", tracing.request_origin(odd, None).request_id or "")


def test_work_belongs_to_whom_it_is_done_for():
    one, other = tracing.request_origin("one", None), tracing.request_origin("other", None)
    assert tracing.exemplar() is None
    with tracing.on_behalf_of([one]):
        assert tracing.request_id() == "one"
        with tracing.on_behalf_of([other, one]):
            assert tracing.origins() == (other, one)
        assert tracing.exemplar() == {"trace_id": one.trace_id}
    assert tracing.request_id() == ""


def test_a_run_is_a_trace_without_a_request():
    with tracing.on_behalf_of([tracing.run_origin()]):
        assert tracing.request_id() == ""
        assert tracing.exemplar()


def test_another_thread_works_for_whom_it_is_told():
    with ThreadPoolExecutor(1) as thread, tracing.on_behalf_of([tracing.request_origin("mine", None)]):
        assert thread.submit(tracing.request_id).result(5) == ""
        assert thread.submit(contextvars.copy_context().run, tracing.request_id).result(5) == "mine"
