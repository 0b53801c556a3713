"""The vectors of several models beside each other, and one of them in use: on Milvus Lite and on a server."""

import numpy as np
import pytest

from ml_api.errors import ConfigError, ModelReplaced, StoreUnavailable
from ml_api.vectors.base import SearchOptions
from tests.contracts.samples import DIM, MODEL, axis, record

NEW = "new-model@7"
NEW_DIM = DIM + 4


def new_axis(number):
    return np.eye(1, NEW_DIM, number, dtype=np.float32)


@pytest.fixture(params=["milvus-lite", "milvus"])
def backend(request):
    return request.param


@pytest.fixture
def old(make_store, backend):
    """The store in use, of one image."""
    store = make_store(backend)
    store.ensure(MODEL, DIM)
    store.upsert([record("old")], axis(0))
    return store


def keys(store, vectors):
    return [hit.record.key for hit in store.search(vectors, SearchOptions(5))[0]]


def test_two_models_are_searched_and_written_side_by_side(old):
    new = old.beside(NEW, NEW_DIM)
    new.upsert([record("new")], new_axis(0))
    old.upsert([record("old too")], axis(0))
    old.flush()
    new.flush()
    assert sorted(keys(old, axis(0))) == ["old", "old too"]
    assert keys(new, new_axis(0)) == ["new"]
    new.close()
    assert sorted(keys(old, axis(0))) == ["old", "old too"]


def test_either_may_be_closed_first(old):
    new = old.beside(NEW, NEW_DIM)
    old.close()
    new.upsert([record("new")], new_axis(0))
    assert keys(new, new_axis(0)) == ["new"]
    new.close()


def test_what_was_begun_beside_is_found_again(make_store, backend, old):
    new = old.beside(NEW, NEW_DIM)
    new.upsert([record("new")], new_axis(0))
    new.close()
    old.close()
    again = make_store(backend)
    again.open_current()
    assert again.beside(NEW, NEW_DIM).count() == 1


def test_a_switch_leads_who_opens_next_to_the_other_and_leaves_the_open_ones(make_store, backend, old):
    new = old.beside(NEW, NEW_DIM)
    new.upsert([record("new")], new_axis(0))
    generations = old.generations()
    before = generations.current()
    [beside] = generations.others()
    assert (before.model_id, before.dim, beside.model_id, beside.dim) == (MODEL, DIM, NEW, NEW_DIM)

    generations.switch(beside)

    assert keys(old, axis(0)) == ["old"], "an open store stays with its model"
    assert generations.current().replaced == before.name
    new.close()
    old.close()
    with pytest.raises(ConfigError, match=NEW):
        make_store(backend).ensure(MODEL, DIM)
    reopened = make_store(backend)
    reopened.ensure(NEW, NEW_DIM)
    assert keys(reopened, new_axis(0)) == ["new"]


def test_back_again_and_the_other_dropped(make_store, backend, old):
    old.beside(NEW, NEW_DIM).close()
    generations = old.generations()
    before, [beside] = generations.current(), generations.others()
    generations.switch(beside)

    generations.switch(before)
    generations.drop(beside)

    assert generations.others() == []
    assert generations.current().name == before.name
    assert keys(old, axis(0)) == ["old"]
    old.flush()
    with pytest.raises(ConfigError, match="in use"):
        generations.drop(before)


def test_collections_of_others_are_none_of_ours(make_store, backend, old):
    """Another alias may begin with ours."""
    name = old.generations().current().name.rpartition("_")[0]
    longer = make_store(backend, collection=f"{name}_big") if backend == "milvus" else None
    if longer is not None:
        longer.ensure(MODEL, DIM)
    assert old.generations().others() == []


def test_without_a_collection_there_is_nothing_to_open(make_store, backend):
    with pytest.raises(ConfigError, match="python -m ml_api sync"):
        make_store(backend).open_current()


def test_a_store_that_hands_over_takes_no_more_changes_and_one_that_does_not_after_all_takes_them(old):
    old.stop_writes()
    with pytest.raises(StoreUnavailable, match="another model take over now; try again"):
        old.upsert([record("late")], axis(1))
    with pytest.raises(StoreUnavailable, match="another model"):
        old.delete([record("old").id])
    assert keys(old, axis(0)) == ["old"]
    old.resume_writes()
    old.upsert([record("late")], axis(1))
    assert old.count() == 2


def test_who_opens_with_the_replaced_model_is_told_where_the_new_one_is_found(make_store, backend, old):
    old.beside(NEW, NEW_DIM).close()
    generations = old.generations()
    [beside] = generations.others()
    generations.note_setting(beside, "/models/new")
    generations.switch(beside)
    assert generations.current().setting == "/models/new"
    old.close()
    with pytest.raises(ModelReplaced, match="set ML_API_MODEL=/models/new, or go back with") as raised:
        make_store(backend).ensure(MODEL, DIM)
    assert raised.value.setting == "/models/new"
    with pytest.raises(ConfigError) as unknown:
        make_store(backend).ensure("a third model@1", DIM)
    assert not isinstance(unknown.value, ModelReplaced)
