"""A batch that fails is taken apart until the culprit is alone; one that does not fit stays in small parts for a while."""

import pytest

from ml_api.embedding.splitting import Ceiling, Parts
from ml_api.errors import ModelOutOfMemory, ModelUnavailable

ITEMS = list(range(7))


class Model:
    """Takes so many items at once, and none of those that are poison."""

    def __init__(self, fits=100, poison=()):
        self.fits = fits
        self.poison = set(poison)
        self.sizes = []

    def embed(self, part):
        self.sizes.append(len(part))
        if len(part) > self.fits:
            raise ModelOutOfMemory
        if self.poison.intersection(part):
            raise ModelUnavailable("no")


def embed(model, ceiling=None, items=ITEMS):
    """The items that were taken, in order, and those that failed alone."""
    taken, failed = [], []
    parts = Parts(items, ceiling)
    for part in parts:
        try:
            model.embed(part)
        except ModelUnavailable as exc:
            if not parts.split(part, exc):
                failed += part
        else:
            if ceiling:
                ceiling.fitted(len(part))
            taken += part
    return taken, failed


def test_a_batch_that_fits_is_one_pass():
    model = Model()

    assert embed(model) == (ITEMS, [])
    assert model.sizes == [7]


def test_a_batch_that_does_not_fit_goes_in_parts_from_then_on_and_in_order():
    model, ceiling = Model(fits=2), Ceiling(64)

    for _ in range(2):
        assert embed(model, ceiling) == (ITEMS, [])
    assert model.sizes == [7, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]


def test_a_batch_above_the_ceiling_is_cut_to_it_without_being_tried_whole():
    model, ceiling = Model(), Ceiling(3)

    assert embed(model, ceiling) == (ITEMS, [])
    assert model.sizes == [3, 3, 1]


@pytest.mark.parametrize("poison", [{0}, {6}, {2, 3}, set(ITEMS)])
def test_only_the_poisonous_fail_and_nothing_is_out_of_order(poison):
    taken, failed = embed(Model(poison=poison))

    assert (taken, failed) == (sorted(set(ITEMS) - poison), sorted(poison))


def test_a_single_item_that_does_not_fit_is_given_up():
    assert embed(Model(fits=0)) == ([], ITEMS)


def test_memory_that_is_free_again_is_used_again():
    model, ceiling = Model(fits=3), Ceiling(7)
    embed(model, ceiling)
    model.fits = 100

    for _ in range(200):
        embed(model, ceiling)
    assert ceiling.now > 3


def test_the_ceiling_falls_at_once_and_rises_slowly():
    ceiling = Ceiling(64)
    ceiling.ran_out(40)
    assert ceiling.now == 20

    for _ in range(99):
        ceiling.fitted(20)
    ceiling.fitted(19)  # says nothing about 20
    assert ceiling.now == 20
    ceiling.fitted(20)
    assert ceiling.now == 21


def test_the_ceiling_never_falls_below_one_nor_rises_above_its_beginning():
    ceiling = Ceiling(2)
    ceiling.ran_out(1)
    assert ceiling.now == 1

    for _ in range(1000):
        ceiling.fitted(ceiling.now)
    assert ceiling.now == 2
