"""Ways to combine terms are judged by the facts of the pictures."""

import numpy as np
import pytest

from demo.composition import IMAGE, TEXT, WAYS, Space, Task, precision, spherical, weighted_sum


@pytest.fixture
def space():
    """Texts along the axes 0 and 1; ten pictures between them, the first along axis 0 alone."""
    shares = np.linspace(0, np.pi / 2, 10)
    pictures = np.stack([np.cos(shares), np.sin(shares), np.zeros(10)], axis=1).astype(np.float32)
    texts = np.eye(3, dtype=np.float32)[:2]
    return Space((texts, pictures), (texts.mean(axis=0), pictures.mean(axis=0)), (1.0, 1.0))


def task(*terms, right=(3, 4, 5, 6, 7)):
    return Task("any", terms, frozenset(right))


def test_two_terms_find_what_lies_between_them(space):
    between = task((TEXT, 0, 1), (TEXT, 1, 1), right=(2, 3, 4, 5, 6, 7))
    assert precision(space, between, weighted_sum) == 1
    assert np.allclose(weighted_sum(space, between), spherical(space, between))


def test_a_picture_that_is_a_term_is_no_answer(space):
    assert precision(space, task((IMAGE, 0, 1), right=(0, 1, 2, 3, 4)), weighted_sum) == pytest.approx(4 / 5)


@pytest.mark.parametrize("way", WAYS)
def test_every_way_makes_a_vector_of_length_1(space, way):
    for terms in (((TEXT, 0, 1), (IMAGE, 7, 1)), ((IMAGE, 0, 1), (TEXT, 1, -0.5))):
        assert np.linalg.norm(WAYS[way](space, task(*terms))) == pytest.approx(1)
