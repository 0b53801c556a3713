"""The index of words, on SQLite and on PostgreSQL: what it finds, and how it follows the vector store, whoever dies when."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ml_api.errors import StoreUnavailable
from ml_api.metrics import Metrics
from ml_api.records import ImageRecord, image_id
from ml_api.texts import Lookup, TextIndex, TextIndexingStore, TextUpkeep
from ml_api.texts.dialects import COMMON
from ml_api.texts.index import ImageWords
from ml_api.texts.words import query_words
from ml_api.vectors.memory import MemoryStore
from ml_api.vectors.wrapper import StoreWrapper


def image(key, version="1", **metadata):
    return ImageRecord(image_id(key), key, version, "0" * 64, width=1, height=1, indexed_at=0.0, metadata=metadata)


def vectors(count):
    return np.tile(np.array([[1, 0, 0]], dtype=np.float32), (count, 1))


@pytest.fixture
def texts(database):
    return TextIndex(database, "milvus images")


@pytest.fixture
def memory():
    store = MemoryStore()
    store.ensure("model", 3)
    return store


def add(store, *records):
    store.upsert(list(records), vectors(len(records)))


def found(texts, text, most=300):
    return set(look_up(texts, *query_words(text), most=most))


def look_up(texts, *words, most, needs_all=False):
    [answer] = texts.find([Lookup(words, most, needs_all)])
    return answer.images


def ids(*keys):
    return {image_id(key) for key in keys}


def test_images_are_found_by_their_words_as_they_come_change_and_go(texts, memory):
    store = TextIndexingStore(memory, texts)
    add(store, image("DSC_0412.jpg"), image("b.jpg", caption="the Bodleian", sku="SKU-4711-B"), image("c.jpg"))
    assert found(texts, "dsc_0412.jpg") == ids("DSC_0412.jpg")
    assert found(texts, "4711") == found(texts, "bodleian") == ids("b.jpg")

    add(store, image("b.jpg", caption="the Radcliffe"))
    store.delete([image_id("DSC_0412.jpg")])

    assert found(texts, "radcliffe") == ids("b.jpg")
    assert not found(texts, "bodleian 4711 dsc_0412")
    assert texts.count() == 2
    assert not texts.announced()


def test_collections_do_not_find_each_others_images(texts, database):
    other = TextIndexingStore(MemoryStore(), TextIndex(database, "another"))
    other.ensure("model", 3)
    add(other, image("DSC_0412.jpg"))
    assert not found(texts, "dsc_0412")
    assert texts.count() == 0


def test_lookups_that_come_together_are_answered_each_for_itself(texts, memory):
    add(TextIndexingStore(memory, texts), image("DSC_0412.jpg"), image("b.jpg", caption="the Bodleian"))
    dsc, nothing, oxford = texts.find([Lookup(["0412"], 10), Lookup([], 10), Lookup(["bodleian", "oxford"], 10)])
    assert dsc.images == {image_id("DSC_0412.jpg"): {"0412"}}
    assert not nothing.images
    assert not nothing.known
    assert set(oxford.images) == ids("b.jpg")
    assert oxford.known == {"bodleian": 1, "oxford": 0}


def test_as_many_words_as_a_batch_may_have_are_counted_once_each(texts, memory):
    add(TextIndexingStore(memory, texts), image("oxford.jpg"), image("oxford/1.jpg"))
    lookups = [Lookup(["oxford", *(f"{place}x{number}" for number in range(31))], 10) for place in range(64)]
    for answer in texts.find(lookups):
        assert set(answer.images) == ids("oxford.jpg", "oxford/1.jpg")
        assert sum(answer.known.values()) == answer.known["oxford"] == 2


def test_words_that_many_have_find_nothing_alone_and_all_of_them_together(texts, memory):
    store = TextIndexingStore(memory, texts)
    dogs = [image(f"{place}.jpg", caption="dog" if place % 2 else "dog snow") for place in range(8)]
    add(store, *dogs, image("x.jpg", caption="snow"))
    assert not found(texts, "dog", most=5)
    assert found(texts, "dog snow", most=5) == ids("0.jpg", "2.jpg", "4.jpg", "6.jpg", "x.jpg")
    assert set(look_up(texts, "dog", most=100, needs_all=True)) == ids(*(f"{place}.jpg" for place in range(8)))
    assert set(look_up(texts, "dog", "snow", most=100, needs_all=True)) == ids("0.jpg", "2.jpg", "4.jpg", "6.jpg")


def test_a_common_word_beside_a_rare_one_finds_what_has_the_rare_one_time_and_again(texts):
    said = {image_id(f"{place}.jpg"): ImageWords(f"{place}", "dog snow" if place == 7 else "dog") for place in range(COMMON)}
    texts.settle(texts.announce(list(said)), said)
    lookup = Lookup(["dog", "snow", "zebra"], 10)
    for _ in range(2):
        [answer] = texts.find([lookup])
        assert answer.images == {image_id("7.jpg"): {"dog", "snow"}}
        assert answer.known == {"dog": COMMON, "snow": 1, "zebra": 0}


class Dying(StoreWrapper):
    """A process that dies before, or after, its write reaches the store: nothing that was to follow happens."""

    def __init__(self, inner, *, before):
        super().__init__(inner)
        self._before = before

    def upsert(self, records, vectors):
        if not self._before:
            super().upsert(records, vectors)
        raise KeyboardInterrupt

    def delete(self, ids):
        if not self._before:
            super().delete(ids)
        raise KeyboardInterrupt


@pytest.mark.parametrize("before", [True, False], ids=["before the store", "after the store"])
def test_what_a_killed_process_left_is_read_again(texts, memory, before):
    add(TextIndexingStore(memory, texts), image("a.jpg", caption="alpha"), image("b.jpg", caption="beta"))
    dying = TextIndexingStore(Dying(memory, before=before), texts)
    with suppress(KeyboardInterrupt):
        add(dying, image("a.jpg", caption="omega"), image("c.jpg", caption="gamma"))
    with suppress(KeyboardInterrupt):
        dying.delete([image_id("b.jpg")])

    upkeep = TextUpkeep(texts, memory, Metrics())
    upkeep.check()
    upkeep.check()

    assert not texts.announced()
    assert found(texts, "alpha omega") == ids("a.jpg")
    assert found(texts, "omega" if before else "alpha") == set()
    assert found(texts, "beta") == (ids("b.jpg") if before else set())
    assert found(texts, "gamma") == (set() if before else ids("c.jpg"))


def test_an_index_that_nobody_has_kept_is_built_and_one_that_is_behind_is_mended(texts, memory):
    add(memory, *(image(f"{place}.jpg", caption=f"name{place}") for place in range(1100)))
    upkeep = TextUpkeep(texts, memory, Metrics())
    upkeep.check()
    assert texts.count() == 1100
    assert found(texts, "name7") == ids("7.jpg")

    add(memory, image("7.jpg", "2", caption="another"))  # by a process that keeps no words
    memory.delete([image_id("8.jpg")])
    assert upkeep.compare() == 2
    assert (found(texts, "another"), found(texts, "name8")) == (ids("7.jpg"), set())
    assert upkeep.compare() == 0


def test_two_who_write_the_same_image_leave_it_to_the_store(texts, memory):
    """Whose write came last in the store is not known to either."""
    first = texts.announce([image_id("a.jpg")])
    second = texts.announce([image_id("a.jpg")])
    texts.settle(second, {image_id("a.jpg"): ImageWords.of(image("a.jpg", caption="second"))})
    texts.settle(first, {image_id("a.jpg"): ImageWords.of(image("a.jpg", caption="first"))})
    add(memory, image("a.jpg", caption="first"))
    assert set(texts.announced()) == ids("a.jpg")

    TextUpkeep(texts, memory, Metrics()).refresh(list(texts.announced()))

    assert found(texts, "first") == ids("a.jpg")


def test_many_writers_leave_the_words_of_the_store(texts, memory):
    store = TextIndexingStore(memory, texts)

    def write(number):
        some = [image(f"{(number + place) % 7}.jpg", str(number), caption=f"say{number}") for place in range(5)]
        if number % 5:
            add(store, *some)
        else:
            store.delete([one.id for one in some])

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(write, range(40)))
    upkeep = TextUpkeep(texts, memory, Metrics())
    upkeep.check()
    upkeep.check()

    assert texts.count() == memory.count()
    for record in memory.get(sorted(ids(*(f"{place}.jpg" for place in range(7))))).values():
        assert record.id in found(texts, record.metadata["caption"])


def test_a_store_that_is_away_leaves_what_was_announced_for_later(texts, memory):
    memory.close()
    with pytest.raises(StoreUnavailable):
        add(TextIndexingStore(memory, texts), image("a.jpg"))
    assert set(texts.announced()) == ids("a.jpg")
    TextUpkeep(texts, memory, Metrics()).check()  # says so in the log, and no more
    assert set(texts.announced()) == ids("a.jpg")


HOSTILE = [
    *('"', "'", "NEAR(a b)", "a*", "a OR b", "a AND NOT b", "{words}: x", "\x00", "x' OR '1'='1"),
    *("a & b | !c", "<->", ":*", "emoji \U0001f600"),
]


@pytest.mark.parametrize("text", HOSTILE)
def test_operators_of_the_databases_are_only_text(texts, memory, text):
    add(TextIndexingStore(memory, texts), image("near.jpg", caption=f"or {text} and"))
    if words := query_words(text):
        texts.find([Lookup(words, 300), Lookup(words, 300, needs_all=True)])


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.text(min_size=1, max_size=120))
def test_any_text_finds_the_image_that_has_it(texts, memory, text):
    add(TextIndexingStore(memory, texts), image("one.jpg", caption=text))
    if words := query_words(text)[:32]:
        assert set(look_up(texts, *words, most=10, needs_all=True)) == ids("one.jpg")
