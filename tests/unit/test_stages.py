"""The stages of a search, timed in the context of its request."""

import threading

import pytest

from ml_api import stages
from ml_api.api.schemas.found import Timings
from ml_api.stages import stage
from ml_api.vocabulary import Operation, Stage


@pytest.fixture(autouse=True)
def no_search():
    yield
    stages.end()


def test_a_stage_that_fails_is_timed_all_the_same():
    stages.begin(Operation.TEXT)
    with pytest.raises(KeyError), stage(Stage.PREPARE):
        raise KeyError
    timed = stages.end()
    assert timed.operation is Operation.TEXT
    assert timed.seconds[Stage.PREPARE] > 0


def test_a_stage_entered_twice_counts_with_both_times():
    stages.begin(Operation.SIMILAR)
    for seconds in (1.0, 2.0):
        stages.took(Stage.SEARCH, seconds)
    assert stages.so_far() == {Stage.SEARCH: 3.0}


def test_outside_a_search_nothing_is_kept():
    with stage(Stage.EMBED):
        assert stages.so_far() == {}
    assert stages.end() is None


def test_a_search_ends_once_and_the_next_begins_anew():
    stages.begin(Operation.TEXT)
    stages.took(Stage.QUEUE, 1.0)
    assert stages.end().seconds == {Stage.QUEUE: 1.0}
    assert stages.end() is None
    stages.begin(Operation.IMAGE)
    assert stages.so_far() == {}


def test_the_searches_of_other_threads_are_theirs():
    stages.begin(Operation.TEXT)
    other = threading.Thread(target=stages.took, args=(Stage.EMBED, 1.0))
    other.start()
    other.join()
    assert stages.so_far() == {}


def test_an_answer_tells_every_stage_before_it_is_written():
    assert list(Timings.model_fields) == [name for name in Stage if name is not Stage.SERIALIZE] + ["total"]
